// docs/train.md

#include <cstdio>
#include <cstdlib>

#include <linseed/linseed.hpp>

using namespace linseed;

// <model>
struct MLP {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = reshape(x, {x.extent(0), -1});
    x = nn::relu(nn::Dense{.features = 64}(scope, x));
    x = nn::Dropout{.rate = 0.2, .deterministic = !train}(scope, x);
    return nn::Dense{.features = 10}(scope, x);
  }
};
// </model>

namespace {

void expect(bool condition, const char* what) {
  if (condition) return;
  fmt::print("not so: {}\n", what);
  std::exit(1);
}

}  // namespace

int main() {
  // <fit>
  const auto [train, test] = data::fashion_mnist_embedded();
  const auto cross_entropy = [](const Array& logits, const Array& labels) {
    return nn::softmax_cross_entropy_with_integer_labels(logits, labels);  // one number per example
  };
  training::FitOptions options{.loss = cross_entropy,
                               .metrics = {{"accuracy", correct}},
                               .epochs = 4,
                               .batch_size = 50,
                               .listeners = {training::console({.plot = false})}};
  const auto rate = optim::cosine_decay_schedule(0.1, 4 * 20);  // 20 updates per epoch
  const training::FitResult result =
      training::fit(MLP{}, optim::sgd(rate, {.momentum = 0.9}), {.train = train, .validation = test}, options);
  // </fit>

  // <result>
  const training::EpochRecord& last = result.history.epochs.back();
  fmt::print("\nepoch {}: validation accuracy {:.2f}\n", last.epoch, last.score("validation_accuracy"));
  const std::vector<double> losses = result.history.column("train_loss");
  const Array kernel = result.state.params["Dense_0"]["kernel"];
  // </result>
  expect(losses.size() == 4 && losses.back() < losses.front() && kernel.shape() == Shape{784, 64}, "the result");

  // <listener>
  options.listeners = {[](const training::Event& event) {
    const bool diverged = event.when == training::When::train_step && !(event.scores.front().value < 100);
    return diverged ? training::Action::stop : training::Action::proceed;
  }};
  const auto wild = training::fit(MLP{}, optim::sgd(1e6), {.train = train}, options);
  fmt::print("stopped by its listener: {}\n", wild.reason == training::StopReason::listener);
  // </listener>
  expect(wild.history.epochs.empty() && wild.partial, "stopped in the first epoch");

  options.listeners = {};
  // <early>
  options.epochs = 50;
  options.early_stopping = training::EarlyStopping{.patience = 2};  // two epochs without a better validation_loss
  options.restore_best = true;                                      // give back the state after the best one
  const auto best = training::fit(MLP{}, optim::adam(1e-2), {.train = train, .validation = test}, options);
  fmt::print("stopped early: {}\n", best.reason == training::StopReason::early_stopping);
  // </early>

  options.early_stopping = {};
  options.restore_best = false;
  // <resume>
  options.epochs = 2;
  const auto half = training::fit(MLP{}, optim::adam(1e-3), {.train = train}, options);
  options.epochs = 4;
  options.history = half.history;
  const auto whole = training::fit(half.state, {.train = train}, options);  // epochs 3 and 4
  // </resume>
  options.history = {};
  const auto at_once = training::fit(MLP{}, optim::adam(1e-3), {.train = train}, options);
  expect(identical(whole.state.params, at_once.state.params), "a run that goes on is the run that never ended");

  // <by_epoch>
  const auto noisy = [train = train](std::int64_t epoch) {  // a pure function of the epoch gives its batches
    std::vector<training::Batch> batches;
    for (const data::Batch& batch : data::shuffled(train, 50, random::fold_in(random::key(7), epoch))) {
      const Array key = random::fold_in(random::key(8), epoch * 1000 + static_cast<std::int64_t>(batches.size()));
      batches.push_back({.input = batch.image + 0.1 * random::normal(key, batch.image.shape()), .target = batch.label});
    }
    return batches;
  };
  const auto augmented = training::fit(MLP{}, optim::adam(1e-3), {.train = noisy, .validation = test}, options);
  // </by_epoch>
  expect(augmented.history.epochs.size() == 4, "augmented");

  // <interrupted>
  options.listeners = {[](const training::Event& event) {
    if (event.when == training::When::epoch_end && event.epoch == 2) throw ValueError("listener", "The disk is full.");
  }};
  try {
    (void)training::fit(MLP{}, optim::adam(1e-3), {.train = train}, options);
  } catch (const training::Interrupted& error) {
    fmt::print("\n{}\n", error.what());
    fmt::print("but {} updates are not lost\n", error.result().state.step.item<int>());
  }
  // </interrupted>
}
