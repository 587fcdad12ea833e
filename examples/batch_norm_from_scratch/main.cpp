// Dive into Deep Learning, section 8.5: batch normalization written by its user, from array ops and as a module, in
// LeNet. The book's JAX listing takes the statistics of images over the wrong axes, so that its moving averages change
// shape at the first update; --book-axes does the same and shows how the carry check reports it.

#include <cstdio>
#include <string_view>

#include <linseed/linseed.hpp>

using namespace linseed;

struct Normalized {
  Array y, moving_mean, moving_var;
};

/// Batch normalization as a pure function: x is [n, features] or [n, height, width, channels].
Normalized batch_norm(const Array& x, const Array& gamma, const Array& beta, const Array& moving_mean,
                      const Array& moving_var, double epsilon, double momentum, bool train, const Axes& axes) {
  if (!train) return {gamma * ((x - moving_mean) / sqrt(moving_var + epsilon)) + beta, moving_mean, moving_var};
  const Array batch_mean = mean(x, axes, /*keepdims=*/true);
  const Array batch_var = mean(square(x - batch_mean), axes, /*keepdims=*/true);
  const Array normalized = (x - batch_mean) / sqrt(batch_var + epsilon);
  const auto move = [&](const Array& moving, const Array& batch) {
    return momentum * moving + (1.0 - momentum) * batch;
  };
  return {gamma * normalized + beta, move(moving_mean, batch_mean), move(moving_var, batch_var)};
}

struct MyBatchNorm {
  bool train = true;
  bool book_axes = false;
  std::string name = {};

  Array operator()(nn::Scope& parent, const Array& x) const {
    nn::Scope scope = parent.enter(*this);
    Shape shape = Shape::filled(x.rank(), 1);  // (1, features) or (1, 1, 1, channels)
    shape.back() = x.extent(-1);
    const Array gamma = scope.param("gamma", nn::initializers::ones(), shape);
    const Array beta = scope.param("beta", nn::initializers::zeros(), shape);
    const nn::Variable moving_mean = scope.variable("batch_stats", "moving_mean", [&] { return zeros(shape); });
    const nn::Variable moving_var = scope.variable("batch_stats", "moving_var", [&] { return ones(shape); });

    const Axes all_but_last = x.rank() == 2 ? Axes{0} : Axes{0, 1, 2};
    const Axes axes = book_axes && x.rank() == 4 ? Axes{0, 2, 3} : all_but_last;
    const Normalized result =
        batch_norm(x, gamma, beta, moving_mean.value(), moving_var.value(), 1e-5, 0.9, train, axes);
    if (train && !scope.is_initializing()) {
      moving_mean.set(result.moving_mean);
      moving_var.set(result.moving_var);
    }
    return result.y;
  }
};

struct LeNet {
  bool book_axes = false;

  Array operator()(nn::Scope& scope, Array x, bool train) const {
    const MyBatchNorm norm{.train = train, .book_axes = book_axes};
    x = nn::Conv{.features = 6, .kernel_size = {5, 5}}(scope, x);
    x = nn::avg_pool(nn::sigmoid(norm(scope, x)), {2, 2}, {2, 2});
    x = nn::Conv{.features = 16, .kernel_size = {5, 5}}(scope, x);
    x = nn::avg_pool(nn::sigmoid(norm(scope, x)), {2, 2}, {2, 2});
    x = reshape(x, {x.extent(0), -1});
    x = nn::sigmoid(norm(scope, nn::Dense{.features = 120}(scope, x)));
    x = nn::sigmoid(norm(scope, nn::Dense{.features = 84}(scope, x)));
    return nn::Dense{.features = 10}(scope, x);
  }
};

std::pair<TrainState, Array> train_step(const TrainState& state, const data::Batch& batch) {
  const auto loss_fn = [&](const Tree& params) {
    auto [logits, updates] = nn::apply(state.model, {{"params", params}, {"batch_stats", state.batch_stats}},
                                       nn::mutable_({"batch_stats"}), batch.image, /*train=*/true);
    return std::pair{mean(nn::softmax_cross_entropy_with_integer_labels(logits, batch.label)), updates};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  const auto& [loss, updates] = value;
  return {state.apply_gradients(grads).replace({.batch_stats = updates["batch_stats"]}), loss};
}

Array eval_step(const TrainState& state, const data::Batch& batch) {
  return correct_predictions(nn::apply(state.model, state.variables(), batch.image, /*train=*/false), batch.label);
}

int main(int argc, char** argv) try {
  const bool book_axes = argc > 1 && std::string_view(argv[1]) == "--book-axes";
  const data::FashionMnist dataset = data::fashion_mnist_embedded();
  const LeNet model{.book_axes = book_axes};
  const Array key = random::key(0);
  const Tree variables = nn::init(model, key, zeros({1, 28, 28, 1}), /*train=*/false);
  fmt::print("{}\n", tree::shapes(variables["batch_stats"]));

  TrainState state =
      TrainState::create(model, variables["params"], variables["batch_stats"], optim::sgd(0.1, {.momentum = 0.9}));
  const auto train = jit(train_step);
  const auto evaluate = jit(eval_step);
  for (int epoch = 1; epoch <= 3; ++epoch) {
    Average loss, accuracy;
    for (const data::Batch& batch :
         data::shuffled(dataset.train, 64, random::fold_in(key, epoch), {.drop_last = true})) {
      Array batch_loss;
      std::tie(state, batch_loss) = train(std::move(state), batch);
      loss = loss.merge(Average::of_mean(batch_loss, batch.label.size()));
    }
    for (const data::Batch& batch : data::Batches(dataset.test, 100)) {
      accuracy = accuracy.merge(Average::of_sum(evaluate(state, batch), batch.label.size()));
    }
    fmt::print("epoch {}  train loss {:.3f}  test accuracy {:.3f}\n", epoch, loss.value(), accuracy.value());
  }
  fmt::print("gamma {}\nbeta  {}\n", ravel(state.params["MyBatchNorm_0"]["gamma"]),
             ravel(state.params["MyBatchNorm_0"]["beta"]));
} catch (const Error& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
