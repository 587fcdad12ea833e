#include "kernels/cpu/conv_panels.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "kernels/cpu/panel_product.hpp"
#include "kernels/cpu/scratch.hpp"

namespace linseed::kernels::cpu::panels {

namespace {

constexpr std::int64_t most_rows_at_once = 252;
constexpr std::int64_t fewest_channels = 16;  // and features
constexpr std::int64_t wanted_tasks = 16;
constexpr std::size_t most_parts = 16;

/// The outputs that see the same taps.
struct Part {
  std::array<Phase, axes> phase;
  std::int64_t rows = 0;         // pixels of all samples
  std::int64_t taps = 0;         // none where these outputs see no input
  std::int64_t first_chunk = 0;  // of its weights in those of a panel
  std::int64_t at_once = 0, blocks = 0;

  [[nodiscard]] Extents tap(std::int64_t index) const noexcept {
    Extents at{};
    for (std::size_t i = axes; i-- > 0; index /= phase[i].tap_count) at[i] = index % phase[i].tap_count;
    return at;
  }
};

/// An output pixel, and the input's place that its first tap meets.
struct Row {
  std::int64_t in[axes];
  std::int64_t x, y;  // offsets in pixels
};

class Convolution {
 public:
  Convolution(const Problem& p, PanelRoutines routines) noexcept
      : problem(p),
        run(routines),
        chunks(ceil_divide(p.channels, chunk)),
        panel_count(ceil_divide(p.features, routines.panel)),
        x_pixel(p.groups * p.channels),
        y_pixel(p.groups * p.features) {
    constexpr std::int64_t block_floats = 96 << 10;
    Extents periods;
    for (std::size_t i = 0; i < axes; ++i) periods[i] = std::min(p.axis[i].phases(), p.axis[i].out);
    for (std::int64_t index = 0; index < product(periods); ++index) {
      Part& part = parts[part_count++];
      part.rows = p.samples;
      part.taps = 1;
      std::int64_t rest = index;
      for (std::size_t i = axes; i-- > 0; rest /= periods[i]) {
        part.phase[i] = phase_of(p.axis[i], rest % periods[i], 0, p.axis[i].out);
        part.rows *= part.phase[i].out_count;
        part.taps *= part.phase[i].tap_count;
      }
      part.first_chunk = all_chunks;
      all_chunks += part.taps * chunks;
      const std::int64_t fitting = block_floats / std::max<std::int64_t>(part.taps * chunks * chunk, 1);
      part.at_once = std::clamp<std::int64_t>(fitting / 14 * 14, 28, most_rows_at_once);
      part.blocks = ceil_divide(part.rows, part.at_once);
    }
  }

  /// Rows [first, first + count) of a part.
  void locate(const Part& part, std::int64_t first, std::int64_t count, Row* rows) const noexcept {
    Extents out;
    for (std::size_t i = axes; i-- > 0; first /= part.phase[i].out_count) out[i] = first % part.phase[i].out_count;
    std::int64_t sample = first;
    for (Row* row = rows; row < rows + count; ++row) {
      row->x = row->y = sample;
      for (std::size_t i = 0; i < axes; ++i) {
        const Phase& phase = part.phase[i];
        row->in[i] = phase.first_in + out[i] * phase.in_per_out;
        row->x = row->x * problem.axis[i].in + row->in[i];
        row->y = row->y * problem.axis[i].out + phase.first_out + out[i] * phase.out_step;
      }
      std::size_t i = axes;
      while (i > 0 && ++out[i - 1] == part.phase[i - 1].out_count) out[--i] = 0;
      sample += i == 0;
    }
  }

