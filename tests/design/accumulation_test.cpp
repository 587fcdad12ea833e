// Gradient accumulation by hand: the mean of the gradients of equal parts is the gradient of the whole.
#include <linseed/linseed.hpp>

#include <doctest/doctest.h>

using namespace linseed;

namespace {

Array model(nn::Scope& scope, const Array& x) {
  return nn::Dense{.features = 1}(scope, nn::relu(nn::Dense{.features = 5}(scope, x)));
}

struct Batch {
  Array x, y;
  [[nodiscard]] Batch part(std::int64_t i, std::int64_t count) const {
    const std::int64_t rows = x.extent(0) / count;
    return {.x = slice_axis(x, 0, i * rows, (i + 1) * rows), .y = slice_axis(y, 0, i * rows, (i + 1) * rows)};
  }
};

}  // namespace

TEST_CASE("design: gradients accumulated over parts of a batch") {
  const Batch batch{.x = random::normal(random::key(1), {24, 3}), .y = random::normal(random::key(2), {24, 1})};
  const auto loss = [](const Tree& params, const Batch& b) {
    return mean(nn::squared_error(nn::apply(model, {{"params", params}}, b.x), b.y));
  };
  const auto accumulated = [&](const Tree& params, const Batch& b, int parts) {
    Tree total = tree::map(zeros_like, params);
    for (int i = 0; i < parts; ++i) {
      const Tree grads = grad(loss)(params, b.part(i, parts));
      total = tree::map([&](const Array& t, const Array& g) { return t + g / parts; }, total, grads);
    }
    return total;
  };
  const auto step = jit([&](const TrainState& state, const Batch& b, int parts) {
    return state.apply_gradients(accumulated(state.params, b, parts));
  });
  const TrainState start =
      TrainState::create(model, nn::init(model, random::key(0), batch.x)["params"], optim::sgd(0.1, {.momentum = 0.9}));
  TrainState whole = start, parts = start;
  for (int i = 0; i < 10; ++i) {
    whole = step(std::move(whole), batch, 1);
    parts = step(std::move(parts), batch, 4);
  }
  CHECK(step.trace_count() == 2);  // `parts` is static
  for (const std::string& path : whole.params.paths()) {
    CAPTURE(path);
    CHECK(max(abs(whole.params.at(path).array() - parts.params.at(path).array())).item<float>() < 1e-5F);
  }
  CHECK(!identical(whole.params, start.params));
}
