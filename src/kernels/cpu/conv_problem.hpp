#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>

#include "kernels/conv.hpp"
#include "kernels/kernel.hpp"

// What a convolution kernel has to do, without attributes and shapes.

namespace linseed::kernels::cpu {

constexpr std::size_t axes = 3;  // missing leading axes have extent 1
using Extents = std::array<std::int64_t, axes>;

inline std::int64_t ceil_divide(std::int64_t a, std::int64_t b) noexcept { return a / b + (a % b > 0); }
inline std::int64_t floor_divide(std::int64_t a, std::int64_t b) noexcept { return a / b - (a % b != 0 && a < 0); }
inline std::int64_t product(const Extents& extents) noexcept { return extents[0] * extents[1] * extents[2]; }

/// Tap k of output place o meets input place i where i * input_dilation = o * stride - low + k * kernel_dilation.
struct Axis {
  std::int64_t out, in, taps, stride, low, input_dilation, kernel_dilation;

  [[nodiscard]] std::int64_t first_input(std::int64_t begin) const noexcept {
    return floor_divide(begin * stride - low, input_dilation);
  }
  [[nodiscard]] std::int64_t last_input(std::int64_t end) const noexcept {
    return floor_divide((end - 1) * stride - low + (taps - 1) * kernel_dilation, input_dilation);
  }
  /// At most so many input places lie under `count` neighbouring output places.
  [[nodiscard]] std::int64_t reach(std::int64_t count) const noexcept {
    const std::int64_t span = (count - 1) * stride + (taps - 1) * kernel_dilation;
    return input_dilation == 1 ? span + 1 : span / input_dilation + 2;
  }
  /// Output places that are so far apart see the same taps.
  [[nodiscard]] std::int64_t phases() const noexcept {
    return input_dilation == 1 ? 1 : input_dilation / std::gcd(stride, input_dilation);
  }
};

/// Output places of one residue on an axis, and the taps through which they see the input at all.
struct Phase {
  std::int64_t first_out, out_step, out_count;
  std::int64_t first_tap, tap_step, tap_count;
  std::int64_t first_in, in_per_out, in_per_tap;
};

inline Phase phase_of(const Axis& axis, std::int64_t residue, std::int64_t begin, std::int64_t count) noexcept {
  const std::int64_t dilation = axis.input_dilation;
  if (dilation == 1) {  // without the divisions below
    return {.first_out = begin + residue,
            .out_step = 1,
            .out_count = count - residue,
            .first_tap = 0,
            .tap_step = 1,
            .tap_count = axis.taps,
            .first_in = (begin + residue) * axis.stride - axis.low,
            .in_per_out = axis.stride,
            .in_per_tap = axis.kernel_dilation};
  }
  Phase phase{};
  phase.out_step = axis.phases();
  phase.tap_step = dilation / std::gcd(axis.kernel_dilation, dilation);
  phase.first_out = begin + residue;
  phase.out_count = ceil_divide(count - residue, phase.out_step);
  const std::int64_t origin = phase.first_out * axis.stride - axis.low;
  for (std::int64_t tap = 0; tap < std::min(axis.taps, phase.tap_step); ++tap) {
    const std::int64_t position = origin + tap * axis.kernel_dilation;
    if (position % dilation != 0) continue;
    phase.first_tap = tap;
    phase.tap_count = ceil_divide(axis.taps - tap, phase.tap_step);
    phase.first_in = position / dilation;
    phase.in_per_out = axis.stride / std::gcd(axis.stride, dilation);
    phase.in_per_tap = axis.kernel_dilation / std::gcd(axis.kernel_dilation, dilation);
    break;
  }
  return phase;
}

/// Channels and features are those of one group.
struct Problem {
  std::int64_t samples, groups, channels, features;
  std::array<Axis, axes> axis;

  [[nodiscard]] bool is_empty() const noexcept {
    return channels == 0 ||
           std::any_of(axis.begin(), axis.end(), [](const Axis& a) { return a.taps == 0 || a.in == 0; });
  }
};

inline Problem forward_problem(const attr::Conv& conv, const Shape& y) noexcept {
  const std::size_t rank = conv.strides.size();
  Problem problem{y[0], conv.groups, conv.kernel_shape[rank], conv.kernel_shape[rank + 1] / conv.groups, {}};
  for (std::size_t i = 0; i < axes; ++i) {
    Axis& axis = problem.axis[i];
    if (i + rank < axes) {
      axis = {.out = 1, .in = 1, .taps = 1, .stride = 1, .low = 0, .input_dilation = 1, .kernel_dilation = 1};
      continue;
    }
    const std::size_t at = i + rank - axes;
    axis = {y[at + 1],    conv.input_shape[at + 1], conv.kernel_shape[at],   conv.strides[at],
            conv.low[at], conv.input_dilation[at],  conv.kernel_dilation[at]};
  }
  return problem;
}

/// The same for an output in lanes.
inline Problem problem_in_lanes(const attr::Conv& conv, const Shape& y) noexcept {
  Problem problem = forward_problem(conv, y);
  problem.samples *= lanes;
  return problem;
}

/// The convolution that takes the cotangent to the input's gradient: taps in reverse, strides and input dilation
/// swapped.
inline Problem adjoint(Problem problem) noexcept {
  std::swap(problem.channels, problem.features);
  for (Axis& axis : problem.axis) {
    axis = {axis.in,
            axis.out,
            axis.taps,
            axis.input_dilation,
            (axis.taps - 1) * axis.kernel_dilation - axis.low,
            axis.stride,
            axis.kernel_dilation};
  }
  return problem;
}

/// Where element (tap, channel, group, feature) of a kernel lies.
struct KernelLayout {
  std::int64_t first = 0;
  Extents tap{};
  std::int64_t channel = 0, group = 0, feature = 0;
};

inline KernelLayout kernel_layout(const Problem& problem) noexcept {
  const std::int64_t row = problem.groups * problem.features;
  KernelLayout layout{.first = 0, .tap = {}, .channel = row, .group = problem.features, .feature = 1};
  std::int64_t step = problem.channels * row;
  for (std::size_t i = axes; i-- > 0; step *= problem.axis[i].taps) layout.tap[i] = step;
  return layout;
}

/// The same kernel as the adjoint of `problem` reads it.
inline KernelLayout flipped_layout(const Problem& problem) noexcept {
  KernelLayout layout = kernel_layout(problem);
  std::swap(layout.channel, layout.feature);
  for (std::size_t i = 0; i < axes; ++i) {
    layout.first += (problem.axis[i].taps - 1) * layout.tap[i];
    layout.tap[i] = -layout.tap[i];
  }
  return layout;
}

}  // namespace linseed::kernels::cpu
