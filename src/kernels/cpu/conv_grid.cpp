#include "kernels/cpu/conv_grid.hpp"

#include <algorithm>

namespace linseed::kernels::cpu {

namespace {

constexpr std::int64_t tile_bytes = 256 << 10;    // of the input that a block works on
constexpr std::int64_t max_tile_bytes = 1 << 20;  // beyond it other routines take over
constexpr std::int64_t partials_bytes = 1 << 20;  // of kernel gradients before they are added up
constexpr std::int64_t wanted_tasks = 32;
constexpr std::int64_t column_quantum = 32;  // two of the widest vectors of floats

}  // namespace

Block Grid::block(std::int64_t index, const Problem& problem) const noexcept {
  Block block{};
  for (std::size_t i = axes; i-- > 0; index /= out_blocks[i]) {
    block.begin[i] = index % out_blocks[i] * out[i];
    block.count[i] = std::min(out[i], problem.axis[i].out - block.begin[i]);
  }
  block.sample = index * samples;
  block.samples = std::min(samples, problem.samples - block.sample);
  return block;
}

Grid grid_of(const Problem& problem, std::int64_t element_size) noexcept {
  Grid grid;
  grid.channels = problem.groups * problem.channels;
  for (std::size_t i = 0; i < axes; ++i) grid.out[i] = problem.axis[i].out;

  const auto tile_size = [&] {  // as double: hostile dilations exceed 64 bits
    double size = static_cast<double>(grid.channels);
    for (std::size_t i = 0; i < axes; ++i) size *= static_cast<double>(problem.axis[i].reach(grid.out[i]));
    return size * static_cast<double>(element_size);
  };
  const auto halve_out = [&] {
    for (std::int64_t& extent : grid.out) {
      if (extent == 1) continue;
      extent = ceil_divide(extent, 2);
      return true;
    }
    return false;
  };
  const auto halve_channels = [&](std::int64_t above) {
    if (grid.channels <= above) return false;
    grid.channels = ceil_divide(grid.channels, 2);
    return true;
  };
  while (tile_size() > tile_bytes) {
    if (product(grid.out) > 64 && halve_out()) continue;
    if (!halve_channels(8) && !halve_out() && !halve_channels(1)) break;
  }
  while (grid.samples * 2 <= problem.samples && tile_size() * static_cast<double>(grid.samples * 2) <= tile_bytes &&
         product(grid.out) * grid.samples < 256) {
    grid.samples *= 2;
  }
  const auto count = [&] {
    grid.blocks = ceil_divide(problem.samples, grid.samples);
    for (std::size_t i = 0; i < axes; ++i) {
      grid.out_blocks[i] = ceil_divide(problem.axis[i].out, grid.out[i]);
      grid.blocks *= grid.out_blocks[i];
    }
    return grid.blocks;
  };
  while (count() < wanted_tasks / 2 && product(grid.out) * grid.samples > 128) {
    if (grid.samples > 1) {
      grid.samples /= 2;
    } else if (!halve_out()) {
      break;
    }
  }
  grid.tiles = ceil_divide(problem.groups * problem.channels, grid.channels);
  const double bytes = tile_size() * static_cast<double>(grid.samples);
  grid.tile = bytes > max_tile_bytes ? 0 : static_cast<std::int64_t>(bytes) / element_size;
  return grid;
}

std::int64_t column_chunk(const Problem& problem, std::int64_t tasks) noexcept {
  if (tasks >= wanted_tasks) return std::max<std::int64_t>(problem.features, 1);
  const std::int64_t chunk = ceil_divide(problem.features, ceil_divide(wanted_tasks, tasks));
  return std::max<std::int64_t>(ceil_divide(chunk, column_quantum), 1) * column_quantum;
}

std::int64_t partial_sums(const Grid& grid, std::int64_t kernel_size, std::int64_t element_size) noexcept {
  return std::clamp<std::int64_t>(partials_bytes / (kernel_size * element_size), 1,
                                  std::min(grid.blocks, wanted_tasks));
}

}  // namespace linseed::kernels::cpu
