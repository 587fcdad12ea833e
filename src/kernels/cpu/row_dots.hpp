#pragma once

#include <cstdint>

#include "kernels/cpu/offset_gemm.hpp"

namespace linseed::kernels::cpu {

/// Rows of two factors whose points of depth are neighbours, as in a few rows times a transposed matrix, which is not
/// worth packing: result[r * result_row + c] = sum over depth of left[r * left_row + k] * right[c * right_row + k].
struct RowDots {
  const float* left;
  std::int64_t left_row, rows;
  const float* right;
  std::int64_t right_row, columns;
  std::int64_t depth;
  float* result;
  std::int64_t result_row;
};

/// Each element is summed in 16 lanes, point k of depth in lane k % 16, which are then added in pairs that are 8, 4, 2
/// and 1 apart: avx2 and avx512 give the same bits.
void row_dots(const RowDots& dots, VectorSet set) noexcept;

}  // namespace linseed::kernels::cpu
