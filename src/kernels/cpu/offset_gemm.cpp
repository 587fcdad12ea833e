#include "kernels/cpu/offset_gemm.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/cpu/scratch.hpp"

// clang ignores the target pragma; it gets the portable form.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define LINSEED_X86_TILES 1
#include <immintrin.h>
#else
#define LINSEED_X86_TILES 0
#endif

namespace linseed::kernels::cpu {

void Lattice::places(std::int64_t begin, std::int64_t count, std::int64_t* in_first,
                     std::int64_t* in_second) const noexcept {
  if (count == 0) return;
  std::int64_t index[4];
  std::int64_t at[2] = {first[0], first[1]};
  for (int dim = 3; dim >= 0; --dim) {
    index[dim] = begin % extent[dim];
    begin /= extent[dim];
    for (int side = 0; side < 2; ++side) at[side] += index[dim] * stride[side][dim];
  }
  for (std::int64_t i = 0; i < count; ++i) {
    in_first[i] = at[0];
    in_second[i] = at[1];
    for (int dim = 3; dim >= 0; --dim) {
      if (++index[dim] < extent[dim]) {
        at[0] += stride[0][dim];
        at[1] += stride[1][dim];
        break;
      }
      index[dim] = 0;
      at[0] -= (extent[dim] - 1) * stride[0][dim];
      at[1] -= (extent[dim] - 1) * stride[1][dim];
    }
  }
}

namespace {

constexpr std::int64_t depth_block = 256;
constexpr std::int64_t row_block = 1024;
constexpr std::int64_t max_panel_bytes = 128;  // of one depth: two of the widest vectors

/// The rows of a block against a few columns of the right factor, which lie packed: `depth` rows of the panel's width,
/// zeros beyond `columns`.
template <class T>
struct Panel {
  const T* left;
  const std::int64_t* rows;
  const std::int64_t* result_rows;
  std::int64_t row_count;
  const std::int64_t* depths;
  std::int64_t depth;
  const T* right;
  T* result;
  std::int64_t columns;
  bool accumulate;
};

/// Some rows and columns of a product of packed factors: `left` has all rows of a tile side by side for each point of
/// depth, `right` two vectors of columns.
template <class T>
struct DenseTile {
  const T* left;
  const T* right;
  std::int64_t depth;
  T* result;
  std::int64_t result_stride;
  std::int64_t rows, columns;  // that exist
  bool accumulate;
};

// Plain vectors of 16 bytes: SSE2, NEON, or whatever the compiler makes of them.
namespace portable {

template <class T>
struct Simd {
  typedef T Vector __attribute__((vector_size(16)));
  static Vector splat(T value) noexcept { return value - Vector{}; }
  static Vector load(const T* from) noexcept {
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
  }
  static void store(T* to, Vector v) noexcept { std::memcpy(to, &v, sizeof v); }
  static Vector load_first(const T* from, std::int64_t count) noexcept {
    Vector v{};
    std::memcpy(&v, from, static_cast<std::size_t>(count) * sizeof(T));
    return v;
  }
  static void store_first(T* to, Vector v, std::int64_t count) noexcept {
    std::memcpy(to, &v, static_cast<std::size_t>(count) * sizeof(T));
  }
  static Vector add(Vector a, Vector b) noexcept { return a + b; }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return a * b + c; }
};
template <int vectors>
constexpr int tile_rows = vectors == 1 ? 8 : 6;
constexpr int dense_rows = 6;

#include "kernels/cpu/offset_gemm_tile.inc"

#include "kernels/cpu/dense_gemm_tile.inc"

}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {

// A mask of `count` lanes starts at element 8 - count (4 - count).
alignas(32) constexpr std::int32_t first_floats[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
alignas(32) constexpr std::int64_t first_doubles[8] = {-1, -1, -1, -1, 0, 0, 0, 0};

template <class T>
struct Simd;
template <>
struct Simd<float> {
  using Vector = __m256;
  static __m256i first(std::int64_t count) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(first_floats + 8 - count));
  }
  static Vector splat(float value) noexcept { return _mm256_set1_ps(value); }
  static Vector load(const float* from) noexcept { return _mm256_loadu_ps(from); }
  static void store(float* to, Vector v) noexcept { _mm256_storeu_ps(to, v); }
  static Vector load_first(const float* from, std::int64_t count) noexcept {
    return _mm256_maskload_ps(from, first(count));
  }
  static void store_first(float* to, Vector v, std::int64_t count) noexcept {
    _mm256_maskstore_ps(to, first(count), v);
  }
  static Vector add(Vector a, Vector b) noexcept { return _mm256_add_ps(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm256_fmadd_ps(a, b, c); }
};
template <>
struct Simd<double> {
  using Vector = __m256d;
  static __m256i first(std::int64_t count) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(first_doubles + 4 - count));
  }
  static Vector splat(double value) noexcept { return _mm256_set1_pd(value); }
  static Vector load(const double* from) noexcept { return _mm256_loadu_pd(from); }
  static void store(double* to, Vector v) noexcept { _mm256_storeu_pd(to, v); }
  static Vector load_first(const double* from, std::int64_t count) noexcept {
    return _mm256_maskload_pd(from, first(count));
  }
  static void store_first(double* to, Vector v, std::int64_t count) noexcept {
    _mm256_maskstore_pd(to, first(count), v);
  }
  static Vector add(Vector a, Vector b) noexcept { return _mm256_add_pd(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm256_fmadd_pd(a, b, c); }
};
template <int vectors>
constexpr int tile_rows = vectors == 1 ? 8 : 6;
constexpr int dense_rows = 6;

#include "kernels/cpu/offset_gemm_tile.inc"

#include "kernels/cpu/dense_gemm_tile.inc"

}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {

template <class T>
struct Simd;
template <>
struct Simd<float> {
  using Vector = __m512;
  static __mmask16 first(std::int64_t count) noexcept { return static_cast<__mmask16>((1U << count) - 1); }
  static Vector splat(float value) noexcept { return _mm512_set1_ps(value); }
  static Vector load(const float* from) noexcept { return _mm512_loadu_ps(from); }
  static void store(float* to, Vector v) noexcept { _mm512_storeu_ps(to, v); }
  static Vector load_first(const float* from, std::int64_t count) noexcept {
    return _mm512_maskz_loadu_ps(first(count), from);
  }
  static void store_first(float* to, Vector v, std::int64_t count) noexcept {
    _mm512_mask_storeu_ps(to, first(count), v);
  }
  static Vector add(Vector a, Vector b) noexcept { return _mm512_add_ps(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm512_fmadd_ps(a, b, c); }
};
template <>
struct Simd<double> {
  using Vector = __m512d;
  static __mmask8 first(std::int64_t count) noexcept { return static_cast<__mmask8>((1U << count) - 1); }
  static Vector splat(double value) noexcept { return _mm512_set1_pd(value); }
  static Vector load(const double* from) noexcept { return _mm512_loadu_pd(from); }
  static void store(double* to, Vector v) noexcept { _mm512_storeu_pd(to, v); }
  static Vector load_first(const double* from, std::int64_t count) noexcept {
    return _mm512_maskz_loadu_pd(first(count), from);
  }
  static void store_first(double* to, Vector v, std::int64_t count) noexcept {
    _mm512_mask_storeu_pd(to, first(count), v);
  }
  static Vector add(Vector a, Vector b) noexcept { return _mm512_add_pd(a, b); }
  static Vector multiply_add(Vector a, Vector b, Vector c) noexcept { return _mm512_fmadd_pd(a, b, c); }
};
template <int vectors>
constexpr int tile_rows = 8;
constexpr int dense_rows = 12;

#include "kernels/cpu/offset_gemm_tile.inc"

#include "kernels/cpu/dense_gemm_tile.inc"

}  // namespace avx512
#pragma GCC pop_options

#endif

/// The routines of one instruction set for panels of one width.
template <class T>
struct PanelKernel {
  std::int64_t width;
  void (*pack)(const T* right, const std::int64_t* depths, std::int64_t depth, Columns columns, T* packed) noexcept;
  void (*multiply)(const Panel<T>&) noexcept;
};
template <class T>
struct PanelKernels {
  PanelKernel<T> narrow, wide;  // one vector and two
};

template <class T>
constexpr PanelKernels<T> panels_of(VectorSet set) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512) {
    constexpr std::int64_t lanes = 64 / sizeof(T);
    return {{lanes, avx512::pack<T, 1>, avx512::panel<T, 1>}, {2 * lanes, avx512::pack<T, 2>, avx512::panel<T, 2>}};
  }
  if (set == VectorSet::avx2) {
    constexpr std::int64_t lanes = 32 / sizeof(T);
    return {{lanes, avx2::pack<T, 1>, avx2::panel<T, 1>}, {2 * lanes, avx2::pack<T, 2>, avx2::panel<T, 2>}};
  }
