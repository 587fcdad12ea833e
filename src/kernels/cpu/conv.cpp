#include "kernels/conv.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>

#include "kernels/cpu/conv_cost.hpp"
#include "kernels/cpu/conv_depthwise.hpp"
#include "kernels/cpu/conv_direct.hpp"
#include "kernels/cpu/conv_grid.hpp"
#include "kernels/cpu/conv_lanes.hpp"
#include "kernels/cpu/conv_panels.hpp"
#include "kernels/cpu/conv_problem.hpp"
#include "kernels/cpu/offset_gemm.hpp"
#include "kernels/cpu/scratch.hpp"
#include "kernels/dtypes.hpp"

// All three ops are products of a matrix whose rows are pixels and whose columns are taps x channels, never laid out:
// its elements are found in a tile of the input, which holds the padding as zeros. The gradient in the input is itself
// such a convolution, of the cotangent with the flipped kernel. A dilated input is not filled with zeros: output places
// that see the same taps (a phase) are taken together.

namespace linseed::kernels::cpu {

namespace {

/// The input under a block, in some of its channels.
template <class T>
struct Tile {
  const T* data;
  std::int64_t sample_stride;
  Extents first, stride;
};

/// Points at the input itself where the block touches no padding, else copies it into `memory`.
template <class T>
Tile<T> tile_under(const Problem& problem, const Block& block, std::int64_t channel, std::int64_t channels, const T* x,
                   T* memory) noexcept {
  const std::int64_t all_channels = problem.groups * problem.channels;
  Extents first, count, x_stride;
  std::int64_t x_sample = all_channels;
  bool inside = true;
  for (std::size_t i = axes; i-- > 0;) {
    const Axis& axis = problem.axis[i];
    first[i] = axis.first_input(block.begin[i]);
    const std::int64_t last = axis.last_input(block.begin[i] + block.count[i]);
    count[i] = last - first[i] + 1;
    inside = inside && first[i] >= 0 && last < axis.in;
    x_stride[i] = x_sample;
    x_sample *= axis.in;
  }
  x += block.sample * x_sample + channel;
  if (inside) {
    for (std::size_t i = 0; i < axes; ++i) x += first[i] * x_stride[i];
    return {x, x_sample, first, x_stride};
  }

  const auto in_range = [&](std::size_t i, std::int64_t position) {
    return position >= 0 && position < problem.axis[i].in;
  };
  // Along a row: zeros, the part inside the input, zeros.
  const std::int64_t begin = std::clamp<std::int64_t>(-first[2], 0, count[2]);
  const std::int64_t end = std::clamp<std::int64_t>(problem.axis[2].in - first[2], begin, count[2]);
  T* out = memory;
  for (std::int64_t n = 0; n < block.samples; ++n, x += x_sample) {
    for (std::int64_t i = first[0]; i < first[0] + count[0]; ++i) {
      for (std::int64_t j = first[1]; j < first[1] + count[1]; ++j, out += count[2] * channels) {
        if (!in_range(0, i) || !in_range(1, j) || begin == end) {
          std::fill_n(out, count[2] * channels, T{});
          continue;
        }
        const T* from = x + i * x_stride[0] + j * x_stride[1] + (first[2] + begin) * all_channels;
        std::fill_n(out, begin * channels, T{});
        if (channels == all_channels) {
          std::copy_n(from, (end - begin) * channels, out + begin * channels);
        } else {
          for (std::int64_t k = begin; k < end; ++k, from += all_channels)
            std::copy_n(from, channels, out + k * channels);
        }
        std::fill_n(out + end * channels, (count[2] - end) * channels, T{});
      }
    }
  }
  return {memory, product(count) * channels, first, {count[1] * count[2] * channels, count[2] * channels, channels}};
}

/// Calls `function(pixels, taps)` for every phase of the block, with the pixels' places in tile and result, and the
/// taps' in tile and kernel. The taps' last dimension is left for the channels of one group.
template <class T, class Function>
void for_each_phase(const Problem& problem, const Block& block, const Tile<T>& tile, const KernelLayout& kernel,
                    Function&& function) noexcept {
  Extents periods;
  for (std::size_t i = 0; i < axes; ++i) {
    const Axis& axis = problem.axis[i];
    periods[i] = std::min(axis.phases(), block.count[i]);
  }
  for (std::int64_t index = 0; index < product(periods); ++index) {
    Lattice pixels, taps;
    std::int64_t rest = index;
    std::int64_t result_stride = problem.groups * problem.features;
    pixels.extent[0] = block.samples;
    pixels.stride[0][0] = tile.sample_stride;
    bool sees_input = true;
    for (std::size_t i = axes; i-- > 0; rest /= periods[i], result_stride *= problem.axis[i].out) {
      const Phase phase = phase_of(problem.axis[i], rest % periods[i], block.begin[i], block.count[i]);
      sees_input = sees_input && phase.tap_count > 0;
      pixels.extent[i + 1] = phase.out_count;
      pixels.first[0] += (phase.first_in - tile.first[i]) * tile.stride[i];
      pixels.stride[0][i + 1] = phase.in_per_out * tile.stride[i];
      pixels.first[1] += phase.first_out * result_stride;
      pixels.stride[1][i + 1] = phase.out_step * result_stride;
      taps.extent[i] = phase.tap_count;
      taps.stride[0][i] = phase.in_per_tap * tile.stride[i];
      taps.first[1] += phase.first_tap * kernel.tap[i];
      taps.stride[1][i] = phase.tap_step * kernel.tap[i];
    }
    pixels.stride[1][0] = result_stride;
    pixels.first[1] += block.sample * result_stride;
    if (!sees_input) pixels.first[0] = 0, std::fill_n(pixels.stride[0], 4, 0);
    taps.first[1] += kernel.first;
    taps.stride[0][3] = 1;
    taps.stride[1][3] = kernel.channel;
    function(pixels, taps);
  }
}

/// Channels [first, first + count) of the input, which one tile holds.
struct Span {
  std::int64_t first, count;

