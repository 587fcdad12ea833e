#include <linseed/optim/clipping.hpp>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "optim/common.hpp"

namespace linseed::optim {

using detail::leafwise;
using detail::Step;

namespace {

// What belongs to one unit of a parameter (optax.unitwise_norm).
Axes unit_axes(const Array& x) {
  int long_axes = 0;
  for (const std::int64_t extent : x.shape()) long_axes += extent == 1 ? 0 : 1;
  if (long_axes <= 1) return {};
  switch (x.rank()) {
    case 2:
    case 3: return 0;
    case 4: return {0, 1, 2};
    case 5: return {0, 1, 2, 3};
    default:
      throw ShapeError(
          "adaptive_grad_clip", "There is no rule for the units of a parameter of so many axes.",
          {.got = describe(x), .expected = "at most 5 axes", .hint = "say along which axes a unit lies: axes"});
  }
}

Array unitwise_norm(const Array& x, const std::optional<Axes>& axes) {
  return sqrt(sum(square(x), axes ? *axes : unit_axes(x), /*keepdims=*/true));
}

}  // namespace

GradientTransformation clip(const Scalar& max_delta) {
  require_finite("clip", "max_delta", max_delta);
  if (max_delta.is_number() && max_delta.number() < 0.0) {
    throw ValueError("clip", "max_delta must not be negative.", {.got = fmt::format("{}", max_delta.number())});
  }
  return leafwise(Description("clip", max_delta), [=, least = max_delta.negated()](const Array& g, const Array&) {
    return linseed::clip(g, least, max_delta);
  });
}

GradientTransformation clip_by_global_norm(const Scalar& max_norm) {
  require_finite("clip_by_global_norm", "max_norm", max_norm);
  return {Description("clip_by_global_norm", max_norm), [](const Tree&) { return Tree(); },
          [=](const Tree& updates, const Tree& state, const Tree&) {
            const Array norm = global_norm(updates);
            const Array within = norm < max_norm;
            const auto clipped = [&](const Array& g) {
              return where(within, g, g / astype(norm, g.dtype()) * max_norm);
            };
            return Step{tree::map(clipped, updates), state};
          }};
}

GradientTransformation clip_by_block_rms(const Scalar& threshold) {
  require_finite("clip_by_block_rms", "threshold", threshold);
  return leafwise(Description("clip_by_block_rms", threshold),
                  [=](const Array& g, const Array&) { return g / maximum(1.0, sqrt(mean(square(g))) / threshold); });
}

GradientTransformation adaptive_grad_clip(const Scalar& clipping, const Scalar& eps, const std::optional<Axes>& axes) {
  detail::require_all_finite("adaptive_grad_clip", {{"clipping", clipping}, {"eps", eps}});
  const std::vector<int> listed =
      axes ? std::vector<int>(axes->list().begin(), axes->list().end()) : std::vector<int>();
  return leafwise(Description("adaptive_grad_clip", clipping, eps, axes.has_value(), listed),
                  [=](const Array& g, const Array& p) {
                    constexpr double smallest = 1e-6;
                    const Array norm = unitwise_norm(g, axes);
                    const Array bound = clipping * maximum(unitwise_norm(p, axes), eps);
                    return where(norm < bound, g, g * (bound / maximum(norm, smallest)));
                  });
}

GradientTransformation centralize() {
  return leafwise(Description("centralize"), [](const Array& g, const Array&) {
    if (g.rank() < 2) return g;
    std::vector<int> axes;
    for (int axis = 1; axis < g.rank(); ++axis) axes.push_back(axis);
    return g - mean(g, axes, /*keepdims=*/true);
  });
}

GradientTransformation zero_nans() {
  const auto map = [](const Tree& tree, const auto& function) { return tree::map(function, tree); };
  return {
      Description("zero_nans"),
      [map](const Tree& params) { return Tree{{"found_nan", map(params, [](const Array&) { return Array(false); })}}; },
      [map](const Tree& updates, const Tree&, const Tree&) {
        return Step{map(updates, [](const Array& g) { return where(isnan(g), 0.0, g); }),
                    Tree{{"found_nan", map(updates, [](const Array& g) { return any(isnan(g)); })}}};
      }};
}

GradientTransformation keep_params_nonnegative() {
  return leafwise(Description("keep_params_nonnegative"),
                  [](const Array& g, const Array& p) { return where(p + g < 0.0, -p, g); });
}

}  // namespace linseed::optim
