#include <linseed/train/fit.hpp>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <stdexcept>

#include <doctest/doctest.h>

#include <linseed/data/batches.hpp>
#include <linseed/data/fashion_mnist.hpp>
#include <linseed/nn/functions.hpp>
#include <linseed/nn/layers.hpp>
#include <linseed/nn/losses.hpp>
#include <linseed/nn/module.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/optim/optimizers.hpp>
#include <linseed/random/random.hpp>
#include <linseed/train/metrics.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "nn/models.hpp"
#include "support.hpp"

using namespace linseed;
using support::error_of;
using training::Action;
using training::Data;
using training::Event;
using training::FitOptions;
using training::FitResult;
using training::StopReason;
using training::When;

namespace {

/// Ten points of y = 2 x + 1.
const Array line_x = reshape(arange(10, float32) / 10, {10, 1});
const Array line_y = 2 * line_x + 1;

Data line() { return {.train = {line_x, line_y}}; }

FitOptions line_options() {
  return {.loss = nn::squared_error, .epochs = 3, .batch_size = 4, .read_environment = false};
}

TrainState line_state(double learning_rate = 0.1) {
  return TrainState::create(nn::Dense{.features = 1}, {{"bias", Array{0.0}}, {"kernel", Array{{0.0}}}},
                            optim::sgd(learning_rate));
}

struct Dropped {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::relu(nn::Dense{.features = 8}(scope, x));
    x = nn::Dropout{.rate = 0.5, .deterministic = !train}(scope, x);
    return nn::Dense{.features = 1}(scope, x);
  }
};

/// A variable of the environment for as long as this lives.
struct Environment {
  Environment(const char* variable, const char* value) : name(variable) { setenv(variable, value, 1); }
  ~Environment() { unsetenv(name); }
  const char* name;
};

void check_identical(const TrainState& a, const TrainState& b) {
  CHECK(a.step.item<int>() == b.step.item<int>());
  CHECK(identical(a.params, b.params));
  CHECK(identical(a.batch_stats, b.batch_stats));
  CHECK(identical(a.opt_state, b.opt_state));
}

}  // namespace

// ---- numbers ----

TEST_CASE("fit follows the curves of real Flax") {
  for (const char* name : {"mlp_sgd", "cnn_sgd"}) {
    CAPTURE(name);
    const golden::json& run = golden::load("curves.json")[name];
    const bool mlp = run.at("model") == "mlp";
    std::vector<float> values;
    const Shape shape = mlp ? Shape{8, 3} : Shape{6, 6, 6, 1};
    for (int n = 0; n < shape.elements(); ++n) {
      values.push_back(static_cast<float>(mlp ? (7 * (n / 3) + 3 * (n % 3)) % 11 / 10.0 - 0.5 : n * n % 37 / 18.0 - 1));
    }
    const Array x = Array::from(values, shape);
    const Array y = mlp ? Array{0.0, 0.5, 1.0, 1.5, 0.0, 0.5, 1.0, 1.5} : Array{0, 1, 2, 0, 1, 2};
    const auto losses = golden::values<double>(run.at("losses"));
    FitOptions options{.epochs = static_cast<std::int64_t>(losses.size()),
                       .batch_size = shape[0],
                       .shuffle = false,
                       .read_environment = false};
    if (mlp) {
      options.loss = [](const Array& output, const Array& target) { return square(squeeze(output, 1) - target); };
    } else {
      options.loss = [](const Array& output, const Array& target) {
        return nn::softmax_cross_entropy_with_integer_labels(output, target);
      };
      options.metrics = {{"accuracy", correct}};
    }
    const nn::Model model = mlp ? nn::Model(models::MLP{}) : nn::Model(models::CNN{});
    const Data data{.train = {x, y}, .validation = training::Examples(x, y)};
    const FitResult result = training::fit(model, optim::sgd(0.1, {.momentum = 0.9}), data, options);

    REQUIRE(result.history.epochs.size() == losses.size());
    for (std::size_t i = 0; i < losses.size(); ++i) {
      CAPTURE(i);
      const training::EpochRecord& record = result.history.epochs[i];
      CHECK(record.epoch == static_cast<int>(i) + 1);
      CHECK(record.score("step") == static_cast<double>(i + 1));
      CHECK(record.score("train_loss") == doctest::Approx(losses[i]).epsilon(1e-5));
      if (mlp) continue;
      CHECK(static_cast<float>(record.score("train_accuracy")) == golden::values<float>(run.at("accuracies"))[i]);
    }
    CHECK(result.history.epochs.back().score("validation_loss") ==
          doctest::Approx(run.at("eval_loss").get<double>()).epsilon(1e-5));
    CHECK(result.reason == StopReason::finished);
    CHECK_FALSE(result.partial);
    for (const char* collection : {"params", "batch_stats"}) {
      for (const auto& [path, expected] : run.at(collection).items()) {
        CAPTURE(path);
        if (golden::is_summary(expected)) continue;
        support::check_near(result.state.variables()[collection].at(path).array(), support::array_of(expected), 1e-4,
                            1e-5);
      }
    }
  }
}

