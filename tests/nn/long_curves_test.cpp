// Two hundred training steps against real Flax, from the same parameters and batches.
#include <doctest/doctest.h>

#include <linseed/data/fashion_mnist.hpp>
#include <linseed/nn/losses.hpp>
#include <linseed/optim/optimizers.hpp>
#include <linseed/random/random.hpp>
#include <linseed/train/train_state.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "models.hpp"
#include "support.hpp"

using namespace linseed;
using golden::json;

namespace {

struct Examples {
  Array x, y;
};

/// The guide's model always sees the same eight rows.
Examples guide_rows() {
  std::vector<float> x;
  for (int i = 0; i < 8; ++i) {
    for (int j = 0; j < 3; ++j) x.push_back(static_cast<float>((7 * i + 3 * j) % 11 / 10.0 - 0.5));
  }
  return {Array::from(x, {8, 3}), Array{0.0, 0.5, 1.0, 1.5, 0.0, 0.5, 1.0, 1.5}};
}

/// The others see the embedded extract in its order, again and again.
Examples fashion_rows(std::int64_t step, std::int64_t size) {
  static const data::FashionMnist extract = data::fashion_mnist_embedded();
  const auto pixels = extract.train.images.data<std::uint8_t>();
  const auto labels = extract.train.labels.data<std::int32_t>();
  constexpr std::size_t image = 28 * 28;
  std::vector<float> x;
  std::vector<std::int32_t> y;
  for (std::int64_t i = 0; i < size; ++i) {
    const auto row = static_cast<std::size_t>(step * size + i) % labels.size();
    for (std::size_t p = 0; p < image; ++p) x.push_back(static_cast<float>(pixels[row * image + p]) / 255.0F);
    y.push_back(labels[row]);
  }
  return {Array::from(x, {size, 28, 28, 1}), Array::from(y, {size})};
}

Examples batch_of(const json& run, std::int64_t step) {
  return run.at("name") == "guide_mlp_adam" ? guide_rows() : fashion_rows(step, run.at("batch").get<std::int64_t>());
}

Array dropout_key(std::int64_t step) { return random::fold_in(random::key(1), step); }

std::pair<TrainState, Array> train_step(const TrainState& state, const Examples& batch, const Array& key) {
  const auto loss_fn = [&](const Tree& params) {
    auto [output, updates] =
        nn::apply(state.model, state.replace({.params = params}).variables(), nn::mutable_({"batch_stats"}),
                  nn::rngs({{"dropout", key}}), batch.x, /*train=*/true);
    const Array loss = is_integer(batch.y.dtype())
                           ? mean(nn::softmax_cross_entropy_with_integer_labels(output, batch.y))
                           : mean(square(squeeze(output, 1) - batch.y));
    return std::pair{loss, updates};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  const auto& [loss, updates] = value;
  const Tree* stats = updates.find("batch_stats");
  return {state.apply_gradients(grads).replace({.batch_stats = stats != nullptr ? *stats : Tree()}), loss};
}

optim::GradientTransformation optimizer_of(const json& run) {
  const json& args = run.at("args");
  const double rate = args.at("learning_rate").get<double>();
  if (run.at("optimizer") == "adam") return optim::adam(rate);
  if (args.contains("momentum")) return optim::sgd(rate, {.momentum = args.at("momentum").get<double>()});
  return optim::sgd(rate);
}

TrainState first_state(const json& run, const nn::Model& model) {
  const Tree variables = nn::init(model, random::key(0), batch_of(run, 0).x, false);
  const Tree* stats = variables.find("batch_stats");
  return TrainState::create(model, variables["params"], stats != nullptr ? *stats : Tree(), optimizer_of(run));
}

void check_curve(const std::string& name, const nn::Model& model) {
  CAPTURE(name);
  const golden::Measured measured("curve." + name);
  const json& run = golden::load("long_curves.json")[name];
  TrainState state = first_state(run, model);
  const auto step = jit(train_step);
  const auto losses = golden::numbers<double>(run.at("losses"));
  double first_50 = 0.0, all = 0.0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const auto count = static_cast<std::int64_t>(i);
    Array loss;
    std::tie(state, loss) = step(state, batch_of(run, count), dropout_key(count));
    const double deviation = std::fabs(loss.item<double>() - losses[i]) / std::fabs(losses[i]);
    all = std::max(all, deviation);
    if (i < 50) first_50 = std::max(first_50, deviation);

    const std::string done = std::to_string(i + 1);
    if (!run.at("batch_stats").contains(done)) continue;
    CAPTURE(done);
    for (const auto& [path, expected] : run.at("batch_stats").at(done).items()) {
      CAPTURE(path);
      // Adam moves the bias before BatchNorm, whose gradient is nothing but rounding, by full steps; the mean follows.
      if (name == "guide_mlp_adam" && path == "BatchNorm_0/mean") continue;
      // As for the losses: one unit of a relu that falls to the other side of zero sets two runs apart later on.
      support::check_near(state.batch_stats.at(path).array(), support::array_of(expected), i < 50 ? 1e-4 : 1e-2, 1e-6);
    }
  }
  golden::Deviations::instance().note(all);
  MESSAGE(name, ": largest relative deviation of the loss ", first_50, " in 50 steps, ", all, " in ", losses.size());
  CHECK(first_50 < 1e-4);
  CHECK(all < 1e-2);
  CHECK(step.trace_count() == 1);
}

/// The same in float64, where no rounding is large enough to show: the formulas alone.
void check_float64_curve(const std::string& name, const nn::Model& model) {
  CAPTURE(name);
  const golden::Measured measured("curve." + name + " in float64");
  const json& run = golden::load("long_curves.json")[name];
  const json& exact = golden::load("curve_noise.json")[name + "/float64"];
  const auto wide = [](const Tree& tree) {
    return tree::map([](const Array& leaf) { return astype(leaf, float64); }, tree);
  };
  TrainState state = first_state(run, model);
  state = TrainState::create(model, wide(state.params), wide(state.batch_stats), optimizer_of(run));
  const auto step = jit(train_step);
  const auto losses = golden::numbers<double>(exact.at("losses"));
  double largest = 0.0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const auto count = static_cast<std::int64_t>(i);
    Examples batch = batch_of(run, count);
    batch.x = astype(batch.x, float64);
    Array loss;
    std::tie(state, loss) = step(state, batch, dropout_key(count));
    REQUIRE(loss.dtype() == float64);
    largest = std::max(largest, std::fabs(loss.item<double>() - losses[i]) / std::fabs(losses[i]));
    const std::string done = std::to_string(i + 1);
    if (!exact.at("batch_stats").contains(done)) continue;
    CAPTURE(done);
    for (const auto& [path, expected] : exact.at("batch_stats").at(done).items()) {
      CAPTURE(path);
      // The same bias as above: its rounding is 1e-8 of Adam's eps here, and shows a little in the mean.
      const bool moved = name == "guide_mlp_adam" && path == "BatchNorm_0/mean";
      support::check_near(state.batch_stats.at(path).array(), support::array_of(expected), moved ? 1e-6 : 1e-9, 1e-14);
    }
  }
  golden::Deviations::instance().note(largest);
  CHECK(largest < 1e-9);
}

}  // namespace

