// State of one's own beside TrainState: a running average of the parameters, and a key folded with the step for
// dropout.
#include <linseed/linseed.hpp>

#include <doctest/doctest.h>

using namespace linseed;

namespace {

struct Classifier {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::relu(nn::Dense{.features = 16}(scope, x));
    x = nn::Dropout{.rate = 0.5, .deterministic = !train}(scope, x);
    return nn::Dense{.features = 3}(scope, x);
  }
};

struct Batch {
  Array x, label;
};
struct Run {
  TrainState train;
  Array key;
  Tree ema;
};

constexpr double decay = 0.9;

std::pair<Run, Array> train_step(const Run& run, const Batch& batch) {
  const Array dropout_key = random::fold_in(run.key, run.train.step);
  const auto loss_fn = [&](const Tree& params) {
    const Array logits =
        nn::apply(run.train.model, {{"params", params}}, nn::rngs({{"dropout", dropout_key}}), batch.x, /*train=*/true);
    return mean(nn::softmax_cross_entropy_with_integer_labels(logits, batch.label));
  };
  const auto [loss, grads] = value_and_grad(loss_fn)(run.train.params);
  const TrainState next = run.train.apply_gradients(grads);
  const Tree ema =
      tree::map([](const Array& e, const Array& p) { return decay * e + (1 - decay) * p; }, run.ema, next.params);
  return {Run{.train = next, .key = run.key, .ema = ema}, loss};
}

}  // namespace

TEST_CASE("design: a running average of parameters, and dropout with a key per step") {
  const Batch batch{.x = random::normal(random::key(1), {12, 4}), .label = mod(arange(12), 3)};
  const Tree params = nn::init(Classifier{}, random::key(0), batch.x, /*train=*/false)["params"];
  const Run start{
      .train = TrainState::create(Classifier{}, params, optim::sgd(0.1)), .key = random::key(7), .ema = params};

  const auto step = jit(train_step);
  Run compiled = start, eager = start;
  Tree expected = params;
  for (int i = 0; i < 6; ++i) {
    Array loss, eager_loss;
    std::tie(compiled, loss) = step(std::move(compiled), batch);
    std::tie(eager, eager_loss) = train_step(eager, batch);
    CHECK(identical(loss, eager_loss));
    expected = tree::map([](const Array& e, const Array& p) { return decay * e + (1 - decay) * p; }, expected,
                         eager.train.params);
  }
  CHECK(step.trace_count() == 1);
  CHECK(compiled.train.step.item<int>() == 6);
  CHECK(identical(compiled.train.params, eager.train.params));
  CHECK(identical(compiled.ema, expected));
  CHECK(!identical(compiled.ema, compiled.train.params));
  // Another key, other masks, another loss; the same key the same ones.
  const auto loss_with = [&](const Array& key) {
    return step(Run{.train = start.train, .key = key, .ema = params}, batch).second;
  };
  CHECK(identical(loss_with(random::key(7)), loss_with(random::key(7))));
  CHECK(!identical(loss_with(random::key(7)), loss_with(random::key(8))));
  CHECK(pytree::paths(start)[0] == "train/step");
  CHECK(pytree::paths(start).back() == "ema/Dense_1/kernel");
}

TEST_CASE("design: a step that loses its own state is caught") {
  const Tree params = {{"w", Array(1.0)}};
  const Run run{.train = TrainState::create([](nn::Scope&, const Array& x) { return x; }, params, optim::sgd(0.1)),
                .key = random::key(7),
                .ema = params};
  const auto forgets =
      jit([](const Run& r) { return Run{.train = r.train, .key = random::split(r.key), .ema = Tree()}; });
  std::string text;
  try {
    (void)forgets(run);
  } catch (const CarryError& error) {
    text = error.what();
  }
  CHECK(text ==
        "[jit] The state comes out of the step with another structure, shape or dtype than it went in.\n"
        "  got:\n"
        "    run/key: uint32[2] -> uint32[2,2]\n"
        "    run/ema/w: present -> absent\n"
        "  hint: a step must give back what it takes; .carry_check = false allows this one to differ");
}
