#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <linseed/optim/schedules.hpp>
#include <linseed/tree/tree.hpp>

namespace linseed::optim {

/// A pair of pure functions (optax.GradientTransformation): `init` gives a state for parameters, `update` turns
/// gradients into updates to be added to the parameters, and gives the next state. States are Trees laid out as
/// flax.serialization.to_state_dict gives them. Two are equal when they are copies of one.
class GradientTransformation {
 public:
  using Init = std::function<Tree(const Tree& params)>;
  using Update = std::function<std::pair<Tree, Tree>(const Tree& updates, const Tree& state, const Tree& params)>;

  GradientTransformation() = default;
  GradientTransformation(Init init, Update update)
      : functions_(std::make_shared<const Functions>(Functions{std::move(init), std::move(update)})) {}

  /// Throws ValueError when this is empty.
  [[nodiscard]] Tree init(const Tree& params) const { return functions().init(params); }
  /// {updates, next state}
  [[nodiscard]] std::pair<Tree, Tree> update(const Tree& updates, const Tree& state, const Tree& params) const {
    return functions().update(updates, state, params);
  }

  friend bool operator==(const GradientTransformation& a, const GradientTransformation& b) noexcept {
    return a.functions_ == b.functions_;
  }

 private:
  struct Functions {
    Init init;
    Update update;
  };
  const Functions& functions() const;

  std::shared_ptr<const Functions> functions_;
};

/// One after the other; the state is {"0": ..., "1": ...} (optax.chain).
[[nodiscard]] GradientTransformation chain(std::vector<GradientTransformation> transformations);
/// Nothing; the state is {}.
[[nodiscard]] GradientTransformation identity();
/// updates * factor; the state is {}.
[[nodiscard]] GradientTransformation scale(double factor);
/// updates * -learning_rate. The state is {} for a constant and {"count"} for a schedule, which is read before it
/// counts up.
[[nodiscard]] GradientTransformation scale_by_learning_rate(Schedule learning_rate);
/// trace = updates + decay * trace; gives it, or with `nesterov` updates + decay * trace. State {"trace"}
/// (optax.trace).
[[nodiscard]] GradientTransformation trace(double decay, bool nesterov = false);

struct AdamOptions {
  double b1 = 0.9;
  double b2 = 0.999;
  double eps = 1e-8;
  double eps_root = 0.0;  ///< inside the square root
  bool nesterov = false;
};
/// m / (sqrt(v + eps_root) + eps) with bias-corrected moments. State {"count", "mu", "nu"} (optax.scale_by_adam).
[[nodiscard]] GradientTransformation scale_by_adam(AdamOptions options = {});

struct SgdOptions {
  std::optional<double> momentum = {};
  bool nesterov = false;
};
/// Stochastic gradient descent (optax.sgd). State {"0": {} or {"trace"}, "1": {} or {"count"}}.
[[nodiscard]] GradientTransformation sgd(Schedule learning_rate, SgdOptions options = {});
/// Adam (Kingma and Ba 2015; optax.adam). State {"0": {"count", "mu", "nu"}, "1": {} or {"count"}}.
[[nodiscard]] GradientTransformation adam(Schedule learning_rate, AdamOptions options = {});

/// params + updates, in the dtype of the parameters (optax.apply_updates). Throws StructureError when the trees differ.
[[nodiscard]] Tree apply_updates(const Tree& params, const Tree& updates);

}  // namespace linseed::optim
