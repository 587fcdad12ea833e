#pragma once

#include <any>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/nn/initializers.hpp>
#include <linseed/nn/model.hpp>
#include <linseed/nn/scope.hpp>

namespace linseed::nn {

// Layers around a layer, which computes with other weights than those it stores: any module that gives an Array, with
// submodules or without, called with whatever it takes. At the root, or called by its own name, the inner layer is
// named layer_instance; inside another module it belongs to that module (Dense_0 beside WeightNorm_0), as in Flax.
// Variables of all its collections take part. The names of the variables here hold the path of the inner one, slashes
// included, as one key: params["WeightNorm_0"]["Dense_0/kernel/scale"]. nn::init runs the inner layer twice, and stores
// its variables already normalized, both as Flax does. Throw ValueError when the layer is a plain function,
// ImmutableCollectionError when it updates a variable that is normalized.

/// Weight normalization (flax.linen.WeightNorm; Salimans and Kingma 2016): each variable w whose path, from the layer's
/// name on, contains one of `variable_filter` (all, when it is empty) becomes w * rsqrt(sum(w^2) + epsilon) * scale,
/// the sum over all axes but `feature_axes` (all axes, when there are none). Params: "<layer>/<path>/scale" with the
/// extents of `feature_axes`, unless `use_scale` is off. The layer may update its other variables, where Flax allows no
/// update.
struct WeightNorm {
  Model layer_instance;
  double epsilon = 1e-12;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  bool use_scale = true;
  Initializer scale_init = initializers::ones();
  std::optional<Axes> feature_axes = Axes(-1);
  std::vector<std::string> variable_filter = {"kernel"};
  std::string name = {};

  /// The arguments are those of the layer.
  template <class... Args>
  [[nodiscard]] Array operator()(Scope& parent, const Args&... args) const {
    return call(parent, detail::erased(args...));
  }

  [[nodiscard]] Array call(Scope& parent, std::span<const std::any> arguments) const;
};

/// Spectral normalization (flax.linen.SpectralNorm; Miyato et al. 2018): each variable of two or more axes, its
/// leading ones merged, is divided by an estimate of its largest singular value: `n_steps` of power iteration from a
/// vector u, which is kept in the collection `collection_name`, as "<layer>/<path>/u" [1, outputs], beside the
/// estimate, "<layer>/<path>/sigma". `update_stats` stores the new ones. u starts as a standard normal draw. Variables
/// of one axis or none, and all of them when `n_steps` is 0, stay as they are. As in Flax, an apply to which a
/// collection is mutable gives its variables back as they were used, divided.
///
/// The gradient takes u and its counterpart for constants. Throws ImmutableCollectionError when it would store
/// statistics that apply was not told to return, ShapeError for a parameter of more than two axes under
/// `error_on_non_matrix`.
struct SpectralNorm {
  Model layer_instance;
  std::int64_t n_steps = 1;
  double epsilon = 1e-12;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  bool error_on_non_matrix = false;
  std::string collection_name = "batch_stats";
  std::string name = {};

  /// The arguments are those of the layer, and then `update_stats`, a bool.
  template <class... Args>
    requires std::is_same_v<decltype((std::declval<const Args&>(), ...)), const bool&>
  [[nodiscard]] Array operator()(Scope& parent, const Args&... args) const {
    return call(parent, detail::erased(args...));
  }

  [[nodiscard]] Array call(Scope& parent, std::span<const std::any> arguments) const;
};

}  // namespace linseed::nn
