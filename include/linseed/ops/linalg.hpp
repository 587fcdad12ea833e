#pragma once

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

/// numpy.dot: the last axis of `a` against the second to last (or only) axis of `b`; a scalar multiplies.
[[nodiscard]] Array dot(const Array& a, const Array& b);

}  // namespace linseed
