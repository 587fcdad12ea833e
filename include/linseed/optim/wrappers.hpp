#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>

#include <linseed/core/dtype.hpp>
#include <linseed/optim/schedules.hpp>
#include <linseed/optim/transform.hpp>

namespace linseed::optim {

// Transformations around others. Both outcomes are computed and one is selected, so that nothing is read while `jit`
// traces.

/// `inner`, unless an update has an infinity or a NaN: then the updates are zeros and the inner state stays. After more
/// than `max_consecutive_errors` of them in a row they pass. State {"inner_state", "last_finite", "notfinite_count",
/// "total_notfinite"} (optax.apply_if_finite). Throws ValueError for a negative number.
[[nodiscard]] GradientTransformation apply_if_finite(const GradientTransformation& inner, int max_consecutive_errors);

/// A bool scalar for the number of updates so far.
using Condition = std::function<Array(const Array& step)>;
/// `inner` where condition(step) holds; elsewhere the updates pass unchanged and the inner state stays. State
/// {"inner_state", "step"} (optax.conditionally_transform).
[[nodiscard]] GradientTransformation conditionally_transform(const GradientTransformation& inner,
                                                             const Condition& condition);
/// The same with zeros in place of the updates that pass (optax.conditionally_mask).
[[nodiscard]] GradientTransformation conditionally_mask(const GradientTransformation& inner,
                                                        const Condition& condition);

/// Decides whether MultiSteps leaves out a gradient: {bool scalar, what it wants to be seen in the state}.
using ShouldSkip =
    std::function<std::pair<Array, Tree>(const Tree& updates, const Array& gradient_step, const Tree& params)>;
/// When an element is not finite; state {"num_not_finite", "should_skip"} (optax.skip_not_finite).
[[nodiscard]] std::pair<Array, Tree> skip_not_finite(const Tree& updates, const Array& gradient_step,
                                                     const Tree& params);
/// When the squared norm is not below a bound; state {"norm_squared", "should_skip"} (optax.skip_large_updates).
[[nodiscard]] ShouldSkip skip_large_updates(const Scalar& max_squared_norm);

struct MultiStepsOptions {
  bool use_grad_mean = true;  ///< else the sum
  ShouldSkip should_skip_update = {};
  DType accumulator_dtype = DType::float32;
};
/// Gathers the gradients of k = every_k(gradient_step) calls, then updates once; the updates in between are zeros.
/// State
/// {"acc_grads", "gradient_step", "inner_opt_state", "mini_step", "skip_state"} (optax.MultiSteps). As in Optax the
/// inner update is computed each time, and a NaN outlasts the reset of the accumulator, which multiplies by 0: skip
/// such gradients. Throws ValueError for a constant k that is not a positive whole number; a schedule's value is
/// truncated, and counts as 1 below that.
[[nodiscard]] GradientTransformation multi_steps(const GradientTransformation& inner, const Schedule& every_k,
                                                 const MultiStepsOptions& options = {});
/// Whether the last call with this state of multi_steps updated: bool[] (optax.MultiSteps.has_updated).
[[nodiscard]] Array has_updated(const Tree& multi_steps_state);

/// Adds up the updates of k calls and lets them pass with the last; those before are zeros. State {"count", "grad_acc"}
/// (optax.apply_every). Throws ValueError for a k that is not positive.
[[nodiscard]] GradientTransformation apply_every(std::int64_t k = 1);

struct LookaheadOptions {
  std::int64_t sync_period = 5;
  Scalar slow_step_size = 0.5;
  bool reset_state = false;  ///< the fast optimizer begins anew at each synchronization
};
/// Two sets of parameters, {"fast": ..., "slow": ...} as lookahead_params makes them: `fast_optimizer` moves the fast
/// ones, by the gradients of these, and every `sync_period` updates the slow ones go `slow_step_size` of the way to
/// them, from where both go on. A loss that takes params["fast"] has gradients of zero for the slow ones, which are for
/// evaluation. State {"fast_state", "steps_since_sync"} (Zhang et al. 2019; optax.lookahead). Throws ValueError for a
/// period that is not positive, StructureError for parameters that are not such a pair.
[[nodiscard]] GradientTransformation lookahead(const GradientTransformation& fast_optimizer,
                                               const LookaheadOptions& options = {});
/// {"fast": params, "slow": params} (optax.LookaheadParams.init_synced).
[[nodiscard]] Tree lookahead_params(const Tree& params);

/// Makes a transformation of hyper-parameters, scalar Arrays by name.
using HyperparameterFactory = std::function<GradientTransformation(const Tree& hyperparameters)>;

GradientTransformation inject_hyperparams(Description factory_description, HyperparameterFactory factory,
                                          const std::map<std::string, Schedule>& hyperparameters);

/// The transformation that `factory` makes, with hyper-parameters that live in the state, where they can be seen, saved
/// and, between steps, replaced (optax.inject_hyperparams):
///
///     const auto tx = optim::inject_hyperparams(
///         [](const Tree& h) { return optim::adam(h["learning_rate"], {.b1 = h["b1"]}); },
///         {{"learning_rate", optim::cosine_decay_schedule(0.1, 1000)}, {"b1", 0.9}});
///     state.opt_state = state.opt_state.set("hyperparams/b1", Array(0.8));
///
/// State {"count", "hyperparams": {name: value}, "hyperparams_states": {name of a schedule: {"count"}}, "inner_state"}.
/// Values have the widest floating dtype of the parameters. Those of schedules are computed anew in each update, with
/// the count before it. The factory is called at every init and update.
template <class Factory>
  requires std::is_invocable_r_v<GradientTransformation, const Factory&, const Tree&>
[[nodiscard]] GradientTransformation inject_hyperparams(const Factory& factory,
                                                        const std::map<std::string, Schedule>& hyperparameters) {
  return inject_hyperparams(Description::of_callable<Factory>("factory"), HyperparameterFactory(factory),
                            hyperparameters);
}

}  // namespace linseed::optim
