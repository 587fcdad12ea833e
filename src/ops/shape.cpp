#include "ops/shape.hpp"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "kernels/elementwise.hpp"
#include "kernels/shape.hpp"

namespace linseed {

namespace {

using Inputs = std::span<const Abstract>;
using Gradients = std::vector<Array>;
using AxisList = InlineVector<int, max_rank>;

Abstract reshape_rule(Inputs inputs, const Attributes& attributes) {
  const Shape& shape = std::get<attr::NewShape>(attributes).shape;
  if (shape.elements() != inputs[0].shape.elements()) {
    throw ShapeError("reshape", "The number of elements differs.",
                     {.got = fmt::format("{} to {}", to_string(inputs[0].shape), to_string(shape))});
  }
  return {shape, inputs[0].dtype};
}

Abstract transpose_rule(Inputs inputs, const Attributes& attributes) {
  Shape shape;
  for (const int axis : std::get<attr::Transpose>(attributes).permutation) {
    shape.push_back(inputs[0].shape[static_cast<std::size_t>(axis)]);
  }
  return {shape, inputs[0].dtype};
}

Abstract broadcast_rule(Inputs inputs, const Attributes& attributes) {
  const Shape& shape = std::get<attr::NewShape>(attributes).shape;
  if (!(broadcast_shapes(inputs[0].shape, shape, "broadcast_to") == shape)) {
    throw ShapeError("broadcast_to", "The Array does not broadcast to the shape.",
                     {.got = to_string(inputs[0].shape), .expected = to_string(shape)});
  }
  return {shape, inputs[0].dtype};
}

Abstract slice_rule(Inputs inputs, const Attributes& attributes) {
  const auto& [starts, limits, strides] = std::get<attr::Slice>(attributes);
  Shape shape;
  for (std::size_t axis = 0; axis < starts.size(); ++axis) {
    shape.push_back((limits[axis] - starts[axis] + strides[axis] - 1) / strides[axis]);
  }
  return {shape, inputs[0].dtype};
}

std::int64_t dilated(std::int64_t extent, std::int64_t interior) {
  return extent == 0 ? 0 : extent + (extent - 1) * interior;
}

Abstract pad_rule(Inputs inputs, const Attributes& attributes) {
  const auto& [low, high, interior] = std::get<attr::Pad>(attributes);
  ops::require_same_dtype("pad", inputs);
  Shape shape;
  for (std::size_t axis = 0; axis < low.size(); ++axis) {
    const std::int64_t extent = low[axis] + dilated(inputs[0].shape[axis], interior[axis]) + high[axis];
    if (extent < 0) {
      throw ShapeError("pad", "Negative padding cuts off more than there is.",
                       {.got = fmt::format("axis {} of {} padded by ({}, {})", axis, to_string(inputs[0].shape),
                                           low[axis], high[axis])});
    }
    shape.push_back(extent);
  }
  return {shape, inputs[0].dtype};
}

Abstract concatenate_rule(Inputs inputs, const Attributes& attributes) {
  const auto axis = static_cast<std::size_t>(std::get<attr::Axis>(attributes).axis);
  ops::require_same_dtype("concatenate", inputs);
  Abstract result = inputs[0];
  for (const Abstract& input : inputs.subspan(1)) {
    Shape expected = result.shape;
    if (input.shape.size() == expected.size()) expected[axis] = input.shape[axis];
    if (!(input.shape == expected)) {
      throw ShapeError(
          "concatenate", "Shapes differ apart from the joined axis.",
          {.got = fmt::format("{} and {} along axis {}", to_string(inputs[0].shape), to_string(input.shape), axis)});
    }
    result.shape[axis] += input.shape[axis];
  }
  return result;
}

Abstract same_rule(Inputs inputs, const Attributes&) { return inputs[0]; }

Abstract iota_rule(Inputs, const Attributes& attributes) {
  const auto& iota = std::get<attr::Iota>(attributes);
  return {iota.shape, iota.dtype};
}

void require_indices(std::string_view op, const Abstract& indices) {
  if (is_integer(indices.dtype)) return;
  throw DTypeError(op, "Indices must be integers.", {.got = describe(indices.dtype, indices.shape)});
}

Abstract take_rule(Inputs inputs, const Attributes& attributes) {
  const auto axis = static_cast<std::size_t>(std::get<attr::Axis>(attributes).axis);
  require_indices("take", inputs[1]);
  Shape shape(inputs[0].shape.begin(), inputs[0].shape.begin() + axis);
  for (const std::int64_t extent : inputs[1].shape) shape.push_back(extent);
  for (std::size_t i = axis + 1; i < inputs[0].shape.size(); ++i) shape.push_back(inputs[0].shape[i]);
  return {shape, inputs[0].dtype};
}

Abstract take_along_rule(Inputs inputs, const Attributes& attributes) {
  const auto axis = static_cast<std::size_t>(std::get<attr::Axis>(attributes).axis);
  require_indices("take_along_axis", inputs[1]);
  Shape expected = inputs[0].shape;
  if (inputs[1].shape.size() == expected.size()) expected[axis] = inputs[1].shape[axis];
  if (!(inputs[1].shape == expected)) {
    throw ShapeError(
        "take_along_axis", "Indices and Array differ in shape apart from the axis.",
        {.got = fmt::format("{} into {} along axis {}", to_string(inputs[1].shape), to_string(inputs[0].shape), axis)});
  }
  return {inputs[1].shape, inputs[0].dtype};
}

Abstract scatter_rule(Inputs inputs, const Attributes& attributes) {
  ops::require_floating("take_add", inputs.first(1));
  return {std::get<attr::Scatter>(attributes).shape, inputs[0].dtype};
}

// ---- gradients ----

Gradients reshape_gradient(const Application& a, const Array& g) { return {reshape(g, a.inputs[0].shape())}; }

Gradients transpose_gradient(const Application& a, const Array& g) {
  const AxisList& permutation = a.as<attr::Transpose>().permutation;
  std::vector<int> inverse(permutation.size());
  for (std::size_t i = 0; i < permutation.size(); ++i)
    inverse[static_cast<std::size_t>(permutation[i])] = static_cast<int>(i);
  return {transpose(g, inverse)};
}

Gradients broadcast_gradient(const Application& a, const Array& g) {
  return {ops::sum_to_shape(g, a.inputs[0].shape())};
}

Gradients slice_gradient(const Application& a, const Array& g) {
  const auto& [starts, limits, strides] = a.as<attr::Slice>();
  Shape high, interior;
  for (std::size_t axis = 0; axis < starts.size(); ++axis) {
    interior.push_back(strides[axis] - 1);
    high.push_back(a.inputs[0].shape()[axis] - starts[axis] - dilated(g.shape()[axis], strides[axis] - 1));
  }
  return {pad_interior(g, starts, high, interior)};
}

Gradients pad_gradient(const Application& a, const Array& g) {
  const auto& [low, high, interior] = a.as<attr::Pad>();
  Shape uncover_low, uncover_high, none, starts, limits, strides;
  for (std::size_t axis = 0; axis < low.size(); ++axis) {
    uncover_low.push_back(-low[axis]);
    uncover_high.push_back(-high[axis]);
    none.push_back(0);
    starts.push_back(0);
    limits.push_back(dilated(a.inputs[0].shape()[axis], interior[axis]));
    strides.push_back(interior[axis] + 1);
  }
  const Array inner = slice(pad_interior(g, uncover_low, uncover_high, none), starts, limits, strides);
  return ops::gradients(a, [&] { return inner; }, [&] { return sum(g) - sum(inner); });
}

Gradients concatenate_gradient(const Application& a, const Array& g) {
  const int axis = a.as<attr::Axis>().axis;
  Gradients result(a.inputs.size());
  std::int64_t start = 0;
  for (std::size_t i = 0; i < a.inputs.size(); ++i) {
    const std::int64_t limit = start + a.inputs[i].extent(axis);
    if (a.wanted[i]) result[i] = slice_axis(g, axis, start, limit);
    start = limit;
  }
  return result;
}

Gradients flip_gradient(const Application& a, const Array& g) {
  const AxisList& axes = a.as<attr::AxisSet>().axes;
  return {flip(g, std::vector<int>(axes.begin(), axes.end()))};
}

// True where an index names an element of an axis of the given extent, which may not fit the dtype of the indices.
Array names_element(const Array& indices, std::int64_t extent) {
  const Array wide = astype(indices, DType::int64);
  return wide >= -extent && wide < extent;
}

Gradients take_gradient(const Application& a, const Array& g) {
  if (!a.wanted[0]) return Gradients(2);
  return {apply_op(ops::take_add, {g, a.inputs[1]}, attr::Scatter{a.inputs[0].shape(), a.as<attr::Axis>().axis}),
          Array{}};
}

Gradients take_add_gradient(const Application& a, const Array& g) {
  if (!a.wanted[0]) return Gradients(2);
  const auto& [shape, axis] = a.as<attr::Scatter>();
  Shape aligned = a.inputs[1].shape();
  for (int i = axis + 1; i < shape.rank(); ++i) aligned.push_back(1);
  const Array valid = reshape(names_element(a.inputs[1], shape[static_cast<std::size_t>(axis)]), aligned);
  return {where(valid, take(g, a.inputs[1], axis), 0), Array{}};
}

Gradients take_along_gradient(const Application& a, const Array& g) {
  if (!a.wanted[0]) return Gradients(2);
  return {apply_op(ops::take_along_add, {g, a.inputs[1]}, attr::Scatter{a.inputs[0].shape(), a.as<attr::Axis>().axis}),
          Array{}};
}

Gradients take_along_add_gradient(const Application& a, const Array& g) {
  if (!a.wanted[0]) return Gradients(2);
  const auto& [shape, axis] = a.as<attr::Scatter>();
  const Array valid = names_element(a.inputs[1], shape[static_cast<std::size_t>(axis)]);
  return {where(valid, take_along_axis(g, a.inputs[1], axis), 0), Array{}};
}

}  // namespace

// ---- the tables ----

namespace ops {

namespace ref = kernels::reference;
namespace cpu = kernels::cpu;

constexpr Op reshape{"reshape", reshape_rule, reshape_gradient, ref::copy, nullptr, /*shares_operand=*/true};
constexpr Op transpose{"transpose", transpose_rule, transpose_gradient, ref::transpose, cpu::transpose};
constexpr Op broadcast_to{"broadcast_to", broadcast_rule, broadcast_gradient, ref::broadcast_to, cpu::broadcast_to};
constexpr Op slice{"slice", slice_rule, slice_gradient, ref::slice, cpu::slice};
constexpr Op pad{"pad", pad_rule, pad_gradient, ref::pad, cpu::pad};
constexpr Op concatenate{"concatenate", concatenate_rule, concatenate_gradient, ref::concatenate};
constexpr Op flip{"flip", same_rule, flip_gradient, ref::flip, cpu::flip};
constexpr Op iota{"iota", iota_rule, not_differentiable, ref::iota};
constexpr Op take{"take", take_rule, take_gradient, ref::take};
constexpr Op take_add{"take_add", scatter_rule, take_add_gradient, ref::take_add};
constexpr Op take_along{"take_along", take_along_rule, take_along_gradient, ref::take_along};
constexpr Op take_along_add{"take_along_add", scatter_rule, take_along_add_gradient, ref::take_along_add};

Family shape_family() {
  static constexpr const Op* all[] = {&reshape, &transpose, &broadcast_to, &slice, &pad, &concatenate, &flip, &iota};
  return all;
}
Family index_family() {
  static constexpr const Op* all[] = {&take, &take_add, &take_along, &take_along_add};
  return all;
}

}  // namespace ops

// ---- public functions ----

Array reshape(const Array& x, const Shape& shape) {
  Shape resolved = shape;
  std::int64_t known = 1;
  std::int64_t* unknown = nullptr;
  for (std::int64_t& extent : resolved) {
    if (extent >= 0) {
      known *= extent;
    } else if (extent == -1 && unknown == nullptr) {
      unknown = &extent;
    } else {
      throw ShapeError("reshape", "Only one extent may be left open, by -1.", {.got = to_string(shape)});
    }
  }
  if (unknown != nullptr) {
    if (known == 0 || x.size() % known != 0) {
      throw ShapeError("reshape", "The open extent cannot be deduced.",
                       {.got = fmt::format("{} to {}", to_string(x.shape()), to_string(shape))});
    }
    *unknown = x.size() / known;
  }
  if (resolved == x.shape()) return x;
  return apply_op(ops::reshape, {x}, attr::NewShape{resolved});
}

Array ravel(const Array& x) { return reshape(x, {x.size()}); }

Array transpose(const Array& x, const Axes& permutation) {
  AxisList order;
  if (permutation.all()) {
    for (int axis = x.rank() - 1; axis >= 0; --axis) order.push_back(axis);
  } else {
    if (permutation.normalized(x.rank(), "transpose").size() != static_cast<std::size_t>(x.rank())) {
      throw ShapeError("transpose", "The permutation must name every axis once.",
                       {.got = fmt::format("{} axes for {}", permutation.list().size(), to_string(x.shape()))});
    }
    for (const int axis : permutation.list()) order.push_back(normalize_axis(axis, x.rank(), "transpose"));
  }
  if (std::is_sorted(order.begin(), order.end())) return x;
  return apply_op(ops::transpose, {x}, attr::Transpose{order});
}

Array moveaxis(const Array& x, int source, int destination) {
  const int from = normalize_axis(source, x.rank(), "moveaxis");
  const int to = normalize_axis(destination, x.rank(), "moveaxis");
  std::vector<int> order(static_cast<std::size_t>(x.rank()));
  std::iota(order.begin(), order.end(), 0);
  order.erase(order.begin() + from);
  order.insert(order.begin() + to, from);
  return transpose(x, order);
}

Array broadcast_to(const Array& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return apply_op(ops::broadcast_to, {x}, attr::NewShape{shape});
}

Array expand_dims(const Array& x, const Axes& axes) {
  const AxisList places = axes.normalized(x.rank() + static_cast<int>(axes.list().size()), "expand_dims");
  Shape shape = x.shape();
  for (const int place : places) shape.insert(static_cast<std::size_t>(place), 1);
  return reshape(x, shape);
}

Array squeeze(const Array& x, const Axes& axes) {
  const AxisList named = axes.normalized(x.rank(), "squeeze");
  Shape shape;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const std::int64_t extent = x.shape()[static_cast<std::size_t>(axis)];
    const bool wanted = std::find(named.begin(), named.end(), axis) != named.end();
    if (wanted && extent != 1 && !axes.all()) {
      throw ShapeError("squeeze", "Only axes of extent 1 can be removed.",
                       {.got = fmt::format("axis {} of {}", axis, to_string(x.shape()))});
    }
    if (!wanted || extent != 1) shape.push_back(extent);
  }
  return reshape(x, shape);
}

