#include <linseed/nn/functions.hpp>

#include <fmt/format.h>

#include <linseed/core/error.hpp>

namespace linseed::nn {

namespace {

// x less its maximum, which is held constant: the gradient of what follows does not depend on it.
Array shifted(const Array& x, const Axes& axes) { return x - stop_gradient(max(x, axes, /*keepdims=*/true)); }

void require_equal_shapes(std::string_view op, const Array& a, const Array& b) {
  if (a.shape() == b.shape()) return;
  throw ShapeError(op, "Predictions and targets differ in shape.",
                   {.got = fmt::format("{} and {}", to_string(a.shape()), to_string(b.shape()))});
}

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

Array softmax_cross_entropy(const Array& logits, const Array& labels) { return -sum(labels * log_softmax(logits), -1); }

Array softmax_cross_entropy_with_integer_labels(const Array& logits, const Array& labels) {
  if (!is_integer(labels.dtype())) {
    throw DTypeError("softmax_cross_entropy", "Labels must be integers.",
                     {.got = describe(labels), .hint = "for one-hot labels use softmax_cross_entropy"});
  }
  if (logits.rank() != labels.rank() + 1 ||
      !(Shape(logits.shape().begin(), logits.shape().end() - 1) == labels.shape())) {
    throw ShapeError(
        "softmax_cross_entropy", "There must be one label per row of logits.",
        {.got = fmt::format("logits {}, labels {}", to_string(logits.shape()), to_string(labels.shape()))});
  }
  const Array shift = shifted(logits, -1);
  const Array picked = squeeze(take_along_axis(shift, expand_dims(labels, -1), -1), -1);
  return log(sum(exp(shift), -1)) - picked;
}

Array sigmoid_binary_cross_entropy(const Array& logits, const Array& labels) {
  return -labels * log_sigmoid(logits) - (1 - labels) * log_sigmoid(-logits);
}

Array squared_error(const Array& predictions, const Array& targets) {
  require_equal_shapes("squared_error", predictions, targets);
  return square(predictions - targets);
}

Array l2_loss(const Array& predictions, const Array& targets) { return 0.5 * squared_error(predictions, targets); }

Array huber_loss(const Array& predictions, const Array& targets, double delta) {
  require_equal_shapes("huber_loss", predictions, targets);
  const Array error = abs(predictions - targets);
  const Array quadratic = minimum(error, delta);
  return 0.5 * square(quadratic) + delta * (error - quadratic);
}

}  // namespace linseed::nn
