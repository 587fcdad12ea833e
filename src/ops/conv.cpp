#include "ops/conv.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>

#include "kernels/conv.hpp"

namespace linseed {

namespace {

// Sums of a few numbers below this stay within 64 bits, which the kernels rely on.
constexpr std::int64_t largest_extent = std::int64_t{1} << 59;

void check_magnitude(std::int64_t value, std::string_view what, std::string_view op) {
  if (value >= -largest_extent && value <= largest_extent) return;
  throw ShapeError(op, "A size is too large.", {.got = fmt::format("{} {}", what, value)});
}

}  // namespace

Padding::Padding(std::string_view name) {
  if (name == "SAME") {
    kind_ = Kind::same;
  } else if (name == "SAME_LOWER") {
    kind_ = Kind::same_lower;
  } else if (name == "VALID") {
    kind_ = Kind::valid;
  } else if (name == "CIRCULAR") {
    kind_ = Kind::circular;
  } else if (name == "REFLECT") {
    kind_ = Kind::reflect;
  } else if (name == "CAUSAL") {
    kind_ = Kind::causal;
  } else {
    throw ValueError(
        "Padding", "The name is unknown.",
        {.got = fmt::format("\"{}\"", name),
         .expected = "\"SAME\", \"SAME_LOWER\", \"VALID\", \"CIRCULAR\", \"REFLECT\", \"CAUSAL\", a number, "
                     "or a (low, high) pair per axis"});
  }
}

Padding::Pairs Padding::resolve(const Shape& extents, const Shape& window, const Shape& strides,
                                std::string_view op) const {
  const std::size_t count = extents.size();
  if (kind_ == Kind::valid) return Pairs(count, {0, 0});
  if (kind_ == Kind::uniform) return Pairs(count, {width_, width_});
  if (kind_ == Kind::pairs) {
    if (pairs_.size() == count) return pairs_;
    throw ShapeError(op, "Padding needs one (low, high) pair per spatial axis.",
                     {.got = fmt::format("{} pairs", pairs_.size()), .expected = fmt::format("{}", count)});
  }
  if (kind_ != Kind::same && kind_ != Kind::same_lower) {
    throw ValueError(op, "This padding is for convolutions only.",
                     {.got = kind_ == Kind::circular  ? "\"CIRCULAR\""
                             : kind_ == Kind::reflect ? "\"REFLECT\""
                                                      : "\"CAUSAL\"",
                      .expected = "\"SAME\", \"SAME_LOWER\", \"VALID\", a number, or a (low, high) pair per axis"});
  }
  Pairs result;
  for (std::size_t axis = 0; axis < count; ++axis) {
    const std::int64_t places = extents[axis] / strides[axis] + (extents[axis] % strides[axis] != 0);
    // With no places at all the formula steps back by one stride, as JAX's does.
    const std::int64_t covered = places > 0 ? (places - 1) * strides[axis] : -std::min(strides[axis], window[axis]);
    const std::int64_t total = std::max<std::int64_t>(covered + window[axis] - extents[axis], 0);
    const std::int64_t smaller = total / 2;
    if (kind_ == Kind::same) {
      result.emplace_back(smaller, total - smaller);
    } else {
      result.emplace_back(total - smaller, smaller);
    }
  }
  return result;
}

namespace ops {

Shape positive_per_axis(const Shape& values, int spatial_rank, std::string_view what, std::string_view op) {
  if (values.empty()) return Shape::filled(spatial_rank, 1);
  if (values.rank() != spatial_rank) {
    throw ShapeError(op, fmt::format("The {} need one number per spatial axis.", what),
                     {.got = to_string(values), .expected = fmt::format("{} numbers", spatial_rank)});
  }
  for (const std::int64_t value : values) {
    if (value < 1) throw ValueError(op, fmt::format("The {} must be positive.", what), {.got = to_string(values)});
    check_magnitude(value, what, op);
  }
  return values;
}

std::int64_t dilated_extent(std::int64_t extent, std::int64_t dilation, std::string_view op) {
  if (extent == 0) return 0;
  std::int64_t result = 0;
  if (__builtin_mul_overflow(extent - 1, dilation, &result) || result >= largest_extent) {
    throw ShapeError(op, "A dilated extent is too large.",
                     {.got = fmt::format("extent {}, dilation {}", extent, dilation)});
  }
  return result + 1;
}

std::int64_t window_places(std::int64_t extent, std::int64_t low, std::int64_t high, std::int64_t window,
                           std::int64_t stride, std::string_view op) {
  check_magnitude(extent, "extent", op);
  check_magnitude(low, "padding", op);
  check_magnitude(high, "padding", op);
  check_magnitude(window, "window", op);
  const std::int64_t room = extent + low + high - window;
  return extent + low + high < 0 || room < 0 ? 0 : room / stride + 1;
}

std::pair<Shape, Shape> sides(const Padding::Pairs& pairs) {
  std::pair<Shape, Shape> result;
  for (const auto& [low, high] : pairs) {
    result.first.push_back(low);
    result.second.push_back(high);
  }
  return result;
}

}  // namespace ops

namespace {

constexpr std::size_t max_spatial_rank = 3;

Shape spatial_of(const Shape& shape, std::size_t first, std::size_t rank) {
  return {shape.begin() + first, shape.begin() + first + rank};
}

std::string operands(const Shape& x, const Shape& kernel) {
  return fmt::format("input {}, kernel {}", to_string(x), to_string(kernel));
}

void check_operands(const Shape& x, const Shape& kernel, std::int64_t groups) {
  if (x.size() < 3 || x.size() > max_spatial_rank + 2) {
    throw ShapeError("conv", "The input needs a batch axis, 1 to 3 spatial axes and a channel axis.",
                     {.got = operands(x, kernel)});
  }
  if (kernel.size() != x.size()) {
    throw ShapeError(
        "conv", "Input and kernel differ in their number of axes.",
        {.got = operands(x, kernel),
         .expected = "input (batch, spatial..., channels), kernel (spatial..., channels / groups, features)"});
  }
  if (groups < 1)
    throw ValueError("conv", "The number of groups must be positive.", {.got = fmt::format("{}", groups)});

  const std::int64_t channels = x.back();
  const std::int64_t kernel_channels = kernel[kernel.size() - 2];
  std::int64_t expected = 0;
  if (__builtin_mul_overflow(kernel_channels, groups, &expected) || expected != channels) {
    throw ShapeError("conv",
                     groups == 1
                         ? fmt::format("Input has {} channels, but the kernel expects {}.", channels, kernel_channels)
                         : fmt::format("Input has {} channels, but the kernel expects {} in each of {} groups.",
                                       channels, kernel_channels, groups),
                     {.got = operands(x, kernel),
                      .expected = "channels of the input = second to last extent of the kernel x groups"});
  }
  if (kernel.back() % groups != 0) {
    throw ShapeError("conv",
                     fmt::format("The kernel's {} features do not split into {} groups.", kernel.back(), groups),
                     {.got = operands(x, kernel)});
  }
}

/// The shape of the convolution's result; attributes are complete.
Shape conv_shape(const attr::Conv& conv) {
  const std::size_t spatial_rank = conv.strides.size();
  Shape result{conv.input_shape[0]};
  for (std::size_t axis = 0; axis < spatial_rank; ++axis) {
    const std::int64_t extent = ops::dilated_extent(conv.input_shape[axis + 1], conv.input_dilation[axis], "conv");
    const std::int64_t window = ops::dilated_extent(conv.kernel_shape[axis], conv.kernel_dilation[axis], "conv");
    result.push_back(ops::window_places(extent, conv.low[axis], conv.high[axis], window, conv.strides[axis], "conv"));
  }
  result.push_back(conv.kernel_shape.back());
  return result;
}

/// Checks the operands of `op` against the shapes that its attributes give them.
DType checked(std::string_view op, std::span<const Abstract> inputs, const Shape& first, const Shape& second) {
  ops::require_floating(op, inputs);
  ops::require_same_dtype(op, inputs);
  if (inputs[0].shape != first || inputs[1].shape != second) {
    throw ShapeError(op, "The operands do not have the shapes of this convolution.",
                     {.got = fmt::format("{} and {}", to_string(inputs[0].shape), to_string(inputs[1].shape)),
                      .expected = fmt::format("{} and {}", to_string(first), to_string(second))});
  }
  return inputs[0].dtype;
}

/// Of one of the convolutions' arrays: as it is, or in lanes.
using Layout = Shape (*)(const Shape&);
Shape ordinary(const Shape& shape) { return shape; }

Shape in_lanes(const Shape& shape) {
  if (shape[0] % kernels::lanes == 0) return kernels::in_lanes(shape);
  throw ShapeError("conv_in_lanes", "The samples do not fill whole lanes.",
                   {.got = to_string(shape), .expected = fmt::format("a multiple of {} samples", kernels::lanes)});
}

template <Layout layout>
Abstract conv_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const auto& conv = std::get<attr::Conv>(attributes);
  const DType dtype = checked("conv", inputs, layout(conv.input_shape), conv.kernel_shape);
  return {layout(conv_shape(conv)), dtype};
}
template <Layout layout>
Abstract input_grad_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const auto& conv = std::get<attr::Conv>(attributes);
  const DType dtype = checked("conv_input_grad", inputs, layout(conv_shape(conv)), conv.kernel_shape);
  return {layout(conv.input_shape), dtype};
}
template <Layout layout>
Abstract kernel_grad_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const auto& conv = std::get<attr::Conv>(attributes);
  const DType dtype = checked("conv_kernel_grad", inputs, layout(conv.input_shape), layout(conv_shape(conv)));
  return {conv.kernel_shape, dtype};
}

