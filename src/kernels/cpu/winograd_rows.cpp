#include "kernels/cpu/winograd_rows.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "kernels/conv.hpp"
#include "kernels/cpu/conv_lanes.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/vectors.hpp"

namespace linseed::kernels::cpu::winograd_rows {

#if LINSEED_X86_TILES

namespace {

constexpr std::int64_t samples = kernels::lanes;  // side by side in a block
constexpr std::int64_t outputs = 4;               // of a tile
constexpr std::int64_t most_row_taps = 16;        // rows of taps
constexpr std::int64_t most_strip = 64;           // rows of cotangents taken together

/// A range in parts as even as can be, the first ones longer by one.
struct Cut {
  std::int64_t all = 0, parts = 1;

  template <class Use>
  void each(const Use& use) const noexcept {
    for (std::int64_t part = 0, begin = 0, count; part < parts; ++part, begin += count) {
      count = all / parts + (part < all % parts);
      use(begin, count);
    }
  }
};

/// Pixels [columns][channels][samples], of which the first tile begins `low` before the first.
struct PixelRow {
  const float* at;
  const float* zeros;  // stand for a pixel outside
  std::int64_t columns, low;
};

/// Rows of pixels at the points, for each vector of the samples: [point][slot][tile][channel].
struct Store {
  std::int64_t slots, tiles, channels;

  [[nodiscard]] std::int64_t elements(std::int64_t points) const noexcept {
    return points * (slots * tiles * channels + 2) * samples;
  }
};

/// What the sums of a row of outputs are made of: rows of the input under rows of taps, and the weights at the points.
struct Products {
  Store input;
  const float* values;
  const std::int64_t* slot;
  std::int64_t rows;
  const float* w;  // of the first of these rows of taps
  std::int64_t w_plane, w_row, channel_step, feature_step;
};

/// The rows of a strip whose cotangents see the input through one row of taps, and the rows of the input there.
struct StripRows {
  std::int64_t first = 0, count = 0;
  std::int64_t slot[most_strip] = {};
};

/// Rows of cotangents at the points, and the input under them.
struct Strip {
  Store input, cotangent;
  const float* x;
  const float* dy;
  const StripRows* under;  // rows of taps
  std::int64_t taps;
  bool first;  // the sums begin with it
};

/// What is compiled for each instruction set and length of a row of taps.
struct Routines {
  void (*transform_input)(const PixelRow&, const Store&, std::int64_t slot, float* to) noexcept;
  void (*transform_cotangent)(const PixelRow&, const Store&, std::int64_t slot, float* to) noexcept;
  void (*transform_weights)(const float* w, std::int64_t tap, std::int64_t count, float* to,
                            std::int64_t plane) noexcept;
  void (*transform_gradient)(const float* from, std::int64_t plane, std::int64_t count, float* dw,
                             std::int64_t tap) noexcept;
  std::pair<Cut, Cut> (*cut)(std::int64_t features, std::int64_t tiles) noexcept;
  void (*gather_row)(const Products&, const Cut& features, const Cut& tiles, std::int64_t pixels, float* sums,
                     float* y) noexcept;
  void (*correlate_strip)(const Strip&, float* sums) noexcept;
};

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
constexpr std::int64_t vector_lanes = vectors::avx2::lanes;
constexpr int most_features = 6, most_tiles = 7;
constexpr std::int64_t tiles_of_features[] = {0, 7, 5, 3, 3, 2, 2};
constexpr int most_outer_channels = 3, most_outer_features = 4;
#include "kernels/cpu/lane_tiles.inc"
#include "kernels/cpu/winograd_points.inc"
#include "kernels/cpu/winograd_rows_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using namespace vectors::avx512;
constexpr std::int64_t vector_lanes = vectors::avx512::lanes;
constexpr int most_features = 8, most_tiles = 8;
constexpr std::int64_t tiles_of_features[] = {0, 8, 8, 7, 5, 4, 4, 3, 3};
constexpr int most_outer_channels = 6, most_outer_features = 4;
#include "kernels/cpu/lane_tiles.inc"
#include "kernels/cpu/winograd_points.inc"
#include "kernels/cpu/winograd_rows_tile.inc"
}  // namespace avx512
#pragma GCC pop_options

const Routines& routines_of(std::int64_t taps, VectorSet set) noexcept {
  if (set == VectorSet::avx512) return taps == 3 ? avx512::routines<3> : avx512::routines<5>;
  return taps == 3 ? avx2::routines<3> : avx2::routines<5>;
}

/// How a convolution is cut, and elements of its parts.
struct Sizes {
  std::int64_t points, tiles;
  std::int64_t reach;           // rows of the input under a row of outputs
  std::int64_t x_row, y_row;    // of pixels
  std::int64_t weights, plane;  // of a tap, of all rows of taps at a point

