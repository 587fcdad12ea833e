// Flax's BatchNorm guide: the same MLP without and with batch normalization, side by side.

#include <cstdio>

#include <linseed/linseed.hpp>

using namespace linseed;

// <plain_model>
struct PlainMLP {
  Array operator()(nn::Scope& scope, Array x) const {
    x = nn::Dense{.features = 4}(scope, x);
    x = nn::relu(x);
    return nn::Dense{.features = 1}(scope, x);
  }
};
// </plain_model>

// <model>
struct MLP {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Dense{.features = 4}(scope, x);
    x = nn::BatchNorm{.use_running_average = !train}(scope, x);
    x = nn::relu(x);
    return nn::Dense{.features = 1}(scope, x);
  }
};
// </model>

struct Batch {
  Array image;
  Array label;
};

struct Metrics {
  Array loss;
  Array accuracy;
};

// The guide's network has one output; its sign is the class.
Metrics compute_metrics(const Array& logits, const Array& labels) {
  return {.loss = mean(nn::sigmoid_binary_cross_entropy(logits, labels)),
          .accuracy = mean((logits > 0) == (labels > 0.5))};
}

// Without batch normalization only the parameters travel.
// <plain_train_step>
std::pair<TrainState, Metrics> plain_train_step(const TrainState& state, const Batch& batch) {
  const auto loss_fn = [&](const Tree& params) {
    const Array logits = nn::apply(state.model, {{"params", params}}, batch.image);
    const Metrics metrics = compute_metrics(logits, batch.label);
    return std::pair{metrics.loss, metrics};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  return {state.apply_gradients(grads), value.second};
}
// </plain_train_step>

// With it `apply` also gives back the running statistics, and the state carries them.
// <train_step>
std::pair<TrainState, Metrics> train_step(const TrainState& state, const Batch& batch) {
  const auto loss_fn = [&](const Tree& params) {
    auto [logits, updates] = nn::apply(state.model, {{"params", params}, {"batch_stats", state.batch_stats}},
                                       nn::mutable_({"batch_stats"}), batch.image, /*train=*/true);
    const Metrics metrics = compute_metrics(logits, batch.label);
    return std::pair{metrics.loss, std::pair{metrics, updates}};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  const auto& [metrics, updates] = value.second;
  return {state.apply_gradients(grads).replace({.batch_stats = updates["batch_stats"]}), metrics};
}
// </train_step>

// <eval_step>
Metrics eval_step(const TrainState& state, const Batch& batch) {
  return compute_metrics(nn::apply(state.model, state.variables(), batch.image, /*train=*/false), batch.label);
}
// </eval_step>

int main() {
  // A class that a straight line through the origin separates.
  const Array image = random::normal(random::key(1), {256, 3});
  const Batch batch{.image = image,
                    .label = astype(sum(image * Array{1.0, -2.0, 0.5}, -1, /*keepdims=*/true) > 0, float32)};

  // <init>
  const Tree plain_variables = nn::init(PlainMLP{}, random::key(0), image);
  const Tree variables = nn::init(MLP{}, random::key(0), image, /*train=*/false);
  // </init>
  fmt::print("without batch normalization: {}\n", tree::shapes(plain_variables));
  fmt::print("with batch normalization:    {}\n\n", tree::shapes(variables));

  TrainState plain = TrainState::create(PlainMLP{}, plain_variables["params"], optim::adam(1e-2));
  TrainState state = TrainState::create(MLP{}, variables["params"], variables["batch_stats"], optim::adam(1e-2));
  const auto compiled_plain = jit(plain_train_step);
  const auto compiled = jit(train_step);
  const auto evaluate = jit(eval_step);

  fmt::print("       without              with                 with, running statistics\n");
  for (int step = 1; step <= 100; ++step) {
    Metrics without, with;
    std::tie(plain, without) = compiled_plain(std::move(plain), batch);
    std::tie(state, with) = compiled(std::move(state), batch);
    if (step % 20 != 0) continue;
    const Metrics evaluated = evaluate(state, batch);
    const auto column = [](const Metrics& m) {
      return fmt::format("loss {:.3f} acc {:.3f}", m.loss.item<float>(), m.accuracy.item<float>());
    };
    fmt::print("{:4}   {}   {}   {}\n", step, column(without), column(with), column(evaluated));
  }
  fmt::print("\nrunning mean {}\nrunning var  {}\n", state.batch_stats["BatchNorm_0"]["mean"],
             state.batch_stats["BatchNorm_0"]["var"]);
}
