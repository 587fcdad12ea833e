#include "kernels/cpu/conv_panels.hpp"

#include <algorithm>
#include <array>
#include <atomic>

#include "kernels/cpu/panel_product.hpp"
#include "kernels/cpu/scratch.hpp"

namespace linseed::kernels::cpu::panels {

namespace {

constexpr std::int64_t row_quantum = 14;  // rows of the largest tile
constexpr std::int64_t most_rows_at_once = 18 * row_quantum;
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

/// Neighbouring output pixels along the last axis, by the first of them.
struct Run {
  Row first;
  std::int64_t count;
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
    constexpr std::int64_t block_floats = 48 << 10;
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
      // Rather shorter blocks than several tasks for one, which would each lay out its pixels.
      const std::int64_t share = ceil_divide(ceil_divide(part.rows, wanted_tasks), row_quantum) * row_quantum;
      part.at_once = std::clamp<std::int64_t>(std::min(fitting / row_quantum * row_quantum, share), 2 * row_quantum,
                                              most_rows_at_once);
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

  /// The same rows, neighbours together; gives how many runs there are.
  std::int64_t join(const Part& part, const Row* rows, std::int64_t count, Run* runs) const noexcept {
    const std::int64_t step = part.phase[2].in_per_out;
    Run* last = runs;
    *last = {rows[0], 1};
    for (std::int64_t r = 1; r < count; ++r) {
      const Row &row = rows[r], &before = rows[r - 1];
      if (row.in[0] == before.in[0] && row.in[1] == before.in[1] && row.in[2] == before.in[2] + step &&
          row.x == before.x + step) {
        ++last->count;
      } else {
        *++last = {row, 1};
      }
    }
    return last - runs + 1;
  }

