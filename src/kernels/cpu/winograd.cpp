#include "kernels/cpu/winograd.hpp"

#include <algorithm>
#include <atomic>
#include <utility>

#include "kernels/conv.hpp"
#include "kernels/cpu/panel_product.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu::winograd {

namespace {

constexpr std::int64_t points = 36;   // of a tile
constexpr std::int64_t outputs = 4;   // of a tile, along each axis
constexpr std::int64_t padding = 16;  // elements between planes, which would else meet in the same sets of a cache

/// The tiles of all samples, row by row.
struct Tiles {
  std::int64_t samples, rows, columns;

  explicit Tiles(const Problem& problem) noexcept
      : samples(problem.samples),
        rows(ceil_divide(problem.axis[1].out, outputs)),
        columns(ceil_divide(problem.axis[2].out, outputs)) {}
  [[nodiscard]] std::int64_t count() const noexcept { return samples * rows * columns; }
};

/// An array [samples, height, width, channels] in patches, one per tile, four pixels apart. Channels go to groups of
/// `group`: channel c of a tile at point p is at p * plane + c / group * group_step + tile * group + c % group.
struct Patches {
  const float* x;
  std::int64_t height, width, channels;
  std::int64_t first_row, first_column;  // of the first patch
  Tiles tiles;
  const float* zeros;  // stand for a row outside
  std::int64_t group, group_step, plane;

  /// The rows of a patch, at its first column, which may be outside; gives the first and last column that are not.
  std::pair<int, int> find(std::int64_t tile, int extent, const float** rows) const noexcept {
    const std::int64_t column = tile % tiles.columns * outputs + first_column;
    const std::int64_t row = tile / tiles.columns % tiles.rows * outputs + first_row;
    const float* sample = x + tile / (tiles.columns * tiles.rows) * height * width * channels;
    for (std::int64_t i = row; i < row + extent; ++i)
      *rows++ = i >= 0 && i < height ? sample + (i * width + column) * channels : zeros;
    return {static_cast<int>(std::clamp<std::int64_t>(-column, 0, extent)),
            static_cast<int>(std::clamp<std::int64_t>(width - column, 0, extent))};
  }
};

/// An array of which each tile has 4 x 4 pixels, or fewer where it ends.
struct Pixels {
  float* y;
  std::int64_t height, width, channels;
  Tiles tiles;

  struct Place {
    float* first;
    std::int64_t rows, columns;
  };
  [[nodiscard]] Place find(std::int64_t tile) const noexcept {
    const std::int64_t column = tile % tiles.columns * outputs, row = tile / tiles.columns % tiles.rows * outputs;
    const std::int64_t sample = tile / (tiles.columns * tiles.rows);
    return {y + ((sample * height + row) * width + column) * channels, std::min(outputs, height - row),
            std::min(outputs, width - column)};
  }
};

/// What is compiled for each instruction set.
struct Transforms {
  void (*transform_input)(const Patches&, std::int64_t first, std::int64_t count, float* to) noexcept;
  void (*transform_cotangent)(const Patches&, std::int64_t first, std::int64_t count, float* to) noexcept;
  void (*transform_weights)(const float* from, std::int64_t row_step, std::int64_t step, std::int64_t channel_step,
                            std::int64_t channels, float* to, std::int64_t plane) noexcept;
  void (*transform_back)(const Pixels&, const float* from, std::int64_t plane, std::int64_t first, std::int64_t count,
                         std::int64_t feature) noexcept;
  void (*transform_gradient)(const float* from, std::int64_t plane, std::int64_t rows, std::int64_t count, float* to,
                             std::int64_t tap, std::int64_t step) noexcept;
};

namespace portable {
using namespace vectors::portable;
#include "kernels/cpu/winograd_points.inc"
#include "kernels/cpu/winograd_tile.inc"
}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
#include "kernels/cpu/winograd_points.inc"
#include "kernels/cpu/winograd_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;
#include "kernels/cpu/winograd_points.inc"
#include "kernels/cpu/winograd_tile.inc"
}  // namespace avx512
#pragma GCC pop_options

#endif

struct Routines : Transforms, PanelRoutines {};

Routines routines_of(VectorSet set) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512) return {avx512::transforms, panel_routines(set)};
  if (set == VectorSet::avx2) return {avx2::transforms, panel_routines(set)};
