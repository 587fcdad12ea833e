#pragma once

#include <cstdint>
#include <optional>

#include <linseed/optim/masking.hpp>
#include <linseed/optim/moments.hpp>
#include <linseed/optim/scaling.hpp>
#include <linseed/optim/schedules.hpp>
#include <linseed/optim/transform.hpp>

namespace linseed::optim {

// The optimizers of Optax, with its names, formulas, defaults and states: a chain of the parts named in each comment,
// whose states are its entries "0", "1", ... The learning rate comes last unless said otherwise: it gives {} for a
// number and {"count"} for a schedule, and so does a decay of weights, or {"inner_state": ...} with a mask.
// Hyper-parameters that are not finite throw ValueError.

struct SgdOptions {
  std::optional<Scalar> momentum = {};
  bool nesterov = false;
};
/// Stochastic gradient descent (optax.sgd): trace or nothing.
[[nodiscard]] GradientTransformation sgd(const Schedule& learning_rate, const SgdOptions& options = {});

/// Adam (Kingma and Ba 2015; optax.adam): scale_by_adam.
[[nodiscard]] GradientTransformation adam(const Schedule& learning_rate, const AdamOptions& options = {});
/// adam with Nesterov's momentum, whatever the options say (Dozat 2016; optax.nadam).
[[nodiscard]] GradientTransformation nadam(const Schedule& learning_rate, AdamOptions options = {});

struct AdamwOptions {
  Scalar b1 = 0.9;
  Scalar b2 = 0.999;
  Scalar eps = 1e-8;
  Scalar eps_root = 0.0;
  Schedule weight_decay = 1e-4;
  std::optional<Mask> mask = {};  ///< which weights decay
  bool nesterov = false;
  std::optional<DType> mu_dtype = {};
};
/// Adam with decoupled decay of weights (Loshchilov and Hutter 2019; optax.adamw): scale_by_adam, add_decayed_weights.
[[nodiscard]] GradientTransformation adamw(const Schedule& learning_rate, const AdamwOptions& options = {});
/// adamw with Nesterov's momentum, whatever the options say (optax.nadamw).
[[nodiscard]] GradientTransformation nadamw(const Schedule& learning_rate, AdamwOptions options = {});

/// Adam with a second moment that never shrinks (Reddi et al. 2018; optax.amsgrad): scale_by_amsgrad.
[[nodiscard]] GradientTransformation amsgrad(const Schedule& learning_rate, const AdamOptions& options = {});

/// Adam with the largest gradient in place of the second moment (Kingma and Ba 2015; optax.adamax): scale_by_adamax.
[[nodiscard]] GradientTransformation adamax(const Schedule& learning_rate, const AdamaxOptions& options = {});
struct AdamaxwOptions {
  Scalar b1 = 0.9;
  Scalar b2 = 0.999;
  Scalar eps = 1e-8;
  Schedule weight_decay = 1e-4;
  std::optional<Mask> mask = {};
};
/// adamax with decoupled decay of weights (optax.adamaxw): scale_by_adamax, add_decayed_weights.
[[nodiscard]] GradientTransformation adamaxw(const Schedule& learning_rate, const AdamaxwOptions& options = {});

/// Rectified Adam (Liu et al. 2020; optax.radam): scale_by_radam.
[[nodiscard]] GradientTransformation radam(const Schedule& learning_rate, const RadamOptions& options = {});
/// AdaBelief (Zhuang et al. 2020; optax.adabelief): scale_by_belief.
[[nodiscard]] GradientTransformation adabelief(const Schedule& learning_rate, const BeliefOptions& options = {});
/// Yogi (Zaheer et al. 2018; optax.yogi): scale_by_yogi.
[[nodiscard]] GradientTransformation yogi(const Schedule& learning_rate, const YogiOptions& options = {});

struct LionOptions {
  Scalar b1 = 0.9;
  Scalar b2 = 0.99;
  Schedule weight_decay = 1e-3;
  std::optional<Mask> mask = {};
  std::optional<DType> mu_dtype = {};
};
/// Lion (Chen et al. 2023; optax.lion): scale_by_lion, add_decayed_weights.
[[nodiscard]] GradientTransformation lion(const Schedule& learning_rate, const LionOptions& options = {});

struct RmspropOptions {
  Scalar decay = 0.9;
  Scalar eps = 1e-8;
  Scalar initial_scale = 0.0;
  bool eps_in_sqrt = true;
  bool centered = false;
  std::optional<Scalar> momentum = {};
  bool nesterov = false;
  bool bias_correction = false;
};
/// RMSProp (Tieleman and Hinton 2012; optax.rmsprop): scale_by_rms or, when centered, scale_by_stddev; the learning
/// rate; then the momentum, of scaled updates, or nothing.
[[nodiscard]] GradientTransformation rmsprop(const Schedule& learning_rate, const RmspropOptions& options = {});

/// Adagrad (Duchi et al. 2011; optax.adagrad): scale_by_rss.
[[nodiscard]] GradientTransformation adagrad(const Schedule& learning_rate, const RssOptions& options = {});

struct AdadeltaOptions {
  Scalar rho = 0.9;
  Scalar eps = 1e-6;
  Schedule weight_decay = 0.0;
  std::optional<Mask> weight_decay_mask = {};
};
/// Adadelta (Zeiler 2012; optax.adadelta): add_decayed_weights, scale_by_adadelta. Without a learning rate the updates
/// keep their sign, as in Optax: pass one.
[[nodiscard]] GradientTransformation adadelta(const std::optional<Schedule>& learning_rate = {},
                                              const AdadeltaOptions& options = {});

struct LambOptions {
  Scalar b1 = 0.9;
  Scalar b2 = 0.999;
  Scalar eps = 1e-6;
  Scalar eps_root = 0.0;
  Schedule weight_decay = 0.0;
  std::optional<Mask> mask = {};
};
/// LAMB (You et al. 2020; optax.lamb): scale_by_adam, add_decayed_weights, scale_by_trust_ratio.
[[nodiscard]] GradientTransformation lamb(const Schedule& learning_rate, const LambOptions& options = {});

struct LarsOptions {
  Schedule weight_decay = 0.0;
  Mask weight_decay_mask = true;
  Scalar trust_coefficient = 1e-3;
  Scalar eps = 0.0;
  Mask trust_ratio_mask = true;
  Scalar momentum = 0.9;
  bool nesterov = false;
};
/// LARS (You et al. 2017; optax.lars): masked add_decayed_weights, masked scale_by_trust_ratio, the learning rate, and
/// then trace.
[[nodiscard]] GradientTransformation lars(const Schedule& learning_rate, const LarsOptions& options = {});

/// Signs of gradients alone (Bernstein et al. 2018; optax.sign_sgd): scale_by_sign.
[[nodiscard]] GradientTransformation sign_sgd(const Schedule& learning_rate);
/// Signs of averaged gradients (Bernstein et al. 2018; optax.signum): ema without correction, scale_by_sign.
[[nodiscard]] GradientTransformation signum(const Schedule& learning_rate, const Scalar& beta = 0.9);
/// Steps that keep the length of the parameters in check (Bernstein et al. 2020; optax.fromage): scale_by_trust_ratio,
/// the learning rate, add_decayed_weights.
[[nodiscard]] GradientTransformation fromage(const Schedule& learning_rate, const Scalar& min_norm = 1e-6);
/// Optimistic gradient descent (Mokhtari et al. 2019; optax.optimistic_gradient_descent): scale_by_optimistic_gradient.
[[nodiscard]] GradientTransformation optimistic_gradient_descent(const Schedule& learning_rate,
                                                                 const Scalar& alpha = 1.0, const Scalar& beta = 1.0);

/// The same after Adam's scaling, with Nesterov's momentum unless the options say otherwise (Daskalakis et al. 2018;
/// optax.optimistic_adam_v2): scale_by_adam, scale_by_optimistic_gradient.
[[nodiscard]] GradientTransformation optimistic_adam_v2(const Schedule& learning_rate, const Scalar& alpha = 1.0,
                                                        const Scalar& beta = 1.0,
                                                        const AdamOptions& options = {.nesterov = true});

/// The same with the learning rate as alpha and `optimism`, which is the learning rate if not given, as beta
/// (optax.optimistic_adam, which Optax deprecates): scale_by_adam, scale_by_optimistic_gradient, and -1.
[[nodiscard]] GradientTransformation optimistic_adam(const Scalar& learning_rate,
                                                     const std::optional<Scalar>& optimism = {},
                                                     const AdamOptions& options = {.nesterov = true});

/// SM3 (Anil et al. 2019; optax.sm3): scale_by_sm3, scale.
[[nodiscard]] GradientTransformation sm3(const Scalar& learning_rate, const Scalar& momentum = 0.9);

struct AdanOptimizerOptions {
  Scalar b1 = 0.98;
  Scalar b2 = 0.92;
  Scalar b3 = 0.99;
  Scalar eps = 1e-8;
  Scalar eps_root = 1e-8;
  Schedule weight_decay = 0.0;
  std::optional<Mask> mask = {};
};
/// Adan (Xie et al. 2022; optax.adan): scale_by_adan, add_decayed_weights.
[[nodiscard]] GradientTransformation adan(const Schedule& learning_rate, const AdanOptimizerOptions& options = {});
/// NovoGrad (Ginsburg et al. 2019; optax.novograd): scale_by_novograd.
[[nodiscard]] GradientTransformation novograd(const Schedule& learning_rate,
                                              const NovogradOptions& options = {.eps = 1e-6});
/// Rprop (Riedmiller and Braun 1993; optax.rprop): scale_by_rprop, scale(-1).
[[nodiscard]] GradientTransformation rprop(const Scalar& learning_rate, const RpropOptions& options = {});
/// Gradient descent with noise that fades (Neelakantan et al. 2015; optax.noisy_sgd): add_noise.
[[nodiscard]] GradientTransformation noisy_sgd(const Schedule& learning_rate, const Array& key,
                                               const Scalar& eta = 0.01, const Scalar& gamma = 0.55);

struct AdafactorOptions {
  std::int64_t min_dim_size_to_factor = 128;
  Scalar decay_rate = 0.8;
  std::int64_t decay_offset = 0;
  bool multiply_by_parameter_scale = true;
  std::optional<Scalar> clipping_threshold = 1.0;
  std::optional<Scalar> momentum = {};
  std::optional<Schedule> weight_decay_rate = {};
  Scalar eps = 1e-30;
  bool factored = true;
  std::optional<Mask> weight_decay_mask = {};
};
/// Adafactor (Shazeer and Stern 2018; optax.adafactor): scale_by_factored_rms and then, each where it is asked for,
/// clip_by_block_rms, the learning rate, scale_by_param_block_rms, ema without correction, add_decayed_weights;
/// scale(-1).
[[nodiscard]] GradientTransformation adafactor(const std::optional<Schedule>& learning_rate = {},
                                               const AdafactorOptions& options = {});

}  // namespace linseed::optim
