// Further distributions against JAX; what they refuse.
#include <linseed/random/distributions.hpp>

#include <doctest/doctest.h>

#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>
#include <linseed/transform/jit.hpp>

#include "random/golden_arrays.hpp"
#include "support.hpp"

using namespace linseed;
using golden::json;
using support::error_of;

namespace {

Array draw(const json& entry, const Array& key, const Shape& shape) {
  const std::string kind = entry.at("kind").get<std::string>();
  const auto number = [&](const char* name) { return golden::number<double>(entry.at(name)); };
  if (kind == "cauchy") return random::cauchy(key, shape);
  if (kind == "maxwell") return random::maxwell(key, shape);
  if (kind == "lognormal") return random::lognormal(key, number("sigma"), shape);
  if (kind == "rayleigh") return random::rayleigh(key, number("scale"), shape);
  if (kind == "pareto") return random::pareto(key, number("b"), shape);
  if (kind == "weibull_min") return random::weibull_min(key, number("scale"), number("concentration"), shape);
  if (kind == "triangular") return random::triangular(key, number("left"), number("mode"), number("right"), shape);
  REQUIRE(kind == "geometric");
  return random::geometric(key, number("p"), shape);
}

void compare(const Array& got, const json& expected) {
  if (!golden::is_summary(expected)) return support::check_near(got, support::array_of(expected), 2e-6);
  const std::vector<double> values = support::doubles(got), head = golden::head<double>(expected);
  CHECK(golden::shape(expected) == std::vector<std::int64_t>(got.shape().begin(), got.shape().end()));
  for (std::size_t i = 0; i < head.size(); ++i) CHECK(values[i] == doctest::Approx(head[i]).epsilon(2e-6));
  CHECK(values.back() == doctest::Approx(golden::last<double>(expected)).epsilon(2e-6));
}

}  // namespace

TEST_CASE("further distributions follow JAX, eager and compiled") {
  int tested = 0;
  for (const json& entry : golden::load("further_functions.json").cases()) {
    if (entry.at("kind") == "activation") continue;
    CAPTURE(entry.at("name").get<std::string>());
    const golden::Measured measured("jax.random." + entry.at("kind").get<std::string>());
    const Shape shape = golden::extents(entry.at("shape"));
    const Array key = golden::key_of(entry);
    compare(draw(entry, key, shape), entry.at("output"));
    compare(jit([&](const Array& k) { return draw(entry, k, shape); })(key), entry.at("output"));
    ++tested;
  }
  CHECK(tested == 170);
}

TEST_CASE("distributions refuse parameters out of their range") {
  const Array key = random::key(0);
  CHECK(error_of<ValueError>([&] { return random::pareto(key, 0.0, {2}); }) ==
        "[random::pareto] A parameter is out of its range.\n  got: 0\n  expected: b above 0");
  CHECK(error_of<ValueError>([&] { return random::rayleigh(key, -1.0, {2}); }) ==
        "[random::rayleigh] A parameter is out of its range.\n  got: -1\n  expected: a scale from 0");
  CHECK(error_of<ValueError>([&] { return random::lognormal(key, std::nan(""), {2}); }) ==
        "[random::lognormal] A parameter is out of its range.\n  got: nan\n  expected: a finite sigma");
  CHECK(error_of<ValueError>([&] { return random::weibull_min(key, 1.0, 0.0, {2}); }) ==
        "[random::weibull_min] A parameter is out of its range.\n  got: 0\n  expected: a concentration above 0");
  CHECK(error_of<ValueError>([&] { return random::triangular(key, 1.0, 0.5, 2.0, {2}); }) ==
        "[random::triangular] A parameter is out of its range.\n  got: 0.5\n  expected: a mode in [1, 2]");
  CHECK(error_of<ValueError>([&] { return random::geometric(key, 1.0, {2}); }) ==
        "[random::geometric] A parameter is out of its range.\n"
        "  got: 1\n"
        "  expected: a probability between 0 and 1");
}
