#pragma once

#include "kernels/kernel.hpp"
#include "kernels/scalar_functions.hpp"

namespace linseed::kernels {

#define LINSEED_UNARY_FUNCTIONS(X)                                                                                \
  X(Neg)                                                                                                          \
  X(Sign) X(Abs) X(Exp) X(Expm1) X(Log) X(Log1p) X(Sqrt) X(Rsqrt) X(Sin) X(Cos) X(Tanh) X(Sigmoid) X(Relu) X(Erf) \
      X(ErfInv) X(Floor) X(Ceil) X(Round) X(IsFinite) X(LogicalNot)
#define LINSEED_BINARY_FUNCTIONS(X)                                                                                \
  X(Add)                                                                                                           \
  X(Sub) X(Mul) X(Div) X(Pow) X(Mod) X(Maximum) X(Minimum) X(Equal) X(NotEqual) X(Less) X(LessEqual) X(LogicalAnd) \
      X(LogicalOr)

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