#endif
  static_cast<void>(set);
  constexpr std::int64_t lanes = 16 / sizeof(T);
  return {{lanes, portable::pack<T, 1>, portable::panel<T, 1>},
          {2 * lanes, portable::pack<T, 2>, portable::panel<T, 2>}};
}

}  // namespace

namespace {

/// Places of the elements of a product.
struct Elements {
  const std::int64_t *left_rows, *result_rows;
  std::int64_t rows;
  const std::int64_t *left_depths, *right_depths;
  std::int64_t depth;  // at most depth_block
};

template <class T>
void multiply(const T* left, const T* right, Columns columns, T* result, const Elements& at, bool accumulate,
              const PanelKernels<T>& kernels) noexcept {
  alignas(64) T packed[depth_block * max_panel_bytes / sizeof(T)];
  for (std::int64_t n = 0; n < columns.count;) {
    const PanelKernel<T>& kernel = columns.count - n > kernels.narrow.width ? kernels.wide : kernels.narrow;
    const std::int64_t column_count = std::min(kernel.width, columns.count - n);
    kernel.pack(right + n * columns.stride, at.right_depths, at.depth, {column_count, columns.stride}, packed);
    kernel.multiply({.left = left,
                     .rows = at.left_rows,
                     .result_rows = at.result_rows,
                     .row_count = at.rows,
                     .depths = at.left_depths,
                     .depth = at.depth,
                     .right = packed,
                     .result = result + n,
                     .columns = column_count,
                     .accumulate = accumulate});
    n += column_count;
  }
}

}  // namespace

