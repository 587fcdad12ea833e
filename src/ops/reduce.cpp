#include "ops/reduce.hpp"

#include <algorithm>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "kernels/reduce.hpp"

namespace linseed {

namespace {

using AxisList = InlineVector<int, max_rank>;
using Gradients = std::vector<Array>;

bool contains(const AxisList& axes, int axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); }

Shape without(const Shape& shape, const AxisList& axes) {
  Shape result;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (!contains(axes, axis)) result.push_back(shape[static_cast<std::size_t>(axis)]);
  }
  return result;
}

Shape with_ones(Shape shape, const AxisList& axes) {
  for (const int axis : axes) shape[static_cast<std::size_t>(axis)] = 1;
  return shape;
}

constexpr char max_name[] = "max", min_name[] = "min", argmax_name[] = "argmax", argmin_name[] = "argmin";

Abstract reduce_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  return {without(inputs[0].shape, std::get<attr::AxisSet>(attributes).axes), inputs[0].dtype};
}

template <const char* name>
Abstract extremum_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const Abstract result = reduce_rule(inputs, attributes);
  if (inputs[0].shape.elements() == 0 && result.shape.elements() != 0) {
    throw ShapeError(name, "An empty axis has no largest or smallest element.", {.got = to_string(inputs[0].shape)});
  }
  return result;
}

template <const char* name>
Abstract index_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const int axis = std::get<attr::Axis>(attributes).axis;
  const Abstract result{without(inputs[0].shape, {axis}), DType::int32};
  if (inputs[0].shape[static_cast<std::size_t>(axis)] == 0 && result.shape.elements() != 0) {
    throw ShapeError(name, "An empty axis has no largest or smallest element.", {.got = to_string(inputs[0].shape)});
  }
  return result;
}

Abstract argsort_rule(std::span<const Abstract> inputs, const Attributes&) { return {inputs[0].shape, DType::int32}; }

// The result, repeated along the axes that were reduced.
Array spread(const Application& a, const Array& reduced) {
  const Shape& shape = a.inputs[0].shape();
  return broadcast_to(reshape(reduced, with_ones(shape, a.as<attr::AxisSet>().axes)), shape);
}

Gradients sum_gradient(const Application& a, const Array& g) { return {spread(a, g)}; }

// The product as a tree of pairs, differentiated: no division, so zeros need no care and the rule has gradients itself.
Gradients prod_gradient(const Application& a, const Array& g) {
  const Shape& shape = a.inputs[0].shape();
  const AxisList& axes = a.as<attr::AxisSet>().axes;
  std::vector<int> order;  // kept axes, then reduced ones
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (!contains(axes, axis)) order.push_back(axis);
  }
  order.insert(order.end(), axes.begin(), axes.end());
  const std::int64_t products = g.size();
  const std::int64_t factors = products == 0 ? 0 : shape.elements() / products;
  if (factors == 0) return {zeros_like(a.inputs[0])};

  const Array x = transpose(a.inputs[0], order);
  std::vector<std::pair<Array, Array>> levels;
  for (Array level = reshape(x, {products, factors}); level.extent(1) > 1;) {
    const std::int64_t half = (level.extent(1) + 1) / 2;
    if (level.extent(1) % 2 == 1) level = concatenate({level, ones({products, 1}, level.dtype())}, 1);
    levels.emplace_back(slice_axis(level, 1, 0, half), slice_axis(level, 1, half, 2 * half));
    level = levels.back().first * levels.back().second;
  }
  Array cotangent = reshape(g, {products, 1});
  for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
    const auto& [left, right] = *level;
    cotangent = slice_axis(cotangent, 1, 0, left.extent(1));  // without the one that made the number even
    cotangent = concatenate({cotangent * right, cotangent * left}, 1);
  }
  std::vector<int> inverse(order.size());
  for (std::size_t i = 0; i < order.size(); ++i) inverse[static_cast<std::size_t>(order[i])] = static_cast<int>(i);
  return {transpose(reshape(slice_axis(cotangent, 1, 0, factors), x.shape()), inverse)};
}

Gradients extremum_gradient(const Application& a, const Array& g) {
  const std::vector<int> axes(a.as<attr::AxisSet>().axes.begin(), a.as<attr::AxisSet>().axes.end());
  const Array winners = astype(a.inputs[0] == spread(a, a.output), g.dtype());
  return {winners * spread(a, g / sum(winners, axes))};
}

}  // namespace

