// Fine-tuning: a frozen body under a new head.
#include <linseed/linseed.hpp>

#include <doctest/doctest.h>

using namespace linseed;

namespace {

struct Body {
  std::string name = {};
  Array operator()(nn::Scope& parent, Array x) const {
    nn::Scope scope = parent.enter(*this);
    x = nn::relu(nn::Dense{.features = 8}(scope, x));
    return nn::relu(nn::Dense{.features = 8}(scope, x));
  }
};

struct FineTuned {
  Array operator()(nn::Scope& scope, const Array& x) const {
    const Array features = stop_gradient(Body{.name = "body"}(scope, x));
    return nn::Dense{.features = 1, .name = "head"}(scope, features);
  }
};

}  // namespace

TEST_CASE("design: layers frozen by stop_gradient") {
  const Array x = random::normal(random::key(1), {16, 3}), y = random::normal(random::key(2), {16, 1});
  // The body comes from somewhere else and is put in its place.
  const Tree pretrained = nn::init(Body{}, random::key(5), x)["params"];
  const Tree fresh = nn::init(FineTuned{}, random::key(0), x)["params"];
  CHECK(tree::shapes(fresh, 1000) ==
        "{'body': {'Dense_0': {'bias': (8,), 'kernel': (3, 8)}, 'Dense_1': {'bias': (8,), 'kernel': (8, 8)}}, "
        "'head': {'bias': (1,), 'kernel': (8, 1)}}");
  TrainState state =
      TrainState::create(FineTuned{}, fresh.set("body", pretrained), optim::sgd(0.05, {.momentum = 0.9}));

  const auto step = jit([&](const TrainState& s) {
    const auto [loss, grads] = value_and_grad([&](const Tree& params) {
      return mean(nn::squared_error(nn::apply(s.model, {{"params", params}}, x), y));
    })(s.params);
    return std::pair{s.apply_gradients(grads), loss};
  });
  Array first, last;
  std::tie(state, first) = step(std::move(state));
  for (int i = 0; i < 40; ++i) std::tie(state, last) = step(std::move(state));
  CHECK(identical(state.params["body"], pretrained));
  CHECK(!identical(state.params["head"], fresh["head"]));
  CHECK(last.item<float>() < first.item<float>());
}
