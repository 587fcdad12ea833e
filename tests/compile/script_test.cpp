#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "support.hpp"

using namespace linseed;

namespace {

/// Numbers in a buffer that ends where they end: nothing may be read behind them.
Array adopted(const std::vector<float>& values, const Shape& shape) {
  auto buffer = std::make_shared<std::vector<float>>(values);
  buffer->shrink_to_fit();
  return Array::adopt({buffer, buffer->data()}, shape, float32);
}

}  // namespace

TEST_CASE("steps on a few elements of any number give what op by op gives") {
  const auto f = [](const Array& x, const Array& scale) {
    const Array y = tanh(x * scale + 1.5) - 0.25;
    return std::vector<Array>{y, sum(y, 0), mean(y * y), where(y > 0, x, -x), dot(transpose(x), y)};
  };
  const auto plain = jit(f, {.disabled_passes = {"all"}});
  for (const std::int64_t rows : {1, 2, 3, 7, 16, 17, 100}) {
    for (const std::int64_t columns : {1, 3, 4, 5, 8, 16}) {
      CAPTURE(rows);
      CAPTURE(columns);
      const auto compiled = jit(f);
      for (int call = 0; call < 3; ++call) {  // at other addresses each time
        const Array x = random::normal(random::key(static_cast<std::uint64_t>(call)), {rows, columns});
        const Array scale = random::normal(random::key(7), {columns});
        const auto got = compiled(x, scale), expected = plain(x, scale);
        for (std::size_t k = 0; k < got.size(); ++k) support::check_near(got[k], expected[k], 1e-6, 1e-5);
      }
    }
  }
}

TEST_CASE("a small step reads no further than a buffer that was adopted") {
  const auto f = jit([](const Array& x, const Array& y) { return std::pair(x * y + 1, sum(x - y)); });
  const std::vector<float> a{1, 2, 3, 4, 5}, b{5, 4, 3, 2, 1};
  const Array own = Array::from(b, {5});
  // The same compiled function sees adopted and own buffers in turn.
  for (int call = 0; call < 4; ++call) {
    const auto [product, difference] =
        call % 2 == 0 ? f(adopted(a, {5}), adopted(b, {5})) : f(Array::from(a, {5}), own);
    CHECK(identical(product, Array::from(std::vector<float>{6, 9, 10, 9, 6}, {5})));
    CHECK(difference.item<float>() == 0.0F);
  }
  const Array captured = adopted(b, {5});
  const auto with_constant = jit([&](const Array& x) { return x * captured; });
  CHECK(identical(with_constant(adopted(a, {5})), Array::from(std::vector<float>{5, 8, 9, 8, 5}, {5})));
}

TEST_CASE("an adopted buffer may change between calls, and lie where another one lay") {
  const auto f = jit([](const Array& x) { return x + 1; });
  std::vector<float> memory{1, 2, 3};
  for (int call = 0; call < 3; ++call) {
    memory[0] = static_cast<float>(call);
    const Array x = Array::adopt({memory.data(), [](const void*) {}}, {3}, float32);
    CHECK(support::doubles(f(x))[0] == call + 1.0);
  }
}

TEST_CASE("int32 goes through fused kernels as it is") {
  const auto f = [](const Array& a, const Array& b, const Array& x) {
    const Array most = Array(std::numeric_limits<std::int32_t>::max());
    const Array count = where(a < most, a + 1, most);
    return std::vector<Array>{count,
                              a - b,
                              a * b,
                              maximum(a, b),
                              minimum(a, b),
                              astype(a == b, float32),
                              astype(a != b, float32),
                              astype(a <= b, float32) * x,
                              astype(count, float32) * x,
                              where(a < b, a, b)};
  };
  const std::vector<std::int32_t> a{0, 1, -1, 2147483647, -2147483647 - 1, 16777217, 2143289344, 5};
  const std::vector<std::int32_t> b{0, 2, -1, 1, -1, 16777216, 2139095041, -7};  // the bits of NaNs are among them
  const Array x = arange(8, float32) + 0.5;
  for (const int copies : {1, 300}) {
    std::vector<std::int32_t> many_a, many_b;
    for (int i = 0; i < copies; ++i) {
      many_a.insert(many_a.end(), a.begin(), a.end());
      many_b.insert(many_b.end(), b.begin(), b.end());
    }
    const Shape shape{copies, 8};
    const auto compiled = jit(f);
    const auto got = compiled(Array::from(many_a, shape), Array::from(many_b, shape), x);
    const auto expected = f(Array::from(many_a, shape), Array::from(many_b, shape), x);
    for (std::size_t k = 0; k < got.size(); ++k) {
      CAPTURE(k);
      CHECK(identical(got[k], expected[k]));
    }
    CHECK(compiled.explain().find("   less\n") == std::string::npos);
    CHECK(compiled.explain().find("   select\n") == std::string::npos);
  }
  CHECK(support::doubles(f(Array::from(a, {8}), Array::from(b, {8}), x)[0])[3] == 2147483647.0);
}

