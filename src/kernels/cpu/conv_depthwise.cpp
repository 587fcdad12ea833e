#include "kernels/cpu/conv_depthwise.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <tuple>
#include <utility>

#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu::depthwise {

namespace {

constexpr std::int64_t most_taps = 256;
constexpr std::int64_t most_lines = 32;    // of output pixels at a time
constexpr std::int64_t most_rows = 64;     // of cotangents at a time
constexpr std::int64_t most_row_taps = 8;  // at a time
constexpr std::int64_t most_phases = 8;    // of an axis
constexpr std::int64_t most_columns = 16;  // phases of the last axis, cut further where taps are apart
constexpr std::int64_t most_window_taps = 7, most_stride = 2, most_tile = 14, plain_tile = 6;
// The pixels of a strip decide in which order they are added, so that they are the same for all instruction sets.
constexpr std::int64_t least_strip = 4, most_strip = 8, most_strip_rows = 3;

/// A row of output pixels: where it lies, where the input and the weights of its first tap do, and the rows of taps
/// through which it sees the input, on two axes.
struct Line {
  const float *x, *w;
  float* y;
  std::int64_t count[2];
};

/// Some of them, in channels [first, last).
struct Lines {
  Line line[most_lines];
  std::int64_t count;
  std::int64_t x_step[2], w_step[2];  // from row to row of taps
  std::int64_t first, last;
};

/// Output pixels of a row, evenly spaced, which see the input through the same taps but for the ends of the row.
struct Columns {
  std::int64_t pixels, taps;
  std::int64_t in, in_pixel, in_tap;  // the first place of the input, the step from pixel to pixel and tap to tap
  std::int64_t extent;                // of the input
  std::int64_t x_first, x_step;       // from place to place, that is from tap to tap
  std::int64_t x_pixel;               // from pixel to pixel
  std::int64_t w_first, w_step, y_first, y_step;
  // Of windows, where there are any:
  std::int64_t stride = 0;                     // steps of taps from pixel to pixel
  std::int64_t inside = 0, beyond = 0;         // places in steps of taps inside the input, counted from the first
  std::int64_t seen_first = 0, seen_last = 0;  // pixels that see anything
  std::int64_t tile = 0, longer_tiles = 0;     // pixels of a tile; so many tiles have one more
};

/// Some of them.
struct Tile {
  std::int64_t x, y;        // where the first place and pixel lie in their rows
  std::int64_t begin, end;  // its places, or taps, inside the input
};

/// Some rows of cotangents, one after the other, of one image.
struct Cotangents {
  const float *x, *dy;
  std::int64_t x_step, dy_step;        // from row to row
  std::int64_t x_pixel, x_tap, x_row;  // from pixel to pixel, tap to tap, and row to row of taps
  std::int64_t count, channels;
  std::int64_t tap_begin[most_rows], tap_end[most_rows];  // rows of taps through which each sees the input
};

/// Neighbouring taps of neighbouring rows of taps.
struct Block {
  std::int64_t x;            // where the first pixel has its first tap
  std::int64_t row;          // the first row of taps
  std::int64_t first, last;  // pixels that see the input through all of these taps of a row
  std::int64_t tap_first[most_row_taps], tap_last[most_row_taps];  // through one of them
  float* sums;
  std::int64_t sums_row;

  /// Whether a row of cotangents sees the input through the first row of taps.
  [[nodiscard]] bool is_seen_from(const Cotangents& r, std::int64_t cotangents) const noexcept {
    return r.tap_begin[cotangents] <= row && row < r.tap_end[cotangents];
  }
};

/// Pixels of a row of cotangents, as many as a routine takes.
struct Strip {
  std::int64_t x, dy, dy_step;  // where the first place and the first pixel lie in their rows
  std::int64_t begin, end;      // its places inside the input
};

using TileRoutine = void (*)(const Lines&, const Columns&, const Tile&) noexcept;

struct Routines {
  std::int64_t lanes;
  TileRoutine plain[plain_tile];                                               // of 1, 2, ... pixels
  void (*correlate[most_row_taps])(const Cotangents&, const Block&) noexcept;  // of a row of 1, 2, ... taps
  TileRoutine window[most_stride][most_window_taps][most_tile] = {};
  std::int64_t pixels[most_stride][most_window_taps] = {};  // at most in a window
  // Of some rows of taps, for the pixels of a strip:
  void (*strip[most_stride][most_window_taps][most_strip_rows][most_strip])(const Cotangents&, const Block&,
                                                                            const Strip&) noexcept = {};
  std::int64_t strip_rows[most_stride][most_window_taps] = {};
};

namespace portable {
using namespace vectors::portable;
constexpr int most_sums = 8;
constexpr int registers = 8;
constexpr std::size_t most_pixels(std::size_t, std::size_t) noexcept { return 4; }
#include "kernels/cpu/conv_depthwise_tile.inc"
}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
constexpr int most_sums = 12;
constexpr int registers = 16;
constexpr std::size_t most_pixels(std::size_t taps, std::size_t) noexcept { return taps < 7 ? 8 : 7; }
#include "kernels/cpu/conv_depthwise_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;
constexpr int most_sums = 24;
constexpr int registers = 32;
constexpr std::size_t most_pixels(std::size_t, std::size_t stride) noexcept { return stride == 1 ? 14 : 8; }
#include "kernels/cpu/conv_depthwise_tile.inc"
}  // namespace avx512
#pragma GCC pop_options

