#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/optim/hyperparameter.hpp>

namespace linseed::optim {

class Schedule;

/// What can serve as a schedule: a callable of the count that gives an Array.
template <class F>
concept ScheduleFunction =
    !std::is_same_v<std::remove_cvref_t<F>, Schedule> && !std::is_convertible_v<const F&, Array> &&
    std::is_invocable_r_v<Array, const std::remove_cvref_t<F>&, const Array&>;

/// A number that follows the count of updates: a function of the int32 count (0 at the first update) to a float32
/// scalar. A plain number, or a scalar Array, is a constant and keeps no count.
///
/// A value to copy and compare, since it takes part in the cache key of `jit`: two that were made by the same function
/// with the same arguments are equal; a callable with captures is equal to its copies only.
class Schedule {
 public:
  using Function = std::function<Array(const Array& count)>;

  /// Throws ValueError when a number is not finite.
  template <class T>
    requires(std::is_convertible_v<const T&, Scalar> && !std::is_same_v<T, Schedule>)
  Schedule(const T& value) : Schedule(constant(value)) {}  // NOLINT: .learning_rate = 0.1
  template <ScheduleFunction F>
  Schedule(F function)  // NOLINT
      : Schedule(Description::of_callable<F>("schedule"), std::move(function)) {}

  /// A schedule equal to every other of the same description, which must therefore say all that decides its values.
  template <ScheduleFunction F>
  [[nodiscard]] static Schedule described(Description description, F function) {
    return Schedule(std::move(description), std::move(function));
  }

  /// The value at `count`. Throws ShapeError when the function gives anything but a scalar.
  [[nodiscard]] Array operator()(const ArrayLike& count) const;
  /// True for what was made of a number or an Array.
  [[nodiscard]] bool is_constant() const noexcept { return !function_; }
  /// Of a constant.
  [[nodiscard]] const Scalar& value() const noexcept { return constant_; }

  [[nodiscard]] const Description& description() const noexcept { return description_; }
  friend bool operator==(const Schedule& a, const Schedule& b) noexcept { return a.description_ == b.description_; }

 private:
  static Schedule constant(const Scalar& value);
  Schedule(Description description, Function function)
      : description_(std::move(description)), function_(std::move(function)) {}