  /// Where the channels of a group lie under a tap of each row; `zeros` for padding.
  void pixels_under(const Part& part, const Extents& tap, const Row* rows, std::int64_t count, const float* x,
                    const float* zeros, const float** pixels) const noexcept {
    Extents shift;
    std::int64_t offset = 0, step = 1;
    for (std::size_t i = axes; i-- > 0; step *= problem.axis[i].in) {
      shift[i] = tap[i] * part.phase[i].in_per_tap;
      offset += shift[i] * step;
    }
    const auto inside = [&](const Row& row, std::size_t i) {
      return static_cast<std::uint64_t>(row.in[i] + shift[i]) < static_cast<std::uint64_t>(problem.axis[i].in);
    };
    for (std::int64_t r = 0; r < count; ++r) {
      const Row& row = rows[r];
      pixels[r] = inside(row, 0) && inside(row, 1) && inside(row, 2) ? x + (row.x + offset) * x_pixel : zeros;
    }
  }

  /// The weights of a tap as [channels][panel], at `to`.
  void pack_weights(const float* w, const KernelLayout& kernel, const Part& part, std::int64_t tap_index,
                    std::int64_t group, std::int64_t panel, float* to) const noexcept {
    const Extents tap = part.tap(tap_index);
    const float* from = w + kernel.first + group * kernel.group + panel * run.panel * kernel.feature;
    for (std::size_t i = 0; i < axes; ++i)
      from += (part.phase[i].first_tap + tap[i] * part.phase[i].tap_step) * kernel.tap[i];
    for (std::int64_t c = 0; c < problem.channels; c += chunk, to += chunk * run.panel) {
      pack_panel(from + c * kernel.channel, kernel.channel, std::min(chunk, problem.channels - c), kernel.feature,
                 std::min(run.panel, problem.features - panel * run.panel), chunk, run.panel, to);
    }
  }

  const Problem& problem;
  PanelRoutines run;
  std::int64_t chunks, panel_count;
  std::int64_t x_pixel, y_pixel;
  std::array<Part, most_parts> parts{};
  std::size_t part_count = 0;
  std::int64_t all_chunks = 0;  // of all parts' taps
};

/// sums[rows][panel] = rows [depth][rows][chunk] times weights [depth * chunk][panel].
void multiply(const PanelRoutines& run, const float* rows, std::int64_t count, std::int64_t depth, const float* weights,
              float* sums) noexcept {
  if (depth == 0) std::fill_n(sums, count * run.panel, 0.0F);
  const std::int64_t groups = ceil_divide(count, run.most_rows);
  for (std::int64_t c = 0; c < depth; c += depth_block) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t first = g * count / groups, height = (g + 1) * count / groups - first;
      run.over_channels[height - 1]({.left = rows + (c * count + first) * chunk,
                                     .chunks = std::min(depth_block, depth - c),
                                     .chunk_step = count * chunk,
                                     .right = weights + c * chunk * run.panel,
                                     .result = sums + first * run.panel,
                                     .accumulate = c > 0});
    }
  }
}

/// The number of parts; as double: hostile dilations exceed 64 bits.
double parts_of(const Problem& problem) noexcept {
  double parts = 1;
  for (const Axis& axis : problem.axis) parts *= static_cast<double>(std::min(axis.phases(), axis.out));
  return parts;
}

}  // namespace

bool suits(const Problem& problem) noexcept {
  return !problem.is_empty() && std::min(problem.channels, problem.features) >= fewest_channels &&
         parts_of(problem) <= static_cast<double>(most_parts);
}

bool suits_correlate(const Problem& problem) noexcept { return suits(problem) && parts_of(problem) == 1; }

