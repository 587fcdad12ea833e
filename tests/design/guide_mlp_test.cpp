// The Flax guide's MLP with batch normalization, as its reader would write it.
#include <linseed/linseed.hpp>

#include <doctest/doctest.h>

using namespace linseed;

namespace {

struct MLP {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Dense{.features = 4}(scope, x);
    x = nn::BatchNorm{.use_running_average = !train}(scope, x);
    x = nn::relu(x);
    return nn::Dense{.features = 1}(scope, x);
  }
};

struct Batch {
  Array x, y;
};
struct Metrics {
  Array loss;
};

}  // namespace

TEST_CASE("design: the guide's MLP with BatchNorm") {
  const Batch batch{.x = random::normal(random::key(1), {32, 3}), .y = random::normal(random::key(2), {32, 1})};

  const Tree variables = nn::init(MLP{}, random::key(0), batch.x, /*train=*/false);
  CHECK(tree::shapes(variables) ==
        "{\n"
        "    'batch_stats': {'BatchNorm_0': {'mean': (4,), 'var': (4,)}},\n"
        "    'params': {\n"
        "        'BatchNorm_0': {'bias': (4,), 'scale': (4,)},\n"
        "        'Dense_0': {'bias': (4,), 'kernel': (3, 4)},\n"
        "        'Dense_1': {'bias': (1,), 'kernel': (4, 1)},\n"
        "    },\n"
        "}");

  auto state = TrainState::create(MLP{}, variables["params"], variables["batch_stats"], optim::adam(1e-2));
  const auto train_step = jit([](TrainState s, const Batch& b) {
    const auto loss_fn = [&](const Tree& params) {
      auto [output, updates] = nn::apply(s.model, {{"params", params}, {"batch_stats", s.batch_stats}},
                                         nn::mutable_({"batch_stats"}), b.x, /*train=*/true);
      return std::pair{mean(nn::l2_loss(output, b.y)), updates};
    };
    const auto [value, grads] = value_and_grad(loss_fn)(s.params);
    const auto& [loss, updates] = value;
    return std::pair{s.apply_gradients(grads).replace({.batch_stats = updates["batch_stats"]}), Metrics{.loss = loss}};
  });
  const auto eval_step = jit([](const TrainState& s, const Batch& b) {
    return Metrics{.loss = mean(nn::l2_loss(nn::apply(s.model, s.variables(), b.x, /*train=*/false), b.y))};
  });

  const float before = eval_step(state, batch).loss.item<float>();
  Metrics metrics;
  for (int i = 0; i < 30; ++i) std::tie(state, metrics) = train_step(std::move(state), batch);
  CHECK(state.step.item<int>() == 30);
  CHECK(eval_step(state, batch).loss.item<float>() < before);
  CHECK(!identical(state.batch_stats, variables["batch_stats"]));
  CHECK(train_step.trace_count() == 1);
  CHECK(eval_step.trace_count() == 1);
}
