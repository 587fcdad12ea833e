// Object style: a module, its variables and its mode in one immutable value that is called like a function.
// usage: object_style [STEPS]

#include <cstdio>
#include <cstdlib>

#include <linseed/linseed.hpp>

using namespace linseed;

struct MLP {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Dense{.features = 16}(scope, x);
    x = nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, x);
    x = nn::relu(x);
    return nn::Dense{.features = 1}(scope, x);
  }
};

using Model = object::Object<MLP>;

struct Batch {
  Array x, y;
};

/// What training carries along: the object goes through jit and grad like every other value.
struct Run {
  Model model;
  Tree opt_state;
};

Array loss_of(const Array& prediction, const Array& y) { return mean(square(prediction - y)); }

// <model>
void normalize(const Array& x) {
  const auto fresh = object::make(nn::BatchNorm{.momentum = 0.5}).init(random::key(0), x);
  const auto mean_of = [](const auto& bn) { return bn.variables().at("batch_stats/mean").array(); };

  const auto [y, next] = fresh(x);  // in training: by the batch, and `next` has learned from it
  fmt::print("running mean of fresh {}, of next {}\n", mean_of(fresh), mean_of(next));

  const auto frozen = next.freeze();  // as in evaluation, whatever the mode
  const auto [z, same] = frozen.train()(x);
  fmt::print("frozen: running mean stays {}\n", mean_of(same));

  const auto [w, moved] = frozen(x, /*use_running_average=*/false);  // an argument overrides the mode
  fmt::print("overridden: running mean {}\n\n", mean_of(moved));
}
// </model>

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 200;
  if (steps < 1) {
    fmt::print(stderr, "usage: object_style [STEPS]\n");
    return 1;
  }
  normalize(Array{{1.0, 2.0}, {3.0, 6.0}});

  const Array x = random::normal(random::key(1), {128, 4});
  const Batch batch{.x = x, .y = sin(sum(x, -1, /*keepdims=*/true))};

  const Model model = object::make(MLP{}).init(random::key(0), batch.x);
  const auto tx = optim::adam(1e-2);
  Run run{.model = model, .opt_state = tx.init(model.params())};
  fmt::print("{}\n\n", tree::shapes(run.model.variables()));

  const auto train_step = jit([tx](const Run& before, const Batch& data) {
    const auto loss_fn = [&](const Tree& params) {
      auto [prediction, next] = before.model.with_params(params)(data.x);
      return std::pair{loss_of(prediction, data.y), next};  // loss and aux: the model after the call
    };
    const auto [value, grads] = value_and_grad(loss_fn)(before.model.params());
    const auto& [loss, next] = value;
    const auto [updates, opt_state] = tx.update(grads, before.opt_state, before.model.params());
    const Tree params = optim::apply_updates(before.model.params(), updates);
    return std::pair{Run{.model = next.with_params(params), .opt_state = opt_state}, loss};
  });

  for (int step = 1; step <= steps; ++step) {
    Array loss;
    std::tie(run, loss) = train_step(std::move(run), batch);
    if (step % 50 != 0 && step != steps) continue;
    const auto [prediction, same] = run.model.eval()(batch.x);
    fmt::print("step {:3}  loss {:.4f}  with running averages {:.4f}\n", step, loss.item<float>(),
               loss_of(prediction, batch.y).item<float>());
  }
}
