#include "compile/plan.hpp"

#include <limits>
#include <tuple>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "compile/compile.hpp"
#include "program/program.hpp"
#include "support.hpp"

using namespace linseed;

namespace {

const void* address(const Array& array) { return array.data<float>().data(); }

struct State {
  Array w, v;
};

/// Momentum, as an optimizer does it: two outputs, each of which may take its input's place.
std::pair<State, Array> update(const State& state, const Array& gradient) {
  const Array v = 0.9 * state.v + gradient;
  return {State{state.w - 0.1 * v, v}, sum(v)};
}

/// Arrays made by a computation, as states are after the first step.
Array made(double value) { return full({4, 5}, value) * 1.0 + 0.0; }

}  // namespace

TEST_CASE("access patterns of broadcast operands") {
  using compile::Access;
  using compile::access_of;
  using Kind = Access::Kind;
  CHECK(access_of({2, 3}, {2, 3}) == Access{});
  CHECK(access_of({}, {2, 3}) == Access{Kind::periodic, 1});
  CHECK(access_of({1, 1}, {2, 3}) == Access{Kind::periodic, 1});
  CHECK(access_of({3}, {2, 3}) == Access{Kind::periodic, 3});
  CHECK(access_of({1, 4, 3}, {5, 4, 3}) == Access{Kind::periodic, 12});
  CHECK(access_of({2, 1}, {2, 3}) == Access{Kind::repeated, 3});
  CHECK(access_of({2, 4, 1, 1}, {2, 4, 3, 5}) == Access{Kind::repeated, 15});
  CHECK(access_of({2, 1, 3}, {2, 4, 3}) == std::nullopt);
  CHECK(access_of({2, 1, 3}, {2, 1, 3}) == Access{});
  CHECK(access_of({1, 3, 1}, {2, 3, 1}) == Access{Kind::periodic, 3});
}

TEST_CASE("element-wise chains and sums become one kernel") {
  const auto f = jit([](const Array& x, const Array& scale) {
    const Array y = tanh(x * scale + 1);
    return std::pair(y, std::pair(sum(y, 0), mean(square(y))));
  });
  const Array x = random::normal(random::key(0), {1000, 6}), scale = random::normal(random::key(1), {6});
  const auto [y, sums] = f(x, scale);
  const Array expected = tanh(x * scale + 1);
  CHECK(identical(y, expected));
  support::check_near(sums.first, sum(expected, 0), 1e-6, 1e-5);
  support::check_near(sums.second, mean(square(expected)), 1e-6, 0);
  const std::string text = f.explain();
  CHECK(text.find("fused over 6000 in tiles of 384: 4 steps, 2 sums") != std::string::npos);
}

TEST_CASE("truth values pass through fused kernels, in and out") {
  const auto f = jit([](const Array& x, const Array& mask) {
    const Array positive = x > 0;
    return std::pair(positive && mask, where(positive || !mask, x, -x) + astype(positive, float32));
  });
  const Array x = random::normal(random::key(0), {700}), mask = random::normal(random::key(1), {700}) > 0;
  const auto [both, value] = f(x, mask);
  CHECK(identical(both, (x > 0) && mask));
  CHECK(identical(value, where((x > 0) || !mask, x, -x) + astype(x > 0, float32)));
}

TEST_CASE("a donated state is updated in place") {
  const auto step = jit(update);
  State state{made(1.0), made(2.0)};
  const Array gradient = made(0.5);
  const State reference = update(state, gradient).first;
  const void* w = address(state.w);
  const void* v = address(state.v);
  Array total;
  std::tie(state, total) = step(std::move(state), gradient);
  CHECK(address(state.w) == w);
  CHECK(address(state.v) == v);
  CHECK(identical(state.w, reference.w));
  CHECK(identical(state.v, reference.v));
  for (int i = 0; i < 3; ++i) std::tie(state, total) = step(std::move(state), gradient);
  CHECK(address(state.w) == w);
  CHECK(address(state.v) == v);
}