  /// Narrows the taps to the part of the span that lies in `group`; gives the part's first channel within the group.
  std::int64_t narrow(const Problem& problem, const KernelLayout& kernel, std::int64_t group,
                      Lattice& taps) const noexcept {
    const std::int64_t origin = group * problem.channels;
    const std::int64_t begin = std::max(first - origin, std::int64_t{0});
    taps.extent[3] = std::min(first + count - origin, problem.channels) - begin;
    taps.first[0] = origin + begin - first;
    taps.first[1] += group * kernel.group + begin * kernel.channel;
    return begin;
  }
  [[nodiscard]] std::int64_t first_group(const Problem& problem) const noexcept { return first / problem.channels; }
  [[nodiscard]] std::int64_t last_group(const Problem& problem) const noexcept {
    return (first + count - 1) / problem.channels;
  }
};

Span span_of(const Problem& problem, const Grid& grid, std::int64_t tile) noexcept {
  const std::int64_t first = tile * grid.channels;
  return {first, std::min(grid.channels, problem.groups * problem.channels - first)};
}

/// Every output pixel gathers from the input. False when there was no memory for the tiles: then `y` is not complete.
template <class T>
bool gather(const Problem& problem, const T* x, const T* w, const KernelLayout& kernel, T* y,
            const Executor& executor) noexcept {
  const Grid grid = grid_of(problem, sizeof(T));
  if (grid.tile == 0) return false;
  const std::int64_t chunk = column_chunk(problem, grid.blocks);
  const std::int64_t chunks = ceil_divide(problem.features, chunk);
  std::atomic<bool> complete = true;

  executor.parallel_for(grid.blocks * chunks, [&](std::int64_t task) {
    T* memory = static_cast<T*>(scratch<Scratch::conv_tile>(grid.tile * static_cast<std::int64_t>(sizeof(T))));
    if (memory == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    const Block block = grid.block(task / chunks, problem);
    const std::int64_t column = task % chunks * chunk;
    const Columns columns{std::min(chunk, problem.features - column), kernel.feature};
    for (std::int64_t t = 0; t < grid.tiles; ++t) {
      const Span span = span_of(problem, grid, t);
      const Tile<T> tile = tile_under(problem, block, span.first, span.count, x, memory);
      for_each_phase(problem, block, tile, kernel, [&](const Lattice& pixels, const Lattice& all_taps) {
        for (std::int64_t g = span.first_group(problem); g <= span.last_group(problem); ++g) {
          Lattice taps = all_taps;
          const bool accumulate = span.narrow(problem, kernel, g, taps) > 0;
          offset_gemm(tile.data, pixels, taps, w + column * kernel.feature, columns, y + g * problem.features + column,
                      accumulate, executor.vectors());
        }
      });
    }
  });
  return complete.load(std::memory_order_relaxed);
}

/// The kernel's gradient: a fixed number of partial sums over blocks, added up in order.
template <class T>
bool correlate(const Problem& problem, const T* x, const T* dy, T* dw, std::int64_t kernel_size,
               const Executor& executor) noexcept {
  const KernelLayout kernel = kernel_layout(problem);
  const Grid grid = grid_of(problem, sizeof(T));
  if (grid.tile == 0) return false;
  const std::int64_t partials = partial_sums(grid, kernel_size, sizeof(T));
  const std::int64_t chunk = column_chunk(problem, partials * grid.tiles);
  const std::int64_t chunks = ceil_divide(problem.features, chunk);

  // The first partial sum is the result itself.
  T* others = static_cast<T*>(
      scratch<Scratch::conv_partials>((partials - 1) * kernel_size * static_cast<std::int64_t>(sizeof(T))));
  if (others == nullptr && partials > 1) return false;
  std::fill_n(dw, kernel_size, T{});
  std::fill_n(others, (partials - 1) * kernel_size, T{});
  std::atomic<bool> complete = true;

  executor.parallel_for(partials * grid.tiles * chunks, [&](std::int64_t task) {
    T* memory = static_cast<T*>(scratch<Scratch::conv_tile>(grid.tile * static_cast<std::int64_t>(sizeof(T))));
    if (memory == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    const std::int64_t column = task % chunks * chunk;
    const Columns columns{std::min(chunk, problem.features - column), 1};
    const Span span = span_of(problem, grid, task / chunks % grid.tiles);
    const std::int64_t partial = task / chunks / grid.tiles;
    T* sums = partial == 0 ? dw : others + (partial - 1) * kernel_size;
    for (std::int64_t b = partial * grid.blocks / partials; b < (partial + 1) * grid.blocks / partials; ++b) {
      const Block block = grid.block(b, problem);
      const Tile<T> tile = tile_under(problem, block, span.first, span.count, x, memory);
      for_each_phase(problem, block, tile, kernel, [&](const Lattice& pixels, const Lattice& all_taps) {
        for (std::int64_t g = span.first_group(problem); g <= span.last_group(problem); ++g) {
          Lattice taps = all_taps;
          span.narrow(problem, kernel, g, taps);
          offset_gemm(tile.data, taps, pixels, dy + g * problem.features + column, columns, sums + column,
                      /*accumulate=*/true, executor.vectors());
        }
      });
    }
  });

  constexpr std::int64_t stretch = 4096;
  executor.parallel_for(partials > 1 ? ceil_divide(kernel_size, stretch) : 0, [&](std::int64_t task) {
    const std::int64_t end = std::min(kernel_size, (task + 1) * stretch);
    for (std::int64_t partial = 0; partial + 1 < partials; ++partial) {
      const T* addend = others + partial * kernel_size;
      for (std::int64_t i = task * stretch; i < end; ++i) dw[i] += addend[i];
    }
  });
  return complete.load(std::memory_order_relaxed);
}

/// The kernel's gradient by a routine, or by the general one where that lacks memory; false when neither has any.
template <class T>
bool correlate_by(ConvRoutine routine, const Problem& problem, const T* x, const T* dy, T* dw, std::int64_t kernel_size,
                  const Executor& executor) noexcept {
  if constexpr (std::is_same_v<T, float>) {
    if (routine == ConvRoutine::lanes && lanes::correlate(problem, lanes::Layout::ordinary, x, dy, dw, executor))
      return true;
    if (routine == ConvRoutine::panels && panels::correlate(problem, x, dy, dw, executor)) return true;
    if (routine == ConvRoutine::direct && direct::correlate(problem, x, dy, dw, executor)) return true;
    if (routine == ConvRoutine::depthwise && depthwise::correlate(problem, x, dy, dw, executor)) return true;
  }
  return correlate(problem, x, dy, dw, kernel_size, executor);
}

/// The same for a dilated input without strides, as the gradient of a transposed convolution has it: its adjoint
/// strides over the cotangent instead, and gives the kernel's gradient with taps in reverse, features as channels.
template <class T>
bool correlate_adjoint(ConvRoutine routine, const Problem& problem, const T* x, const T* dy, T* dw,
                       std::int64_t kernel_size, const Executor& executor) noexcept {
  T* const turned =
      static_cast<T*>(scratch<Scratch::conv_turned_kernel>(kernel_size * static_cast<std::int64_t>(sizeof(T))));
  if (turned == nullptr || !correlate_by(routine, adjoint(problem), dy, x, turned, kernel_size, executor)) return false;
  const std::int64_t channels = problem.channels, features = problem.features, groups = problem.groups;
  const std::int64_t taps = kernel_size / (channels * features * groups);
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    const T* const from = turned + (taps - 1 - tap) * channels * features * groups;
    for (std::int64_t c = 0; c < channels; ++c) {
      for (std::int64_t g = 0; g < groups; ++g) {
        for (std::int64_t f = 0; f < features; ++f) *dw++ = from[(f * groups + g) * channels + c];
      }
    }
  }
  return true;
}

bool is_dilated_only(const Problem& problem) noexcept {
  bool dilated = false, strided = false;
  for (const Axis& axis : problem.axis) {
    dilated = dilated || axis.input_dilation != 1;
    strided = strided || axis.stride != 1;
  }
  return dilated && !strided;
}

template <class T>
void set_zero(const Output& output) noexcept {
  std::fill_n(output.as<T>(), output.shape.elements(), T{});
}

// ---- which routine it is ----

/// A convolution as one of the three ops computes it.
struct Work {
  Problem forward;
  Problem problem;  // the adjoint for the input's gradient
  ConvRoutine routine;
};

template <ConvResult result>
Problem problem_of(const Problem& forward) noexcept {
  return result == ConvResult::input_grad ? adjoint(forward) : forward;
}

/// The shape of the convolution's output: that of the result, or of its cotangent.
template <ConvResult result>
const Shape& output_shape(std::span<const Input> inputs, const Output& output) noexcept {
  if constexpr (result == ConvResult::output) return output.shape;
  return inputs[result == ConvResult::kernel_grad ? 1 : 0].shape;
}

template <ConvResult result>
Work work_of(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
             VectorSet set) noexcept {
  const Shape& y = output_shape<result>(inputs, output);
  const Problem forward = forward_problem(std::get<attr::Conv>(attributes), y);
  const Problem problem = problem_of<result>(forward);
  const ConvRoutine routine = choose_conv_routine(
      {.problem = result == ConvResult::kernel_grad && is_dilated_only(problem) ? adjoint(problem) : problem,
       .result = result,
       .is_float32 = output.dtype == DType::float32,
       .vectors = set});
  return {forward, problem, routine};
}

/// Multiplications and additions of the plain sums, those with padding included.
std::int64_t flops_of(const attr::Conv& conv, std::int64_t outputs) noexcept {
  // The kernel is [window..., channels per group, features]: of a feature, all but the last axis is summed over.
  const std::int64_t features = conv.kernel_shape.back();
  return features == 0 ? 0 : 2 * (conv.kernel_shape.elements() / features) * outputs;
}

}  // namespace

template <ConvResult result>
Choice choose_conv(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                   VectorSet set) noexcept {
  return {to_string(work_of<result>(attributes, inputs, output, set).routine),
          flops_of(std::get<attr::Conv>(attributes), output_shape<result>(inputs, output).elements())};
}
template Choice choose_conv<ConvResult::output>(const Attributes&, std::span<const Input>, const Output&,
                                                VectorSet) noexcept;
template Choice choose_conv<ConvResult::input_grad>(const Attributes&, std::span<const Input>, const Output&,
                                                    VectorSet) noexcept;
template Choice choose_conv<ConvResult::kernel_grad>(const Attributes&, std::span<const Input>, const Output&,
                                                     VectorSet) noexcept;

// A routine that lacks memory hands over to the next one.

void conv(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
          const Executor& executor) noexcept {
  if (output.shape.elements() == 0) return;
  const auto [forward, problem, routine] = work_of<ConvResult::output>(attributes, inputs, output, executor.vectors());
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const T *x = inputs[0].as<T>(), *w = inputs[1].as<T>();
    const KernelLayout kernel = kernel_layout(problem);
    if (routine == ConvRoutine::zeros) return set_zero<T>(output);
    if constexpr (std::is_same_v<T, float>) {
      if (routine == ConvRoutine::lanes &&
          lanes::gather(problem, lanes::Layout::ordinary, x, w, kernel, output.as<T>(), executor))
        return;
      if (routine == ConvRoutine::panels && panels::gather(problem, x, w, kernel, output.as<T>(), executor)) return;
      if (routine == ConvRoutine::direct && direct::gather(problem, x, w, kernel, output.as<T>(), executor)) return;
      if (routine == ConvRoutine::depthwise && depthwise::gather(problem, x, w, kernel, output.as<T>(), executor))
        return;
    }
    if (!gather(problem, x, w, kernel, output.as<T>(), executor)) reference::conv(attributes, inputs, output, executor);
  });
}

