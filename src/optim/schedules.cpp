#include <linseed/optim/schedules.hpp>

#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>

namespace linseed::optim {

namespace {

Array as_float(const Array& count) { return astype(count, DType::float32); }

// A C++ whole number as the double in which Python's would be exact.
double whole(std::int64_t number) { return static_cast<double>(number); }

void require_positive(std::string_view op, std::string_view name, std::int64_t value) {
  if (value > 0) return;
  throw ValueError(op, fmt::format("{} must be positive.", name), {.got = std::to_string(value)});
}

void require_factors(std::string_view op, const std::map<std::int64_t, double>& boundaries_and_scales) {
  for (const auto& [boundary, scale] : boundaries_and_scales) {
    require_finite(op, "A factor", scale);
    if (scale >= 0.0) continue;
    throw ValueError(op, "Factors must not be negative.", {.got = fmt::format("{} at {}", scale, boundary)});
  }
}

}  // namespace

Schedule Schedule::constant(const Scalar& value) {
  require_finite("schedule", "The value", value);
  Schedule result(value.description(), Function());
  result.constant_ = value;
  return result;
}

Array Schedule::operator()(const ArrayLike& count) const {
  if (!function_) return constant_.as(DType::float32);
  Array value = function_(count.array());
  if (value.rank() != 0) {
    throw ShapeError("schedule", "A schedule gives a scalar.", {.got = describe(value), .expected = "float32[]"});
  }
  return value;
}

Schedule constant_schedule(double value) {
  require_finite("constant_schedule", "value", value);
  return Schedule::described(Description("constant_schedule", value), [value](const Array&) { return Array(value); });
}

Schedule polynomial_schedule(double init, double end, double power, std::int64_t transition_steps,
                             std::int64_t transition_begin) {
  require_finite("polynomial_schedule", "init", init);
  require_finite("polynomial_schedule", "end", end);
  require_finite("polynomial_schedule", "power", power);
  if (transition_steps <= 0) return constant_schedule(init);
  const double begin = whole(std::max<std::int64_t>(transition_begin, 0)), steps = whole(transition_steps);
  return Schedule::described(Description("polynomial_schedule", init, end, power, steps, begin),
                             [=](const Array& count) {
                               const Array left = 1 - clip(as_float(count) - begin, 0, steps) * (1.0 / steps);
                               return (init - end) * (power == 1.0 ? left : pow(left, power)) + end;
                             });
}

Schedule linear_schedule(double init, double end, std::int64_t transition_steps, std::int64_t transition_begin) {
  return polynomial_schedule(init, end, 1.0, transition_steps, transition_begin);
}

Schedule exponential_decay(double init, std::int64_t transition_steps, double decay_rate,
                           ExponentialDecayOptions options) {
  require_finite("exponential_decay", "init", init);
  require_finite("exponential_decay", "decay_rate", decay_rate);
  if (options.end_value) require_finite("exponential_decay", "end_value", *options.end_value);
  if (transition_steps <= 0 || decay_rate == 0.0) return constant_schedule(init);
  const double begin = whole(std::max<std::int64_t>(options.transition_begin, 0)), steps = whole(transition_steps);
  const auto [unused, staircase, end_value] = options;
  const Description description("exponential_decay", init, steps, decay_rate, begin, staircase, end_value);
  return Schedule::described(description, [=, staircase = staircase, bound = end_value](const Array& count) {
    const Array done = as_float(count) - begin;
    const Array power = staircase ? floor(done * (1.0 / steps)) : done * (1.0 / steps);
    const Array value = where(done <= 0, init, init * pow(Array(decay_rate), power));
    if (!bound) return value;
    return decay_rate < 1.0 ? maximum(value, *bound) : minimum(value, *bound);
  });
}

Schedule cosine_decay_schedule(double init, std::int64_t decay_steps, double alpha, double exponent) {
  require_finite("cosine_decay_schedule", "init", init);
  require_finite("cosine_decay_schedule", "alpha", alpha);
  require_finite("cosine_decay_schedule", "exponent", exponent);
  require_positive("cosine_decay_schedule", "decay_steps", decay_steps);
  const double steps = whole(decay_steps);
  return Schedule::described(Description("cosine_decay_schedule", init, steps, alpha, exponent),
                             [=](const Array& count) {
                               const Array done = minimum(as_float(count), steps);
                               const Array cosine = 0.5 * (1 + cos(std::numbers::pi * done * (1.0 / steps)));
                               const Array decayed = exponent == 1.0 ? cosine : pow(cosine, exponent);
                               return init * ((1 - alpha) * decayed + alpha);
                             });
}

Schedule piecewise_constant_schedule(double init, const std::map<std::int64_t, double>& boundaries_and_scales) {
  require_finite("piecewise_constant_schedule", "init", init);
  require_factors("piecewise_constant_schedule", boundaries_and_scales);
  return Schedule::described(Description("piecewise_constant_schedule", init, boundaries_and_scales),
                             [=](const Array& count) {
                               Array value(init);
                               for (const auto& [boundary, scale] : boundaries_and_scales) {
                                 value = value * where(as_float(count) >= whole(boundary), scale, 1.0);
                               }
                               return value;
                             });
}

Schedule piecewise_interpolate_schedule(Interpolation interpolation, double init,
                                        const std::map<std::int64_t, double>& boundaries_and_scales) {
  constexpr std::string_view name = "piecewise_interpolate_schedule";
  require_finite(name, "init", init);
  require_factors(name, boundaries_and_scales);
  if (!boundaries_and_scales.empty() && boundaries_and_scales.begin()->first < 0) {
    throw ValueError(name, "Boundaries must not be negative.",
                     {.got = std::to_string(boundaries_and_scales.begin()->first)});
  }
  return Schedule::described(Description(name, interpolation, init, boundaries_and_scales), [=](const Array& count) {
    const Array now = as_float(count);
    // The values at the boundaries are products in float32, as jnp.cumprod gives them.
    auto value = static_cast<float>(init);
    Array result(0.0);
    double start = 0.0;
    for (const auto& [boundary, scale] : boundaries_and_scales) {
      const double end = whole(boundary);
      const float next = value * static_cast<float>(scale);
      const Array done = (now - start) * (1.0 / std::max(end - start, 1.0));
      const Array between = interpolation == Interpolation::linear
                                ? (next - value) * done + value
                                : next + (value - next) * 0.5F * (cos(std::numbers::pi * done) + 1);
      result = where(now >= start && now < end, between, result);
      value = next;
      start = end;
    }
    return where(now >= start, value, result);
  });
}

Schedule join_schedules(const std::vector<Schedule>& schedules, const std::vector<std::int64_t>& boundaries) {
  if (schedules.size() != boundaries.size() + 1) {
    throw ValueError("join_schedules", "There must be one boundary less than schedules.",
                     {.got = fmt::format("{} schedules, {} boundaries", schedules.size(), boundaries.size())});
  }
  return Schedule::described(Description("join_schedules", schedules, boundaries), [=](const Array& count) {
    Array value = schedules[0](count);
    for (std::size_t i = 0; i < boundaries.size(); ++i) {
      value = where(count < boundaries[i], value, schedules[i + 1](count - boundaries[i]));
    }
    return value;
  });
}

Schedule warmup_constant_schedule(double init, double peak, std::int64_t warmup_steps) {
  return linear_schedule(init, peak, warmup_steps);
}

Schedule warmup_cosine_decay_schedule(double init, double peak, std::int64_t warmup_steps, std::int64_t decay_steps,
                                      double end, double exponent) {
  require_finite("warmup_cosine_decay_schedule", "end", end);
  if (decay_steps <= warmup_steps) {
    throw ValueError("warmup_cosine_decay_schedule", "decay_steps counts the warmup too and must exceed it.",
                     {.got = fmt::format("decay_steps {}, warmup_steps {}", decay_steps, warmup_steps)});
  }
  const double alpha = peak == 0.0 ? 0.0 : end / peak;
  return join_schedules({linear_schedule(init, peak, warmup_steps),
                         cosine_decay_schedule(peak, decay_steps - warmup_steps, alpha, exponent)},
                        {warmup_steps});
}

Schedule warmup_exponential_decay_schedule(double init, double peak, std::int64_t warmup_steps,
                                           std::int64_t transition_steps, double decay_rate,
                                           ExponentialDecayOptions options) {
  return join_schedules(
      {linear_schedule(init, peak, warmup_steps), exponential_decay(peak, transition_steps, decay_rate, options)},
      {warmup_steps});
}

namespace {

std::int64_t part(double fraction, std::int64_t steps) { return static_cast<std::int64_t>(fraction * whole(steps)); }

}  // namespace

Schedule linear_onecycle_schedule(std::int64_t transition_steps, double peak, LinearOnecycleOptions options) {
  require_positive("linear_onecycle_schedule", "transition_steps", transition_steps);
  require_finite("linear_onecycle_schedule", "peak", peak);
  return piecewise_interpolate_schedule(Interpolation::linear, peak / options.div_factor,
                                        {{part(options.pct_start, transition_steps), options.div_factor},
                                         {part(options.pct_final, transition_steps), 1.0 / options.div_factor},
                                         {transition_steps, 1.0 / options.final_div_factor}});
}

Schedule cosine_onecycle_schedule(std::int64_t transition_steps, double peak, CosineOnecycleOptions options) {
  require_positive("cosine_onecycle_schedule", "transition_steps", transition_steps);
  require_finite("cosine_onecycle_schedule", "peak", peak);
  return piecewise_interpolate_schedule(Interpolation::cosine, peak / options.div_factor,
                                        {{part(options.pct_start, transition_steps), options.div_factor},
                                         {transition_steps, 1.0 / (options.div_factor * options.final_div_factor)}});
}

Schedule sgdr_schedule(const std::vector<CosineCycle>& cycles) {
  if (cycles.empty()) throw ValueError("sgdr_schedule", "There are no cycles.");
  std::vector<Schedule> schedules;
  std::vector<std::int64_t> boundaries;
  std::int64_t step = 0;
  for (const CosineCycle& cycle : cycles) {
    schedules.push_back(warmup_cosine_decay_schedule(cycle.init, cycle.peak, cycle.warmup_steps, cycle.decay_steps,
                                                     cycle.end, cycle.exponent));
    step += cycle.decay_steps;
    boundaries.push_back(step);
  }
  boundaries.pop_back();
  return join_schedules(schedules, boundaries);
}

}  // namespace linseed::optim
