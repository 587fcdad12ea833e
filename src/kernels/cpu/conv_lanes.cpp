#include "kernels/cpu/conv_lanes.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <utility>

#include "kernels/conv.hpp"
#include "kernels/cpu/offset_gemm.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/transpose.hpp"
#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu::lanes {

std::int64_t strip_height(const Problem& problem, Layout layout) noexcept {
  const Axis& axis = problem.axis[1];
  if (layout == Layout::lanes || problem.samples % kernels::lanes == 0) return axis.out;
  constexpr std::int64_t tallest = 256;
  const auto out = static_cast<std::uint32_t>(axis.out);  // which divides sooner
  double least = 0;
  std::int64_t best = axis.out;
  for (std::int64_t height = 1; height <= std::min(axis.out, tallest); ++height) {
    const auto rows = static_cast<std::uint32_t>(height);
    const double blocks = static_cast<double>(ceil_divide(problem.samples * ((out + rows - 1) / rows), kernels::lanes));
    // A row of outputs costs most, but each of the rows under it has to be laid out.
    const double cost = blocks * (static_cast<double>(height) + 0.1 * static_cast<double>(axis.reach(height)));
    if (height == 1 || cost < least) least = cost, best = height;
  }
  return best;
}

#if LINSEED_X86_TILES

namespace {

constexpr std::int64_t samples = kernels::lanes;  // side by side in a block

/// One row of output pixels of a block: x [rows][columns][channels][samples] and w give y [pixels][features][samples].
struct Row {
  const float* x;  // the row under the first row of taps
  const float* w;
  float* y;
  std::int64_t channels, features, pixels, taps, all_taps;
  std::int64_t columns, stride, low, dilation;      // along the row, as in Axis
  std::int64_t pixel_step, tap_step, tap_row_step;  // elements of x between pixels, taps and rows of taps
  std::int64_t first_tap, last_tap;                 // the rows of taps that meet the input
  std::int64_t first_inner, last_inner;             // the pixels whose taps all meet the input
};

/// How the results of a row are cut into tiles. Groups of features are as even as can be, the first ones wider by one;
/// so are the tiles, which cover the pixels of [begin, end).
struct RowPlan {
  std::int64_t groups = 0, group = 0, wider_groups = 0;
  std::int64_t begin = 0, end = 0, tiles = 0, narrow = 0, wider_tiles = 0;
  std::int64_t tiles_at_once = 1;
};

/// Whether all taps of so many pixels meet the input.
bool is_whole(const Row& row, std::int64_t pixel, std::int64_t pixels) noexcept {
  return pixel >= row.first_inner && pixel + pixels <= row.last_inner;
}

/// What a tile reads and where it goes. Steps and lengths are in elements.
struct Window {
  const float* x = nullptr;
  const float* w = nullptr;
  float* y = nullptr;
  std::int64_t pixel_step = 0, y_step = 0;
  std::int64_t rows = 0, x_row = 0, w_row = 0;      // of taps; weights have gaps between rows at edges only
  std::int64_t runs = 0, run_step = 0, length = 0;  // of neighbouring elements in a row
  std::int64_t left = 0, right = 0;                 // taps before and after these which some pixels do not see
};

/// The inputs and cotangents of a block: x as above, dy [rows][columns][features][samples].
struct Plane {
  const float* x;
  const float* dy;
  std::int64_t channels, features;
  std::int64_t rows, in_rows, row_taps, row_stride, row_low, row_dilation;
  std::int64_t columns, in_columns, taps, stride, low, dilation;
  bool first;  // the sums begin with it
};

/// So many steps cover the distance; a division takes as long as a row of taps.
constexpr std::int64_t steps(std::int64_t distance, std::int64_t step) noexcept {
  return step == 1 ? distance : ceil_divide(distance, step);
}

/// Some rows of a block's cotangents, for some features. Of the rows of the input under them, those from `in_first` to
/// `in_last` are still to be packed; those up to `in_next` are under the strip that follows.
struct Strip {
  std::int64_t feature, features, first, last;
  std::int64_t in_first, in_last, in_next;
};

constexpr std::int64_t strip_elements = 8 << 10;
/// So many rows that they stay in the nearest cache, with those of a channel under them; `pixel` elements of cotangents
/// lie at a pixel.
std::int64_t strip_rows(const Plane& plane, std::int64_t pixel, std::int64_t lanes) noexcept {
  const std::int64_t row = plane.columns * pixel + plane.row_stride * plane.in_columns * lanes;
  const std::int64_t strips = ceil_divide(plane.rows * row, strip_elements);
  return ceil_divide(plane.rows, strips);
}

/// So many of the `left` taps of a row are taken together.
constexpr std::int64_t most_taps_together = 5;
constexpr std::int64_t taps_together(std::int64_t taps, std::int64_t left) noexcept {
  if (taps % 5 == 0) return std::min<std::int64_t>(left, 5);
  if (taps % 3 == 0 || left < 4) return std::min<std::int64_t>(left, 3);
  return left > 9 || left % 4 == 0 || left % 4 == 3 ? 4 : 3;
}

/// Where a strip lies, and the elements between its pixels and between its features: of a vector's lanes alone if it is
/// packed, else of all samples.
struct Cotangents {
  bool packed;
  const float* at;
  std::int64_t step, feature_step;
};

/// Memory that is fetched in portions, while something else is done.
struct Fetch {
  const float* at = nullptr;
  std::int64_t step = 0, left = 0, portion = 0;  // elements, and lines of the cache

