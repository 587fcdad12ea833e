#include "nn/layer_support.hpp"

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/nn/merge_param.hpp>

namespace linseed::nn {

namespace {

template <class T>
T merged(std::string_view name, const std::optional<T>& field, const std::optional<T>& argument) {
  if (field && argument) {
    throw ValueError("merge_param", fmt::format("\"{}\" was passed to the constructor and at call time.", name),
                     {.hint = "pass it just once"});
  }
  if (!field && !argument) {
    throw ValueError("merge_param", fmt::format("\"{}\" must be passed to the constructor or at call time.", name));
  }
  return field ? *field : *argument;
}

}  // namespace

bool merge_param(std::string_view name, std::optional<bool> field, std::optional<bool> argument) {
  return merged(name, field, argument);
}
std::string merge_param(std::string_view name, const std::optional<std::string>& field,
                        const std::optional<std::string>& argument) {
  return merged(name, field, argument);
}

DType computation_dtype(std::optional<DType> dtype, std::initializer_list<Array> operands) {
  if (dtype) {
    if (!is_floating(*dtype))
      throw DTypeError("dtype", "A layer computes in a floating-point dtype.", {.got = std::string(to_string(*dtype))});
    return *dtype;
  }
  DType result = operands.begin()->dtype();
  for (const Array& operand : operands) {
    if (operand.defined()) result = promote(result, operand.dtype());
  }
  return promote(result, DType::float32);
}

void require_positive(std::string_view layer, std::string_view field, std::int64_t value) {
  if (value > 0) return;
  throw ValueError(layer, fmt::format("{} must be positive.", field), {.got = std::to_string(value)});
}

void require_within(std::string_view layer, std::string_view field, double value, double low, double high) {
  if (std::isfinite(value) && value >= low && value <= high) return;
  const bool bounded = high < std::numeric_limits<double>::max();
  throw ValueError(
      layer, fmt::format("{} is out of its range.", field),
      {.got = fmt::format("{}", value),
       .expected = bounded ? fmt::format("{} to {}", low, high) : fmt::format("a finite number from {}", low)});
}

void require_mask(std::string_view layer, const Array& mask, const Shape& shape) {
  bool fits = mask.rank() <= shape.rank();
  for (int axis = 1; fits && axis <= mask.rank(); ++axis) {
    const std::int64_t extent = mask.extent(-axis);
    fits = extent == 1 || extent == shape[shape.size() - static_cast<std::size_t>(axis)];
  }
  if (fits) return;
  throw ShapeError(
      layer, "The mask does not broadcast.",
      {.got = to_string(mask.shape()), .expected = fmt::format("a shape that broadcasts to {}", to_string(shape))});
}

}  // namespace linseed::nn
