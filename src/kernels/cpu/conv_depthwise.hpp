#pragma once

#include <linseed/core/executor.hpp>

#include "kernels/cpu/conv_problem.hpp"
#include "kernels/cpu/offset_gemm.hpp"

// Convolutions in which every channel is a group by itself, whatever the taps, strides, dilations and padding: channels
// are in the lanes of vectors, and operands are read where they lie. Each element of a result is a fixed sequence of
// (fused) multiply-adds: neither the number of threads nor, between AVX2 and AVX-512, the instruction set shows.

namespace linseed::kernels::cpu::depthwise {

/// Whether the problem is of this kind, for `gather` and for `correlate`.
bool suits(const Problem& problem) noexcept;
bool suits_correlate(const Problem& problem) noexcept;

/// y(pixel, channel) = sum of x(pixel under tap, channel) * w(tap, channel). False, and nothing is done, when the
/// problem is not of this kind.
bool gather(const Problem& problem, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept;

/// The kernel's gradient: dw(tap, channel) = sum of x(pixel under tap, channel) * dy(pixel, channel). False as above,
/// and when memory is short.
bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept;

}  // namespace linseed::kernels::cpu::depthwise