#endif

/// Those with the widest vectors that `channels` fill.
const Routines& routines_of(VectorSet set, std::int64_t channels) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512 && channels >= avx512::lanes) return avx512::routines;
  if (set != VectorSet::portable) return avx2::routines;
#endif
  static_cast<void>(set);
  static_cast<void>(channels);
  return portable::routines;
}

std::int64_t multiply_adds_of_row(const Problem& p) noexcept {
  return p.axis[2].out * p.axis[0].taps * p.axis[1].taps * p.axis[2].taps * p.groups;
}
std::int64_t rows_of(const Problem& p) noexcept { return p.samples * p.axis[0].out * p.axis[1].out; }

/// A row of output pixels: its sample and its places on the outer axes.
struct RowPlace {
  std::int64_t sample, out[2];

  RowPlace(const Problem& p, std::int64_t row) noexcept
      : sample(row / p.axis[1].out / p.axis[0].out), out{row / p.axis[1].out % p.axis[0].out, row % p.axis[1].out} {}
  void advance(const Problem& p) noexcept {
    if (++out[1] < p.axis[1].out) return;
    out[1] = 0;
    if (++out[0] < p.axis[0].out) return;
    out[0] = 0;
    ++sample;
  }
};

/// ceil_divide(), quick for the most frequent divisor.
std::int64_t quotient_above(std::int64_t a, std::int64_t b) noexcept { return b == 1 ? a : ceil_divide(a, b); }

/// The part of a phase's taps through which its `index`-th output place sees the input.
struct Seen {
  std::int64_t begin, end;

  Seen(const Axis& axis, const Phase& phase, std::int64_t index) noexcept : begin(0), end(0) {
    if (phase.tap_count == 0) return;
    const std::int64_t in = phase.first_in + index * phase.in_per_out;
    begin = std::clamp<std::int64_t>(quotient_above(-in, phase.in_per_tap), 0, phase.tap_count);
    end = std::clamp<std::int64_t>(quotient_above(axis.in - in, phase.in_per_tap), begin, phase.tap_count);
  }
};

/// The places of a phase that see the input through taps [first, last).
std::pair<std::int64_t, std::int64_t> places_inside(const Axis& axis, const Phase& phase, std::int64_t first,
                                                    std::int64_t last) noexcept {
  const std::int64_t low = phase.first_in + first * phase.in_per_tap,
                     high = phase.first_in + (last - 1) * phase.in_per_tap;
  const std::int64_t begin = std::clamp<std::int64_t>(quotient_above(-low, phase.in_per_out), 0, phase.out_count);
  return {begin, std::clamp<std::int64_t>(quotient_above(axis.in - high, phase.in_per_out), begin, phase.out_count)};
}

/// Every `apart`-th pixel of a phase of rows, from `first` on.
Columns columns_of(const Axis& axis, const Phase& phase, std::int64_t channels, std::int64_t first,
                   std::int64_t apart) noexcept {
  const std::int64_t in = phase.first_in + first * phase.in_per_out;
  // A single tap is as far from the next as pixels are.
  const std::int64_t in_tap = phase.tap_count == 1 ? apart * phase.in_per_out : phase.in_per_tap;
  return {.pixels = ceil_divide(phase.out_count - first, apart),
          .taps = phase.tap_count,
          .in = in,
          .in_pixel = apart * phase.in_per_out,
          .in_tap = in_tap,
          .extent = axis.in,
          .x_first = in * channels,
          .x_step = in_tap * channels,
          .x_pixel = apart * phase.in_per_out * channels,
          .w_first = 0,
          .w_step = 0,
          .y_first = (phase.first_out + first * phase.out_step) * channels,
          .y_step = apart * phase.out_step * channels};
}

