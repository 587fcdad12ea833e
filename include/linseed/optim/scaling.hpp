#pragma once

#include <linseed/optim/schedules.hpp>
#include <linseed/optim/transform.hpp>

namespace linseed::optim {

// The parts of which optimizers are chained, with the formulas, defaults and states of Optax. g is the incoming update
// of a leaf, p its parameter, t the number of updates including this one. Hyper-parameters that are not finite throw
// ValueError.

/// u = factor * g. State {} (optax.scale).
[[nodiscard]] GradientTransformation scale(const Scalar& factor);
/// u = step_size(count) * g, the schedule read before it counts up. State {"count"} (optax.scale_by_schedule).
[[nodiscard]] GradientTransformation scale_by_schedule(const Schedule& step_size);
/// u = -learning_rate * g, or + with `flip_sign` off. The state is {} for a number and {"count"} for a schedule, which
/// is read before it counts up (optax.scale_by_learning_rate).
[[nodiscard]] GradientTransformation scale_by_learning_rate(const Schedule& learning_rate, bool flip_sign = true);

/// trace = g + decay * trace; u = trace, or with `nesterov` g + decay * trace. State {"trace"} (optax.trace).
[[nodiscard]] GradientTransformation trace(const Scalar& decay, bool nesterov = false);
/// ema = (1 - decay) * g + decay * ema; u = ema, divided by 1 - decay^t with `debias`. State {"count", "ema"}
/// (optax.ema).
[[nodiscard]] GradientTransformation ema(const Scalar& decay, bool debias = true);

struct TrustRatioOptions {
  Scalar min_norm = 0.0;
  Scalar trust_coefficient = 1.0;
  Scalar eps = 0.0;
};
/// u = g * trust_coefficient |p| / (|g| + eps), leaf by leaf; a norm is at least min_norm, and where one is 0 u = g.
/// State {} (optax.scale_by_trust_ratio).
[[nodiscard]] GradientTransformation scale_by_trust_ratio(const TrustRatioOptions& options = {});

/// u = sign(g). State {} (optax.scale_by_sign).
[[nodiscard]] GradientTransformation scale_by_sign();
/// u = g * max(|p|, min_scale), leaf by leaf. State {} (optax.scale_by_param_block_norm).
[[nodiscard]] GradientTransformation scale_by_param_block_norm(const Scalar& min_scale = 1e-3);
/// The same with the root of the mean square of p. State {} (optax.scale_by_param_block_rms).
[[nodiscard]] GradientTransformation scale_by_param_block_rms(const Scalar& min_scale = 1e-3);
/// u = (alpha + beta) g - beta (the g before; at first g itself). State {"is_initial_step", "previous_gradient"}
/// (optax.scale_by_optimistic_gradient).
[[nodiscard]] GradientTransformation scale_by_optimistic_gradient(const Scalar& alpha = 1.0, const Scalar& beta = 1.0);
/// u = g / ((|all g| + eps) / scale_factor). State {} (optax.normalize_by_update_norm).
[[nodiscard]] GradientTransformation normalize_by_update_norm(const Scalar& scale_factor = 1.0,
                                                              const Scalar& eps = 1e-6);

struct RpropOptions {
  Scalar eta_minus = 0.5;
  Scalar eta_plus = 1.2;
  Scalar min_step_size = 1e-6;
  Scalar max_step_size = 50.0;
};
/// Steps of the sign of g alone, whose size grows by eta_plus where the sign stays and shrinks by eta_minus where it
/// turns, which leaves out that step; sizes start at `learning_rate`. As in Optax u is the step made of the g before,
/// so that the first is 0. State {"prev_updates", "step_sizes"} (Riedmiller and Braun 1993; optax.scale_by_rprop).
[[nodiscard]] GradientTransformation scale_by_rprop(const Scalar& learning_rate, const RpropOptions& options = {});

/// u = g + sqrt(eta / t^gamma) normal noise, from a new key for each leaf and update. State {"count", "rng_key"}
/// (Neelakantan et al. 2015; optax.add_noise).
[[nodiscard]] GradientTransformation add_noise(const Scalar& eta, const Scalar& gamma, const Array& key);

}  // namespace linseed::optim