TEST_CASE("a state in Trees is updated in place too") {
  struct Run {
    TrainState train;
  };
  const auto step = jit([](const Run& run, const Array& x) {
    return Run{run.train.apply_gradients(tree::map([&](const Array& p) { return p * x; }, run.train.params))};
  });
  const Tree params{{"a", made(1.0)}, {"b", {{"c", made(2.0)}}}};
  Run run{TrainState::create(nn::relu, params, optim::sgd(0.1, {.momentum = 0.9}))};
  run = step(run, Array(2.0));  // the first step's inputs are still held
  CHECK(identical(params.at("a").array(), made(1.0)));
  const void* a = address(run.train.params.at("a").array());
  const void* trace = address(run.train.opt_state.at("0/trace/b/c").array());
  run = step(std::move(run), Array(2.0));
  CHECK(address(run.train.params.at("a").array()) == a);
  CHECK(address(run.train.opt_state.at("0/trace/b/c").array()) == trace);
}

TEST_CASE("what somebody still holds is copied, not overwritten") {
  const auto step = jit(update);
  const Array gradient = made(0.5);
  const auto run = [&](State state) { return step(std::move(state), gradient).first; };

  State state{made(1.0), made(2.0)};
  const Array held = state.w;
  const State next = run(std::move(state));
  CHECK(address(next.w) != address(held));
  CHECK(identical(held, made(1.0)));

  const Array tied = made(3.0);
  const void* place = address(tied);
  const State both = run(State{tied, tied});
  CHECK(address(both.w) != place);
  CHECK(address(both.v) != place);
  CHECK(identical(tied, made(3.0)));

  State aliased{made(1.0), made(1.0)};
  aliased.v = aliased.w;
  const void* one = address(aliased.w);
  const State apart = run(std::move(aliased));
  CHECK(address(apart.w) != one);
  CHECK(address(apart.v) != one);
  CHECK(identical(apart.v, 0.9 * made(1.0) + gradient));

  State viewed{made(1.0), made(2.0)};
  const Array reshaped = reshape(viewed.w, {20});  // shares the elements
  const void* elements = address(reshaped);
  const State fresh = run(std::move(viewed));
  CHECK(address(fresh.w) != elements);
  CHECK(identical(reshaped, reshape(made(1.0), {20})));
}

TEST_CASE("an argument that is also a captured constant, or part of another argument, is not overwritten") {
  const Array constant = made(1.0);
  State state{constant, made(2.0)};
  const auto step = jit([&](const State& s, const Array& other) { return State{s.w + constant + other, s.v * 2}; });
  const State next = step(std::move(state), constant);
  CHECK(identical(constant, made(1.0)));
  CHECK(identical(next.w, made(3.0)));
}

TEST_CASE("an adopted buffer is never written to") {
  static const std::vector<float> forever(20, 1.0F);
  State state{Array::adopt({forever.data(), [](const void*) {}}, {4, 5}, float32), made(2.0)};
  const State next = jit(update)(std::move(state), made(0.5)).first;
  CHECK(address(next.w) != forever.data());
  CHECK(forever == std::vector<float>(20, 1.0F));
}

TEST_CASE("an input is read to the end before it is overwritten") {
  // Both outputs read both inputs: no order of writing spares a copy of one of them.
  const auto step = jit([](const State& s) { return State{s.w + s.v, s.w - s.v}; });
  const State next = step(State{made(3.0), made(2.0)});
  CHECK(identical(next.w, made(5.0)));
  CHECK(identical(next.v, made(1.0)));
  const auto transposed = jit([](const std::vector<Array>& s) { return std::vector<Array>{transpose(s[0]) + s[0]}; });
  const Array square = reshape(arange(9, float32), {3, 3}) * 1.0;
  std::vector<Array> list{reshape(arange(9, float32), {3, 3}) * 1.0};
  CHECK(identical(transposed(std::move(list))[0], transpose(square) + square));
}

