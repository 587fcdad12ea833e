#pragma once

#include <linseed/core/executor.hpp>

#include "kernels/cpu/conv_problem.hpp"
#include "kernels/cpu/offset_gemm.hpp"

// Plain sums for convolutions of many channels, with channels in the lanes of vectors, whatever the taps, strides,
// dilations and padding: the pixels under the taps are laid side by side for a block of outputs that stays in the
// second cache, which takes little beside the products with at least a vector of features. Each element of a result is
// a fixed sequence of (fused) multiply-adds: neither the number of threads nor, between AVX2 and AVX-512, the
// instruction set shows.

namespace linseed::kernels::cpu::panels {

/// Whether outputs that see different taps are few enough.
bool suits(const Problem& problem) noexcept;
/// The same for the kernel's gradient, where the input must not be dilated either.
bool suits_correlate(const Problem& problem) noexcept;

/// y(pixel, feature) = sum of x(pixel under tap, channel) * w(tap, channel, feature). False when this does not suit the
/// problem, or memory is short: then y is not complete.
bool gather(const Problem& problem, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept;

/// The kernel's gradient: dw(tap, channel, feature) = sum of x(pixel under tap, channel) * dy(pixel, feature). False as
/// above.
bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept;

}  // namespace linseed::kernels::cpu::panels
