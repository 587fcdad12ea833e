#include "ops/common.hpp"

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed::ops {

std::pair<Array, Array> promoted(const ArrayLike& a, const ArrayLike& b) {
  const Array left = a.is_number() && !b.is_number() ? a.beside(b.array().dtype()) : a.array();
  const Array right = b.is_number() && !a.is_number() ? b.beside(left.dtype()) : b.array();
  const DType dtype = promote(left.dtype(), right.dtype());
  return {astype(left, dtype), astype(right, dtype)};
}

std::pair<Array, Array> promoted_floating(const ArrayLike& a, const ArrayLike& b) {
  auto [left, right] = promoted(a, b);
  return {floating(left), floating(right)};
}

Array floating(const ArrayLike& x) {
  const Array array = x.array();
  return is_floating(array.dtype()) ? array : astype(array, DType::float32);
}

Array sum_to_shape(const Array& cotangent, const Shape& shape) {
  if (cotangent.shape() == shape) return cotangent;
  const int leading = cotangent.rank() - shape.rank();
  std::vector<int> axes;
  for (int axis = 0; axis < cotangent.rank(); ++axis) {
    if (axis < leading || shape[axis - leading] != cotangent.shape()[axis]) axes.push_back(axis);
  }
  return reshape(sum(cotangent, axes), shape);
}

void require_floating(std::string_view op, std::span<const Abstract> inputs) {
  for (const Abstract& input : inputs) {
    if (is_floating(input.dtype)) continue;
    throw DTypeError(op, "The operand must be floating-point.",
                     {.got = describe(input.dtype, input.shape), .expected = "float32 or float64"});
  }
}

void require_same_dtype(std::string_view op, std::span<const Abstract> inputs) {
  for (const Abstract& input : inputs) {
    if (input.dtype == inputs[0].dtype) continue;
    throw DTypeError(op, "The operands differ in dtype.",
                     {.got = fmt::format("{} and {}", describe(inputs[0].dtype, inputs[0].shape),
                                         describe(input.dtype, input.shape))});
  }
}

}  // namespace linseed::ops
