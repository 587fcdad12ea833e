#pragma once

#include <linseed/core/executor.hpp>

#include "kernels/cpu/conv_problem.hpp"

// Winograd's minimal filtering along rows of pixels, for convolutions in lanes: four neighbouring outputs take 6
// products instead of 12 where rows of taps are 3 long, and 8 instead of 20 where they are 5 long. Rows of taps and
// channels are added up as plain sums are, so that rounding errors are one to three times theirs. Results are the same
// with AVX2, with AVX-512 and with any number of threads.

namespace linseed::kernels::cpu::winograd_rows {

/// Whether there is something to compute, and the taps of a row are 3 or 5 neighbours that move from pixel to pixel, in
/// a problem of lanes::suits().
bool fits(const Problem& problem, VectorSet set) noexcept;

/// Multiplications and additions of the products at the points, for all samples.
std::int64_t flops(const Problem& problem) noexcept;

/// The time that tiles take over that of plain sums, for outputs or for a kernel's gradient (`sums`), as a count of
/// vector operations estimates it. It depends on shapes alone, and so does whether tiles take clearly less time.
/// `problem` must fit.
double relative_cost(const Problem& problem, bool sums) noexcept;
bool pays(const Problem& problem, bool sums) noexcept;

/// y(pixel, feature) = sum of x(pixel under tap, channel) * w(tap, channel, feature), for samples in lanes. False when
/// the problem does not fit or memory is short: then y is not complete.
bool gather(const Problem& problem, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept;

/// The kernel's gradient: dw(tap, channel, feature) = sum of x(pixel under tap, channel) * dy(pixel, feature). False as
/// above.
bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept;

}  // namespace linseed::kernels::cpu::winograd_rows
