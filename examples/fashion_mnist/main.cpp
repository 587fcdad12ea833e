// The batch-norm LeNet of Dive into Deep Learning (section 8.5) on Fashion-MNIST, through the functional API.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>

#include <linseed/linseed.hpp>

#include "options.hpp"

using namespace linseed;

struct BatchNormLeNet {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    const nn::BatchNorm norm{.use_running_average = !train, .momentum = 0.9};
    x = nn::Conv{.features = 6, .kernel_size = {5, 5}}(scope, x);
    x = nn::sigmoid(norm(scope, x));
    x = nn::avg_pool(x, {2, 2}, {2, 2});
    x = nn::Conv{.features = 16, .kernel_size = {5, 5}}(scope, x);
    x = nn::sigmoid(norm(scope, x));
    x = nn::avg_pool(x, {2, 2}, {2, 2});
    x = reshape(x, {x.extent(0), -1});
    x = nn::Dense{.features = 120}(scope, x);
    x = nn::sigmoid(norm(scope, x));
    x = nn::Dense{.features = 84}(scope, x);
    x = nn::sigmoid(norm(scope, x));
    return nn::Dense{.features = 10}(scope, x);
  }
};

/// Sums over a batch: they add up exactly, whatever the sizes of the batches.
struct Metrics {
  Array loss_sum;
  Array correct;
};

Metrics metrics_of(const Array& losses, const Array& logits, const Array& labels) {
  return {.loss_sum = sum(losses), .correct = correct_predictions(logits, labels)};
}

std::pair<TrainState, Metrics> train_step(const TrainState& state, const data::Batch& batch) {
  const auto loss_fn = [&](const Tree& params) {
    auto [logits, updates] = nn::apply(state.model, {{"params", params}, {"batch_stats", state.batch_stats}},
                                       nn::mutable_({"batch_stats"}), batch.image, /*train=*/true);
    const Array losses = nn::softmax_cross_entropy_with_integer_labels(logits, batch.label);
    return std::pair{mean(losses), std::pair{metrics_of(losses, logits, batch.label), updates}};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  const auto& [metrics, updates] = value.second;
  return {state.apply_gradients(grads).replace({.batch_stats = updates["batch_stats"]}), metrics};
}

Metrics eval_step(const TrainState& state, const data::Batch& batch) {
  const Array logits = nn::apply(state.model, state.variables(), batch.image, /*train=*/false);
  return metrics_of(nn::softmax_cross_entropy_with_integer_labels(logits, batch.label), logits, batch.label);
}

/// Loss and accuracy so far, exact over batches of any sizes.
struct Scores {
  Average loss, accuracy;

  void add(const Metrics& metrics, std::int64_t examples) {
    loss = loss.merge(Average::of_sum(metrics.loss_sum, examples));
    accuracy = accuracy.merge(Average::of_sum(metrics.correct, examples));
  }
};

void run(const Options& options) {
  const data::FashionMnist dataset = options.load();
  const Array key = random::key(options.seed);
  const std::int64_t steps_per_epoch = dataset.train.size() / options.batch_size;

  const Tree variables = nn::init(BatchNormLeNet{}, key, zeros({1, 28, 28, 1}), /*train=*/false);
  fmt::print("{} training and {} test images\n{}\n", dataset.train.size(), dataset.test.size(),
             tree::shapes(variables));
  TrainState state = TrainState::create(BatchNormLeNet{}, variables["params"], variables["batch_stats"],
                                        options.make_optimizer(options.epochs * steps_per_epoch));
  const Executor executor(options.threads);
  const auto train = jit(train_step, {.executor = executor});
  const auto eval = jit(eval_step, {.executor = executor});
  training::History history;
  std::optional<training::JsonlWriter> lines;
  if (!options.history.empty()) lines.emplace(options.history);
  if (!options.curves.empty()) training::write_svg(options.curves, history);

  for (std::int64_t epoch = 1; epoch <= options.epochs; ++epoch) {
    Scores trained, tested;
    const auto start = std::chrono::steady_clock::now();
    double seconds = 0.0;
    Progress bar(stdout, fmt::format("epoch {}/{}", epoch, options.epochs), steps_per_epoch * options.batch_size);
    for (const data::Batch& batch :
         data::shuffled(dataset.train, options.batch_size, random::fold_in(key, epoch), {.drop_last = true})) {
      Metrics metrics;
      std::tie(state, metrics) = train(std::move(state), batch);
      trained.add(metrics, batch.label.size());
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      bar.update(trained.loss.count, fmt::format("loss {:.4f}", trained.loss.value()));
    }
    const double rate = static_cast<double>(trained.loss.count) / seconds;
    for (const data::Batch& batch : data::Batches(dataset.test, options.batch_size))
      tested.add(eval(state, batch), batch.label.size());
    bar.clear();
    fmt::print(
        "epoch {:2}  train loss {:.4f}  train accuracy {:.4f}  test loss {:.4f}  test accuracy {:.4f}  {:.0f} "
        "examples/s\n",
        epoch, trained.loss.value(), trained.accuracy.value(), tested.loss.value(), tested.accuracy.value(), rate);
    std::fflush(stdout);
    history.epochs.push_back({.epoch = epoch,
                              .scores = {{"train_loss", trained.loss.value()},
                                         {"train_accuracy", trained.accuracy.value()},
                                         {"test_loss", tested.loss.value()},
                                         {"test_accuracy", tested.accuracy.value()},
                                         {"examples_per_second", rate}}});
    if (lines) lines->append(history.epochs.back());
    if (!options.curves.empty()) training::write_svg(options.curves, history);
  }
  fmt::print("{}", training::plot(history));
  fmt::print("gamma of BatchNorm_0: {}\n", state.params["BatchNorm_0"]["scale"]);
  fmt::print("beta of BatchNorm_0: {}\n", state.params["BatchNorm_0"]["bias"]);
}

int main(int argc, char** argv) {
  try {
    if (const std::optional<Options> options = parse_options(argc, argv)) run(*options);
    return 0;
  } catch (const std::exception& error) {
    std::string line = error.what();
    for (std::size_t at = line.find('\n'); at != std::string::npos; at = line.find('\n', at)) line.replace(at, 3, "; ");
    fmt::print(stderr, "fashion_mnist: {}\n", line);
    return 1;
  }
}