#endif
  return {portable::transforms, panel_routines(set)};
}

/// One convolution: its operands, and how they are cut.
struct Job {
  const Problem& problem;
  const Routines& run;
  const float* w;
  KernelLayout kernel;
  Tiles tiles;
  std::int64_t chunks, panels;

  Job(const Problem& p, const Routines& routines, const float* weights, const KernelLayout& layout) noexcept
      : problem(p),
        run(routines),
        w(weights),
        kernel(layout),
        tiles(p),
        chunks(ceil_divide(p.channels, chunk)),
        panels(ceil_divide(p.features, routines.panel)) {}

  /// The weights of a chunk of channels and a panel of features at the points: to[point * plane + channel * panel + f].
  void weights_to_points(std::int64_t chunk_index, std::int64_t panel_index, float* to,
                         std::int64_t plane) const noexcept {
    alignas(64) float taps[9 * chunk * widest_panel];
    const std::int64_t channel = chunk_index * chunk, feature = panel_index * run.panel;
    const std::int64_t channels = std::min(chunk, problem.channels - channel),
                       features = std::min(run.panel, problem.features - feature);
    const float* const from = w + kernel.first + channel * kernel.channel + feature * kernel.feature;
    if (kernel.feature == 1 && channels == chunk && features == run.panel) {
      run.transform_weights(from, kernel.tap[1], kernel.tap[2], kernel.channel, chunk, to, plane);
      return;
    }
    const std::int64_t step = chunk * run.panel;
    for (std::int64_t tap = 0; tap < 9; ++tap) {
      pack_panel(from + tap / 3 * kernel.tap[1] + tap % 3 * kernel.tap[2], kernel.channel, channels, kernel.feature,
                 features, chunk, run.panel, taps + tap * step);
    }
    run.transform_weights(taps, 3 * step, step, run.panel, chunk, to, plane);
  }

  /// The input under tiles, `group_step` elements from chunk to chunk.
  [[nodiscard]] Patches input(const float* x, const float* zeros, std::int64_t group_step,
                              std::int64_t plane) const noexcept {
    return {.x = x,
            .height = problem.axis[1].in,
            .width = problem.axis[2].in,
            .channels = problem.channels,
            .first_row = -problem.axis[1].low,
            .first_column = -problem.axis[2].low,
            .tiles = tiles,
            .zeros = zeros,
            .group = chunk,
            .group_step = group_step,
            .plane = plane};
  }
  [[nodiscard]] Pixels output(float* y) const noexcept {
    return {y, problem.axis[1].out, problem.axis[2].out, problem.features, tiles};
  }
};

/// A block of the matrix products of all points: `count` tiles, `depth` chunks of channels, one panel.
struct Block {
  const float* values;  // [points][chunks][tiles][chunk], at the block's first chunk and tile
  std::int64_t values_plane, values_step;
  const float* weights;  // [points][channels][panel], at the first channel
  std::int64_t weights_plane;
  float* sums;  // [points][tiles][panel]
  std::int64_t sums_plane;
  std::int64_t count, depth;
  bool accumulate;
};

void multiply(const Routines& run, const Block& b) noexcept {
  const std::int64_t groups = ceil_divide(b.count, run.most_rows);
  for (std::int64_t point = 0; point < points; ++point) {
    for (std::int64_t c = 0; c < b.depth; c += depth_block) {
      const std::int64_t depth = std::min(depth_block, b.depth - c);
      for (std::int64_t g = 0; g < groups; ++g) {
        const std::int64_t first = g * b.count / groups, rows = (g + 1) * b.count / groups - first;
        run.over_channels[rows - 1]({.left = b.values + point * b.values_plane + c * b.values_step + first * chunk,
                                     .chunks = depth,
                                     .chunk_step = b.values_step,
                                     .right = b.weights + point * b.weights_plane + c * chunk * run.panel,
                                     .result = b.sums + point * b.sums_plane + first * run.panel,
                                     .accumulate = b.accumulate || c > 0});
      }
    }
  }
}

constexpr std::int64_t tiles_per_task = 16;  // of a transform alone

