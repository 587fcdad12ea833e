#include "kernels/cpu/conv_direct.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "kernels/cpu/pack_panel.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu::direct {

namespace {

constexpr std::int64_t widest_vector = 16, widest_panel = 2 * widest_vector;
constexpr std::int64_t most_runs = 128;  // under the taps
constexpr std::int64_t most_phases = 4;
constexpr std::int64_t wanted_tasks = 16;

/// Neighbouring elements under taps of the first output, at least one, and their weights of the first panel.
struct Run {
  const float* x;
  const float* w;
  const float* below;  // the weights for the row below; of these two, one may be null
  std::int64_t length;
};

/// Outputs of a row that see the same taps, for the features of a panel. Steps and lengths are in elements.
struct Gathered {
  const Run *runs, *past;
  std::int64_t x;  // offset of the input
  std::int64_t pixel_step, y_step, y_row;
  float* y;            // with the row below, if y_row is not 0
  std::int64_t panel;  // offset of its weights
  std::int64_t features;
  bool accumulate;
};

/// Pixels in tiles that are as even as can be: the first ones are wider by one.
struct Cut {
  std::int64_t width = 0, wider = 0, narrower = 0;

  Cut() noexcept = default;
  Cut(std::int64_t pixels, std::int64_t most) noexcept {
    const std::int64_t tiles = std::max<std::int64_t>(ceil_divide(pixels, most), 1);
    width = pixels / tiles, wider = pixels % tiles, narrower = width > 0 ? tiles - wider : 0;
  }
};

/// Sums over the pixels of a block, for some elements under the taps, which are `x_tap_row` apart from one row of taps
/// to the next, and some features.
struct Correlated {
  const float *x, *dy;
  std::int64_t samples, rows, pixels;
  std::int64_t x_sample, x_row, x_pixel, x_tap_row;
  std::int64_t dy_sample, dy_row, dy_pixel;
  float* sums;
  std::int64_t sums_step, sums_row;  // between elements and rows of taps
  std::int64_t ahead;                // from dy to what is fetched for later
};

using Gather = void (*)(const Gathered&, std::int64_t pixel, std::int64_t tiles) noexcept;
using Correlate = void (*)(const Correlated&) noexcept;
constexpr std::int64_t most_tap_rows = 3, most_elements = 30;  // of a tile
using Correlates = std::array<std::array<Correlate, most_elements>, most_tap_rows>;

/// What is compiled for each instruction set.
struct Routines {
  std::int64_t lanes;
  std::int64_t most_wide_pixels, most_narrow_pixels;  // of a tile of two vectors of features, and of one
  void (*gather_row)(const Gathered&, const Cut&) noexcept;
  std::int64_t most_wide_sums, most_narrow_sums;  // elements
  Correlates wide_correlates, narrow_correlates;
  /// to[i] += from[i]; whole vectors.
  void (*add_up)(const float* from, std::int64_t count, float* to) noexcept;
  /// Vectors of `features` features of the pixels, zeros beyond the last, to [pixels][vectors].
  void (*pack)(const float* dy, std::int64_t step, std::int64_t pixels, std::int64_t features, float* to) noexcept;
};

namespace portable {
using namespace vectors::portable;
constexpr int most_wide_pixels = 6, most_narrow_pixels = 12, most_wide_sums = 6, most_narrow_sums = 12;
template <int scale>
Vector splat_at(const float* x, std::int64_t bytes) noexcept {
  return splat(x[scale * bytes / static_cast<std::int64_t>(sizeof(float))]);
}
template <int scale>
void accumulate_at(Vector& sum, const float* x, std::int64_t bytes, Vector w) noexcept {
  sum = add_product(splat_at<scale>(x, bytes), w, sum);
}
#include "kernels/cpu/conv_direct_tile.inc"
}  // namespace portable

#if LINSEED_X86_TILES

// Addresses of pixels are a base and a multiple of a register each: GCC would keep a register for every pixel, and
// spill.

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
constexpr int most_wide_pixels = 6, most_narrow_pixels = 12, most_wide_sums = 6, most_narrow_sums = 12;
template <int scale>
[[gnu::always_inline]] inline Vector splat_at(const float* x, std::int64_t bytes) noexcept {
  Vector v;
  if constexpr (scale == 0) {
    asm("vbroadcastss (%1), %0" : "=x"(v) : "r"(x), "m"(*reinterpret_cast<const float(*)[]>(x)));
  } else {
    asm("vbroadcastss (%1,%2,%c3), %0"
        : "=x"(v)
        : "r"(x), "r"(bytes), "i"(scale), "m"(*reinterpret_cast<const float(*)[]>(x)));
  }
  return v;
}
template <int scale>
[[gnu::always_inline]] inline void accumulate_at(Vector& sum, const float* x, std::int64_t bytes, Vector w) noexcept {
  sum = add_product(splat_at<scale>(x, bytes), w, sum);
}
#include "kernels/cpu/conv_direct_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;
constexpr int most_wide_pixels = 14, most_narrow_pixels = 16, most_wide_sums = 14, most_narrow_sums = 30;
template <int scale>
[[gnu::always_inline]] inline Vector splat_at(const float* x, std::int64_t bytes) noexcept {
  Vector v;
  if constexpr (scale == 0) {
    asm("vbroadcastss (%1), %0" : "=v"(v) : "r"(x), "m"(*reinterpret_cast<const float(*)[]>(x)));
  } else {
    asm("vbroadcastss (%1,%2,%c3), %0"
        : "=v"(v)
        : "r"(x), "r"(bytes), "i"(scale), "m"(*reinterpret_cast<const float(*)[]>(x)));
  }
  return v;
}
template <int scale>
[[gnu::always_inline]] inline void accumulate_at(Vector& sum, const float* x, std::int64_t bytes, Vector w) noexcept {
  if constexpr (scale == 0) {
    asm("vfmadd231ps (%1)%{1to16%}, %2, %0" : "+v"(sum) : "r"(x), "v"(w), "m"(*reinterpret_cast<const float(*)[]>(x)));
  } else {
    asm("vfmadd231ps (%1,%2,%c3)%{1to16%}, %4, %0"
        : "+v"(sum)
        : "r"(x), "r"(bytes), "i"(scale), "v"(w), "m"(*reinterpret_cast<const float(*)[]>(x)));
  }
}
#include "kernels/cpu/conv_direct_tile.inc"
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

/// Rows of the input with zeros beside them, where taps of their pixels meet padding.
struct PaddedRows {
  const Problem& problem;
  std::int64_t left = 0, right = 0;  // columns of zeros
  std::int64_t row = 0;              // elements

