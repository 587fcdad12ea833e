#include "kernels/cpu/row_dots.hpp"

#include <cstring>

#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu {

namespace {

namespace portable {
using namespace vectors::portable;
constexpr int tile_rows = 2, tile_columns = 1;
#include "kernels/cpu/row_dots_tile.inc"
}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
constexpr int tile_rows = 2, tile_columns = 2;
#include "kernels/cpu/row_dots_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;
constexpr int tile_rows = 4, tile_columns = 4;
#include "kernels/cpu/row_dots_tile.inc"
}  // namespace avx512
#pragma GCC pop_options

#endif

}  // namespace

void row_dots(const RowDots& dots, VectorSet set) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512) return avx512::run(dots);
  if (set == VectorSet::avx2) return avx2::run(dots);
#endif
  static_cast<void>(set);
  portable::run(dots);
}

}  // namespace linseed::kernels::cpu
