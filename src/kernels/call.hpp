#pragma once

#include <array>
#include <cstdint>

#include "kernels/tape.hpp"

namespace linseed::kernels {

/// A piece of work on a few elements, with everything known that can be known beforehand: addresses too. Such calls in
/// a row are what a small program becomes, since there the way to a kernel would take longer than the kernel.
struct Call {
  using Function = void (*)(const Call&) noexcept;

  Loop loop = nullptr;  ///< one loop of a tape, or
  Function function = nullptr;
  void* result = nullptr;
  std::array<void*, 3> operands = {};
  std::int64_t count = 0;         ///< of elements of the result (of the operand, for sums)
  std::int64_t period = 0;        ///< of `repeat`, `spread` and `fold`
  const void* details = nullptr;  ///< of other functions

  void operator()() const noexcept {
    if (loop == nullptr) return function(*this);
    loop(static_cast<float*>(result), static_cast<const float*>(operands[0]), static_cast<const float*>(operands[1]),
         static_cast<const float*>(operands[2]), count);
  }
};

/// result[i] = operand[i % period]
void repeat(const Call& call) noexcept;
/// result[i] = operand[i / period]
void spread(const Call& call) noexcept;
/// result[j] = sum over all i with i % period == j of operand[i], as a tape of one task adds them.
void fold(const Call& call) noexcept;
/// The same as these two for few elements: `details` is a cpu::Permutation.
void permute(const Call& call) noexcept;
/// One product of small matrices: `details` is a cpu::SmallGemm.
void multiply(const Call& call) noexcept;
/// One product of matrices of a few elements: `details` is a cpu::PermutedProduct.
void multiply_few(const Call& call) noexcept;

}  // namespace linseed::kernels
