#pragma once

#include <optional>

#include <linseed/core/array.hpp>

namespace linseed::random {

// Draws of jax.random that are made of gamma draws, with its use of keys: the same numbers up to the rounding of
// logarithms and powers. Parameters are numbers or floating Arrays, which broadcast to `shape`; without a shape the
// result has theirs. Numbers that are not positive and finite throw ValueError; of an Array's elements such ones give
// what the formulas give, mostly NaN. Parameters that do not broadcast to the shape throw ShapeError. As in all draws
// the gradient with respect to the parameters is zero, where JAX's is not.

/// Density proportional to x^(a - 1) e^-x (Marsaglia and Tsang 2000). Multiply by a scale, or divide by a rate.
[[nodiscard]] Array gamma(const Array& key, const ArrayLike& a, const std::optional<Shape>& shape = {},
                          DType dtype = DType::float32);
/// The logarithm of gamma, which stays finite where gamma is too small for the dtype.
[[nodiscard]] Array loggamma(const Array& key, const ArrayLike& a, const std::optional<Shape>& shape = {},
                             DType dtype = DType::float32);
/// Density proportional to x^(a - 1) (1 - x)^(b - 1) in [0, 1].
[[nodiscard]] Array beta(const Array& key, const ArrayLike& a, const ArrayLike& b,
                         const std::optional<Shape>& shape = {}, DType dtype = DType::float32);
/// Vectors of positive numbers with sum 1: alpha [..., n] gives `shape` + [n], where `shape` is [...] if not given.
/// Throws ShapeError for an alpha without axes.
[[nodiscard]] Array dirichlet(const Array& key, const Array& alpha, const std::optional<Shape>& shape = {},
                              DType dtype = DType::float32);
/// Chi-square with `df` degrees of freedom.
[[nodiscard]] Array chisquare(const Array& key, const ArrayLike& df, const std::optional<Shape>& shape = {},
                              DType dtype = DType::float32);
/// Student's t with `df` degrees of freedom.
[[nodiscard]] Array t(const Array& key, const ArrayLike& df, const std::optional<Shape>& shape = {},
                      DType dtype = DType::float32);
/// Fisher's F: the ratio of two chi-square numbers, each divided by its degrees of freedom.
[[nodiscard]] Array f(const Array& key, const ArrayLike& dfnum, const ArrayLike& dfden,
                      const std::optional<Shape>& shape = {}, DType dtype = DType::float32);
/// Density proportional to e^(-|x|^p), for a positive p.
[[nodiscard]] Array generalized_normal(const Array& key, double p, const Shape& shape, DType dtype = DType::float32);
/// Points within the unit ball of the p-norm in d dimensions: `shape` + [d]. Throws ValueError for a negative d.
[[nodiscard]] Array ball(const Array& key, std::int64_t d, double p = 2.0, const Shape& shape = {},
                         DType dtype = DType::float32);

}  // namespace linseed::random