namespace {
std::vector<Array> in_common_dtype(const std::vector<Array>& arrays, std::string_view op) {
  if (arrays.empty()) throw ShapeError(op, "There is nothing to join.");
  DType dtype = arrays[0].dtype();
  for (const Array& array : arrays) dtype = promote(dtype, array.dtype());
  std::vector<Array> result;
  for (const Array& array : arrays) result.push_back(astype(array, dtype));
  return result;
}
}  // namespace

Array concatenate(const std::vector<Array>& arrays, int axis) {
  const std::vector<Array> operands = in_common_dtype(arrays, "concatenate");
  return apply_op(ops::concatenate, operands, attr::Axis{normalize_axis(axis, operands[0].rank(), "concatenate")});
}

Array stack(const std::vector<Array>& arrays, int axis) {
  std::vector<Array> operands = in_common_dtype(arrays, "stack");
  const int place = normalize_axis(axis, operands[0].rank() + 1, "stack");
  for (Array& operand : operands) {
    if (!(operand.shape() == arrays[0].shape())) {
      throw ShapeError("stack", "Shapes differ.",
                       {.got = fmt::format("{} and {}", to_string(arrays[0].shape()), to_string(operand.shape()))});
    }
  }
  for (Array& operand : operands) operand = expand_dims(operand, place);
  return concatenate(operands, place);
}