/// Zeros as long as a row of a patch. Null when there is no memory.
const float* zero_row(std::int64_t channels) noexcept {
  const std::int64_t length = (outputs + 2) * channels;
  float* const zeros = scratch_floats<Scratch::winograd_zeros>(length);
  if (zeros != nullptr) std::fill_n(zeros, length, 0.0F);
  return zeros;
}

/// Many tiles, weights that fit into the second cache or nearly so: weights are transformed once, and a task takes a
/// block of tiles from the input to the output.
bool gather_by_tiles(const Job& job, const float* x, float* y, const Executor& executor) noexcept {
  const Routines& run = job.run;
  constexpr std::int64_t block_bytes = 200 << 10;
  const std::int64_t fitting = block_bytes / (points * job.chunks * chunk * static_cast<std::int64_t>(sizeof(float)));
  const std::int64_t most = std::max<std::int64_t>(fitting / 14, 1) * 14;  // divided by every most_rows but 6
  const std::int64_t blocks = ceil_divide(job.tiles.count(), most);

  const std::int64_t weights_plane = job.chunks * chunk * run.panel + padding;
  float* const weights = scratch_floats<Scratch::winograd_shared>(job.panels * points * weights_plane);
  const float* const zeros = zero_row(job.problem.channels);
  if (weights == nullptr || zeros == nullptr) return false;
  executor.parallel_for(job.panels * job.chunks, [&](std::int64_t task) {
    const std::int64_t panel = task / job.chunks, at = task % job.chunks;
    job.weights_to_points(at, panel, weights + panel * points * weights_plane + at * chunk * run.panel, weights_plane);
  });

  std::atomic<bool> complete = true;
  executor.parallel_for(blocks, [&](std::int64_t task) {
    const std::int64_t first = task * job.tiles.count() / blocks;
    const std::int64_t count = (task + 1) * job.tiles.count() / blocks - first;
    const std::int64_t values_plane = job.chunks * count * chunk + padding, sums_plane = count * run.panel + padding;
    float* const values = scratch_floats<Scratch::winograd_values>(points * values_plane);
    float* const sums = scratch_floats<Scratch::winograd_sums>(points * sums_plane);
    if (values == nullptr || sums == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    run.transform_input(job.input(x, zeros, count * chunk, values_plane), first, count, values);
    for (std::int64_t panel = 0; panel < job.panels; ++panel) {
      multiply(run, {.values = values,
                     .values_plane = values_plane,
                     .values_step = count * chunk,
                     .weights = weights + panel * points * weights_plane,
                     .weights_plane = weights_plane,
                     .sums = sums,
                     .sums_plane = sums_plane,
                     .count = count,
                     .depth = job.chunks,
                     .accumulate = false});
      run.transform_back(job.output(y), sums, sums_plane, first, count, panel * run.panel);
    }
  });
  return complete.load(std::memory_order_relaxed);
}

/// Large weights: all tiles' values are shared, and a task takes a panel of features, whose weights it transforms in
/// pieces that stay in the second cache.
bool gather_by_panels(const Job& job, const float* x, float* y, const Executor& executor) noexcept {
  const Routines& run = job.run;
  constexpr std::int64_t shared_bytes = 16 << 20, tiles_of_task = 128;
  const std::int64_t all = job.tiles.count();
  const std::int64_t fitting = shared_bytes / (points * job.chunks * chunk * static_cast<std::int64_t>(sizeof(float)));
  const std::int64_t at_once = std::min(all, std::max<std::int64_t>(fitting / tiles_of_task, 1) * tiles_of_task);
  const std::int64_t values_plane = job.chunks * at_once * chunk + padding;
  float* const values = scratch_floats<Scratch::winograd_shared>(points * values_plane);
  const float* const zeros = zero_row(job.problem.channels);
  if (values == nullptr || zeros == nullptr) return false;
  const Patches input = job.input(x, zeros, at_once * chunk, values_plane);

  std::atomic<bool> complete = true;
  for (std::int64_t begin = 0; begin < all; begin += at_once) {
    const std::int64_t tiles = std::min(at_once, all - begin);
    executor.parallel_for(ceil_divide(tiles, tiles_per_task), [&](std::int64_t task) {
      const std::int64_t first = task * tiles_per_task;
      run.transform_input(input, begin + first, std::min(tiles_per_task, tiles - first), values + first * chunk);
    });
    const std::int64_t parts = ceil_divide(tiles, tiles_of_task);
    executor.parallel_for(job.panels * parts, [&](std::int64_t task) {
      const std::int64_t panel = task / parts, part = task % parts;
      const std::int64_t first = part * tiles / parts, count = (part + 1) * tiles / parts - first;
      const std::int64_t weights_plane = depth_block * chunk * run.panel + padding;
      const std::int64_t sums_plane = count * run.panel + padding;
      float* const weights = scratch_floats<Scratch::winograd_weights>(points * weights_plane);
      float* const sums = scratch_floats<Scratch::winograd_sums>(points * sums_plane);
      if (weights == nullptr || sums == nullptr) {
        complete.store(false, std::memory_order_relaxed);
        return;
      }
      for (std::int64_t c = 0; c < job.chunks; c += depth_block) {
        const std::int64_t depth = std::min(depth_block, job.chunks - c);
        for (std::int64_t i = 0; i < depth; ++i)
          job.weights_to_points(c + i, panel, weights + i * chunk * run.panel, weights_plane);
        multiply(run, {.values = values + (c * at_once + first) * chunk,
                       .values_plane = values_plane,
                       .values_step = at_once * chunk,
                       .weights = weights,
                       .weights_plane = weights_plane,
                       .sums = sums,
                       .sums_plane = sums_plane,
                       .count = count,
                       .depth = depth,
                       .accumulate = c > 0});
      }
      run.transform_back(job.output(y), sums, sums_plane, begin + first, count, panel * run.panel);
    });
  }
  return complete.load(std::memory_order_relaxed);
}

}  // namespace

