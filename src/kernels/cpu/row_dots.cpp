#include "kernels/cpu/row_dots.hpp"

#include <cstring>

#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu {

namespace {

namespace portable {
using namespace vectors::portable;
constexpr int tile_rows = 2, tile_columns = 1, single_columns = 1, least_sums = 16;
template <int count>
void sums_of_lanes(const Vector (&)[count][4], float (&)[count]) noexcept;  // there are not so many
#include "kernels/cpu/row_dots_tile.inc"
}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
constexpr int tile_rows = 2, tile_columns = 2, single_columns = 4, least_sums = 4;
// Each step adds pairs in two vectors and leaves the sums in one.
[[gnu::always_inline]] inline void sums_of_lanes(const Vector (&sum)[4][2], float (&to)[4]) noexcept {
  Vector one[4], two[2];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) one[i] = add(sum[i][0], sum[i][1]);
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
    const Vector a = one[2 * i], b = one[2 * i + 1];
    two[i] = add(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
  }
  const Vector pairs = add(_mm256_shuffle_ps(two[0], two[1], 0x44), _mm256_shuffle_ps(two[0], two[1], 0xee));
  const Vector sums = add(pairs, _mm256_permute_ps(pairs, 0xb1));
  // Pairs of lanes hold sums 0 and 2, then 1 and 3.
  _mm_storeu_ps(to, _mm_blend_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1), 0b1010));
}
#include "kernels/cpu/row_dots_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;
constexpr int tile_rows = 4, tile_columns = 4, single_columns = 4, least_sums = 8;
constexpr __mmask16 all = 0xffff;  // the forms without a mask: -Wmaybe-uninitialized in GCC 12
// Each step adds pairs in two vectors and leaves the sums in one, or adds them in the last one.
template <int count>
[[gnu::always_inline]] inline void sums_of_lanes(const Vector (&sum)[count][1], float (&to)[count]) noexcept {
  constexpr int most = count > 8 ? 16 : 8;
  Vector v[most];
#pragma GCC unroll 16
  for (int i = 0; i < most; ++i) v[i] = i < count ? sum[i][0] : zero();
#pragma GCC unroll 8
  for (int i = 0; i < most / 2; ++i) {
    const Vector a = v[2 * i], b = v[2 * i + 1];
    v[i] = add(_mm512_maskz_shuffle_f32x4(all, a, b, 0x44), _mm512_maskz_shuffle_f32x4(all, a, b, 0xee));
  }
#pragma GCC unroll 4
  for (int i = 0; i < most / 4; ++i) {
    const Vector a = v[2 * i], b = v[2 * i + 1];
    v[i] = add(_mm512_maskz_shuffle_f32x4(all, a, b, 0x88), _mm512_maskz_shuffle_f32x4(all, a, b, 0xdd));
  }
  // Block k of four lanes belongs to sums k, 4 + k, 8 + k and 12 + k.
#pragma GCC unroll 2
  for (int i = 0; i < most / 8; ++i) {
    const Vector a = v[2 * i], b = v[2 * i + 1];
    v[i] = add(_mm512_maskz_shuffle_ps(all, a, b, 0x44), _mm512_maskz_shuffle_ps(all, a, b, 0xee));
  }
  const Vector a = v[0], b = most > 8 ? v[1] : a;
  const Vector sums = add(_mm512_maskz_shuffle_ps(all, a, b, 0x88), _mm512_maskz_shuffle_ps(all, a, b, 0xdd));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  store_first(to, _mm512_maskz_permutexvar_ps(all, order, sums), count);
}
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
