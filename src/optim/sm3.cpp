#include <string>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/optim/moments.hpp>

#include "optim/common.hpp"

namespace linseed::optim {

namespace {

// The maxima of `x` over all axes but one, for each of them: {"0": ..., "1": ...}, as Flax saves a list.
Tree along_axes(const Array& x) {
  Tree result;
  for (int axis = 0; axis < x.rank(); ++axis) {
    std::vector<int> others;
    for (int other = 0; other < x.rank(); ++other) {
      if (other != axis) others.push_back(other);
    }
    result = result.set(std::to_string(axis), others.empty() ? x : max(x, Axes(others)));
  }
  return result;
}

// The least of the maxima that hold for an element.
Array bound(const Array& like, const Tree& maxima) {
  Array least;
  for (int axis = 0; axis < like.rank(); ++axis) {
    Shape shape;
    for (int other = 0; other < like.rank(); ++other) shape.push_back(other == axis ? like.extent(axis) : 1);
    const Array along = reshape(maxima[std::to_string(axis)], shape);
    least = least.defined() ? minimum(least, along) : along;
  }
  return least;
}

// One tree of such maxima for each leaf.
Tree all_along_axes(const Tree& tree) {
  Tree result;
  for (const std::string& path : tree.paths()) result = result.set(path, along_axes(tree.at(path).array()));
  return result;
}

}  // namespace

GradientTransformation scale_by_sm3(const Sm3Options& options) {
  const auto& [b1, b2, eps] = options;
  detail::require_all_finite("scale_by_sm3", {{"b1", b1}, {"b2", b2}, {"eps", eps}});
  auto init = [](const Tree& params) {
    for (const std::string& path : params.paths()) {
      if (params.at(path).array().rank() == 0)
        throw ShapeError("scale_by_sm3", "SM3 needs leaves of at least one axis.", {.at = path, .got = "a scalar"});
    }
    const Tree zeros = detail::zeros_like(params);
    return Tree{{"mu", all_along_axes(zeros)}, {"nu", zeros}};
  };
  auto update = [o = options](const Tree& updates, const Tree& state, const Tree&) {
    const Tree& maxima = state["mu"];
    const auto moved = [&](const std::string& path, const Array& g) {
      const Array before = bound(g, maxima.at(path));
      return o.b2.is(1.0) ? square(g) + before : o.b2.one_minus() * square(g) + o.b2 * before;
    };
    const Tree sums = tree::map_with_path(moved, updates);
    const auto direction = [&](const Array& g, const Array& s) { return g * where(s > 0, rsqrt(s + o.eps), 0.0); };
    const Tree nu = detail::first_moment(tree::map(direction, updates, sums), state["nu"], o.b1);
    return detail::Step{nu, Tree{{"mu", all_along_axes(sums)}, {"nu", nu}}};
  };
  return {Description("scale_by_sm3", b1, b2, eps), std::move(init), std::move(update)};
}

}  // namespace linseed::optim
