#pragma once

#include <string>

#include <linseed/core/array.hpp>
#include <linseed/nn/scope.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/pool.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed::nn {

// Activations of flax.linen, which are those of jax.nn: element by element, unless axes are named. Gradients at kinks
// are JAX's.

// The ops of the same name.
using linseed::avg_pool;
using linseed::logsumexp;
using linseed::max_pool;
using linseed::min_pool;
using linseed::one_hot;
using linseed::relu;
using linseed::sigmoid;
using linseed::tanh;

/// min(max(x, 0), 6); gradient 0 at both ends.
[[nodiscard]] Array relu6(const Array& x);
/// x >= 0 ? x : slope * x
[[nodiscard]] Array leaky_relu(const Array& x, double negative_slope = 0.01);
/// x > 0 ? x : alpha * (exp(x) - 1)
[[nodiscard]] Array elu(const Array& x, double alpha = 1.0);
/// max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1) (Barron 2017). Throws ValueError for an alpha of 0.
[[nodiscard]] Array celu(const Array& x, double alpha = 1.0);
/// 1.0507... * elu(x, 1.6732...) (Klambauer et al. 2017)
[[nodiscard]] Array selu(const Array& x);
/// Gaussian error linear unit (Hendrycks and Gimpel 2016), by tanh or, with `approximate` off, by erfc.
[[nodiscard]] Array gelu(const Array& x, bool approximate = true);
/// a * sigmoid(b), for the halves a and b of x along `axis` (Dauphin et al. 2017). Throws ShapeError when there are
/// none.
[[nodiscard]] Array glu(const Array& x, int axis = -1);
/// x * sigmoid(x)
[[nodiscard]] Array silu(const Array& x);
[[nodiscard]] inline Array swish(const Array& x) { return silu(x); }
/// log(1 + exp(x))
[[nodiscard]] Array softplus(const Array& x);
/// log(sigmoid(x))
[[nodiscard]] Array log_sigmoid(const Array& x);
/// x / (1 + |x|)
[[nodiscard]] Array soft_sign(const Array& x);
/// min(max(x, -1), 1); gradient 1 at both ends.
[[nodiscard]] Array hard_tanh(const Array& x);
/// relu6(x + 3) / 6
[[nodiscard]] Array hard_sigmoid(const Array& x);
/// x * hard_sigmoid(x)
[[nodiscard]] Array hard_silu(const Array& x);
[[nodiscard]] inline Array hard_swish(const Array& x) { return hard_silu(x); }

/// exp(x - max) / sum(exp(x - max)) over `axes`; the maximum counts as a constant in the gradient (jax.nn.softmax). A
/// row of nothing but -inf gives NaN, as in JAX.
[[nodiscard]] Array softmax(const Array& x, const Axes& axes = -1);
/// log(softmax(x)), without leaving the range of the dtype (jax.nn.log_softmax).
[[nodiscard]] Array log_softmax(const Array& x, const Axes& axes = -1);

/// Options of `standardize`: statistics to use in place of those of x, and which elements count for the latter.
struct StandardizeOptions {
  Array mean = {};
  Array variance = {};
  double epsilon = 1e-5;
  Array where = {};  ///< bool, broadcasts to x
};
/// (x - mean) * rsqrt(variance + epsilon), over `axes` (jax.nn.standardize); the variance is mean(x^2) - mean(x)^2,
/// and at least 0. Where no element counts, it is NaN.
[[nodiscard]] Array standardize(const Array& x, const Axes& axes = -1, const StandardizeOptions& options = {});
/// Flax's other name for `standardize`.
[[nodiscard]] inline Array normalize(const Array& x, const Axes& axes = -1, const StandardizeOptions& options = {}) {
  return standardize(x, axes, options);
}

/// x >= 0 ? x : negative_slope * x with a learned slope (flax.linen.PReLU; He et al. 2015). Params: negative_slope, a
/// scalar.
struct PReLU {
  DType param_dtype = DType::float32;
  double negative_slope_init = 0.01;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x) const;
};

}  // namespace linseed::nn