void conv_input_grad(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                     const Executor& executor) noexcept {
  if (output.shape.elements() == 0) return;
  const auto [forward, problem, routine] =
      work_of<ConvResult::input_grad>(attributes, inputs, output, executor.vectors());
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const T *dy = inputs[0].as<T>(), *w = inputs[1].as<T>();
    const KernelLayout kernel = flipped_layout(forward);
    if (routine == ConvRoutine::zeros) return set_zero<T>(output);
    if constexpr (std::is_same_v<T, float>) {
      if (routine == ConvRoutine::lanes &&
          lanes::gather(problem, lanes::Layout::ordinary, dy, w, kernel, output.as<T>(), executor))
        return;
      if (routine == ConvRoutine::panels && panels::gather(problem, dy, w, kernel, output.as<T>(), executor)) return;
      if (routine == ConvRoutine::direct && direct::gather(problem, dy, w, kernel, output.as<T>(), executor)) return;
      if (routine == ConvRoutine::depthwise && depthwise::gather(problem, dy, w, kernel, output.as<T>(), executor))
        return;
    }
    if (!gather(problem, dy, w, kernel, output.as<T>(), executor))
      reference::conv_input_grad(attributes, inputs, output, executor);
  });
}

void conv_kernel_grad(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                      const Executor& executor) noexcept {
  if (output.shape.elements() == 0) return;
  const auto [forward, problem, routine] =
      work_of<ConvResult::kernel_grad>(attributes, inputs, output, executor.vectors());
  visit<Domain::floating>(output.dtype, [&]<class T>(std::type_identity<T>) {
    const T *x = inputs[0].as<T>(), *dy = inputs[1].as<T>();
    if (routine == ConvRoutine::zeros) return set_zero<T>(output);
    const auto run = is_dilated_only(problem) ? correlate_adjoint<T> : correlate_by<T>;
    if (!run(routine, problem, x, dy, output.as<T>(), output.shape.elements(), executor))
      reference::conv_kernel_grad(attributes, inputs, output, executor);
  });
}

