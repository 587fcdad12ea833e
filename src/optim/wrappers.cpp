#include <linseed/optim/wrappers.hpp>

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "optim/common.hpp"

namespace linseed::optim {

using detail::next_count;
using detail::select;
using detail::Step;

namespace {

Array all_finite(const Tree& tree) {
  Array result(true);
  for (const Array& leaf : tree.leaves()) result = result && all(isfinite(leaf));
  return result;
}

void require_condition(std::string_view op, const Array& condition) {
  if (condition.dtype() == DType::bool_ && condition.rank() == 0) return;
  throw ShapeError(op, "The condition must be a bool scalar.", {.got = describe(condition), .expected = "bool[]"});
}

}  // namespace

GradientTransformation apply_if_finite(const GradientTransformation& inner, int max_consecutive_errors) {
  if (max_consecutive_errors < 0) {
    throw ValueError("apply_if_finite", "max_consecutive_errors must not be negative.",
                     {.got = std::to_string(max_consecutive_errors)});
  }
  return {Description("apply_if_finite", inner, max_consecutive_errors),
          [=](const Tree& params) {
            return Tree{{"inner_state", inner.init(params)},
                        {"last_finite", Array(true)},
                        {"notfinite_count", Array(0)},
                        {"total_notfinite", Array(0)}};
          },
          [=](const Tree& updates, const Tree& state, const Tree& params) {
            const Array finite = all_finite(updates);
            const Array in_a_row = where(finite, 0, next_count(state["notfinite_count"]));
            const Array& total = state["total_notfinite"].array();
            const Array apply = finite || in_a_row > max_consecutive_errors;
            const auto [fresh, next] = inner.update(updates, state["inner_state"], params);
            return Step{select(apply, fresh, detail::zeros_like(updates)),
                        Tree{{"inner_state", select(apply, next, state["inner_state"])},
                             {"last_finite", finite},
                             {"notfinite_count", in_a_row},
                             {"total_notfinite", where(finite, total, next_count(total))}}};
          }};
}

namespace {

GradientTransformation conditional(std::string_view name, const GradientTransformation& inner,
                                   const Condition& condition, bool zeros) {
  if (!condition) throw ValueError(name, "The condition is empty.");
  return {Description(name, inner, Description::unique("condition")),
          [=](const Tree& params) { return Tree{{"inner_state", inner.init(params)}, {"step", Array(0)}}; },
          [=](const Tree& updates, const Tree& state, const Tree& params) {
            const Array& step = state["step"].array();
            const Array holds = condition(step);
            require_condition(name, holds);
            const auto [fresh, next] = inner.update(updates, state["inner_state"], params);
            return Step{select(holds, fresh, zeros ? detail::zeros_like(updates) : updates),
                        Tree{{"inner_state", select(holds, next, state["inner_state"])}, {"step", next_count(step)}}};
          }};
}

}  // namespace

GradientTransformation conditionally_transform(const GradientTransformation& inner, const Condition& condition) {
  return conditional("conditionally_transform", inner, condition, /*zeros=*/false);
}

GradientTransformation conditionally_mask(const GradientTransformation& inner, const Condition& condition) {
  return conditional("conditionally_mask", inner, condition, /*zeros=*/true);
}

std::pair<Array, Tree> skip_not_finite(const Tree& updates, const Array&, const Tree&) {
  Array count(0);
  for (const Array& leaf : updates.leaves()) count = count + sum(!isfinite(leaf));
  const Array skip = count > 0;
  return {skip, Tree{{"num_not_finite", count}, {"should_skip", skip}}};
}

ShouldSkip skip_large_updates(const Scalar& max_squared_norm) {
  require_finite("skip_large_updates", "max_squared_norm", max_squared_norm);
  return [=](const Tree& updates, const Array&, const Tree&) {
    Array total(0.0);
    for (const Array& leaf : updates.leaves()) total = total + sum(square(leaf));
    const Array skip = !(total < max_squared_norm);
    return std::pair{skip, Tree{{"norm_squared", total}, {"should_skip", skip}}};
  };
}

namespace {

// A member of MultiSteps, whose functions grow long.
struct MultiSteps {
  GradientTransformation inner;
  Schedule every_k;
  MultiStepsOptions options;