namespace ops {

namespace ref = kernels::reference;
namespace cpu = kernels::cpu;
namespace fold = kernels::fold;

constexpr Op reduction(std::string_view name, decltype(Op::shape_rule) rule, GradientRule gradient,
                       kernels::Kernel reference, kernels::Kernel fast) {
  return {.name = name,
          .shape_rule = rule,
          .gradient = gradient,
          .reference = reference,
          .fast = fast,
          .choice = cpu::choose_reduce};
}
constexpr Op reduce_sum =
    reduction("reduce_sum", reduce_rule, sum_gradient, ref::reduce<fold::Sum>, cpu::reduce<fold::Sum>);
constexpr Op reduce_prod =
    reduction("reduce_prod", reduce_rule, prod_gradient, ref::reduce<fold::Prod>, cpu::reduce<fold::Prod>);
constexpr Op reduce_max =
    reduction("reduce_max", extremum_rule<max_name>, extremum_gradient, ref::reduce<fold::Max>, cpu::reduce<fold::Max>);
constexpr Op reduce_min =
    reduction("reduce_min", extremum_rule<min_name>, extremum_gradient, ref::reduce<fold::Min>, cpu::reduce<fold::Min>);
constexpr Op argmax{"argmax", index_rule<argmax_name>, not_differentiable, ref::argmax};
constexpr Op argmin{"argmin", index_rule<argmin_name>, not_differentiable, ref::argmin};
constexpr Op argsort{"argsort", argsort_rule, not_differentiable, ref::argsort};

Family reduce_family() {
  static constexpr const Op* all[] = {&reduce_sum, &reduce_prod, &reduce_max, &reduce_min, &argmax, &argmin, &argsort};
  return all;
}

}  // namespace ops

namespace {

Array apply_reduce(const Op& op, const Array& x, const Axes& axes, bool keepdims, std::string_view name) {
  const AxisList list = axes.normalized(x.rank(), name);
  const Array result = list.empty() ? x : apply_op(op, {x}, attr::AxisSet{list});
  return keepdims ? reshape(result, with_ones(x.shape(), list)) : result;
}

std::int64_t count_over(const Array& x, const Axes& axes, std::string_view name) {
  std::int64_t count = 1;
  for (const int axis : axes.normalized(x.rank(), name)) count *= x.shape()[static_cast<std::size_t>(axis)];
  return count;
}

Array index_of_extremum(const Op& op, const Array& x, int axis, std::string_view name) {
  return apply_op(op, {x}, attr::Axis{normalize_axis(axis, x.rank(), name)});
}

}  // namespace

Array sum(const Array& x, const Axes& axes, bool keepdims) {
  const DType wide = x.dtype() == DType::bool_ ? DType::int32 : x.dtype() == DType::uint8 ? DType::uint32 : x.dtype();
  return apply_reduce(ops::reduce_sum, astype(x, wide), axes, keepdims, "sum");
}

Array mean(const Array& x, const Axes& axes, bool keepdims) {
  const Array values = ops::floating(x);
  const auto count = static_cast<double>(count_over(x, axes, "mean"));
  if (count == 0) return sum(values, axes, keepdims) / 0.0;
  // XLA divides by a constant through its float32 reciprocal.
  return sum(values, axes, keepdims) * (1.0 / count);
}

Array var(const Array& x, const Axes& axes, bool keepdims) {
  const Array values = ops::floating(x);
  return mean(square(values - mean(values, axes, /*keepdims=*/true)), axes, keepdims);
}

Array max(const Array& x, const Axes& axes, bool keepdims) {
  return apply_reduce(ops::reduce_max, x, axes, keepdims, "max");
}
Array min(const Array& x, const Axes& axes, bool keepdims) {
  return apply_reduce(ops::reduce_min, x, axes, keepdims, "min");
}

Array prod(const Array& x, const Axes& axes, bool keepdims) {
  const DType wide = x.dtype() == DType::bool_ ? DType::int32 : x.dtype() == DType::uint8 ? DType::uint32 : x.dtype();
  return apply_reduce(ops::reduce_prod, astype(x, wide), axes, keepdims, "prod");
}

Array any(const Array& x, const Axes& axes, bool keepdims) { return sum(astype(x, DType::bool_), axes, keepdims) > 0; }
Array all(const Array& x, const Axes& axes, bool keepdims) { return !any(!x, axes, keepdims); }

Array argmax(const Array& x, int axis) { return index_of_extremum(ops::argmax, x, axis, "argmax"); }
Array argmin(const Array& x, int axis) { return index_of_extremum(ops::argmin, x, axis, "argmin"); }
Array argsort(const Array& x, int axis) { return index_of_extremum(ops::argsort, x, axis, "argsort"); }

Array logsumexp(const Array& x, const Axes& axes, bool keepdims) {
  const Array values = ops::floating(x);
  const Array largest = max(values, axes, /*keepdims=*/true);
  const Array shift = stop_gradient(where(isfinite(largest), largest, 0));
  const Array result = log(sum(exp(values - shift), axes, /*keepdims=*/true)) + shift;
  return keepdims ? result : squeeze(result, axes);
}

}  // namespace linseed
