#pragma once

#include <cstdint>

#include "kernels/cpu/offset_gemm.hpp"
#include "kernels/cpu/pack_panel.hpp"

// Products of matrices in the order in which convolutions of many channels lay them out: rows (pixels or tiles) with 16
// channels of each side by side, and panels of features, two vectors wide.

namespace linseed::kernels::cpu {

constexpr std::int64_t chunk = 16;  // channels of a row that lie side by side
constexpr std::int64_t widest_panel = 32;
constexpr std::int64_t depth_block = 8;  // chunks: with a panel they fill half of the nearest cache

/// result[row][panel] (+)= sum over chunks c and channels i of left[c * chunk_step + row * 16 + i] *
/// right[c * 16 + i][panel], one chain of (fused) multiply-adds for each element.
struct PanelProduct {
  const float* left;
  std::int64_t chunks, chunk_step;
  const float* right;
  float* result;
  bool accumulate;
};

/// What is compiled for each instruction set.
struct PanelRoutines {
  std::int64_t panel;      // features
  std::int64_t most_rows;  // of one product
  /// A product of 1, 2, ... most_rows rows.
  void (*over_channels[14])(const PanelProduct&) noexcept;
  /// The same for the first half of the panel.
  void (*over_channels_narrow[14])(const PanelProduct&) noexcept;
  /// result[channel][panel] (+)= sum over rows of left[row][channel] * right[row][panel], for the channels of a chunk.
  void (*over_rows)(const float* left, const float* right, std::int64_t rows, float* result, bool accumulate) noexcept;
  void (*over_rows_narrow)(const float* left, const float* right, std::int64_t rows, float* result,
                           bool accumulate) noexcept;
  /// Rows, each `channels` floats at `from[row]`, to groups of `group` channels, zeros beyond the last:
  /// to[c / group * group_step + row * group + c % group].
  void (*gather)(const float* const* from, std::int64_t rows, std::int64_t channels, std::int64_t group, float* to,
                 std::int64_t group_step) noexcept;
  /// Rows, each `channels` floats and `step` from the one before, to groups of a chunk of channels, zeros beyond the
  /// last.
  void (*copy_rows)(const float* from, std::int64_t step, std::int64_t rows, std::int64_t channels, float* to,
                    std::int64_t chunk_step) noexcept;
  /// The first `columns` of the rows of sums [row][panel] to `to[row] + offset`.
  void (*scatter)(const float* sums, std::int64_t rows, std::int64_t columns, float* const* to,
                  std::int64_t offset) noexcept;
};
PanelRoutines panel_routines(VectorSet set) noexcept;

}  // namespace linseed::kernels::cpu