  void next() noexcept {
    for (std::int64_t i = std::min(portion, left); i > 0; --i, --left, at += step) __builtin_prefetch(at);
  }
};

/// How a tile of `taps` taps from `kx` on goes along a row: first come pixels that see only the last of them, then more
/// and more of them, then all, and in the end again fewer.
struct Course {
  std::int64_t first;                  // pixel that sees any of the taps
  std::int64_t inner;                  // so many see all; negative if some see only taps between
  std::int64_t lefts = 0, rights = 0;  // so many come before and after these
  std::int64_t left[most_taps_together] = {},
               right[most_taps_together] = {};  // of which these see all but, or only, the first [t] taps
  std::int64_t pixel_step = 0, tap_step = 0, dy_step = 0, feature_step = 0, x_row = 0, dy_row = 0,
               sum_step = 0;  // elements
  bool begins = false;        // the sums, which are not there yet

  Course(const Plane& plane, std::int64_t kx, std::int64_t taps) noexcept {
    const auto meets = [&](std::int64_t column, std::int64_t tap) {  // the first pixel under which the tap reaches it
      return std::clamp<std::int64_t>(steps(column + plane.low - (kx + tap) * plane.dilation, plane.stride), 0,
                                      plane.columns);
    };
    for (std::int64_t t = 1; t < taps; ++t) {
      lefts += left[t] = meets(0, t - 1) - meets(0, t);
      rights += right[t] = meets(plane.in_columns, t - 1) - meets(plane.in_columns, t);
    }
    first = meets(0, taps - 1);
    inner = meets(plane.in_columns, taps - 1) - meets(0, 0);
  }
};

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
constexpr std::int64_t vector_lanes = vectors::avx2::lanes;
constexpr int most_features = 8, features_of_taps[] = {0, 8, 6, 4, 3, 2};  // of tiles of a kernel's gradient
constexpr int most_gathered = 6, most_pixels = 7;                          // of other tiles
constexpr std::int64_t pixels_of_features[] = {0, 7, 5, 3, 3, 2, 2};
/// A loop that takes several elements keeps multiply-adds waiting less, if a register is left over.
constexpr int unroll_of(int features, int pixels) noexcept { return features >= 5 && pixels == 2 ? 5 : 1; }
#include "kernels/cpu/lane_tiles.inc"

#include "kernels/cpu/conv_lanes_tile.inc"

inline Vector add_halves(const float* sums) noexcept { return add(load(sums), load(sums + vector_lanes)); }
/// The lanes of a and of b, each added in pairs that are four, two and one apart; the halves of the result are of a
/// and b, then neighbours are.
inline Vector add_halves(Vector a, Vector b) noexcept {
  return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
inline Vector add_quarters(Vector a, Vector b) noexcept {
  return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xEE));
}
inline Vector add_neighbours(Vector a, Vector b) noexcept {
  return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xDD));
}

