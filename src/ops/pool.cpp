#include "ops/pool.hpp"

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/pool.hpp>
#include <linseed/ops/shape.hpp>

#include "kernels/pool.hpp"
#include "ops/conv.hpp"

namespace linseed {

namespace {

constexpr int max_spatial_rank = 3;

using Gradients = std::vector<Array>;

Shape pooled_shape(const attr::Window& pool, std::string_view op) {
  Shape result{pool.input_shape[0]};
  for (std::size_t axis = 0; axis < pool.window.size(); ++axis) {
    result.push_back(ops::window_places(pool.input_shape[axis + 1], pool.low[axis], pool.high[axis], pool.window[axis],
                                        pool.strides[axis], op));
  }
  result.push_back(pool.input_shape.back());
  return result;
}

void check_shape(std::string_view op, const Abstract& operand, const Shape& expected) {
  if (operand.shape == expected) return;
  throw ShapeError(op, "The operand does not have the shape of this pooling.",
                   {.got = to_string(operand.shape), .expected = to_string(expected)});
}

void require_numeric(std::string_view op, const Abstract& operand) {
  if (operand.dtype != DType::bool_) return;
  throw DTypeError(op, "The operand must be numeric.", {.got = describe(operand.dtype, operand.shape)});
}

Abstract max_pool_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const auto& pool = std::get<attr::Window>(attributes);
  check_shape("max_pool", inputs[0], pool.input_shape);
  require_numeric("max_pool", inputs[0]);
  return {pooled_shape(pool, "max_pool"), inputs[0].dtype};
}

Abstract max_pool_grad_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const auto& pool = std::get<attr::Window>(attributes);
  ops::require_floating("max_pool_grad", inputs);
  ops::require_same_dtype("max_pool_grad", inputs);
  check_shape("max_pool_grad", inputs[0], pool.input_shape);
  check_shape("max_pool_grad", inputs[1], pooled_shape(pool, "max_pool_grad"));
  return inputs[0];
}

Abstract max_pool_gather_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const auto& pool = std::get<attr::Window>(attributes);
  ops::require_floating("max_pool_gather", inputs);
  ops::require_same_dtype("max_pool_gather", inputs);
  for (const Abstract& input : inputs) check_shape("max_pool_gather", input, pool.input_shape);
  return {pooled_shape(pool, "max_pool_gather"), inputs[0].dtype};
}

Abstract window_sum_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const auto& pool = std::get<attr::Window>(attributes);
  ops::require_floating("window_sum", inputs);
  check_shape("window_sum", inputs[0], pool.input_shape);
  return {pooled_shape(pool, "window_sum"), inputs[0].dtype};
}

Abstract window_sum_transpose_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const auto& pool = std::get<attr::Window>(attributes);
  ops::require_floating("window_sum_transpose", inputs);
  check_shape("window_sum_transpose", inputs[0], pooled_shape(pool, "window_sum_transpose"));
  return {pool.input_shape, inputs[0].dtype};
}

// The places of the largest elements do not move under small changes of x: reading and scattering are linear in the
// other operand, and constant in x.
Gradients max_pool_gradient(const Application& a, const Array& g) {
  return {apply_op(ops::max_pool_grad, {a.inputs[0], g}, a.attributes)};
}
Gradients max_pool_grad_gradient(const Application& a, const Array& c) {
  return ops::gradients(
      a, [] { return Array{}; }, [&] { return apply_op(ops::max_pool_gather, {a.inputs[0], c}, a.attributes); });
}
Gradients max_pool_gather_gradient(const Application& a, const Array& g) {
  return ops::gradients(
      a, [] { return Array{}; }, [&] { return apply_op(ops::max_pool_grad, {a.inputs[0], g}, a.attributes); });
}
Gradients window_sum_gradient(const Application& a, const Array& g) {
  return {apply_op(ops::window_sum_transpose, {g}, a.attributes)};
}
Gradients window_sum_transpose_gradient(const Application& a, const Array& c) {
  return {apply_op(ops::window_sum, {c}, a.attributes)};
}

}  // namespace

namespace ops {

namespace ref = kernels::reference;
namespace cpu = kernels::cpu;

constexpr Op max_pool{"max_pool", max_pool_rule, max_pool_gradient, ref::max_pool, cpu::max_pool};
constexpr Op max_pool_grad{"max_pool_grad", max_pool_grad_rule, max_pool_grad_gradient, ref::max_pool_grad,
                           cpu::max_pool_grad};
constexpr Op max_pool_gather{"max_pool_gather", max_pool_gather_rule, max_pool_gather_gradient, ref::max_pool_gather,
                             cpu::max_pool_gather};
constexpr Op window_sum{"window_sum", window_sum_rule, window_sum_gradient, ref::window_sum, cpu::window_sum};
constexpr Op window_sum_transpose{"window_sum_transpose", window_sum_transpose_rule, window_sum_transpose_gradient,
                                  ref::window_sum_transpose, cpu::window_sum_transpose};

Family pool_family() {
  static constexpr const Op* all[] = {&max_pool, &max_pool_grad, &max_pool_gather, &window_sum, &window_sum_transpose};
  return all;
}

}  // namespace ops

