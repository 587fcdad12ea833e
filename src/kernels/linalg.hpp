#pragma once

#include <optional>

#include "kernels/cpu/offset_gemm.hpp"
#include "kernels/kernel.hpp"

namespace linseed::kernels {

namespace reference {
void dot_general(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}
namespace cpu {
void dot_general(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
/// What it computes for operands of such shapes, if that is one product of matrices.
std::optional<MatrixProduct> matrix_product(const Attributes&, const Shape& left, const Shape& right);
/// Whether a product of float32 operands of such shapes may be used up row by row, and how many columns it then has.
std::optional<std::int64_t> columns_of_rows(const Attributes&, const Shape& left, const Shape& right) noexcept;
/// The product, for such shapes, as dense_gemm_rows() gives it.
void dot_general_rows(const Attributes&, std::span<const Input> inputs, float* memory, const RowUser& user,
                      const Executor& executor) noexcept;
}  // namespace cpu

}  // namespace linseed::kernels
