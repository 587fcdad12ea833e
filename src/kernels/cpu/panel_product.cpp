#include "kernels/cpu/panel_product.hpp"

#include <algorithm>
#include <utility>

#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu {

namespace {

namespace portable {
using namespace vectors::portable;
constexpr int most_rows = 6, most_channels = 6, most_narrow_channels = 8;
#include "kernels/cpu/panel_product_tile.inc"
}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
constexpr int most_rows = 6, most_channels = 6, most_narrow_channels = 8;
#include "kernels/cpu/panel_product_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;
constexpr int most_rows = 14, most_channels = 8, most_narrow_channels = 16;
#include "kernels/cpu/panel_product_tile.inc"
}  // namespace avx512
#pragma GCC pop_options

#endif

}  // namespace

PanelRoutines panel_routines(VectorSet set) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512) return avx512::routines;
  if (set == VectorSet::avx2) return avx2::routines;
#endif
  static_cast<void>(set);
  return portable::routines;
}

void pack_panel(const float* from, std::int64_t row_step, std::int64_t rows, std::int64_t column_step,
                std::int64_t columns, std::int64_t height, std::int64_t width, float* to) noexcept {
  if (rows < height || columns < width) std::fill_n(to, height * width, 0.0F);
  if (column_step == 1) {
    for (std::int64_t i = 0; i < rows; ++i) std::copy_n(from + i * row_step, columns, to + i * width);
    return;
  }
  std::int64_t n = 0;
#if LINSEED_X86_TILES
  for (; row_step == 1 && n + 4 <= columns; n += 4) {
    std::int64_t i = 0;
    for (; i + 4 <= rows; i += 4) {
      __m128 row[4];
      for (std::int64_t k = 0; k < 4; ++k) row[k] = _mm_loadu_ps(from + i + (n + k) * column_step);
      _MM_TRANSPOSE4_PS(row[0], row[1], row[2], row[3]);
      for (std::int64_t k = 0; k < 4; ++k) _mm_storeu_ps(to + (i + k) * width + n, row[k]);
    }
    for (; i < rows; ++i) {
      for (std::int64_t k = n; k < n + 4; ++k) to[i * width + k] = from[i * row_step + k * column_step];
    }
  }
#endif
  for (; n < columns; ++n) {
    for (std::int64_t i = 0; i < rows; ++i) to[i * width + n] = from[i * row_step + n * column_step];
  }
}

}  // namespace linseed::kernels::cpu