/// As declared in the header.
void add_lanes(const float* sums, std::int64_t count, float* to) noexcept {
  std::int64_t i = 0;
  for (; i + 8 <= count; i += 8, sums += 8 * samples) {
    Vector four[4];
    for (std::int64_t k = 0; k < 4; ++k)
      four[k] = add_halves(add_halves(sums + k * samples), add_halves(sums + (k + 4) * samples));
    const Vector sum = add_neighbours(add_quarters(four[0], four[1]), add_quarters(four[2], four[3]));
    store(to + i, add(load(to + i), sum));
  }
  for (; i < count; ++i, sums += samples) {
    const Vector half = add_halves(sums), four = add_halves(half, half), two = add_quarters(four, four);
    to[i] += _mm256_cvtss_f32(add_neighbours(two, two));
  }
}
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;
constexpr std::int64_t vector_lanes = vectors::avx512::lanes;
constexpr int most_features = 8, features_of_taps[] = {0, 8, 8, 6, 6, 4};
constexpr int most_gathered = 8, most_pixels = 8;
constexpr std::int64_t pixels_of_features[] = {0, 8, 8, 7, 5, 4, 4, 3, 3};
constexpr int unroll_of(int, int) noexcept { return 1; }
#include "kernels/cpu/lane_tiles.inc"

#include "kernels/cpu/conv_lanes_tile.inc"
}  // namespace avx512
#pragma GCC pop_options

/// One pointer for each sample of a block.
using Rows = const float* [samples];

/// What stands for the samples in a block. Where samples do not fill blocks, they are strips of rows of an image, with
/// the rows above and below that their windows see; these are then part of the input, and the padding is zeros there.
class Strips {
 public:
  Strips(const Problem& p, Layout layout) noexcept : whole_(p), height_(strip_height(p, layout)) {
    const Axis& axis = p.axis[1];
    per_sample_ = ceil_divide(axis.out, height_);
    block_ = p;
    block_.samples = p.samples * per_sample_;
    if (per_sample_ > 1) {
      block_.axis[1].out = height_;
      block_.axis[1].in = axis.reach(height_);
      block_.axis[1].low = 0;
    }
  }

  /// The convolution of all strips as samples.
  [[nodiscard]] const Problem& problem() const noexcept { return block_; }

  /// Row `row` of the inputs of the 16 strips from `first` on; `zeros` where there is none.
  void input_rows(const float* x, std::int64_t first, std::int64_t row, const float* zeros, Rows& rows) const noexcept {
    const Axis& axis = whole_.axis[1];
    const std::int64_t length = whole_.axis[2].in * whole_.channels;
    for (std::int64_t n = 0; n < samples; ++n) {
      const std::int64_t sample = (first + n) / per_sample_, strip = (first + n) % per_sample_;
      const std::int64_t at = per_sample_ > 1 ? strip * height_ * axis.stride - axis.low + row : row;
      rows[n] = sample < whole_.samples && at >= 0 && at < axis.in ? x + (sample * axis.in + at) * length : zeros;
    }
  }
  /// The same for outputs; null where there is none.
  template <class T>
  void output_rows(T* y, std::int64_t first, std::int64_t row, T* (&rows)[samples]) const noexcept {
    const Axis& axis = whole_.axis[1];
    const std::int64_t length = whole_.axis[2].out * whole_.features;
    for (std::int64_t n = 0; n < samples; ++n) {
      const std::int64_t sample = (first + n) / per_sample_, at = (first + n) % per_sample_ * height_ + row;
      rows[n] = sample < whole_.samples && at < axis.out ? y + (sample * axis.out + at) * length : nullptr;
    }
  }

 private:
  const Problem& whole_;
  std::int64_t height_, per_sample_ = 1;
  Problem block_;
};

/// Elements of a block's input, of a row of its output, and of the kernel.
struct Sizes {
  std::int64_t input, row, kernel;

  explicit Sizes(const Problem& problem) noexcept
      : input(problem.axis[1].in * problem.axis[2].in * problem.channels * samples),
        row(problem.axis[2].out * problem.features * samples),
        kernel(problem.axis[1].taps * problem.axis[2].taps * problem.channels * problem.features) {}
};

}  // namespace

