#pragma once

#include <utility>
#include <vector>

#include <linseed/core/array.hpp>

namespace linseed {

/// The same elements in row-major order under another shape; one extent may be -1 and is then deduced. Throws
/// ShapeError when the counts differ.
[[nodiscard]] Array reshape(const Array& x, const Shape& shape);
/// All axes in one: [n].
[[nodiscard]] Array ravel(const Array& x);
/// Result axis i is axis `permutation[i]` of x; reverses the axes when none are given.
[[nodiscard]] Array transpose(const Array& x, const Axes& permutation = {});
/// Moves one axis to another place, keeping the order of the rest.
[[nodiscard]] Array moveaxis(const Array& x, int source, int destination);
/// Repeats x along new leading axes and axes of extent 1 until it has `shape`. Throws ShapeError when that cannot be.
[[nodiscard]] Array broadcast_to(const Array& x, const Shape& shape);
/// Inserts axes of extent 1 at the given places of the result.
[[nodiscard]] Array expand_dims(const Array& x, const Axes& axes);
/// Removes axes of extent 1 (all of them, when none are given). Throws ShapeError for one of another extent.
[[nodiscard]] Array squeeze(const Array& x, const Axes& axes = {});
/// Joins along an existing axis; dtypes promote. Throws ShapeError for no operands or unequal other axes.
[[nodiscard]] Array concatenate(const std::vector<Array>& arrays, int axis = 0);
/// Joins equal shapes along a new axis.
[[nodiscard]] Array stack(const std::vector<Array>& arrays, int axis = 0);
/// `sections` equal parts along `axis`, in order (numpy.split). Throws ShapeError when they do not divide the extent,
/// ValueError when `sections` is not positive.
[[nodiscard]] std::vector<Array> split(const Array& x, std::int64_t sections, int axis = 0);
/// The slices along `axis`, which they lose (jax.numpy.unstack): what `stack` joins.
[[nodiscard]] std::vector<Array> unstack(const Array& x, int axis = 0);
/// Every slice along `axis` `count` times in succession (numpy.repeat). Throws ValueError for a negative count.
[[nodiscard]] Array repeat(const Array& x, std::int64_t count, int axis);
/// Elements starts, starts + strides, ... below limits, per axis (jax.lax.slice). `strides` default to 1. Throws
/// ShapeError when 0 <= start <= limit <= extent does not hold.
[[nodiscard]] Array slice(const Array& x, const Shape& starts, const Shape& limits, const Shape& strides = {});
/// Elements [start, limit) of one axis; negative numbers count from the end, and both are clamped as in Python.
[[nodiscard]] Array slice_axis(const Array& x, int axis, std::int64_t start, std::int64_t limit,
                               std::int64_t stride = 1);
/// Surrounds x with `value`: one (low, high) pair per axis; negative numbers cut off.
[[nodiscard]] Array pad(const Array& x, const std::vector<std::pair<std::int64_t, std::int64_t>>& widths,
                        const ArrayLike& value = 0);
/// Where the places around an Array take their values from: `wrap` goes on periodically, `reflect` mirrors without
/// repeating the border (an axis of extent 1 repeats its element), as in numpy.pad.
enum class PadMode { wrap, reflect };
/// Surrounds x with values of its own. Throws ShapeError for a width that is negative, or positive on an empty axis.
[[nodiscard]] Array pad(const Array& x, const std::vector<std::pair<std::int64_t, std::int64_t>>& widths, PadMode mode);
/// lax.pad: `interior` copies of `value` between neighbours as well.
[[nodiscard]] Array pad_interior(const Array& x, const Shape& low, const Shape& high, const Shape& interior,
                                 const ArrayLike& value = 0);
/// Reverses the order along the given axes.
[[nodiscard]] Array flip(const Array& x, const Axes& axes = {});

/// jax.numpy.take: the slices of x at integer `indices` along `axis`. Negative indices count from the end; those out of
/// range give NaN (for integers, the smallest number; 0 for unsigned and bool), as in JAX.
[[nodiscard]] Array take(const Array& x, const Array& indices, int axis = 0);
/// numpy.take_along_axis: one element per index, along `axis`; other axes of `indices` must equal those of x.
[[nodiscard]] Array take_along_axis(const Array& x, const Array& indices, int axis = -1);
/// Stable order of the elements along `axis` (int32); NaN last. Not differentiable.
[[nodiscard]] Array argsort(const Array& x, int axis = -1);
/// jax.nn.one_hot: a new last axis with 1 at the label; a label out of range gives a row of zeros.
[[nodiscard]] Array one_hot(const Array& labels, std::int64_t classes, DType dtype = DType::float32);

/// 0, 1, 2, ... along `axis`, the same along the others (jax.lax.broadcasted_iota).
[[nodiscard]] Array iota(const Shape& shape, int axis = 0, DType dtype = DType::int32);
/// [0, count)
[[nodiscard]] Array arange(std::int64_t count, DType dtype = DType::int32);
[[nodiscard]] Array zeros(const Shape& shape, DType dtype = DType::float32);
[[nodiscard]] Array ones(const Shape& shape, DType dtype = DType::float32);
/// Every element is `value`, in its own dtype unless another is given.
[[nodiscard]] Array full(const Shape& shape, const ArrayLike& value);
[[nodiscard]] Array full(const Shape& shape, const ArrayLike& value, DType dtype);
[[nodiscard]] Array zeros_like(const Array& x);
[[nodiscard]] Array ones_like(const Array& x);

}  // namespace linseed
