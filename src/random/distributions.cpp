#include <linseed/random/distributions.hpp>

#include <cmath>
#include <limits>
#include <string_view>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

namespace linseed::random {

namespace {

void require(bool holds, std::string_view function, double value, std::string_view expected) {
  if (std::isfinite(value) && holds) return;
  throw ValueError(function, "A parameter is out of its range.",
                   {.got = fmt::format("{}", value), .expected = std::string(expected)});
}

}  // namespace

Array cauchy(const Array& key, const Shape& shape, DType dtype) {
  const double epsilon = dtype == DType::float64 ? std::numeric_limits<double>::epsilon()
                                                 : static_cast<double>(std::numeric_limits<float>::epsilon());
  const Array angle = 3.141592653589793 * (uniform(key, shape, dtype, epsilon, 1.0) - 0.5);
  return sin(angle) / cos(angle);
}

Array lognormal(const Array& key, double sigma, const Shape& shape, DType dtype) {
  require(true, "random::lognormal", sigma, "a finite sigma");
  return exp(normal(key, shape, dtype) * sigma);
}

Array maxwell(const Array& key, const Shape& shape, DType dtype) {
  Shape triples = shape;
  triples.push_back(3);
  return sqrt(sum(square(normal(key, triples, dtype)), -1));
}

Array rayleigh(const Array& key, double scale, const Shape& shape, DType dtype) {
  require(scale >= 0.0, "random::rayleigh", scale, "a scale from 0");
  return scale * sqrt(-2.0 * log(uniform(key, shape, dtype)));
}

Array pareto(const Array& key, double b, const Shape& shape, DType dtype) {
  require(b > 0.0, "random::pareto", b, "b above 0");
  return exp(exponential(key, shape, dtype) / b);
}

Array weibull_min(const Array& key, double scale, double concentration, const Shape& shape, DType dtype) {
  require(true, "random::weibull_min", scale, "a finite scale");
  require(concentration > 0.0, "random::weibull_min", concentration, "a concentration above 0");
  return pow(exponential(key, shape, dtype), 1.0 / concentration) * scale;
}

Array triangular(const Array& key, double left, double mode, double right, const Shape& shape, DType dtype) {
  require(left < right, "random::triangular", left, fmt::format("left below right, which is {}", right));
  require(left <= mode && mode <= right, "random::triangular", mode, fmt::format("a mode in [{}, {}]", left, right));
  require(true, "random::triangular", right, "a finite right end");
  const Array u = uniform(key, shape, dtype);
  const double width = right - left;
  const Array rising = left + sqrt(u * width * (mode - left));
  const Array falling = right - sqrt((1.0 - u) * width * (right - mode));
  return where(u < (mode - left) / width, rising, falling);
}

Array double_sided_maxwell(const Array& key, double loc, double scale, const Shape& shape, DType dtype) {
  require(true, "random::double_sided_maxwell", loc, "a finite location");
  require(true, "random::double_sided_maxwell", scale, "a finite scale");
  const auto [maxwell_key, sign_key] = split<2>(key);
  return rademacher(sign_key, shape, dtype) * maxwell(maxwell_key, shape, dtype) * scale + loc;
}

Array wald(const Array& key, double mean, const Shape& shape, DType dtype) {
  require(mean > 0.0, "random::wald", mean, "a mean above 0");
  const auto [normal_key, uniform_key] = split<2>(key);
  const Array y = square(normal(normal_key, shape, dtype));
  const double squared = mean * mean;
  const Array root = sqrt(4.0 * mean * y + squared * square(y));
  const Array x = mean + squared * y / 2.0 - mean / 2.0 * root;
  return where(uniform(uniform_key, shape, dtype) <= mean / (mean + x), x, squared / x);
}

Array geometric(const Array& key, double p, const Shape& shape) {
  require(p > 0.0 && p < 1.0, "random::geometric", p, "a probability between 0 and 1");
  const Array u = uniform(key, shape);
  // As in JAX a 0, of which there is no logarithm, counts as 1.
  const Array trials = floor(log(where(u == 0, 1.0, u)) / log1p(-Array(p))) + 1.0;
  return astype(trials, DType::int32);
}

}  // namespace linseed::random
