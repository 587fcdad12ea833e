#include <algorithm>
#include <numeric>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/optim/moments.hpp>

#include "optim/common.hpp"

namespace linseed::optim {

namespace {

// The two largest axes of a leaf that is factored: Optax calls the lesser of them d1, the larger one d0.
struct Factors {
  int lesser = -1, larger = -1;
  explicit operator bool() const { return larger >= 0; }
};

Factors factors_of(const Shape& shape, const FactoredRmsOptions& options) {
  if (!options.factored || shape.rank() < 2) return {};
  std::vector<int> axes(shape.size());
  std::iota(axes.begin(), axes.end(), 0);
  const auto extent = [&](int axis) { return shape[static_cast<std::size_t>(axis)]; };
  std::stable_sort(axes.begin(), axes.end(), [&](int a, int b) { return extent(a) < extent(b); });
  const int lesser = axes[axes.size() - 2];
  return extent(lesser) < options.min_dim_size_to_factor ? Factors{} : Factors{lesser, axes.back()};
}

Array zeros_without(const Array& leaf, int axis) {
  Shape shape;
  for (int i = 0; i < leaf.rank(); ++i) {
    if (i != axis) shape.push_back(leaf.extent(i));
  }
  return zeros(shape, leaf.dtype());
}

Array unused(const Array& leaf) { return zeros({1}, leaf.dtype()); }

}  // namespace

GradientTransformation scale_by_factored_rms(const FactoredRmsOptions& options) {
  const auto& [factored, decay_rate, step_offset, min_dim_size, epsilon] = options;
  detail::require_all_finite("scale_by_factored_rms", {{"decay_rate", decay_rate}, {"epsilon", epsilon}});
  auto init = [o = options](const Tree& params) {
    const auto rows = [&](const Array& p) {
      const Factors axes = factors_of(p.shape(), o);
      return axes ? zeros_without(p, axes.larger) : unused(p);
    };
    const auto columns = [&](const Array& p) {
      const Factors axes = factors_of(p.shape(), o);
      return axes ? zeros_without(p, axes.lesser) : unused(p);
    };
    const auto whole = [&](const Array& p) { return factors_of(p.shape(), o) ? unused(p) : zeros_like(p); };
    return Tree{{"count", Array(0)},
                {"v", tree::map(whole, params)},
                {"v_col", tree::map(columns, params)},
                {"v_row", tree::map(rows, params)}};
  };
  auto update = [o = options](const Tree& updates, const Tree& state, const Tree&) {
    const Array& count = state["count"].array();
    const Array t = astype(count - o.step_offset + 1, DType::float32);
    const Array decay = 1.0 - pow(t, o.decay_rate.negated());
    const auto moved = [&](const Array& v, const Array& squares) {
      return astype(decay * v + (1.0 - decay) * squares, v.dtype());
    };
    const auto squares_of = [&](const Array& g) { return square(g) + o.epsilon; };
    const auto rows = [&](const Array& g, const Array& v) {
      const Factors axes = factors_of(g.shape(), o);
      return axes ? moved(v, mean(squares_of(g), axes.larger)) : unused(g);
    };
    const auto columns = [&](const Array& g, const Array& v) {
      const Factors axes = factors_of(g.shape(), o);
      return axes ? moved(v, mean(squares_of(g), axes.lesser)) : unused(g);
    };
    const auto whole = [&](const Array& g, const Array& v) {
      return factors_of(g.shape(), o) ? unused(g) : moved(v, squares_of(g));
    };
    const Tree v_row = tree::map(rows, updates, state["v_row"]);
    const Tree v_col = tree::map(columns, updates, state["v_col"]);
    const Tree v = tree::map(whole, updates, state["v"]);
    const auto direction = [&](const Array& g, const Array& row, const Array& column, const Array& both) {
      const Factors axes = factors_of(g.shape(), o);
      if (!axes) return g * rsqrt(both);
      // The rows have lost the larger axis.
      const int lesser = axes.lesser > axes.larger ? axes.lesser - 1 : axes.lesser;
      const Array row_factor = rsqrt(row / mean(row, lesser, /*keepdims=*/true));
      return g * expand_dims(row_factor, axes.larger) * expand_dims(rsqrt(column), axes.lesser);
    };
    return detail::Step{tree::map(direction, updates, v_row, v_col, v),
                        Tree{{"count", detail::next_count(count)}, {"v", v}, {"v_col", v_col}, {"v_row", v_row}}};
  };
  return {Description("scale_by_factored_rms", factored, decay_rate, step_offset, min_dim_size, epsilon),
          std::move(init), std::move(update)};
}

}  // namespace linseed::optim
