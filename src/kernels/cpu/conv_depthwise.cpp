#include "kernels/cpu/conv_depthwise.hpp"

#include <algorithm>
#include <array>
#include <tuple>
#include <utility>

#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu::depthwise {

namespace {

constexpr std::int64_t most_taps = 256;
constexpr std::int64_t most_rows = 64;   // of cotangents at a time
constexpr int most_row_taps = 8;         // at a time
constexpr std::int64_t most_phases = 8;  // of an axis

/// Neighbouring output pixels of a row that see the input through the same taps.
struct Stretch {
  const float* x;
  std::int64_t x_step;  // from pixel to pixel
  float* y;
  std::int64_t y_step, pixels;
  const std::int64_t *x_taps, *w_taps;
  std::int64_t tap_count;
  const float* w;
  std::int64_t channels;
};

/// Some rows of cotangents, one after the other, of one sample.
struct Rows {
  const float* x;
  std::int64_t x_step, x_tap;  // from pixel to pixel, and from tap to tap along a row
  const float* dy;
  std::int64_t dy_row, count, channels;
};

/// Neighbouring taps of a row of taps, and what each row of cotangents sees through them.
struct TapRow {
  bool sees[most_rows];            // anything at all
  std::int64_t x_rows[most_rows];  // where the first pixel's first tap lies
  std::int64_t first, last;        // pixels that see the input through all of these taps
  std::int64_t tap_first[most_row_taps], tap_last[most_row_taps];  // through one of them
  float* sums;
};

struct Routines {
  void (*gather)(const Stretch&) noexcept;
  void (*correlate[most_row_taps])(const Rows&, const TapRow&) noexcept;  // of 1, 2, ... taps
};

namespace portable {
using namespace vectors::portable;
constexpr int most_sums = 8;
#include "kernels/cpu/conv_depthwise_tile.inc"
}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
constexpr int most_sums = 12;
#include "kernels/cpu/conv_depthwise_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;
constexpr int most_sums = 24;
#include "kernels/cpu/conv_depthwise_tile.inc"
}  // namespace avx512
#pragma GCC pop_options

#endif

const Routines& routines_of(VectorSet set) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512) return avx512::routines;
  if (set == VectorSet::avx2) return avx2::routines;
#endif
  static_cast<void>(set);
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

/// A convolution with the phases of its axes.
class Gathering {
 public:
  Gathering(const Problem& p, const KernelLayout& kernel, const Routines& routines) noexcept
      : problem_(p), kernel_(kernel), routines_(routines) {
    for (std::size_t i = 0; i < axes; ++i) {
      periods_[i] = std::min(p.axis[i].phases(), p.axis[i].out);
      for (std::int64_t residue = 0; residue < periods_[i]; ++residue)
        phases_[i][static_cast<std::size_t>(residue)] = phase_of(p.axis[i], residue, 0, p.axis[i].out);
    }
    const auto& [depth, height, width] = p.axis;
    x_steps_ = {height.in * width.in * p.groups, width.in * p.groups, p.groups};
  }

  /// One row of the result.
  void row(const RowPlace& place, const float* x, const float* w, float* y) const noexcept {
    OuterTaps outer;
    x += place.sample * problem_.axis[0].in * x_steps_[0];
    for (std::size_t i = 0; i < 2; ++i) {
      const std::int64_t index = periods_[i] == 1 ? place.out[i] : place.out[i] / periods_[i];
      const Phase& phase = phases_[i][static_cast<std::size_t>(place.out[i] - index * periods_[i])];
      const Seen seen(problem_.axis[i], phase, index);
      const std::int64_t in = phase.first_in + index * phase.in_per_out + seen.begin * phase.in_per_tap;
      outer.count[i] = seen.end - seen.begin;
      outer.x_first += in * x_steps_[i];
      outer.x_step[i] = phase.in_per_tap * x_steps_[i];
      outer.w_first += (phase.first_tap + seen.begin * phase.tap_step) * kernel_.tap[i];
      outer.w_step[i] = phase.tap_step * kernel_.tap[i];
    }
    const Axis& width = problem_.axis[2];
    for (std::int64_t residue = 0; residue < periods_[2]; ++residue) {
      const Phase& phase = phases_[2][static_cast<std::size_t>(residue)];
      if (phase.tap_count == 0) {
        stretch(outer, phase, 0, phase.out_count, 0, 0, x, w, y);
        continue;
      }
      const auto [inside, outside] = places_inside(width, phase, 0, phase.tap_count);
      for (std::int64_t pixel = 0; pixel < phase.out_count;) {
        if (pixel == inside && outside > inside) {
          stretch(outer, phase, inside, outside, 0, phase.tap_count, x, w, y);
          pixel = outside;
        } else {
          const Seen taps(width, phase, pixel);
          stretch(outer, phase, pixel, pixel + 1, taps.begin, taps.end, x, w, y);
          ++pixel;
        }
      }
    }
  }

