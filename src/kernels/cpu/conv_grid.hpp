#pragma once

#include "kernels/cpu/conv_problem.hpp"

// How the routine for any convolution cuts its work: the tile of the input under a block of output pixels stays in a
// near cache.

namespace linseed::kernels::cpu {

/// A block of the result's pixels.
struct Block {
  std::int64_t sample, samples;
  Extents begin, count;
};

/// How the work is cut; it follows from shapes alone.
struct Grid {
  std::int64_t samples = 1;   // per block
  Extents out{};              // per block
  std::int64_t channels = 0;  // of all groups, per tile
  std::int64_t tile = 0;      // elements per block, at most; none where they would be too many
  Extents out_blocks{};
  std::int64_t blocks = 0, tiles = 0;

  [[nodiscard]] Block block(std::int64_t index, const Problem& problem) const noexcept;
};
Grid grid_of(const Problem& problem, std::int64_t element_size) noexcept;

/// The features of one group in pieces, so that there are about enough tasks.
std::int64_t column_chunk(const Problem& problem, std::int64_t tasks) noexcept;

/// Into how many sums of its own the kernel's gradient is cut.
std::int64_t partial_sums(const Grid& grid, std::int64_t kernel_size, std::int64_t element_size) noexcept;

}  // namespace linseed::kernels::cpu