/// Whether pixels are so far apart that the nearest cache keeps few of a channel, and each lies on a page of its own:
/// then windows, which want several rows of many pixels at once, are slower than many channels of few pixels.
bool is_far_apart(const Columns& c, std::int64_t channels) noexcept {
  return (c.x_pixel > channels && c.x_pixel >= 512) || (c.y_step > channels && c.y_step >= 1024);
}

/// Cuts the pixels that see anything into windows, of at most as many pixels as most(stride) says, where that is
/// useful.
template <class Most>
void cut(Columns& c, std::int64_t channels, const Most& most) noexcept {
  if (c.taps == 0 || c.taps > most_window_taps) return;
  const std::int64_t stride = c.in_pixel / c.in_tap;
  if (stride * c.in_tap != c.in_pixel || stride > most_stride) return;
  c.inside = ceil_divide(-c.in, c.in_tap);
  c.beyond = ceil_divide(c.extent - c.in, c.in_tap);
  c.seen_first = std::clamp<std::int64_t>(floor_divide(c.inside - c.taps, stride) + 1, 0, c.pixels);
  c.seen_last = std::clamp<std::int64_t>(ceil_divide(c.beyond, stride), c.seen_first, c.pixels);
  const std::int64_t seen = c.seen_last - c.seen_first, longest = most(stride);
  if (seen == 0 || longest == 0 || is_far_apart(c, channels)) return;
  c.stride = stride;
  const std::int64_t tiles = ceil_divide(seen, longest);
  c.tile = seen / tiles;
  c.longer_tiles = seen % tiles;
}

/// Pixels that are so far apart see places of which one is a neighbouring tap of the other.
std::int64_t apart_of(const Phase& phase) noexcept {
  return phase.tap_count <= 1 ? 1 : phase.in_per_tap / std::gcd(phase.in_per_tap, phase.in_per_out);
}

/// A convolution with the phases of its axes.
class Gathering {
 public:
  Gathering(const Problem& p, const KernelLayout& kernel, const Routines& routines) noexcept
      : problem_(p), kernel_(kernel), routines_(routines) {
    for (std::size_t i = 0; i < 2; ++i) {
      periods_[i] = std::min(p.axis[i].phases(), p.axis[i].out);
      for (std::int64_t residue = 0; residue < periods_[i]; ++residue) {
        const Phase phase = phase_of(p.axis[i], residue, 0, p.axis[i].out);
        phases_[i][static_cast<std::size_t>(residue)] = phase;
        if (phase.tap_count > 0) in_per_tap_[i] = phase.in_per_tap, tap_step_[i] = phase.tap_step;
      }
    }
    const auto& [depth, height, width] = p.axis;
    x_steps_ = {height.in * width.in * p.groups, width.in * p.groups};
    const std::int64_t period = std::min(width.phases(), width.out);
    for (std::int64_t residue = 0; residue < period; ++residue) {
      const Phase phase = phase_of(width, residue, 0, width.out);
      std::int64_t apart = apart_of(phase);
      if (column_count_ + apart + period - residue > most_columns) apart = 1;
      for (std::int64_t first = 0; first < std::min(apart, phase.out_count); ++first) {
        Columns& c = columns_[column_count_++] = columns_of(width, phase, p.groups, first, apart);
        c.w_first = phase.first_tap * kernel.tap[2];
        c.w_step = phase.tap_step * kernel.tap[2];
        cut(c, p.groups, [&](std::int64_t stride) {
          return p.groups < routines.lanes ? 0 : routines.pixels[stride - 1][c.taps - 1];
        });
        if (c.stride == 0) lines_at_once_ = 1;
      }
    }
  }

