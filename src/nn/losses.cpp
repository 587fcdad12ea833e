#include <linseed/nn/losses.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/nn/functions.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed::nn {

namespace {

void require_floating(std::string_view op, std::string_view name, const Array& x) {
  if (is_floating(x.dtype())) return;
  throw DTypeError(op, fmt::format("The {} must be floating-point.", name), {.got = describe(x)});
}

void require_equal_shapes(std::string_view op, const Array& a, const Array& b) {
  if (a.shape() == b.shape()) return;
  throw ShapeError(op, "Predictions and targets differ in shape.",
                   {.got = fmt::format("{} and {}", to_string(a.shape()), to_string(b.shape()))});
}

// Neither negative, nor infinite, nor NaN.
void require_amount(std::string_view op, std::string_view name, double value) {
  if (value >= 0.0 && std::isfinite(value)) return;
  throw ValueError(op, fmt::format("{} is negative or not finite.", name), {.got = fmt::format("{}", value)});
}

// The mask with the axes of `x`: one of another rank is a mask of examples.
std::optional<Array> mask_for(std::string_view op, const Array& x, const Axes& axes,
                              const std::optional<Array>& where) {
  if (!where) return std::nullopt;
  if (where->dtype() != DType::bool_) {
    throw DTypeError(op, "A mask holds bool.", {.got = describe(*where), .expected = "bool"});
  }
  const auto examples = x.rank() - static_cast<int>(axes.normalized(x.rank(), op).size());
  const Array mask = where->rank() == examples ? expand_dims(*where, axes) : *where;
  bool fits = mask.rank() == x.rank();
  for (int axis = 0; fits && axis < x.rank(); ++axis)
    fits = mask.extent(axis) == 1 || mask.extent(axis) == x.extent(axis);
  if (!fits) {
    throw ShapeError(op, "The mask does not broadcast to the classes.",
                     {.got = to_string(where->shape()), .expected = to_string(x.shape())});
  }
  return mask;
}

Array masked_sum(const Array& x, const Axes& axes, const std::optional<Array>& mask, bool keepdims = false) {
  return sum(mask ? where(*mask, x, 0) : x, axes, keepdims);
}

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

// log_softmax over the classes that count, minus infinity at the others (jax.nn.log_softmax with `where`).
Array masked_log_softmax(const Array& x, const Axes& axes, const std::optional<Array>& mask) {
  if (!mask) return log_softmax(x, axes);
  const Array valid = where(*mask, x, minus_infinity);
  const Array shifted = valid - stop_gradient(max(valid, axes, /*keepdims=*/true));
  const Array total = masked_sum(exp(shifted), axes, mask, /*keepdims=*/true);
  return where(*mask, shifted - log(total), minus_infinity);
}

Array masked_softmax(const Array& x, const Axes& axes, const std::optional<Array>& mask) {
  if (!mask) return softmax(x, axes);
  const Array valid = where(*mask, x, minus_infinity);
  const Array unnormalized = exp(valid - stop_gradient(max(valid, axes, /*keepdims=*/true)));
  return where(*mask, unnormalized / masked_sum(unnormalized, axes, mask, /*keepdims=*/true), 0);
}

}  // namespace

Array softmax_cross_entropy(const Array& logits, const Array& labels, const ClassOptions& options) {
  require_floating("softmax_cross_entropy", "logits", logits);
  const auto mask = mask_for("softmax_cross_entropy", logits, options.axis, options.where);
  return -masked_sum(labels * masked_log_softmax(logits, options.axis, mask), options.axis, mask);
}

Array safe_softmax_cross_entropy(const Array& logits, const Array& labels) {
  require_floating("safe_softmax_cross_entropy", "logits", logits);
  const Array logs = log_softmax(logits);
  // Beside a label of 0 a logarithm must be finite; it stays the gradient of that label.
  const double lowest = logits.dtype() == DType::float64 ? std::numeric_limits<double>::lowest()
                                                         : double{std::numeric_limits<float>::lowest()};
  return -sum(labels * where(labels != 0, logs, maximum(logs, lowest)), -1);
}

namespace {

// The classes as one last axis, and their mask likewise.
struct Rows {
  Array logits;
  std::optional<Array> mask;
};

Rows class_rows(const Array& logits, const std::optional<Array>& mask, const Axes& axes) {
  const auto classes = axes.normalized(logits.rank(), "softmax_cross_entropy");
  std::vector<int> order;
  Shape shape;
  for (int axis = 0; axis < logits.rank(); ++axis) {
    if (std::find(classes.begin(), classes.end(), axis) != classes.end()) continue;
    order.push_back(axis);
    shape.push_back(logits.extent(axis));
  }
  std::int64_t count = 1;
  for (const int axis : classes) {
    order.push_back(axis);
    count *= logits.extent(axis);
  }
  shape.push_back(count);
  const auto as_rows = [&](const Array& x) { return reshape(transpose(x, order), shape); };
  if (!mask) return {as_rows(logits), std::nullopt};
  return {as_rows(logits), as_rows(broadcast_to(*mask, logits.shape()))};
}

}  // namespace