TEST_CASE("scores are exact means over uneven batches") {
  // Targets 1 ... 10 in batches of 4, 4 and 2: their mean is 5.5, the mean of the batches' means 5.83.
  const Array targets = reshape(astype(arange(10) + 1, float32), {10, 1});
  FitOptions options = line_options();
  options.shuffle = false;
  options.epochs = 1;
  options.loss = [](const Array& output, const Array& target) { return 0 * output + target; };
  options.metrics = {
      {"element", [](const Array&, const Array& target) { return target; }},
      {"two_per_example", [](const Array&, const Array& target) { return concatenate({target, -target}, 1); }},
      {"mean_of_batch", [](const Array&, const Array& target) { return mean(target); }},
      {"even", [](const Array&, const Array& target) { return mod(target, 2) == 0; }}};
  const Data data{.train = {line_x, targets}, .validation = training::Examples(line_x, targets)};
  const FitResult result = training::fit(line_state(), data, options);
  const training::EpochRecord& record = result.history.epochs.at(0);
  for (const std::string pass : {"train_", "validation_"}) {
    CHECK(record.score(pass + "loss") == 5.5);
    CHECK(record.score(pass + "element") == 5.5);
    CHECK(record.score(pass + "two_per_example") == 0.0);
    CHECK(record.score(pass + "mean_of_batch") == 5.5);
    CHECK(record.score(pass + "even") == 0.5);
  }
  CHECK(record.score("step") == 3.0);
  CHECK(record.score("seconds") > 0.0);
  CHECK(record.score("examples_per_second") == doctest::Approx(10.0 / record.score("seconds")));
}

TEST_CASE("one step of gradient descent is the formula's") {
  // Loss mean((w x + b - y)^2) at w = b = 0: the gradients are -2 mean(x y) and -2 mean(y).
  FitOptions options = line_options();
  options.epochs = 1;
  options.batch_size = 10;
  const FitResult result = training::fit(line_state(0.1), line(), options);
  double xy = 0.0, y = 0.0;
  for (int i = 0; i < 10; ++i) {
    const double x = i / 10.0;
    xy += x * (2 * x + 1) / 10;
    y += (2 * x + 1) / 10;
  }
  CHECK(result.state.params.at("kernel").array().item<double>() == doctest::Approx(0.1 * 2 * xy).epsilon(1e-6));
  CHECK(result.state.params.at("bias").array().item<double>() == doctest::Approx(0.1 * 2 * y).epsilon(1e-6));
}

TEST_CASE("fit is the loop that one writes oneself, with a schedule for the learning rate") {
  struct MLP {
    Array operator()(nn::Scope& scope, Array x) const {
      x = nn::relu(nn::Dense{.features = 8}(scope, x));
      return nn::Dense{.features = 1}(scope, x);
    }
  };
  // Ten examples in batches of 4, 4 and 2, twice; the rate falls by half with every step.
  const auto tx = optim::sgd(optim::exponential_decay(0.4, 1, 0.5), {.momentum = 0.5});
  const Tree params = nn::init(MLP{}, random::key(5), line_x)["params"];
  TrainState state = TrainState::create(MLP{}, params, tx);
  FitOptions options = line_options();
  options.epochs = 2;
  options.shuffle = false;
  const FitResult result = training::fit(state, line(), options);

  const auto step = jit([](const TrainState& before, const Array& x, const Array& y) {
    const auto loss = [&](const Tree& at) {
      return mean(nn::squared_error(nn::apply(before.model, {{"params", at}}, x), y));
    };
    return before.apply_gradients(grad(loss)(before.params));
  });
  for (int epoch = 0; epoch < 2; ++epoch) {
    for (const auto& [begin, end] : {std::pair(0, 4), std::pair(4, 8), std::pair(8, 10)}) {
      state = step(std::move(state), slice_axis(line_x, 0, begin, end), slice_axis(line_y, 0, begin, end));
    }
  }
  CHECK(state.step.item<int>() == 6);
  for (const std::string& path : state.params.paths()) {
    CAPTURE(path);
    support::check_near(result.state.params.at(path).array(), state.params.at(path).array(), 1e-6, 1e-7);
    CHECK_FALSE(identical(state.params.at(path), params.at(path)));
  }
}

