// Large batches on little memory: optim::multi_steps gathers the gradients of four small batches and updates once,
// which is the update of one batch that is four times as large. Both ways, side by side.

#include <cstdio>

#include <linseed/linseed.hpp>

using namespace linseed;

struct MLP {
  Array operator()(nn::Scope& scope, Array x) const {
    x = nn::relu(nn::Dense{.features = 16}(scope, x));
    return nn::Dense{.features = 1}(scope, x);
  }
};

struct Batch {
  Array x, y;
};

std::pair<TrainState, Array> train_step(const TrainState& state, const Batch& batch) {
  const auto loss_fn = [&](const Tree& params) {
    return mean(nn::squared_error(nn::apply(state.model, {{"params", params}}, batch.x), batch.y));
  };
  const auto [loss, grads] = value_and_grad(loss_fn)(state.params);
  return {state.apply_gradients(grads), loss};
}

Batch rows(const Batch& all, std::int64_t begin, std::int64_t end) {
  return {slice_axis(all.x, 0, begin, end), slice_axis(all.y, 0, begin, end)};
}

int main() {
  constexpr std::int64_t large = 128, small = 32, every = large / small, examples = 1024;
  const Array x = random::uniform(random::key(1), {examples, 1}, float32, -3.0, 3.0);
  const Batch data{x, sin(x)};

  const Tree params = nn::init(MLP{}, random::key(0), x)["params"];
  const auto tx = optim::adam(0.01);
  TrainState whole = TrainState::create(MLP{}, params, tx);
  TrainState parts = TrainState::create(MLP{}, params, optim::multi_steps(tx, every));
  const auto step = jit(train_step);

  fmt::print("updates   loss, batches of {}   loss, {} batches of {}   largest difference of parameters\n", large,
             every, small);
  std::int64_t updates = 0;
  for (int epoch = 1; epoch <= 20; ++epoch) {
    Average whole_loss, parts_loss;
    for (std::int64_t begin = 0; begin < examples; begin += large, ++updates) {
      Array loss;
      std::tie(whole, loss) = step(std::move(whole), rows(data, begin, begin + large));
      whole_loss = whole_loss.merge(Average::of_mean(loss, large));
      for (std::int64_t part = begin; part < begin + large; part += small) {
        std::tie(parts, loss) = step(std::move(parts), rows(data, part, part + small));
        parts_loss = parts_loss.merge(Average::of_mean(loss, small));
      }
    }
    if (epoch % 5 != 0) continue;
    double difference = 0.0;
    const std::vector<Array> a = whole.params.leaves(), b = parts.params.leaves();
    for (std::size_t i = 0; i < a.size(); ++i) difference = std::max(difference, max(abs(a[i] - b[i])).item<double>());
    fmt::print("{:7}   {:20.4f}   {:23.4f}   {}\n", updates, whole_loss.value(), parts_loss.value(),
               difference < 1e-4 ? "below 0.0001" : "0.0001 or more");
  }
  fmt::print("\ncalls of the small step: {}, of which the last one {}\n", parts.step.item<int>(),
             optim::has_updated(parts.opt_state) ? "updated" : "only gathered");
}