 private:
  /// The taps on the outer axes through which a row sees the input.
  struct OuterTaps {
    std::int64_t count[2], x_first = 0, x_step[2], w_first = 0, w_step[2];
  };

  /// Pixels [first, last) of a phase, through taps [begin, end) along the row.
  void stretch(const OuterTaps& outer, const Phase& phase, std::int64_t first, std::int64_t last, std::int64_t begin,
               std::int64_t end, const float* x, const float* w, float* y) const noexcept {
    std::int64_t x_taps[most_taps], w_taps[most_taps];
    const std::int64_t channels = problem_.groups;
    const std::int64_t x_step = phase.in_per_tap * channels, w_step = phase.tap_step * kernel_.tap[2];
    const std::int64_t x_first = (phase.first_in + first * phase.in_per_out) * channels + begin * x_step,
                       w_first = phase.first_tap * kernel_.tap[2] + begin * w_step;
    std::int64_t count = 0;
    for (std::int64_t a = 0; a < outer.count[0]; ++a) {
      for (std::int64_t b = 0; b < outer.count[1]; ++b) {
        std::int64_t x_tap = outer.x_first + a * outer.x_step[0] + b * outer.x_step[1] + x_first;
        std::int64_t w_tap = outer.w_first + a * outer.w_step[0] + b * outer.w_step[1] + w_first;
        for (std::int64_t c = begin; c < end; ++c, ++count, x_tap += x_step, w_tap += w_step) {
          x_taps[count] = x_tap;
          w_taps[count] = w_tap;
        }
      }
    }
    routines_.gather({.x = x,
                      .x_step = phase.in_per_out * channels,
                      .y = y + (phase.first_out + first * phase.out_step) * channels,
                      .y_step = phase.out_step * channels,
                      .pixels = last - first,
                      .x_taps = x_taps,
                      .w_taps = w_taps,
                      .tap_count = count,
                      .w = w + kernel_.first,
                      .channels = channels});
  }

  const Problem& problem_;
  const KernelLayout& kernel_;
  const Routines& routines_;
  std::array<std::int64_t, axes> periods_;
  std::array<std::array<Phase, most_phases>, axes> phases_;
  Extents x_steps_;  // from place to place of the input
};

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
  const Gathering gathering(problem, kernel, routines_of(executor.vectors()));
  const std::int64_t rows = rows_of(problem);
  const std::int64_t together = ceil_divide(task_multiply_adds, multiply_adds_of_row(problem));
  executor.parallel_for(ceil_divide(rows, together), [&](std::int64_t task) {
    RowPlace place(problem, task * together);
    for (std::int64_t row = task * together; row < std::min(rows, (task + 1) * together); ++row) {
      gathering.row(place, x, w, y + row * problem.axis[2].out * problem.groups);
      place.advance(problem);
    }
  });
  return true;
}

