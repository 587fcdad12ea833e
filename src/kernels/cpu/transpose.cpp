#include "kernels/cpu/transpose.hpp"

#include <cstring>

#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu {

namespace {

/// Lines of elements that begin `step` apart.
template <class T>
struct Steps {
  T* first;
  std::int64_t step;

  [[gnu::always_inline]] static constexpr bool has(std::int64_t) noexcept { return true; }
  [[gnu::always_inline]] T* operator()(std::int64_t line, std::int64_t at) const noexcept {
    return first + line * step + at;
  }
};

/// Lines of elements anywhere, some of which may be missing.
template <class T>
struct Lines {
  T* const* lines;

  [[gnu::always_inline]] bool has(std::int64_t line) const noexcept { return lines[line] != nullptr; }
  [[gnu::always_inline]] T* operator()(std::int64_t line, std::int64_t at) const noexcept { return lines[line] + at; }
};

// A vector takes four neighbours of every fourth column, beginning with `column`; four such vectors are 4 x lanes
// elements, and what is left to do is to turn around squares of 4 x 4 which lie in the same parts of the four.

namespace portable {
using namespace vectors::portable;

template <class From>
Vector four_rows(From from, std::int64_t column, std::int64_t row) noexcept {
  return load(from(column, row));
}
inline void turn(Vector (&x)[4]) noexcept {
  const Vector low01 = __builtin_shufflevector(x[0], x[1], 0, 4, 1, 5);
  const Vector low23 = __builtin_shufflevector(x[2], x[3], 0, 4, 1, 5);
  const Vector high01 = __builtin_shufflevector(x[0], x[1], 2, 6, 3, 7);
  const Vector high23 = __builtin_shufflevector(x[2], x[3], 2, 6, 3, 7);
  x[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
  x[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
  x[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
  x[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
}
#include "kernels/cpu/transpose_tile.inc"
}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;

template <class From>
[[gnu::always_inline]] inline Vector four_rows(From from, std::int64_t column, std::int64_t row) noexcept {
  const Vector low = _mm256_castps128_ps256(_mm_loadu_ps(from(column, row)));
  return _mm256_insertf128_ps(low, _mm_loadu_ps(from(column + 4, row)), 1);
}
[[gnu::always_inline]] inline void turn(Vector (&x)[4]) noexcept {
  const Vector low01 = __builtin_shufflevector(x[0], x[1], 0, 8, 1, 9, 4, 12, 5, 13);
  const Vector low23 = __builtin_shufflevector(x[2], x[3], 0, 8, 1, 9, 4, 12, 5, 13);
  const Vector high01 = __builtin_shufflevector(x[0], x[1], 2, 10, 3, 11, 6, 14, 7, 15);
  const Vector high23 = __builtin_shufflevector(x[2], x[3], 2, 10, 3, 11, 6, 14, 7, 15);
  x[0] = __builtin_shufflevector(low01, low23, 0, 1, 8, 9, 4, 5, 12, 13);
  x[1] = __builtin_shufflevector(low01, low23, 2, 3, 10, 11, 6, 7, 14, 15);
  x[2] = __builtin_shufflevector(high01, high23, 0, 1, 8, 9, 4, 5, 12, 13);
  x[3] = __builtin_shufflevector(high01, high23, 2, 3, 10, 11, 6, 7, 14, 15);
}
#include "kernels/cpu/transpose_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;

template <class From>
[[gnu::always_inline]] inline Vector four_rows(From from, std::int64_t column, std::int64_t row) noexcept {
  Vector v = _mm512_castps128_ps512(_mm_loadu_ps(from(column, row)));
  v = _mm512_insertf32x4(v, _mm_loadu_ps(from(column + 4, row)), 1);
  v = _mm512_insertf32x4(v, _mm_loadu_ps(from(column + 8, row)), 2);
  return _mm512_insertf32x4(v, _mm_loadu_ps(from(column + 12, row)), 3);
}
[[gnu::always_inline]] inline void turn(Vector (&x)[4]) noexcept {
  const Vector low01 = __builtin_shufflevector(x[0], x[1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
  const Vector low23 = __builtin_shufflevector(x[2], x[3], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
  const Vector high01 = __builtin_shufflevector(x[0], x[1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  const Vector high23 = __builtin_shufflevector(x[2], x[3], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  x[0] = __builtin_shufflevector(low01, low23, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
  x[1] = __builtin_shufflevector(low01, low23, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
  x[2] = __builtin_shufflevector(high01, high23, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
  x[3] = __builtin_shufflevector(high01, high23, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}
#include "kernels/cpu/transpose_tile.inc"
}  // namespace avx512
#pragma GCC pop_options

#endif

/// By the widest vectors that do not reach over the end of a line of the cache, when rows of the target begin `to_step`
/// apart: such stores to memory outside of the caches are slow.
template <class From, class To>
void transpose_by(VectorSet set, From from, To to, std::int64_t to_step, std::int64_t rows,
                  std::int64_t columns) noexcept {
  constexpr std::int64_t fewest = 4;  // rows and columns of a square
  if (rows >= fewest && columns >= fewest) {
#if LINSEED_X86_TILES
    const auto takes = [&](std::int64_t lanes) { return columns >= lanes && to_step % lanes == 0; };
    if (set == VectorSet::avx512 && takes(avx512::lanes)) return avx512::transpose_all(from, to, rows, columns);
    if (set != VectorSet::portable && takes(avx2::lanes)) return avx2::transpose_all(from, to, rows, columns);
#endif
    return portable::transpose_all(from, to, rows, columns);
  }
  static_cast<void>(set), static_cast<void>(to_step);
  for (std::int64_t row = 0; row < rows; ++row) {
    if (!to.has(row)) continue;
    for (std::int64_t column = 0; column < columns; ++column)
      std::memcpy(to(row, column), from(column, row), sizeof(float));
  }
}

}  // namespace

void copy_transposed(const std::uint32_t* from, std::int64_t from_step, std::uint32_t* to, std::int64_t to_step,
                     std::int64_t rows, std::int64_t columns, VectorSet set) noexcept {
  transpose_by(set, Steps<const float>{reinterpret_cast<const float*>(from), from_step},
               Steps<float>{reinterpret_cast<float*>(to), to_step}, to_step, rows, columns);
}

void copy_transposed(const float* const* from, float* to, std::int64_t rows, std::int64_t columns,
                     VectorSet set) noexcept {
  transpose_by(set, Lines<const float>{from}, Steps<float>{to, columns}, columns, rows, columns);
}

void copy_transposed(const float* from, float* const* to, std::int64_t rows, std::int64_t columns,
                     VectorSet set) noexcept {
  transpose_by(set, Steps<const float>{from, rows}, Lines<float>{to}, columns, rows, columns);
}

}  // namespace linseed::kernels::cpu
