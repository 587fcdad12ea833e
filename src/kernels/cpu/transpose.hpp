#pragma once

#include <cstdint>

#include <linseed/core/executor.hpp>

// Copies in which rows become columns, of elements of four bytes, by squares that turn around in registers.

namespace linseed::kernels::cpu {

/// to[row * to_step + column] = from[column * from_step + row] for every row < rows and column < columns.
void copy_transposed(const std::uint32_t* from, std::int64_t from_step, std::uint32_t* to, std::int64_t to_step,
                     std::int64_t rows, std::int64_t columns, VectorSet set) noexcept;

/// to[row * columns + column] = from[column][row].
void copy_transposed(const float* const* from, float* to, std::int64_t rows, std::int64_t columns,
                     VectorSet set) noexcept;

/// to[row][column] = from[column * rows + row] where there is a to[row].
void copy_transposed(const float* from, float* const* to, std::int64_t rows, std::int64_t columns,
                     VectorSet set) noexcept;

}  // namespace linseed::kernels::cpu
