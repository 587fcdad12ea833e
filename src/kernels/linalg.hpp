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
/// The same for float32 operands of such shapes, if they are small matrices.
std::optional<SmallGemm> small_gemm(const Attributes&, const Shape& left, const Shape& right);
}  // namespace cpu

}  // namespace linseed::kernels
