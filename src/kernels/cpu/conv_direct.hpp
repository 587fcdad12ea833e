#pragma once

#include <linseed/core/executor.hpp>

#include "kernels/cpu/conv_problem.hpp"
#include "kernels/cpu/offset_gemm.hpp"

// Plain sums for convolutions of few channels, with features in the lanes of vectors: values of the input are broadcast
// from where they are, or from rows with their padding beside them, and nothing is laid out for the taps. Each element
// of a result is a fixed sequence of (fused) multiply-adds: neither the number of threads nor, between AVX2 and
// AVX-512, the instruction set shows.

namespace linseed::kernels::cpu::direct {

/// Whether there is one group, and rows with their padding are short enough.
bool suits(const Problem& problem) noexcept;
/// The same for the kernel's gradient, where the input must not be dilated and the kernel must not be large either.
bool suits_correlate(const Problem& problem) noexcept;

/// y(pixel, feature) = sum of x(pixel under tap, channel) * w(tap, channel, feature), one chain of multiply-adds over
/// the taps, rows first, then columns, then channels. False when this does not suit the problem, or memory is short:
/// then y is not complete.
bool gather(const Problem& problem, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept;

/// The kernel's gradient: dw(tap, channel, feature) = sum of x(pixel under tap, channel) * dy(pixel, feature): chains
/// over the pixels of a block, row by row; blocks are added in order, shares of blocks of their own. False as above.
bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept;

/// How the pixels are cut for the kernel's gradient.
struct Blocks {
  std::int64_t samples = 1, rows = 1;  // of one block
  std::int64_t per_sample = 1;         // or per group of samples
  std::int64_t count = 0, shares = 1;
  std::int64_t groups = 1;  // of features, which are tasks too
};
Blocks blocks_of(const Problem& problem) noexcept;

/// The same problem with longer rows, where there is but one tap, which meets each place of the input: then all pixels
/// are neighbours. Outputs are computed in this form.
Problem with_long_rows(const Problem& problem) noexcept;

/// So many rows of the outputs are a task.
std::int64_t band_of(const Problem& problem) noexcept;

}  // namespace linseed::kernels::cpu::direct