bool fits(const Problem& problem) noexcept {
  const Axis& first = problem.axis[0];
  if (problem.groups != 1 || first.out != 1 || first.in != 1 || first.taps != 1 || first.low != 0) return false;
  return !problem.is_empty() && std::all_of(problem.axis.begin() + 1, problem.axis.end(), [](const Axis& axis) {
    return axis.taps == 3 && axis.stride == 1 && axis.input_dilation == 1 && axis.kernel_dilation == 1;
  });
}

bool pays(const Problem& problem) noexcept {
  constexpr std::int64_t fewest_channels = 32;
  if (std::min(problem.channels, problem.features) < fewest_channels) return false;
  // In multiply-adds per lane: those of the sums, and about as many as a transform of one channel takes the time of.
  constexpr double of_patch = 200, of_pixels = 150, of_weight = 110, advantage = 1.2;
  const auto channels = static_cast<double>(problem.channels), features = static_cast<double>(problem.features);
  const double tiles = static_cast<double>(ceil_divide(problem.axis[1].out, outputs)) *
                       static_cast<double>(ceil_divide(problem.axis[2].out, outputs)) *
                       static_cast<double>(problem.samples);
  const double pixels = static_cast<double>(problem.axis[1].out) * static_cast<double>(problem.axis[2].out) *
                        static_cast<double>(problem.samples);
  const double with =
      tiles * (static_cast<double>(points) * channels * features + of_patch * channels + of_pixels * features) +
      of_weight * channels * features;
  return with * advantage < pixels * 9 * channels * features;
}

