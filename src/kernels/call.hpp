#pragma once

#include <array>
#include <cstdint>

#include "kernels/tape.hpp"

namespace linseed::kernels {

/// A piece of work on a few elements, with everything known that can be known beforehand: addresses too. Such calls in
/// a row are what a small program becomes, since there the way to a kernel would take longer than the kernel.
struct Call {
  using Function = void (*)(const Call&) noexcept;

  Loop loop = nullptr;         ///< one loop of a tape, or
  RowLoop row_loop = nullptr;  ///< one between elements and `count` rows of length `period`, or
  Function function = nullptr;
  void* result = nullptr;
  std::array<void*, 3> operands = {};
  std::int64_t count = 0;         ///< of elements of the result (of the operand, for sums)
  std::int64_t period = 0;        ///< of `repeat`, `spread` and `fold`
  const void* details = nullptr;  ///< of other functions

  void operator()() const noexcept {
    auto* const y = static_cast<float*>(result);
    const auto x = [this](std::size_t i) { return static_cast<const float*>(operands[i]); };
    if (loop != nullptr) {
      loop(y, x(0), x(1), x(2), count);
    } else if (row_loop != nullptr) {
      row_loop(y, x(0), period, count);
    } else {
      function(*this);
    }
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