bool suits(const Problem& problem, VectorSet set) noexcept {
  constexpr double largest_extent = 1 << 20, most_elements = 1 << 22;  // of a block, in memory
  if (set == VectorSet::portable || problem.groups != 1 || problem.is_empty()) return false;
  const Axis& first = problem.axis[0];
  if (first.out != 1 || first.in != 1 || first.taps != 1 || first.low != 0) return false;
  double kernel = static_cast<double>(problem.channels) * static_cast<double>(problem.features);
  for (const Axis& axis : problem.axis) {
    if (axis.input_dilation != 1 || axis.low < 0) return false;
    const double reach = static_cast<double>(axis.taps) * static_cast<double>(axis.kernel_dilation) +
                         static_cast<double>(axis.out) * static_cast<double>(axis.stride);
    if (static_cast<double>(axis.in) + reach > largest_extent) return false;
    kernel *= static_cast<double>(axis.taps);
  }
  const Axis &height = problem.axis[1], &width = problem.axis[2];
  const std::int64_t rows = strip_height(problem, Layout::ordinary);
  const double input = static_cast<double>(rows < height.out ? height.reach(rows) : height.in) *
                       static_cast<double>(width.in) * static_cast<double>(problem.channels);
  const double output = static_cast<double>(rows * width.out) * static_cast<double>(problem.features);
  return static_cast<double>(samples) * std::max({input, output, kernel}) <= most_elements;
}

namespace {

bool has_no_outputs(const Problem& problem) noexcept {
  return problem.samples == 0 || problem.features == 0 || problem.axis[1].out == 0 || problem.axis[2].out == 0;
}

/// Rows of the ordinary input of the block from sample or strip `first` on, in lanes.
void convert_rows(const Strips& strips, const float* x, std::int64_t first, std::int64_t begin, std::int64_t end,
                  const float* zeros, float* to, VectorSet set) noexcept {
  const Problem& problem = strips.problem();
  const std::int64_t row = problem.axis[2].in * problem.channels;
  for (std::int64_t i = begin; i < end; ++i) {
    Rows rows;
    strips.input_rows(x, first, i, zeros, rows);
    copy_transposed(rows, to + i * row * samples, row, samples, set);
  }
}

/// The input of the block from sample or strip `first` on: where it is if samples lie in lanes, else in `to`.
const float* load_input(const Strips& strips, Layout layout, const float* x, std::int64_t first, const float* zeros,
                        float* to, VectorSet set) noexcept {
  const Problem& problem = strips.problem();
  const Axis& height = problem.axis[1];
  if (layout == Layout::lanes) return x + first * height.in * problem.axis[2].in * problem.channels;
  convert_rows(strips, x, first, 0, height.in, zeros, to, set);
  return to;
}

/// So many rows of a block's results are a task: fewer than all where there are not enough blocks, but none that take
/// less time than it takes to hand them out, nor so many blocks that their inputs together are large.
std::int64_t rows_of_task(const Problem& problem, const Sizes& sizes, std::int64_t blocks) noexcept {
  constexpr std::int64_t enough = 8, least_products = 1 << 19, most_elements = 1 << 20;
  const std::int64_t rows = problem.axis[1].out;
  if (blocks >= enough || blocks * sizes.input > most_elements) return rows;
  const std::int64_t products = samples * problem.axis[2].out * sizes.kernel;  // in a row
  return std::clamp(ceil_divide(least_products, products), ceil_divide(rows, ceil_divide(enough, blocks)), rows);
}

/// The kernel as [groups][taps][taps][channels][features of the group].
void pack_weights(const Problem& problem, const float* w, const KernelLayout& kernel, const RowPlan& plan,
                  float* to) noexcept {
  for (std::int64_t group = 0, feature = 0, features; group < plan.groups; ++group, feature += features) {
    features = plan.group + (group < plan.wider_groups);
    for (std::int64_t ky = 0; ky < problem.axis[1].taps; ++ky) {
      for (std::int64_t kx = 0; kx < problem.axis[2].taps; ++kx, to += problem.channels * features) {
        const float* const from = w + kernel.first + ky * kernel.tap[1] + kx * kernel.tap[2] + feature * kernel.feature;
        if (kernel.feature == 1) {
          for (std::int64_t c = 0; c < problem.channels; ++c)
            std::copy_n(from + c * kernel.channel, features, to + c * features);
        } else {
          for (std::int64_t o = 0; o < features; ++o) {
            for (std::int64_t c = 0; c < problem.channels; ++c)
              to[c * features + o] = from[c * kernel.channel + o * kernel.feature];
          }
        }
      }
    }
  }
}

}  // namespace

