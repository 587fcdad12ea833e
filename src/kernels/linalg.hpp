#pragma once

#include <optional>

#include "kernels/cpu/dense_gemm.hpp"
#include "kernels/cpu/product_cost.hpp"
#include "kernels/kernel.hpp"

namespace linseed::kernels {

namespace reference {
void dot_general(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}
namespace cpu {
void dot_general(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
/// The same without the BLAS, so that the bits are those of every machine with AVX2.
void dot_general_portable(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
/// The same by a routine of those that can serve, whichever is chosen otherwise.
void dot_general_by(ProductRoutine, const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
/// Whether dot_general() hands such operands to the BLAS.
bool uses_blas(const Attributes&, const Shape& left, const Shape& right, DType) noexcept;

/// A contraction of operands of such shapes.
struct DotCall {
  Attributes attributes;
  Shape left, right;
};
/// Whether two ways to write a contraction have the same bits: their routines add in the same order.
bool adds_alike(const DotCall& a, const DotCall& b, DType dtype) noexcept;

Choice choose_dot(const Attributes&, std::span<const Input>, const Output&, VectorSet) noexcept;
Choice choose_dot_portable(const Attributes&, std::span<const Input>, const Output&, VectorSet) noexcept;
/// What choose_dot() calls "small_gemm", for such operands; nothing where it chooses another routine.
std::optional<MatrixProduct> small_product(const Attributes&, const Shape& left, const Shape& right, DType dtype);

/// Whether a product of float32 operands of such shapes may be used up row by row, and how many columns it then has.
std::optional<std::int64_t> columns_of_rows(const Attributes&, const Shape& left, const Shape& right) noexcept;
/// The product, for such shapes, as dense_gemm_rows() gives it.
void dot_general_rows(const Attributes&, std::span<const Input> inputs, float* memory, const RowUser& user,
                      const Executor& executor) noexcept;
}  // namespace cpu

}  // namespace linseed::kernels