  explicit PaddedRows(const Problem& p) noexcept : problem(p) {
    const Axis& axis = p.axis[2];
    std::int64_t first = 0, last = axis.in - 1;
    for (std::int64_t i = 0; i < std::min(axis.phases(), axis.out); ++i) {
      const Phase phase = phase_of(axis, i, 0, axis.out);
      if (phase.tap_count == 0) continue;
      first = std::min(first, phase.first_in);
      last = std::max(
          last, phase.first_in + (phase.out_count - 1) * phase.in_per_out + (phase.tap_count - 1) * phase.in_per_tap);
    }
    left = -first, right = last + 1 - axis.in;
    row = (left + axis.in + right) * p.channels;
  }
  [[nodiscard]] bool beside() const noexcept { return left > 0 || right > 0; }

  /// Rows [begin, end) of a plane at x; those beyond the input are zeros, or left out.
  template <bool beyond>
  void copy(const float* x, std::int64_t begin, std::int64_t end, float* to) const noexcept {
    const std::int64_t length = problem.axis[2].in * problem.channels;
    for (std::int64_t i = begin; i < end; ++i, to += row) {
      if (i >= 0 && i < problem.axis[1].in) {
        float* at = std::fill_n(to, left * problem.channels, 0.0F);
        at = std::copy_n(x + i * length, length, at);
        std::fill_n(at, right * problem.channels, 0.0F);
      } else if (beyond) {
        std::fill_n(to, row, 0.0F);
      }
    }
  }
};

/// So many steps cover the distance; a division takes long.
std::int64_t steps(std::int64_t distance, std::int64_t step) noexcept {
  return step == 1 ? distance : ceil_divide(distance, step);
}

/// The place of the input where that is among the dilated ones; else -1.
std::int64_t input_place(const Axis& axis, std::int64_t dilated) noexcept {
  if (axis.input_dilation == 1) return dilated < axis.in ? dilated : -1;  // without the divisions below
  if (dilated < 0 || dilated % axis.input_dilation != 0) return -1;
  const std::int64_t place = dilated / axis.input_dilation;
  return place < axis.in ? place : -1;
}

/// Whether a place is one of the dilated input, or of its padding.
bool meets(const Axis& axis, std::int64_t dilated) noexcept {
  return axis.input_dilation == 1 || dilated % axis.input_dilation == 0;
}

constexpr double largest = 1 << 28;  // steps along an axis
constexpr double most_padded = 128 << 10;

}  // namespace