Array slice(const Array& x, const Shape& starts, const Shape& limits, const Shape& strides) {
  const Shape steps = strides.empty() ? Shape::filled(starts.rank(), 1) : strides;
  bool fits = starts.rank() == x.rank() && limits.rank() == x.rank() && steps.rank() == x.rank();
  for (std::size_t axis = 0; fits && axis < starts.size(); ++axis) {
    fits = 0 <= starts[axis] && starts[axis] <= limits[axis] && limits[axis] <= x.shape()[axis] && steps[axis] > 0;
  }
  if (!fits) {
    throw ShapeError("slice", "The bounds do not fit the Array.",
                     {.got = fmt::format("{} to {} by {} of {}", to_string(starts), to_string(limits), to_string(steps),
                                         to_string(x.shape())),
                      .expected = "0 <= start <= limit <= extent and a positive stride on every axis"});
  }
  return apply_op(ops::slice, {x}, attr::Slice{starts, limits, steps});
}

Array slice_axis(const Array& x, int axis, std::int64_t start, std::int64_t limit, std::int64_t stride) {
  const auto place = static_cast<std::size_t>(normalize_axis(axis, x.rank(), "slice_axis"));
  const std::int64_t extent = x.shape()[place];
  const auto clamped = [&](std::int64_t i) { return std::clamp<std::int64_t>(i < 0 ? i + extent : i, 0, extent); };
  Shape starts = Shape::filled(x.rank(), 0);
  Shape limits = x.shape();
  Shape strides = Shape::filled(x.rank(), 1);
  starts[place] = clamped(start);
  limits[place] = std::max(starts[place], clamped(limit));
  strides[place] = stride;
  return slice(x, starts, limits, strides);
}

