#pragma once

#include "kernels/kernel.hpp"

namespace linseed::kernels {

// Operands in order: conv (x, kernel); conv_input_grad (cotangent, kernel); conv_kernel_grad (x, cotangent). All three
// carry the attr::Conv of the convolution itself. float32 or float64. Those in lanes take and give inputs and outputs
// whose samples lie side by side: see in_lanes().

/// Samples that lie side by side in lanes.
constexpr std::int64_t lanes = 16;

/// [N, ..., C] with 16 samples side by side: [N / 16, ..., C * 16], where element (n, ..., c) is at (n / 16, ..., c *
/// 16 + n % 16). N must be a multiple of 16; [N] becomes [N / 16, 16].
inline Shape in_lanes(const Shape& shape) {
  Shape result = shape;
  if (result.size() == 1) result.push_back(1);
  result[0] /= lanes;
  result.back() *= lanes;
  return result;
}

namespace reference {
void conv(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_input_grad(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_kernel_grad(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_in_lanes(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_input_grad_in_lanes(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_kernel_grad_in_lanes(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}  // namespace reference

namespace cpu {
/// What the three ops compute.
enum class ConvResult { output, input_grad, kernel_grad };
/// Whether a result of the float32 convolution with output [N, ...] `y` is best computed in lanes, by tiles along rows
/// where they pay: where its operands are there already, or are not.
bool suits_lanes(const attr::Conv& conv, const Shape& y, ConvResult result, bool in_lanes, VectorSet set) noexcept;
/// Whether the convolution with output [N, ...] `y`, or its input's gradient, takes clearly less work by Winograd's
/// tiles. The gradient of the kernel does where the convolution does.
bool suits_winograd(const attr::Conv& conv, const Shape& y, bool input_grad) noexcept;
/// Whether a result of the float32 convolution in lanes with output `y`, in lanes, takes clearly less work by
/// Winograd's tiles along rows.
bool suits_winograd_in_lanes(const attr::Conv& conv, const Shape& y, ConvResult result) noexcept;

void conv(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_input_grad(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_kernel_grad(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_in_lanes(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_input_grad_in_lanes(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_kernel_grad_in_lanes(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
// By Winograd's F(4x4, 3x3): float32 and what suits_winograd() names; the plain kernels take the rest.
void conv_winograd(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_input_grad_winograd(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_kernel_grad_winograd(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
// By Winograd's F(4, 3) and F(4, 5) along rows; those in lanes take the rest.
void conv_winograd_in_lanes(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void conv_input_grad_winograd_in_lanes(const Attributes&, std::span<const Input>, const Output&,
                                       const Executor&) noexcept;
void conv_kernel_grad_winograd_in_lanes(const Attributes&, std::span<const Input>, const Output&,
                                        const Executor&) noexcept;

template <ConvResult result>
Choice choose_conv(const Attributes&, std::span<const Input>, const Output&, VectorSet) noexcept;
template <ConvResult result>
Choice choose_conv_in_lanes(const Attributes&, std::span<const Input>, const Output&, VectorSet) noexcept;
template <ConvResult result>
Choice choose_conv_winograd(const Attributes&, std::span<const Input>, const Output&, VectorSet) noexcept;
template <ConvResult result>
Choice choose_conv_winograd_in_lanes(const Attributes&, std::span<const Input>, const Output&, VectorSet) noexcept;
}  // namespace cpu

}  // namespace linseed::kernels
