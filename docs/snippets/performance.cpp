// docs/performance.md

#include <linseed/linseed.hpp>

using namespace linseed;

// <step>
struct MLP {
  Array operator()(nn::Scope& scope, Array x) const {
    x = nn::relu(nn::Dense{.features = 64}(scope, x));
    return nn::Dense{.features = 1}(scope, x);
  }
};

std::pair<TrainState, Array> train_step(const TrainState& state, const Array& x, const Array& y) {
  const auto loss_fn = [&](const Tree& params) {
    return mean(square(nn::apply(state.model, {{"params", params}}, x) - y));
  };
  const auto [loss, grads] = value_and_grad(loss_fn)(state.params);
  return {state.apply_gradients(grads), loss};
}
// </step>

int main() {
  const Array x = random::normal(random::key(1), {256, 16});
  const Array y = sin(sum(x, -1, /*keepdims=*/true));
  const Tree variables = nn::init(MLP{}, random::key(0), x);
  TrainState state = TrainState::create(MLP{}, variables["params"], optim::sgd(0.05, {.momentum = 0.9}));

  // <explain>
  const auto step = jit(train_step, {.executor = Executor(2)});
  std::tie(state, std::ignore) = step(std::move(state), x, y);
  const std::string kernels = step.explain();                // passes, arena, kernels
  const std::string timed = step.profile(state, x, y);       // the same, with the time of each kernel
  const std::int64_t work = inspect::flops(step.program());  // of the products, see inspect/flops.hpp
  // </explain>
  fmt::print("{}\n{} FLOPs\n", timed, work);

  // <bisect>
  const auto as_traced = jit(train_step, {.disabled_passes = {"all"}});  // op by op: what the program means
  const auto without_fusion = jit(train_step, {.disabled_passes = {"fusion"}});
  const auto expected = as_traced(state, x, y);
  const inspect::Difference difference = inspect::difference(expected, without_fusion(state, x, y));
  // </bisect>
  // <portable>
  const auto portable = jit(train_step, {.executor = Executor(2), .portable_bits = true});
  const auto by_avx2 = jit(train_step, {.executor = Executor(2, VectorSet::avx2), .portable_bits = true});
  const bool same = identical(portable(state, x, y).second, by_avx2(state, x, y).second);
  // </portable>
  const bool close = difference.max_abs() < 1e-5 && inspect::difference(expected, step(state, x, y)).max_abs() < 1e-5;
  fmt::print("passes keep the meaning: {}\n", close && kernels.find("kernels:") != std::string::npos);
  fmt::print("the bits are portable: {}\n", same);
}