Array pad(const Array& x, const std::vector<std::pair<std::int64_t, std::int64_t>>& widths, const ArrayLike& value) {
  Shape low, high;
  for (const auto& [before, after] : widths) {
    low.push_back(before);
    high.push_back(after);
  }
  return pad_interior(x, low, high, Shape::filled(x.rank(), 0), value);
}

Array pad_interior(const Array& x, const Shape& low, const Shape& high, const Shape& interior, const ArrayLike& value) {
  if (low.rank() != x.rank() || high.rank() != x.rank() || interior.rank() != x.rank()) {
    throw ShapeError("pad", "There must be one width per axis.",
                     {.got = fmt::format("{} widths for {}", low.rank(), to_string(x.shape()))});
  }
  if (std::any_of(interior.begin(), interior.end(), [](std::int64_t n) { return n < 0; })) {
    throw ShapeError("pad", "Interior padding cannot be negative.", {.got = to_string(interior)});
  }
  const Array filler = astype(value.beside(x.dtype()), x.dtype());
  if (filler.rank() != 0) throw ShapeError("pad", "The padding value must be a scalar.", {.got = describe(filler)});
  return apply_op(ops::pad, {x, filler}, attr::Pad{low, high, interior});
}

Array flip(const Array& x, const Axes& axes) {
  return apply_op(ops::flip, {x}, attr::AxisSet{axes.normalized(x.rank(), "flip")});
}

