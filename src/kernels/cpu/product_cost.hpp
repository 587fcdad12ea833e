#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/cpu/offset_gemm.hpp"

// Which routine computes a product of matrices: that of the least estimated time.

namespace linseed::kernels::cpu {

enum class ProductRoutine { small_gemm, dense_gemm, offset_gemm, row_dots, blas };
constexpr ProductRoutine product_routines[] = {ProductRoutine::small_gemm, ProductRoutine::dense_gemm,
                                               ProductRoutine::offset_gemm, ProductRoutine::row_dots,
                                               ProductRoutine::blas};  // of equal ones the first is taken
std::string_view to_string(ProductRoutine routine) noexcept;

/// A stack of products of the same shape. Each has one axis of rows, of columns and of depth; or several, which only
/// offset_gemm takes: then `is_plain` is not set.
struct ProductStack {
  std::int64_t batches;
  MatrixProduct each;
  bool is_float32;
  bool is_plain;
  bool blas_allowed;
  bool is_small = false;  ///< a single float32 product that SmallGemm takes
};

/// An estimate of the time that a routine takes, in cycles of one core with two vectors of 16 floats per cycle;
/// infinite where it cannot serve. It depends on shapes alone, and so does the choice: not on vectors, threads or
/// measurements at run time.
double product_cost(ProductRoutine routine, const ProductStack& stack) noexcept;

/// The part of offset_gemm's cost, for one product of the stack, that comes once the places of elements are known.
double cost_of_panels(const ProductStack& stack) noexcept;

/// The routine of the least cost.
ProductRoutine choose_product(const ProductStack& stack) noexcept;

}  // namespace linseed::kernels::cpu
