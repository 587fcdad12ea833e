#include <linseed/nn/jax_activations.hpp>

#include <cmath>
#include <limits>
#include <numbers>

#include <linseed/nn/activations.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed::nn {

Array mish(const Array& x) { return x * tanh(softplus(x)); }

Array squareplus(const Array& x, double b) { return (x + sqrt(square(x) + b)) / 2.0; }

Array sparse_plus(const Array& x) {
  // The parabola is not taken beyond its ends: there it might overflow.
  const Array inside = clip(x, -1, 1) + 1.0;
  return where(x <= -1, 0.0, where(x >= 1, x, square(inside) / 4.0));
}

Array sparse_sigmoid(const Array& x) { return 0.5 * clip(x + 1.0, 0, 2); }

Array log1mexp(const Array& x) {
  constexpr double log_2 = std::numbers::ln2;
  const Array near_zero = log(-expm1(-x));
  // There the other formula takes the logarithm of 0, and the gradient of that is no number.
  const Array far = where(x < log_2, 1.0, x);
  return where(x < log_2, near_zero, log1p(-exp(-far)));
}

Array logmeanexp(const Array& x, const Axes& axes, bool keepdims, const std::optional<Array>& where) {
  if (!where) {
    const Array total = logsumexp(x, axes, keepdims);
    return total - std::log(static_cast<double>(x.size()) / static_cast<double>(total.size()));
  }
  const Array mask = astype(broadcast_to(*where, x.shape()), DType::bool_);
  const Array total = logsumexp(linseed::where(mask, x, -std::numeric_limits<double>::infinity()), axes, keepdims);
  return total - log(sum(astype(mask, total.dtype()), axes, keepdims));
}

}  // namespace linseed::nn
