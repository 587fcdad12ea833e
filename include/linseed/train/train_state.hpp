#pragma once

#include <optional>

#include <linseed/core/array.hpp>
#include <linseed/nn/model.hpp>
#include <linseed/optim/optimizers.hpp>
#include <linseed/tree/tree.hpp>

namespace linseed {

/// What a training step takes and gives back (flax.training.train_state.TrainState, with batch_stats). A value: nothing
/// changes it. `model` and `tx` are static, the rest are Arrays. State of your own goes beside it in a struct.
struct TrainState {
  /// What `replace` changes; the rest stays.
  struct Changes {
    std::optional<Array> step = {};
    std::optional<Tree> params = {};
    std::optional<Tree> batch_stats = {};
    std::optional<Tree> opt_state = {};
  };

  Array step;  ///< int32: number of updates so far
  Tree params;
  Tree batch_stats;  ///< {} for models without
  Tree opt_state;
  nn::Model model;
  optim::GradientTransformation tx;

  /// At step 0, with the optimizer's first state.
  [[nodiscard]] static TrainState create(nn::Model model, const Tree& params, const Tree& batch_stats,
                                         optim::GradientTransformation tx);
  [[nodiscard]] static TrainState create(nn::Model model, const Tree& params, optim::GradientTransformation tx);

  /// The collections as `nn::apply` takes them.
  [[nodiscard]] Tree variables() const;

  /// One update along `grads`, which has the structure of `params`; StructureError otherwise.
  [[nodiscard]] TrainState apply_gradients(const Tree& grads) const;
  /// A copy with some fields replaced: state.replace({.batch_stats = updates["batch_stats"]}).
  [[nodiscard]] TrainState replace(Changes changes) const;
};

}  // namespace linseed
