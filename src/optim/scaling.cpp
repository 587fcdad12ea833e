#include <linseed/optim/scaling.hpp>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

#include "optim/common.hpp"

namespace linseed::optim {

using detail::Step;

namespace {

Array norm(const Array& x) { return sqrt(sum(square(x))); }

// At least `least` (optax.safe_norm).
Array norm_above(const Array& x, const Scalar& least) {
  const Array length = norm(x);
  return where(length <= least, least, length);
}

}  // namespace

GradientTransformation scale(const Scalar& factor) {
  require_finite("scale", "factor", factor);
  return detail::leafwise(Description("scale", factor), [=](const Array& g, const Array&) { return factor * g; });
}

GradientTransformation scale_by_schedule(const Schedule& step_size) {
  return {Description("scale_by_schedule", step_size), [](const Tree&) { return Tree{{"count", Array(0)}}; },
          [step_size](const Tree& updates, const Tree& state, const Tree&) {
            const Array& count = state["count"].array();
            const Array factor = step_size(count);
            const auto scaled = [&](const Array& g) { return astype(factor, g.dtype()) * g; };
            return Step{tree::map(scaled, updates), Tree{{"count", detail::next_count(count)}}};
          }};
}

GradientTransformation scale_by_learning_rate(const Schedule& learning_rate, bool flip_sign) {
  if (learning_rate.is_constant()) return scale(flip_sign ? learning_rate.value().negated() : learning_rate.value());
  if (!flip_sign) return scale_by_schedule(learning_rate);
  return scale_by_schedule(Schedule::described(Description("negated", learning_rate),
                                               [=](const Array& count) { return -learning_rate(count); }));
}

GradientTransformation trace(const Scalar& decay, bool nesterov) {
  require_finite("trace", "decay", decay);
  return {Description("trace", decay, nesterov),
          [](const Tree& params) { return Tree{{"trace", detail::zeros_like(params)}}; },
          [=](const Tree& updates, const Tree& state, const Tree&) {
            const auto accumulate = [&](const Array& g, const Array& t) { return g + decay * t; };
            const Tree next = tree::map(accumulate, updates, state["trace"]);
            return Step{nesterov ? tree::map(accumulate, updates, next) : next, Tree{{"trace", next}}};
          }};
}

GradientTransformation ema(const Scalar& decay, bool debias) {
  require_finite("ema", "decay", decay);
  return {Description("ema", decay, debias),
          [](const Tree& params) { return Tree{{"count", Array(0)}, {"ema", detail::zeros_like(params)}}; },
          [=](const Tree& updates, const Tree& state, const Tree&) {
            const Tree average = detail::first_moment(updates, state["ema"], decay);
            const Array count = detail::next_count(state["count"]);
            return Step{debias ? detail::debiased(average, decay, count) : average,
                        Tree{{"count", count}, {"ema", average}}};
          }};
}

GradientTransformation scale_by_trust_ratio(const TrustRatioOptions& options) {
  const auto& [min_norm, trust_coefficient, eps] = options;
  detail::require_all_finite("scale_by_trust_ratio",
                             {{"min_norm", min_norm}, {"trust_coefficient", trust_coefficient}, {"eps", eps}});
  return detail::leafwise(Description("scale_by_trust_ratio", min_norm, trust_coefficient, eps),
                          [options](const Array& g, const Array& p) {
                            const Array weight = norm_above(p, options.min_norm);
                            const Array length = norm_above(g, options.min_norm);
                            const Array ratio = options.trust_coefficient * weight / (length + options.eps);
                            return g * where(weight == 0.0 || length == 0.0, 1.0, ratio);
                          });
}

GradientTransformation scale_by_sign() {
  return detail::leafwise(Description("scale_by_sign"), [](const Array& g, const Array&) { return sign(g); });
}

GradientTransformation scale_by_param_block_norm(const Scalar& min_scale) {
  require_finite("scale_by_param_block_norm", "min_scale", min_scale);
  return detail::leafwise(Description("scale_by_param_block_norm", min_scale),
                          [=](const Array& g, const Array& p) { return g * norm_above(p, min_scale); });
}

GradientTransformation scale_by_param_block_rms(const Scalar& min_scale) {
  require_finite("scale_by_param_block_rms", "min_scale", min_scale);
  return detail::leafwise(Description("scale_by_param_block_rms", min_scale), [=](const Array& g, const Array& p) {
    const Array rms = sqrt(mean(square(p)));
    return g * where(rms <= min_scale, min_scale, rms);
  });
}

GradientTransformation scale_by_optimistic_gradient(const Scalar& alpha, const Scalar& beta) {
  detail::require_all_finite("scale_by_optimistic_gradient", {{"alpha", alpha}, {"beta", beta}});
  return {Description("scale_by_optimistic_gradient", alpha, beta),
          [](const Tree& params) {
            return Tree{{"is_initial_step", Array(true)}, {"previous_gradient", detail::zeros_like(params)}};
          },
          [=](const Tree& updates, const Tree& state, const Tree&) {
            const Array& initial = state["is_initial_step"].array();
            const Scalar both = alpha.is_number() && beta.is_number()
                                    ? Scalar(alpha.number() + beta.number())
                                    : Scalar(alpha.as(DType::float32) + beta.as(DType::float32));
            const auto ahead = [&](const Array& g, const Array& before) {
              return both * g - beta * where(initial, g, before);
            };
            return Step{tree::map(ahead, updates, state["previous_gradient"]),
                        Tree{{"is_initial_step", Array(false)}, {"previous_gradient", updates}}};
          }};
}

GradientTransformation normalize_by_update_norm(const Scalar& scale_factor, const Scalar& eps) {
  detail::require_all_finite("normalize_by_update_norm", {{"scale_factor", scale_factor}, {"eps", eps}});
  return {Description("normalize_by_update_norm", scale_factor, eps), [](const Tree&) { return Tree(); },
          [=](const Tree& updates, const Tree& state, const Tree&) {
            const Array length = (global_norm(updates) + eps) / scale_factor;
            return Step{tree::map([&](const Array& g) { return g / length; }, updates), state};
          }};
}

GradientTransformation scale_by_rprop(const Scalar& learning_rate, const RpropOptions& options) {
  const auto& [eta_minus, eta_plus, smallest, largest] = options;
  detail::require_all_finite("scale_by_rprop", {{"learning_rate", learning_rate},
                                                {"eta_minus", eta_minus},
                                                {"eta_plus", eta_plus},
                                                {"min_step_size", smallest},
                                                {"max_step_size", largest}});
  return {Description("scale_by_rprop", learning_rate, eta_minus, eta_plus, smallest, largest),
          [learning_rate](const Tree& params) {
            return Tree{{"prev_updates", detail::zeros_like(params)},
                        {"step_sizes", detail::full_like(params, learning_rate)}};
          },
          [o = options](const Tree& updates, const Tree& state, const Tree&) {
            const auto turned = [](const Array& g, const Array& before) { return g * before; };
            const auto resized = [&](const Array& turn, const Array& size) {
              const Array next = size * where(turn > 0, o.eta_plus, o.eta_minus);
              return where(turn == 0, size, minimum(maximum(next, o.min_step_size), o.max_step_size));
            };
            const auto step = [](const Array& turn, const Array& g, const Array& size) {
              return where(turn < 0, zeros_like(g), size * sign(g));
            };
            const auto emitted = [](const Array& turn, const Array& before) {
              return where(turn < 0, zeros_like(before), before);
            };
            const Tree turns = tree::map(turned, updates, state["prev_updates"]);
            const Tree sizes = tree::map(resized, turns, state["step_sizes"]);
            const Tree next = tree::map(step, turns, updates, sizes);
            return Step{tree::map(emitted, turns, state["prev_updates"]),
                        Tree{{"prev_updates", next}, {"step_sizes", sizes}}};
          }};
}

GradientTransformation add_noise(const Scalar& eta, const Scalar& gamma, const Array& key) {
  detail::require_all_finite("add_noise", {{"eta", eta}, {"gamma", gamma}});
  return {Description("add_noise", eta, gamma, Description::unique("key")),
          [key](const Tree&) { return Tree{{"count", Array(0)}, {"rng_key", key}}; },
          [=](const Tree& updates, const Tree& state, const Tree&) {
            const Array count = detail::next_count(state["count"]);
            const Array deviation = sqrt(eta / pow(astype(count, DType::float32), gamma));
            const auto [next_key, sample_key] = random::split<2>(state["rng_key"]);
            std::vector<Array> leaves = updates.leaves();
            for (std::size_t i = 0; i < leaves.size(); ++i) {
              const Array noise = random::normal(random::fold_in(sample_key, i), leaves[i].shape(), leaves[i].dtype());
              leaves[i] = leaves[i] + astype(deviation, leaves[i].dtype()) * noise;
            }
            return Step{updates.with_leaves(leaves), Tree{{"count", count}, {"rng_key", next_key}}};
          }};
}

}  // namespace linseed::optim
