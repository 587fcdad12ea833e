#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>

#include "program/op.hpp"

namespace linseed::ops {

/// A family's entries, for op_families().
using Family = std::span<const Op* const>;

/// Both operands in the dtype in which they meet.
std::pair<Array, Array> promoted(const ArrayLike& a, const ArrayLike& b);
/// The same for functions of the calculus: integers and bool become float32.
std::pair<Array, Array> promoted_floating(const ArrayLike& a, const ArrayLike& b);
/// `x` as float32 when it is not floating.
Array floating(const ArrayLike& x);

/// Sums a cotangent over the axes along which an operand of `shape` was repeated.
Array sum_to_shape(const Array& cotangent, const Shape& shape);

/// Throws DTypeError unless every dtype is floating.
void require_floating(std::string_view op, std::span<const Abstract> inputs);
/// Throws DTypeError unless all dtypes are equal.
void require_same_dtype(std::string_view op, std::span<const Abstract> inputs);

/// The gradients of a two-operand op, each computed only when wanted.
template <class First, class Second>
std::vector<Array> gradients(const Application& application, First&& first, Second&& second) {
  std::vector<Array> result(2);
  if (application.wanted[0]) result[0] = first();
  if (application.wanted[1]) result[1] = second();
  return result;
}

}  // namespace linseed::ops