// The three ops are one trilinear form of (input, kernel, cotangent), each free in another argument: the gradient in an
// operand is the op that is free in that operand.
template <const Op& output, const Op& input, const Op& kernel>
struct Trilinear {
  static Array apply(const Op& op, const Application& a, const Array& x, const Array& y) {
    return apply_op(op, {x, y}, a.attributes);
  }
  static std::vector<Array> of_output(const Application& a, const Array& g) {
    return ops::gradients(
        a, [&] { return apply(input, a, g, a.inputs[1]); }, [&] { return apply(kernel, a, a.inputs[0], g); });
  }
  static std::vector<Array> of_input(const Application& a, const Array& g) {
    return ops::gradients(
        a, [&] { return apply(output, a, g, a.inputs[1]); }, [&] { return apply(kernel, a, g, a.inputs[0]); });
  }
  static std::vector<Array> of_kernel(const Application& a, const Array& g) {
    return ops::gradients(
        a, [&] { return apply(input, a, a.inputs[1], g); }, [&] { return apply(output, a, a.inputs[0], g); });
  }
};
using Ordinary = Trilinear<ops::conv, ops::conv_input_grad, ops::conv_kernel_grad>;
using InLanes = Trilinear<ops::conv_in_lanes, ops::conv_input_grad_in_lanes, ops::conv_kernel_grad_in_lanes>;
using Winograd = Trilinear<ops::conv_winograd, ops::conv_input_grad_winograd, ops::conv_kernel_grad_winograd>;
using WinogradInLanes = Trilinear<ops::conv_winograd_in_lanes, ops::conv_input_grad_winograd_in_lanes,
                                  ops::conv_kernel_grad_winograd_in_lanes>;

}  // namespace