TEST_CASE("a state that is given up keeps its handles; only what was shared is replaced") {
  struct State {
    Tree params;
    Array count;
  };
  const auto step = jit([](const State& s, const Array& x) {
    const auto grow = [&](const Array& p) { return p * 2 + x; };
    return std::pair(State{tree::map(grow, s.params), s.count + 1}, sum(s.params.at("a/w").array()));
  });
  const auto fresh = [] {
    return State{Tree{{"a", {{"w", ones({3}) * 1.0}}}, {"b", {{"w", ones({2}) * 2.0}}}}, Array(0)};
  };
  const auto values = [](const Array& array) { return support::doubles(array); };
  const Array x(1.0);

  SUBCASE("all of it its own") {
    State state = fresh();
    const Tree::Dict* const dictionary = &state.params.entries();
    const void* const w = state.params.at("a/w").array().data<float>().data();
    Array total;
    for (int i = 0; i < 2; ++i) std::tie(state, total) = step(std::move(state), x);
    CHECK(&state.params.entries() == dictionary);
    CHECK(state.params.at("a/w").array().data<float>().data() == w);
    CHECK(values(state.params.at("a/w")) == std::vector<double>(3, 7.0));
    CHECK(values(state.params.at("b/w")) == std::vector<double>(2, 11.0));
    CHECK(state.count.item<int>() == 2);
    CHECK(total.item<float>() == 9.0F);
  }
  SUBCASE("a leaf is held elsewhere") {
    State state = fresh();
    const Array held = state.params.at("b/w");
    state = step(std::move(state), x).first;
    CHECK(values(held) == std::vector<double>(2, 2.0));
    CHECK(values(state.params.at("b/w")) == std::vector<double>(2, 5.0));
    CHECK(values(state.params.at("a/w")) == std::vector<double>(3, 3.0));
  }
  SUBCASE("a dictionary is held elsewhere") {
    State state = fresh();
    const Tree held = state.params;
    const Tree branch = state.params["b"];
    state = step(std::move(state), x).first;
    CHECK(values(held.at("a/w")) == std::vector<double>(3, 1.0));
    CHECK(values(branch.at("w")) == std::vector<double>(2, 2.0));
    CHECK(values(state.params.at("a/w")) == std::vector<double>(3, 3.0));
    CHECK(values(state.params.at("b/w")) == std::vector<double>(2, 5.0));
  }
  SUBCASE("a dictionary stands in two places of the state") {
    const Tree twice{{"w", ones({3}) * 1.0}};
    State state{Tree{{"a", twice}, {"b", twice}}, Array(0)};
    state = step(std::move(state), x).first;
    CHECK(values(twice["w"]) == std::vector<double>(3, 1.0));
    CHECK(values(state.params.at("a/w")) == std::vector<double>(3, 3.0));
    CHECK(values(state.params.at("b/w")) == std::vector<double>(3, 3.0));
  }
  SUBCASE("the argument that was moved is empty afterwards, one that was not is as it was") {
    State state = fresh();
    const State kept = state;
    const State next = step(std::move(state), x).first;
    CHECK_FALSE(state.count.defined());
    CHECK(state.params.empty());
    CHECK(values(kept.params.at("a/w")) == std::vector<double>(3, 1.0));
    CHECK(values(next.params.at("a/w")) == std::vector<double>(3, 3.0));
  }
}

TEST_CASE("two states of one type that go in and come out crosswise keep their values apart") {
  struct State {
    Array w;
  };
  const auto swap = jit([](const State& a, const State& b) { return std::pair(State{b.w * 1.0}, State{a.w + 0.0}); });
  State a{full({4}, 1.0) * 1.0}, b{full({4}, 2.0) * 1.0};
  for (int i = 0; i < 3; ++i) std::tie(a, b) = swap(std::move(a), std::move(b));
  CHECK(support::doubles(a.w) == std::vector<double>(4, 2.0));
  CHECK(support::doubles(b.w) == std::vector<double>(4, 1.0));
  const auto exchange = jit([](const State& x, const State& y) { return std::pair(y, x); });
  std::tie(a, b) = exchange(std::move(a), std::move(b));
  CHECK(support::doubles(a.w) == std::vector<double>(4, 1.0));
  CHECK(support::doubles(b.w) == std::vector<double>(4, 2.0));
}

