#include <linseed/train/train_state.hpp>

#include <linseed/ops/elementwise.hpp>

namespace linseed {

TrainState TrainState::create(nn::Model model, const Tree& params, const Tree& batch_stats,
                              optim::GradientTransformation tx) {
  Tree opt_state = tx.init(params);
  return {.step = Array(0),
          .params = params,
          .batch_stats = batch_stats,
          .opt_state = std::move(opt_state),
          .model = std::move(model),
          .tx = std::move(tx)};
}

TrainState TrainState::create(nn::Model model, const Tree& params, optim::GradientTransformation tx) {
  return create(std::move(model), params, Tree(), std::move(tx));
}

Tree TrainState::variables() const {
  Tree result{{"params", params}};
  return batch_stats.empty() ? result : result.set("batch_stats", batch_stats);
}

TrainState TrainState::apply_gradients(const Tree& grads) const {
  auto [updates, next] = tx.update(grads, opt_state, params);
  return replace({.step = step + 1, .params = optim::apply_updates(params, updates), .opt_state = std::move(next)});
}

TrainState TrainState::replace(Changes changes) const {
  TrainState result = *this;
  const auto assign = [](auto& field, auto& change) {
    if (change) field = std::move(*change);
  };
  assign(result.step, changes.step);
  assign(result.params, changes.params);
  assign(result.batch_stats, changes.batch_stats);
  assign(result.opt_state, changes.opt_state);
  return result;
}

}  // namespace linseed
