#pragma once

#include "kernels/kernel.hpp"

namespace linseed::kernels {

#define LINSEED_SHAPE_KERNELS(X) \
  X(transpose)                   \
  X(broadcast_to) X(slice) X(flip) X(pad) X(concatenate) X(take) X(take_add) X(take_along) X(take_along_add) X(iota)

namespace reference {
#define LINSEED_DECLARE(name) \
  void name(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
LINSEED_SHAPE_KERNELS(LINSEED_DECLARE)
#undef LINSEED_DECLARE
}  // namespace reference

namespace cpu {
void transpose(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void broadcast_to(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void slice(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void pad(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void flip(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}  // namespace cpu

}  // namespace linseed::kernels