namespace {

/// The complete attributes of pooling `x`, arguments checked.
attr::Window pooling(const Array& x, const Shape& window, const Shape& strides, const Padding& padding,
                     std::string_view op) {
  const int spatial_rank = x.rank() - 2;
  if (spatial_rank < 1 || spatial_rank > max_spatial_rank) {
    throw ShapeError(op, "The input needs a batch axis, 1 to 3 spatial axes and a channel axis.",
                     {.got = fmt::format("input {}", to_string(x.shape()))});
  }
  if (window.rank() != spatial_rank) {
    throw ShapeError(op, "The window needs one number per spatial axis.",
                     {.got = fmt::format("window {}, input {}", to_string(window), to_string(x.shape())),
                      .expected = fmt::format("{} numbers", spatial_rank)});
  }
  attr::Window pool;
  pool.input_shape = x.shape();
  pool.window = ops::positive_per_axis(window, spatial_rank, "window's extents", op);
  pool.strides = ops::positive_per_axis(strides, spatial_rank, "strides", op);
  const Shape extents(x.shape().begin() + 1, x.shape().end() - 1);
  std::tie(pool.low, pool.high) = ops::sides(padding.resolve(extents, pool.window, pool.strides, op));
  static_cast<void>(pooled_shape(pool, op));  // so that sizes out of range are reported under the caller's name
  return pool;
}

/// Calls `pool` with the axes of `x` before the spatial ones merged into one, or with one added, and gives them back.
template <class Pool>
Array over_one_batch_axis(const Array& x, const Shape& window, const Pool& pool) {
  const int leading = x.rank() - window.rank() - 1;
  if (leading == 1 || leading < 0 || window.empty()) return pool(x);
  Shape merged{1};
  for (int axis = 0; axis < leading; ++axis) merged[0] *= x.extent(axis);
  for (int axis = leading; axis < x.rank(); ++axis) merged.push_back(x.extent(axis));
  const Array y = pool(reshape(x, merged));
  Shape restored(x.shape().begin(), x.shape().begin() + leading);
  for (int axis = 1; axis < y.rank(); ++axis) restored.push_back(y.extent(axis));
  return reshape(y, restored);
}

Array max_pool_batched(const Array& x, const Shape& window, const Shape& strides, const Padding& padding) {
  return apply_op(ops::max_pool, {x}, pooling(x, window, strides, padding, "max_pool"));
}

Array min_pool_batched(const Array& x, const Shape& window, const Shape& strides, const Padding& padding) {
  const attr::Window pool = pooling(x, window, strides, padding, "min_pool");
  require_numeric("min_pool", abstract(x));
  if (is_floating(x.dtype())) return -apply_op(ops::max_pool, {-x}, pool);
  // Integers turn their order round by the complement; negation would keep the smallest signed and the unsigned zero.
  const Array all_bits(-1, x.dtype());
  return all_bits - apply_op(ops::max_pool, {all_bits - x}, pool);
}

Array avg_pool_batched(const Array& x, const Shape& window, const Shape& strides, const Padding& padding,
                       bool count_include_pad) {
  const Array values = ops::floating(x);
  attr::Window pool = pooling(values, window, strides, padding, "avg_pool");
  const Array sums = apply_op(ops::window_sum, {values}, pool);
  if (count_include_pad) {
    double places = 1.0;
    for (const std::int64_t extent : pool.window) places *= static_cast<double>(extent);
    return sums * (1.0 / places);  // XLA divides by a constant through its reciprocal
  }
  Shape place_shape = pool.input_shape;
  place_shape[0] = 1;
  place_shape.back() = 1;
  pool.input_shape = place_shape;
  return sums / apply_op(ops::window_sum, {ones(place_shape, values.dtype())}, pool);
}

}  // namespace

Array max_pool(const Array& x, const Shape& window, const Shape& strides, const Padding& padding) {
  return over_one_batch_axis(x, window, [&](const Array& y) { return max_pool_batched(y, window, strides, padding); });
}

Array min_pool(const Array& x, const Shape& window, const Shape& strides, const Padding& padding) {
  return over_one_batch_axis(x, window, [&](const Array& y) { return min_pool_batched(y, window, strides, padding); });
}

Array avg_pool(const Array& x, const Shape& window, const Shape& strides, const Padding& padding,
               bool count_include_pad) {
  return over_one_batch_axis(
      x, window, [&](const Array& y) { return avg_pool_batched(y, window, strides, padding, count_include_pad); });
}

}  // namespace linseed