  explicit Sizes(const Problem& p) noexcept
      : points(p.axis[2].taps + outputs - 1),
        tiles(ceil_divide(p.axis[2].out, outputs)),
        reach((p.axis[1].taps - 1) * p.axis[1].kernel_dilation + 1),
        x_row(p.axis[2].in * p.channels * samples),
        y_row(p.axis[2].out * p.features * samples),
        weights(p.channels * p.features),
        plane(p.axis[1].taps * weights) {}
};

constexpr std::int64_t longest_pixel = 4096;  // elements
alignas(64) constexpr float zero_pixel[longest_pixel] = {};

/// The latest rows of a block's input, at the points.
class Values {
 public:
  Values(const Problem& problem, const Routines& run, const Store& store, const float* x, float* memory) noexcept
      : problem_(problem), run_(run), store_(store), x_(x), memory_(memory) {}

  [[nodiscard]] std::int64_t slot(std::int64_t row) const noexcept { return row % store_.slots; }
  /// Has the rows of [first, last] ready that exist, no more than there are slots.
  void require(std::int64_t first, std::int64_t last) noexcept {
    const Axis& width = problem_.axis[2];
    next_ = std::max(next_, first);
    for (; next_ <= std::min(last, problem_.axis[1].in - 1); ++next_) {
      const float* const at = x_ + next_ * width.in * problem_.channels * samples;
      run_.transform_input({.at = at, .zeros = zero_pixel, .columns = width.in, .low = width.low}, store_, slot(next_),
                           memory_);
    }
  }

 private:
  const Problem& problem_;
  const Routines& run_;
  const Store& store_;
  const float* x_;
  float* memory_;
  std::int64_t next_ = 0;
};

}  // namespace

bool fits(const Problem& problem, VectorSet set) noexcept {
  constexpr std::int64_t most_elements = 1 << 20;
  const auto& [depth, height, width] = problem.axis;
  if (!lanes::suits(problem, set) || problem.samples * problem.features * height.out * width.out == 0) return false;
  if ((width.taps != 3 && width.taps != 5) || width.stride != 1 || width.kernel_dilation != 1) return false;
  if (height.taps > most_row_taps || std::max(problem.channels, problem.features) * samples > longest_pixel)
    return false;
  const Sizes sizes(problem);
  const std::int64_t pixels = std::max(sizes.reach * problem.channels, problem.features);
  return sizes.points * sizes.tiles * pixels * samples <= most_elements &&
         sizes.points * sizes.plane * samples <= most_elements;
}

std::int64_t flops(const Problem& problem) noexcept {
  const Sizes sizes(problem);
  return 2 * problem.samples * problem.axis[1].out * sizes.tiles * sizes.points * sizes.plane;
}

namespace {

/// Vector operations of a block of samples: for each vector of the input and of the output those of its transform, of
/// the products, and for each sum over the pixels those that carry it from strip to strip and into the result.
struct Work {
  double input, output, products, sums = 0;
};
double operator*(const Work& a, const Work& b) noexcept {
  return a.input * b.input + a.output * b.output + a.products * b.products + a.sums * b.sums;
}

/// How often a block does each of them, by tiles and by plain sums.
struct Counts {
  Work tiles, plain;

  explicit Counts(const Problem& problem) noexcept {
    const Sizes sizes(problem);
    const auto number = [](std::int64_t value) { return static_cast<double>(value); };
    const auto& [depth, height, width] = problem.axis;
    const double rows = number(height.out), in_rows = number(std::min(height.in, height.reach(height.out)));
    const double tiles_in_row = number(sizes.tiles);
    tiles = {.input = in_rows * tiles_in_row * number(problem.channels),
             .output = rows * tiles_in_row * number(problem.features),
             .products = rows * tiles_in_row * number(sizes.points * sizes.plane),
             .sums = number(sizes.points * sizes.plane)};
    plain = {.input = 0,
             .output = 0,
             .products = rows * number(width.out * width.taps * sizes.plane),
             .sums = number(width.taps * sizes.plane)};
  }
};

}  // namespace

