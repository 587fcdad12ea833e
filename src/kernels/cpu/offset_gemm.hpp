#pragma once

#include <cstdint>
#include <vector>

#include <linseed/core/executor.hpp>

namespace linseed::kernels::cpu {

/// A grid of up to four dimensions whose points have a place in each of two arrays: a convolution's pixels lie in input
/// and output, its taps in input and kernel.
struct Lattice {
  std::int64_t extent[4] = {1, 1, 1, 1};
  std::int64_t first[2] = {0, 0};
  std::int64_t stride[2][4] = {};

  [[nodiscard]] std::int64_t points() const noexcept { return extent[0] * extent[1] * extent[2] * extent[3]; }
  /// The two places of points [begin, begin + count), row-major.
  void places(std::int64_t begin, std::int64_t count, std::int64_t* in_first, std::int64_t* in_second) const noexcept;
};

/// The columns of the right factor and of the result: `stride` is that of the right factor, the result's are
/// neighbours.
struct Columns {
  std::int64_t count;
  std::int64_t stride;
};

/// Points of depth that one chain of multiply-adds takes; the sums of the chains are added.
constexpr std::int64_t chain_depth = 256;

/// A matrix product whose left factor is never laid out as a matrix:
///   result[row.second + n] (+)= sum over `depth` of left[row.first + depth.first] * right[depth.second + n * stride]
/// for every row of `rows`. Each element is one chain of (fused) multiply-adds per `chain_depth` points of depth, in
/// order, so it does not depend on how rows and columns are tiled. T is float or double. avx2 and avx512 give the same
/// bits; portable has no fused multiply-add and differs from them by rounding.
template <class T>
void offset_gemm(const T* left, const Lattice& rows, const Lattice& depth, const T* right, Columns columns, T* result,
                 bool accumulate, VectorSet set) noexcept;

/// Where element (row, depth) of the left factor lies, or (column, depth) of the right one.
struct MatrixStrides {
  std::int64_t row, depth;
};

/// What a product of two matrices is made of; none is empty.
struct MatrixProduct {
  std::int64_t rows, columns, depth;
  MatrixStrides left, right;
};

/// The same product of small float32 matrices, over and over: where elements lie is found once. Its bits are those of
/// offset_gemm.
class SmallGemm {
 public:
  static constexpr std::int64_t most = 4096;  ///< multiply-adds for which it is meant
  static bool fits(const MatrixProduct& product) noexcept;

  SmallGemm(const MatrixProduct& product, VectorSet set);
  void operator()(const float* left, const float* right, float* result) const noexcept;

 private:
  std::vector<std::int64_t> left_rows_, result_rows_, left_depths_, right_depths_;
  Columns columns_;
  VectorSet set_;
};

}  // namespace linseed::kernels::cpu