bool gather(const Problem& problem, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept {
  if (!fits(problem)) return false;
  const Routines run = routines_of(executor.vectors());
  const Job job(problem, run, w, kernel);
  constexpr std::int64_t most_weights = 128 * 128, fewest_tiles = 256;
  return problem.channels * problem.features <= most_weights && job.tiles.count() >= fewest_tiles
             ? gather_by_tiles(job, x, y, executor)
             : gather_by_panels(job, x, y, executor);
}

bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept {
  if (!fits(problem)) return false;
  const Routines run = routines_of(executor.vectors());
  const Job job(problem, run, nullptr, kernel_layout(problem));
  constexpr std::int64_t single_bytes = 10 << 20, shared_bytes = 2 << 20, fewest_at_once = 64;
  constexpr std::int64_t chunks_of_task = 4, panels_of_task = 2, few_groups = 4, parts_of_few = 12, parts_of_many = 6;
  const std::int64_t all = job.tiles.count();
  // Of the widest panel, as sums over tiles are the same in every instruction set.
  const std::int64_t padded = ceil_divide(problem.features, widest_panel) * widest_panel;
  const std::int64_t tile_bytes = points * (job.chunks * chunk + padded) * static_cast<std::int64_t>(sizeof(float));
  const std::int64_t rounds =
      all <= single_bytes / tile_bytes ? 1 : ceil_divide(all, std::max(fewest_at_once, shared_bytes / tile_bytes));
  const std::int64_t at_once = ceil_divide(all, rounds);
  const std::int64_t panel_groups = ceil_divide(job.panels, panels_of_task);
  const std::int64_t chunk_groups = ceil_divide(job.chunks, chunks_of_task), groups = panel_groups * chunk_groups;
  // A task has a group of sums at all points, from the first tile to the taps; or, where that makes too few tasks or
  // the tiles come in rounds, at some of the points.
  const bool whole = rounds == 1 && groups >= few_groups;
  const std::int64_t parts = whole ? 1 : groups < few_groups ? ceil_divide(parts_of_few, groups) : parts_of_many;

  // Values at the points [chunks][tiles][chunk], cotangents [panels][tiles][panel], sums [panels][chunks][points]
  // [chunk][panel]: where a task has all points of a group, its sums are its own.
  const std::int64_t values_plane = job.chunks * at_once * chunk + padding;
  const std::int64_t cotangents_plane = job.panels * at_once * run.panel + padding;
  const std::int64_t sums_of_pair = points * chunk * run.panel;
  float* const values = scratch_floats<Scratch::winograd_shared>(points * (values_plane + cotangents_plane));
  float* const cotangents = values + points * values_plane;
  float* const all_sums = scratch_floats<Scratch::winograd_weights>(whole ? 0 : job.panels * job.chunks * sums_of_pair);
  const float* const zeros = zero_row(std::max(problem.channels, problem.features));
  if (values == nullptr || all_sums == nullptr || zeros == nullptr) return false;

  const Patches input = job.input(x, zeros, at_once * chunk, values_plane);
  const Patches cotangent{.x = dy,
                          .height = problem.axis[1].out,
                          .width = problem.axis[2].out,
                          .channels = problem.features,
                          .first_row = 0,
                          .first_column = 0,
                          .tiles = job.tiles,
                          .zeros = zeros,
                          .group = run.panel,
                          .group_step = at_once * run.panel,
                          .plane = cotangents_plane};
  const auto to_taps = [&](const float* sums, std::int64_t panel, std::int64_t at) {
    const std::int64_t channel = at * chunk, feature = panel * run.panel;
    run.transform_gradient(sums, chunk * run.panel, std::min(chunk, problem.channels - channel),
                           std::min(run.panel, problem.features - feature), dw + channel * problem.features + feature,
                           problem.channels * problem.features, problem.features);
  };

  std::atomic<bool> complete = true;
  for (std::int64_t round = 0; round < rounds; ++round) {
    const std::int64_t begin = round * at_once, tiles = std::min(at_once, all - begin);
    const std::int64_t pieces = ceil_divide(tiles, tiles_per_task);
    executor.parallel_for(2 * pieces, [&](std::int64_t task) {
      const std::int64_t first = task / 2 * tiles_per_task, count = std::min(tiles_per_task, tiles - first);
      if (task % 2 == 0) {
        run.transform_input(input, begin + first, count, values + first * chunk);
      } else {
        run.transform_cotangent(cotangent, begin + first, count, cotangents + first * run.panel);
      }
    });
    executor.parallel_for(groups * parts, [&](std::int64_t task) {
      const std::int64_t part = task % parts, first_chunk = task / parts % chunk_groups * chunks_of_task,
                         first_panel = task / parts / chunk_groups * panels_of_task;
      const std::int64_t last_chunk = std::min(job.chunks, first_chunk + chunks_of_task),
                         last_panel = std::min(job.panels, first_panel + panels_of_task);
      float* const own =
          whole ? scratch_floats<Scratch::winograd_sums>(chunks_of_task * panels_of_task * sums_of_pair) : all_sums;
      if (own == nullptr) {
        complete.store(false, std::memory_order_relaxed);
        return;
      }
      const auto sums_of = [&](std::int64_t panel, std::int64_t at) {
        const std::int64_t pair =
            whole ? (panel - first_panel) * chunks_of_task + at - first_chunk : panel * job.chunks + at;
        return own + pair * sums_of_pair;
      };
      for (std::int64_t point = part * points / parts; point < (part + 1) * points / parts; ++point) {
        for (std::int64_t panel = first_panel; panel < last_panel; ++panel) {
          const float* const right = cotangents + point * cotangents_plane + panel * at_once * run.panel;
          for (std::int64_t at = first_chunk; at < last_chunk; ++at) {
            const float* const left = values + point * values_plane + at * at_once * chunk;
            float* const sums = sums_of(panel, at) + point * chunk * run.panel;
            run.over_rows(left, right, tiles, sums, round > 0);
          }
        }
      }
      if (!whole) return;
      for (std::int64_t panel = first_panel; panel < last_panel; ++panel) {
        for (std::int64_t at = first_chunk; at < last_chunk; ++at) to_taps(sums_of(panel, at), panel, at);
      }
    });
  }
  if (!whole) {
    executor.parallel_for(job.panels * job.chunks, [&](std::int64_t task) {
      to_taps(all_sums + task * sums_of_pair, task / job.chunks, task % job.chunks);
    });
  }
  return complete.load(std::memory_order_relaxed);
}

}  // namespace linseed::kernels::cpu::winograd

