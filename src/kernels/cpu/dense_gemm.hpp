#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <linseed/core/executor.hpp>

#include "kernels/cpu/offset_gemm.hpp"

namespace linseed::kernels::cpu {

/// result[row * result_row + column] = sum over depth of left(row, depth) * right(column, depth). A factor is read
/// where it lies or packed first, whichever is less work for such shapes; the bits are those of offset_gemm either way.
/// T is float or double. False, and nothing is done, where memory is short.
template <class T>
bool dense_gemm(const MatrixProduct& product, const T* left, const T* right, T* result, std::int64_t result_row,
                const Executor& executor) noexcept;

/// Where the operands and the result of one product of a stack begin.
struct ProductPlace {
  std::int64_t left, right, result;
};
/// Products of the same shape, one for each place: small ones, of which a thread takes several at a time.
constexpr bool fits_dense_stack(std::int64_t batches, const MatrixProduct& each) noexcept {
  constexpr std::int64_t few_batches = 8, most_columns = 256, most = std::int64_t{1} << 22;  // multiply-adds
  return batches >= few_batches && each.depth <= chain_depth && each.columns <= most_columns &&
         each.rows * each.columns * each.depth <= most;
}
template <class T>
bool dense_gemm_stack(const MatrixProduct& each, std::span<const ProductPlace> places, const T* left, const T* right,
                      T* result, std::int64_t result_row, const Executor& executor) noexcept;

/// Which factors dense_gemm() reads where they lie: not those that many tiles use, which are better packed.
struct DensePlaces {
  bool left_stays, right_stays;
};
DensePlaces dense_places(const MatrixProduct& product, std::int64_t row_tiles, std::int64_t column_tiles,
                         bool is_float32) noexcept;

/// What is done with rows of a product as soon as they are there.
class RowUser {
 public:
  virtual ~RowUser() = default;
  /// Rows [first, first + count) of the product lie one after the other at `rows`.
  virtual void use(std::int64_t first, std::int64_t count, float* rows) const noexcept = 0;
  /// What use() reads besides for these rows, of the i-th array: it is fetched meanwhile. Empty beyond the last.
  virtual std::span<const std::byte> reads(std::int64_t /*first*/, std::int64_t /*count*/,
                                           std::size_t /*i*/) const noexcept {
    return {};
  }
};
constexpr std::int64_t most_rows_used = 54;  ///< at once

/// The same product, whose rows nobody needs but `user`: it gets each once, from any thread, and the product as a whole
/// is nowhere. `memory` has room for `most_rows_used` rows for each thread.
void dense_gemm_rows(const MatrixProduct& product, const float* left, const float* right, float* memory,
                     const RowUser& user, const Executor& executor) noexcept;

}  // namespace linseed::kernels::cpu