TEST_CASE("two hundred steps follow Flax: the guide's model with Adam") {
  check_curve("guide_mlp_adam", models::MLP{});
}
TEST_CASE("two hundred steps follow Flax: LeNet with batch normalization on Fashion-MNIST") {
  check_curve("lenet_fashion_sgd", models::BNLeNet{});
}
TEST_CASE("two hundred steps follow Flax: a residual network with momentum on Fashion-MNIST") {
  check_curve("resnet_fashion_momentum", models::FashionResNet{});
}
TEST_CASE("two hundred steps follow Flax: dropout on Fashion-MNIST") {
  check_curve("dropout_fashion_sgd", models::DropoutMLP{});
}

TEST_CASE("two hundred steps in float64 are Flax's: the guide's model with Adam") {
  check_float64_curve("guide_mlp_adam", models::MLP{});
}
TEST_CASE("two hundred steps in float64 are Flax's: LeNet with batch normalization on Fashion-MNIST") {
  check_float64_curve("lenet_fashion_sgd", models::BNLeNet{});
}
TEST_CASE("two hundred steps in float64 are Flax's: a residual network with momentum on Fashion-MNIST") {
  check_float64_curve("resnet_fashion_momentum", models::FashionResNet{});
}

TEST_CASE("dropout lets the same units through as Flax does") {
  // The first layer gives ones, so that the second shows the mask.
  const Tree params = {{"Dense_0", {{"bias", ones({32})}, {"kernel", zeros({784, 32})}}},
                       {"Dense_1", {{"bias", zeros({10})}, {"kernel", slice_axis(one_hot(arange(32), 32), 1, 0, 10)}}}};
  for (const json& entry : golden::load("long_curves.json").where("kind", "mask")) {
    const auto step = entry.at("step").get<std::int64_t>();
    CAPTURE(step);
    const Array output = nn::apply(models::DropoutMLP{}, Tree{{"params", params}},
                                   nn::rngs({{"dropout", dropout_key(step)}}), fashion_rows(step, 16).x, true);
    CHECK(identical(output, support::array_of(entry.at("output"))));
  }
}