template <class T>
void offset_gemm(const T* left, const Lattice& rows, const Lattice& depth, const T* right, Columns columns, T* result,
                 bool accumulate, VectorSet set) noexcept {
  const PanelKernels<T> kernels = panels_of<T>(set);
  const std::int64_t row_total = rows.points();
  const std::int64_t depth_total = depth.points();
  std::int64_t left_rows[row_block], result_rows[row_block], left_depths[depth_block], right_depths[depth_block];

  for (std::int64_t row = 0; row < row_total; row += row_block) {
    const std::int64_t row_count = std::min(row_block, row_total - row);
    rows.places(row, row_count, left_rows, result_rows);
    std::int64_t k = 0;
    do {  // once even for an empty depth, whose sums are zero
      const std::int64_t depth_count = std::min(depth_block, depth_total - k);
      depth.places(k, depth_count, left_depths, right_depths);
      multiply<T>(left, right, columns, result,
                  {left_rows, result_rows, row_count, left_depths, right_depths, depth_count}, accumulate || k > 0,
                  kernels);
      k += depth_block;
    } while (k < depth_total);
  }
}

template void offset_gemm(const float*, const Lattice&, const Lattice&, const float*, Columns, float*, bool,
                          VectorSet) noexcept;
template void offset_gemm(const double*, const Lattice&, const Lattice&, const double*, Columns, double*, bool,
                          VectorSet) noexcept;

bool SmallGemm::fits(const MatrixProduct& product) noexcept {
  return product.rows <= row_block && product.depth <= depth_block && product.columns <= most &&
         product.rows * product.columns * product.depth <= most;
}

SmallGemm::SmallGemm(const MatrixProduct& product, VectorSet set)
    : columns_{product.columns, product.right.row}, set_(set) {
  for (std::int64_t row = 0; row < product.rows; ++row) {
    left_rows_.push_back(row * product.left.row);
    result_rows_.push_back(row * product.columns);
  }
  for (std::int64_t k = 0; k < product.depth; ++k) {
    left_depths_.push_back(k * product.left.depth);
    right_depths_.push_back(k * product.right.depth);
  }
}

void SmallGemm::operator()(const float* left, const float* right, float* result) const noexcept {
  static constexpr PanelKernels<float> kernels[] = {
      panels_of<float>(VectorSet::portable), panels_of<float>(VectorSet::avx2), panels_of<float>(VectorSet::avx512)};
  multiply(left, right, columns_, result,
           {left_rows_.data(), result_rows_.data(), static_cast<std::int64_t>(left_rows_.size()), left_depths_.data(),
            right_depths_.data(), static_cast<std::int64_t>(left_depths_.size())},
           false, kernels[static_cast<std::size_t>(set_)]);
}

// ---- products of matrices ----

namespace {

template <class T>
struct DenseKernel {
  std::int64_t rows, columns;  // of a tile
  void (*tile)(const DenseTile<T>&) noexcept;
};

template <class T>
DenseKernel<T> dense_kernel_of(VectorSet set) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512) return {avx512::dense_rows, 128 / sizeof(T), avx512::dense_tile<T>};
  if (set == VectorSet::avx2) return {avx2::dense_rows, 64 / sizeof(T), avx2::dense_tile<T>};
