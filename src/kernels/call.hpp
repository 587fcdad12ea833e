#pragma once

#include <array>
#include <cstdint>

#include "kernels/tape.hpp"

namespace linseed::kernels {

/// A piece of work on a few elements, with everything known that can be known beforehand: addresses too. Such calls in
/// a row are what a small program becomes, since there the way to a kernel would take longer than the kernel.
struct Call {
  Loop loop = nullptr;  ///< of a tape, or a function of those below
  void* result = nullptr;
  std::array<const void*, 3> operands = {};
  std::int64_t count = 0;  ///< of elements of the result (of the operand, for sums; rows, between elements and rows)

  void operator()() const noexcept {
    const auto x = [this](std::size_t i) { return static_cast<const float*>(operands[i]); };
    loop(static_cast<float*>(result), x(0), x(1), x(2), count);
  }
};

// What is no loop of a tape has its details where the third operand would be. Results are memory of whole vectors.

/// result[i] = operand[i % period]; the details are a `Period`.
void repeat(float* result, const float* operand, const float*, const float* details, std::int64_t count) noexcept;
/// result[i] = operand[i / period], the last one for all that follow; the details are a `Period`.
void spread(float* result, const float* operand, const float*, const float* details, std::int64_t count) noexcept;
struct Period {
  std::int64_t period, source;  ///< elements of the operand
};
/// result[i] = operand[0]
void fill(float* result, const float* operand, const float*, const float*, std::int64_t count) noexcept;
/// A call of `repeat` or `spread` for few elements; the details are a cpu::Permutation.
void permute(float* result, const float* operand, const float*, const float* details, std::int64_t) noexcept;

/// result[j] = sum over all i with i % period == j of operand[i], as a tape of one task adds them; the details are a
/// `Period`. The vectors do not show in the bits.
Loop fold_of(std::int64_t period, VectorSet set) noexcept;

/// A loop between elements and rows; the details are a `Rows`.
void run_rows(float* result, const float* operand, const float*, const float* details, std::int64_t count) noexcept;
struct Rows {
  RowLoop loop;
  std::int64_t length;
};

/// One product of small matrices; the details are a cpu::SmallGemm.
void multiply(float* result, const float* left, const float* right, const float* details, std::int64_t) noexcept;
/// One product of matrices of a few elements; the details are a cpu::PermutedProduct.
void multiply_few(float* result, const float* left, const float* right, const float* details, std::int64_t) noexcept;

}  // namespace linseed::kernels
