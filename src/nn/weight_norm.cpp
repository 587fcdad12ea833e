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

#include "core/array_node.hpp"
#include "nn/layer_support.hpp"

namespace linseed::nn {

namespace {

/// flax.linen.normalization._l2_normalize
Array l2_normalized(const Array& x, const Axes& axes, double epsilon) {
  return x * rsqrt(sum(x * x, axes, /*keepdims=*/true) + epsilon);
}

/// `now`, with what the layer had, `own`, where it still has what it was given in place of that. Throws
/// ImmutableCollectionError where it changed what was given.
Tree restored(std::string_view op, const Tree& now, const Tree& own, const Tree& given) {
  using linseed::detail::ArrayNode;
  if (!now.is_leaf()) {
    Tree::Dict entries;
    for (const auto& [key, value] : now.entries()) {
      const bool known = !own.is_leaf() && own.entries().contains(key);
      entries.emplace(key, known ? restored(op, value, own[key], given[key]) : value);
    }
    return Tree(std::move(entries));
  }
  if (!own.is_leaf() || ArrayNode::peek(own.array()) == ArrayNode::peek(given.array())) return now;
  if (ArrayNode::peek(now.array()) == ArrayNode::peek(given.array())) return own;
  throw ImmutableCollectionError(op, "The layer updates a variable that is normalized.",
                                 {.got = describe(now.array()),
                                  .hint = "choose the variables by variable_filter, or run the layer in a mode that "
                                          "does not update"});
}

/// flax.linen.map_variables, of all collections: runs the inner layer of `wrapper` with the variables that
/// `transform(scope, path, value)` makes of its own. Afterwards they are back, unless `keep` leaves the transformed
/// ones in place, where the collection is mutable.
template <class Wrapper, class Transform>
Array with_transformed_variables(std::string_view op, const Wrapper& wrapper, Scope& parent,
                                 std::span<const std::any> arguments, bool keep, const Transform& transform) {
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

  const auto run = [&] { return layer->call(&Model::call, arguments); };
  const bool make = scope.is_initializing() && scope.is_mutable("params");
  if (make) (void)run();
  const Tree own = layer->variables();
  Tree given;
  for (const auto& [collection, content] : own.entries()) {
    given = given.set(collection, tree::map_with_path(
                                      [&](const std::string& path, const Array& value) {
                                        return transform(scope, fmt::format("{}/{}", layer->name(), path), value);
                                      },
                                      content));
  }
  layer->set_variables(given);
  Array y = run();
  if (make) return scope.output(std::move(y));
  const Tree now = layer->variables();
  for (const auto& [collection, content] : own.entries()) {
    if (keep && scope.is_mutable(collection)) continue;
    layer->set_variables({{collection, restored(op, now[collection], content, given[collection])}});
  }
  return scope.output(std::move(y));
}

}  // namespace

Array WeightNorm::call(Scope& parent, std::span<const std::any> arguments) const {
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
  return with_transformed_variables("WeightNorm", *this, parent, arguments, /*keep=*/false, normalize);
}

Array SpectralNorm::call(Scope& parent, std::span<const std::any> arguments) const {
  const bool update_stats = std::any_cast<bool>(arguments.back());
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
  return with_transformed_variables("SpectralNorm", *this, parent, arguments.first(arguments.size() - 1),
                                    /*keep=*/true, normalize);
}

}  // namespace linseed::nn
