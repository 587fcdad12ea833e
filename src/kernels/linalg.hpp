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
}  // namespace cpu

}  // namespace linseed::kernels