double relative_cost(const Problem& problem, bool sums) noexcept {
  const Counts counts(problem);
  if (!sums) {
    constexpr Work work{.input = 40, .output = 45, .products = 1};
    return counts.tiles * work / (counts.plain * work);
  }
  constexpr double hidden = 8;  // so many sums at a time do not wait for each other
  const auto at_a_time =
      static_cast<double>(std::min<std::int64_t>(problem.channels, 3) * std::min<std::int64_t>(problem.features, 4));
  const Work plain{.input = 0, .output = 0, .products = 1, .sums = 10};
  const Work tiles{.input = 40, .output = 25, .products = std::max(hidden / at_a_time, 1.0), .sums = 10};
  return counts.tiles * tiles / (counts.plain * plain);
}

bool pays(const Problem& problem, bool sums) noexcept {
  const double advantage = sums ? 1.3 : 1.2;
  return relative_cost(problem, sums) * advantage < 1;
}

namespace {

/// So many rows of a block's results are a task, which does not show in them: fewer than all where several threads have
/// not enough blocks, but none that take less time than it takes to hand them out, or to transform the rows of the
/// input that the task before has, too.
std::int64_t rows_of_task(const Problem& problem, const Sizes& sizes, std::int64_t blocks, int threads) noexcept {
  constexpr std::int64_t enough = 8, least_products = 1 << 19;
  const std::int64_t rows = problem.axis[1].out;
  if (threads == 1 || blocks >= enough) return rows;
  const std::int64_t products = samples * sizes.tiles * sizes.points * sizes.plane;  // in a row
  const std::int64_t least = std::max(ceil_divide(least_products, products), 2 * sizes.reach);
  return std::min(std::max(least, ceil_divide(rows, ceil_divide(enough, blocks))), rows);
}

}  // namespace

