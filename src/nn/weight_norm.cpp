#include <linseed/nn/weight_norm.hpp>

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

#include "nn/layer_support.hpp"

namespace linseed::nn {

namespace {

/// flax.linen.normalization._l2_normalize
Array l2_normalized(const Array& x, const Axes& axes, double epsilon) {
  return x * rsqrt(sum(x * x, axes, /*keepdims=*/true) + epsilon);
}

/// flax.linen.map_variables: runs the inner layer of `wrapper` with the parameters that `transform(scope, path, value)`
/// makes of its own. `keep` leaves them in place afterwards.
template <class Wrapper, class Transform>
Array with_transformed_params(std::string_view op, const Wrapper& wrapper, Scope& parent, const Array& x, bool keep,
                              const Transform& transform) {
  if (!wrapper.layer_instance.is_module()) {
    throw ValueError(op, "The layer must be a module, with parameters.",
                     {.got = std::string(wrapper.layer_instance.name())});
  }
  require_within(op, "epsilon", wrapper.epsilon, 0.0, std::numeric_limits<double>::max());
  // Inside another module that module owns the layer, which is made, and therefore named, before its wrapper.
  const bool at_own_root = parent.is_for(wrapper);
  std::optional<Shared<Model>> layer;
  if (!at_own_root) layer = parent.share(wrapper.layer_instance);
  Scope scope = parent.enter(wrapper);
  if (at_own_root) layer = scope.share(wrapper.layer_instance, "layer_instance");

  const bool make = scope.is_initializing() && scope.is_mutable("params");
  if (make) (void)(*layer)(x);
  const Tree own = layer->params();
  if (own.empty()) return scope.output((*layer)(x));
  layer->set_params(tree::map_with_path(
      [&](const std::string& path, const Array& value) {
        return transform(scope, fmt::format("{}/{}", layer->name(), path), value);
      },
      own));
  Array y = (*layer)(x);
  if (!make && !keep) layer->set_params(own);
  return scope.output(std::move(y));
}

}  // namespace

Array WeightNorm::operator()(Scope& parent, const Array& x) const {
  const auto normalize = [&](Scope& scope, const std::string& path, const Array& value) {
    const bool wanted = variable_filter.empty() ||
                        std::any_of(variable_filter.begin(), variable_filter.end(),
                                    [&](const std::string& part) { return path.find(part) != std::string::npos; });
    if (!wanted) return value;
    std::vector<int> features, reduced;
    if (feature_axes) {
      const auto sorted = feature_axes->normalized(value.rank(), "WeightNorm");
      features.assign(sorted.begin(), sorted.end());
    }
    Shape aligned = Shape::filled(value.rank(), 1), feature_shape;
    for (int axis = 0; axis < value.rank(); ++axis) {
      if (std::find(features.begin(), features.end(), axis) == features.end()) {
        reduced.push_back(axis);
      } else {
        feature_shape.push_back(value.extent(axis));
        aligned[static_cast<std::size_t>(axis)] = value.extent(axis);
      }
    }
    Array result = l2_normalized(value, reduced, epsilon);
    Array scale;
    if (use_scale) {
      scale = scope.param(path + "/scale", scale_init, feature_shape, param_dtype);
      result = result * reshape(scale, aligned);
    }
    return astype(result, computation_dtype(dtype, {value, scale}));
  };
  return with_transformed_params("WeightNorm", *this, parent, x, /*keep=*/false, normalize);
}

Array SpectralNorm::operator()(Scope& parent, const Array& x, bool update_stats) const {
  const auto normalize = [&](Scope& scope, const std::string& path, const Array& value) {
    if (value.rank() <= 1 || n_steps < 1) return value;
    if (value.rank() > 2 && error_on_non_matrix) {
      throw ShapeError("SpectralNorm", "A parameter is not a matrix.",
                       {.got = fmt::format("{} of {}", to_string(value.shape()), path),
                        .hint = "error_on_non_matrix = false merges the leading axes"});
    }
    const Array matrix = reshape(value, {-1, value.extent(-1)});
    const Variable vector = scope.variable(collection_name, path + "/u", [&] {
      return random::normal(scope.make_rng("params"), {1, value.extent(-1)}, param_dtype);
    });
    const Variable estimate = scope.variable(collection_name, path + "/sigma", [&] { return ones({}, param_dtype); });
    Array u = vector.value(), v;
    for (std::int64_t step = 0; step < n_steps; ++step) {
      v = l2_normalized(matmul(u, transpose(matrix)), {}, epsilon);
      u = l2_normalized(matmul(v, matrix), {}, epsilon);
    }
    u = stop_gradient(u);
    v = stop_gradient(v);
    const Array sigma = reshape(matmul(matmul(v, matrix), transpose(u)), {});
    const Array result = reshape(matrix / where(sigma != 0, sigma, 1), value.shape());
    if (update_stats) {
      vector.set(u);
      estimate.set(sigma);
    }
    return astype(result, computation_dtype(dtype, {value, u, v, sigma}));
  };
  return with_transformed_params("SpectralNorm", *this, parent, x, parent.is_mutable("params"), normalize);
}

}  // namespace linseed::nn
