// docs/quickstart.md

// <include>
#include <linseed/linseed.hpp>

using namespace linseed;
// </include>

// <model>
struct MLP {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Dense{.features = 32}(scope, x);
    x = nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, x);
    x = nn::relu(x);
    return nn::Dense{.features = 3}(scope, x);
  }
};
// </model>

// <train_step>
struct Batch {
  Array x, label;
};

std::pair<TrainState, Array> train_step(const TrainState& state, const Batch& batch) {
  const auto loss_fn = [&](const Tree& params) {
    auto [logits, updates] = nn::apply(state.model, {{"params", params}, {"batch_stats", state.batch_stats}},
                                       nn::mutable_({"batch_stats"}), batch.x, /*train=*/true);
    return std::pair{mean(nn::softmax_cross_entropy_with_integer_labels(logits, batch.label)), updates};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  const auto& [loss, updates] = value;
  return {state.apply_gradients(grads).replace({.batch_stats = updates["batch_stats"]}), loss};
}
// </train_step>

// <eval_step>
Array eval_step(const TrainState& state, const Batch& batch) {
  return accuracy(nn::apply(state.model, state.variables(), batch.x, /*train=*/false), batch.label);
}
// </eval_step>

int main() {
  // <data>
  const Array x = random::normal(random::key(1), {512, 2});
  const Array radius = sum(square(x), -1);
  const Array label = astype(radius > 0.7, int32) + astype(radius > 2.0, int32);  // three rings
  // </data>

  // <init>
  const Tree variables = nn::init(MLP{}, random::key(0), x, /*train=*/false);
  fmt::print("{}\n", tree::shapes(variables));
  // </init>

  // <loop>
  TrainState state = TrainState::create(MLP{}, variables["params"], variables["batch_stats"], optim::adam(1e-2));
  const auto train = jit(train_step);
  const auto evaluate = jit(eval_step);
  const Batch batch{.x = x, .label = label};
  for (int step = 1; step <= 300; ++step) {
    Array loss;
    std::tie(state, loss) = train(std::move(state), batch);
    if (step % 100 != 0) continue;
    fmt::print("step {}  loss {:.3f}  accuracy {:.3f}\n", step, loss.item<float>(),
               evaluate(state, batch).item<float>());
  }
  // </loop>

  // <inspect>
  fmt::print("{}\n", inspect::tabulate(MLP{}, random::key(0), x, /*train=*/false));
  fmt::print("{}\n", inspect::statistics(state.params));
  // </inspect>
}
