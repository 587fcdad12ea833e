// Distributions made of gamma draws against JAX; what they refuse; that they are what they say.
#include <linseed/random/gamma.hpp>

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/distributions.hpp>
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
  if (kind == "gamma") return random::gamma(key, number("a"), shape);
  if (kind == "loggamma") return random::loggamma(key, number("a"), shape);
  if (kind == "beta") return random::beta(key, number("a"), number("b"), shape);
  if (kind == "chisquare") return random::chisquare(key, number("df"), shape);
  if (kind == "t") return random::t(key, number("df"), shape);
  if (kind == "f") return random::f(key, number("dfnum"), number("dfden"), shape);
  if (kind == "generalized_normal") return random::generalized_normal(key, number("p"), shape);
  if (kind == "double_sided_maxwell") return random::double_sided_maxwell(key, number("loc"), number("scale"), shape);
  if (kind == "wald") return random::wald(key, number("mean"), shape);
  REQUIRE(kind == "ball");
  return random::ball(key, shape[shape.size() - 1], number("p"), Shape(shape.begin(), shape.end() - 1));
}

Array draw_with_arrays(const json& entry, const Array& key) {
  const std::string fn = entry.at("fn").get<std::string>();
  const auto parameter = [&](const char* name) { return support::array_of(entry.at("parameters").at(name)); };
  std::optional<Shape> shape;
  if (!entry.at("shape").is_null()) shape = golden::extents(entry.at("shape"));
  if (fn == "gamma") return random::gamma(key, parameter("a"), shape);
  if (fn == "loggamma") return random::loggamma(key, parameter("a"), shape);
  if (fn == "beta") return random::beta(key, parameter("a"), parameter("b"), shape);
  if (fn == "dirichlet") return random::dirichlet(key, parameter("alpha"), shape);
  if (fn == "chisquare") return random::chisquare(key, parameter("df"), shape);
  if (fn == "t") return random::t(key, parameter("df"), shape);
  REQUIRE(fn == "f");
  return random::f(key, parameter("dfnum"), parameter("dfden"), shape);
}

// Logarithms of numbers near 1 come near 0: absolute there.
void compare(const Array& got, const json& expected) {
  if (!golden::is_summary(expected)) return support::check_near(got, support::array_of(expected), 1e-5, 1e-6);
  const std::vector<double> values = support::doubles(got), head = golden::head<double>(expected);
  CHECK(golden::shape(expected) == std::vector<std::int64_t>(got.shape().begin(), got.shape().end()));
  const auto near = [](double a, double b) { return std::fabs(a - b) <= std::max(1e-6, 1e-5 * std::fabs(b)); };
  for (std::size_t i = 0; i < head.size(); ++i) CHECK(near(values[i], head[i]));
  CHECK(near(values.back(), golden::last<double>(expected)));
  double total = 0.0, magnitude = 0.0;
  for (const double value : values) {
    total += value;
    magnitude += std::fabs(value);
  }
  CHECK(std::fabs(total - golden::sum(expected)) <= 1e-5 * magnitude);
}

}  // namespace

TEST_CASE("gamma draws and what is made of them follow JAX, eager and compiled") {
  for (const json& entry : golden::load("gamma.json").cases()) {
    CAPTURE(entry.at("name").get<std::string>());
    const bool arrays = entry.at("kind") == "arrays";
    const golden::Measured measured("jax.random." + entry.at(arrays ? "fn" : "kind").get<std::string>());
    const Array key = golden::key_of(entry);
    const auto call = [&](const Array& k) {
      return arrays ? draw_with_arrays(entry, k) : draw(entry, k, golden::extents(entry.at("shape")));
    };
    compare(call(key), entry.at("output"));
    compare(jit(call)(key), entry.at("output"));
  }
}

TEST_CASE("gamma draws in float64 have the mean and the variance of their distribution") {
  // Both are a; their standard errors with n draws are sqrt(a / n) and sqrt((2 a^2 + 6 a) / n).
  constexpr double count = 200000;
  for (const double a : {0.3, 1.0, 4.5}) {
    CAPTURE(a);
    const Array x = random::gamma(random::key(5), a, Shape{static_cast<std::int64_t>(count)}, float64);
    REQUIRE(x.dtype() == float64);
    const double mean_of = mean(x).item<double>(), variance = mean(square(x - mean_of)).item<double>();
    CHECK(std::fabs(mean_of - a) < 5.0 * std::sqrt(a / count));
    CHECK(std::fabs(variance - a) < 5.0 * std::sqrt((2.0 * a * a + 6.0 * a) / count));
  }
}

TEST_CASE("draws end, too, for elements that have no gamma distribution") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const Array a{0.0F, -0.5F, -2.0F / 3.0F, -2.0F, std::numeric_limits<float>::quiet_NaN(), infinity, -infinity};
  const std::vector<double> x = support::doubles(random::gamma(random::key(0), a));
  CHECK(x[0] == 0.0);
  CHECK(std::isnan(x[3]));
  CHECK(std::isnan(x[4]));
}

TEST_CASE("gamma distributions refuse what does not fit") {
  const Array key = random::key(0);
  CHECK(error_of<ValueError>([&] { return random::gamma(key, 0.0, Shape{2}); }) ==
        "[random::gamma] A parameter is out of its range.\n  got: 0\n  expected: a finite number above 0");
  CHECK(error_of<ValueError>([&] { return random::beta(key, 1.0, std::nan(""), Shape{2}); }) ==
        "[random::beta] A parameter is out of its range.\n  got: nan\n  expected: a finite number above 0");
  CHECK(error_of<ShapeError>([&] { return random::chisquare(key, ones({3}), Shape{2}); }).find("random::chisquare") !=
        std::string::npos);
  CHECK(error_of<ShapeError>([&] { return random::gamma(key, ones({3}), Shape{}); }) ==
        "[random::gamma] The parameters do not broadcast to the shape asked for.\n  got: (3,)\n  expected: ()");
  CHECK(error_of<ShapeError>([&] { return random::dirichlet(key, ones({})); }) ==
        "[random::dirichlet] alpha needs an axis: one number for each of those that add up to 1.\n"
        "  got: ()\n"
        "  expected: (..., n)");
  CHECK(error_of<DTypeError>([&] { return random::t(key, 2.0, Shape{2}, int32); }) ==
        "[random::t] The numbers drawn are floating-point.\n  got: int32\n  expected: float32 or float64");
  CHECK(error_of<DTypeError>([&] { return random::gamma(ones({2}), 2.0, Shape{2}); }).find("A key is an Array") !=
        std::string::npos);
  CHECK(error_of<ValueError>([&] { return random::ball(key, -1); }) ==
        "[random::ball] The number of dimensions is negative.\n  got: -1");
  CHECK(error_of<ValueError>([&] { return random::wald(key, 0.0, {2}); }) ==
        "[random::wald] A parameter is out of its range.\n  got: 0\n  expected: a mean above 0");
}
