#include <linseed/optim/schedules.hpp>

#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>

namespace linseed::optim {

namespace {

Array as_float(const Array& count) { return astype(count, DType::float32); }

void require_finite(std::string_view what, double value) {
  if (!std::isfinite(value))
    throw ValueError("schedule", fmt::format("{} must be finite.", what), {.got = fmt::format("{}", value)});
}

}  // namespace

Schedule Schedule::constant(double value) {
  require_finite("The value", value);
  Schedule result;
  result.constant_ = value;
  return result;
}

Schedule constant_schedule(double value) { return value; }

Schedule polynomial_schedule(double init, double end, double power, std::int64_t transition_steps,
                             std::int64_t transition_begin) {
  require_finite("init", init);
  require_finite("end", end);
  if (transition_steps <= 0) return init;
  return [=](const Array& count) {
    const Array done =
        clip(as_float(count) - static_cast<double>(transition_begin), 0, static_cast<double>(transition_steps));
    const Array left = 1 - done * (1.0 / static_cast<double>(transition_steps));
    return (init - end) * (power == 1.0 ? left : pow(left, power)) + end;
  };
}

Schedule linear_schedule(double init, double end, std::int64_t transition_steps, std::int64_t transition_begin) {
  return polynomial_schedule(init, end, 1.0, transition_steps, transition_begin);
}

Schedule cosine_decay_schedule(double init, std::int64_t decay_steps, double alpha) {
  require_finite("init", init);
  if (decay_steps <= 0) {
    throw ValueError("cosine_decay_schedule", "decay_steps must be positive.", {.got = std::to_string(decay_steps)});
  }
  return [=](const Array& count) {
    const Array done = minimum(as_float(count), static_cast<double>(decay_steps));
    const Array cosine = 0.5 * (1 + cos(std::numbers::pi * done * (1.0 / static_cast<double>(decay_steps))));
    return init * ((1 - alpha) * cosine + alpha);
  };
}

Schedule piecewise_constant_schedule(double init, std::map<std::int64_t, double> boundaries_and_scales) {
  require_finite("init", init);
  for (const auto& [boundary, scale] : boundaries_and_scales) {
    if (!(scale >= 0.0)) {
      throw ValueError("piecewise_constant_schedule", "Factors must not be negative.",
                       {.got = fmt::format("{} at {}", scale, boundary)});
    }
  }
  return [=](const Array& count) {
    Array value(init);
    for (const auto& [boundary, scale] : boundaries_and_scales) value = value * where(count >= boundary, scale, 1.0);
    return value;
  };
}

}  // namespace linseed::optim