TEST_CASE("the same call gives the same bits, at any number of threads, and leaves its argument alone") {
  const Data data{.train = {line_x, line_y}, .validation = training::Examples(line_x, line_y)};
  FitOptions options = line_options();
  options.key = random::key(3);
  const FitResult once = training::fit(Dropped{}, optim::adam(0.01), data, options);
  options.executor = Executor(3);
  const FitResult again = training::fit(Dropped{}, optim::adam(0.01), data, options);
  check_identical(once.state, again.state);
  CHECK(once.history.column("train_loss") == again.history.column("train_loss"));

  const TrainState state = line_state();
  const FitResult trained = training::fit(state, line(), line_options());
  CHECK(trained.state.step.item<int>() == 9);
  check_identical(state, line_state());
}

TEST_CASE("each epoch has an order, and each step keys, of its own") {
  FitOptions options = line_options();
  options.metrics = {{"target", [](const Array&, const Array& target) { return target; }}};
  std::vector<double> first_batches;
  options.listeners = {[&](const Event& event) {
    if (event.when == When::train_step && event.examples == 4) first_batches.push_back(event.scores.at(1).value);
  }};
  const FitResult shuffled = training::fit(line_state(0.0), line(), options);
  REQUIRE(first_batches.size() == 3);
  CHECK(first_batches[0] != first_batches[1]);
  CHECK(first_batches[1] != first_batches[2]);
  // Every epoch has seen all targets, whose mean is 2 * 0.45 + 1.
  for (const double target : shuffled.history.column("train_target")) CHECK(target == doctest::Approx(1.9));
  options.shuffle = false;
  first_batches.clear();
  (void)training::fit(line_state(0.0), line(), options);
  CHECK(first_batches[0] == first_batches[1]);

  // Nothing but the units that are dropped differs from step to step.
  options.batch_size = 10;
  const FitResult dropped = training::fit(Dropped{}, optim::sgd(0.0), line(), options);
  const std::vector<double> losses = dropped.history.column("train_loss");
  CHECK(losses[0] != losses[1]);
  CHECK(losses[1] != losses[2]);
}

TEST_CASE("a run that goes on is the run that never ended") {
  const Data data{.train = {line_x, line_y}, .validation = training::Examples(line_x, line_y)};
  FitOptions options = line_options();
  options.epochs = 4;
  const FitResult whole = training::fit(Dropped{}, optim::adam(0.01), data, options);
  options.epochs = 2;
  const FitResult half = training::fit(Dropped{}, optim::adam(0.01), data, options);
  options.epochs = 4;
  options.history = half.history;
  const FitResult rest = training::fit(half.state, data, options);
  check_identical(whole.state, rest.state);
  CHECK(rest.history.epochs.size() == 4);
  CHECK(rest.history.epochs.back().epoch == 4);
  CHECK(rest.history.column("train_loss") == whole.history.column("train_loss"));
  CHECK(rest.history.column("validation_loss") == whole.history.column("validation_loss"));
  // Nothing is left to do.
  options.history = rest.history;
  check_identical(training::fit(rest.state, data, options).state, whole.state);
}

// ---- data ----

