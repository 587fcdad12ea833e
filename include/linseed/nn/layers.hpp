#pragma once

#include <optional>
#include <string>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/nn/initializers.hpp>
#include <linseed/nn/model.hpp>
#include <linseed/nn/scope.hpp>
#include <linseed/ops/conv.hpp>

// Layers are aggregates of hyper-parameters with flax.linen's names, defaults and formulas. Called with a scope they
// name themselves ("Dense_0", or `name`) and keep their variables there. `dtype` is that of the computation: when it is
// left open, what input and parameters promote to. `param_dtype` is that of the parameters.

namespace linseed::nn {

/// y = x . kernel + bias over the last axis of x [..., in] (flax.linen.Dense). Params: kernel [in, features],
/// bias [features]. Throws ShapeError for a scalar x.
struct Dense {
  std::int64_t features = 0;
  bool use_bias = true;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer bias_init = initializers::zeros();
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x) const;
};

/// Convolution of x [N, spatial..., in] (flax.linen.Conv; leading batch axes beyond one are merged, none is added).
/// Params: kernel [spatial..., in / feature_group_count, features], bias [features]. Empty strides and dilations stand
/// for ones. Throws ShapeError when ranks or channels do not fit.
struct Conv {
  std::int64_t features = 0;
  Shape kernel_size = {};
  Shape strides = {};
  Padding padding = "SAME";
  Shape input_dilation = {};
  Shape kernel_dilation = {};
  std::int64_t feature_group_count = 1;
  bool use_bias = true;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer bias_init = initializers::zeros();
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x) const;
};

/// Batch normalization (flax.linen.BatchNorm; Ioffe and Szegedy 2015): normalizes over all axes but `axis`, by the
/// batch's statistics, which also move the running ones: running = momentum * running + (1 - momentum) * batch. With
/// `use_running_average` it normalizes by the running ones and changes nothing.
///
/// `use_running_average` is given here or at the call, exactly once; ValueError otherwise. The variance is biased
/// (divided by the count), for the output and for the running one. `momentum` is the share that stays: PyTorch's is the
/// other share. `mask` (broadcast to x, true = counts) leaves elements out of the statistics.
///
/// Params: scale, bias; batch_stats: mean, var (float32); each with the extents of `axis`. Throws
/// ImmutableCollectionError when it would update statistics that apply was not told to return.
struct BatchNorm {
  std::optional<bool> use_running_average = {};
  Axes axis = -1;
  double momentum = 0.99;
  double epsilon = 1e-5;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  bool use_bias = true;
  bool use_scale = true;
  Initializer bias_init = initializers::zeros();
  Initializer scale_init = initializers::ones();
  bool use_fast_variance = true;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, std::optional<bool> use_running_average_at_call = {},
                                 const Array& mask = {}) const;
};

/// Zeroes elements with probability `rate` and scales the others by 1 / (1 - rate); the same mask along
/// `broadcast_dims` (flax.linen.Dropout). `deterministic` (no dropping) is given here or at the call, exactly once.
/// Draws from the stream `rng_collection`. Throws DTypeError for integers, ValueError for a rate outside [0, 1].
struct Dropout {
  double rate = 0.5;
  std::vector<int> broadcast_dims = {};
  std::optional<bool> deterministic = {};
  std::string rng_collection = "dropout";
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, std::optional<bool> deterministic_at_call = {}) const;
};

/// Calls its layers one after the other (flax.linen.Sequential). At the root the layers are named layers_0, layers_1,
/// ...; inside another module they belong to that module, as in Flax. Throws ValueError when there are none.
///
///     nn::Sequential{{nn::Dense{.features = 4}, nn::relu, nn::Dense{.features = 1}}}
struct Sequential {
  std::vector<Model> layers;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x) const;
};

/// Flax's merge_param: the one of field and call argument that is given. Throws ValueError when both or neither are.
[[nodiscard]] bool merge_param(std::string_view name, std::optional<bool> field, std::optional<bool> argument);

}  // namespace linseed::nn