  /// `count` rows of the result from `place` on, in channels [first, last).
  void rows(RowPlace place, std::int64_t count, std::int64_t first, std::int64_t last, const float* x, const float* w,
            float* y) const noexcept {
    Lines lines;
    lines.first = first;
    lines.last = last;
    for (std::size_t i = 0; i < 2; ++i) {
      lines.x_step[i] = in_per_tap_[i] * x_steps_[i];
      lines.w_step[i] = tap_step_[i] * kernel_.tap[i];
    }
    for (; count > 0; count -= lines.count) {
      lines.count = std::min(count, lines_at_once_);
      for (std::int64_t i = 0; i < lines.count; ++i, place.advance(problem_)) {
        Line& line = lines.line[i];
        line = line_of(place, x, w);
        line.y = y;
        y += problem_.axis[2].out * problem_.groups;
      }
      for (std::size_t i = 0; i < column_count_; ++i) tiles(lines, columns_[i]);
    }
  }

 private:
  Line line_of(const RowPlace& place, const float* x, const float* w) const noexcept {
    Line line;
    line.x = x + place.sample * problem_.axis[0].in * x_steps_[0];
    line.w = w + kernel_.first;
    for (std::size_t i = 0; i < 2; ++i) {
      const std::int64_t index = periods_[i] == 1 ? place.out[i] : place.out[i] / periods_[i];
      const Phase& phase = phases_[i][static_cast<std::size_t>(place.out[i] - index * periods_[i])];
      const Seen seen(problem_.axis[i], phase, index);
      line.x += (phase.first_in + index * phase.in_per_out + seen.begin * phase.in_per_tap) * x_steps_[i];
      line.w += (phase.first_tap + seen.begin * phase.tap_step) * kernel_.tap[i];
      line.count[i] = seen.end - seen.begin;
    }
    return line;
  }

  void tiles(const Lines& lines, const Columns& c) const noexcept {
    if (c.stride == 0) return plain_tiles(lines, c, 0, c.pixels);
    plain_tiles(lines, c, 0, c.seen_first);
    const auto& windows = routines_.window[c.stride - 1][c.taps - 1];
    std::int64_t longer = c.longer_tiles;
    for (std::int64_t pixel = c.seen_first; pixel < c.seen_last; --longer) {
      const std::int64_t place = pixel * c.stride, count = c.tile + (longer > 0);
      windows[count - 1](lines, c,
                         {.x = c.x_first + pixel * c.x_pixel,
                          .y = c.y_first + pixel * c.y_step,
                          .begin = c.inside - place,
                          .end = c.beyond - place});
      pixel += count;
    }
    plain_tiles(lines, c, c.seen_last, c.pixels);
  }

  void plain_tiles(const Lines& lines, const Columns& c, std::int64_t first, std::int64_t last) const noexcept {
    const auto taps_of = [&](std::int64_t pixel) -> std::pair<std::int64_t, std::int64_t> {
      if (c.taps == 0) return {0, 0};
      const std::int64_t in = c.in + pixel * c.in_pixel;
      const std::int64_t begin = std::clamp<std::int64_t>(quotient_above(-in, c.in_tap), 0, c.taps);
      return {begin, std::clamp<std::int64_t>(quotient_above(c.extent - in, c.in_tap), begin, c.taps)};
    };
    for (std::int64_t pixel = first; pixel < last;) {
      const auto taps = taps_of(pixel);
      std::int64_t count = 1;
      while (count < plain_tile && pixel + count < last && taps_of(pixel + count) == taps) ++count;
      routines_.plain[count - 1](lines, c,
                                 {.x = c.x_first + pixel * c.x_pixel,
                                  .y = c.y_first + pixel * c.y_step,
                                  .begin = taps.first,
                                  .end = taps.second});
      pixel += count;
    }
  }

  const Problem& problem_;
  const KernelLayout& kernel_;
  const Routines& routines_;
  std::array<std::int64_t, 2> periods_, x_steps_;  // from place to place of the input
  std::array<std::int64_t, 2> in_per_tap_{}, tap_step_{};
  std::array<std::array<Phase, most_phases>, 2> phases_;
  std::array<Columns, most_columns> columns_;
  std::size_t column_count_ = 0;
  std::int64_t lines_at_once_ = most_lines;
};

/// So many channels that the weights of their taps stay in the nearest cache while rows pass.
std::int64_t channels_at_once(const Problem& p) noexcept {
  constexpr std::int64_t weights_floats = 4096, quantum = 64;
  const std::int64_t taps = p.axis[0].taps * p.axis[1].taps * p.axis[2].taps;
  return taps * p.groups <= weights_floats ? p.groups
                                           : std::max(weights_floats / taps / quantum, std::int64_t{1}) * quantum;
}

}  // namespace