Array softmax_cross_entropy_with_integer_labels(const Array& logits, const Array& labels, const ClassOptions& options) {
  constexpr std::string_view op = "softmax_cross_entropy";
  require_floating(op, "logits", logits);
  if (!is_integer(labels.dtype())) {
    throw DTypeError(op, "Labels must be integers.",
                     {.got = describe(labels), .hint = "for one-hot labels use softmax_cross_entropy"});
  }
  const auto [rows, mask] = class_rows(logits, mask_for(op, logits, options.axis, options.where), options.axis);
  if (!(Shape(rows.shape().begin(), rows.shape().end() - 1) == labels.shape())) {
    throw ShapeError(
        op, "There must be one label per row of logits.",
        {.got = fmt::format("logits {}, labels {}", to_string(logits.shape()), to_string(labels.shape()))});
  }
  const Array valid = mask ? where(*mask, rows, minus_infinity) : rows;
  const Array largest = stop_gradient(max(valid, -1, /*keepdims=*/true));
  const auto pick = [&](const Array& x) { return squeeze(take_along_axis(x, expand_dims(labels, -1), -1), -1); };
  if (!mask) {
    const Array shift = rows - largest;
    return log(sum(exp(shift), -1)) - pick(shift);
  }
  const Array some = any(*mask, -1);
  const Array base = where(expand_dims(some, -1), largest, 0);
  const Array total = masked_sum(exp(where(*mask, rows - base, 0)), -1, mask);
  return where(some, log(where(some, total, 1)) - pick(rows - base), 0);
}

Array sigmoid_binary_cross_entropy(const Array& logits, const Array& labels) {
  require_floating("sigmoid_binary_cross_entropy", "logits", logits);
  const Array targets = astype(labels, logits.dtype());
  return -targets * log_sigmoid(logits) - (1 - targets) * log_sigmoid(-logits);
}

Array sigmoid_focal_loss(const Array& logits, const Array& labels, const FocalOptions& options) {
  require_floating("sigmoid_focal_loss", "logits", logits);
  if (!std::isfinite(options.gamma) || !std::isfinite(options.alpha.value_or(0.0))) {
    throw ValueError("sigmoid_focal_loss", "alpha and gamma must be finite.",
                     {.got = fmt::format("alpha {}, gamma {}", options.alpha.value_or(0.0), options.gamma)});
  }
  const Array targets = astype(labels, logits.dtype());
  // log(1 - p), p the probability of the label: logsumexp of both outcomes' logs, each weighted by the other label; an
  // outcome of weight 0 takes no part, not even in the gradient.
  const Array yes = log_sigmoid(logits), no = log_sigmoid(-logits);
  const Array for_yes = where(targets != 1, yes, minus_infinity), for_no = where(targets != 0, no, minus_infinity);
  const Array largest = stop_gradient(maximum(for_yes, for_no));
  const Array miss = log((1 - targets) * exp(for_yes - largest) + targets * exp(for_no - largest)) + largest;
  const Array loss = sigmoid_binary_cross_entropy(logits, targets) * exp(options.gamma * miss);
  if (!options.alpha) return loss;
  return (*options.alpha * targets + (1.0 - *options.alpha) * (1 - targets)) * loss;
}

Array poly_loss_cross_entropy(const Array& logits, const Array& labels, double epsilon, const ClassOptions& options) {
  require_floating("poly_loss_cross_entropy", "logits", logits);
  require_floating("poly_loss_cross_entropy", "labels", labels);
  if (!std::isfinite(epsilon)) {
    throw ValueError("poly_loss_cross_entropy", "epsilon must be finite.", {.got = fmt::format("{}", epsilon)});
  }
  const auto mask = mask_for("poly_loss_cross_entropy", logits, options.axis, options.where);
  const Array miss = masked_sum(labels * (1 - masked_softmax(logits, options.axis, mask)), options.axis, mask);
  return softmax_cross_entropy(logits, labels, options) + epsilon * miss;
}

Array hinge_loss(const Array& outputs, const Array& targets) { return maximum(0, 1 - outputs * targets); }

Array perceptron_loss(const Array& outputs, const Array& targets) {
  require_equal_shapes("perceptron_loss", outputs, targets);
  return maximum(0, -outputs * targets);
}

