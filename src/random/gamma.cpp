#include <linseed/random/gamma.hpp>

#include <cmath>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

#include "ops/random.hpp"

namespace linseed::random {

namespace {

void require_positive(std::string_view function, double value) {
  if (std::isfinite(value) && value > 0.0) return;
  throw ValueError(function, "A parameter is out of its range.",
                   {.got = fmt::format("{}", value), .expected = "a finite number above 0"});
}

// The parameter in the dtype of the draw.
Array parameter(std::string_view function, const ArrayLike& value, DType dtype) {
  if (!is_floating(dtype)) {
    throw DTypeError(function, "The numbers drawn are floating-point.",
                     {.got = std::string(to_string(dtype)), .expected = "float32 or float64"});
  }
  const Array result = astype(value.beside(dtype), dtype);
  if (value.is_number()) require_positive(function, result.item<double>());
  return result;
}

Shape shape_of_draws(std::string_view function, const Shape& parameters, const std::optional<Shape>& shape) {
  if (!shape || broadcast_shapes(*shape, parameters, function) == *shape) return shape.value_or(parameters);
  throw ShapeError(function, "The parameters do not broadcast to the shape asked for.",
                   {.got = to_string(parameters), .expected = to_string(*shape)});
}

Array draw(const Op& op, const Array& key, const Array& a, const Shape& shape) {
  return apply_op(op, {key, broadcast_to(a, shape)});
}

Array draw_loggamma(const Array& key, const Array& a, const Shape& shape) {
  return draw(ops::random_loggamma, key, a, shape);
}

Array draw_chisquare(const Array& key, const Array& df, const Shape& shape) {
  return exp(draw_loggamma(key, df / 2, shape)) * 2;
}

}  // namespace

Array gamma(const Array& key, const ArrayLike& a, const std::optional<Shape>& shape, DType dtype) {
  const Array value = parameter("random::gamma", a, dtype);
  return draw(ops::random_gamma, key, value, shape_of_draws("random::gamma", value.shape(), shape));
}

Array loggamma(const Array& key, const ArrayLike& a, const std::optional<Shape>& shape, DType dtype) {
  const Array value = parameter("random::loggamma", a, dtype);
  return draw_loggamma(key, value, shape_of_draws("random::loggamma", value.shape(), shape));
}

Array beta(const Array& key, const ArrayLike& a, const ArrayLike& b, const std::optional<Shape>& shape, DType dtype) {
  constexpr std::string_view name = "random::beta";
  const Array first = parameter(name, a, dtype), second = parameter(name, b, dtype);
  const Shape draws = shape_of_draws(name, broadcast_shapes(first.shape(), second.shape(), name), shape);
  const auto [first_key, second_key] = split<2>(key);
  const Array x = draw_loggamma(first_key, first, draws), y = draw_loggamma(second_key, second, draws);
  // The larger one becomes 1, so that neither runs out.
  const Array larger = maximum(x, y);
  const Array scaled = exp(x - larger);
  return scaled / (scaled + exp(y - larger));
}

Array dirichlet(const Array& key, const Array& alpha, const std::optional<Shape>& shape, DType dtype) {
  constexpr std::string_view name = "random::dirichlet";
  const Array value = parameter(name, alpha, dtype);
  if (value.rank() == 0) {
    throw ShapeError(name, "alpha needs an axis: one number for each of those that add up to 1.",
                     {.got = to_string(value.shape()), .expected = "(..., n)"});
  }
  const Shape rows(value.shape().begin(), value.shape().end() - 1);
  Shape draws = shape_of_draws(name, rows, shape);
  draws.push_back(value.extent(-1));
  const Array x = draw_loggamma(key, value, draws);
  const Array unnormalized = exp(x - max(x, -1, /*keepdims=*/true));
  return unnormalized / sum(unnormalized, -1, /*keepdims=*/true);
}

Array chisquare(const Array& key, const ArrayLike& df, const std::optional<Shape>& shape, DType dtype) {
  const Array value = parameter("random::chisquare", df, dtype);
  return draw_chisquare(key, value, shape_of_draws("random::chisquare", value.shape(), shape));
}

Array t(const Array& key, const ArrayLike& df, const std::optional<Shape>& shape, DType dtype) {
  const Array value = parameter("random::t", df, dtype);
  const Shape draws = shape_of_draws("random::t", value.shape(), shape);
  const auto [normal_key, gamma_key] = split<2>(key);
  const Array half = value / 2;
  return normal(normal_key, draws, dtype) * sqrt(half / draw(ops::random_gamma, gamma_key, half, draws));
}

Array f(const Array& key, const ArrayLike& dfnum, const ArrayLike& dfden, const std::optional<Shape>& shape,
        DType dtype) {
  constexpr std::string_view name = "random::f";
  const Array upper = parameter(name, dfnum, dtype), lower = parameter(name, dfden, dtype);
  const Shape draws = shape_of_draws(name, broadcast_shapes(upper.shape(), lower.shape(), name), shape);
  const auto [lower_key, upper_key] = split<2>(key);
  return (draw_chisquare(upper_key, upper, draws) / upper) / (draw_chisquare(lower_key, lower, draws) / lower);
}

Array generalized_normal(const Array& key, double p, const Shape& shape, DType dtype) {
  require_positive("random::generalized_normal", p);
  const auto [gamma_key, sign_key] = split<2>(key);
  return rademacher(sign_key, shape, dtype) * pow(gamma(gamma_key, 1.0 / p, shape, dtype), 1.0 / p);
}

Array ball(const Array& key, std::int64_t d, double p, const Shape& shape, DType dtype) {
  require_positive("random::ball", p);
  if (d < 0) throw ValueError("random::ball", "The number of dimensions is negative.", {.got = fmt::format("{}", d)});
  const auto [point_key, depth_key] = split<2>(key);
  Shape points = shape;
  points.push_back(d);
  const Array g = generalized_normal(point_key, p, points, dtype);
  const Array length = pow(sum(pow(abs(g), p), -1) + exponential(depth_key, shape, dtype), 1.0 / p);
  return g / expand_dims(length, -1);
}

}  // namespace linseed::random
