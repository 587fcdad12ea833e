#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels/cpu/offset_gemm.hpp"

namespace linseed::kernels::cpu {

/// Sixteen places in an array of at most two vectors.
struct alignas(64) Selection {
  std::array<std::int32_t, 16> places = {};
};

/// y[i] = x[places[i]] for an x of a few elements, which stays in registers while it is selected from. x and y are
/// memory of whole vectors.
class Permutation {
 public:
  /// Whether these vectors do so, from `source` elements to `count`.
  static bool fits(std::int64_t source, std::int64_t count, VectorSet set) noexcept;

  Permutation(std::span<const std::int64_t> places, std::int64_t source);
  void operator()(const float* x, float* y) const noexcept;

 private:
  std::vector<Selection> selections_;  // per vector of y
  std::int64_t second_;                // where the second vector of x begins
};

/// The product of matrices of a few elements, result(row, column) = sum over depth of left(row, depth) *
/// right(column, depth), all elements of the result side by side: for each point of depth, both factors are selected
/// from registers. The bits are those of SmallGemm. Operands and result are memory of whole vectors.
class PermutedProduct {
 public:
  /// Whether these vectors do so. Such products are small enough for SmallGemm too.
  static bool fits(const MatrixProduct& product, VectorSet set) noexcept;

  explicit PermutedProduct(const MatrixProduct& product);
  void operator()(const float* left, const float* right, float* result) const noexcept;

 private:
  struct Factors {
    Selection left, right;
  };
  std::vector<Factors> factors_;  // per vector of the result and point of depth
  std::int64_t depth_;
  std::int64_t second_left_, second_right_;  // where the second vectors begin
};

}  // namespace linseed::kernels::cpu