TEST_CASE("an argument that is moved while another one refers into it is not overwritten") {
  struct State {
    Tree params;
    Array w;
  };
  const auto fresh = [] { return State{Tree{{"a", full({4}, 1.0) * 1.0}}, full({4}, 2.0) * 1.0}; };
  const auto values = [](const Array& array) { return support::doubles(array); };
  const auto step = jit([](const State& s, const Array& w, const Tree& params) {
    const Array grown = s.w + 1;
    return std::pair(State{Tree{{"a", s.params["a"].array() + 1}}, grown}, grown + w * 10 + params["a"].array() * 100);
  });
  State state = fresh();
  Array mixed;
  std::tie(state, mixed) = step(std::move(state), state.w, state.params);
  CHECK(values(state.w) == std::vector<double>(4, 3.0));
  CHECK(values(state.params["a"]) == std::vector<double>(4, 2.0));
  CHECK(values(mixed) == std::vector<double>(4, 123.0));

  const auto both = jit(
      [](const State& s, const State& t) { return std::pair(State{s.params, s.w + t.w}, State{t.params, t.w * 5}); });
  State twice = fresh();
  const auto [first, second] = both(std::move(twice), std::move(twice));  // NOLINT: that is the point
  CHECK(values(first.w) == std::vector<double>(4, 4.0));
  CHECK(values(second.w) == std::vector<double>(4, 10.0));
  CHECK(values(first.params["a"]) == std::vector<double>(4, 1.0));
  CHECK(values(second.params["a"]) == std::vector<double>(4, 1.0));
}

TEST_CASE("products of a few elements have the bits of those of many") {
  const auto product = jit([](const Array& a, const Array& b, const Array& at, const Array& bt) {
    return std::vector<Array>{dot(a, b), dot(transpose(at), b), dot(a, transpose(bt)),
                              dot(transpose(at), transpose(bt))};
  });
  for (const std::int64_t rows : {1, 2, 3, 8, 16, 17}) {
    for (const std::int64_t columns : {1, 2, 4, 5, 16, 33}) {
      for (const std::int64_t depth : {1, 2, 3, 8, 31}) {
        CAPTURE(rows);
        CAPTURE(columns);
        CAPTURE(depth);
        const Array a = random::normal(random::key(1), {rows, depth}),
                    b = random::normal(random::key(2), {depth, columns});
        const Array expected = dot(a, b);
        for (const Array& got : product(a, b, transpose(a), transpose(b))) CHECK(identical(got, expected));
        const std::vector<double> left = support::doubles(a), right = support::doubles(b),
                                  values = support::doubles(expected);
        double sum = 0.0;  // the last element
        for (std::int64_t k = 0; k < depth; ++k)
          sum += left[static_cast<std::size_t>((rows - 1) * depth + k)] *
                 right[static_cast<std::size_t>(k * columns + columns - 1)];
        CHECK(values.back() == doctest::Approx(sum).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("few elements are repeated and spread as many are") {
  const auto f = [](const Array& x, const Array& row, const Array& column, const Array& one) {
    return std::pair((x - row) * one + column, sum((x + column) * row, 0));
  };
  const auto plain = jit(f, {.disabled_passes = {"all"}});
  for (const std::int64_t rows : {1, 3, 16, 31, 33}) {
    for (const std::int64_t columns : {1, 2, 5, 16, 17, 32, 40}) {
      CAPTURE(rows);
      CAPTURE(columns);
      const Array x = random::normal(random::key(1), {rows, columns}), row = random::normal(random::key(2), {columns});
      const Array column = random::normal(random::key(3), {rows, 1}), one = random::normal(random::key(4), {});
      const auto compiled = jit(f);
      const auto got = compiled(x, row, column, one), expected = plain(x, row, column, one);
      CHECK(identical(got.first, expected.first));
      support::check_near(got.second, expected.second, 1e-5, 1e-5);
    }
  }
}

TEST_CASE("what several small steps repeat and spread is that of the same call, also where it is overwritten") {
  struct Pair {
    Array scale, x;
  };
  const auto f = [](const Pair& s, const Array& data) {
    const Array half = s.scale * 0.5;                   // spread over rows by three steps
    const Array first = sum(data * half + s.scale, 0);  // a step ends at each sum
    const Array second = sum(tanh(data) * half - first, 0);
    return std::pair(Pair{half + 1.0, s.x * half + mean(second)}, data * half * second);
  };
  const auto plain = jit(f, {.disabled_passes = {"all"}});
  for (const VectorSet set : {VectorSet::portable, VectorSet::avx2, VectorSet::avx512}) {
    for (const std::int64_t columns : {1, 4, 5, 17}) {
      CAPTURE(to_string(set));
      CAPTURE(columns);
      const auto compiled = jit(f, {.executor = Executor(1, set)});
      Pair state{random::normal(random::key(1), {columns}), random::normal(random::key(2), {columns})};
      Pair expected_state = state;
      for (int call = 0; call < 5; ++call) {
        const Array data = random::normal(random::key(static_cast<std::uint64_t>(call + 3)), {6, columns});
        auto got = compiled(std::move(state), data), expected = plain(expected_state, data);
        support::check_near(got.first.scale, expected.first.scale, 1e-6, 1e-5);
        support::check_near(got.first.x, expected.first.x, 1e-5, 1e-5);
        support::check_near(got.second, expected.second, 1e-5, 1e-5);
        state = std::move(got.first);
        expected_state = expected.first;
      }
    }
  }
}
