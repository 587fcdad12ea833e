#pragma once

#include <linseed/core/executor.hpp>

#include "kernels/cpu/conv_problem.hpp"
#include "kernels/cpu/offset_gemm.hpp"

// Winograd's F(4x4, 3x3) for convolutions of many channels, with channels in the lanes of vectors: a tile of 4 x 4
// outputs costs 36 products of channel vectors instead of 144 (Lavin and Gray, "Fast Algorithms for Convolutional
// Neural Networks"). The interpolation points are 0, +-1/sqrt(2), +-sqrt(2) and infinity: their squares multiply to
// one, which keeps the transforms short and their rounding errors smaller than those of 0, +-1, +-2. Each element of a
// result is a fixed sequence of (fused) multiply-adds: neither the number of threads nor, between AVX2 and AVX-512, the
// instruction set shows.

namespace linseed::kernels::cpu::winograd {

/// Whether the problem is one of 3x3 taps, two spatial axes and no stride, dilation or groups.
bool fits(const Problem& problem) noexcept;

/// Whether the tiles take clearly less work than the plain sums do, by a count of vector operations; it follows from
/// shapes alone. `problem` must fit.
bool pays(const Problem& problem) noexcept;

/// y(pixel, feature) = sum of x(pixel under tap, channel) * w(tap, channel, feature). False when the problem does not
/// fit or memory is short: then y is not complete.
bool gather(const Problem& problem, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept;

/// The kernel's gradient: dw(tap, channel, feature) = sum of x(pixel under tap, channel) * dy(pixel, feature). False as
/// above.
bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept;

}  // namespace linseed::kernels::cpu::winograd