  Tree init(const Tree& params) const {
    const Tree zeros = detail::zeros_like(params);
    const auto accumulator = [&](const Array& p) { return linseed::zeros(p.shape(), options.accumulator_dtype); };
    return {{"acc_grads", tree::map(accumulator, params)},
            {"gradient_step", Array(0)},
            {"inner_opt_state", inner.init(params)},
            {"mini_step", Array(0)},
            {"skip_state",
             options.should_skip_update ? options.should_skip_update(zeros, Array(0), params).second : Tree()}};
  }

  Step update(const Tree& updates, const Tree& state, const Tree& params) const {
    const Array& mini_step = state["mini_step"].array();
    const Array& gradient_step = state["gradient_step"].array();
    const Array k = maximum(astype(every_k(gradient_step), DType::int32), 1);
    const Array emit = mini_step == k - 1;

    const auto accumulate = [&](const Array& g, const Array& sum) {
      return options.use_grad_mean ? sum + (g - sum) / astype(mini_step + 1, DType::float32) : g + sum;
    };
    const Tree gathered = tree::map(accumulate, updates, state["acc_grads"]);
    const auto as_update = [](const Array& sum, const Array& g) { return astype(sum, g.dtype()); };
    const auto [fresh, next] = inner.update(tree::map(as_update, gathered, updates), state["inner_opt_state"], params);

    const auto emitted = [&](const Array& u) { return astype(emit, u.dtype()) * u; };
    const auto reset = [&](const Array& sum) {
      return astype(astype(!emit, sum.dtype()) * sum, options.accumulator_dtype);
    };
    const Step done{tree::map(emitted, fresh),
                    Tree{{"acc_grads", tree::map(reset, gathered)},
                         {"gradient_step", where(emit, next_count(gradient_step), gradient_step)},
                         {"inner_opt_state", select(emit, next, state["inner_opt_state"])},
                         {"mini_step", mod(next_count(mini_step), k)},
                         {"skip_state", Tree()}}};
    if (!options.should_skip_update) return done;

    const auto [skip, skip_state] = options.should_skip_update(updates, gradient_step, params);
    require_condition("multi_steps", skip);
    const Tree unchanged = state.set("skip_state", Tree());
    return {select(skip, detail::zeros_like(done.first), done.first),
            select(skip, unchanged, done.second).set("skip_state", skip_state)};
  }
};

}  // namespace

GradientTransformation multi_steps(const GradientTransformation& inner, const Schedule& every_k,
                                   const MultiStepsOptions& options) {
  if (every_k.is_constant() && every_k.value().is_number()) {
    const double k = every_k.value().number();
    if (k < 1 || k != std::floor(k)) {
      throw ValueError("multi_steps", "every_k must be a positive whole number.", {.got = fmt::format("{}", k)});
    }
  }
  const auto steps = std::make_shared<const MultiSteps>(MultiSteps{inner, every_k, options});
  const std::optional<Description> skip =
      options.should_skip_update ? std::optional(Description::unique("should_skip_update")) : std::nullopt;
  return {Description("multi_steps", inner, every_k, options.use_grad_mean, skip, options.accumulator_dtype),
          [steps](const Tree& params) { return steps->init(params); },
          [steps](const Tree& updates, const Tree& state, const Tree& params) {
            return steps->update(updates, state, params);
          }};
}

Array has_updated(const Tree& multi_steps_state) {
  return multi_steps_state["mini_step"].array() == 0 && multi_steps_state["gradient_step"].array() > 0;
}

GradientTransformation apply_every(std::int64_t k) {
  if (k < 1) throw ValueError("apply_every", "k must be positive.", {.got = std::to_string(k)});
  return {Description("apply_every", k),
          [](const Tree& params) { return Tree{{"count", Array(0)}, {"grad_acc", detail::zeros_like(params)}}; },
          [k](const Tree& updates, const Tree& state, const Tree&) {
            const Array& count = state["count"].array();
            const Array first = count == 0, last = count == k - 1;
            const Tree gathered =
                tree::map([&](const Array& g, const Array& sum) { return astype(!first, sum.dtype()) * sum + g; },
                          updates, state["grad_acc"]);
            const auto emitted = [&](const Array& sum) { return astype(last, sum.dtype()) * sum; };
            return Step{tree::map(emitted, gathered),
                        Tree{{"count", mod(next_count(count), k)}, {"grad_acc", gathered}}};
          }};
}

Tree lookahead_params(const Tree& params) { return {{"fast", params}, {"slow", params}}; }

GradientTransformation lookahead(const GradientTransformation& fast_optimizer, const LookaheadOptions& options) {
  const auto& [period, slow_step_size, reset_state] = options;
  if (period < 1) throw ValueError("lookahead", "sync_period must be positive.", {.got = std::to_string(period)});
  require_finite("lookahead", "slow_step_size", slow_step_size);
  const auto require_pair = [](const Tree& params) {
    if (params.contains("fast") && params.contains("slow") && params.size() == 2) return;
    throw StructureError(
        "lookahead", "The parameters must be a pair, fast and slow.",
        {.got = params.is_leaf() ? describe(params.array()) : fmt::format("keys {}", fmt::join(params.keys(), ", ")),
         .expected = "keys fast, slow",
         .hint = "begin with optim::lookahead_params(params)"});
  };
  auto init = [=](const Tree& params) {
    require_pair(params);
    return Tree{{"fast_state", fast_optimizer.init(params["fast"])}, {"steps_since_sync", Array(0)}};
  };
  auto update = [=, o = options](const Tree& updates, const Tree& state, const Tree& params) {
    require_pair(params);
    const Tree &fast = params["fast"], &slow = params["slow"];
    auto [steps, fast_state] = fast_optimizer.update(updates["fast"], state["fast_state"], fast);
    const Array& since = state["steps_since_sync"].array();
    const Array sync = since == o.sync_period - 1;
    if (o.reset_state) fast_state = select(sync, fast_optimizer.init(fast), fast_state);
    const Tree distance =
        tree::map([](const Array& f, const Array& u, const Array& s) { return f + u - s; }, fast, steps, slow);
    const auto synced = [&](const Array& d) { return astype(sync, d.dtype()) * d; };
    const Scalar rest = o.slow_step_size.one_minus();
    return Step{
        Tree{{"fast", tree::map([&](const Array& u, const Array& d) { return u - rest * synced(d); }, steps, distance)},
             {"slow", tree::map([&](const Array& d) { return o.slow_step_size * synced(d); }, distance)}},
        Tree{{"fast_state", fast_state}, {"steps_since_sync", mod(since + 1, o.sync_period)}}};
  };
  return {Description("lookahead", fast_optimizer, period, slow_step_size, reset_state), std::move(init),
          std::move(update)};
}

namespace {

DType widest_floating(const Tree& params) {
  for (const Array& leaf : params.leaves()) {
    if (leaf.dtype() == DType::float64) return DType::float64;
  }
  return DType::float32;
}

}  // namespace

GradientTransformation inject_hyperparams(Description factory_description, HyperparameterFactory factory,
                                          const std::map<std::string, Schedule>& hyperparameters) {
  // The values for the counts that a state keeps; constants are taken from `current` when there is one.
  const auto values = [=](const Tree& counts, const Tree* current, DType dtype) {
    Tree::Dict result;
    for (const auto& [name, schedule] : hyperparameters) {
      const Array value = !schedule.is_constant() ? schedule(counts[name]["count"].array())
                          : current != nullptr    ? (*current)[name].array()
                                                  : schedule.value().as(dtype);
      result.emplace(name, astype(value, dtype));
    }
    return Tree(std::move(result));
  };
  auto init = [=](const Tree& params) {
    Tree::Dict counts;
    for (const auto& [name, schedule] : hyperparameters) {
      if (!schedule.is_constant()) counts.emplace(name, Tree{{"count", Array(0)}});
    }
    const Tree states(std::move(counts));
    const Tree first = values(states, nullptr, widest_floating(params));
    return Tree{{"count", Array(0)},
                {"hyperparams", first},
                {"hyperparams_states", states},
                {"inner_state", factory(first).init(params)}};
  };
  auto update = [=](const Tree& updates, const Tree& state, const Tree& params) {
    const Tree& counts = state["hyperparams_states"];
    const Tree current = values(counts, &state["hyperparams"], widest_floating(params));
    auto [fresh, next] = factory(current).update(updates, state["inner_state"], params);
    return Step{std::move(fresh), Tree{{"count", next_count(state["count"])},
                                       {"hyperparams", current},
                                       {"hyperparams_states", tree::map(next_count, counts)},
                                       {"inner_state", std::move(next)}}};
  };
  return {Description("inject_hyperparams", factory_description, hyperparameters), std::move(init), std::move(update)};
}

}  // namespace linseed::optim