bool suits(const Problem& problem) noexcept {
  if (problem.groups != 1 || problem.is_empty() || problem.samples == 0 || problem.features == 0) return false;
  const auto number = [](std::int64_t n) { return static_cast<double>(n); };
  double tap_rows = 1;
  for (std::size_t i = 0; i < axes; ++i) {
    const Axis& axis = problem.axis[i];
    if (axis.out == 0) return false;
    if (number(axis.taps) * number(axis.kernel_dilation) > largest ||
        number(axis.out) * number(axis.stride) > largest || number(axis.in) * number(axis.input_dilation) > largest ||
        number(axis.low) > largest || number(axis.low) < -largest)
      return false;
    if (i < 2) tap_rows *= number(axis.taps);
  }
  if (problem.axis[2].kernel_dilation != 1) tap_rows *= number(problem.axis[2].taps);
  if (tap_rows > most_runs || problem.axis[2].phases() > most_phases) return false;
  const Axis &depth = problem.axis[0], &height = problem.axis[1];
  return static_cast<double>(depth.taps * height.reach(1)) * static_cast<double>(PaddedRows(problem).row) <=
         most_padded;
}

Problem with_long_rows(const Problem& problem) noexcept {
  constexpr std::int64_t shortest = 42, longest = 512;
  std::int64_t pixels = problem.samples;
  for (const Axis& axis : problem.axis) {
    if (axis.taps != 1 || axis.stride != 1 || axis.low != 0 || axis.input_dilation != 1 || axis.in != axis.out)
      return problem;
    if (axis.out > longest || pixels > largest) return problem;
    pixels *= axis.out;
  }
  // Of the lengths that divide the pixels, the shortest one that is long.
  std::int64_t row = std::min(pixels, shortest);
  while (row < std::min(pixels, longest) && pixels % row != 0) ++row;
  if (pixels % row != 0 || row < problem.axis[2].out) return problem;
  Problem joined = problem;
  joined.samples = 1;
  joined.axis[0].in = joined.axis[0].out = 1;
  joined.axis[1].in = joined.axis[1].out = pixels / row;
  joined.axis[2].in = joined.axis[2].out = row;
  return joined;
}

std::int64_t band_of(const Problem& problem) noexcept {
  constexpr std::int64_t padded = 12 << 10, least_products = 1 << 18, least_pixels = 56;
  const auto& [depth, height, width] = problem.axis;
  const std::int64_t row = width.in * problem.channels;
  const std::int64_t products = std::max<std::int64_t>(
      depth.taps * height.taps * width.taps * problem.channels * problem.features * width.out, 1);
  const std::int64_t share = std::max({height.out * problem.samples * depth.out / wanted_tasks,
                                       least_products / products, ceil_divide(least_pixels, width.out)});
  const std::int64_t near = (padded / (row * depth.taps) - height.reach(1)) / height.stride;
  return std::clamp<std::int64_t>(std::min(share, near), 1, height.out);
}

namespace {

/// What the outputs need that lie in a row and see the same columns of taps.
struct Columns {
  Phase phase;
  std::int64_t weights;  // of all rows of taps, as an offset
  Cut wide, narrow;      // for whole panels of features, and for the halves
};

class Gathering {
 public:
  Gathering(const Problem& p, const Routines& r) noexcept
      : problem_(p), run_(r), panel_(2 * r.lanes), count_(std::min(p.axis[2].phases(), p.axis[2].out)) {
    const auto& [depth, height, width] = p.axis;
    for (std::int64_t q = 0; q < count_; ++q) {
      const Phase phase = phase_of(width, q, 0, width.out);
      columns_[static_cast<std::size_t>(q)] = {phase, panel_weights_, Cut(phase.out_count, r.most_wide_pixels),
                                               Cut(phase.out_count, r.most_narrow_pixels)};
      panel_weights_ += depth.taps * height.taps * phase.tap_count * p.channels * panel_;
      most_depth_ = std::max(most_depth_, depth.taps * height.taps * phase.tap_count * p.channels);
    }
    in_pairs_ = height.taps > 1 && height.stride == 1 && height.kernel_dilation == 1 && height.input_dilation == 1 &&
                most_depth_ <= chain_depth;
  }

  [[nodiscard]] std::int64_t panel() const noexcept { return panel_; }
  [[nodiscard]] std::int64_t panel_weights() const noexcept { return panel_weights_; }
  /// Chains that are added up, of the outputs that see most.
  [[nodiscard]] std::int64_t chains() const noexcept {
    return std::max<std::int64_t>(ceil_divide(most_depth_, chain_depth), 1);
  }