TEST_CASE("examples come from data sets, arrays and functions of the epoch") {
  const data::FashionMnist mnist = data::fashion_mnist_embedded();
  const training::Examples images = mnist.train;
  const auto stream = images.batches({.batch_size = 3, .limit = 8});
  CHECK(stream.examples == 8);
  std::vector<std::int64_t> rows;
  std::vector<float> firsts;
  while (const auto batch = stream.next()) {
    rows.push_back(batch->input.extent(0));
    CHECK(describe(batch->target) == fmt::format("int32[{}]", rows.back()));
    CHECK(batch->input.dtype() == float32);
    if (rows.size() == 1)
      support::check_near(batch->input, astype(slice_axis(mnist.train.images, 0, 0, 3), float32) / 255);
  }
  CHECK(rows == std::vector<std::int64_t>{3, 3, 2});
  CHECK(images.batches({.batch_size = 3, .limit = 8, .drop_last = true}).examples == 6);

  // A shuffled pass has every row once, inputs with their targets, in another order for another key.
  const training::Examples pairs(reshape(arange(10), {10, 1}), 3 * arange(10));
  const auto order = [&](const Array& key) {
    std::vector<double> all;
    const auto batches = pairs.batches({.batch_size = 4, .shuffle_key = key});
    while (const auto batch = batches.next()) {
      CHECK(identical(3 * reshape(batch->input, {-1}), batch->target));
      for (const double value : support::doubles(batch->target)) all.push_back(value / 3);
    }
    return all;
  };
  const std::vector<double> expected = support::doubles(random::permutation(random::key(1), 10));
  CHECK(order(random::key(1)) == expected);
  CHECK(order(random::key(2)) != expected);
  CHECK(order(Array()) == support::doubles(arange(10)));

  std::vector<std::int64_t> epochs;
  FitOptions options = line_options();
  const auto by_epoch = [&](std::int64_t epoch) {
    epochs.push_back(epoch);
    return std::vector<std::pair<Array, Array>>(2, {line_x, line_y});
  };
  const FitResult result = training::fit(line_state(), {.train = by_epoch}, options);
  CHECK(result.state.step.item<int>() == 6);
  CHECK(epochs == std::vector<std::int64_t>{1, 1, 2, 3});  // the first one is looked at before
  options.limit = 10;
  CHECK(training::fit(line_state(), {.train = by_epoch}, options).state.step.item<int>() == 3);

  CHECK(error_of<ShapeError>([] { return training::Examples(line_x, arange(9)); }) ==
        "[Examples] There is not one target per input.\n  got: inputs float32[10,1], targets int32[9]");
}

TEST_CASE("limits, dropped batches and the environment") {
  FitOptions options = line_options();
  options.drop_last = true;
  CHECK(training::fit(line_state(), line(), options).state.step.item<int>() == 6);
  options.limit = 5;
  CHECK(training::fit(line_state(), line(), options).state.step.item<int>() == 3);

  options.drop_last = false;
  options.read_environment = true;
  const Environment limit("DATASET_LIMIT", "9");
  const Environment epochs("MAX_EPOCH", "2");
  CHECK(training::fit(line_state(), line(), options).state.step.item<int>() == 6);
  CHECK(training::fit(nn::Dense{.features = 1}, optim::sgd(0.1), line(), options).history.epochs.size() == 2);
  options.read_environment = false;
  CHECK(training::fit(line_state(), line(), options).state.step.item<int>() == 6);  // 3 epochs, 5 examples
  options.read_environment = true;
  for (const char* bad : {"0", "-3", "many", "2x", "99999999999999999999"}) {
    const Environment worse("MAX_EPOCH", bad);
    CHECK(
        error_of<ValueError>([&] { return training::fit(line_state(), line(), options); }) ==
        fmt::format("[fit] An environment variable is no positive number.\n  at: MAX_EPOCH\n  got: {}\n  expected: at "
                    "least 1\n  hint: unset it, or set .read_environment = false",
                    bad));
  }
}

// ---- endings ----