Array take(const Array& x, const Array& indices, int axis) {
  return apply_op(ops::take, {x, indices}, attr::Axis{normalize_axis(axis, x.rank(), "take")});
}

Array take_along_axis(const Array& x, const Array& indices, int axis) {
  return apply_op(ops::take_along, {x, indices}, attr::Axis{normalize_axis(axis, x.rank(), "take_along_axis")});
}

Array one_hot(const Array& labels, std::int64_t classes, DType dtype) {
  require_indices("one_hot", abstract(labels));
  // The classes may not fit into uint8.
  const DType wide = labels.dtype() == DType::uint8 ? DType::int32 : labels.dtype();
  return astype(expand_dims(labels, -1) == arange(classes, wide), dtype);
}

Array iota(const Shape& shape, int axis, DType dtype) {
  return apply_op(ops::iota, {}, attr::Iota{shape, normalize_axis(axis, shape.rank(), "iota"), dtype});
}

Array arange(std::int64_t count, DType dtype) { return iota({count}, 0, dtype); }

Array zeros(const Shape& shape, DType dtype) { return full(shape, 0, dtype); }
Array ones(const Shape& shape, DType dtype) { return full(shape, 1, dtype); }
Array full(const Shape& shape, const ArrayLike& value) { return broadcast_to(value.array(), shape); }
Array full(const Shape& shape, const ArrayLike& value, DType dtype) {
  return broadcast_to(value.is_number() ? astype(value.beside(dtype), dtype) : astype(value.array(), dtype), shape);
}
Array zeros_like(const Array& x) { return zeros(x.shape(), x.dtype()); }
Array ones_like(const Array& x) { return ones(x.shape(), x.dtype()); }

}  // namespace linseed