  /// The weights of the panel from feature `first` on, [columns][rows of taps][taps of these columns][channels][panel].
  void pack(const float* w, const KernelLayout& kernel, std::int64_t first, float* to) const noexcept {
    const std::int64_t channels = problem_.channels, features = std::min(panel_, problem_.features - first);
    for (std::int64_t q = 0; q < count_; ++q) {
      const Phase& phase = columns_[static_cast<std::size_t>(q)].phase;
      for (std::int64_t t0 = 0; t0 < problem_.axis[0].taps; ++t0) {
        for (std::int64_t t1 = 0; t1 < problem_.axis[1].taps; ++t1) {
          const float* from = w + kernel.first + t0 * kernel.tap[0] + t1 * kernel.tap[1] + first * kernel.feature;
          for (std::int64_t t = 0; t < phase.tap_count; ++t, to += channels * panel_) {
            pack_panel(from + (phase.first_tap + t * phase.tap_step) * kernel.tap[2], kernel.channel, channels,
                       kernel.feature, features, channels, panel_, to);
          }
        }
      }
    }
  }

  /// Adds chain `chain` to the rows [begin, end) of a plane of outputs, for the panels of [first, last). `planes` are
  /// the input's row 0 and column 0 under rows of taps along the first axis, null where these see none.
  void add(std::int64_t out0, std::int64_t begin, std::int64_t end, const float* const* planes, std::int64_t x_row,
           const float* weights, std::int64_t first, std::int64_t last, std::int64_t chain, float* y) const noexcept {
    const bool ends_narrow = problem_.features - (last - 1) * panel_ <= run_.lanes;
    const std::int64_t wide = ends_narrow && in_pairs_ ? last - 1 : last;
    for (std::int64_t q = 0; q < count_; ++q) {
      const Place place{columns_[static_cast<std::size_t>(q)], out0, planes, x_row, weights, chain, y};
      if (first < wide) add_rows(place, begin, end, first, wide, 1);
      if (wide == last) continue;
      const std::int64_t paired = begin + (end - begin) / 2 * 2;
      add_rows(place, begin, paired, wide, last, 2);
      add_rows(place, paired, end, wide, last, 1);
    }
  }

 private:
  /// Outputs of a plane.
  struct Place {
    const Columns& columns;
    std::int64_t out0;
    const float* const* planes;
    std::int64_t x_row;
    const float* weights;
    std::int64_t chain;
    float* y;
  };

  void add_rows(const Place& place, std::int64_t begin, std::int64_t end, std::int64_t first, std::int64_t last,
                std::int64_t rows_together) const noexcept {
    const auto& [depth, height, width] = problem_.axis;
    const Phase& phase = place.columns.phase;
    Run runs[2 * most_runs];
    Gathered gathered{.runs = runs,
                      .past = runs,
                      .x = 0,
                      .pixel_step = phase.in_per_out * problem_.channels,
                      .y_step = phase.out_step * problem_.features,
                      .y_row = rows_together > 1 ? width.out * problem_.features : 0,
                      .y = nullptr,
                      .panel = 0,
                      .features = 0,
                      .accumulate = place.chain > 0};
    std::int64_t first_seen = -1, last_seen = -1;  // rows of taps, counted from those of the first row
    for (std::int64_t out = begin; out < end; out += rows_together) {
      const std::int64_t above = height.low - out * height.stride;  // the input
      const std::int64_t first_tap = std::max<std::int64_t>(steps(above, height.kernel_dilation), 0);
      const std::int64_t last_tap =
          std::min(steps(height.in + above, height.kernel_dilation), height.taps + rows_together - 1);
      if (height.input_dilation == 1 && first_tap == first_seen && last_tap == last_seen) {
        gathered.x += rows_together * height.stride * place.x_row;  // as before, further down
      } else {
        gathered.x = 0;
        gathered.past = rows_together > 1 ? find_pairs(place, out, runs) : find(place, out, runs);
        first_seen = first_tap, last_seen = last_tap;
      }
      if (gathered.past == runs && place.chain > 0) continue;
      gathered.y = place.y + (out * width.out + phase.first_out) * problem_.features + first * panel_;
      gathered.panel = first * panel_weights_;
      for (std::int64_t p = first; p < last; ++p, gathered.panel += panel_weights_, gathered.y += panel_) {
        gathered.features = std::min(panel_, problem_.features - p * panel_);
        const bool narrow = gathered.features <= run_.lanes && rows_together == 1;
        run_.gather_row(gathered, narrow ? place.columns.narrow : place.columns.wide);
      }
    }
  }

