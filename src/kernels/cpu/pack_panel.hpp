#pragma once

#include <cstdint>

namespace linseed::kernels::cpu {

/// to[i][n] = from[i * row_step + n * column_step] for the rows and columns there are, zeros up to `height` x `width`.
void pack_panel(const float* from, std::int64_t row_step, std::int64_t rows, std::int64_t column_step,
                std::int64_t columns, std::int64_t height, std::int64_t width, float* to) noexcept;

}  // namespace linseed::kernels::cpu
