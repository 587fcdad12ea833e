#pragma once

#include <string_view>
#include <vector>

#include <linseed/core/array.hpp>

namespace linseed {

/// Which axes `dot_general` sums over and which it pairs; the i-th of the left belongs to the i-th of the right.
struct DotAxes {
  std::vector<int> lhs_contract, rhs_contract;
  std::vector<int> lhs_batch = {}, rhs_batch = {};
};

/// jax.lax.dot_general: sums products over the contracting axes, for each index of the batch axes. The result has the
/// batch axes, then the free axes of `lhs`, then those of `rhs`. Throws ShapeError when paired extents differ.
[[nodiscard]] Array dot_general(const Array& lhs, const Array& rhs, const DotAxes& axes);

/// numpy.matmul: [..., m, k] x [..., k, n] -> [..., m, n], leading axes broadcast; a vector on either side loses its
/// axis in the result. Scalars throw ShapeError.
[[nodiscard]] Array matmul(const Array& a, const Array& b);

/// Einstein's sum over letters (jax.numpy.einsum): "bqhd,bkhd->bhqk" multiplies the operands and sums over the letters
/// that the result does not have. "..." stands for leading axes that broadcast; an extent of 1 broadcasts too; a letter
/// twice in one operand takes the diagonal; without "->" the result has the letters that occur once, sorted. Several
/// operands are contracted from left to right. Dtypes promote. Throws ValueError for an equation that cannot be read,
/// ShapeError when operands do not fit it.
[[nodiscard]] Array einsum(std::string_view equation, const std::vector<Array>& operands);
[[nodiscard]] inline Array einsum(std::string_view equation, const Array& a) {
  return einsum(equation, std::vector{a});
}
[[nodiscard]] inline Array einsum(std::string_view equation, const Array& a, const Array& b) {
  return einsum(equation, std::vector{a, b});
}

/// numpy.dot: the last axis of `a` against the second to last (or only) axis of `b`; a scalar multiplies.
[[nodiscard]] Array dot(const Array& a, const Array& b);

}  // namespace linseed