TEST_CASE("early stopping and the best epoch") {
  FitOptions options = line_options();
  options.epochs = 20;
  options.early_stopping = training::EarlyStopping{.patience = 2};
  options.monitor = "train_loss";
  // A loss that stays as it is: the first epoch improves, two are let pass, the next one stops.
  FitResult result = training::fit(line_state(0.0), line(), options);
  CHECK(result.history.epochs.size() == 4);
  CHECK(result.reason == StopReason::early_stopping);
  // Steps so long that every epoch is worse than the one before.
  options.restore_best = true;
  options.monitor = "validation_loss";
  const Data data{.train = {line_x, line_y}, .validation = training::Examples(line_x, line_y)};
  result = training::fit(line_state(5.0), data, options);
  CHECK(result.history.epochs.size() == 4);
  CHECK(result.state.step.item<int>() == 3);
  // A number that should rise.
  options.maximize = true;
  options.epochs = 6;
  result = training::fit(line_state(5.0), data, options);
  CHECK(result.reason == StopReason::finished);
  CHECK(result.state.step.item<int>() == 18);
  // What an earlier run has seen counts.
  options.maximize = false;
  options.epochs = 20;
  options.history = {{{.epoch = 1, .scores = {{"validation_loss", 1e-9}}}}};
  result = training::fit(line_state(0.01), data, options);
  CHECK(result.history.epochs.size() == 4);
}

TEST_CASE("listeners hear of everything in order, and may stop the run") {
  std::string seen;
  FitOptions options = line_options();
  options.epochs = 2;
  const auto record = [&](const Event& event) {
    constexpr const char* names[] = {"run", "epoch", "train", "validation", "epoch_end", "run_end"};
    seen += fmt::format("{} {}/{} {}/{} step {} history {}\n", names[static_cast<int>(event.when)], event.epoch,
                        event.epochs, event.examples, event.total, event.state.step.item<int>(),
                        event.history.epochs.size());
    if (event.when != When::train_step) return;
    CHECK(event.scores.at(0).name == "loss");
    CHECK(event.seconds > 0.0);
  };
  options.listeners = {record};
  const Data data{.train = {line_x, line_y},
                  .validation = training::Examples(slice_axis(line_x, 0, 0, 4), slice_axis(line_y, 0, 0, 4))};
  (void)training::fit(line_state(), data, options);
  CHECK(seen ==
        "run 0/2 0/0 step 0 history 0\n"
        "epoch 1/2 0/0 step 0 history 0\n"
        "train 1/2 4/10 step 1 history 0\n"
        "train 1/2 8/10 step 2 history 0\n"
        "train 1/2 10/10 step 3 history 0\n"
        "validation 1/2 4/4 step 3 history 0\n"
        "epoch_end 1/2 4/4 step 3 history 1\n"
        "epoch 2/2 0/0 step 3 history 1\n"
        "train 2/2 4/10 step 4 history 1\n"
        "train 2/2 8/10 step 5 history 1\n"
        "train 2/2 10/10 step 6 history 1\n"
        "validation 2/2 4/4 step 6 history 1\n"
        "epoch_end 2/2 4/4 step 6 history 2\n"
        "run_end 2/2 4/4 step 6 history 2\n");

  const auto stop_at = [&](When when, std::int64_t step) {
    options.listeners = {[=](const Event& event) {
      return event.when == when && event.state.step.item<int>() == step ? Action::stop : Action::proceed;
    }};
    return training::fit(line_state(), data, options);
  };
  FitResult result = stop_at(When::train_step, 5);
  CHECK(result.reason == StopReason::listener);
  CHECK(result.state.step.item<int>() == 5);
  CHECK(result.history.epochs.size() == 1);
  REQUIRE(result.partial);
  CHECK(result.partial->epoch == 2);
  CHECK(result.partial->score("train_loss") > 0.0);
  CHECK(std::isnan(result.partial->score("validation_loss")));
  result = stop_at(When::epoch_end, 3);
  CHECK(result.history.epochs.size() == 1);
  CHECK_FALSE(result.partial);
  result = stop_at(When::run_begin, 0);
  CHECK(result.history.epochs.empty());
  CHECK(result.state.step.item<int>() == 0);
  result = stop_at(When::validation_step, 3);
  CHECK(result.state.step.item<int>() == 3);
  CHECK(result.history.epochs.empty());
  CHECK(result.partial->score("step") == 3.0);
}

