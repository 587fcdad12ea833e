// docs/concepts.md

#include <cstdio>
#include <cstdlib>

#include <linseed/linseed.hpp>

using namespace linseed;

namespace {

void expect(bool condition, const char* what) {
  if (condition) return;
  fmt::print("not so: {}\n", what);
  std::exit(1);
}

// <count>
struct Counter {
  Array operator()(nn::Scope& scope, const Array& x) const {
    const nn::Variable calls = scope.variable("counts", "calls", [] { return zeros({}, int32); });
    if (!scope.is_initializing()) calls.set(calls.value() + 1);
    return x;
  }
};
// </count>

void state_and_purity() {
  // <trees>
  const Tree params = {{"Dense_0", {{"bias", zeros({4})}, {"kernel", ones({3, 4})}}}};
  const Array kernel = params["Dense_0"]["kernel"];
  const Tree changed = params.set("Dense_0/bias", ones({4}));  // another tree; `params` is as it was
  const Tree doubled = tree::map([](const Array& leaf) { return 2 * leaf; }, params);
  // </trees>
  expect(identical(kernel, ones({3, 4})), "the kernel");
  expect(identical(params["Dense_0"]["bias"].array(), zeros({4})), "a tree stays as it is");
  expect(identical(changed.at("Dense_0/bias").array(), ones({4})), "the copy is changed");
  expect(identical(doubled.at("Dense_0/kernel").array(), full({3, 4}, 2.0)), "map");

  const Array x = ones({2});
  // <pure>
  const Tree variables = nn::init(Counter{}, random::key(0), x);
  auto [y, updates] = nn::apply(Counter{}, variables, nn::mutable_({"counts"}), x);
  // variables["counts"]["calls"] is still 0, updates["counts"]["calls"] is 1
  // </pure>
  expect(variables.at("counts/calls").array().item<int>() == 0, "apply changes nothing");
  expect(updates.at("counts/calls").array().item<int>() == 1, "apply tells what changed");
  // <immutable>
  try {
    (void)nn::apply(Counter{}, variables, x);
  } catch (const nn::ImmutableCollectionError& error) {
    fmt::print("{}\n\n", error.what());
  }
  // </immutable>
}

void compiling() {
  // <jit>
  const auto f = [](const Array& a, const Array& b) { return sum(tanh(a * b) + 1); };
  const auto compiled = jit(f);
  const Array once = compiled(ones({8}), ones({8}));
  fmt::print("{}\n", compiled.program());
  // </jit>
  expect(once.item<float>() == f(ones({8}), ones({8})).item<float>(), "jit gives the same");
  // <retrace>
  (void)compiled(ones({4}), ones({4}));
  for (const std::string& reason : compiled.retrace_reasons()) fmt::print("traced again: {}\n", reason);
  // </retrace>
  fmt::print("\n");
}

void moving() {
  const auto tx = optim::sgd(0.1);
  const Tree params = {{"w", ones({1000})}};
  TrainState state = TrainState::create([](nn::Scope&, const Array& x) { return x; }, params, tx);
  // <donation>
  const auto step = jit(
      [](const TrainState& s) { return s.apply_gradients(tree::map([](const Array& p) { return 2 * p; }, s.params)); });
  state = step(std::move(state));  // overwrites what `state` alone held
  TrainState kept = state;
  state = step(std::move(state));  // copies: `kept` holds the same elements
  // </donation>
  expect(kept.step.item<int>() == 1 && state.step.item<int>() == 2, "what is held elsewhere stays");
}

void repeating() {
  // <threads>
  const auto f = [](const Array& a) { return sum(exp(a)); };
  const Array a = random::normal(random::key(0), {1000, 100});
  const Array one = jit(f)(a);
  const Array four = jit(f, {.executor = Executor(4)})(a);
  // identical(one, four): the same bits
  // </threads>
  expect(identical(one, four), "threads do not show");

  // <keys>
  const Array key = random::key(42);
  const auto [for_params, for_data] = random::split<2>(key);
  const Array noise = random::normal(for_data, {3});
  const Array of_epoch_7 = random::fold_in(for_params, 7);
  // </keys>
  expect(identical(noise, random::normal(random::split<2>(random::key(42))[1], {3})), "keys");
  expect(of_epoch_7.shape() == Shape{2}, "fold_in");
}

}  // namespace

int main() {
  state_and_purity();
  compiling();
  moving();
  repeating();
}