  Description description_;
  Function function_;
  Scalar constant_ = 0.0;
};

// Those of Optax, with their formulas and defaults. Counts are taken as float32, which is exact up to 2^24. Numbers
// that are not finite throw ValueError. A negative `transition_begin` counts as 0.

/// Always `value` (optax.constant_schedule). As a learning rate it keeps a count, as Optax's does; a plain number keeps
/// none.
[[nodiscard]] Schedule constant_schedule(double value);

/// (init - end) * (1 - c / transition_steps)^power + end, with c = count - transition_begin held within
/// [0, transition_steps] (optax.polynomial_schedule). Always `init` when transition_steps is not positive.
[[nodiscard]] Schedule polynomial_schedule(double init, double end, double power, std::int64_t transition_steps,
                                           std::int64_t transition_begin = 0);
/// polynomial_schedule of power 1 (optax.linear_schedule).
[[nodiscard]] Schedule linear_schedule(double init, double end, std::int64_t transition_steps,
                                       std::int64_t transition_begin = 0);

struct ExponentialDecayOptions {
  std::int64_t transition_begin = 0;
  bool staircase = false;                ///< whole powers only
  std::optional<double> end_value = {};  ///< a bound: below for rates under 1, above for the others
};
/// init * decay_rate^((count - transition_begin) / transition_steps), `init` before that (optax.exponential_decay).
/// Always `init` when transition_steps is not positive or decay_rate is 0.
[[nodiscard]] Schedule exponential_decay(double init, std::int64_t transition_steps, double decay_rate,
                                         ExponentialDecayOptions options = {});

/// init * ((1 - alpha) * ((1 + cos(pi * count / decay_steps)) / 2)^exponent + alpha), constant afterwards
/// (optax.cosine_decay_schedule; Loshchilov and Hutter 2017). Throws ValueError unless decay_steps is positive.
[[nodiscard]] Schedule cosine_decay_schedule(double init, std::int64_t decay_steps, double alpha = 0.0,
                                             double exponent = 1.0);

/// `init` times every factor whose boundary has been reached (optax.piecewise_constant_schedule). Throws ValueError for
/// a negative factor.
[[nodiscard]] Schedule piecewise_constant_schedule(double init,
                                                   const std::map<std::int64_t, double>& boundaries_and_scales);

enum class Interpolation { linear, cosine };
/// From `init` at count 0 to `init` times the factors up to each boundary, with a line or half a cosine between them
/// (optax.piecewise_interpolate_schedule). Throws ValueError for a negative factor or boundary.
[[nodiscard]] Schedule piecewise_interpolate_schedule(Interpolation interpolation, double init,
                                                      const std::map<std::int64_t, double>& boundaries_and_scales);

/// `schedules[i]`, counting from `boundaries[i - 1]`, until `boundaries[i]` (optax.join_schedules). Throws ValueError
/// unless there is one boundary less than schedules.
[[nodiscard]] Schedule join_schedules(const std::vector<Schedule>& schedules,
                                      const std::vector<std::int64_t>& boundaries);

/// A line from `init` to `peak`, then `peak` (optax.warmup_constant_schedule).
[[nodiscard]] Schedule warmup_constant_schedule(double init, double peak, std::int64_t warmup_steps);
/// A line from `init` to `peak`, then a cosine down to `end`. `decay_steps` counts the warmup too
/// (optax.warmup_cosine_decay_schedule). Throws ValueError unless decay_steps exceeds warmup_steps.
[[nodiscard]] Schedule warmup_cosine_decay_schedule(double init, double peak, std::int64_t warmup_steps,
                                                    std::int64_t decay_steps, double end = 0.0, double exponent = 1.0);
/// A line from `init` to `peak`, then exponential_decay from there (optax.warmup_exponential_decay_schedule).
[[nodiscard]] Schedule warmup_exponential_decay_schedule(double init, double peak, std::int64_t warmup_steps,
                                                         std::int64_t transition_steps, double decay_rate,
                                                         ExponentialDecayOptions options = {});

struct LinearOnecycleOptions {
  double pct_start = 0.3;
  double pct_final = 0.85;
  double div_factor = 25.0;
  double final_div_factor = 1e4;
};
/// Up from peak / div_factor until the fraction pct_start, down again until pct_final, then on down by
/// final_div_factor, along lines (optax.linear_onecycle_schedule; Smith and Topin 2018). Throws ValueError unless
/// transition_steps is positive.
[[nodiscard]] Schedule linear_onecycle_schedule(std::int64_t transition_steps, double peak,
                                                LinearOnecycleOptions options = {});
struct CosineOnecycleOptions {
  double pct_start = 0.3;
  double div_factor = 25.0;
  double final_div_factor = 1e4;
};
/// Up from peak / div_factor until the fraction pct_start, then down to peak / (div_factor * final_div_factor), along
/// cosines (optax.cosine_onecycle_schedule). Throws ValueError unless transition_steps is positive.
[[nodiscard]] Schedule cosine_onecycle_schedule(std::int64_t transition_steps, double peak,
                                                CosineOnecycleOptions options = {});

/// One cycle of sgdr_schedule: the arguments of warmup_cosine_decay_schedule.
struct CosineCycle {
  double init = 0.0, peak = 0.0;
  std::int64_t warmup_steps = 0, decay_steps = 0;
  double end = 0.0, exponent = 1.0;
};
/// Warm restarts: one warmup_cosine_decay_schedule after the other (optax.sgdr_schedule; Loshchilov and Hutter 2017).
/// Throws ValueError for no cycles.
[[nodiscard]] Schedule sgdr_schedule(const std::vector<CosineCycle>& cycles);

}  // namespace linseed::optim