bool gather(const Problem& problem, const float* x, const float* w, const KernelLayout& kernel, float* y,
            const Executor& executor) noexcept {
  if (!fits(problem, executor.vectors())) return false;
  const auto& [depth, height, width] = problem.axis;
  const Sizes sizes(problem);
  const Routines& run = routines_of(width.taps, executor.vectors());
  float* const weights = scratch_floats<Scratch::lanes_weights>(sizes.points * sizes.plane);
  if (weights == nullptr) return false;
  for (std::int64_t ky = 0; ky < height.taps; ++ky) {
    run.transform_weights(w + kernel.first + ky * kernel.tap[1], kernel.tap[2], sizes.weights,
                          weights + ky * sizes.weights, sizes.plane);
  }
  const auto [features, tiles] = run.cut(problem.features, sizes.tiles);
  const Store store{sizes.reach, sizes.tiles, problem.channels};
  const std::int64_t blocks = problem.samples / samples;
  const std::int64_t task_rows = rows_of_task(problem, sizes, blocks, executor.threads());
  const std::int64_t parts = ceil_divide(height.out, task_rows);
  std::atomic<bool> complete = true;
  executor.parallel_for(blocks * parts, [&](std::int64_t task) {
    const std::int64_t block = task / parts, begin = task % parts * task_rows;
    float* const memory = scratch_floats<Scratch::lanes_input>(store.elements(sizes.points));
    float* const sums = scratch_floats<Scratch::lanes_rows>(sizes.points * sizes.tiles * problem.features * samples);
    if (memory == nullptr || sums == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    Values values(problem, run, store, x + block * height.in * sizes.x_row, memory);
    for (std::int64_t out = begin; out < std::min(height.out, begin + task_rows); ++out) {
      const std::int64_t origin = out * height.stride - height.low;
      values.require(std::max<std::int64_t>(origin, 0), origin + sizes.reach - 1);
      std::int64_t slots[most_row_taps];
      std::int64_t first_tap = 0, count = 0;
      for (std::int64_t ky = 0; ky < height.taps; ++ky) {
        const std::int64_t row = origin + ky * height.kernel_dilation;
        if (row < 0) first_tap = ky + 1;
        if (row >= 0 && row < height.in) slots[count++] = values.slot(row);
      }
      run.gather_row({.input = store,
                      .values = memory,
                      .slot = slots,
                      .rows = count,
                      .w = weights + first_tap * sizes.weights,
                      .w_plane = sizes.plane,
                      .w_row = sizes.weights,
                      .channel_step = kernel.channel,
                      .feature_step = kernel.feature},
                     features, tiles, width.out, sums, y + (block * height.out + out) * sizes.y_row);
    }
  });
  return complete.load(std::memory_order_relaxed);
}

bool correlate(const Problem& problem, const float* x, const float* dy, float* dw, const Executor& executor) noexcept {
  if (!fits(problem, executor.vectors())) return false;
  constexpr std::int64_t most_partials = 32, affordable = 1 << 18, strip_elements = 16 << 10;
  const auto& [depth, height, width] = problem.axis;
  const Sizes sizes(problem);
  const Routines& run = routines_of(width.taps, executor.vectors());
  const std::int64_t blocks = problem.samples / samples, kernel = height.taps * width.taps * sizes.weights;
  const std::int64_t partials = std::clamp<std::int64_t>(affordable / kernel, 1, std::min(blocks, most_partials));
  float* const others = scratch_floats<Scratch::conv_partials>((partials - 1) * kernel);
  if (others == nullptr) return false;
  // So many rows of cotangents at a time that they stay, point by point, in the nearest cache.
  const std::int64_t row = sizes.tiles * (problem.features + height.stride * problem.channels) * samples;
  const std::int64_t strip =
      std::min(ceil_divide(height.out, ceil_divide(height.out * row, strip_elements)), most_strip);
  const Store input{sizes.reach + (strip - 1) * height.stride, sizes.tiles, problem.channels};
  const Store cotangent{strip, sizes.tiles, problem.features};
  std::atomic<bool> complete = true;

  executor.parallel_for(partials, [&](std::int64_t partial) {
    float* const memory = scratch_floats<Scratch::lanes_input>(input.elements(sizes.points));
    float* const cotangents = scratch_floats<Scratch::lanes_cotangent>(cotangent.elements(sizes.points));
    float* const lane_sums = scratch_floats<Scratch::lanes_rows>(sizes.points * sizes.plane * (samples + 1));
    if (memory == nullptr || cotangents == nullptr || lane_sums == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    const std::int64_t begin = partial * blocks / partials, end = (partial + 1) * blocks / partials;
    for (std::int64_t block = begin; block < end; ++block) {
      Values values(problem, run, input, x + block * height.in * sizes.x_row, memory);
      for (std::int64_t first = 0; first < height.out; first += strip) {
        const std::int64_t last = std::min(height.out, first + strip);
        const std::int64_t origin = first * height.stride - height.low;
        values.require(std::max<std::int64_t>(origin, 0), (last - 1) * height.stride - height.low + sizes.reach - 1);
        for (std::int64_t out = first; out < last; ++out) {
          const float* const at = dy + (block * height.out + out) * sizes.y_row;
          run.transform_cotangent({.at = at, .zeros = zero_pixel, .columns = width.out, .low = 0}, cotangent,
                                  out - first, cotangents);
        }
        std::array<StripRows, most_row_taps> under;
        for (std::int64_t ky = 0; ky < height.taps; ++ky) {
          StripRows& rows = under[static_cast<std::size_t>(ky)];
          for (std::int64_t out = first; out < last; ++out) {
            const std::int64_t in = out * height.stride - height.low + ky * height.kernel_dilation;
            if (in < 0) rows.first = out + 1 - first;
            if (in >= 0 && in < height.in) rows.slot[rows.count++] = values.slot(in);
          }
        }
        run.correlate_strip({.input = input,
                             .cotangent = cotangent,
                             .x = memory,
                             .dy = cotangents,
                             .under = under.data(),
                             .taps = height.taps,
                             .first = block == begin && first == 0},
                            lane_sums);
      }
    }
    float* const sums = lane_sums + sizes.points * sizes.plane * samples;
    std::fill_n(sums, sizes.points * sizes.plane, 0.0F);
    lanes::add_lanes(lane_sums, sizes.points * sizes.plane, sums);
    float* const to = partial == 0 ? dw : others + (partial - 1) * kernel;
    for (std::int64_t ky = 0; ky < height.taps; ++ky) {
      run.transform_gradient(sums + ky * sizes.weights, sizes.plane, sizes.weights,
                             to + ky * width.taps * sizes.weights, sizes.weights);
    }
  });
  if (!complete.load(std::memory_order_relaxed)) return false;
  for (std::int64_t partial = 0; partial + 1 < partials; ++partial) {
    for (std::int64_t i = 0; i < kernel; ++i) dw[i] += others[partial * kernel + i];
  }
  return true;
}

#else

bool fits(const Problem&, VectorSet) noexcept { return false; }
std::int64_t flops(const Problem&) noexcept { return 0; }
double relative_cost(const Problem&, bool) noexcept { return 1; }
bool pays(const Problem&, bool) noexcept { return false; }
bool gather(const Problem&, const float*, const float*, const KernelLayout&, float*, const Executor&) noexcept {
  return false;
}
bool correlate(const Problem&, const float*, const float*, float*, const Executor&) noexcept { return false; }

#endif

}  // namespace linseed::kernels::cpu::winograd_rows

namespace linseed::kernels::cpu {

namespace {

bool runs_by_rows(const Problem& problem, DType dtype, VectorSet set) noexcept {
  return dtype == DType::float32 && winograd_rows::fits(problem, set);
}

}  // namespace

bool suits_winograd_in_lanes(const attr::Conv& conv, const Shape& y, ConvResult result) noexcept {
  const Problem forward = problem_in_lanes(conv, y);
  const Problem problem = result == ConvResult::input_grad ? adjoint(forward) : forward;
  return winograd_rows::fits(problem, VectorSet::avx2) &&
         winograd_rows::pays(problem, result == ConvResult::kernel_grad);
}

template <ConvResult result>
Choice choose_conv_winograd_in_lanes(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                                     VectorSet set) noexcept {
  const Shape& y =
      result == ConvResult::output ? output.shape : inputs[result == ConvResult::kernel_grad ? 1 : 0].shape;
  const Problem forward = problem_in_lanes(std::get<attr::Conv>(attributes), y);
  const Problem problem = result == ConvResult::input_grad ? adjoint(forward) : forward;
  if (!runs_by_rows(problem, output.dtype, set)) return choose_conv_in_lanes<result>(attributes, inputs, output, set);
  return {"winograd_rows", winograd_rows::flops(problem)};
}
template Choice choose_conv_winograd_in_lanes<ConvResult::output>(const Attributes&, std::span<const Input>,
                                                                  const Output&, VectorSet) noexcept;
template Choice choose_conv_winograd_in_lanes<ConvResult::input_grad>(const Attributes&, std::span<const Input>,
                                                                      const Output&, VectorSet) noexcept;
template Choice choose_conv_winograd_in_lanes<ConvResult::kernel_grad>(const Attributes&, std::span<const Input>,
                                                                       const Output&, VectorSet) noexcept;

void conv_winograd_in_lanes(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                            const Executor& executor) noexcept {
  const Problem problem = problem_in_lanes(std::get<attr::Conv>(attributes), output.shape);
  if (!runs_by_rows(problem, output.dtype, executor.vectors()) ||
      !winograd_rows::gather(problem, inputs[0].as<float>(), inputs[1].as<float>(), kernel_layout(problem),
                             output.as<float>(), executor))
    conv_in_lanes(attributes, inputs, output, executor);
}

void conv_input_grad_winograd_in_lanes(const Attributes& attributes, std::span<const Input> inputs,
                                       const Output& output, const Executor& executor) noexcept {
  const Problem forward = problem_in_lanes(std::get<attr::Conv>(attributes), inputs[0].shape);
  const Problem problem = adjoint(forward);
  if (!runs_by_rows(problem, output.dtype, executor.vectors()) ||
      !winograd_rows::gather(problem, inputs[0].as<float>(), inputs[1].as<float>(), flipped_layout(forward),
                             output.as<float>(), executor))
    conv_input_grad_in_lanes(attributes, inputs, output, executor);
}

void conv_kernel_grad_winograd_in_lanes(const Attributes& attributes, std::span<const Input> inputs,
                                        const Output& output, const Executor& executor) noexcept {
  const Problem problem = problem_in_lanes(std::get<attr::Conv>(attributes), inputs[1].shape);
  if (!runs_by_rows(problem, output.dtype, executor.vectors()) ||
      !winograd_rows::correlate(problem, inputs[0].as<float>(), inputs[1].as<float>(), output.as<float>(), executor))
    conv_kernel_grad_in_lanes(attributes, inputs, output, executor);
}

}  // namespace linseed::kernels::cpu