  /// What the first outputs of two rows see, which have one chain each.
  Run* find_pairs(const Place& place, std::int64_t out1, Run* past) const noexcept {
    const auto& [depth, height, width] = problem_.axis;
    const Phase& phase = place.columns.phase;
    const std::int64_t channels = problem_.channels, of_tap_row = phase.tap_count * channels;
    const bool joined = phase.in_per_tap == 1;
    const std::int64_t runs_of_row = joined ? std::min<std::int64_t>(phase.tap_count, 1) : phase.tap_count;
    const std::int64_t length = joined ? of_tap_row : channels;
    for (std::int64_t t0 = 0; t0 < depth.taps; ++t0) {
      if (place.planes[t0] == nullptr) continue;
      for (std::int64_t t1 = 0; t1 <= height.taps; ++t1) {
        const std::int64_t row = out1 - height.low + t1;
        if (row < 0 || row >= height.in) continue;
        const float* const x = place.planes[t0] + row * place.x_row + phase.first_in * channels;
        const float* const w = place.weights + place.columns.weights + (t0 * height.taps + t1) * of_tap_row * panel_;
        for (std::int64_t t = 0; t < runs_of_row; ++t) {
          const float* const at = w + t * length * panel_;
          *past++ = {x + t * phase.in_per_tap * channels, t1 < height.taps ? at : nullptr,
                     t1 > 0 ? at - of_tap_row * panel_ : nullptr, length};
        }
      }
    }
    return past;
  }

  /// What the first output of a row sees in a chain; gives the end of its runs. Chains are cut where the taps that such
  /// outputs can see, padding included, fill them.
  Run* find(const Place& at_place, std::int64_t out1, Run* past) const noexcept {
    const auto& [columns, out0, planes, x_row, weights, chain, y] = at_place;
    const auto& [depth, height, width] = problem_.axis;
    const Phase& phase = columns.phase;
    const std::int64_t channels = problem_.channels, of_tap_row = phase.tap_count * channels;
    const bool joined = phase.in_per_tap == 1;
    const std::int64_t runs_of_row = joined ? std::min<std::int64_t>(phase.tap_count, 1) : phase.tap_count;
    const std::int64_t length = joined ? of_tap_row : channels;
    std::int64_t seen = -chain * chain_depth;
    for (std::int64_t t0 = 0; t0 < depth.taps; ++t0) {
      if (!meets(depth, out0 * depth.stride - depth.low + t0 * depth.kernel_dilation)) continue;
      std::int64_t place = out1 * height.stride - height.low;
      for (std::int64_t t1 = 0; t1 < height.taps; ++t1, place += height.kernel_dilation) {
        if (!meets(height, place)) continue;
        const std::int64_t before = seen;
        seen += of_tap_row;
        if (seen <= 0 || before >= chain_depth) continue;
        const std::int64_t row = input_place(height, place);
        if (row < 0 || planes[t0] == nullptr) continue;
        const float* const x = planes[t0] + row * x_row + phase.first_in * channels;
        const float* const w = weights + columns.weights + (t0 * height.taps + t1) * of_tap_row * panel_;
        for (std::int64_t t = 0; t < runs_of_row; ++t) {
          const std::int64_t at = before + t * length;
          const std::int64_t from = std::max<std::int64_t>(-at, 0), to = std::min(length, chain_depth - at);
          if (from < to)
            *past++ = {x + t * phase.in_per_tap * channels + from, w + (t * length + from) * panel_, nullptr,
                       to - from};
        }
      }
    }
    return past;
  }

  const Problem& problem_;
  const Routines& run_;
  std::int64_t panel_, panel_weights_ = 0, most_depth_ = 0, count_;
  std::array<Columns, most_phases> columns_;
  bool in_pairs_;  // rows of narrow panels
};

}  // namespace