bool suits(const Problem& p) noexcept {
  double taps = 1;
  for (const Axis& axis : p.axis) {
    taps *= static_cast<double>(axis.taps);
    if (std::min(axis.phases(), axis.out) > most_phases) return false;
  }
  return !p.is_empty() && p.channels == 1 && p.features == 1 && taps <= static_cast<double>(most_taps);
}

bool suits_correlate(const Problem& p) noexcept {
  return suits(p) &&
         std::all_of(std::begin(p.axis), std::end(p.axis), [](const Axis& axis) { return axis.input_dilation == 1; });
}

bool gather(const Problem& problem, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept {
  constexpr std::int64_t task_multiply_adds = 1 << 15;
  if (!suits(problem)) return false;
  const Gathering gathering(problem, kernel, routines_of(executor.vectors(), problem.groups));
  const std::int64_t rows = rows_of(problem), channels = channels_at_once(problem);
  const std::int64_t together = ceil_divide(task_multiply_adds, multiply_adds_of_row(problem));
  executor.parallel_for(ceil_divide(rows, together), [&](std::int64_t task) {
    const std::int64_t begin = task * together, count = std::min(rows - begin, together);
    for (std::int64_t first = 0; first < problem.groups; first += channels) {
      gathering.rows(RowPlace(problem, begin), count, first, std::min(first + channels, problem.groups), x, w,
                     y + begin * problem.axis[2].out * problem.groups);
    }
  });
  return true;
}

namespace {

/// What all rows of cotangents have in common.
struct Correlation {
  const Problem& problem;
  const Routines& routines;
  std::array<Phase, axes> phase{};
  std::array<Columns, most_columns> column{};
  std::size_t columns = 0;  // none where pixels do not go in strips

  Correlation(const Problem& p, const Routines& r) noexcept : problem(p), routines(r) {
    for (std::size_t i = 0; i < axes; ++i) phase[i] = phase_of(p.axis[i], 0, 0, p.axis[i].out);
    constexpr std::int64_t least_channels = 8;
    const std::int64_t apart = std::min(apart_of(phase[2]), p.axis[2].out);
    if (p.groups < least_channels || apart > static_cast<std::int64_t>(most_columns)) return;
    for (std::int64_t first = 0; first < apart; ++first) {
      Columns& c = column[columns++] = columns_of(p.axis[2], phase[2], p.groups, first, apart);
      cut(c, p.groups,
          [&](std::int64_t stride) { return routines.strip_rows[stride - 1][c.taps - 1] > 0 ? most_strip : 0; });
      if (c.tile < least_strip) {
        columns = 0;
        return;
      }
    }
  }

  /// Adds what `count` rows of cotangents, of one image, contribute to the sums [taps][channels].
  void rows(const RowPlace& place, std::int64_t count, const float* x, const float* dy, float* sums) const noexcept {
    const std::int64_t channels = problem.groups;
    const auto& [depth, height, width] = problem.axis;
    const std::int64_t x_row = width.in * channels, in = phase[1].first_in + place.out[1] * phase[1].in_per_out;
    Cotangents r;
    r.x = x + place.sample * depth.in * height.in * x_row;
    r.dy = dy + ((place.sample * depth.out + place.out[0]) * height.out + place.out[1]) * width.out * channels;
    r.x_step = phase[1].in_per_out * x_row;
    r.dy_step = width.out * channels;
    r.x_pixel = phase[2].in_per_out * channels;
    r.x_tap = phase[2].in_per_tap * channels;
    r.x_row = phase[1].in_per_tap * x_row;
    r.count = count;
    r.channels = channels;
    for (std::int64_t row = 0; row < count; ++row) {
      const Seen seen(height, phase[1], place.out[1] + row);
      r.tap_begin[row] = seen.begin;
      r.tap_end[row] = seen.end;
    }
    for (std::int64_t a = 0; a < depth.taps; ++a) {
      const std::int64_t outer = phase[0].first_in + place.out[0] * phase[0].in_per_out + a * phase[0].in_per_tap;
      if (outer < 0 || outer >= depth.in) continue;
      Block block;
      block.sums_row = width.taps * channels;
      const auto each_of = [&](std::int64_t most, std::int64_t taps, auto with) {
        for (std::int64_t b = 0, blocks = ceil_divide(height.taps, most); b < blocks; ++b) {
          block.row = b * height.taps / blocks;
          block.x = (outer * height.in + in + block.row * phase[1].in_per_tap) * x_row;
          block.sums = sums + ((a * height.taps + block.row) * width.taps + taps) * channels;
          with((b + 1) * height.taps / blocks - block.row);
        }
      };
      if (columns > 0) {
        each_of(routines.strip_rows[column[0].stride - 1][width.taps - 1], 0, [&](std::int64_t rows) {
          for (std::size_t i = 0; i < columns; ++i) strips(r, block, column[i], rows);
        });
        continue;
      }
      for (std::int64_t tile = 0, tiles = ceil_divide(width.taps, most_row_taps); tile < tiles; ++tile) {
        const std::int64_t first = tile * width.taps / tiles, last = (tile + 1) * width.taps / tiles;
        find_pixels(block, first, last);
        each_of(1, first, [&](std::int64_t) {
          block.x += (phase[2].first_in + first * phase[2].in_per_tap) * channels;
          routines.correlate[last - first - 1](r, block);
        });
      }
    }
  }

 private:
  void strips(const Cotangents& r, const Block& block, const Columns& c, std::int64_t rows) const noexcept {
    std::int64_t longer = c.longer_tiles;
    for (std::int64_t pixel = c.seen_first; pixel < c.seen_last; --longer) {
      const std::int64_t count = c.tile + (longer > 0);
      routines.strip[c.stride - 1][c.taps - 1][rows - 1][count - 1](r, block,
                                                                    {.x = c.x_first + pixel * c.x_pixel,
                                                                     .dy = c.y_first + pixel * c.y_step,
                                                                     .dy_step = c.y_step,
                                                                     .begin = c.inside - pixel * c.stride,
                                                                     .end = c.beyond - pixel * c.stride});
      pixel += count;
    }
  }

  /// The pixels that see the input through taps [first, last) of a row.
  void find_pixels(Block& block, std::int64_t first, std::int64_t last) const noexcept {
    const Axis& width = problem.axis[2];
    std::tie(block.first, block.last) = places_inside(width, phase[2], first, last);
    for (std::int64_t tap = first; tap < last; ++tap) {
      std::tie(block.tap_first[tap - first], block.tap_last[tap - first]) =
          places_inside(width, phase[2], tap, tap + 1);
    }
    // Where no pixel sees the input through all of these taps, each is taken by itself.
    if (block.first == block.last) block.first = block.last = width.out;
  }
};

}  // namespace

bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept {
  constexpr std::int64_t most_partials = 16, affordable = 1 << 18, task_multiply_adds = 1 << 16, few_sums = 16;
  if (!suits_correlate(problem)) return false;
  const Correlation correlation(problem, routines_of(executor.vectors(), problem.groups));
  const std::int64_t size = problem.axis[0].taps * problem.axis[1].taps * problem.axis[2].taps * problem.groups;
  const std::int64_t rows = rows_of(problem), image_rows = problem.axis[1].out;
  const std::int64_t multiply_adds = multiply_adds_of_row(problem) * rows;
  const std::int64_t wanted =
      std::min({multiply_adds / task_multiply_adds, multiply_adds / (few_sums * size), affordable / size});
  const std::int64_t partials = std::clamp<std::int64_t>(wanted, 1, std::min(rows, most_partials));
  float* const others = scratch_floats<Scratch::conv_partials>((partials - 1) * size);
  if (others == nullptr) return false;
  // Where the pixels of a strip push each other out of the nearest cache, other rows would not find them there.
  const bool is_narrow = correlation.columns > 0 && correlation.column[0].stride > 1 && problem.groups % 128 == 0;
  const std::int64_t most = is_narrow ? 1 : most_rows;
  executor.parallel_for(partials, [&](std::int64_t partial) {
    float* const sums = partial == 0 ? dw : others + (partial - 1) * size;
    std::fill_n(sums, size, 0.0F);
    const std::int64_t last = (partial + 1) * rows / partials;
    for (std::int64_t row = partial * rows / partials; row < last;) {
      const std::int64_t end = std::min({last, row + most, (row / image_rows + 1) * image_rows});
      correlation.rows(RowPlace(problem, row), end - row, x, dy, sums);
      row = end;
    }
  });
  for (std::int64_t partial = 0; partial + 1 < partials; ++partial) {
    for (std::int64_t i = 0; i < size; ++i) dw[i] += others[partial * size + i];
  }
  return true;
}

}  // namespace linseed::kernels::cpu::depthwise
