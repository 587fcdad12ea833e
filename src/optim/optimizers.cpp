#include <linseed/optim/optimizers.hpp>

#include <limits>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed::optim {

namespace {

using Step = std::pair<Tree, Tree>;

Tree zeros_like(const Tree& tree) {
  return tree::map([](const Array& leaf) { return linseed::zeros_like(leaf); }, tree);
}

// Counts stop at the largest int32 instead of starting anew.
Array next_count(const Array& count) {
  constexpr int largest = std::numeric_limits<std::int32_t>::max();
  return where(count < largest, count + 1, largest);
}

// 1 / (1 - decay^count), the power in float32 as Optax computes it.
Array bias_correction(double decay, const Array& count) {
  return 1 / (1 - pow(Array(decay), astype(count, DType::float32)));
}

}  // namespace

const GradientTransformation::Functions& GradientTransformation::functions() const {
  if (!functions_)
    throw ValueError("GradientTransformation", "It is empty.", {.hint = "make one, with optim::sgd for example"});
  return *functions_;
}

GradientTransformation chain(std::vector<GradientTransformation> transformations) {
  auto init = [transformations](const Tree& params) {
    Tree state;
    for (std::size_t i = 0; i < transformations.size(); ++i)
      state = state.set(std::to_string(i), transformations[i].init(params));
    return state;
  };
  auto update = [transformations](const Tree& updates, const Tree& state, const Tree& params) {
    Step step{updates, state};
    for (std::size_t i = 0; i < transformations.size(); ++i) {
      const std::string key = std::to_string(i);
      auto [next, next_state] = transformations[i].update(step.first, state[key], params);
      step = {std::move(next), step.second.set(key, std::move(next_state))};
    }
    return step;
  };
  return {init, update};
}

GradientTransformation identity() {
  return {[](const Tree&) { return Tree(); },
          [](const Tree& updates, const Tree& state, const Tree&) { return Step{updates, state}; }};
}

GradientTransformation scale(double factor) {
  return {[](const Tree&) { return Tree(); },
          [factor](const Tree& updates, const Tree& state, const Tree&) {
            return Step{tree::map([&](const Array& u) { return u * factor; }, updates), state};
          }};
}

GradientTransformation scale_by_learning_rate(Schedule learning_rate) {
  if (learning_rate.is_constant()) return scale(-learning_rate.constant_value());
  return {[](const Tree&) { return Tree{{"count", Array(0)}}; },
          [learning_rate](const Tree& updates, const Tree& state, const Tree&) {
            const Array& count = state["count"];
            const Array factor = -learning_rate(count);
            const auto scaled = [&](const Array& u) { return u * astype(factor, u.dtype()); };
            return Step{tree::map(scaled, updates), Tree{{"count", next_count(count)}}};
          }};
}

GradientTransformation trace(double decay, bool nesterov) {
  return {[](const Tree& params) { return Tree{{"trace", zeros_like(params)}}; },
          [=](const Tree& updates, const Tree& state, const Tree&) {
            const auto accumulate = [&](const Array& u, const Array& t) { return u + decay * t; };
            const Tree next = tree::map(accumulate, updates, state["trace"]);
            return Step{nesterov ? tree::map(accumulate, updates, next) : next, Tree{{"trace", next}}};
          }};
}

GradientTransformation scale_by_adam(AdamOptions options) {
  auto init = [](const Tree& params) {
    return Tree{{"count", Array(0)}, {"mu", zeros_like(params)}, {"nu", zeros_like(params)}};
  };
  auto update = [=](const Tree& updates, const Tree& state, const Tree&) {
    const auto& [b1, b2, eps, eps_root, nesterov] = options;
    const Array count = next_count(state["count"]);
    const Tree mu =
        tree::map([b = b1](const Array& g, const Array& m) { return (1 - b) * g + b * m; }, updates, state["mu"]);
    const Tree nu = tree::map([b = b2](const Array& g, const Array& v) { return (1 - b) * square(g) + b * v; }, updates,
                              state["nu"]);
    const Array first = bias_correction(b1, count);
    const Array second = bias_correction(b2, count);
    const Array ahead = nesterov ? bias_correction(b1, next_count(count)) : Array();
    const auto direction = [&, b = b1, e = eps, inside = eps_root, look_ahead = nesterov](
                               const Array& g, const Array& m, const Array& v) {
      const DType dtype = m.dtype();
      const Array mean =
          look_ahead ? b * (m * astype(ahead, dtype)) + (1 - b) * (g * astype(first, dtype)) : m * astype(first, dtype);
      const Array variance = v * astype(second, dtype);
      return mean / (sqrt(inside == 0.0 ? variance : variance + inside) + e);
    };
    return Step{tree::map(direction, updates, mu, nu), Tree{{"count", count}, {"mu", mu}, {"nu", nu}}};
  };
  return {init, update};
}

GradientTransformation sgd(Schedule learning_rate, SgdOptions options) {
  return chain({options.momentum ? trace(*options.momentum, options.nesterov) : identity(),
                scale_by_learning_rate(std::move(learning_rate))});
}

GradientTransformation adam(Schedule learning_rate, AdamOptions options) {
  return chain({scale_by_adam(options), scale_by_learning_rate(std::move(learning_rate))});
}

Tree apply_updates(const Tree& params, const Tree& updates) {
  return tree::map([](const Array& p, const Array& u) { return astype(p + u, p.dtype()); }, params, updates);
}

}  // namespace linseed::optim