bool gather(const Problem& whole, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept {
  if (!suits(whole)) return false;
  const Problem problem = with_long_rows(whole);
  const auto& [depth, height, width] = problem.axis;
  const std::int64_t channels = problem.channels, x_row = width.in * channels;
  const PaddedRows padded(problem);
  const Gathering gathering(problem, routines_of(executor.vectors()));
  const std::int64_t panels = ceil_divide(problem.features, gathering.panel());
  float* const weights = scratch_floats<Scratch::panels_weights>(panels * gathering.panel_weights());
  if (weights == nullptr) return false;
  constexpr std::int64_t few = 8 << 10;  // elements which are laid out sooner than handed out, and stay near
  const bool is_small = panels * gathering.panel_weights() <= few;
  executor.parallel_for(is_small ? 1 : panels, [&](std::int64_t task) {
    for (std::int64_t p = task; p < (is_small ? panels : task + 1); ++p)
      gathering.pack(w, kernel, p * gathering.panel(), weights + p * gathering.panel_weights());
  });

  const std::int64_t band = band_of(problem), bands = ceil_divide(height.out, band), reach = height.reach(band);
  const std::int64_t places = problem.samples * depth.out * bands;
  const std::int64_t groups = is_small ? 1 : std::clamp<std::int64_t>(wanted_tasks / places, 1, panels);
  // Few weights stay near for all rows; of others, those of a panel and a chain do.
  const std::int64_t chains = gathering.chains(), together = is_small && chains == 1 ? panels : 1;
  std::atomic<bool> complete = true;
  executor.parallel_for(places * groups, [&](std::int64_t task) {
    const std::int64_t group = task % groups, place = task / groups;
    const std::int64_t begin = place % bands * band, end = std::min(height.out, begin + band);
    const std::int64_t out0 = place / bands % depth.out, sample = place / bands / depth.out;
    const std::int64_t first_in = height.first_input(begin), last_in = height.last_input(end);
    float* memory = nullptr;
    if (padded.beside()) {
      memory = scratch_floats<Scratch::panels_rows>(depth.taps * reach * padded.row);
      if (memory == nullptr) {
        complete.store(false, std::memory_order_relaxed);
        return;
      }
    }
    const float* planes[most_runs];
    for (std::int64_t t = 0; t < depth.taps; ++t) {
      const std::int64_t plane = input_place(depth, out0 * depth.stride - depth.low + t * depth.kernel_dilation);
      planes[t] = nullptr;
      if (plane < 0) continue;
      planes[t] = x + (sample * depth.in + plane) * height.in * x_row;
      if (memory == nullptr) continue;
      float* const copy = memory + t * reach * padded.row;
      padded.copy<false>(planes[t], first_in, last_in + 1, copy);
      planes[t] = copy + padded.left * channels - first_in * padded.row;
    }
    const std::int64_t last_panel = (group + 1) * panels / groups;
    for (std::int64_t p = group * panels / groups; p < last_panel; p += together) {
      for (std::int64_t chain = 0; chain < chains; ++chain) {
        gathering.add(out0, begin, end, planes, memory == nullptr ? x_row : padded.row, weights, p,
                      std::min(last_panel, p + together), chain,
                      y + (sample * depth.out + out0) * height.out * width.out * problem.features);
      }
    }
  });
  return complete.load(std::memory_order_relaxed);
}

// ---- the kernel's gradient ----

namespace {

/// Rows of sums of one share, [taps][channels][features]; these go up to whole vectors of the widest.
std::int64_t sum_rows(const Problem& problem) noexcept {
  return problem.axis[0].taps * problem.axis[1].taps * problem.axis[2].taps * problem.channels;
}
std::int64_t sums_of_row(const Problem& problem) noexcept {
  return ceil_divide(problem.features, widest_vector) * widest_vector;
}

}  // namespace

bool suits_correlate(const Problem& problem) noexcept {
  constexpr double most_sums = 1024 << 10;
  if (!suits(problem)) return false;
  double sums = static_cast<double>(problem.channels) * static_cast<double>(problem.features + widest_vector);
  for (const Axis& axis : problem.axis) {
    if (axis.input_dilation != 1) return false;
    sums *= static_cast<double>(axis.taps);
  }
  return sums <= most_sums;
}

Blocks blocks_of(const Problem& problem) noexcept {
  constexpr std::int64_t pixels = 256, least_products = 1 << 19, fewest_tasks = 4;
  const auto& [depth, height, width] = problem.axis;
  Blocks blocks;
  blocks.rows = std::clamp<std::int64_t>(pixels / width.out, 1, height.out);
  blocks.per_sample = ceil_divide(height.out, blocks.rows);
  blocks.rows = ceil_divide(height.out, blocks.per_sample);
  if (blocks.per_sample == 1)
    blocks.samples = std::clamp<std::int64_t>(pixels / (height.out * width.out), 1, problem.samples);
  blocks.count = ceil_divide(problem.samples, blocks.samples) * depth.out * blocks.per_sample;
  const double products = static_cast<double>(sum_rows(problem) * problem.features) *
                          static_cast<double>(depth.out * height.out) *
                          static_cast<double>(width.out * problem.samples);
  const auto tasks = [&](std::int64_t most) {
    return static_cast<std::int64_t>(std::clamp(products / least_products, 1.0, static_cast<double>(most)));
  };
  blocks.shares = tasks(std::min(blocks.count, wanted_tasks));
  blocks.groups =
      std::min(ceil_divide(tasks(fewest_tasks), blocks.shares), ceil_divide(problem.features, widest_panel));
  return blocks;
}

bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept {
  if (!suits_correlate(problem)) return false;
  const Routines& run = routines_of(executor.vectors());
  const auto& [depth, height, width] = problem.axis;
  const std::int64_t channels = problem.channels, features = problem.features, panel = 2 * run.lanes;
  const std::int64_t sums_step = sums_of_row(problem), all_rows = sum_rows(problem), all_sums = all_rows * sums_step;
  const PaddedRows padded(problem);
  const bool is_padded = padded.beside() || height.low > 0 || height.last_input(height.out) >= height.in;
  const Blocks blocks = blocks_of(problem);
  float* const sums_of_shares = scratch_floats<Scratch::panels_sums>(blocks.shares * all_sums);
  if (sums_of_shares == nullptr) return false;

  // Rows of taps that meet the input from some output; the others add nothing but padding.
  const auto meets = [&](std::int64_t tap) {
    const std::int64_t above = height.low - tap * height.kernel_dilation;
    const std::int64_t first = std::max<std::int64_t>(ceil_divide(above, height.stride), 0);
    return first < std::min(height.out, ceil_divide(height.in + above, height.stride));
  };
  std::int64_t first_tap = 0, past_tap = height.taps;
  while (first_tap < past_tap && !meets(first_tap)) ++first_tap;
  while (past_tap > first_tap && !meets(past_tap - 1)) --past_tap;

  // Neighbouring elements under a row of taps, and rows of taps, are cut evenly into tiles.
  const bool joined = width.kernel_dilation == 1;
  const std::int64_t runs = joined ? 1 : width.taps, length = joined ? width.taps * channels : channels;
  const std::int64_t x_row = is_padded ? padded.row : width.in * channels;
  // Cotangents that many tiles pass over lie together; so do those that do not fill vectors.
  constexpr std::int64_t much_work = 84;
  const bool is_packed = features % run.lanes != 0 || depth.taps * height.taps * width.taps * channels >= much_work;
  std::atomic<bool> complete = true;
  executor.parallel_for(blocks.shares * blocks.groups, [&](std::int64_t task) {
    const std::int64_t share = task / blocks.groups, group = task % blocks.groups;
    const auto feature_of = [&](std::int64_t g) {
      return ceil_divide(features, widest_panel) * g / blocks.groups * widest_panel;
    };
    const std::int64_t first_feature = feature_of(group), past_feature = std::min(feature_of(group + 1), features);
    float* const sums = sums_of_shares + share * all_sums;
    if (blocks.groups == 1) {
      std::fill_n(sums, all_sums, 0.0F);
    } else {
      const std::int64_t past = std::min(feature_of(group + 1), sums_step);
      for (std::int64_t row = 0; row < all_rows; ++row)
        std::fill_n(sums + row * sums_step + first_feature, past - first_feature, 0.0F);
    }
    const std::int64_t reach = height.reach(blocks.rows);
    float* const memory =
        is_padded ? scratch_floats<Scratch::panels_rows>(blocks.samples * reach * padded.row) : nullptr;
    float* const packed =
        is_packed ? scratch_floats<Scratch::panels_cotangent>(blocks.samples * blocks.rows * width.out * panel)
                  : nullptr;
    if ((is_padded && memory == nullptr) || (is_packed && packed == nullptr)) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    for (std::int64_t b = share * blocks.count / blocks.shares; b < (share + 1) * blocks.count / blocks.shares; ++b) {
      const std::int64_t begin = b % blocks.per_sample * blocks.rows, end = std::min(height.out, begin + blocks.rows);
      const std::int64_t out0 = b / blocks.per_sample % depth.out;
      const std::int64_t sample = b / blocks.per_sample / depth.out * blocks.samples;
      const std::int64_t samples = std::min(blocks.samples, problem.samples - sample);
      const std::int64_t first_in = begin * height.stride - height.low;
      const std::int64_t x_plane = height.in * width.in * channels, dy_row = width.out * features;
      for (std::int64_t t0 = 0; t0 < depth.taps; ++t0) {
        const std::int64_t place = out0 * depth.stride - depth.low + t0 * depth.kernel_dilation;
        if (place < 0 || place >= depth.in) continue;
        // The input at its row 0 and column 0.
        const float* from = x + (sample * depth.in + place) * x_plane;
        if (is_padded) {
          const std::int64_t rows = height.last_input(end) + 1 - first_in;
          for (std::int64_t n = 0; n < samples; ++n)
            padded.copy<true>(from + n * depth.in * x_plane, first_in, first_in + rows,
                              memory + n * reach * padded.row);
          from = memory + padded.left * channels - first_in * padded.row;
        }
        from -= width.low * channels;
        for (std::int64_t first = first_feature; first < past_feature; first += panel) {
          const std::int64_t of_panel = std::min(panel, features - first);
          const bool narrow = of_panel <= run.lanes;
          const std::int64_t most = narrow ? run.most_narrow_sums : run.most_wide_sums;
          const Correlates& tiles = narrow ? run.narrow_correlates : run.wide_correlates;
          Correlated c{};
          c.samples = samples, c.pixels = width.out;
          c.x_sample = is_padded ? reach * padded.row : depth.in * x_plane;
          c.x_row = height.stride * x_row, c.x_pixel = width.stride * channels;
          c.x_tap_row = height.kernel_dilation * x_row;
          c.dy_sample = depth.out * height.out * dy_row, c.dy_row = dy_row, c.dy_pixel = features;
          c.sums_step = sums_step, c.sums_row = width.taps * channels * sums_step;
          const float* cotangents = dy + ((sample * depth.out + out0) * height.out + begin) * dy_row + first;
          if (is_packed) {
            const std::int64_t step = narrow ? run.lanes : panel, pixels = (end - begin) * width.out;
            for (std::int64_t n = 0; n < samples; ++n)
              run.pack(cotangents + n * c.dy_sample, features, pixels, of_panel, packed + n * pixels * step);
            cotangents = packed;
            c.dy_sample = pixels * step, c.dy_row = width.out * step, c.dy_pixel = step;
          }
          const std::int64_t together =
              std::clamp<std::int64_t>(most / length, 1, std::min(height.taps, most_tap_rows));
          const std::int64_t seen = past_tap - first_tap, groups = ceil_divide(seen, together),
                             pieces = ceil_divide(length, most);
          for (std::int64_t g = 0; g < groups; ++g) {
            const std::int64_t t1 = first_tap + g * seen / groups;
            const std::int64_t of_group = first_tap + (g + 1) * seen / groups - t1;
            const std::int64_t above = height.low - t1 * height.kernel_dilation;  // the input
            // Rows beyond the input are left out only where no instruction set takes rows of taps together: what is
            // not a number shows in the same sums everywhere.
            const bool alone = length > most_elements / 2;
            const std::int64_t first_row =
                alone && above > 0 ? std::max(begin, ceil_divide(above, height.stride)) : begin;
            const std::int64_t last_row = alone ? std::min(end, ceil_divide(height.in + above, height.stride)) : end;
            if (first_row >= last_row) continue;
            c.rows = last_row - first_row;
            c.ahead = g + 1 == groups ? c.dy_sample * (samples - 1) + c.dy_row * (end - begin) : 0;
            c.dy = cotangents + (first_row - begin) * c.dy_row;
            for (std::int64_t r = 0; r < runs; ++r) {
              for (std::int64_t p = 0; p < pieces; ++p) {
                const std::int64_t at = p * length / pieces, count = (p + 1) * length / pieces - at;
                c.x = from + (first_row * height.stride - above) * x_row + r * width.kernel_dilation * channels + at;
                c.sums =
                    sums + ((t0 * height.taps + t1) * width.taps * channels + r * channels + at) * sums_step + first;
                tiles[of_group - 1][count - 1](c);
              }
            }
          }
        }
      }
    }
  });
  if (!complete.load(std::memory_order_relaxed)) return false;

  constexpr std::int64_t stretch = 8 << 10;
  const std::int64_t rows_of_task = ceil_divide(stretch, sums_step);
  executor.parallel_for(ceil_divide(all_rows, rows_of_task), [&](std::int64_t task) {
    const std::int64_t first = task * rows_of_task, count = std::min(all_rows - first, rows_of_task);
    float* const sums = sums_of_shares + first * sums_step;
    for (std::int64_t share = 1; share < blocks.shares; ++share)
      run.add_up(sums + share * all_sums, count * sums_step, sums);
    for (std::int64_t row = 0; row < count; ++row)
      std::copy_n(sums + row * sums_step, features, dw + (first + row) * features);
  });
  return true;
}

}  // namespace linseed::kernels::cpu::direct