namespace ops {

namespace ref = kernels::reference;
namespace cpu = kernels::cpu;

constexpr Op conv_op(std::string_view name, decltype(Op::shape_rule) rule, GradientRule gradient,
                     kernels::Kernel reference, kernels::Kernel fast, kernels::Choose choice) {
  return {
      .name = name, .shape_rule = rule, .gradient = gradient, .reference = reference, .fast = fast, .choice = choice};
}
using cpu::ConvResult;

constexpr Op conv = conv_op("conv", conv_rule<ordinary>, Ordinary::of_output, ref::conv, cpu::conv,
                            cpu::choose_conv<ConvResult::output>);
constexpr Op conv_input_grad =
    conv_op("conv_input_grad", input_grad_rule<ordinary>, Ordinary::of_input, ref::conv_input_grad,
            cpu::conv_input_grad, cpu::choose_conv<ConvResult::input_grad>);
constexpr Op conv_kernel_grad =
    conv_op("conv_kernel_grad", kernel_grad_rule<ordinary>, Ordinary::of_kernel, ref::conv_kernel_grad,
            cpu::conv_kernel_grad, cpu::choose_conv<ConvResult::kernel_grad>);
constexpr Op conv_in_lanes = conv_op("conv_in_lanes", conv_rule<in_lanes>, InLanes::of_output, ref::conv_in_lanes,
                                     cpu::conv_in_lanes, cpu::choose_conv_in_lanes<ConvResult::output>);
constexpr Op conv_input_grad_in_lanes =
    conv_op("conv_input_grad_in_lanes", input_grad_rule<in_lanes>, InLanes::of_input, ref::conv_input_grad_in_lanes,
            cpu::conv_input_grad_in_lanes, cpu::choose_conv_in_lanes<ConvResult::input_grad>);
constexpr Op conv_kernel_grad_in_lanes =
    conv_op("conv_kernel_grad_in_lanes", kernel_grad_rule<in_lanes>, InLanes::of_kernel, ref::conv_kernel_grad_in_lanes,
            cpu::conv_kernel_grad_in_lanes, cpu::choose_conv_in_lanes<ConvResult::kernel_grad>);
constexpr Op conv_winograd = conv_op("conv_winograd", conv_rule<ordinary>, Winograd::of_output, ref::conv,
                                     cpu::conv_winograd, cpu::choose_conv_winograd<ConvResult::output>);
constexpr Op conv_input_grad_winograd =
    conv_op("conv_input_grad_winograd", input_grad_rule<ordinary>, Winograd::of_input, ref::conv_input_grad,
            cpu::conv_input_grad_winograd, cpu::choose_conv_winograd<ConvResult::input_grad>);
constexpr Op conv_kernel_grad_winograd =
    conv_op("conv_kernel_grad_winograd", kernel_grad_rule<ordinary>, Winograd::of_kernel, ref::conv_kernel_grad,
            cpu::conv_kernel_grad_winograd, cpu::choose_conv_winograd<ConvResult::kernel_grad>);
constexpr Op conv_winograd_in_lanes =
    conv_op("conv_winograd_in_lanes", conv_rule<in_lanes>, WinogradInLanes::of_output, ref::conv_in_lanes,
            cpu::conv_winograd_in_lanes, cpu::choose_conv_winograd_in_lanes<ConvResult::output>);
constexpr Op conv_input_grad_winograd_in_lanes =
    conv_op("conv_input_grad_winograd_in_lanes", input_grad_rule<in_lanes>, WinogradInLanes::of_input,
            ref::conv_input_grad_in_lanes, cpu::conv_input_grad_winograd_in_lanes,
            cpu::choose_conv_winograd_in_lanes<ConvResult::input_grad>);
constexpr Op conv_kernel_grad_winograd_in_lanes =
    conv_op("conv_kernel_grad_winograd_in_lanes", kernel_grad_rule<in_lanes>, WinogradInLanes::of_kernel,
            ref::conv_kernel_grad_in_lanes, cpu::conv_kernel_grad_winograd_in_lanes,
            cpu::choose_conv_winograd_in_lanes<ConvResult::kernel_grad>);

Family conv_family() {
  static constexpr const Op* all[] = {&conv,
                                      &conv_input_grad,
                                      &conv_kernel_grad,
                                      &conv_in_lanes,
                                      &conv_input_grad_in_lanes,
                                      &conv_kernel_grad_in_lanes,
                                      &conv_winograd,
                                      &conv_input_grad_winograd,
                                      &conv_kernel_grad_winograd,
                                      &conv_winograd_in_lanes,
                                      &conv_input_grad_winograd_in_lanes,
                                      &conv_kernel_grad_winograd_in_lanes};
  return all;
}

}  // namespace ops

