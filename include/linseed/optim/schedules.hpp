#pragma once

#include <functional>
#include <map>
#include <utility>

#include <linseed/core/array.hpp>

namespace linseed::optim {

/// A number that follows the count of updates: a function of the int32 count (0 at the first update) to a float32
/// scalar. A plain number is a constant.
class Schedule {
 public:
  using Function = std::function<Array(const Array& count)>;

  /// Throws ValueError when the number is not finite.
  template <Number T>
  Schedule(T value) : Schedule(constant(static_cast<double>(value))) {}  // NOLINT: .learning_rate = 0.1
  template <class F>
    requires std::is_invocable_r_v<Array, const F&, const Array&>
  Schedule(F function) : function_(std::move(function)) {}  // NOLINT

  /// The value at `count`.
  [[nodiscard]] Array operator()(const ArrayLike& count) const {
    return function_ ? function_(count.array()) : Array(constant_);
  }
  [[nodiscard]] bool is_constant() const noexcept { return !function_; }
  /// The number of a constant schedule.
  [[nodiscard]] double constant_value() const noexcept { return constant_; }

 private:
  static Schedule constant(double value);
  Schedule() = default;

  Function function_;
  double constant_ = 0.0;
};

/// Always `value` (optax.constant_schedule).
[[nodiscard]] Schedule constant_schedule(double value);
/// From `init` to `end` over `transition_steps` counts, starting at `transition_begin`, along a power
/// (optax.polynomial_schedule).
[[nodiscard]] Schedule polynomial_schedule(double init, double end, double power, std::int64_t transition_steps,
                                           std::int64_t transition_begin = 0);
/// polynomial_schedule of power 1 (optax.linear_schedule).
[[nodiscard]] Schedule linear_schedule(double init, double end, std::int64_t transition_steps,
                                       std::int64_t transition_begin = 0);
/// init * ((1 - alpha) * (1 + cos(pi * count / decay_steps)) / 2 + alpha), constant afterwards
/// (optax.cosine_decay_schedule; Loshchilov and Hutter 2017). Throws ValueError unless decay_steps is positive.
[[nodiscard]] Schedule cosine_decay_schedule(double init, std::int64_t decay_steps, double alpha = 0.0);
/// `init` times every factor whose boundary has been reached (optax.piecewise_constant_schedule). Throws ValueError for
/// a negative factor.
[[nodiscard]] Schedule piecewise_constant_schedule(double init, std::map<std::int64_t, double> boundaries_and_scales);

}  // namespace linseed::optim
