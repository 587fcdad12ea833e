#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <linseed/core/array.hpp>

/// Random numbers as in jax.random (threefry2x32, `jax_threefry_partitionable=True`): a key is a value, the same key
/// gives the same numbers, and every draw equals that of JAX on a CPU bit for bit, in float32 and in float64. Element i
/// of a draw depends on the key and on its row-major index i alone. A key is an Array uint32[2]; functions that take
/// one throw ShapeError or DTypeError for anything else. Keys may be traced: they then draw inside the compiled step.
/// Two draws with one key are correlated: split it, or fold in a number, for each. Nothing here is differentiable
/// except through what is done with the numbers.
///
/// A negative extent throws ShapeError; a dtype that is not floating, where numbers are, DTypeError.
namespace linseed::random {

/// The key of a seed; as in JAX without 64-bit mode only its low 32 bits count.
[[nodiscard]] Array key(std::int64_t seed);

/// `count` new keys, as the rows of uint32[count, 2]. Row i does not depend on `count`, and equals fold_in(key, i).
/// Throws ValueError when `count` is negative.
[[nodiscard]] Array split(const Array& key, std::int64_t count = 2);

/// A new key from a key and a number in [0, 2^32): a C++ integer, or an integer scalar, traced or not, of which the low
/// 32 bits count. Throws ValueError for a C++ integer out of that range, DTypeError for a floating-point number.
[[nodiscard]] Array fold_in(const Array& key, const ArrayLike& data);

/// N new keys to take apart: `const auto [left, right] = random::split<2>(key);`
template <std::size_t N>
[[nodiscard]] std::array<Array, N> split(const Array& key) {
  std::array<Array, N> children;
  for (std::size_t i = 0; i < N; ++i) children[i] = fold_in(key, i);
  return children;
}

/// Uniform 32-bit numbers (uint32).
[[nodiscard]] Array bits(const Array& key, const Shape& shape);

/// Uniform in [low, high), from 2^23 (float64: 2^52) equally spaced numbers; `low` throughout when high <= low. Throws
/// ValueError when a bound, or their distance, is not finite in `dtype`.
[[nodiscard]] Array uniform(const Array& key, const Shape& shape, DType dtype = DType::float32, double low = 0.0,
                            double high = 1.0);

/// Standard normal: sqrt(2) erf_inv(u), u uniform in (-1, 1).
[[nodiscard]] Array normal(const Array& key, const Shape& shape, DType dtype = DType::float32);

/// Standard normal, conditioned on (low, high); a bound may be infinite. Throws ValueError unless low < high.
[[nodiscard]] Array truncated_normal(const Array& key, double low, double high, const Shape& shape,
                                     DType dtype = DType::float32);

/// True with probability p (bool), decided by a float32 draw. Throws ValueError for p outside [0, 1].
[[nodiscard]] Array bernoulli(const Array& key, double p, const Shape& shape);
/// The same with floating probabilities, one per element of the result, which has their shape or the one given. Those
/// outside [0, 1] count as the nearer bound, NaN as 0. Throws ShapeError when p does not broadcast to the shape,
/// DTypeError when it is not floating.
[[nodiscard]] Array bernoulli(const Array& key, const Array& p, const std::optional<Shape>& shape = std::nullopt);

/// -1 or 1 with equal probability, in any dtype.
[[nodiscard]] Array rademacher(const Array& key, const Shape& shape, DType dtype = DType::int32);

/// int32 in [low, high); `low` throughout when high <= low. Throws ValueError unless both bounds lie in [-2^31, 2^31]
/// (and `low` below the upper end).
[[nodiscard]] Array randint(const Array& key, const Shape& shape, std::int64_t low, std::int64_t high);

/// [0, count) in random order (int32). Throws ValueError for a count that is negative or above 2^31 - 1.
[[nodiscard]] Array permutation(const Array& key, std::int64_t count);
/// The slices of x along `axis` in random order, or with `independent` every vector along it in an order of its own.
/// Throws ShapeError for a scalar or an axis that x does not have.
[[nodiscard]] Array permutation(const Array& key, const Array& x, int axis = 0, bool independent = false);

/// Standard Gumbel: -log(-log(u)), u uniform in (0, 1).
[[nodiscard]] Array gumbel(const Array& key, const Shape& shape, DType dtype = DType::float32);

/// Exponential of rate 1: -log(1 - u), u uniform in [0, 1).
[[nodiscard]] Array exponential(const Array& key, const Shape& shape, DType dtype = DType::float32);

/// Laplace of scale 1: sign(u) log(1 - |u|), u uniform in (-1, 1).
[[nodiscard]] Array laplace(const Array& key, const Shape& shape, DType dtype = DType::float32);

/// Logistic: log(u / (1 - u)), u uniform in (0, 1).
[[nodiscard]] Array logistic(const Array& key, const Shape& shape, DType dtype = DType::float32);

/// Indices (int32) along `axis` of floating `logits`, drawn with probabilities softmax(logits): the first largest of
/// logits + gumbel. The result has the shape of `logits` without `axis`, or the one given, which may put further axes
/// in front; ShapeError when the former does not broadcast to it. With `replace` off the draws along those further axes
/// differ from one another; ValueError when they are more than there are categories.
[[nodiscard]] Array categorical(const Array& key, const Array& logits, int axis = -1,
                                const std::optional<Shape>& shape = std::nullopt, bool replace = true);

struct ChoiceOptions {
  bool replace = true;          ///< whether a number may be drawn twice
  std::optional<Array> p = {};  ///< floating probabilities [n], need not add up to 1; uniform without
  int axis = 0;                 ///< of the Array drawn from
};
/// Numbers in [0, count), int32 of `shape`. Throws ValueError for more draws than numbers without replacement, draws
/// from nothing, and, where p can be read, probabilities that are negative, not finite, all zero, or without
/// replacement positive for fewer numbers than are drawn; ShapeError for a p of another shape than [count]; DTypeError
/// for one that is not floating.
[[nodiscard]] Array choice(const Array& key, std::int64_t count, const Shape& shape = {},
                           const ChoiceOptions& options = {});
/// Slices of x along an axis, in whose place the result has the axes of `shape`. Throws ShapeError for a scalar or an
/// axis that x does not have, and what the other one throws.
[[nodiscard]] Array choice(const Array& key, const Array& x, const Shape& shape = {},
                           const ChoiceOptions& options = {});

}  // namespace linseed::random
