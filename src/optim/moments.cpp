#include <linseed/optim/moments.hpp>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "optim/common.hpp"

namespace linseed::optim {

using detail::debiased;
using detail::first_moment;
using detail::next_count;
using detail::second_moment;
using detail::Step;

namespace {

Tree zero_moments(const Tree& params) {
  return {{"count", Array(0)}, {"mu", detail::zeros_like(params)}, {"nu", detail::zeros_like(params)}};
}

// `mu` as it is kept: in a dtype of its own where one is given (optax.tree.cast).
Tree kept(const Tree& mu, std::optional<DType> mu_dtype) {
  if (!mu_dtype) return mu;
  return tree::map([&](const Array& m) { return astype(m, *mu_dtype); }, mu);
}

void require_moment_dtype(std::string_view op, std::optional<DType> mu_dtype) {
  if (!mu_dtype || is_floating(*mu_dtype)) return;
  throw DTypeError(op, "A moment is floating-point.",
                   {.got = fmt::format("mu_dtype {}", to_string(*mu_dtype)), .expected = "float32 or float64"});
}

// mu^, looking one step ahead with Nesterov's momentum (Dozat 2016).
Tree corrected_mean(const Tree& mu, const Tree& updates, const Scalar& b1, const Array& count, bool nesterov) {
  if (!nesterov) return debiased(mu, b1, count);
  const Scalar rest = b1.one_minus();
  return tree::map([&](const Array& m, const Array& g) { return b1 * m + rest * g; },
                   debiased(mu, b1, next_count(count)), debiased(updates, b1, count));
}

// m / (sqrt(v + eps_root) + eps). Adding a 0 known beforehand is left out.
Array scaled(const Array& m, const Array& v, const Scalar& eps, const Scalar& eps_root) {
  return m / (sqrt(eps_root.is(0.0) ? v : v + eps_root) + eps);
}

}  // namespace

GradientTransformation scale_by_adam(const AdamOptions& options) {
  const auto& [b1, b2, eps, eps_root, nesterov, mu_dtype] = options;
  detail::require_all_finite("scale_by_adam", {{"b1", b1}, {"b2", b2}, {"eps", eps}, {"eps_root", eps_root}});
  require_moment_dtype("scale_by_adam", mu_dtype);
  return {Description("scale_by_adam", b1, b2, eps, eps_root, nesterov, mu_dtype),
          [dtype = mu_dtype](const Tree& params) {
            const Tree state = zero_moments(params);
            return state.set("mu", kept(state["mu"], dtype));
          },
          [o = options](const Tree& updates, const Tree& state, const Tree&) {
            const Array count = next_count(state["count"]);
            const Tree mu = first_moment(updates, state["mu"], o.b1);
            const Tree nu = second_moment(updates, state["nu"], o.b2);
            const auto direction = [&](const Array& m, const Array& v) { return scaled(m, v, o.eps, o.eps_root); };
            return Step{
                tree::map(direction, corrected_mean(mu, updates, o.b1, count, o.nesterov), debiased(nu, o.b2, count)),
                Tree{{"count", count}, {"mu", kept(mu, o.mu_dtype)}, {"nu", nu}}};
          }};
}

GradientTransformation scale_by_amsgrad(const AdamOptions& options) {
  const auto& [b1, b2, eps, eps_root, nesterov, mu_dtype] = options;
  detail::require_all_finite("scale_by_amsgrad", {{"b1", b1}, {"b2", b2}, {"eps", eps}, {"eps_root", eps_root}});
  if (nesterov) throw ValueError("scale_by_amsgrad", "AMSGrad has no variant with Nesterov's momentum.");
  require_moment_dtype("scale_by_amsgrad", mu_dtype);
  return {Description("scale_by_amsgrad", b1, b2, eps, eps_root, mu_dtype),
          [dtype = mu_dtype](const Tree& params) {
            const Tree state = zero_moments(params);
            return state.set("mu", kept(state["mu"], dtype)).set("nu_max", state["nu"]);
          },
          [o = options](const Tree& updates, const Tree& state, const Tree&) {
            const Array count = next_count(state["count"]);
            const Tree mu = first_moment(updates, state["mu"], o.b1);
            const Tree nu = second_moment(updates, state["nu"], o.b2);
            const Tree nu_max = tree::map([](const Array& a, const Array& b) { return maximum(a, b); }, state["nu_max"],
                                          debiased(nu, o.b2, count));
            const auto direction = [&](const Array& m, const Array& v) { return scaled(m, v, o.eps, o.eps_root); };
            return Step{tree::map(direction, debiased(mu, o.b1, count), nu_max),
                        Tree{{"count", count}, {"mu", kept(mu, o.mu_dtype)}, {"nu", nu}, {"nu_max", nu_max}}};
          }};
}

GradientTransformation scale_by_adamax(const AdamaxOptions& options) {
  const auto& [b1, b2, eps] = options;
  detail::require_all_finite("scale_by_adamax", {{"b1", b1}, {"b2", b2}, {"eps", eps}});
  return {Description("scale_by_adamax", b1, b2, eps), zero_moments,
          [o = options](const Tree& updates, const Tree& state, const Tree&) {
            const Array count = next_count(state["count"]);
            const Tree mu = first_moment(updates, state["mu"], o.b1);
            const auto largest = [&](const Array& g, const Array& v) { return maximum(abs(g) + o.eps, o.b2 * v); };
            const Tree nu = tree::map(largest, updates, state["nu"]);
            return Step{tree::map([](const Array& m, const Array& v) { return m / v; }, debiased(mu, o.b1, count), nu),
                        Tree{{"count", count}, {"mu", mu}, {"nu", nu}}};
          }};
}

GradientTransformation scale_by_belief(const BeliefOptions& options) {
  const auto& [b1, b2, eps, eps_root, nesterov] = options;
  detail::require_all_finite("scale_by_belief", {{"b1", b1}, {"b2", b2}, {"eps", eps}, {"eps_root", eps_root}});
  return {Description("scale_by_belief", b1, b2, eps, eps_root, nesterov), zero_moments,
          [o = options](const Tree& updates, const Tree& state, const Tree&) {
            const Array count = next_count(state["count"]);
            const Tree mu = first_moment(updates, state["mu"], o.b1);
            const Tree surprise = tree::map([](const Array& g, const Array& m) { return g - m; }, updates, mu);
            const Tree nu =
                tree::map([&](const Array& v) { return v + o.eps_root; }, second_moment(surprise, state["nu"], o.b2));
            const auto direction = [&](const Array& m, const Array& v) { return m / (sqrt(v) + o.eps); };
            return Step{
                tree::map(direction, corrected_mean(mu, updates, o.b1, count, o.nesterov), debiased(nu, o.b2, count)),
                Tree{{"count", count}, {"mu", mu}, {"nu", nu}}};
          }};
}

namespace {

// What decides in RAdam: the length of the approximated average, and the factor where it is long enough.
struct Rectification {
  Array length, factor;
};

Rectification rectification(const Scalar& b2, const Array& count) {
  const Array t = astype(count, DType::float32);
  const Array power = pow(b2.as(DType::float32), t);
  const Scalar longest =
      b2.is_number() ? Scalar(2.0 / (1.0 - b2.number()) - 1.0) : Scalar(2.0 / b2.one_minus().as(DType::float32) - 1.0);
  const Array length = longest - 2 * t * power / (1 - power);
  const ArrayLike spread = longest.is_number()
                               ? ArrayLike((longest.number() - 4.0) * (longest.number() - 2.0))
                               : ArrayLike((longest.as(DType::float32) - 4) * (longest.as(DType::float32) - 2));
  return {length, sqrt((length - 4.0) * (length - 2.0) * longest / (spread * length))};
}

}  // namespace

GradientTransformation scale_by_radam(const RadamOptions& options) {
  const auto& [b1, b2, eps, eps_root, threshold, nesterov] = options;
  detail::require_all_finite("scale_by_radam",
                             {{"b1", b1}, {"b2", b2}, {"eps", eps}, {"eps_root", eps_root}, {"threshold", threshold}});
  return {Description("scale_by_radam", b1, b2, eps, eps_root, threshold, nesterov), zero_moments,
          [o = options](const Tree& updates, const Tree& state, const Tree&) {
            const Array count = next_count(state["count"]);
            const Tree mu = first_moment(updates, state["mu"], o.b1);
            const Tree nu = second_moment(updates, state["nu"], o.b2);
            const auto [length, factor] = rectification(o.b2, count);
            const Array rectified = length >= o.threshold;
            const auto direction = [&, factor = factor](const Array& m, const Array& v) {
              return where(rectified, scaled(astype(factor, m.dtype()) * m, v, o.eps, o.eps_root), m);
            };
            return Step{
                tree::map(direction, corrected_mean(mu, updates, o.b1, count, o.nesterov), debiased(nu, o.b2, count)),
                Tree{{"count", count}, {"mu", mu}, {"nu", nu}}};
          }};
}

GradientTransformation scale_by_yogi(const YogiOptions& options) {
  const auto& [b1, b2, eps, eps_root, initial] = options;
  detail::require_all_finite(
      "scale_by_yogi",
      {{"b1", b1}, {"b2", b2}, {"eps", eps}, {"eps_root", eps_root}, {"initial_accumulator_value", initial}});
  return {Description("scale_by_yogi", b1, b2, eps, eps_root, initial),
          [start = initial](const Tree& params) {
            const Tree moment = detail::full_like(params, start);
            return Tree{{"count", Array(0)}, {"mu", moment}, {"nu", moment}};
          },
          [o = options](const Tree& updates, const Tree& state, const Tree&) {
            const Array count = next_count(state["count"]);
            const Tree mu = first_moment(updates, state["mu"], o.b1);
            const Scalar rest = o.b2.one_minus();
            const auto towards = [&](const Array& g, const Array& v) {
              return v - rest * sign(v - square(g)) * square(g);
            };
            const Tree nu = tree::map(towards, updates, state["nu"]);
            const auto direction = [&](const Array& m, const Array& v) { return scaled(m, v, o.eps, o.eps_root); };
            return Step{tree::map(direction, debiased(mu, o.b1, count), debiased(nu, o.b2, count)),
                        Tree{{"count", count}, {"mu", mu}, {"nu", nu}}};
          }};
}

GradientTransformation scale_by_lion(const Scalar& b1, const Scalar& b2, std::optional<DType> mu_dtype) {
  detail::require_all_finite("scale_by_lion", {{"b1", b1}, {"b2", b2}});
  require_moment_dtype("scale_by_lion", mu_dtype);
  return {
      Description("scale_by_lion", b1, b2, mu_dtype),
      [=](const Tree& params) { return Tree{{"count", Array(0)}, {"mu", kept(detail::zeros_like(params), mu_dtype)}}; },
      [=](const Tree& updates, const Tree& state, const Tree&) {
        const Tree blend = first_moment(updates, state["mu"], b1);
        const Tree mu = first_moment(updates, state["mu"], b2);
        return Step{tree::map([](const Array& x) { return sign(x); }, blend),
                    Tree{{"count", next_count(state["count"])}, {"mu", kept(mu, mu_dtype)}}};
      }};
}

namespace {

// scale_by_rms, and with the mean taken off scale_by_stddev.
GradientTransformation scale_by_root(std::string_view name, const RmsOptions& options, bool centered) {
  const auto& [decay, eps, initial_scale, eps_in_sqrt, correct] = options;
  detail::require_all_finite(name, {{"decay", decay}, {"eps", eps}, {"initial_scale", initial_scale}});
  auto init = [o = options, centered](const Tree& params) {
    Tree state{{"nu", detail::full_like(params, o.initial_scale)}};
    if (centered) state = state.set("mu", detail::zeros_like(params));
    return o.bias_correction ? state.set("count", Array(0)) : state;
  };
  auto update = [o = options, centered](const Tree& updates, const Tree& state, const Tree&) {
    Tree next{{"nu", second_moment(updates, state["nu"], o.decay)}};
    if (centered) next = next.set("mu", first_moment(updates, state["mu"], o.decay));
    Tree variance = next["nu"], mean = centered ? next["mu"] : Tree();
    if (o.bias_correction) {
      const Array count = next_count(state["count"]);
      variance = debiased(variance, o.decay, count);
      mean = debiased(mean, o.decay, count);
      next = next.set("count", count);
    }
    if (centered) {
      variance = tree::map([](const Array& v, const Array& m) { return v - square(m); }, variance, mean);
    }
    const auto direction = [&](const Array& g, const Array& v) {
      return o.eps_in_sqrt ? rsqrt(v + o.eps) * g : 1 / (sqrt(v) + o.eps) * g;
    };
    return Step{tree::map(direction, updates, variance), next};
  };
  return {Description(name, decay, eps, initial_scale, eps_in_sqrt, correct), std::move(init), std::move(update)};
}

}  // namespace

GradientTransformation scale_by_rms(const RmsOptions& options) {
  return scale_by_root("scale_by_rms", options, /*centered=*/false);
}

GradientTransformation scale_by_stddev(const RmsOptions& options) {
  return scale_by_root("scale_by_stddev", options, /*centered=*/true);
}

GradientTransformation scale_by_rss(const RssOptions& options) {
  const auto& [initial, eps] = options;
  detail::require_all_finite("scale_by_rss", {{"initial_accumulator_value", initial}, {"eps", eps}});
  return {
      Description("scale_by_rss", initial, eps),
      [start = initial](const Tree& params) { return Tree{{"sum_of_squares", detail::full_like(params, start)}}; },
      [o = options](const Tree& updates, const Tree& state, const Tree&) {
        const Tree total =
            tree::map([](const Array& g, const Array& s) { return square(g) + s; }, updates, state["sum_of_squares"]);
        const auto direction = [&](const Array& g, const Array& s) { return where(s > 0, rsqrt(s + o.eps), 0.0) * g; };
        return Step{tree::map(direction, updates, total), Tree{{"sum_of_squares", total}}};
      }};
}

GradientTransformation scale_by_adadelta(const Scalar& rho, const Scalar& eps) {
  detail::require_all_finite("scale_by_adadelta", {{"rho", rho}, {"eps", eps}});
  return {
      Description("scale_by_adadelta", rho, eps),
      [](const Tree& params) { return Tree{{"e_g", detail::zeros_like(params)}, {"e_x", detail::zeros_like(params)}}; },
      [=](const Tree& updates, const Tree& state, const Tree&) {
        const Tree squares = second_moment(updates, state["e_g"], rho);
        const auto direction = [&](const Array& g, const Array& e_g, const Array& e_x) {
          return sqrt(e_x + eps) / sqrt(e_g + eps) * g;
        };
        const Tree steps = tree::map(direction, updates, squares, state["e_x"]);
        return Step{steps, Tree{{"e_g", squares}, {"e_x", second_moment(steps, state["e_x"], rho)}}};
      }};
}

GradientTransformation scale_by_adan(const AdanOptions& options) {
  const auto& [b1, b2, b3, eps, eps_root] = options;
  detail::require_all_finite("scale_by_adan",
                             {{"b1", b1}, {"b2", b2}, {"b3", b3}, {"eps", eps}, {"eps_root", eps_root}});
  return {Description("scale_by_adan", b1, b2, b3, eps, eps_root),
          [](const Tree& params) {
            const Tree zeros = detail::zeros_like(params);
            return Tree{{"g", zeros}, {"m", zeros}, {"n", zeros}, {"t", Array(0)}, {"v", zeros}};
          },
          [o = options](const Tree& updates, const Tree& state, const Tree&) {
            const Array first = state["t"].array() == 0;
            const Array count = next_count(state["t"]);
            const Scalar rest = o.b2.one_minus();
            const Tree change =
                tree::map([&](const Array& g, const Array& before) { return where(first, zeros_like(g), g - before); },
                          updates, state["g"]);
            const auto ahead = [&](const Array& x, const Array& d) { return x + rest * d; };
            const Tree m = first_moment(updates, state["m"], o.b1);
            const Tree v = first_moment(change, state["v"], o.b2);
            const Tree n = second_moment(tree::map(ahead, updates, change), state["n"], o.b3);
            const auto direction = [&](const Array& x, const Array& square) {
              return scaled(x, square, o.eps, o.eps_root);
            };
            return Step{tree::map(direction, tree::map(ahead, debiased(m, o.b1, count), debiased(v, o.b2, count)),
                                  debiased(n, o.b3, count)),
                        Tree{{"g", updates}, {"m", m}, {"n", n}, {"t", count}, {"v", v}}};
          }};
}

GradientTransformation scale_by_novograd(const NovogradOptions& options) {
  const auto& [b1, b2, eps, eps_root, weight_decay] = options;
  detail::require_all_finite(
      "scale_by_novograd",
      {{"b1", b1}, {"b2", b2}, {"eps", eps}, {"eps_root", eps_root}, {"weight_decay", weight_decay}});
  return {Description("scale_by_novograd", b1, b2, eps, eps_root, weight_decay),
          [](const Tree& params) {
            const auto scalar = [](const Array& p) { return zeros({}, p.dtype()); };
            return Tree{{"count", Array(0)}, {"mu", detail::zeros_like(params)}, {"nu", tree::map(scalar, params)}};
          },
          [o = options](const Tree& updates, const Tree& state, const Tree& params) {
            const Array count = next_count(state["count"]);
            const Array first = count == 1;
            const Tree squares = tree::map([](const Array& g) { return sum(square(g)); }, updates);
            const auto start = [&](const Array& fresh, const Array& moved) { return where(first, fresh, moved); };
            const Tree nu = tree::map(start, squares, first_moment(squares, state["nu"], o.b2));
            const auto addition = [&](const Array& g, const Array& p, const Array& v) {
              return scaled(g, v, o.eps, o.eps_root) + o.weight_decay * p;
            };
            const Tree added = tree::map(addition, updates, params, nu);
            const auto move = [&](const Array& a, const Array& m) { return where(first, a, o.b1 * m + a); };
            const Tree mu = tree::map(move, added, state["mu"]);
            return Step{mu, Tree{{"count", count}, {"mu", mu}, {"nu", nu}}};
          }};
}

}  // namespace linseed::optim
