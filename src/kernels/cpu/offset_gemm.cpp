#include "kernels/cpu/offset_gemm.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

#include "kernels/cpu/pack_panel.hpp"
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
  std::int64_t index[4] = {};
  std::int64_t at[2] = {first[0], first[1]};
  for (int dim = 3; dim >= 0 && begin > 0; --dim) {
    index[dim] = begin % extent[dim];
    begin /= extent[dim];
    for (int side = 0; side < 2; ++side) at[side] += index[dim] * stride[side][dim];
  }
  while (count > 0) {
    const std::int64_t run = std::min(count, extent[3] - index[3]);
    for (std::int64_t i = 0; i < run; ++i) {
      in_first[i] = at[0] + i * stride[0][3];
      in_second[i] = at[1] + i * stride[1][3];
    }
    in_first += run, in_second += run, count -= run;
    for (int side = 0; side < 2; ++side) at[side] -= index[3] * stride[side][3];
    index[3] = 0;
    for (int dim = 2; dim >= 0; --dim) {
      at[0] += stride[0][dim];
      at[1] += stride[1][dim];
      if (++index[dim] < extent[dim]) break;
      index[dim] = 0;
      at[0] -= extent[dim] * stride[0][dim];
      at[1] -= extent[dim] * stride[1][dim];
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

/// A few rows against columns of the right factor that are neighbours there: packing them would not pay.
template <class T>
struct ThinProduct {
  const T* left;
  const std::int64_t* rows;
  const std::int64_t* result_rows;
  const std::int64_t *left_depths, *right_depths;
  std::int64_t depth;
  const T* right;
  T* result;
  std::int64_t columns;
  bool accumulate;
};
constexpr std::int64_t most_thin_rows = 4;

/// Some rows and columns of a product of packed factors: `left` has all rows of a tile side by side for each point of
/// depth, `right` two vectors of columns.
template <class T>
struct DenseTile {
  const T* left;
  const T* right;
  std::int64_t depth;
  T* result;
  std::int64_t result_stride;
  std::int64_t columns;  // that exist
  bool accumulate;
};

/// Where `valid` rows of a factor lie, and where they go side by side.
template <class T>
struct PackedTile {
  const T* from;
  T* to;
  std::int64_t width, valid;
};

constexpr int most_dense_rows = 14;

/// What an instruction set has for products of packed factors.
template <class T>
struct DenseKernel {
  std::int64_t rows, columns;                                   // of the largest tile
  void (*tile[most_dense_rows])(const DenseTile<T>&) noexcept;  // of 1, 2, ... rows
  void (*pack_neighbours)(const PackedTile<T>* tiles, std::int64_t count, std::int64_t step,
                          std::int64_t depth) noexcept;
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
template <int rows>
constexpr int thin_vectors = rows == 1   ? 8
                             : rows == 2 ? 4
                                         : 2;
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
template <int rows>
constexpr int thin_vectors = rows == 1   ? 8
                             : rows == 2 ? 4
                                         : 2;
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
template <int rows>
constexpr int thin_vectors = rows <= 2   ? 8
                             : rows == 3 ? 6
                                         : 4;
constexpr int dense_rows = most_dense_rows;

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
  PanelKernel<T> narrow, wide;                                   // one vector and two
  void (*thin[most_thin_rows])(const ThinProduct<T>&) noexcept;  // of 1, 2, ... rows
};

template <class T>
constexpr PanelKernels<T> panels_of(VectorSet set) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512) {
    constexpr std::int64_t lanes = 64 / sizeof(T);
    return {{lanes, avx512::pack<T, 1>, avx512::panel<T, 1>},
            {2 * lanes, avx512::pack<T, 2>, avx512::panel<T, 2>},
            {avx512::thin<T, 1>, avx512::thin<T, 2>, avx512::thin<T, 3>, avx512::thin<T, 4>}};
  }
  if (set == VectorSet::avx2) {
    constexpr std::int64_t lanes = 32 / sizeof(T);
    return {{lanes, avx2::pack<T, 1>, avx2::panel<T, 1>},
            {2 * lanes, avx2::pack<T, 2>, avx2::panel<T, 2>},
            {avx2::thin<T, 1>, avx2::thin<T, 2>, avx2::thin<T, 3>, avx2::thin<T, 4>}};
  }
#endif
  static_cast<void>(set);
  constexpr std::int64_t lanes = 16 / sizeof(T);
  return {{lanes, portable::pack<T, 1>, portable::panel<T, 1>},
          {2 * lanes, portable::pack<T, 2>, portable::panel<T, 2>},
          {portable::thin<T, 1>, portable::thin<T, 2>, portable::thin<T, 3>, portable::thin<T, 4>}};
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

/// Packs columns of the right factor that are apart in it: points of depth that are neighbours are taken together.
void pack_apart(const float* right, const std::int64_t* depths, std::int64_t depth, Columns columns, std::int64_t width,
                float* packed) noexcept {
  for (std::int64_t k = 0; k < depth;) {
    std::int64_t run = 1;
    while (k + run < depth && depths[k + run] == depths[k] + run) ++run;
    pack_panel(right + depths[k], 1, run, columns.stride, columns.count, run, width, packed + k * width);
    k += run;
  }
}

template <class T>
void multiply(const T* left, const T* right, Columns columns, T* result, const Elements& at, bool accumulate,
              const PanelKernels<T>& kernels) noexcept {
  // A few rows do not pay for packing; neither does little depth, whose results are best written row by row.
  constexpr std::int64_t little_depth = 4;
  if (columns.stride == 1 && (at.rows <= most_thin_rows || at.depth <= little_depth)) {
    for (std::int64_t row = 0; row < at.rows; row += most_thin_rows) {
      const std::int64_t count = std::min(most_thin_rows, at.rows - row);
      kernels.thin[count - 1]({.left = left,
                               .rows = at.left_rows + row,
                               .result_rows = at.result_rows + row,
                               .left_depths = at.left_depths,
                               .right_depths = at.right_depths,
                               .depth = at.depth,
                               .right = right,
                               .result = result,
                               .columns = columns.count,
                               .accumulate = accumulate});
    }
    return;
  }
  alignas(64) T packed[depth_block * max_panel_bytes / sizeof(T)];
  for (std::int64_t n = 0; n < columns.count;) {
    const PanelKernel<T>& kernel = columns.count - n > kernels.narrow.width ? kernels.wide : kernels.narrow;
    const std::int64_t column_count = std::min(kernel.width, columns.count - n);
    const T* const from = right + n * columns.stride;
    const Columns some{column_count, columns.stride};
    bool is_packed = false;
    if constexpr (std::is_same_v<T, float>) {
      is_packed = columns.stride != 1 && at.depth > 1 && at.right_depths[1] == at.right_depths[0] + 1;
      if (is_packed) pack_apart(from, at.right_depths, at.depth, some, kernel.width, packed);
    }
    if (!is_packed) kernel.pack(from, at.right_depths, at.depth, some, packed);
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
DenseKernel<T> dense_kernel_of(VectorSet set) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512) return avx512::dense_kernel<T>(std::make_integer_sequence<int, avx512::dense_rows>{});
  if (set == VectorSet::avx2) return avx2::dense_kernel<T>(std::make_integer_sequence<int, avx2::dense_rows>{});
#endif
  static_cast<void>(set);
  return portable::dense_kernel<T>(std::make_integer_sequence<int, portable::dense_rows>{});
}

/// to[k * width + i] = from[i * strides.row + k * strides.depth] for i below `valid`, zeros up to the width.
template <class T>
void pack_strided(const PackedTile<T>& tile, MatrixStrides strides, std::int64_t depth) noexcept {
  const auto& [from, to, width, valid] = tile;
  for (std::int64_t k = 0; k < depth; ++k) std::fill_n(to + k * width + valid, width - valid, T{});
  std::int64_t i = 0;
#if LINSEED_X86_TILES
  if constexpr (std::is_same_v<T, float>) {
    constexpr std::int64_t ahead = 64, line = 16;
    for (; strides.depth == 1 && i + 4 <= valid; i += 4) {
      const float* const rows = from + i * strides.row;
      std::int64_t k = 0;
      for (; k + 4 <= depth; k += 4) {
        __m128 row[4];
        for (std::int64_t j = 0; j < 4; ++j) {
          row[j] = _mm_loadu_ps(rows + j * strides.row + k);
          if (k % line == 0) __builtin_prefetch(rows + j * strides.row + k + ahead);
        }
        _MM_TRANSPOSE4_PS(row[0], row[1], row[2], row[3]);
        for (std::int64_t j = 0; j < 4; ++j) _mm_storeu_ps(to + (k + j) * width + i, row[j]);
      }
      for (; k < depth; ++k) {
        for (std::int64_t j = 0; j < 4; ++j) to[k * width + i + j] = rows[j * strides.row + k];
      }
    }
  }
#endif
  for (; i < valid; ++i) {
    for (std::int64_t k = 0; k < depth; ++k) to[k * width + i] = from[i * strides.row + k * strides.depth];
  }
}

/// The rows of a factor, or its columns, in tiles: as even as can be, or of one width with zeros beyond the last.
template <class T>
class Side {
 public:
  Side(const T* from, MatrixStrides strides, std::int64_t count, std::int64_t widest, bool even) noexcept
      : tiles((count + widest - 1) / widest),
        from_(from),
        strides_(strides),
        count_(count),
        widest_(widest),
        even_(even) {}

  std::int64_t tiles;
  /// The first row of a tile; of the one after the last, the number of rows with the zeros.
  [[nodiscard]] std::int64_t first(std::int64_t tile) const noexcept {
    return even_ ? tile * count_ / tiles : tile * widest_;
  }
  [[nodiscard]] std::int64_t width(std::int64_t tile) const noexcept { return first(tile + 1) - first(tile); }
  /// How many rows of a tile there are.
  [[nodiscard]] std::int64_t valid(std::int64_t tile) const noexcept {
    return std::min(width(tile), count_ - first(tile));
  }

  /// Lays the rows of each of the tiles [begin, end), at most `most_together`, side by side for the points
  /// [k, k + depth) of depth, the tiles one after the other with room for `room` points each.
  void pack(const DenseKernel<T>& kernel, std::int64_t begin, std::int64_t end, std::int64_t k, std::int64_t depth,
            std::int64_t room, T* to) const noexcept {
    PackedTile<T> packed[most_together];
    for (std::int64_t tile = begin; tile < end; ++tile) {
      packed[tile - begin] = {from_ + first(tile) * strides_.row + k * strides_.depth,
                              to + (first(tile) - first(begin)) * room, width(tile), valid(tile)};
    }
    if (strides_.row == 1) return kernel.pack_neighbours(packed, end - begin, strides_.depth, depth);
    constexpr std::int64_t strip = 64;  // stays in the nearest cache
    for (std::int64_t done = 0; done < depth; done += strip) {
      for (PackedTile<T>* tile = packed; tile < packed + (end - begin); ++tile) {
        pack_strided(*tile, strides_, std::min(strip, depth - done));
        tile->from += strip * strides_.depth;
        tile->to += strip * tile->width;
      }
    }
  }
  static constexpr std::int64_t most_together = 16;

 private:
  const T* from_;
  MatrixStrides strides_;
  std::int64_t count_, widest_;
  bool even_;
};

template <class T>
void pack_all(const Side<T>& side, const DenseKernel<T>& kernel, std::int64_t depth, T* to,
              const Executor& executor) noexcept {
  constexpr std::int64_t together = 8;
  static_assert(together <= Side<T>::most_together);
  executor.parallel_for((side.tiles + together - 1) / together, [&](std::int64_t task) {
    const std::int64_t begin = task * together;
    side.pack(kernel, begin, std::min(side.tiles, begin + together), 0, depth, depth, to + side.first(begin) * depth);
  });
}

}  // namespace

