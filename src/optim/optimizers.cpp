#include <linseed/optim/optimizers.hpp>

#include <cmath>

#include <linseed/ops/elementwise.hpp>
#include <linseed/optim/clipping.hpp>

#include "optim/common.hpp"

namespace linseed::optim {

GradientTransformation sgd(const Schedule& learning_rate, const SgdOptions& options) {
  return chain({options.momentum ? trace(*options.momentum, options.nesterov) : identity(),
                scale_by_learning_rate(learning_rate)});
}

GradientTransformation adam(const Schedule& learning_rate, const AdamOptions& options) {
  return chain({scale_by_adam(options), scale_by_learning_rate(learning_rate)});
}

GradientTransformation nadam(const Schedule& learning_rate, AdamOptions options) {
  options.nesterov = true;
  return adam(learning_rate, options);
}

GradientTransformation adamw(const Schedule& learning_rate, const AdamwOptions& options) {
  const auto& [b1, b2, eps, eps_root, weight_decay, mask, nesterov, mu_dtype] = options;
  return chain({scale_by_adam({b1, b2, eps, eps_root, nesterov, mu_dtype}), add_decayed_weights(weight_decay, mask),
                scale_by_learning_rate(learning_rate)});
}

GradientTransformation nadamw(const Schedule& learning_rate, AdamwOptions options) {
  options.nesterov = true;
  return adamw(learning_rate, options);
}

GradientTransformation amsgrad(const Schedule& learning_rate, const AdamOptions& options) {
  return chain({scale_by_amsgrad(options), scale_by_learning_rate(learning_rate)});
}

GradientTransformation adamax(const Schedule& learning_rate, const AdamaxOptions& options) {
  return chain({scale_by_adamax(options), scale_by_learning_rate(learning_rate)});
}

GradientTransformation adamaxw(const Schedule& learning_rate, const AdamaxwOptions& options) {
  const auto& [b1, b2, eps, weight_decay, mask] = options;
  return chain(
      {scale_by_adamax({b1, b2, eps}), add_decayed_weights(weight_decay, mask), scale_by_learning_rate(learning_rate)});
}

GradientTransformation radam(const Schedule& learning_rate, const RadamOptions& options) {
  return chain({scale_by_radam(options), scale_by_learning_rate(learning_rate)});
}

GradientTransformation adabelief(const Schedule& learning_rate, const BeliefOptions& options) {
  return chain({scale_by_belief(options), scale_by_learning_rate(learning_rate)});
}

GradientTransformation yogi(const Schedule& learning_rate, const YogiOptions& options) {
  return chain({scale_by_yogi(options), scale_by_learning_rate(learning_rate)});
}

GradientTransformation lion(const Schedule& learning_rate, const LionOptions& options) {
  return chain({scale_by_lion(options.b1, options.b2, options.mu_dtype),
                add_decayed_weights(options.weight_decay, options.mask), scale_by_learning_rate(learning_rate)});
}

GradientTransformation rmsprop(const Schedule& learning_rate, const RmspropOptions& options) {
  const RmsOptions scaling{options.decay, options.eps, options.initial_scale, options.eps_in_sqrt,
                           options.bias_correction};
  return chain({options.centered ? scale_by_stddev(scaling) : scale_by_rms(scaling),
                scale_by_learning_rate(learning_rate),
                options.momentum ? trace(*options.momentum, options.nesterov) : identity()});
}

GradientTransformation adagrad(const Schedule& learning_rate, const RssOptions& options) {
  return chain({scale_by_rss(options), scale_by_learning_rate(learning_rate)});
}

GradientTransformation adadelta(const std::optional<Schedule>& learning_rate, const AdadeltaOptions& options) {
  return chain({add_decayed_weights(options.weight_decay, options.weight_decay_mask),
                scale_by_adadelta(options.rho, options.eps),
                learning_rate ? scale_by_learning_rate(*learning_rate) : identity()});
}

GradientTransformation lamb(const Schedule& learning_rate, const LambOptions& options) {
  const auto& [b1, b2, eps, eps_root, weight_decay, mask] = options;
  return chain({scale_by_adam({b1, b2, eps, eps_root}), add_decayed_weights(weight_decay, mask), scale_by_trust_ratio(),
                scale_by_learning_rate(learning_rate)});
}

GradientTransformation lars(const Schedule& learning_rate, const LarsOptions& options) {
  const GradientTransformation trust_ratio =
      scale_by_trust_ratio({.trust_coefficient = options.trust_coefficient, .eps = options.eps});
  return chain({add_decayed_weights(options.weight_decay, options.weight_decay_mask),
                masked(trust_ratio, options.trust_ratio_mask), scale_by_learning_rate(learning_rate),
                trace(options.momentum, options.nesterov)});
}

GradientTransformation sign_sgd(const Schedule& learning_rate) {
  return chain({scale_by_sign(), scale_by_learning_rate(learning_rate)});
}

GradientTransformation signum(const Schedule& learning_rate, const Scalar& beta) {
  return chain({ema(beta, /*debias=*/false), scale_by_sign(), scale_by_learning_rate(learning_rate)});
}

GradientTransformation fromage(const Schedule& learning_rate, const Scalar& min_norm) {
  const GradientTransformation trust_ratio = scale_by_trust_ratio({.min_norm = min_norm});
  if (learning_rate.is_constant() && learning_rate.value().is_number()) {
    const double rate = learning_rate.value().number(), factor = 1.0 / std::sqrt(1.0 + rate * rate);
    return chain({trust_ratio, scale_by_learning_rate(rate * factor), add_decayed_weights(factor - 1.0)});
  }
  const auto factor = [learning_rate](const Array& count) { return 1.0 / sqrt(1.0 + square(learning_rate(count))); };
  return chain({trust_ratio,
                scale_by_learning_rate(
                    Schedule::described(Description("fromage_rate", learning_rate),
                                        [=](const Array& count) { return factor(count) * learning_rate(count); })),
                add_decayed_weights(Schedule::described(Description("fromage_decay", learning_rate),
                                                        [=](const Array& count) { return factor(count) - 1.0; }))});
}

GradientTransformation optimistic_gradient_descent(const Schedule& learning_rate, const Scalar& alpha,
                                                   const Scalar& beta) {
  return chain({scale_by_optimistic_gradient(alpha, beta), scale_by_learning_rate(learning_rate)});
}

GradientTransformation optimistic_adam_v2(const Schedule& learning_rate, const Scalar& alpha, const Scalar& beta,
                                          const AdamOptions& options) {
  return chain(
      {scale_by_adam(options), scale_by_optimistic_gradient(alpha, beta), scale_by_learning_rate(learning_rate)});
}

GradientTransformation optimistic_adam(const Scalar& learning_rate, const std::optional<Scalar>& optimism,
                                       const AdamOptions& options) {
  return chain({scale_by_adam(options), scale_by_optimistic_gradient(learning_rate, optimism.value_or(learning_rate)),
                scale_by_learning_rate(1.0)});
}

GradientTransformation sm3(const Scalar& learning_rate, const Scalar& momentum) {
  return chain({scale_by_sm3({.b1 = momentum}), scale(learning_rate.negated())});
}

GradientTransformation adan(const Schedule& learning_rate, const AdanOptimizerOptions& options) {
  const auto& [b1, b2, b3, eps, eps_root, weight_decay, mask] = options;
  return chain({scale_by_adan({b1, b2, b3, eps, eps_root}), add_decayed_weights(weight_decay, mask),
                scale_by_learning_rate(learning_rate)});
}

GradientTransformation novograd(const Schedule& learning_rate, const NovogradOptions& options) {
  return chain({scale_by_novograd(options), scale_by_learning_rate(learning_rate)});
}

GradientTransformation rprop(const Scalar& learning_rate, const RpropOptions& options) {
  return chain({scale_by_rprop(learning_rate, options), scale(-1.0)});
}

GradientTransformation noisy_sgd(const Schedule& learning_rate, const Array& key, const Scalar& eta,
                                 const Scalar& gamma) {
  return chain({add_noise(eta, gamma, key), scale_by_learning_rate(learning_rate)});
}

GradientTransformation adafactor(const std::optional<Schedule>& learning_rate, const AdafactorOptions& options) {
  std::vector<GradientTransformation> members{
      scale_by_factored_rms({.factored = options.factored,
                             .decay_rate = options.decay_rate,
                             .step_offset = options.decay_offset,
                             .min_dim_size_to_factor = options.min_dim_size_to_factor,
                             .epsilon = options.eps})};
  if (options.clipping_threshold) members.push_back(clip_by_block_rms(*options.clipping_threshold));
  if (learning_rate) members.push_back(scale_by_learning_rate(*learning_rate, /*flip_sign=*/false));
  if (options.multiply_by_parameter_scale) members.push_back(scale_by_param_block_rms());
  if (options.momentum) members.push_back(ema(*options.momentum, /*debias=*/false));
  if (options.weight_decay_rate)
    members.push_back(add_decayed_weights(*options.weight_decay_rate, options.weight_decay_mask));
  members.push_back(scale(-1.0));
  return chain(members);
}

}  // namespace linseed::optim