  /// Lays the channels under a tap of all rows side by side, [chunks][rows][chunk]; zeros for padding.
  void lay_out(const Part& part, const Extents& tap, const Run* runs, std::int64_t run_count, std::int64_t rows,
               const float* x, std::int64_t channels, float* to) const noexcept {
    Extents shift;
    std::int64_t offset = 0, pixels = 1;
    for (std::size_t i = axes; i-- > 0; pixels *= problem.axis[i].in) {
      shift[i] = tap[i] * part.phase[i].in_per_tap;
      offset += shift[i] * pixels;
    }
    const std::int64_t step = part.phase[2].in_per_out, chunk_step = rows * chunk;
    const auto clear = [&](float* from, std::int64_t count) {
      if (count == 0) return;
      for (std::int64_t c = 0; c < channels; c += chunk, from += chunk_step) std::fill_n(from, count * chunk, 0.0F);
    };
    for (const Run* r = runs; r < runs + run_count; to += r->count * chunk, ++r) {
      const auto inside = [&](std::size_t i) {
        const std::int64_t in = r->first.in[i] + shift[i];
        return in >= 0 && in < problem.axis[i].in;
      };
      if (!inside(0) || !inside(1)) {
        clear(to, r->count);
        continue;
      }
      const std::int64_t in = r->first.in[2] + shift[2], beyond = problem.axis[2].in - in;
      const std::int64_t begin = in >= 0 ? 0 : std::min(ceil_divide(-in, step), r->count);
      const std::int64_t end =
          std::clamp<std::int64_t>(beyond > r->count * step ? r->count : ceil_divide(beyond, step), begin, r->count);
      clear(to, begin);
      run.copy_rows(x + (r->first.x + offset + begin * step) * x_pixel, step * x_pixel, end - begin, channels,
                    to + begin * chunk, chunk_step);
      clear(to + end * chunk, r->count - end);
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

/// sums[rows][panel] = rows [depth][rows][chunk] times weights [depth * chunk][panel], for the first `columns`.
void multiply(const PanelRoutines& run, const float* rows, std::int64_t count, std::int64_t depth, const float* weights,
              std::int64_t columns, float* sums) noexcept {
  const auto& over_channels = 2 * columns > run.panel ? run.over_channels : run.over_channels_narrow;
  if (depth == 0) std::fill_n(sums, count * run.panel, 0.0F);
  const std::int64_t groups = ceil_divide(count, run.most_rows);
  for (std::int64_t c = 0; c < depth; c += depth_block) {
    for (std::int64_t g = 0; g < groups; ++g) {
      const std::int64_t first = g * count / groups, height = (g + 1) * count / groups - first;
      over_channels[height - 1]({.left = rows + (c * count + first) * chunk,
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
  return !problem.is_empty() && parts_of(problem) <= static_cast<double>(most_parts);
}

bool suits_correlate(const Problem& problem) noexcept { return suits(problem) && parts_of(problem) == 1; }

bool gather(const Problem& problem, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept {
  if (!suits(problem)) return false;
  const Convolution conv(problem, panel_routines(executor.vectors()));
  const PanelRoutines& run = conv.run;

  const std::int64_t panel_weights = conv.all_chunks * chunk * run.panel;
  float* const weights = scratch_floats<Scratch::panels_weights>(problem.groups * conv.panel_count * panel_weights);
  if (weights == nullptr) return false;
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
      std::clamp<std::int64_t>(wanted_tasks / std::max<std::int64_t>(blocks * problem.groups, 1), 1, conv.panel_count);
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
    Run runs[most_rows_at_once];
    float* results[most_rows_at_once];
    conv.locate(part, first, count, rows);
    const std::int64_t run_count = conv.join(part, rows, count, runs);
    for (std::int64_t r = 0; r < count; ++r) results[r] = y + rows[r].y * conv.y_pixel + group * problem.features;
    for (std::int64_t tap = 0; tap < part.taps; ++tap) {
      conv.lay_out(part, part.tap(tap), runs, run_count, count, x + group * problem.channels, problem.channels,
                   values + tap * conv.chunks * count * chunk);
    }
    for (std::int64_t panel = panel_group * conv.panel_count / panel_groups;
         panel < (panel_group + 1) * conv.panel_count / panel_groups; ++panel) {
      const std::int64_t columns = std::min(run.panel, problem.features - panel * run.panel);
      multiply(run, values, count, depth,
               weights + (group * conv.panel_count + panel) * panel_weights + part.first_chunk * chunk * run.panel,
               columns, sums);
      run.scatter(sums, count, columns, results, panel * run.panel);
    }
  });
  return complete.load(std::memory_order_relaxed);
}

bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept {
  if (!suits_correlate(problem)) return false;
  const Convolution conv(problem, panel_routines(executor.vectors()));
  const PanelRoutines& run = conv.run;
  const Part& part = conv.parts[0];

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
    Run runs[at_once];
    const float* results[at_once];
    const std::int64_t begin = share * part.rows / shares, end = (share + 1) * part.rows / shares;
    for (std::int64_t first = begin; first < end; first += at_once) {
      const std::int64_t count = std::min(at_once, end - first);
      conv.locate(part, first, count, rows);
      const std::int64_t run_count = conv.join(part, rows, count, runs);
      for (std::int64_t r = 0; r < count; ++r)
        results[r] = dy + rows[r].y * conv.y_pixel + group * problem.features + feature;
      run.gather(results, count, features, run.panel, cotangents, count * run.panel);
      float* sums = all_sums + task * task_sums;  // [taps][chunks][panels][chunk][panel]
      for (std::int64_t tap = 0; tap < part.taps; ++tap) {
        conv.lay_out(part, part.tap(tap), runs, run_count, count, x + group * problem.channels + channel, channels,
                     values);
        for (std::int64_t c = 0; c < task_chunks; ++c) {
          for (std::int64_t p = 0; p < task_panels; ++p, sums += chunk * run.panel) {
            if (c * chunk >= channels || p * run.panel >= features) continue;
            const auto over_rows = 2 * (features - p * run.panel) > run.panel ? run.over_rows : run.over_rows_narrow;
            over_rows(values + c * count * chunk, cotangents + p * count * run.panel, count, sums, first > begin);
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
