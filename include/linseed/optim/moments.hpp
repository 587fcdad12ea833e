#pragma once

#include <cstdint>
#include <optional>

#include <linseed/optim/hyperparameter.hpp>
#include <linseed/optim/transform.hpp>

namespace linseed::optim {

// Directions made from moments of the gradients, with the formulas, defaults and states of Optax. g is the incoming
// update of a leaf, t the number of updates including this one; mu and nu start at zeros of the parameters' shapes and
// dtypes, and mu^ = mu / (1 - b1^t), nu^ = nu / (1 - b2^t), the powers in float32 (float64 for
// float64 parameters). Hyper-parameters that are not finite
// throw ValueError, a `mu_dtype` that is not floating-point DTypeError.

/// Of adam and its kin.
struct AdamOptions {
  Scalar b1 = 0.9;
  Scalar b2 = 0.999;
  Scalar eps = 1e-8;
  Scalar eps_root = 0.0;  ///< inside the square root
  bool nesterov = false;
  std::optional<DType> mu_dtype = {};  ///< in which mu is kept between updates; that of the parameters if not given
};
/// mu = (1 - b1) g + b1 mu, nu = (1 - b2) g^2 + b2 nu; u = mu^ / (sqrt(nu^ + eps_root) + eps). With `nesterov`
/// mu^ = b1 mu / (1 - b1^(t+1)) + (1 - b1) g / (1 - b1^t). State {"count", "mu", "nu"} (optax.scale_by_adam).
[[nodiscard]] GradientTransformation scale_by_adam(const AdamOptions& options = {});

/// As scale_by_adam, with the largest nu^ so far: state {"count", "mu", "nu", "nu_max"} (optax.scale_by_amsgrad, both
/// moments corrected). `nesterov` is not for it: ValueError.
[[nodiscard]] GradientTransformation scale_by_amsgrad(const AdamOptions& options = {});

struct AdamaxOptions {
  Scalar b1 = 0.9;
  Scalar b2 = 0.999;
  Scalar eps = 1e-8;
};
/// nu = max(|g| + eps, b2 nu); u = mu^ / nu. State {"count", "mu", "nu"} (optax.scale_by_adamax).
[[nodiscard]] GradientTransformation scale_by_adamax(const AdamaxOptions& options = {});

struct BeliefOptions {
  Scalar b1 = 0.9;
  Scalar b2 = 0.999;
  Scalar eps = 1e-16;
  Scalar eps_root = 1e-16;  ///< added to nu and kept there
  bool nesterov = false;
};
/// nu = (1 - b2) (g - mu)^2 + b2 nu + eps_root; u = mu^ / (sqrt(nu^) + eps). State {"count", "mu", "nu"}
/// (optax.scale_by_belief).
[[nodiscard]] GradientTransformation scale_by_belief(const BeliefOptions& options = {});

struct RadamOptions {
  Scalar b1 = 0.9;
  Scalar b2 = 0.999;
  Scalar eps = 1e-8;
  Scalar eps_root = 0.0;
  Scalar threshold = 5.0;
  bool nesterov = false;
};
/// ro = 2 / (1 - b2) - 1 - 2 t b2^t / (1 - b2^t) counts the gradients that nu stands for. Where it reaches the
/// threshold u = r mu^ / (sqrt(nu^ + eps_root) + eps) with the rectification r of Liu et al. 2020, else u = mu^. State
/// {"count", "mu", "nu"} (optax.scale_by_radam).
[[nodiscard]] GradientTransformation scale_by_radam(const RadamOptions& options = {});

struct YogiOptions {
  Scalar b1 = 0.9;
  Scalar b2 = 0.999;
  Scalar eps = 1e-3;
  Scalar eps_root = 0.0;
  Scalar initial_accumulator_value = 1e-6;
};
/// nu = nu - (1 - b2) sign(nu - g^2) g^2; both moments start at the initial value. State {"count", "mu", "nu"}
/// (optax.scale_by_yogi).
[[nodiscard]] GradientTransformation scale_by_yogi(const YogiOptions& options = {});

/// u = sign((1 - b1) g + b1 mu), then mu = (1 - b2) g + b2 mu. State {"count", "mu"} (optax.scale_by_lion).
[[nodiscard]] GradientTransformation scale_by_lion(const Scalar& b1 = 0.9, const Scalar& b2 = 0.99,
                                                   std::optional<DType> mu_dtype = {});

struct RmsOptions {
  Scalar decay = 0.9;
  Scalar eps = 1e-8;
  Scalar initial_scale = 0.0;
  bool eps_in_sqrt = true;
  bool bias_correction = false;
};
/// nu = (1 - decay) g^2 + decay nu; u = g / sqrt(nu + eps), or g / (sqrt(nu) + eps). State {"nu"}, with
/// `bias_correction` {"count", "nu"} (optax.scale_by_rms).
[[nodiscard]] GradientTransformation scale_by_rms(const RmsOptions& options = {});
/// The same with the variance nu - mu^2. State {"mu", "nu"}, with `bias_correction` {"count", "mu", "nu"}
/// (optax.scale_by_stddev).
[[nodiscard]] GradientTransformation scale_by_stddev(const RmsOptions& options = {});

struct RssOptions {
  Scalar initial_accumulator_value = 0.1;
  Scalar eps = 1e-7;
};
/// s = g^2 + s; u = g / sqrt(s + eps), 0 where s is 0. State {"sum_of_squares"} (optax.scale_by_rss).
[[nodiscard]] GradientTransformation scale_by_rss(const RssOptions& options = {});

/// e_g = (1 - rho) g^2 + rho e_g; u = sqrt(e_x + eps) / sqrt(e_g + eps) g; e_x = (1 - rho) u^2 + rho e_x. State
/// {"e_g", "e_x"} (optax.scale_by_adadelta).
[[nodiscard]] GradientTransformation scale_by_adadelta(const Scalar& rho = 0.9, const Scalar& eps = 1e-6);

struct Sm3Options {
  Scalar b1 = 0.9;
  Scalar b2 = 1.0;
  Scalar eps = 1e-8;
};
/// Keeps for each axis i of a leaf the largest second moments s_i along it. s = (1 - b2) g^2 + b2 min_i s_i, or
/// g^2 + min_i s_i with b2 = 1; u = nu = (1 - b1) g / sqrt(s + eps) + b1 nu, without the first term where s is 0; then
/// s_i is the maximum of s over the other axes. State {"mu": {leaf: {"0": s_0, ...}}, "nu"} (Anil et al. 2019;
/// optax.scale_by_sm3). Throws ShapeError for a leaf without axes.
[[nodiscard]] GradientTransformation scale_by_sm3(const Sm3Options& options = {});

struct AdanOptions {
  Scalar b1 = 0.98;
  Scalar b2 = 0.92;
  Scalar b3 = 0.99;
  Scalar eps = 1e-8;
  Scalar eps_root = 0.0;
};
/// d = g - the g before (0 at first); m = (1 - b1) g + b1 m, v = (1 - b2) d + b2 v, n = (1 - b3) (g + (1 - b2) d)^2 +
/// b3 n; u = (m^ + (1 - b2) v^) / (sqrt(n^ + eps_root) + eps). State {"g", "m", "n", "t", "v"} (optax.scale_by_adan).
[[nodiscard]] GradientTransformation scale_by_adan(const AdanOptions& options = {});

struct NovogradOptions {
  Scalar b1 = 0.9;
  Scalar b2 = 0.25;
  Scalar eps = 1e-8;
  Scalar eps_root = 0.0;
  Scalar weight_decay = 0.0;
};
/// One second moment for a whole leaf: nu = (1 - b2) |g|^2 + b2 nu, at first |g|^2; a = g / (sqrt(nu + eps_root) + eps)
/// + weight_decay p; u = mu = a + b1 mu, at first a. State {"count", "mu", "nu"} (optax.scale_by_novograd).
[[nodiscard]] GradientTransformation scale_by_novograd(const NovogradOptions& options = {});

struct FactoredRmsOptions {
  bool factored = true;
  Scalar decay_rate = 0.8;
  std::int64_t step_offset = 0;
  std::int64_t min_dim_size_to_factor = 128;
  Scalar epsilon = 1e-30;
};
/// Division by the root of a mean square, which is kept for rows and columns alone where a leaf has two axes of at
/// least `min_dim_size_to_factor` elements, of which the largest two are factored: v = d v + (1 - d) (g^2 + epsilon),
/// averaged over one axis or the other, with d = 1 - (t - step_offset)^-decay_rate. State {"count", "v", "v_col",
/// "v_row"}, where what a leaf does not need is [1] (Shazeer and Stern 2018; optax.scale_by_factored_rms).
[[nodiscard]] GradientTransformation scale_by_factored_rms(const FactoredRmsOptions& options = {});

}  // namespace linseed::optim