TEST_CASE("what throws after an update arrives with the trained state") {
  FitOptions options = line_options();
  int endings = 0;
  options.listeners = {[](const Event& event) {
                         if (event.state.step.item<int>() == 4) throw std::runtime_error("no space\nleft");
                       },
                       [&](const Event& event) { endings += event.when == When::run_end ? 1 : 0; }};
  bool caught = false;
  try {
    (void)training::fit(line_state(), line(), options);
  } catch (const training::Interrupted& error) {
    caught = true;
    CHECK(std::string(error.what()) ==
          "[fit] The run was cut short by an error.\n  at: after update 4\n  got: no space\n  hint: result() has the "
          "trained state and the history, std::rethrow_if_nested the error");
    CHECK(error.result().state.step.item<int>() == 4);
    CHECK(error.result().history.epochs.size() == 1);
    CHECK_THROWS_WITH_AS(std::rethrow_if_nested(error), "no space\nleft", std::runtime_error);
    // The state is that of the same run without the listener.
    FitOptions same = line_options();
    same.listeners = {
        [](const Event& event) { return event.state.step.item<int>() == 4 ? Action::stop : Action::proceed; }};
    check_identical(error.result().state, training::fit(line_state(), line(), same).state);
  }
  CHECK(caught);
  CHECK(endings == 1);

  // Before the first update it arrives as it is.
  options.listeners = {[](const Event&) { throw std::runtime_error("at once"); }};
  CHECK_THROWS_WITH_AS((void)training::fit(line_state(), line(), options), "at once", std::runtime_error);
  // What is no std::exception.
  options.listeners = {[](const Event& event) {
    if (event.when == When::epoch_end) throw 7;
  }};
  CHECK_THROWS_AS((void)training::fit(line_state(), line(), options), training::Interrupted);
  // A batch that the model does not take.
  options.listeners = {};
  const auto worse = [](std::int64_t epoch) {
    return std::vector<std::pair<Array, Array>>{{line_x, line_y}, {epoch == 2 ? ones({10, 2}) : line_x, line_y}};
  };
  try {
    (void)training::fit(line_state(), {.train = worse}, options);
    CHECK(false);
  } catch (const training::Interrupted& error) {
    CHECK(error.result().state.step.item<int>() == 3);
    CHECK_THROWS_AS(std::rethrow_if_nested(error), ShapeError);
  }
}

namespace {
std::atomic<int> own_interrupts{0};
void own_handler(int) { ++own_interrupts; }
}  // namespace

TEST_CASE("SIGINT ends the run after the present step, and the program's handler comes back") {
  struct sigaction own {
  }, before{}, after{};
  own.sa_handler = own_handler;
  sigaction(SIGINT, &own, &before);
  FitOptions options = line_options();
  options.listeners = {[](const Event& event) {
    if (event.when == When::train_step && event.state.step.item<int>() == 5) std::raise(SIGINT);
  }};
  const FitResult result = training::fit(line_state(), line(), options);
  CHECK(result.reason == StopReason::interrupt);
  CHECK(result.state.step.item<int>() == 5);
  CHECK(result.history.epochs.size() == 1);
  CHECK(result.partial->epoch == 2);
  CHECK(own_interrupts == 0);
  sigaction(SIGINT, nullptr, &after);
  CHECK((after.sa_handler == own_handler));

  options.catch_interrupt = false;
  CHECK(training::fit(line_state(), line(), options).reason == StopReason::finished);
  CHECK(own_interrupts == 1);

  // As a program behind nohup: nothing comes through.
  own.sa_handler = SIG_IGN;
  sigaction(SIGINT, &own, nullptr);
  options.catch_interrupt = true;
  CHECK(training::fit(line_state(), line(), options).reason == StopReason::finished);
  sigaction(SIGINT, nullptr, &after);
  CHECK((after.sa_handler == SIG_IGN));

  // It comes back when the run throws, too.
  own.sa_handler = own_handler;
  sigaction(SIGINT, &own, nullptr);
  options.listeners = {[](const Event&) { throw 1; }};
  CHECK_THROWS((void)training::fit(line_state(), line(), options));
  sigaction(SIGINT, nullptr, &after);
  CHECK((after.sa_handler == own_handler));
  sigaction(SIGINT, &before, nullptr);
}

// ---- bad input ----

