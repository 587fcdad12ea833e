// The schedules of the golden files.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <linseed/optim/schedules.hpp>

#include "support.hpp"

namespace golden_optim {

using golden::json;

inline std::map<std::int64_t, double> factors_of(const json& args) {
  std::map<std::int64_t, double> factors;
  if (args.contains("boundaries_and_scales")) {
    for (const auto& [boundary, scale] : args.at("boundaries_and_scales").items())
      factors[std::stoll(boundary)] = scale.get<double>();
  }
  return factors;
}

/// A schedule from Optax's name and arguments.
inline linseed::optim::Schedule schedule_of(const std::string& name, const json& args) {
  namespace optim = linseed::optim;
  const auto number = [&](const char* key, double fallback = 0.0) { return args.value(key, fallback); };
  const auto steps = [&](const char* key) { return args.value(key, std::int64_t{0}); };
  optim::ExponentialDecayOptions decay{.transition_begin = steps("transition_begin"),
                                       .staircase = args.value("staircase", false)};
  if (args.contains("end_value")) decay.end_value = number("end_value");

  if (name == "constant_schedule") return optim::constant_schedule(number("value"));
  if (name == "linear_schedule") {
    return optim::linear_schedule(number("init_value"), number("end_value"), steps("transition_steps"),
                                  steps("transition_begin"));
  }
  if (name == "polynomial_schedule") {
    return optim::polynomial_schedule(number("init_value"), number("end_value"), number("power"),
                                      steps("transition_steps"), steps("transition_begin"));
  }
  if (name == "exponential_decay") {
    return optim::exponential_decay(number("init_value"), steps("transition_steps"), number("decay_rate"), decay);
  }
  if (name == "cosine_decay_schedule") {
    return optim::cosine_decay_schedule(number("init_value"), steps("decay_steps"), number("alpha"),
                                        number("exponent", 1.0));
  }
  if (name == "piecewise_constant_schedule")
    return optim::piecewise_constant_schedule(number("init_value"), factors_of(args));
  if (name == "piecewise_interpolate_schedule") {
    const bool linear = args.at("interpolate_type") == "linear";
    return optim::piecewise_interpolate_schedule(linear ? optim::Interpolation::linear : optim::Interpolation::cosine,
                                                 number("init_value"), factors_of(args));
  }
  if (name == "linear_onecycle_schedule") {
    return optim::linear_onecycle_schedule(steps("transition_steps"), number("peak_value"),
                                           {.pct_start = number("pct_start", 0.3),
                                            .pct_final = number("pct_final", 0.85),
                                            .div_factor = number("div_factor", 25.0),
                                            .final_div_factor = number("final_div_factor", 1e4)});
  }
  if (name == "cosine_onecycle_schedule")
    return optim::cosine_onecycle_schedule(steps("transition_steps"), number("peak_value"));
  if (name == "warmup_constant_schedule")
    return optim::warmup_constant_schedule(number("init_value"), number("peak_value"), steps("warmup_steps"));
  if (name == "warmup_cosine_decay_schedule") {
    return optim::warmup_cosine_decay_schedule(number("init_value"), number("peak_value"), steps("warmup_steps"),
                                               steps("decay_steps"), number("end_value"), number("exponent", 1.0));
  }
  if (name == "warmup_exponential_decay_schedule") {
    return optim::warmup_exponential_decay_schedule(number("init_value"), number("peak_value"), steps("warmup_steps"),
                                                    steps("transition_steps"), number("decay_rate"), decay);
  }
  if (name == "sgdr_schedule") {
    std::vector<optim::CosineCycle> cycles;
    for (const json& cycle : args.at("cosine_kwargs")) {
      cycles.push_back({.init = cycle.at("init_value").get<double>(),
                        .peak = cycle.at("peak_value").get<double>(),
                        .warmup_steps = cycle.at("warmup_steps").get<std::int64_t>(),
                        .decay_steps = cycle.at("decay_steps").get<std::int64_t>(),
                        .end = cycle.at("end_value").get<double>()});
    }
    return optim::sgdr_schedule(cycles);
  }
  REQUIRE(name == "join_schedules");
  std::vector<optim::Schedule> schedules;
  for (const json& member : args.at("schedules"))
    schedules.push_back(schedule_of(member.at("schedule").get<std::string>(), member));
  return optim::join_schedules(schedules, args.at("boundaries").get<std::vector<std::int64_t>>());
}

/// A number, or a schedule with its name beside its arguments.
inline linseed::optim::Schedule rate_of(const json& value) {
  if (value.is_number()) return value.get<double>();
  return schedule_of(value.at("schedule").get<std::string>(), value);
}

}  // namespace golden_optim
