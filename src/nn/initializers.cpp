#include <linseed/nn/initializers.hpp>

#include <algorithm>
#include <cmath>
#include <ostream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

#include "ops/random.hpp"

namespace linseed::nn {

Initializer::Initializer(const Initializer&) noexcept = default;
Initializer& Initializer::operator=(const Initializer&) noexcept = default;
Initializer::~Initializer() = default;

Initializer::Initializer(std::string description, Function function)
    : state_(std::make_shared<const State>(State{std::move(description), std::move(function)})) {}

Array Initializer::operator()(const Array& key, const Shape& shape, DType dtype) const {
  Array values = state_->function(key, shape, dtype);
  if (!(values.shape() == shape)) {
    throw ShapeError("initializer", fmt::format("{} gave another shape than it was asked for.", to_string(*this)),
                     {.got = describe(values), .expected = describe(dtype, shape)});
  }
  if (values.dtype() != dtype) {
    throw DTypeError("initializer", fmt::format("{} gave another dtype than it was asked for.", to_string(*this)),
                     {.got = describe(values), .expected = describe(dtype, shape)});
  }
  return values;
}

bool operator==(const Initializer& a, const Initializer& b) noexcept {
  return a.state_ == b.state_ || (!a.state_->description.empty() && a.state_->description == b.state_->description);
}

std::string to_string(const Initializer& initializer) {
  return initializer.state_->description.empty() ? "custom" : initializer.state_->description;
}

std::ostream& operator<<(std::ostream& stream, const Initializer& initializer) {
  return stream << to_string(initializer);
}

namespace initializers {

namespace {

std::string_view name_of(Fan fan) {
  switch (fan) {
    case Fan::in: return "fan_in";
    case Fan::out: return "fan_out";
    case Fan::average: return "fan_avg";
    case Fan::geometric_average: break;
  }
  return "fan_geo_avg";
}

std::string_view name_of(Distribution distribution) {
  switch (distribution) {
    case Distribution::truncated_normal: return "truncated_normal";
    case Distribution::normal: return "normal";
    case Distribution::uniform: break;
  }
  return "uniform";
}

void require_matrix(std::string_view name, const Shape& shape) {
  if (shape.rank() >= 2) return;
  throw ValueError(name, "The shape needs at least two axes, for inputs and outputs.",
                   {.got = to_string(shape), .hint = "for a vector, such as a bias, use zeros, constant or normal"});
}

// How many numbers a unit sums or feeds, divided in the order in which Flax does.
double fan_of(std::string_view name, const Shape& shape, Fan fan, const FanAxes& axes) {
  require_matrix(name, shape);
  if (shape.elements() == 0) {
    throw ValueError(name, "A shape without elements has no inputs or outputs to scale by.", {.got = to_string(shape)});
  }
  const auto count = [&](const std::vector<int>& counted) {
    double product = 1.0;
    for (const int axis : counted) {
      product *= static_cast<double>(shape[static_cast<std::size_t>(normalize_axis(axis, shape.rank(), name))]);
    }
    return product;
  };
  const double inputs = count(axes.in_axis), outputs = count(axes.out_axis);
  const double window = static_cast<double>(shape.elements()) / inputs / outputs / count(axes.batch_axis);
  const double fan_in = inputs * window, fan_out = outputs * window;
  switch (fan) {
    case Fan::in: return fan_in;
    case Fan::out: return fan_out;
    case Fan::average: return (fan_in + fan_out) / 2;
    case Fan::geometric_average: break;
  }
  return std::sqrt(fan_in * fan_out);
}

// Draws times a factor, each step rounded to T, as Flax's eager arithmetic does.
template <class T>
Array draw_scaled(const Array& key, const Shape& shape, DType dtype, Distribution distribution, double exact_variance) {
  constexpr T stddev_within_two = static_cast<T>(0.87962566103423978L);  // of a standard normal cut at two
  const T variance = static_cast<T>(exact_variance);
  switch (distribution) {
    case Distribution::truncated_normal:
      return random::truncated_normal(key, -2, 2, shape, dtype) * (std::sqrt(variance) / stddev_within_two);
    case Distribution::normal: return random::normal(key, shape, dtype) * std::sqrt(variance);
    case Distribution::uniform: break;
  }
  return random::uniform(key, shape, dtype, -1) * std::sqrt(T{3} * variance);
}

Initializer scaled(const std::string& name, double scale, Fan fan, Distribution distribution,
                   const FanAxes& axes = {}) {
  return Initializer::described(name, [=](const Array& key, const Shape& shape, DType dtype) {
    const double variance = scale / fan_of(name, shape, fan, axes);
    return dtype == DType::float64 ? draw_scaled<double>(key, shape, dtype, distribution, variance)
                                   : draw_scaled<float>(key, shape, dtype, distribution, variance);
  });
}

}  // namespace

Initializer zeros() {
  return Initializer::described(
      "zeros", [](const Array&, const Shape& shape, DType dtype) { return linseed::zeros(shape, dtype); });
}

Initializer ones() {
  return Initializer::described(
      "ones", [](const Array&, const Shape& shape, DType dtype) { return linseed::ones(shape, dtype); });
}

Initializer constant(double value) {
  return Initializer::described(fmt::format("constant({})", value), [=](const Array&, const Shape& shape, DType dtype) {
    return full(shape, value, dtype);
  });
}

Initializer uniform(double scale) {
  return Initializer::described(
      fmt::format("uniform({})", scale),
      [=](const Array& key, const Shape& shape, DType dtype) { return random::uniform(key, shape, dtype) * scale; });
}

Initializer normal(double stddev) {
  return Initializer::described(
      fmt::format("normal({})", stddev),
      [=](const Array& key, const Shape& shape, DType dtype) { return random::normal(key, shape, dtype) * stddev; });
}

Initializer truncated_normal(double stddev, double lower, double upper) {
  if (!(lower < upper)) {
    throw ValueError("truncated_normal", "The lower bound is not below the upper one.",
                     {.got = fmt::format("({}, {})", lower, upper)});
  }
  return Initializer::described(fmt::format("truncated_normal({}, {}, {})", stddev, lower, upper),
                                [=](const Array& key, const Shape& shape, DType dtype) {
                                  return random::truncated_normal(key, lower, upper, shape, dtype) * stddev;
                                });
}

Initializer variance_scaling(double scale, Fan fan, Distribution distribution, const FanAxes& axes) {
  if (!(scale >= 0.0 && std::isfinite(scale))) {
    throw ValueError("variance_scaling", "The scale must be finite and not negative.",
                     {.got = fmt::format("{}", scale)});
  }
  std::string name = fmt::format("variance_scaling({}, {}, {}", scale, name_of(fan), name_of(distribution));
  const FanAxes usual;
  if (axes.in_axis != usual.in_axis) name += fmt::format(", in_axis=[{}]", fmt::join(axes.in_axis, ", "));
  if (axes.out_axis != usual.out_axis) name += fmt::format(", out_axis=[{}]", fmt::join(axes.out_axis, ", "));
  if (axes.batch_axis != usual.batch_axis) name += fmt::format(", batch_axis=[{}]", fmt::join(axes.batch_axis, ", "));
  return scaled(name + ")", scale, fan, distribution, axes);
}

Initializer lecun_normal() { return scaled("lecun_normal", 1.0, Fan::in, Distribution::truncated_normal); }
Initializer lecun_uniform() { return scaled("lecun_uniform", 1.0, Fan::in, Distribution::uniform); }
Initializer glorot_normal() { return scaled("glorot_normal", 1.0, Fan::average, Distribution::truncated_normal); }
Initializer glorot_uniform() { return scaled("glorot_uniform", 1.0, Fan::average, Distribution::uniform); }
Initializer he_normal() { return scaled("he_normal", 2.0, Fan::in, Distribution::truncated_normal); }
Initializer he_uniform() { return scaled("he_uniform", 2.0, Fan::in, Distribution::uniform); }

Initializer orthogonal(double scale) {
  return Initializer::described(
      fmt::format("orthogonal({})", scale), [=](const Array& key, const Shape& shape, DType dtype) {
        require_matrix("orthogonal", shape);
        if (shape.elements() == 0) return linseed::zeros(shape, dtype);
        const std::int64_t columns = shape.back(), rows = shape.elements() / columns;
        const Array draw = random::normal(key, {std::max(rows, columns), std::min(rows, columns)}, dtype);
        const Array q = apply_op(ops::random_orthogonal, {draw});
        return reshape(rows < columns ? transpose(q) : q, shape) * scale;
      });
}

Initializer delta_orthogonal(double scale) {
  return Initializer::described(
      fmt::format("delta_orthogonal({})", scale), [=](const Array& key, const Shape& shape, DType dtype) {
        if (shape.rank() < 3 || shape.rank() > 5) {
          throw ValueError("delta_orthogonal", "The shape must be that of a convolution's kernel.",
                           {.got = to_string(shape), .expected = "(spatial..., in, out) with 1 to 3 spatial axes"});
        }
        const std::int64_t inputs = shape[shape.size() - 2], outputs = shape.back();
        if (inputs > outputs) {
          throw ValueError("delta_orthogonal", "There are more inputs than outputs.", {.got = to_string(shape)});
        }
        Array kernel = orthogonal(scale)(key, {inputs, outputs}, dtype);
        std::vector<std::pair<std::int64_t, std::int64_t>> around;
        for (std::size_t axis = 0; axis + 2 < shape.size(); ++axis) {
          const std::int64_t centre = (shape[axis] - 1) / 2;
          around.emplace_back(centre, shape[axis] - 1 - centre);
          kernel = expand_dims(kernel, 0);
        }
        around.resize(shape.size(), {0, 0});
        return pad(kernel, around);
      });
}

}  // namespace initializers
}  // namespace linseed::nn