namespace {

/// Adds what rows [begin, end) of cotangents, of one sample, contribute to the sums [taps][channels].
void correlate_rows(const Problem& p, const std::array<Phase, axes>& phase, std::int64_t begin, std::int64_t end,
                    const float* x, const float* dy, float* sums, const Routines& routines) noexcept {
  const std::int64_t channels = p.groups;
  const auto& [depth, height, width] = p.axis;
  const Rows rows{.x = x + RowPlace(p, begin).sample * depth.in * height.in * width.in * channels,
                  .x_step = phase[2].in_per_out * channels,
                  .x_tap = phase[2].in_per_tap * channels,
                  .dy = dy + begin * width.out * channels,
                  .dy_row = width.out * channels,
                  .count = end - begin,
                  .channels = channels};
  TapRow under;
  for (std::int64_t a = 0; a < depth.taps; ++a) {
    for (std::int64_t b = 0; b < height.taps; ++b) {
      for (std::int64_t tile = 0, tiles = ceil_divide(width.taps, most_row_taps); tile < tiles; ++tile) {
        const std::int64_t first = tile * width.taps / tiles, last = (tile + 1) * width.taps / tiles;
        RowPlace place(p, begin);
        for (std::int64_t row = begin; row < end; ++row, place.advance(p)) {
          const std::int64_t in[2] = {phase[0].first_in + place.out[0] * phase[0].in_per_out + a * phase[0].in_per_tap,
                                      phase[1].first_in + place.out[1] * phase[1].in_per_out + b * phase[1].in_per_tap};
          under.sees[row - begin] = in[0] >= 0 && in[0] < depth.in && in[1] >= 0 && in[1] < height.in;
          under.x_rows[row - begin] =
              ((in[0] * height.in + in[1]) * width.in + phase[2].first_in + first * phase[2].in_per_tap) * channels;
        }
        std::tie(under.first, under.last) = places_inside(width, phase[2], first, last);
        for (std::int64_t tap = first; tap < last; ++tap) {
          std::tie(under.tap_first[tap - first], under.tap_last[tap - first]) =
              places_inside(width, phase[2], tap, tap + 1);
        }
        // Where no pixel sees the input through all of these taps, each is taken by itself.
        if (under.first == under.last) under.first = under.last = width.out;
        under.sums = sums + ((a * height.taps + b) * width.taps + first) * channels;
        routines.correlate[last - first - 1](rows, under);
      }
    }
  }
}

}  // namespace

bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept {
  constexpr std::int64_t most_partials = 16, affordable = 1 << 18, task_multiply_adds = 1 << 16;
  if (!suits_correlate(problem)) return false;
  std::array<Phase, axes> phase;
  for (std::size_t i = 0; i < axes; ++i) phase[i] = phase_of(problem.axis[i], 0, 0, problem.axis[i].out);
  const Routines& routines = routines_of(executor.vectors());
  const std::int64_t size = problem.axis[0].taps * problem.axis[1].taps * problem.axis[2].taps * problem.groups;
  const std::int64_t rows = rows_of(problem), sample_rows = rows / problem.samples;
  const std::int64_t wanted = std::min(multiply_adds_of_row(problem) * rows / task_multiply_adds, affordable / size);
  const std::int64_t partials = std::clamp<std::int64_t>(wanted, 1, std::min(rows, most_partials));
  float* const others = scratch_floats<Scratch::conv_partials>((partials - 1) * size);
  if (others == nullptr) return false;
  executor.parallel_for(partials, [&](std::int64_t partial) {
    float* const sums = partial == 0 ? dw : others + (partial - 1) * size;
    std::fill_n(sums, size, 0.0F);
    const std::int64_t last = (partial + 1) * rows / partials;
    for (std::int64_t row = partial * rows / partials; row < last;) {
      const std::int64_t end = std::min({last, row + most_rows, (row / sample_rows + 1) * sample_rows});
      correlate_rows(problem, phase, row, end, x, dy, sums, routines);
      row = end;
    }
  });
  for (std::int64_t partial = 0; partial + 1 < partials; ++partial) {
    for (std::int64_t i = 0; i < size; ++i) dw[i] += others[partial * size + i];
  }
  return true;
}

}  // namespace linseed::kernels::cpu::depthwise
