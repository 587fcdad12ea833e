#include <algorithm>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/conv.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "ops/conv.hpp"

namespace linseed {

namespace {

constexpr std::string_view op = "conv_transpose";

/// jax.lax.conv_transpose: what surrounds the dilated input for "SAME" or "VALID", under a (dilated) window.
std::pair<std::int64_t, std::int64_t> surroundings(bool same, std::int64_t window, std::int64_t stride) {
  if (!same) {
    const std::int64_t total = window + stride - 2 + std::max<std::int64_t>(window - stride, 0);
    return {window - 1, total - (window - 1)};
  }
  const std::int64_t total = window + stride - 2;
  const std::int64_t low = stride > window - 1 ? window - 1 : (total + 1) / 2;
  return {low, total - low};
}

/// Adds up y [N, spatial..., C] periodically, so that `periods` places remain along each spatial axis.
Array folded(Array y, const Shape& periods, bool transpose_kernel) {
  Padding::Pairs widths{{0, 0}};
  for (std::size_t axis = 0; axis < periods.size(); ++axis) {
    // Up to an odd number of periods, so that as many whole ones lie on each side of the one in the middle; where the
    // two widths differ by one, the kernel's orientation decides.
    const std::int64_t twice = 2 * periods[axis];
    const std::int64_t excess = twice == 0 ? 0 : (y.shape()[axis + 1] - periods[axis]) % twice;
    const std::int64_t missing = excess > 0 ? twice - excess : -excess;
    const std::int64_t smaller = missing / 2;
    widths.emplace_back(transpose_kernel ? smaller : missing - smaller, transpose_kernel ? missing - smaller : smaller);
  }
  widths.emplace_back(0, 0);
  y = pad(y, widths);
  for (std::size_t axis = 0; axis < periods.size(); ++axis) {
    Shape split = y.shape();
    split[axis + 1] = periods[axis] == 0 ? 0 : split[axis + 1] / periods[axis];
    split.insert(axis + 2, periods[axis]);
    y = sum(reshape(y, split), static_cast<int>(axis) + 1);
  }
  return y;
}

}  // namespace

Array conv_transpose(const Array& x, const Array& kernel, const ConvTransposeOptions& options) {
  const int spatial_rank = x.rank() - 2;
  if (spatial_rank < 1 || kernel.rank() != x.rank()) {
    throw ShapeError(op, "Input and kernel need a batch axis and a channel axis beside the same spatial axes.",
                     {.got = fmt::format("input {}, kernel {}", to_string(x.shape()), to_string(kernel.shape())),
                      .expected = "input (batch, spatial..., channels), kernel (spatial..., channels, features)"});
  }
  const Shape strides = ops::positive_per_axis(options.strides, spatial_rank, "strides", op);
  const Shape dilation = ops::positive_per_axis(options.kernel_dilation, spatial_rank, "kernel dilations", op);
  const Padding::Kind kind = options.padding.kind();
  if (kind == Padding::Kind::same_lower || kind == Padding::Kind::reflect || kind == Padding::Kind::causal) {
    throw ValueError(op, "This padding has no transpose.",
                     {.expected = "\"SAME\", \"VALID\", \"CIRCULAR\", a number, or a (low, high) pair per axis"});
  }
  Padding padding = options.padding;
  if (kind == Padding::Kind::same || kind == Padding::Kind::valid || kind == Padding::Kind::circular) {
    Padding::Pairs pairs;
    for (std::size_t axis = 0; axis < strides.size(); ++axis) {
      const std::int64_t window = ops::dilated_extent(kernel.shape()[axis], dilation[axis], op);
      pairs.push_back(surroundings(kind == Padding::Kind::same, window, strides[axis]));
    }
    padding = std::move(pairs);
  }
  Array forward = kernel;
  if (options.transpose_kernel) {
    std::vector<int> spatial;
    for (int axis = 0; axis < spatial_rank; ++axis) spatial.push_back(axis);
    forward = moveaxis(flip(kernel, spatial), -1, -2);
  }
  const Array y = conv(x, forward, {.padding = padding, .input_dilation = strides, .kernel_dilation = dilation});
  if (kind != Padding::Kind::circular) return y;
  Shape periods;
  for (int axis = 0; axis < spatial_rank; ++axis) {
    periods.push_back(x.extent(axis + 1) * strides[static_cast<std::size_t>(axis)]);
  }
  return folded(y, periods, options.transpose_kernel);
}

}  // namespace linseed
