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

}  // namespace linseed::nn
