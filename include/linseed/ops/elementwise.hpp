#pragma once

#include <linseed/core/array.hpp>

namespace linseed {

// Element by element, with NumPy's broadcasting. Mixed dtypes promote as in JAX; a C++ number takes the dtype of the
// Array beside it. Functions of the calculus (exp, sqrt, division ...) turn integers into float32. Shapes that do not
// broadcast throw ShapeError. Conventions at kinks and ties are those of jax.numpy and jax.lax.

[[nodiscard]] Array operator+(const ArrayLike& a, const ArrayLike& b);
[[nodiscard]] Array operator-(const ArrayLike& a, const ArrayLike& b);
[[nodiscard]] Array operator*(const ArrayLike& a, const ArrayLike& b);
/// True division: integers give float32.
[[nodiscard]] Array operator/(const ArrayLike& a, const ArrayLike& b);
[[nodiscard]] Array operator-(const Array& x);

// Comparisons give bool Arrays. They are not differentiable.
[[nodiscard]] Array operator==(const ArrayLike& a, const ArrayLike& b);
[[nodiscard]] Array operator!=(const ArrayLike& a, const ArrayLike& b);
[[nodiscard]] Array operator<(const ArrayLike& a, const ArrayLike& b);
[[nodiscard]] Array operator<=(const ArrayLike& a, const ArrayLike& b);
[[nodiscard]] Array operator>(const ArrayLike& a, const ArrayLike& b);
[[nodiscard]] Array operator>=(const ArrayLike& a, const ArrayLike& b);

// Logic on bool Arrays (anything else counts as true when it is not zero). Both sides are always computed.
[[nodiscard]] Array operator!(const Array& x);
[[nodiscard]] Array operator&&(const Array& a, const Array& b);
[[nodiscard]] Array operator||(const Array& a, const Array& b);

/// a to the power b. A C++ integer as `b` is expanded by binary powering, as JAX does.
[[nodiscard]] Array pow(const ArrayLike& a, const ArrayLike& b);
/// The larger one; NaN wins. At a tie each side gets half of the gradient.
[[nodiscard]] Array maximum(const ArrayLike& a, const ArrayLike& b);
[[nodiscard]] Array minimum(const ArrayLike& a, const ArrayLike& b);
/// Remainder with the sign of the divisor, as numpy.mod.
[[nodiscard]] Array mod(const ArrayLike& a, const ArrayLike& b);

/// -1 or +1 by the sign of x; 0 at 0; NaN at NaN.
[[nodiscard]] Array sign(const ArrayLike& x);
/// Gradient +1 at 0, as in JAX.
[[nodiscard]] Array abs(const ArrayLike& x);
[[nodiscard]] Array exp(const ArrayLike& x);
[[nodiscard]] Array expm1(const ArrayLike& x);
[[nodiscard]] Array log(const ArrayLike& x);
[[nodiscard]] Array log1p(const ArrayLike& x);
[[nodiscard]] Array sqrt(const ArrayLike& x);
/// 1 / sqrt(x)
[[nodiscard]] Array rsqrt(const ArrayLike& x);
[[nodiscard]] Array square(const ArrayLike& x);
[[nodiscard]] Array sin(const ArrayLike& x);
[[nodiscard]] Array cos(const ArrayLike& x);
[[nodiscard]] Array tanh(const ArrayLike& x);
/// 1 / (1 + exp(-x)), exact at both ends of the range.
[[nodiscard]] Array sigmoid(const ArrayLike& x);
/// max(x, 0); gradient 0 at 0; NaN stays NaN.
[[nodiscard]] Array relu(const ArrayLike& x);
[[nodiscard]] Array erf(const ArrayLike& x);
/// 1 - erf(x), to full precision also where it is small.
[[nodiscard]] Array erfc(const ArrayLike& x);
/// Inverse of erf on (-1, 1); infinite at the ends. float32 follows XLA's polynomial, whose bits `random::normal` has.
[[nodiscard]] Array erf_inv(const ArrayLike& x);
[[nodiscard]] Array floor(const ArrayLike& x);
[[nodiscard]] Array ceil(const ArrayLike& x);
/// To the nearest integer, halves to even.
[[nodiscard]] Array round(const ArrayLike& x);
/// True where x is neither infinite nor NaN.
[[nodiscard]] Array isfinite(const ArrayLike& x);
[[nodiscard]] Array isnan(const ArrayLike& x);

/// `a` where `condition` holds, else `b`; the three broadcast. No gradient flows through the side not taken.
[[nodiscard]] Array where(const Array& condition, const ArrayLike& a, const ArrayLike& b);
/// min(max(x, low), high); at a bound half of the gradient passes, as in JAX.
[[nodiscard]] Array clip(const Array& x, const ArrayLike& low, const ArrayLike& high);

/// Converts the elements. Floating to integer truncates and saturates (NaN gives 0); anything nonzero is true.
[[nodiscard]] Array astype(const Array& x, DType dtype);
/// The same values, seen as a constant by differentiation (jax.lax.stop_gradient).
[[nodiscard]] Array stop_gradient(const Array& x);

}  // namespace linseed