TEST_CASE("what cannot work is refused before the first step") {
  const auto error = [](auto change, const Data& data = line()) {
    FitOptions options = line_options();
    change(options);
    return error_of<ValueError>([&] { return training::fit(line_state(), data, options); });
  };
  CHECK(error([](FitOptions& o) { o.epochs = 0; }) ==
        "[fit] An option is not positive.\n  at: epochs\n  got: 0\n  expected: at least 1");
  CHECK(error([](FitOptions& o) { o.batch_size = -1; }) ==
        "[fit] An option is not positive.\n  at: batch_size\n  got: -1\n  expected: at least 1");
  CHECK(error([](FitOptions& o) { o.limit = -1; }) ==
        "[fit] An option is negative.\n  at: limit\n  got: -1\n  expected: at least 1, or 0 for all");
  CHECK(error([](FitOptions& o) { o.loss = {}; }) ==
        "[fit] There is no loss.\n  hint: set .loss to a function of outputs and targets");
  CHECK(error([](FitOptions& o) { o.metrics = {{"accuracy", {}}}; }) ==
        "[fit] A metric has no function.\n  at: accuracy");
  CHECK(error([](FitOptions& o) { o.metrics = {{"loss", nn::squared_error}}; }) ==
        "[fit] The names of metrics must differ from each other and from \"loss\".\n  got: \"loss\"");
  CHECK(error([](FitOptions& o) { o.restore_best = true; }) ==
        "[fit] There is no such score to monitor.\n  at: monitor\n  got: validation_loss\n  expected: train_loss");
  CHECK(error([](FitOptions&) {}, {.train = {zeros({0, 1}), zeros({0, 1})}}) == "[fit] The training set is empty.");
  CHECK(error([](FitOptions& o) { o.batch_size = 11, o.drop_last = true; }) ==
        "[fit] The training set is empty.\n  hint: with .drop_last, fewer examples than .batch_size are none");
  CHECK(error([](FitOptions&) {},
              {.train = {line_x, line_y}, .validation = training::Examples(zeros({0, 1}), zeros({0, 1}))}) ==
        "[fit] The validation set is empty.\n  hint: leave .validation out to have none");
}

TEST_CASE("a loss that cannot be followed is refused") {
  const auto of = [](auto loss) {
    FitOptions options = line_options();
    options.loss = loss;
    return options;
  };
  CHECK(error_of<DTypeError>([&] {
          return training::fit(line_state(), line(), of([](const Array& a, const Array& b) { return a > b; }));
        }) == "[fit] The loss has no gradient.\n  got: bool[4,1]\n  expected: float32 or float64");
  CHECK(error_of<ShapeError>([&] {
          return training::fit(line_state(), line(), of([](const Array&, const Array&) { return zeros({0, 1}); }));
        }) == "[fit] The loss is of nothing.\n  got: float32[0,1]\n  expected: a number per example");
}

TEST_CASE("a validation set of other shapes is refused, unless the model takes it") {
  const Data other{.train = {line_x, line_y}, .validation = training::Examples(ones({3, 2}), ones({3, 1}))};
  CHECK(
      error_of<ShapeError>([&] {
        return training::fit(line_state(), other, line_options());
      }).starts_with("[fit] The model cannot be evaluated on the validation set, whose examples have other shapes.\n"));
  CHECK(error_of<ShapeError>([&] {
          return training::fit(line_state(), other, line_options());
        }).find("got: float32[2], float32[1]\n  expected: float32[1], float32[1]\n  hint: [") != std::string::npos);
  // A model that averages over space takes images of any size.
  const auto anywhere = [](nn::Scope& scope, Array x) {
    return mean(nn::Conv{.features = 1, .kernel_size = {3, 3}}(scope, x), {1, 2});
  };
  const Data images{.train = {ones({4, 6, 6, 1}), ones({4, 1})},
                    .validation = training::Examples(ones({4, 8, 9, 1}), ones({4, 1}))};
  CHECK(training::fit(anywhere, optim::sgd(0.01), images, line_options()).history.epochs.size() == 3);
}

TEST_CASE("a Model knows whether it takes a flag") {
  CHECK(nn::Model(Dropped{}).takes_flag());
  CHECK(nn::Model([](nn::Scope&, Array x, bool) { return x; }).takes_flag());
  CHECK_FALSE(nn::Model(nn::Dense{.features = 1}).takes_flag());
  CHECK_FALSE(nn::Model(nn::BatchNorm{}).takes_flag());  // its second argument says something else
  CHECK_FALSE(nn::Model(nn::relu).takes_flag());
  CHECK_FALSE(nn::Model().takes_flag());
}
