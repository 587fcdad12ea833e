#pragma once

#include "kernels/kernel.hpp"

namespace linseed::kernels {

// Operands in order: conv (x, kernel); conv_input_grad (cotangent, kernel); conv_kernel_grad (x, cotangent). All three
// carry the attr::Conv of the convolution itself. float32 or float64.

namespace reference {
void conv(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_input_grad(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_kernel_grad(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}  // namespace reference

namespace cpu {
void conv(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_input_grad(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_kernel_grad(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}  // namespace cpu

}  // namespace linseed::kernels