namespace {

Array one_hot_of(std::string_view op, const Array& scores, const Array& labels) {
  if (!is_integer(labels.dtype())) throw DTypeError(op, "Labels must be integers.", {.got = describe(labels)});
  if (scores.rank() != labels.rank() + 1 ||
      !(Shape(scores.shape().begin(), scores.shape().end() - 1) == labels.shape())) {
    throw ShapeError(
        op, "There must be one label per row of scores.",
        {.got = fmt::format("scores {}, labels {}", to_string(scores.shape()), to_string(labels.shape()))});
  }
  return one_hot(labels, scores.extent(-1));
}

}  // namespace

Array multiclass_hinge_loss(const Array& scores, const Array& labels) {
  const Array is_label = one_hot_of("multiclass_hinge_loss", scores, labels);
  return max(scores + 1.0 - is_label, -1) - sum(scores * is_label, -1);
}

Array multiclass_perceptron_loss(const Array& scores, const Array& labels) {
  const Array is_label = one_hot_of("multiclass_perceptron_loss", scores, labels);
  return max(scores, -1) - sum(scores * is_label, -1);
}

Array kl_divergence(const Array& log_predictions, const Array& targets, const ClassOptions& options) {
  require_floating("kl_divergence", "predictions", log_predictions);
  require_floating("kl_divergence", "targets", targets);
  const Array loss = targets * (where(targets == 0, 0, log(targets)) - log_predictions);
  return masked_sum(loss, options.axis, mask_for("kl_divergence", loss, options.axis, options.where));
}

Array kl_divergence_with_log_targets(const Array& log_predictions, const Array& log_targets,
                                     const ClassOptions& options) {
  require_floating("kl_divergence_with_log_targets", "predictions", log_predictions);
  require_floating("kl_divergence_with_log_targets", "targets", log_targets);
  const Array loss = exp(log_targets) * (log_targets - log_predictions);
  return masked_sum(loss, options.axis, mask_for("kl_divergence", loss, options.axis, options.where));
}

Array generalized_kl_divergence(const Array& log_predictions, const Array& targets, const ClassOptions& options) {
  const Array excess = exp(log_predictions) - targets;
  return kl_divergence(log_predictions, targets, options) +
         masked_sum(excess, options.axis, mask_for("kl_divergence", excess, options.axis, options.where));
}

Array squared_error(const Array& predictions, const Array& targets) {
  require_floating("squared_error", "predictions", predictions);
  require_equal_shapes("squared_error", predictions, targets);
  return square(predictions - targets);
}

Array l2_loss(const Array& predictions, const Array& targets) { return 0.5 * squared_error(predictions, targets); }

Array huber_loss(const Array& predictions, const Array& targets, double delta) {
  require_floating("huber_loss", "predictions", predictions);
  require_equal_shapes("huber_loss", predictions, targets);
  require_amount("huber_loss", "delta", delta);
  const Array error = abs(predictions - targets);
  const Array quadratic = minimum(error, delta);
  return 0.5 * square(quadratic) + delta * (error - quadratic);
}

Array log_cosh(const Array& predictions, const Array& targets) {
  require_floating("log_cosh", "predictions", predictions);
  require_equal_shapes("log_cosh", predictions, targets);
  // logaddexp(error, -error) - log(2).
  const Array error = abs(predictions - targets);
  return error + log1p(exp(-2 * error)) - std::numbers::ln2;
}

Array cosine_similarity(const Array& predictions, const Array& targets, const CosineOptions& options) {
  require_floating("cosine_similarity", "predictions", predictions);
  require_floating("cosine_similarity", "targets", targets);
  require_amount("cosine_similarity", "epsilon", options.epsilon);
  const auto unit = [&](const Array& x) {
    const auto mask = mask_for("cosine_similarity", x, options.axis, options.where);
    return x / sqrt(maximum(masked_sum(square(x), options.axis, mask, /*keepdims=*/true), options.epsilon));
  };
  const Array product = unit(predictions) * unit(targets);
  return masked_sum(product, options.axis, mask_for("cosine_similarity", product, options.axis, options.where));
}

Array cosine_distance(const Array& predictions, const Array& targets, const CosineOptions& options) {
  return 1 - cosine_similarity(predictions, targets, options);
}

Array smooth_labels(const Array& labels, double alpha, const ClassOptions& options) {
  require_floating("smooth_labels", "labels", labels);
  if (!(alpha >= 0.0 && alpha <= 1.0)) {
    throw ValueError("smooth_labels", "alpha lies in [0, 1].", {.got = fmt::format("{}", alpha)});
  }
  if (const auto mask = mask_for("smooth_labels", labels, options.axis, options.where)) {
    const Array classes = sum(broadcast_to(*mask, labels.shape()), options.axis, /*keepdims=*/true);
    return (1.0 - alpha) * labels + alpha / astype(classes, labels.dtype());
  }
  std::int64_t classes = 1;
  for (const int axis : options.axis.normalized(labels.rank(), "smooth_labels")) classes *= labels.extent(axis);
  return (1.0 - alpha) * labels + alpha / static_cast<double>(classes);
}

}  // namespace linseed::nn
