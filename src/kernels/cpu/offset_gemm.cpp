#include "kernels/cpu/offset_gemm.hpp"

#include <algorithm>

#include "kernels/cpu/pack_panel.hpp"
#include "kernels/cpu/simd.hpp"

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
constexpr std::int64_t most_thin_rows = 4, most_shallow_depth = 8;

namespace portable {
using simd::portable::Simd;
template <int vectors>
constexpr int tile_rows = vectors == 1 ? 8 : 6;
template <int rows>
constexpr int thin_vectors = rows == 1   ? 8
                             : rows == 2 ? 4
                                         : 2;

#include "kernels/cpu/offset_gemm_tile.inc"
}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using simd::avx2::Simd;
template <int vectors>
constexpr int tile_rows = vectors == 1 ? 8 : 6;
template <int rows>
constexpr int thin_vectors = rows == 1   ? 8
                             : rows == 2 ? 4
                                         : 2;

#include "kernels/cpu/offset_gemm_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using simd::avx512::Simd;
template <int vectors>
constexpr int tile_rows = 8;
template <int rows>
constexpr int thin_vectors = rows <= 2   ? 8
                             : rows == 3 ? 6
                                         : 4;

#include "kernels/cpu/offset_gemm_tile.inc"
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
  PanelKernel<T> narrow, wide;                                                             // one vector and two
  void (*thin[most_thin_rows])(const ThinProduct<T>&) noexcept;                            // of 1, 2, ... rows
  void (*shallow[most_shallow_depth])(const ThinProduct<T>&, std::int64_t rows) noexcept;  // of depth 1, 2, ...
};

template <class T>
constexpr PanelKernels<T> panels_of(VectorSet set) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512) {
    constexpr std::int64_t lanes = 64 / sizeof(T);
    return {{lanes, avx512::pack<T, 1>, avx512::panel<T, 1>},
            {2 * lanes, avx512::pack<T, 2>, avx512::panel<T, 2>},
            {avx512::thin<T, 1>, avx512::thin<T, 2>, avx512::thin<T, 3>, avx512::thin<T, 4>},
            {avx512::shallow<T, 1>, avx512::shallow<T, 2>, avx512::shallow<T, 3>, avx512::shallow<T, 4>,
             avx512::shallow<T, 5>, avx512::shallow<T, 6>, avx512::shallow<T, 7>, avx512::shallow<T, 8>}};
  }
  if (set == VectorSet::avx2) {
    constexpr std::int64_t lanes = 32 / sizeof(T);
    return {{lanes, avx2::pack<T, 1>, avx2::panel<T, 1>},
            {2 * lanes, avx2::pack<T, 2>, avx2::panel<T, 2>},
            {avx2::thin<T, 1>, avx2::thin<T, 2>, avx2::thin<T, 3>, avx2::thin<T, 4>},
            {avx2::shallow<T, 1>, avx2::shallow<T, 2>, avx2::shallow<T, 3>, avx2::shallow<T, 4>, avx2::shallow<T, 5>,
             avx2::shallow<T, 6>, avx2::shallow<T, 7>, avx2::shallow<T, 8>}};
  }
#endif
  static_cast<void>(set);
  constexpr std::int64_t lanes = 16 / sizeof(T);
  return {{lanes, portable::pack<T, 1>, portable::panel<T, 1>},
          {2 * lanes, portable::pack<T, 2>, portable::panel<T, 2>},
          {portable::thin<T, 1>, portable::thin<T, 2>, portable::thin<T, 3>, portable::thin<T, 4>},
          {portable::shallow<T, 1>, portable::shallow<T, 2>, portable::shallow<T, 3>, portable::shallow<T, 4>,
           portable::shallow<T, 5>, portable::shallow<T, 6>, portable::shallow<T, 7>, portable::shallow<T, 8>}};
}

}  // namespace

namespace {

/// Places of the elements of a product.
struct Elements {
  const std::int64_t *left_rows, *result_rows;
  std::int64_t rows;
  const std::int64_t *left_depths, *right_depths;
  std::int64_t depth;  // at most chain_depth
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
  // A few rows do not pay for packing; neither does little depth, whose results are best written row by row. If there
  // is more of it, that is for whole lines of the cache only.
  constexpr std::int64_t little_depth = 4, many_columns = 64, line = 64 / sizeof(T);
  const bool fills_lines = columns.count % line == 0 || kernels.narrow.width < line;
  const bool is_shallow =
      at.depth > 0 && !accumulate &&
      (at.depth <= little_depth || (at.depth <= most_shallow_depth && columns.count >= many_columns && fills_lines));
  if (columns.stride == 1 && (at.rows <= most_thin_rows || at.depth <= little_depth || is_shallow)) {
    ThinProduct<T> some{.left = left,
                        .rows = at.left_rows,
                        .result_rows = at.result_rows,
                        .left_depths = at.left_depths,
                        .right_depths = at.right_depths,
                        .depth = at.depth,
                        .right = right,
                        .result = result,
                        .columns = columns.count,
                        .accumulate = accumulate};
    if (is_shallow) return kernels.shallow[at.depth - 1](some, at.rows);
    for (std::int64_t row = 0; row < at.rows; row += most_thin_rows) {
      const std::int64_t count = std::min(most_thin_rows, at.rows - row);
      kernels.thin[count - 1](some);
      some.rows += count, some.result_rows += count;
    }
    return;
  }
  alignas(64) T packed[chain_depth * max_panel_bytes / sizeof(T)];
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
  std::int64_t left_rows[row_block], result_rows[row_block], left_depths[chain_depth], right_depths[chain_depth];

  for (std::int64_t row = 0; row < row_total; row += row_block) {
    const std::int64_t row_count = std::min(row_block, row_total - row);
    rows.places(row, row_count, left_rows, result_rows);
    std::int64_t k = 0;
    do {  // once even for an empty depth, whose sums are zero
      const std::int64_t depth_count = std::min(chain_depth, depth_total - k);
      depth.places(k, depth_count, left_depths, right_depths);
      multiply<T>(left, right, columns, result,
                  {left_rows, result_rows, row_count, left_depths, right_depths, depth_count}, accumulate || k > 0,
                  kernels);
      k += chain_depth;
    } while (k < depth_total);
  }
}

template void offset_gemm(const float*, const Lattice&, const Lattice&, const float*, Columns, float*, bool,
                          VectorSet) noexcept;
template void offset_gemm(const double*, const Lattice&, const Lattice&, const double*, Columns, double*, bool,
                          VectorSet) noexcept;

bool SmallGemm::fits(const MatrixProduct& product) noexcept {
  return product.rows <= row_block && product.depth <= chain_depth && product.columns <= most &&
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

}  // namespace linseed::kernels::cpu