TEST_CASE("outputs that are inputs, constants or views of them") {
  const Array constant = made(7.0);
  const auto f =
      jit([&](const Array& x) { return std::vector<Array>{x, reshape(x, {20}), constant, x, reshape(x * 2, {20})}; });
  const Array x = made(1.0);
  const auto result = f(x);
  CHECK(address(result[0]) == address(x));
  CHECK(address(result[1]) == address(x));
  CHECK(result[1].shape() == Shape{20});
  CHECK(address(result[2]) == address(constant));
  CHECK(identical(result[4], full({20}, 2.0)));
}

TEST_CASE("the arena is hardly larger than what must be there at once") {
  struct Net {
    Array operator()(nn::Scope& scope, Array x, bool train) const {
      for (const int features : {6, 16}) {
        x = nn::Conv{.features = features, .kernel_size = {3, 3}}(scope, x);
        x = nn::relu(nn::BatchNorm{.use_running_average = !train}(scope, x));
        x = nn::max_pool(x, {2, 2}, {2, 2});
      }
      return nn::Dense{.features = 10}(scope, reshape(x, {x.extent(0), -1}));
    }
  };
  const Array x = random::normal(random::key(1), {8, 12, 12, 1});
  const Tree variables = nn::init(Net{}, random::key(0), x, false);
  const auto loss = [&](const Tree& params) {
    auto [y, updates] =
        nn::apply(Net{}, {{"params", params}, {"batch_stats", variables["batch_stats"]}}, nn::mutable_(true), x, true);
    return std::pair(mean(square(y)), updates);
  };
  const Program program =
      make_program([&](const Tree& params) { return value_and_grad(loss)(params); }, variables["params"]);
  const auto compiled = compile::compile(program);
  CHECK(compiled->plan.live_bytes() > 0);
  CHECK(compiled->plan.arena_bytes() <= compiled->plan.live_bytes() * 11 / 10);
}

TEST_CASE("a value is written over an operand that nobody reads any more, and counts once") {
  // Products p and q of 64 x 64, and s made of them: s takes the place of one of them, if one is free.
  const auto bytes_of = [](const auto& f) {
    const Array x = random::normal(random::key(1), {64, 32}), v = random::normal(random::key(2), {64, 1});
    const std::vector<Array> inputs{x, random::normal(random::key(3), {32, 64}),
                                    random::normal(random::key(4), {32, 64}), v};
    const auto compiled = compile::compile(make_program(f, inputs));
    const auto expected = f(inputs), got = jit(f)(inputs);
    for (std::size_t i = 0; i < expected.size(); ++i) support::check_near(got[i], expected[i], 1e-5, 1e-4);
    CHECK(compiled->plan.arena_bytes() == compiled->plan.live_bytes());
    return compiled->plan.live_bytes();
  };
  using Arrays = std::vector<Array>;
  constexpr std::size_t one = 64 * 64 * sizeof(float);
  const auto both_free = [](const Arrays& in) {
    const Array p = dot(in[0], in[1]), q = dot(in[0], in[2]);
    return Arrays{dot(p * q + p, in[3])};
  };
  const auto one_free = [](const Arrays& in) {
    const Array p = dot(in[0], in[1]), q = dot(in[0], in[2]);
    const Array s = dot(p * q + p, in[3]);
    return Arrays{s, dot(p, s)};
  };
  const auto none_free = [](const Arrays& in) {
    const Array p = dot(in[0], in[1]), q = dot(in[0], in[2]);
    const Array s = dot(p * q + p, in[3]);
    return Arrays{s, dot(p, s), dot(q, s)};
  };
  CHECK(bytes_of(both_free) == 2 * one);
  CHECK(bytes_of(one_free) == 2 * one);
  CHECK(bytes_of(none_free) == 3 * one);
}

