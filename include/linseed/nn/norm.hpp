#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/core/error.hpp>
#include <linseed/nn/initializers.hpp>
#include <linseed/nn/merge_param.hpp>
#include <linseed/nn/scope.hpp>

namespace linseed::nn {

// y = (x - mean) * rsqrt(var + epsilon) * scale + bias, with statistics over some of the axes
// (flax.linen.normalization). Statistics have at least float32 precision; the variance is biased (divided by the count)
// and never negative. With `use_fast_variance` it is mean(x^2) - mean(x)^2, which loses its digits where the mean is
// much larger than the deviation; without, it takes two passes.
//
// A `mask` that broadcasts to x (true = counts) leaves elements out of the statistics; all are normalized. Where all
// elements of a statistic are masked there is none, and Flax computes NaN, which its running statistics never lose.
// Here BatchNorm then normalizes that feature by its running statistics, which stay as they are; the other layers,
// which have none, by mean 0 and variance 1, so that the elements pass through scale and bias. Gradients are those of
// these formulas. Statistics of a single element are its value and variance 0: the output is the bias, as in Flax.
//
// `axis_name` and `axis_index_groups` name the devices over which Flax averages statistics. Groups must hold every
// index from 0 on exactly once, else ValueError. linseed has no collectives yet: a layer that would average over a
// named axis throws UnboundAxisError. With `force_float32_reductions` off, statistics are as precise as the input, and
// BatchNorm's running ones have the dtype `param_dtype`.
//
// All throw ValueError for an epsilon or momentum out of its range, ShapeError for an axis that x does not have or that
// is given twice, and for a mask that does not broadcast to x.

/// A layer that averages over a named axis runs where no transform gives that name to anything.
struct UnboundAxisError : Error {
  using Error::Error;
};

/// Indices of a named axis that share their statistics: {{0, 1}, {2, 3}}.
using AxisIndexGroups = std::vector<std::vector<std::int64_t>>;

/// Batch normalization (flax.linen.BatchNorm; Ioffe and Szegedy 2015): normalizes over all axes but `axis`, by the
/// batch's statistics, which also move the running ones: running = momentum * running + (1 - momentum) * batch. With
/// `use_running_average` it normalizes by the running ones and changes nothing.
///
/// `use_running_average` is given here or at the call, exactly once; ValueError otherwise. nn::init never moves the
/// running statistics, and asks for no named axis. `momentum`, within [0, 1], is the share that stays: PyTorch's is the
/// other share, see momentum_from_pytorch. PyTorch moves its running variance by the unbiased estimate, count / (count
/// - 1) times the one of Flax and linseed; its output, too, is normalized by the biased one.
///
/// Params: scale, bias; batch_stats: mean, var (float32); each with the extents of `axis`. Throws
/// ImmutableCollectionError when it would update statistics that apply was not told to return, ValueError when it would
/// take them of an empty batch (Flax would make them NaN).
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
  std::string axis_name = {};
  AxisIndexGroups axis_index_groups = {};
  bool use_fast_variance = true;
  bool force_float32_reductions = true;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, std::optional<bool> use_running_average_at_call = {},
                                 const Array& mask = {}) const;
};

/// BatchNorm's `momentum` for one of PyTorch: torch.nn.BatchNorm2d(momentum=0.1) moves as far as
/// nn::BatchNorm{.momentum = nn::momentum_from_pytorch(0.1)}, which is 0.9. Throws ValueError outside [0, 1].
[[nodiscard]] double momentum_from_pytorch(double momentum);

/// Layer normalization (flax.linen.LayerNorm; Ba, Kiros and Hinton 2016): statistics over `reduction_axes`, of each
/// example by itself. Params: scale, bias with the extents of `feature_axes`.
struct LayerNorm {
  double epsilon = 1e-6;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  bool use_bias = true;
  bool use_scale = true;
  Initializer bias_init = initializers::zeros();
  Initializer scale_init = initializers::ones();
  Axes reduction_axes = -1;
  Axes feature_axes = -1;
  std::string axis_name = {};
  AxisIndexGroups axis_index_groups = {};
  bool use_fast_variance = true;
  bool force_float32_reductions = true;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, const Array& mask = {}) const;
};

/// Division by the root of the mean square (flax.linen.RMSNorm; Zhang and Sennrich 2019): LayerNorm without centring
/// and without bias. Params: scale.
struct RMSNorm {
  double epsilon = 1e-6;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  bool use_scale = true;
  Initializer scale_init = initializers::ones();
  Axes reduction_axes = -1;
  Axes feature_axes = -1;
  std::string axis_name = {};
  AxisIndexGroups axis_index_groups = {};
  bool use_fast_variance = true;
  bool force_float32_reductions = true;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, const Array& mask = {}) const;
};

/// Group normalization (flax.linen.GroupNorm; Wu and He 2018): the channels, which are the last axis, fall into
/// `num_groups` groups of neighbours, or groups of `group_size`; exactly one of the two is given, else ValueError.
/// Statistics are over a group's channels and `reduction_axes`, which hold the last axis and by default all but the
/// first one. Params: scale, bias [channels]. Throws ShapeError when the groups do not divide the channels.
struct GroupNorm {
  std::optional<std::int64_t> num_groups = 32;
  std::optional<std::int64_t> group_size = {};
  double epsilon = 1e-6;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  bool use_bias = true;
  bool use_scale = true;
  Initializer bias_init = initializers::zeros();
  Initializer scale_init = initializers::ones();
  std::optional<Axes> reduction_axes = {};
  std::string axis_name = {};
  AxisIndexGroups axis_index_groups = {};
  bool use_fast_variance = true;
  bool force_float32_reductions = true;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, const Array& mask = {}) const;
};

/// Instance normalization (flax.linen.InstanceNorm; Ulyanov, Vedaldi and Lempitsky 2016): statistics over all axes but
/// the first, the batch, and `feature_axes`. Params: scale, bias with the extents of `feature_axes`. Throws ValueError
/// when those hold the first axis.
struct InstanceNorm {
  double epsilon = 1e-6;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  bool use_bias = true;
  bool use_scale = true;
  Initializer bias_init = initializers::zeros();
  Initializer scale_init = initializers::ones();
  Axes feature_axes = -1;
  std::string axis_name = {};
  AxisIndexGroups axis_index_groups = {};
  bool use_fast_variance = true;
  bool force_float32_reductions = true;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, const Array& mask = {}) const;
};

}  // namespace linseed::nn
