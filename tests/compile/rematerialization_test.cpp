#include "compile/rematerialization.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "compile/compile.hpp"
#include "program/program.hpp"

using namespace linseed;

namespace {

using Arrays = std::vector<Array>;
using Function = Arrays (*)(const Arrays&);

/// The values of a dtype and shape that kernels store.
std::int64_t stored(const Function& f, const Arrays& inputs, const Array& like, const std::string& without = "") {
  const Program program = make_program(f, inputs);
  std::vector<std::string> disabled;
  if (!without.empty()) disabled.push_back(without);
  const auto compiled = compile::compile(program, {.disabled_passes = disabled});
  std::int64_t count = 0;
  for (const compile::Step& step : compiled->plan.steps()) {
    count += std::count_if(step.results.begin(), step.results.end(), [&](int value) {
      const Abstract& type = compiled->plan.program().nodes[static_cast<std::size_t>(value)].result;
      return type.shape == like.shape() && type.dtype == like.dtype();
    });
  }
  return count;
}

/// Whether a function gives the same bytes whatever is computed again, on any number of threads.
bool keeps_its_bits(const Function& f, const Arrays& inputs) {
  const Arrays expected = jit(f, {.executor = Executor(1), .disabled_passes = {"rematerialization"}})(inputs);
  for (const int threads : {1, 2, 3}) {
    const Arrays got = jit(f, {.executor = Executor(threads)})(inputs);
    if (got.size() != expected.size()) return false;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      if (!identical(got[i], expected[i])) return false;
    }
  }
  return true;
}

const Array& large() {
  static const Array x = random::normal(random::key(0), {600, 512});
  return x;
}
const Array& columns() {
  static const Array scale = random::normal(random::key(1), {512});
  return scale;
}

}  // namespace

TEST_CASE("a value a cheap step away from one that is stored anyway is not stored") {
  const Function f = [](const Arrays& in) -> Arrays {
    const Array slow = sin(in[0]), scaled = -(slow * in[1]);
    const Array total = sum(scaled * in[0], 0);
    return {slow - total, sum(abs(scaled - total), 0)};  // both are read again when the sum is there
  };
  const Arrays inputs{large(), columns()};
  CHECK(stored(f, inputs, large()) == 2);  // slow and the first result
  CHECK(stored(f, inputs, large(), "rematerialization") == 3);
  CHECK(keeps_its_bits(f, inputs));
}

TEST_CASE("values are stored where computing them again would cost more") {
  const Arrays inputs{large(), columns()};
  SUBCASE("the caller wants it") {
    const Function f = [](const Arrays& in) -> Arrays {
      const Array slow = sin(in[0]), scaled = slow * in[1];
      const Array total = sum(scaled * in[0], 0);
      return {slow - total, scaled, scaled * total};
    };
    CHECK(stored(f, inputs, large()) == 4);
    CHECK(keeps_its_bits(f, inputs));
  }
  SUBCASE("it takes two arrays") {
    const Function f = [](const Arrays& in) -> Arrays {
      const Array slow = sin(in[0]), other = cos(in[0]), both = slow * other;
      const Array total = sum(both * in[0], 0);
      return {slow - total, other - total, sum(abs(both - total), 0)};
    };
    CHECK(stored(f, inputs, large()) == stored(f, inputs, large(), "rematerialization"));
    CHECK(keeps_its_bits(f, inputs));
  }
  SUBCASE("the way is long") {
    const Function f = [](const Arrays& in) -> Arrays {
      const Array slow = sin(in[0]), far = exp(slow * in[1]) / (1 + square(slow));
      const Array total = sum(far * in[0], 0);
      return {slow - total, sum(abs(far - total), 0)};
    };
    CHECK(stored(f, inputs, large()) == stored(f, inputs, large(), "rematerialization"));
    CHECK(keeps_its_bits(f, inputs));
  }
  SUBCASE("a kernel of another kind reads it") {
    const Function f = [](const Arrays& in) -> Arrays {
      const Array slow = sin(in[0]), scaled = slow * in[1];
      const Array total = sum(scaled * in[0], 0);
      return {slow - total, matmul(scaled, expand_dims(total, 1))};
    };
    CHECK(stored(f, inputs, large()) == stored(f, inputs, large(), "rematerialization"));
    CHECK(keeps_its_bits(f, inputs));
  }
}

TEST_CASE("what decides between two values is found again by comparing") {
  const Function f = [](const Arrays& in) -> Arrays {
    const Array y = in[0] * in[1];
    const Array positive = y > 0, total = sum(where(positive, y, 0.1 * y), 0);
    return {where(positive, in[0] - total, total * in[0])};
  };
  const Arrays inputs{large(), columns()};
  const Array mask = large() > 0;
  CHECK(stored(f, inputs, mask) == 0);
  CHECK(stored(f, inputs, mask, "rematerialization") == 1);
  CHECK(keeps_its_bits(f, inputs));

  const Function reads_nothing_else = [](const Arrays& in) -> Arrays {
    const Array y = in[0] * in[1];
    const Array positive = y > 0, total = sum(where(positive, y, 0.1 * y), 0);
    return {where(positive, -total, total)};
  };
  CHECK(stored(reads_nothing_else, inputs, mask) == 1);
  CHECK(keeps_its_bits(reads_nothing_else, inputs));
}
