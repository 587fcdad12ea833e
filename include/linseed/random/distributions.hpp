#pragma once

#include <linseed/core/array.hpp>

namespace linseed::random {

// Further distributions of jax.random, made of uniform, normal and exponential draws: the same numbers as JAX's, up to
// the rounding of the functions that they go through. Parameters that are not finite, or not as said, throw ValueError.

/// Standard Cauchy: tan(pi (u - 1/2)).
[[nodiscard]] Array cauchy(const Array& key, const Shape& shape, DType dtype = DType::float32);
/// exp(sigma * normal).
[[nodiscard]] Array lognormal(const Array& key, double sigma, const Shape& shape, DType dtype = DType::float32);
/// Standard Maxwell: the length of three normal draws.
[[nodiscard]] Array maxwell(const Array& key, const Shape& shape, DType dtype = DType::float32);
/// scale * sqrt(-2 log(u)), for a scale that is not negative.
[[nodiscard]] Array rayleigh(const Array& key, double scale, const Shape& shape, DType dtype = DType::float32);
/// exp(exponential / b), for a positive b: 1 and above.
[[nodiscard]] Array pareto(const Array& key, double b, const Shape& shape, DType dtype = DType::float32);
/// scale * (-log(1 - u))^(1 / concentration), for a positive concentration.
[[nodiscard]] Array weibull_min(const Array& key, double scale, double concentration, const Shape& shape,
                                DType dtype = DType::float32);
/// Density rising linearly from `left` to `mode` and falling to `right`; left <= mode <= right and left < right.
[[nodiscard]] Array triangular(const Array& key, double left, double mode, double right, const Shape& shape,
                               DType dtype = DType::float32);
/// loc + scale * a Maxwell number with a random sign.
[[nodiscard]] Array double_sided_maxwell(const Array& key, double loc, double scale, const Shape& shape,
                                         DType dtype = DType::float32);
/// Wald (inverse Gaussian) with scale 1, for a positive mean (Michael, Schucany and Haas 1976).
[[nodiscard]] Array wald(const Array& key, double mean, const Shape& shape, DType dtype = DType::float32);
/// The number of trials up to the first success, int32, for a probability 0 < p < 1.
[[nodiscard]] Array geometric(const Array& key, double p, const Shape& shape);

}  // namespace linseed::random
