// Training runs of real Flax, Optax and JAX.
#include <doctest/doctest.h>

#include <linseed/nn/losses.hpp>
#include <linseed/optim/optimizers.hpp>
#include <linseed/random/random.hpp>
#include <linseed/train/metrics.hpp>
#include <linseed/train/train_state.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "models.hpp"
#include "support.hpp"

using namespace linseed;
using golden::json;

namespace {

struct Data {
  Array x, y;
};

Data data_of(const std::string& model) {
  std::vector<float> x;
  if (model == "mlp") {
    for (int i = 0; i < 8; ++i) {
      for (int j = 0; j < 3; ++j) x.push_back(static_cast<float>((7 * i + 3 * j) % 11 / 10.0 - 0.5));
    }
    return {Array::from(x, {8, 3}), Array{0.0, 0.5, 1.0, 1.5, 0.0, 0.5, 1.0, 1.5}};
  }
  const bool small = model == "cnn";
  const Shape shape = small ? Shape{6, 6, 6, 1} : Shape{16, 28, 28, 1};
  for (std::int64_t n = 0; n < shape.elements(); ++n) {
    x.push_back(
        static_cast<float>(small ? static_cast<double>(n * n % 37) / 18 - 1 : static_cast<double>(n * n % 251) / 250));
  }
  return {Array::from(x, shape), astype(mod(arange(shape[0]), small ? 3 : 10), int32)};
}

struct Report {
  Array loss, accuracy;
};

Array loss_of(const Array& output, const Array& y) {
  if (y.dtype() == float32) return mean(square(squeeze(output, 1) - y));
  return mean(nn::softmax_cross_entropy_with_integer_labels(output, y));
}

std::pair<TrainState, Report> train_step(const TrainState& state, const Data& batch) {
  const auto loss_fn = [&](const Tree& params) {
    auto [output, updates] = nn::apply(state.model, state.replace({.params = params}).variables(),
                                       nn::mutable_({"batch_stats"}), batch.x, /*train=*/true);
    const Array loss = loss_of(output, batch.y);
    return std::pair{loss, std::pair{output, updates}};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  const auto& [loss, aux] = value;
  const auto& [output, updates] = aux;
  const Array hits = batch.y.dtype() == float32 ? loss : accuracy(output, batch.y);
  return {state.apply_gradients(grads).replace({.batch_stats = updates["batch_stats"]}),
          {.loss = loss, .accuracy = hits}};
}

void check_curve(const std::string& name, const nn::Model& model, const optim::GradientTransformation& tx,
                 bool compiled) {
  CAPTURE(name);
  CAPTURE(compiled);
  const json& run = golden::load("curves.json")[name];
  const Data batch = data_of(run.at("model").get<std::string>());
  CHECK(support::doubles(batch.x)[1] == golden::head<double>(run.at("x"))[1]);
  CHECK(support::doubles(sum(astype(batch.x, float64)))[0] == doctest::Approx(golden::sum(run.at("x"))).epsilon(1e-12));

  const Tree variables = nn::init(model, random::key(run.at("seed").get<int>()), batch.x, false);
  TrainState state = TrainState::create(model, variables["params"], variables["batch_stats"], tx);
  const auto step = jit(train_step);
  const auto losses = golden::values<double>(run.at("losses"));
  for (std::size_t i = 0; i < losses.size(); ++i) {
    CAPTURE(i);
    Report report;
    std::tie(state, report) = compiled ? step(state, batch) : train_step(state, batch);
    CHECK(report.loss.item<double>() == doctest::Approx(losses[i]).epsilon(1e-5));
    if (run.contains("accuracies")) {
      CHECK(report.accuracy.item<float>() == golden::values<float>(run.at("accuracies"))[i]);
    }
  }
  CHECK(state.step.item<int>() == static_cast<int>(losses.size()));
  if (compiled) CHECK(step.trace_count() == 1);
  if (run.contains("note")) return;  // Adam: only the train losses are defined beyond rounding noise

  const Array output = nn::apply(model, state.variables(), batch.x, false);
  CHECK(loss_of(output, batch.y).item<double>() == doctest::Approx(run.at("eval_loss").get<double>()).epsilon(1e-5));
  for (const char* collection : {"params", "batch_stats"}) {
    const Tree& got = state.variables()[collection];
    for (const auto& [path, expected] : run.at(collection).items()) {
      CAPTURE(path);
      // Rounding differences have grown over the steps by now; a bias before BatchNorm is nothing but those.
      if (!golden::is_summary(expected))
        support::check_near(got.at(path).array(), support::array_of(expected), 1e-4, 1e-5);
    }
  }
}

}  // namespace

TEST_CASE("training curves follow Flax step by step") {
  for (const bool compiled : {false, true}) {
    check_curve("mlp_sgd", models::MLP{}, optim::sgd(0.1, {.momentum = 0.9}), compiled);
    check_curve("mlp_adam", models::MLP{}, optim::adam(0.01), compiled);
    check_curve("cnn_sgd", models::CNN{}, optim::sgd(0.1, {.momentum = 0.9}), compiled);
    check_curve("bn_lenet_sgd", models::BNLeNet{}, optim::sgd(0.1, {.momentum = 0.9}), compiled);
  }
}
