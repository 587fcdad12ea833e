#pragma once

#include "kernels/kernel.hpp"

namespace linseed::kernels {

// Operands in order: max_pool (x); max_pool_grad (x, cotangent); max_pool_gather (x, c) with c shaped like x;
// window_sum (x); window_sum_transpose (cotangent). All carry the attr::Window of the pooling itself.

#define LINSEED_POOL_KERNELS(X) X(max_pool) X(max_pool_grad) X(max_pool_gather) X(window_sum) X(window_sum_transpose)
#define LINSEED_DECLARE_KERNEL(name) \
  void name(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;

namespace reference {
LINSEED_POOL_KERNELS(LINSEED_DECLARE_KERNEL)
}  // namespace reference

namespace cpu {
LINSEED_POOL_KERNELS(LINSEED_DECLARE_KERNEL)
}  // namespace cpu

#undef LINSEED_DECLARE_KERNEL
#undef LINSEED_POOL_KERNELS

}  // namespace linseed::kernels