template <class T>
bool dense_gemm(std::int64_t rows, std::int64_t columns, std::int64_t depth, const T* left, MatrixStrides left_strides,
                const T* right, MatrixStrides right_strides, T* result, const Executor& executor) noexcept {
  const DenseKernel<T> kernel = dense_kernel_of<T>(executor.vectors());
  const Side<T> row_side(left, left_strides, rows, kernel.rows, /*even=*/true);
  const Side<T> column_side(right, right_strides, columns, kernel.columns, /*even=*/false);

  // The longer side is cut into strips. A task has one of them and a block of the other side; it packs its strip, a
  // piece of depth at a time, which then stays in the second cache. The other side is packed before, for all.
  const bool cut_columns = columns >= rows;
  const Side<T>& own = cut_columns ? column_side : row_side;
  const Side<T>& shared = cut_columns ? row_side : column_side;
  constexpr std::int64_t wanted_tasks = 16, widest_strip = 4, longest_block = 512;
  const std::int64_t strip = std::clamp<std::int64_t>(own.tiles / wanted_tasks, 1, widest_strip);
  const std::int64_t strips = (own.tiles + strip - 1) / strip;
  const std::int64_t blocks = (shared.first(shared.tiles) + longest_block - 1) / longest_block;

  T* const packed_shared = scratch_elements<Scratch::packed_factor, T>(shared.first(shared.tiles) * depth);
  if (packed_shared == nullptr) return false;
  pack_all(shared, kernel, depth, packed_shared, executor);

  std::atomic<bool> complete = true;
  executor.parallel_for(strips * blocks, [&](std::int64_t task) {
    const std::int64_t own_begin = task % strips * strip, own_end = std::min(own.tiles, own_begin + strip);
    const std::int64_t block = task / strips;
    const std::int64_t shared_begin = block * shared.tiles / blocks, shared_end = (block + 1) * shared.tiles / blocks;
    T* const packed_own = scratch_elements<Scratch::packed_strip, T>((own.first(own_end) - own.first(own_begin)) *
                                                                     std::min(depth, depth_block));
    if (packed_own == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    for (std::int64_t k = 0; k < depth; k += depth_block) {
      const std::int64_t length = std::min(depth_block, depth - k);
      own.pack(kernel, own_begin, own_end, k, length, length, packed_own);
      const auto own_tile = [&](std::int64_t tile) {
        return packed_own + (own.first(tile) - own.first(own_begin)) * length;
      };
      const auto shared_tile = [&](std::int64_t tile) {
        return packed_shared + shared.first(tile) * depth + k * shared.width(tile);
      };
      const auto [row_begin, row_end] =
          cut_columns ? std::pair(shared_begin, shared_end) : std::pair(own_begin, own_end);
      const auto [column_begin, column_end] =
          cut_columns ? std::pair(own_begin, own_end) : std::pair(shared_begin, shared_end);
      for (std::int64_t m = row_begin; m < row_end; ++m) {
        for (std::int64_t n = column_begin; n < column_end; ++n) {
          kernel.tile[row_side.width(m) - 1]({.left = cut_columns ? shared_tile(m) : own_tile(m),
                                              .right = cut_columns ? own_tile(n) : shared_tile(n),
                                              .depth = length,
                                              .result = result + row_side.first(m) * columns + column_side.first(n),
                                              .result_stride = columns,
                                              .columns = column_side.valid(n),
                                              .accumulate = k > 0});
        }
      }
    }
  });
  return complete.load(std::memory_order_relaxed);
}

template bool dense_gemm(std::int64_t, std::int64_t, std::int64_t, const float*, MatrixStrides, const float*,
                         MatrixStrides, float*, const Executor&) noexcept;
template bool dense_gemm(std::int64_t, std::int64_t, std::int64_t, const double*, MatrixStrides, const double*,
                         MatrixStrides, double*, const Executor&) noexcept;

void dense_gemm_rows(std::int64_t rows, std::int64_t columns, std::int64_t depth, const float* left,
                     MatrixStrides left_strides, const float* right, MatrixStrides right_strides, float* memory,
                     const RowUser& user, const Executor& executor) noexcept {
  const DenseKernel<float> kernel = dense_kernel_of<float>(executor.vectors());
  const Side<float> column_side(right, right_strides, columns, kernel.columns, /*even=*/false);
  float* const packed_right =
      scratch_elements<Scratch::packed_factor, float>(column_side.first(column_side.tiles) * depth);
  if (packed_right != nullptr) pack_all(column_side, kernel, depth, packed_right, executor);

  const std::int64_t strips = (rows + most_rows_used - 1) / most_rows_used;
  std::atomic<std::int64_t> next = 0;
  executor.parallel_for(std::min<std::int64_t>(strips, executor.threads()), [&](std::int64_t worker) {
    float* const result = memory + worker * most_rows_used * columns;
    float* const packed_left =
        scratch_elements<Scratch::packed_strip, float>(most_rows_used * std::min(depth, depth_block));
    for (std::int64_t strip = next.fetch_add(1); strip < strips; strip = next.fetch_add(1)) {
      const std::int64_t first = strip * rows / strips, count = (strip + 1) * rows / strips - first;
      const float* const from = left + first * left_strides.row;
      if (packed_left == nullptr || packed_right == nullptr) {
        Lattice row_places, depth_places;
        row_places.extent[3] = count;
        row_places.stride[0][3] = left_strides.row;
        row_places.stride[1][3] = columns;
        depth_places.extent[3] = depth;
        depth_places.stride[0][3] = left_strides.depth;
        depth_places.stride[1][3] = right_strides.depth;
        offset_gemm(from, row_places, depth_places, right, {columns, right_strides.row}, result, /*accumulate=*/false,
                    executor.vectors());
        user.use(first, count, result);
        continue;
      }
      const Side<float> row_side(from, left_strides, count, kernel.rows, /*even=*/true);
      for (std::int64_t k = 0; k < depth; k += depth_block) {
        const std::int64_t length = std::min(depth_block, depth - k);
        row_side.pack(kernel, 0, row_side.tiles, k, length, length, packed_left);
        constexpr std::int64_t block = 256;  // columns that stay in the second cache
        for (std::int64_t begin = 0; begin < column_side.tiles; begin += block / kernel.columns) {
          const std::int64_t end = std::min(column_side.tiles, begin + block / kernel.columns);
          for (std::int64_t m = 0; m < row_side.tiles; ++m) {
            for (std::int64_t n = begin; n < end; ++n) {
              kernel.tile[row_side.width(m) - 1](
                  {.left = packed_left + row_side.first(m) * length,
                   .right = packed_right + column_side.first(n) * depth + k * column_side.width(n),
                   .depth = length,
                   .result = result + row_side.first(m) * columns + column_side.first(n),
                   .result_stride = columns,
                   .columns = column_side.valid(n),
                   .accumulate = k > 0});
            }
          }
        }
      }
      user.use(first, count, result);
    }
  });
}

}  // namespace linseed::kernels::cpu