TEST_CASE("explain and profile say what runs") {
  const auto f = jit([](const Array& x) { return matmul(x, transpose(x)) + 1; });
  CHECK(support::error_of<ValueError>([&] { return f.explain(); }).find("has not been traced") != std::string::npos);
  (void)f(ones({3, 4}));
  const std::string text = f.explain();
  for (const char* word : {"passes:", "algebra", "arena:", "dot_general", "fused over 9"}) {
    INFO(word);
    CHECK(text.find(word) != std::string::npos);
  }
  const std::string timed = f.profile(ones({3, 4}));
  CHECK(timed.find(" ms in all") != std::string::npos);
  const auto plain = jit([](const Array& x) { return x + 1; }, {.disabled_passes = {"all"}});
  (void)plain(ones({3}));
  CHECK(plain.explain() == "interpreted op by op\n");
}

TEST_CASE("a profile runs on a copy of the state that it is given, with values only") {
  const auto step = jit(update);
  const State state{made(1.0), made(2.0)};
  (void)step.profile(state, made(0.5));
  CHECK(identical(state.w, made(1.0)));
  CHECK(identical(state.v, made(2.0)));
  const auto outer = jit([&](const State& s, const Array& gradient) {
    (void)step.profile(s, gradient);
    return s;
  });
  CHECK(support::error_of<TraceError>([&] { return outer(state, made(0.5)); }) ==
        "[jit] Only a function of Arrays with values can be profiled.");
}

TEST_CASE("what no memory holds is refused before anything is touched") {
  State state{made(1.0), made(2.0)};
  const void* const w = address(state.w);
  const auto intact = [&] { return address(state.w) == w && identical(state.w, made(1.0)); };

  // An outer product of 256 TiB that has to be stored.
  const auto outer = [](const State& s, const Array& x) {
    const Array product = dot(reshape(x, {-1, 1}), reshape(x, {1, -1}));
    return std::pair(State{s.w * 2, s.v}, sum(transpose(product) * product));
  };
  const Array long_one = full({1 << 23}, 1.0) * 1.0;
  const auto compiled = jit(outer);
  CHECK_THROWS_WITH_AS((void)compiled(std::move(state), long_one),
                       doctest::Contains("[jit] Memory is short.\n  got: a need of "), MemoryError);
  CHECK(intact());
  CHECK(identical(compiled(std::move(state), made(1.0)).first.w, full({4, 5}, 2.0)));  // one that fits goes through

  // More than any machine addresses, though it would never be stored: its number of elements is not a number.
  const std::int64_t many = std::int64_t{1} << 40;
  const auto inside = jit([&](const Array& x) { return sum(exp(broadcast_to(x, {many, many, 4}))); });
  CHECK_THROWS_WITH_AS((void)inside(full({4}, 1.0)),
                       "[broadcast_to] The Array is too large to address.\n  got: (1099511627776, 1099511627776, 4)",
                       ShapeError);
  CHECK_THROWS_WITH_AS((void)zeros({many, 32}), "[Array] Memory is short.\n  got: a need of 140737488355328 bytes",
                       MemoryError);
}

namespace {

struct Momentum {
  Array w, v;
};

/// A step of momentum along a gradient that is a product, as that of a dense layer's kernel.
Momentum step_along_product(const Momentum& state, const Array& x, const Array& dy) {
  const Array v = 0.9 * state.v + matmul(transpose(x), dy);
  return {state.w - 0.1 * v, v};
}

}  // namespace

TEST_CASE("the rows of a product that only an update needs are used up at once") {
  const auto normal = [](std::uint64_t seed, const Shape& shape) { return random::normal(random::key(seed), shape); };
  const Momentum state{normal(0, {150, 70}), normal(1, {150, 70})};
  const Array x = normal(2, {300, 150}), dy = normal(3, {300, 70});
  const Momentum expected = step_along_product(state, x, dy);
  for (const int threads : {1, 2, 3, 4, 8}) {
    const auto step = jit(step_along_product, {.executor = Executor(threads)});
    const Momentum next = step(state, x, dy);
    CHECK(identical(next.w, expected.w));
    CHECK(identical(next.v, expected.v));
    CHECK(step.explain().find("MFLOP], its rows used up: fused over 10500") != std::string::npos);

    Momentum moved{state.w + 0.0, state.v + 0.0};
    const void *w = address(moved.w), *v = address(moved.v);
    moved = step(std::move(moved), x, dy);
    CHECK(identical(moved.w, expected.w));
    CHECK(identical(moved.v, expected.v));
    CHECK((address(moved.w) == w && address(moved.v) == v));
  }
}