namespace {

/// `x` with the places around it filled as "CIRCULAR", "REFLECT" or "CAUSAL" say, for a convolution without padding.
Array surrounded(const Array& x, Padding::Kind kind, const Shape& window) {
  Padding::Pairs widths{{0, 0}};
  if (kind == Padding::Kind::causal) {
    if (window.size() != 1) {
      throw ValueError("conv", "CAUSAL padding is for one spatial axis.", {.got = fmt::format("{}", window.size())});
    }
    widths.emplace_back(std::max<std::int64_t>(window[0] - 1, 0), 0);
    widths.emplace_back(0, 0);
    return pad(x, widths);
  }
  for (const std::int64_t extent : window) {
    widths.emplace_back(std::max<std::int64_t>(extent - 1, 0) / 2, extent / 2);
  }
  widths.emplace_back(0, 0);
  return pad(x, widths, kind == Padding::Kind::circular ? PadMode::wrap : PadMode::reflect);
}

}  // namespace

Array conv(const Array& x, const Array& kernel, const ConvOptions& options) {
  check_operands(x.shape(), kernel.shape(), options.groups);
  const int spatial_rank = x.rank() - 2;
  const auto axes = static_cast<std::size_t>(spatial_rank);

  const DType dtype = promote(x.dtype(), kernel.dtype());
  if (!is_floating(dtype)) {
    throw DTypeError(
        "conv", "The operands must be floating-point.",
        {.got = fmt::format("{} and {}", describe(x), describe(kernel)), .expected = "float32 or float64"});
  }

  attr::Conv conv;
  conv.groups = options.groups;
  conv.input_shape = x.shape();
  conv.kernel_shape = kernel.shape();
  conv.strides = ops::positive_per_axis(options.strides, spatial_rank, "strides", "conv");
  conv.input_dilation = ops::positive_per_axis(options.input_dilation, spatial_rank, "input dilations", "conv");
  conv.kernel_dilation = ops::positive_per_axis(options.kernel_dilation, spatial_rank, "kernel dilations", "conv");
  if (options.padding.is_same() && conv.input_dilation != Shape::filled(spatial_rank, 1)) {
    throw ValueError("conv", "SAME padding has no meaning for a dilated input.",
                     {.got = fmt::format("input dilation {}", to_string(conv.input_dilation)),
                      .hint = "give a (low, high) pair per spatial axis"});
  }
  Shape window = spatial_of(kernel.shape(), 0, axes);
  for (std::size_t axis = 0; axis < axes; ++axis) {
    window[axis] = ops::dilated_extent(window[axis], conv.kernel_dilation[axis], "conv");
  }
  const Padding::Kind kind = options.padding.kind();
  if (kind == Padding::Kind::circular || kind == Padding::Kind::reflect || kind == Padding::Kind::causal) {
    ConvOptions valid = options;
    valid.padding = "VALID";
    return linseed::conv(surrounded(x, kind, window), kernel, valid);
  }
  const auto pairs = options.padding.resolve(spatial_of(x.shape(), 1, axes), window, conv.strides, "conv");
  std::tie(conv.low, conv.high) = ops::sides(pairs);
  return apply_op(ops::conv, {astype(x, dtype), astype(kernel, dtype)}, conv);
}

}  // namespace linseed