void add_lanes(const float* sums, std::int64_t count, float* to) noexcept { avx2::add_lanes(sums, count, to); }

bool gather(const Problem& whole, Layout layout, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept {
  if (!suits(whole, executor.vectors())) return false;
  if (has_no_outputs(whole)) return true;
  const Strips strips(whole, layout);
  const Problem& problem = strips.problem();
  const Sizes sizes(problem);
  const auto& [depth, height, width] = problem.axis;
  const bool wide = executor.vectors() == VectorSet::avx512;
  const std::int64_t y_row = width.out * problem.features, y_sample = height.out * y_row;
  const std::int64_t x_row = width.in * problem.channels;
  float* const zeros = scratch_floats<Scratch::lanes_weights>(x_row + sizes.kernel);
  if (zeros == nullptr) return false;
  float* const weights = zeros + x_row;
  std::fill_n(zeros, x_row, 0.0F);
  const Row any_row{
      .x = nullptr,
      .w = weights,
      .y = nullptr,
      .channels = problem.channels,
      .features = problem.features,
      .pixels = width.out,
      .taps = width.taps,
      .all_taps = height.taps * width.taps,
      .columns = width.in,
      .stride = width.stride,
      .low = width.low,
      .dilation = width.kernel_dilation,
      .pixel_step = width.stride * problem.channels * samples,
      .tap_step = width.kernel_dilation * problem.channels * samples,
      .tap_row_step = height.kernel_dilation * x_row * samples,
      .first_tap = 0,
      .last_tap = 0,
      .first_inner = ceil_divide(width.low, width.stride),
      .last_inner = ceil_divide(width.in + width.low - (width.taps - 1) * width.kernel_dilation, width.stride)};
  const RowPlan plan = (wide ? avx512::plan_row : avx2::plan_row)(any_row);
  pack_weights(problem, w, kernel, plan, weights);
  std::atomic<bool> complete = true;

  const std::int64_t blocks = ceil_divide(problem.samples, samples);
  const std::int64_t task_rows = rows_of_task(problem, sizes, blocks), parts = ceil_divide(height.out, task_rows);
  float* shared = nullptr;  // inputs of blocks which are several tasks each
  if (layout == Layout::ordinary && parts > 1) {
    shared = scratch_floats<Scratch::lanes_input>(blocks * sizes.input);
    if (shared == nullptr) return false;
    executor.parallel_for(blocks * parts, [&](std::int64_t task) {
      const std::int64_t block = task / parts, part = task % parts;
      convert_rows(strips, x, block * samples, part * height.in / parts, (part + 1) * height.in / parts, zeros,
                   shared + block * sizes.input, executor.vectors());
    });
  }

  executor.parallel_for(blocks * parts, [&](std::int64_t task) {
    const std::int64_t block = task / parts, first = block * samples, begin = task % parts * task_rows;
    float* input = shared != nullptr ? shared + block * sizes.input : scratch_floats<Scratch::lanes_input>(sizes.input);
    float* rows = scratch_floats<Scratch::lanes_rows>(sizes.row);
    if (input == nullptr || rows == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    const float* const under =
        shared != nullptr ? input : load_input(strips, layout, x, first, zeros, input, executor.vectors());
    float* const block_y = y + first * y_sample;
    for (std::int64_t out = begin; out < std::min(height.out, begin + task_rows); ++out) {
      const std::int64_t origin = out * height.stride - height.low;  // the input row under the first row of taps
      const std::int64_t first_tap =
          std::clamp<std::int64_t>(ceil_divide(-origin, height.kernel_dilation), 0, height.taps);
      const std::int64_t last_tap =
          std::clamp<std::int64_t>(ceil_divide(height.in - origin, height.kernel_dilation), first_tap, height.taps);
      Row row = any_row;
      row.x = under + origin * x_row * samples;
      row.y = layout == Layout::lanes ? block_y + out * y_row * samples : rows;
      row.first_tap = first_tap;
      row.last_tap = last_tap;
      (wide ? avx512::gather_row : avx2::gather_row)(row, plan);
      if (layout == Layout::ordinary) {
        float* results[samples];
        strips.output_rows(y, first, out, results);
        copy_transposed(rows, results, samples, y_row, executor.vectors());
      }
    }
  });
  return complete.load(std::memory_order_relaxed);
}

bool correlate(const Problem& whole, Layout layout, const float* x, const float* dy, float* dw,
               const Executor& executor) noexcept {
  if (!suits(whole, executor.vectors())) return false;
  if (has_no_outputs(whole)) {
    std::fill_n(dw, Sizes(whole).kernel, 0.0F);
    return true;
  }
  constexpr std::int64_t most_partials = 32, affordable = 1 << 18;  // elements
  const Strips strips(whole, layout);
  const Problem& problem = strips.problem();
  const Sizes sizes(problem);
  const auto& [depth, height, width] = problem.axis;
  const bool wide = executor.vectors() == VectorSet::avx512;
  const std::int64_t blocks = ceil_divide(problem.samples, samples);
  const std::int64_t partials = std::clamp<std::int64_t>(affordable / sizes.kernel, 1, std::min(blocks, most_partials));
  const std::int64_t dy_row = width.out * problem.features, dy_sample = height.out * dy_row;
  const std::int64_t longest_row = std::max({width.in * problem.channels, dy_row, samples});
  float* const others = scratch_floats<Scratch::conv_partials>((partials - 1) * sizes.kernel);
  float* const zeros = scratch_floats<Scratch::lanes_weights>(longest_row);
  if (others == nullptr || zeros == nullptr) return false;
  std::fill_n(zeros, longest_row, 0.0F);
  std::atomic<bool> complete = true;

  executor.parallel_for(partials, [&](std::int64_t partial) {
    float* input = scratch_floats<Scratch::lanes_input>(sizes.input);
    float* cotangent = scratch_floats<Scratch::lanes_cotangent>(dy_sample * samples);
    const std::int64_t packed = sizes.input + strip_elements + width.out * avx512::most_features * samples;
    float* lane_sums = scratch_floats<Scratch::lanes_rows>(packed + sizes.kernel * samples);
    if (input == nullptr || cotangent == nullptr || lane_sums == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    float* sums = partial == 0 ? dw : others + (partial - 1) * sizes.kernel;
    std::fill_n(sums, sizes.kernel, 0.0F);
    const std::int64_t begin = partial * blocks / partials, end = (partial + 1) * blocks / partials;
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * samples;
      for (std::int64_t out = 0; layout == Layout::ordinary && out < height.out; ++out) {
        Rows rows;
        strips.output_rows(dy, first, out, rows);
        std::replace(std::begin(rows), std::end(rows), static_cast<const float*>(nullptr),
                     static_cast<const float*>(zeros));
        copy_transposed(rows, cotangent + out * dy_row * samples, dy_row, samples, executor.vectors());
      }
      const Plane plane{.x = load_input(strips, layout, x, first, zeros, input, executor.vectors()),
                        .dy = layout == Layout::lanes ? dy + first * dy_sample : cotangent,
                        .channels = problem.channels,
                        .features = problem.features,
                        .rows = height.out,
                        .in_rows = height.in,
                        .row_taps = height.taps,
                        .row_stride = height.stride,
                        .row_low = height.low,
                        .row_dilation = height.kernel_dilation,
                        .columns = width.out,
                        .in_columns = width.in,
                        .taps = width.taps,
                        .stride = width.stride,
                        .low = width.low,
                        .dilation = width.kernel_dilation,
                        .first = block == begin};
      (wide ? avx512::correlate_plane : avx2::correlate_plane)(plane, lane_sums + sizes.kernel * samples, lane_sums);
    }
    add_lanes(lane_sums, sizes.kernel, sums);
  });
  if (!complete.load(std::memory_order_relaxed)) return false;
  for (std::int64_t partial = 0; partial + 1 < partials; ++partial) {
    for (std::int64_t i = 0; i < sizes.kernel; ++i) dw[i] += others[partial * sizes.kernel + i];
  }
  return true;
}

#else

bool suits(const Problem&, VectorSet) noexcept { return false; }
void add_lanes(const float*, std::int64_t, float*) noexcept {}
bool gather(const Problem&, Layout, const float*, const float*, const KernelLayout&, float*, const Executor&) noexcept {
  return false;
}
bool correlate(const Problem&, Layout, const float*, const float*, float*, const Executor&) noexcept { return false; }

#endif

}  // namespace linseed::kernels::cpu::lanes