namespace linseed::kernels::cpu {

bool suits_winograd(const attr::Conv& conv, const Shape& y, bool input_grad) noexcept {
  const Problem problem = forward_problem(conv, y);
  return winograd::fits(problem) && winograd::pays(input_grad ? adjoint(problem) : problem);
}

namespace {

bool runs_by_tiles(const Problem& problem, const Shape& y, const Output& output) noexcept {
  return output.dtype == DType::float32 && output.shape.elements() > 0 && y.elements() > 0 && winograd::fits(problem);
}

}  // namespace

template <ConvResult result>
Choice choose_conv_winograd(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                            VectorSet set) noexcept {
  constexpr bool input_grad = result == ConvResult::input_grad;
  const Shape& y = result == ConvResult::output ? output.shape : inputs[input_grad ? 0 : 1].shape;
  const Problem forward = forward_problem(std::get<attr::Conv>(attributes), y);
  const Problem problem = input_grad ? adjoint(forward) : forward;
  if (!runs_by_tiles(problem, y, output)) return choose_conv<result>(attributes, inputs, output, set);
  return {"winograd", 2 * winograd::points * winograd::Tiles(problem).count() * problem.channels * problem.features};
}
template Choice choose_conv_winograd<ConvResult::output>(const Attributes&, std::span<const Input>, const Output&,
                                                         VectorSet) noexcept;
template Choice choose_conv_winograd<ConvResult::input_grad>(const Attributes&, std::span<const Input>, const Output&,
                                                             VectorSet) noexcept;
template Choice choose_conv_winograd<ConvResult::kernel_grad>(const Attributes&, std::span<const Input>, const Output&,
                                                              VectorSet) noexcept;

void conv_winograd(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                   const Executor& executor) noexcept {
  const Problem problem = forward_problem(std::get<attr::Conv>(attributes), output.shape);
  if (!runs_by_tiles(problem, output.shape, output) ||
      !winograd::gather(problem, inputs[0].as<float>(), inputs[1].as<float>(), kernel_layout(problem),
                        output.as<float>(), executor))
    conv(attributes, inputs, output, executor);
}

void conv_input_grad_winograd(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                              const Executor& executor) noexcept {
  const Problem forward = forward_problem(std::get<attr::Conv>(attributes), inputs[0].shape);
  const Problem problem = adjoint(forward);
  if (!runs_by_tiles(problem, inputs[0].shape, output) ||
      !winograd::gather(problem, inputs[0].as<float>(), inputs[1].as<float>(), flipped_layout(forward),
                        output.as<float>(), executor))
    conv_input_grad(attributes, inputs, output, executor);
}

void conv_kernel_grad_winograd(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                               const Executor& executor) noexcept {
  const Problem problem = forward_problem(std::get<attr::Conv>(attributes), inputs[1].shape);
  if (!runs_by_tiles(problem, inputs[1].shape, output) ||
      !winograd::correlate(problem, inputs[0].as<float>(), inputs[1].as<float>(), output.as<float>(), executor))
    conv_kernel_grad(attributes, inputs, output, executor);
}

}  // namespace linseed::kernels::cpu
