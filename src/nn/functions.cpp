#include <linseed/nn/functions.hpp>

namespace linseed::nn {

namespace {

// x less its maximum, which is held constant: the gradient of what follows does not depend on it.
Array shifted(const Array& x, const Axes& axes) { return x - stop_gradient(max(x, axes, /*keepdims=*/true)); }

}  // namespace

Array softmax(const Array& x, const Axes& axes) {
  const Array unnormalized = exp(shifted(x, axes));
  return unnormalized / sum(unnormalized, axes, /*keepdims=*/true);
}

Array log_softmax(const Array& x, const Axes& axes) {
  const Array shift = shifted(x, axes);
  return shift - log(sum(exp(shift), axes, /*keepdims=*/true));
}

// Both terms bend at 0 in ways that cancel: where and abs take the same side there, so the gradient is 1/2.
Array softplus(const Array& x) { return where(x >= 0, x, 0) + log1p(exp(-abs(x))); }
Array log_sigmoid(const Array& x) { return -softplus(-x); }
Array silu(const Array& x) { return x * sigmoid(x); }
Array elu(const Array& x, double alpha) {
  // The side not taken must not overflow: its gradient would be NaN.
  return where(x > 0, x, alpha * expm1(where(x > 0, 0, x)));
}
Array leaky_relu(const Array& x, double negative_slope) { return where(x >= 0, x, negative_slope * x); }
Array gelu(const Array& x, bool approximate) {
  if (approximate) return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * (x * x * x))));
  return 0.5 * x * (1 + erf(x * 0.7071067811865476));
}

}  // namespace linseed::nn
