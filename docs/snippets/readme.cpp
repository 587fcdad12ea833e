// README.md
// <program>
#include <linseed/linseed.hpp>
using namespace linseed;

struct Net {  // settings alone: the parameters live in a tree outside
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Conv{.features = 8, .kernel_size = {3, 3}, .strides = {2, 2}}(scope, x);
    x = nn::relu(nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, x));
    return nn::Dense{.features = 10}(scope, reshape(x, {x.extent(0), -1}));
  }
};

std::pair<TrainState, Array> train_step(const TrainState& state, const data::Batch& batch) {
  const auto loss_fn = [&](const Tree& params) {
    auto [logits, updates] = nn::apply(state.model, state.replace({.params = params}).variables(),
                                       nn::mutable_({"batch_stats"}), batch.image, /*train=*/true);
    return std::pair{mean(nn::softmax_cross_entropy_with_integer_labels(logits, batch.label)), updates};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  return {state.apply_gradients(grads).replace({.batch_stats = value.second["batch_stats"]}), value.first};
}

int main() {
  const auto [train, test] = data::fashion_mnist_embedded();
  const Tree variables = nn::init(Net{}, random::key(0), zeros({1, 28, 28, 1}), /*train=*/false);
  TrainState state = TrainState::create(Net{}, variables["params"], variables["batch_stats"], optim::adam(1e-2));
  const auto step = jit(train_step);  // traced once, then compiled
  for (const data::Batch& batch : data::shuffled(train, 50, random::key(1)))
    std::tie(state, std::ignore) = step(std::move(state), batch);  // moved in: updated in place
  const data::Batch all = data::Batches(test, test.size())[0];
  fmt::print("test accuracy {}\n", accuracy(nn::apply(Net{}, state.variables(), all.image, false), all.label));
}
// </program>
