#include "compile/launch.hpp"

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "support.hpp"

using namespace linseed;

namespace {

const void* address(const Array& array) { return array.data<float>().data(); }

std::size_t count(const std::string& text, std::string_view word) {
  std::size_t result = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++result;
  return result;
}

/// Parameters of several sizes, none of which is a whole number of tasks or vectors, and their traces.
struct State {
  std::vector<Array> params, traces;
};

std::vector<Array> leaves_of(std::uint64_t seed) {
  std::vector<Array> result;
  for (const std::int64_t rows : {37, 500, 8, 301, 64})
    result.push_back(random::normal(random::key(seed++), {rows, 101}) * 1.0);
  return result;
}

State momentum(const State& state, const std::vector<Array>& gradients) {
  State next;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    next.traces.push_back(0.9 * state.traces[i] + gradients[i]);
    next.params.push_back(state.params[i] - 0.125 * next.traces[i]);
  }
  return next;
}

}  // namespace

TEST_CASE("the updates of many parameters are one launch, in place, with the same bits on any number of threads") {
  const std::vector<Array> gradients = leaves_of(1);
  const State expected = momentum(momentum({leaves_of(11), leaves_of(21)}, gradients), gradients);
  std::vector<State> results;
  for (const int threads : {1, 2, 3, 4, 8}) {
    CAPTURE(threads);
    const auto step = jit([](const State& s, const std::vector<Array>& g) { return momentum(s, g); },
                          {.executor = Executor(threads)});
    State state{leaves_of(11), leaves_of(21)};
    std::vector<const void*> before;
    for (const auto* arrays : {&state.params, &state.traces}) {
      for (const Array& array : *arrays) before.push_back(address(array));
    }
    for (int call = 0; call < 2; ++call) state = step(std::move(state), gradients);
    std::vector<const void*> after;
    for (const auto* arrays : {&state.params, &state.traces}) {
      for (const Array& array : *arrays) after.push_back(address(array));
    }
    CHECK(before == after);
    const std::string text = step.explain();
    INFO(text);
    CHECK(count(text, "launch of 9 tasks") == 1);  // of 2^14 elements each: 1 + 4 + 1 + 2 + 1
    CHECK(count(text, " |  %") == 5);
    CHECK(count(step.profile(state, gradients), "ms |") == 5);
    results.push_back(std::move(state));
  }
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    support::check_near(results[0].params[i], expected.params[i], 1e-6, 1e-6);
    support::check_near(results[0].traces[i], expected.traces[i], 1e-6, 1e-6);
    for (const State& other : results) {
      CHECK(identical(other.params[i], results[0].params[i]));
      CHECK(identical(other.traces[i], results[0].traces[i]));
    }
  }
}

TEST_CASE("sums in a launch are complete") {
  const auto f = [](const std::vector<Array>& arrays) {
    std::vector<Array> sums;
    for (const Array& array : arrays) sums.push_back(sum(array * array, 0));
    return sums;
  };
  const std::vector<Array> arrays = leaves_of(5);
  std::vector<std::vector<Array>> results;
  for (const int threads : {1, 2, 5}) {
    const auto compiled = jit(f, {.executor = Executor(threads)});
    results.push_back(compiled(arrays));
    CHECK(count(compiled.explain(), "launch of") == 1);
  }
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const std::int64_t columns = arrays[i].extent(1);
    std::vector<double> totals(static_cast<std::size_t>(columns));
    const auto values = arrays[i].data<float>();
    for (std::size_t k = 0; k < values.size(); ++k)
      totals[k % totals.size()] += static_cast<double>(values[k]) * static_cast<double>(values[k]);
    const std::vector<float> rounded(totals.begin(), totals.end());
    support::check_near(results[0][i], Array::from(rounded, {columns}), 1e-5, 1e-5);
    for (const auto& other : results) CHECK(identical(other[i], results[0][i]));
  }
}

TEST_CASE("groups of which one needs the other's result come one after the other") {
  const auto f = [](const Array& x, const Array& y) {
    const Array first = x * 2.0 + y;
    const Array total = sum(first);       // known after all of the first group
    return std::tuple(first, y / total);  // so the second one waits
  };
  const auto compiled = jit(f, {.executor = Executor(2)});
  const Array x = random::uniform(random::key(1), {300, 200}), y = random::uniform(random::key(2), {300, 200});
  const auto got = compiled(x, y), expected = f(x, y);
  CHECK(count(compiled.explain(), "launch of") == 0);
  CHECK(identical(std::get<0>(got), std::get<0>(expected)));
  support::check_near(std::get<1>(got), std::get<1>(expected), 1e-9, 1e-5);
}

TEST_CASE("an update waits for those who read what it writes over") {
  struct Pair {
    Array a, b;
  };
  const auto f = [](const Pair& s, const Pair& x) {
    const Array a = s.a * 0.5 + x.a;
    const Array product = matmul(a, s.b);  // reads b, after a is there
    return std::pair(Pair{a, s.b * 0.5 + x.b}, product);
  };
  const auto made = [](std::uint64_t seed) {
    return Pair{random::normal(random::key(seed), {160, 160}) * 1.0,
                random::normal(random::key(seed), {160, 170}) * 1.0};
  };
  const auto step = jit(f, {.executor = Executor(2)});
  Pair state = made(1);
  const void *const a = address(state.a), *const b = address(state.b);
  const auto [next, product] = step(std::move(state), made(2));
  const auto [expected, expected_product] = f(made(1), made(2));
  CHECK(address(next.a) == a);
  CHECK(address(next.b) == b);
  CHECK(identical(next.a, expected.a));
  CHECK(identical(next.b, expected.b));
  support::check_near(product, expected_product, 1e-3, 1e-5);
}