// ---- in lanes ----

bool suits_lanes(const attr::Conv& conv, const Shape& y, ConvResult result, bool in_lanes, VectorSet set) noexcept {
  const Problem forward = forward_problem(conv, y);
  const Problem problem = result == ConvResult::input_grad ? adjoint(forward) : forward;
  return choose_conv_routine({.problem = problem,
                              .result = result,
                              .is_float32 = true,
                              .vectors = set,
                              .in_lanes = in_lanes,
                              .by_rows = true}) == ConvRoutine::lanes;
}

namespace {

bool runs_in_lanes(const Problem& problem, DType dtype, VectorSet set) noexcept {
  return dtype == DType::float32 && lanes::suits(problem, set);
}

}  // namespace

template <ConvResult result>
Choice choose_conv_in_lanes(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                            VectorSet set) noexcept {
  const Shape& y = output_shape<result>(inputs, output);
  const Problem problem = problem_of<result>(problem_in_lanes(std::get<attr::Conv>(attributes), y));
  return {to_string(runs_in_lanes(problem, output.dtype, set) ? ConvRoutine::lanes : ConvRoutine::reference),
          flops_of(std::get<attr::Conv>(attributes), y.elements())};
}
template Choice choose_conv_in_lanes<ConvResult::output>(const Attributes&, std::span<const Input>, const Output&,
                                                         VectorSet) noexcept;