#endif
  static_cast<void>(set);
  return {portable::dense_rows, 32 / sizeof(T), portable::dense_tile<T>};
}

/// Lays `count` rows of a factor side by side for each point of depth, zeros up to `width`:
/// packed[k * width + i] = from[i * row_stride + k * depth_stride].
template <class T>
void pack_side_by_side(const T* from, MatrixStrides strides, std::int64_t count, std::int64_t depth, std::int64_t width,
                       T* packed) noexcept {
  if (strides.row == 1) {
    for (std::int64_t k = 0; k < depth; ++k, packed += width) {
      std::copy_n(from + k * strides.depth, count, packed);
      std::fill_n(packed + count, width - count, T{});
    }
    return;
  }
  constexpr std::int64_t strip = 16;  // neighbours in depth share a line of the cache
  for (std::int64_t first = 0; first < depth; first += strip) {
    const std::int64_t last = std::min(depth, first + strip);
    for (std::int64_t i = 0; i < width; ++i) {
      const T* row = from + i * strides.row;
      for (std::int64_t k = first; k < last; ++k) packed[k * width + i] = i < count ? row[k * strides.depth] : T{};
    }
  }
}

}  // namespace

template <class T>
bool dense_gemm(std::int64_t rows, std::int64_t columns, std::int64_t depth, const T* left, MatrixStrides left_strides,
                const T* right, MatrixStrides right_strides, T* result, const Executor& executor) noexcept {
  const DenseKernel<T> kernel = dense_kernel_of<T>(executor.vectors());
  const std::int64_t row_tiles = (rows + kernel.rows - 1) / kernel.rows;
  const std::int64_t column_tiles = (columns + kernel.columns - 1) / kernel.columns;
  const std::int64_t left_tile = kernel.rows * depth, right_tile = kernel.columns * depth;  // elements, packed
  void* const memory = scratch<Scratch::packed_factors>(
      (row_tiles * left_tile + column_tiles * right_tile) * static_cast<std::int64_t>(sizeof(T)) + 64);
  if (memory == nullptr) return false;
  T* const packed_right = reinterpret_cast<T*>((reinterpret_cast<std::uintptr_t>(memory) + 63) / 64 * 64);
  T* const packed_left = packed_right + column_tiles * right_tile;

  executor.parallel_for(column_tiles + row_tiles, [&](std::int64_t task) {
    if (task < column_tiles) {
      pack_side_by_side(right + task * kernel.columns * right_strides.row, right_strides,
                        std::min(kernel.columns, columns - task * kernel.columns), depth, kernel.columns,
                        packed_right + task * right_tile);
    } else {
      const std::int64_t tile = task - column_tiles;
      pack_side_by_side(left + tile * kernel.rows * left_strides.row, left_strides,
                        std::min(kernel.rows, rows - tile * kernel.rows), depth, kernel.rows,
                        packed_left + tile * left_tile);
    }
  });

  // A task has a block of the result. Its rows stay in the second cache for a piece of depth, the columns of a tile in
  // the first.
  constexpr std::int64_t tall = 10, wide = 4;  // tiles
  const std::int64_t across = (column_tiles + wide - 1) / wide;
  executor.parallel_for((row_tiles + tall - 1) / tall * across, [&](std::int64_t task) {
    const std::int64_t first_row = task / across * tall, first_column = task % across * wide;
    for (std::int64_t k = 0; k < depth; k += depth_block) {
      for (std::int64_t n = first_column; n < std::min(column_tiles, first_column + wide); ++n) {
        for (std::int64_t m = first_row; m < std::min(row_tiles, first_row + tall); ++m) {
          kernel.tile({.left = packed_left + m * left_tile + k * kernel.rows,
                       .right = packed_right + n * right_tile + k * kernel.columns,
                       .depth = std::min(depth_block, depth - k),
                       .result = result + m * kernel.rows * columns + n * kernel.columns,
                       .result_stride = columns,
                       .rows = std::min(kernel.rows, rows - m * kernel.rows),
                       .columns = std::min(kernel.columns, columns - n * kernel.columns),
                       .accumulate = k > 0});
        }
      }
    }
  });
  return true;
}

template bool dense_gemm(std::int64_t, std::int64_t, std::int64_t, const float*, MatrixStrides, const float*,
                         MatrixStrides, float*, const Executor&) noexcept;
template bool dense_gemm(std::int64_t, std::int64_t, std::int64_t, const double*, MatrixStrides, const double*,
                         MatrixStrides, double*, const Executor&) noexcept;

}  // namespace linseed::kernels::cpu
