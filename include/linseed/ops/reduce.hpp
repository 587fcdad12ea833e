#pragma once

#include <linseed/core/array.hpp>

namespace linseed {

// Reductions over the given axes (all, when none are given). With `keepdims` reduced axes stay with extent 1.
// An axis out of range or given twice throws ShapeError.

/// bool counts in int32, uint8 in uint32 as JAX does; an empty sum is 0.
[[nodiscard]] Array sum(const Array& x, const Axes& axes = {}, bool keepdims = false);
/// sum times the reciprocal of the count (float32 for integers); NaN for an empty axis.
[[nodiscard]] Array mean(const Array& x, const Axes& axes = {}, bool keepdims = false);
/// mean((x - mean(x))^2): the biased variance, in two passes.
[[nodiscard]] Array var(const Array& x, const Axes& axes = {}, bool keepdims = false);
/// NaN wins; an empty axis throws ShapeError. The gradient is shared equally among ties.
[[nodiscard]] Array max(const Array& x, const Axes& axes = {}, bool keepdims = false);
[[nodiscard]] Array min(const Array& x, const Axes& axes = {}, bool keepdims = false);
[[nodiscard]] Array prod(const Array& x, const Axes& axes = {}, bool keepdims = false);
/// True where any (every) element is nonzero.
[[nodiscard]] Array any(const Array& x, const Axes& axes = {}, bool keepdims = false);
[[nodiscard]] Array all(const Array& x, const Axes& axes = {}, bool keepdims = false);
/// Index (int32) of the first largest element along `axis`; NaN counts as the largest.
[[nodiscard]] Array argmax(const Array& x, int axis = -1);
[[nodiscard]] Array argmin(const Array& x, int axis = -1);
/// log(sum(exp(x))) without overflow (jax.nn.logsumexp).
[[nodiscard]] Array logsumexp(const Array& x, const Axes& axes = {}, bool keepdims = false);

}  // namespace linseed
