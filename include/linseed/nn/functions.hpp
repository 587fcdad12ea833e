#pragma once

#include <linseed/core/array.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/pool.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed::nn {

// Activations of flax.linen. relu, sigmoid, tanh and the poolings are the ops of the same name.
using linseed::avg_pool;
using linseed::max_pool;
using linseed::min_pool;
using linseed::one_hot;
using linseed::relu;
using linseed::sigmoid;
using linseed::tanh;

/// exp(x - max) / sum(exp(x - max)) over `axes`; the maximum counts as a constant in the gradient (jax.nn.softmax).
[[nodiscard]] Array softmax(const Array& x, const Axes& axes = -1);
/// log(softmax(x)), without leaving the range of the dtype (jax.nn.log_softmax).
[[nodiscard]] Array log_softmax(const Array& x, const Axes& axes = -1);
/// log(1 + exp(x))
[[nodiscard]] Array softplus(const Array& x);
/// log(sigmoid(x))
[[nodiscard]] Array log_sigmoid(const Array& x);
/// x * sigmoid(x)
[[nodiscard]] Array silu(const Array& x);
/// x > 0 ? x : alpha * (exp(x) - 1)
[[nodiscard]] Array elu(const Array& x, double alpha = 1.0);
/// x >= 0 ? x : slope * x
[[nodiscard]] Array leaky_relu(const Array& x, double negative_slope = 0.01);
/// Gaussian error linear unit (Hendrycks and Gimpel 2016), by tanh or, with `approximate` off, by erf.
[[nodiscard]] Array gelu(const Array& x, bool approximate = true);

// Losses of Optax: one number per example, not averaged.

/// -sum(labels * log_softmax(logits)) over the last axis: logits and labels [..., classes] -> [...].
[[nodiscard]] Array softmax_cross_entropy(const Array& logits, const Array& labels);
/// logsumexp(logits) - logits[label]: logits [..., classes], integer labels [...] -> [...]. A label outside the classes
/// gives NaN, as in Optax. Throws DTypeError for labels that are not integers, ShapeError when shapes do not fit.
[[nodiscard]] Array softmax_cross_entropy_with_integer_labels(const Array& logits, const Array& labels);
/// -labels * log_sigmoid(logits) - (1 - labels) * log_sigmoid(-logits), element by element.
[[nodiscard]] Array sigmoid_binary_cross_entropy(const Array& logits, const Array& labels);
/// (predictions - targets)^2, element by element. Throws ShapeError unless the shapes are equal.
[[nodiscard]] Array squared_error(const Array& predictions, const Array& targets);
/// Half of squared_error.
[[nodiscard]] Array l2_loss(const Array& predictions, const Array& targets);
/// Quadratic below delta, linear beyond (Huber 1964).
[[nodiscard]] Array huber_loss(const Array& predictions, const Array& targets, double delta = 1.0);

}  // namespace linseed::nn