bool gather(const Problem& problem, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept {
  if (!suits(problem)) return false;
  const Convolution conv(problem, panel_routines(executor.vectors()));
  const PanelRoutines& run = conv.run;

  const std::int64_t panel_weights = conv.all_chunks * chunk * run.panel;
  const std::int64_t zero_count = conv.chunks * chunk;
  float* const zeros =
      scratch_floats<Scratch::panels_weights>(zero_count + problem.groups * conv.panel_count * panel_weights);
  if (zeros == nullptr) return false;
  float* const weights = zeros + zero_count;
  std::fill_n(zeros, problem.channels, 0.0F);
  executor.parallel_for(problem.groups * conv.panel_count, [&](std::int64_t task) {
    float* const to = weights + task * panel_weights;
    for (std::size_t p = 0; p < conv.part_count; ++p) {
      const Part& part = conv.parts[p];
      for (std::int64_t tap = 0; tap < part.taps; ++tap)
        conv.pack_weights(w, kernel, part, tap, task / conv.panel_count, task % conv.panel_count,
                          to + (part.first_chunk + tap * conv.chunks) * chunk * run.panel);
    }
  });

  std::int64_t blocks = 0;
  for (std::size_t p = 0; p < conv.part_count; ++p) blocks += conv.parts[p].blocks;
  const std::int64_t panel_groups =
      std::min(conv.panel_count, ceil_divide(wanted_tasks, std::max<std::int64_t>(blocks * problem.groups, 1)));
  std::atomic<bool> complete = true;
  executor.parallel_for(blocks * problem.groups * panel_groups, [&](std::int64_t task) {
    const std::int64_t panel_group = task % panel_groups, group = task / panel_groups % problem.groups;
    std::int64_t block = task / panel_groups / problem.groups;
    std::size_t p = 0;
    for (; block >= conv.parts[p].blocks; ++p) block -= conv.parts[p].blocks;
    const Part& part = conv.parts[p];
    const std::int64_t first = block * part.rows / part.blocks;
    const std::int64_t count = (block + 1) * part.rows / part.blocks - first, depth = part.taps * conv.chunks;
    float* const values = scratch_floats<Scratch::panels_rows>(depth * count * chunk);
    float* const sums = scratch_floats<Scratch::panels_sums>(count * run.panel);
    if (values == nullptr || sums == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    Row rows[most_rows_at_once];
    const float* pixels[most_rows_at_once];
    float* results[most_rows_at_once];
    conv.locate(part, first, count, rows);
    for (std::int64_t r = 0; r < count; ++r) results[r] = y + rows[r].y * conv.y_pixel + group * problem.features;
    for (std::int64_t tap = 0; tap < part.taps; ++tap) {
      conv.pixels_under(part, part.tap(tap), rows, count, x + group * problem.channels, zeros, pixels);
      run.gather(pixels, count, problem.channels, chunk, values + tap * conv.chunks * count * chunk, count * chunk);
    }
    for (std::int64_t panel = panel_group * conv.panel_count / panel_groups;
         panel < (panel_group + 1) * conv.panel_count / panel_groups; ++panel) {
      multiply(run, values, count, depth,
               weights + (group * conv.panel_count + panel) * panel_weights + part.first_chunk * chunk * run.panel,
               sums);
      run.scatter(sums, count, std::min(run.panel, problem.features - panel * run.panel), results, panel * run.panel);
    }
  });
  return complete.load(std::memory_order_relaxed);
}

bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept {
  if (!suits_correlate(problem)) return false;
  const Convolution conv(problem, panel_routines(executor.vectors()));
  const PanelRoutines& run = conv.run;
  const Part& part = conv.parts[0];
  float* const zeros = scratch_floats<Scratch::panels_weights>(problem.channels);
  if (zeros == nullptr) return false;
  std::fill_n(zeros, problem.channels, 0.0F);

  // A task has some channels and features, and all taps, so that the pixels under them are read once; where that makes
  // few tasks, each takes a share of the pixels. Shares are added in order.
  constexpr std::int64_t sums_floats = 96 << 10, partials_floats = 3 << 20, at_once = most_rows_at_once;
  // The cut is that of the widest panel, so that the sums are the same in every instruction set.
  const std::int64_t widest_count = ceil_divide(problem.features, widest_panel);
  const std::int64_t fitting = std::max<std::int64_t>(sums_floats / (part.taps * chunk * widest_panel), 1);
  const std::int64_t task_widest = std::min({widest_count, fitting, std::int64_t{4}});
  const std::int64_t task_panels = task_widest * widest_panel / run.panel;
  const std::int64_t task_chunks = std::clamp<std::int64_t>(fitting / task_widest, 1, conv.chunks);
  const std::int64_t chunk_groups = ceil_divide(conv.chunks, task_chunks),
                     panel_groups = ceil_divide(widest_count, task_widest);
  const std::int64_t places = problem.groups * chunk_groups * panel_groups;
  const std::int64_t task_sums = part.taps * task_chunks * chunk * task_widest * widest_panel;
  const std::int64_t shares = std::clamp<std::int64_t>(
      std::min({ceil_divide(wanted_tasks, places), partials_floats / (places * task_sums), part.rows / at_once}), 1,
      wanted_tasks);
  float* const all_sums = scratch_floats<Scratch::panels_sums>(places * shares * task_sums);
  if (all_sums == nullptr) return false;

  std::atomic<bool> complete = true;
  executor.parallel_for(places * shares, [&](std::int64_t task) {
    const std::int64_t share = task % shares, place = task / shares;
    const std::int64_t panel_group = place % panel_groups, chunk_group = place / panel_groups % chunk_groups,
                       group = place / panel_groups / chunk_groups;
    const std::int64_t channel = chunk_group * task_chunks * chunk, feature = panel_group * task_panels * run.panel;
    const std::int64_t channels = std::min(task_chunks * chunk, problem.channels - channel);
    const std::int64_t features = std::min(task_panels * run.panel, problem.features - feature);
    float* const values = scratch_floats<Scratch::panels_rows>(task_chunks * at_once * chunk);
    float* const cotangents = scratch_floats<Scratch::panels_cotangent>(task_panels * at_once * run.panel);
    if (values == nullptr || cotangents == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    Row rows[at_once];
    const float* pixels[at_once];
    const float* results[at_once];
    const std::int64_t begin = share * part.rows / shares, end = (share + 1) * part.rows / shares;
    for (std::int64_t first = begin; first < end; first += at_once) {
      const std::int64_t count = std::min(at_once, end - first);
      conv.locate(part, first, count, rows);
      for (std::int64_t r = 0; r < count; ++r)
        results[r] = dy + rows[r].y * conv.y_pixel + group * problem.features + feature;
      run.gather(results, count, features, run.panel, cotangents, count * run.panel);
      float* sums = all_sums + task * task_sums;  // [taps][chunks][panels][chunk][panel]
      for (std::int64_t tap = 0; tap < part.taps; ++tap) {
        conv.pixels_under(part, part.tap(tap), rows, count, x + group * problem.channels + channel, zeros, pixels);
        run.gather(pixels, count, channels, chunk, values, count * chunk);
        for (std::int64_t c = 0; c < task_chunks; ++c) {
          for (std::int64_t p = 0; p < task_panels; ++p, sums += chunk * run.panel) {
            if (c * chunk >= channels || p * run.panel >= features) continue;
            run.over_rows(values + c * count * chunk, cotangents + p * count * run.panel, count, sums, first > begin);
          }
        }
      }
    }
  });
  if (!complete.load(std::memory_order_relaxed)) return false;

  executor.parallel_for(part.taps * problem.channels * problem.groups, [&](std::int64_t task) {
    const std::int64_t channel = task % problem.channels, group = task / problem.channels % problem.groups,
                       tap = task / problem.channels / problem.groups;
    const std::int64_t chunk_group = channel / chunk / task_chunks, at = channel - chunk_group * task_chunks * chunk;
    float* to = dw + (tap * problem.channels + channel) * conv.y_pixel + group * problem.features;
    for (std::int64_t panel = 0; panel < conv.panel_count; ++panel, to += run.panel) {
      const std::int64_t place = (group * chunk_groups + chunk_group) * panel_groups + panel / task_panels;
      const float* from =
          all_sums + place * shares * task_sums +
          (((tap * task_chunks + at / chunk) * task_panels + panel % task_panels) * chunk + at % chunk) * run.panel;
      const std::int64_t count = std::min(run.panel, problem.features - panel * run.panel);
      std::copy_n(from, count, to);
      for (std::int64_t share = 1; share < shares; ++share) {
        from += task_sums;
        for (std::int64_t i = 0; i < count; ++i) to[i] += from[i];
      }
    }
  });
  return true;
}

}  // namespace linseed::kernels::cpu::panels
