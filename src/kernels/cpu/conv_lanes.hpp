#pragma once

#include <linseed/core/executor.hpp>

#include "kernels/cpu/conv_problem.hpp"
#include "kernels/cpu/offset_gemm.hpp"

// Convolutions of few channels, in which the batch fills the vectors: 16 samples lie side by side, in blocks. Operands
// of the ordinary layout are converted on the way in and out. Each element of a result is one chain of fused
// multiply-adds over the taps, rows first, then columns, then channels; sums over the batch take the 16 lanes in a
// fixed tree and the blocks in order.

namespace linseed::kernels::cpu::lanes {

/// How the samples of x and y lie in memory: one after the other, or in lanes.
enum class Layout { ordinary, lanes };

/// The rows of outputs that stand for a sample in a block: all, or fewer where samples do not fill blocks. There are
/// fewer than 2^32.
std::int64_t strip_height(const Problem& problem, Layout layout) noexcept;

/// Whether there is one group, a plain input, and a block of it fits the memory meant for it. Never without AVX2.
bool suits(const Problem& problem, VectorSet set) noexcept;

/// y(pixel, feature) = sum of x(pixel under tap, channel) * w(tap, channel, feature). False, and nothing is done, when
/// this does not suit the problem, or memory is short.
bool gather(const Problem& problem, Layout layout, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept;

/// The kernel's gradient: dw(tap, channel, feature) = sum of x(pixel under tap, channel) * dy(pixel, feature). False as
/// above.
bool correlate(const Problem& problem, Layout layout, const float* x, const float* dy, float* dw,
               const Executor& executor) noexcept;

/// to[i] += the sum of the 16 lanes of sums[i], which are added in pairs that are 8, 4, 2 and 1 apart. With AVX2.
void add_lanes(const float* sums, std::int64_t count, float* to) noexcept;

}  // namespace linseed::kernels::cpu::lanes
