#pragma once

#include "kernels/kernel.hpp"
#include "kernels/micro_op.hpp"
#include "kernels/scalar_functions.hpp"

namespace linseed::kernels {

namespace reference {
/// output[i] = Function(input[i])
template <class Function>
void unary(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
/// output[i] = Function(a[i], b[i]), both broadcast to the output's shape
template <class Function>
void binary(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
/// output[i] = condition[i] ? a[i] : b[i], all broadcast
void select(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void cast(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
/// The same bytes: reshape, stop_gradient.
void copy(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}  // namespace reference

namespace cpu {
template <class Function>
void unary(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
template <class Function>
void binary(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void select(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}  // namespace cpu

}  // namespace linseed::kernels
