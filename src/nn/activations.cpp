#include <linseed/nn/activations.hpp>

#include <fmt/format.h>

#include <linseed/core/error.hpp>

#include "nn/layer_support.hpp"
#include "ops/common.hpp"

namespace linseed::nn {

Array relu6(const Array& x) {
  // Between the ends x itself; beyond and at them a constant, which keeps NaN.
  return where(x > 0 && x < 6, x, stop_gradient(clip(x, 0, 6)));
}

Array leaky_relu(const Array& x, double negative_slope) { return where(x >= 0, x, negative_slope * x); }

Array elu(const Array& x, double alpha) {
  // The side not taken must not overflow: its gradient would be NaN.
  return where(x > 0, x, alpha * expm1(where(x > 0, 0, x)));
}

Array celu(const Array& x, double alpha) {
  if (!(alpha != 0.0)) throw ValueError("celu", "alpha must not be 0.", {.got = fmt::format("{}", alpha)});
  return maximum(x, 0) + alpha * expm1(minimum(x, 0) / alpha);
}

Array selu(const Array& x) { return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717); }

Array gelu(const Array& x, bool approximate) {
  if (approximate) return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * (x * x * x))));
  return 0.5 * x * erfc(x * -0.7071067811865476);
}

Array glu(const Array& x, int axis) {
  const std::vector<Array> halves = split(x, 2, axis);
  return halves[0] * sigmoid(halves[1]);
}

Array silu(const Array& x) { return x * sigmoid(x); }

// Both terms bend at 0 in ways that cancel: where and abs take the same side there, so the gradient is 1/2.
Array softplus(const Array& x) { return where(x >= 0, x, 0) + log1p(exp(-abs(x))); }
Array log_sigmoid(const Array& x) { return -softplus(-x); }
Array soft_sign(const Array& x) { return x / (abs(x) + 1); }
Array hard_tanh(const Array& x) { return where(x > 1, 1, where(x < -1, -1, x)); }
Array hard_sigmoid(const Array& x) { return relu6(x + 3.0) / 6.0; }
Array hard_silu(const Array& x) { return x * hard_sigmoid(x); }

// ---- over axes ----

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

Array standardize(const Array& input, const Axes& axes, const StandardizeOptions& options) {
  require_within("standardize", "epsilon", options.epsilon, 0.0, 1e300);
  const Array x = ops::floating(input);
  if (options.where.defined()) require_mask("standardize", options.where, x.shape());
  const auto average = [&](const Array& values) {
    if (!options.where.defined()) return mean(values, axes, /*keepdims=*/true);
    const Array counted = broadcast_to(astype(options.where, DType::bool_), x.shape());
    return sum(linseed::where(counted, values, 0), axes, true) / sum(astype(counted, x.dtype()), axes, true);
  };
  const Array mu = options.mean.defined() ? options.mean : average(x);
  const Array variance = options.variance.defined() ? options.variance : maximum(average(square(x)) - square(mu), 0);
  return (x - mu) * rsqrt(variance + options.epsilon);
}

Array PReLU::operator()(Scope& parent, const Array& x) const {
  Scope scope = parent.enter(*this);
  const Array slope = scope.param("negative_slope", initializers::constant(negative_slope_init), {}, param_dtype);
  return scope.output(where(x >= 0, x, astype(slope, x.dtype()) * x));
}

}  // namespace linseed::nn