template Choice choose_conv_in_lanes<ConvResult::input_grad>(const Attributes&, std::span<const Input>, const Output&,
                                                             VectorSet) noexcept;
template Choice choose_conv_in_lanes<ConvResult::kernel_grad>(const Attributes&, std::span<const Input>, const Output&,
                                                              VectorSet) noexcept;

void conv_in_lanes(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                   const Executor& executor) noexcept {
  const Problem problem = problem_in_lanes(std::get<attr::Conv>(attributes), output.shape);
  if (!runs_in_lanes(problem, output.dtype, executor.vectors()) ||
      !lanes::gather(problem, lanes::Layout::lanes, inputs[0].as<float>(), inputs[1].as<float>(),
                     kernel_layout(problem), output.as<float>(), executor))
    reference::conv_in_lanes(attributes, inputs, output, executor);
}

void conv_input_grad_in_lanes(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                              const Executor& executor) noexcept {
  const Problem forward = problem_in_lanes(std::get<attr::Conv>(attributes), inputs[0].shape),
                problem = adjoint(forward);
  if (!runs_in_lanes(problem, output.dtype, executor.vectors()) ||
      !lanes::gather(problem, lanes::Layout::lanes, inputs[0].as<float>(), inputs[1].as<float>(),
                     flipped_layout(forward), output.as<float>(), executor))
    reference::conv_input_grad_in_lanes(attributes, inputs, output, executor);
}

void conv_kernel_grad_in_lanes(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                               const Executor& executor) noexcept {
  const Problem problem = problem_in_lanes(std::get<attr::Conv>(attributes), inputs[1].shape);
  if (!runs_in_lanes(problem, output.dtype, executor.vectors()) ||
      !lanes::correlate(problem, lanes::Layout::lanes, inputs[0].as<float>(), inputs[1].as<float>(), output.as<float>(),
                        executor))
    reference::conv_kernel_grad_in_lanes(attributes, inputs, output, executor);
}

}  // namespace linseed::kernels::cpu