TEST_CASE("a product that others need too has its place in memory") {
  const Array x = random::normal(random::key(0), {200, 60}), dy = random::normal(random::key(1), {200, 90});
  const Array w = random::normal(random::key(2), {60, 90});
  const auto update = [](const Array& weights, const Array& gradient) { return weights - 0.1 * gradient; };
  const auto output = [update](const Array& weights, const Array& a, const Array& b) {
    const Array gradient = matmul(transpose(a), b);
    return std::pair(update(weights, gradient), gradient);
  };
  const auto norm = [update](const Array& weights, const Array& a, const Array& b) {
    const Array gradient = matmul(transpose(a), b);
    return update(weights, gradient / sqrt(sum(square(gradient))));
  };
  const auto with_output = jit(output);
  const auto with_norm = jit(norm);
  const auto both = with_output(w, x, dy), expected = output(w, x, dy);
  CHECK(identical(both.first, expected.first));
  CHECK(identical(both.second, expected.second));
  support::check_near(with_norm(w, x, dy), norm(w, x, dy), 1e-6, 1e-6);
  for (const std::string& text : {with_output.explain(), with_norm.explain()})
    CHECK(text.find("used up") == std::string::npos);
}

TEST_CASE("an update that uses up a product does not overwrite the product's own factors") {
  // Each factor is as large as the result, is donated, and is read last by the very step that makes the result.
  const auto f = [](const Array& a, const Array& b) { return matmul(a, b) * 0.5 + 1.0; };
  const Array a = random::normal(random::key(0), {128, 128}), b = random::normal(random::key(1), {128, 128});
  const Array expected = f(a, b);
  const auto compiled = jit(f, {.executor = Executor(2)});
  Array left = a + 0.0, right = b + 0.0;
  CHECK(identical(compiled(std::move(left), std::move(right)), expected));
}

TEST_CASE("exp and sigmoid in fused kernels have the bits of the eager ones, for any number of elements") {
  const auto functions = [](const Array& x, const Array& y) {
    return std::tuple(exp(x), nn::sigmoid(x), nn::sigmoid(x + y));
  };
  const auto compiled = jit(functions);
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const Array special{-infinity, infinity, 0.0F,    -0.0F,   1e-40F,  -1e-40F, 88.72F,  88.73F, 89.1F, 1e30F,
                      -87.3F,    -87.4F,   -103.9F, -104.1F, -110.0F, -1e30F,  17.328F, 0.5F,   -0.5F, 3e-8F};
  const auto check = [&](const Array& x) {
    const Array y = x * 0.25F + 1.0F;
    const auto got = compiled(x, y);
    const auto expected = functions(x, y);
    CHECK(identical(std::get<0>(got), std::get<0>(expected)));
    CHECK(identical(std::get<1>(got), std::get<1>(expected)));
    CHECK(identical(std::get<2>(got), std::get<2>(expected)));
  };
  check(special);
  for (const std::int64_t count : {1, 15, 16, 17, 63, 64, 65, 127, 513, 5000})
    check(random::uniform(random::key(7), {count}, float32, -110.0, 95.0));
  const Array nan = full({40}, std::numeric_limits<float>::quiet_NaN());
  CHECK(!any(isfinite(std::get<0>(compiled(nan, nan)))).item<bool>());
  CHECK(!any(isfinite(std::get<1>(compiled(nan, nan)))).item<bool>());
}
