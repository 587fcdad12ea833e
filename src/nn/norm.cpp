#include <linseed/nn/norm.hpp>

#include <algorithm>
#include <limits>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "nn/layer_support.hpp"

namespace linseed::nn {

namespace {

using AxisList = std::vector<int>;

struct Moments {
  Array mean, var;
  Array exist = {};  ///< false where a mask left nothing to count; empty without a mask
};

AxisList sorted_axes(const Axes& axes, int rank, std::string_view layer) {
  const auto normalized = axes.normalized(rank, layer);
  return {normalized.begin(), normalized.end()};
}

bool contains(const AxisList& axes, int axis) { return std::find(axes.begin(), axes.end(), axis) != axes.end(); }

/// The axes from `first` on that are not among `features`.
AxisList other_axes(int first, int rank, const AxisList& features) {
  AxisList result;
  for (int axis = first; axis < rank; ++axis) {
    if (!contains(features, axis)) result.push_back(axis);
  }
  return result;
}

/// `shape` with extent 1 at `axes`.
Shape with_ones(Shape shape, const AxisList& axes) {
  for (const int axis : axes) shape[static_cast<std::size_t>(axis)] = 1;
  return shape;
}

template <class Layer>
void check_settings(std::string_view name, const Layer& layer) {
  require_within(name, "epsilon", layer.epsilon, 0.0, std::numeric_limits<double>::max());
  std::set<std::int64_t> indices;
  std::size_t count = 0;
  for (const auto& group : layer.axis_index_groups) {
    count += group.size();
    indices.insert(group.begin(), group.end());
  }
  const bool each_once =
      indices.size() == count &&
      (count == 0 || (*indices.begin() == 0 && *indices.rbegin() == static_cast<std::int64_t>(count) - 1));
  if (each_once && (count > 0 || layer.axis_index_groups.empty())) return;
  throw ValueError(name, "axis_index_groups must hold every index exactly once.",
                   {.got = fmt::format("[{}]", fmt::join(layer.axis_index_groups, ", ")),
                    .expected = "0, 1, 2, ... in some order, each in one group"});
}

void refuse_named_axis(std::string_view layer, const std::string& axis_name) {
  if (axis_name.empty()) return;
  throw UnboundAxisError(layer, fmt::format("The axis name \"{}\" is not bound to anything.", axis_name),
                         {.hint = "linseed has no collectives yet, so statistics are those of one process: leave "
                                  "axis_name empty"});
}

/// flax.linen.normalization._compute_stats: over `axes`, which disappear. Where nothing counts they are 0, not Flax's
/// 0 / 0.
template <class Layer>
Moments moments_of(const Layer& layer, const Array& input, const AxisList& axes, const Array& mask,
                   bool use_mean = true) {
  const DType wanted = layer.dtype.value_or(input.dtype());
  const Array x = astype(input, layer.force_float32_reductions ? promote(wanted, DType::float32) : wanted);
  Array counted, count;
  if (mask.defined()) {
    counted = broadcast_to(astype(mask, DType::bool_), x.shape());
    count = sum(astype(counted, x.dtype()), axes);
  }
  const auto average = [&](const Array& values) {
    return counted.defined() ? sum(where(counted, values, 0), axes) / maximum(count, 1) : mean(values, axes);
  };
  const Array exist = count.defined() ? count > 0 : Array();
  if (!use_mean) {
    const Array var = average(square(x));
    return {zeros_like(var), var, exist};
  }
  const Array mu = average(x);
  if (layer.use_fast_variance) return {mu, maximum(0, average(square(x)) - square(mu)), exist};
  return {mu, average(square(x - reshape(mu, with_ones(x.shape(), axes)))), exist};
}

/// Others in place of the moments that do not exist.
Moments completed(const Moments& moments, const ArrayLike& mean, const ArrayLike& var) {
  if (!moments.exist.defined()) return moments;
  return {where(moments.exist, moments.mean, mean), where(moments.exist, moments.var, var), moments.exist};
}

/// flax.linen.normalization._normalize: statistics aligned with x, and parameters with the extents of `features`.
template <class Layer>
Array normalized(const Layer& layer, Scope& scope, const Array& x, const Moments& aligned, const AxisList& features) {
  Shape feature_shape;
  for (const int axis : features) feature_shape.push_back(x.extent(axis));
  const Shape aligned_shape = with_ones(x.shape(), other_axes(0, x.rank(), features));
  Array y = x - aligned.mean;
  Array factor = rsqrt(aligned.var + layer.epsilon);
  Array scale, bias;
  if (layer.use_scale) {
    scale = scope.param("scale", layer.scale_init, feature_shape, layer.param_dtype);
    factor = factor * reshape(scale, aligned_shape);
  }
  y = y * factor;
  if constexpr (requires { layer.use_bias; }) {
    if (layer.use_bias) {
      bias = scope.param("bias", layer.bias_init, feature_shape, layer.param_dtype);
      y = y + reshape(bias, aligned_shape);
    }
  }
  return astype(y, computation_dtype(layer.dtype, {x, scale, bias}));
}

/// Statistics over `reduced` and parameters along `features`: what LayerNorm, RMSNorm and InstanceNorm do.
template <class Layer>
Array normalize_examples(std::string_view name, const Layer& layer, Scope& scope, const Array& x,
                         const AxisList& reduced, const AxisList& features, const Array& mask, bool use_mean = true) {
  check_settings(name, layer);
  refuse_named_axis(name, layer.axis_name);
  if (mask.defined()) require_mask(name, mask, x.shape());
  const Moments moments = completed(moments_of(layer, x, reduced, mask, use_mean), 0, 1);
  const Shape aligned = with_ones(x.shape(), reduced);
  return scope.output(
      normalized(layer, scope, x, {reshape(moments.mean, aligned), reshape(moments.var, aligned)}, features));
}

}  // namespace

double momentum_from_pytorch(double momentum) {
  require_within("momentum_from_pytorch", "momentum", momentum, 0.0, 1.0);
  return 1.0 - momentum;
}

Array BatchNorm::operator()(Scope& parent, const Array& x, std::optional<bool> use_running_average_at_call,
                            const Array& mask) const {
  Scope scope = parent.enter(*this);
  const bool use_running = merge_param("use_running_average", use_running_average, use_running_average_at_call);
  check_settings("BatchNorm", *this);
  require_within("BatchNorm", "momentum", momentum, 0.0, 1.0);
  if (mask.defined()) require_mask("BatchNorm", mask, x.shape());
  const AxisList features = sorted_axes(axis, x.rank(), "BatchNorm");
  const AxisList reduced = other_axes(0, x.rank(), features);
  Shape feature_shape;
  for (const int i : features) feature_shape.push_back(x.extent(i));

  const DType running_dtype = force_float32_reductions ? DType::float32 : param_dtype;
  const Variable running_mean =
      scope.variable("batch_stats", "mean", [&] { return zeros(feature_shape, running_dtype); });
  const Variable running_var = scope.variable("batch_stats", "var", [&] { return ones(feature_shape, running_dtype); });
  for (const Variable* running : {&running_mean, &running_var}) {
    if (!(running->value().shape() == feature_shape)) {
      throw ParamShapeError("BatchNorm", "The running statistics have the wrong shape.",
                            {.got = to_string(running->value().shape()), .expected = to_string(feature_shape)});
    }
  }

  Moments moments;
  if (use_running) {
    moments = {running_mean.value(), running_var.value()};
  } else {
    if (!scope.is_initializing()) {
      refuse_named_axis("BatchNorm", axis_name);
      if (x.size() == 0 && feature_shape.elements() > 0) {
        throw ValueError("BatchNorm", "An empty batch has no statistics.",
                         {.got = describe(x), .hint = "skip the batch, or pass use_running_average = true"});
      }
    }
    moments = completed(moments_of(*this, x, reduced, mask), running_mean.value(), running_var.value());
    if (!scope.is_initializing()) {
      const auto move = [&](const Variable& running, const Array& batch) {
        const Array before = running.value();
        const Array after = momentum * before + (1 - momentum) * batch;
        running.set(astype(moments.exist.defined() ? where(moments.exist, after, before) : after, before.dtype()));
      };
      move(running_mean, moments.mean);
      move(running_var, moments.var);
    }
  }
  const Shape aligned = with_ones(x.shape(), reduced);
  return scope.output(
      normalized(*this, scope, x, {reshape(moments.mean, aligned), reshape(moments.var, aligned)}, features));
}

Array LayerNorm::operator()(Scope& parent, const Array& x, const Array& mask) const {
  Scope scope = parent.enter(*this);
  return normalize_examples("LayerNorm", *this, scope, x, sorted_axes(reduction_axes, x.rank(), "LayerNorm"),
                            sorted_axes(feature_axes, x.rank(), "LayerNorm"), mask);
}

Array RMSNorm::operator()(Scope& parent, const Array& x, const Array& mask) const {
  Scope scope = parent.enter(*this);
  return normalize_examples("RMSNorm", *this, scope, x, sorted_axes(reduction_axes, x.rank(), "RMSNorm"),
                            sorted_axes(feature_axes, x.rank(), "RMSNorm"), mask, /*use_mean=*/false);
}

Array InstanceNorm::operator()(Scope& parent, const Array& x, const Array& mask) const {
  Scope scope = parent.enter(*this);
  const AxisList features = sorted_axes(feature_axes, x.rank(), "InstanceNorm");
  if (contains(features, 0)) {
    throw ValueError("InstanceNorm", "The first axis is the batch and cannot hold features.",
                     {.got = fmt::format("feature_axes ({})", fmt::join(feature_axes.list(), ", "))});
  }
  return normalize_examples("InstanceNorm", *this, scope, x, other_axes(1, x.rank(), features), features, mask);
}

Array GroupNorm::operator()(Scope& parent, const Array& x, const Array& mask) const {
  Scope scope = parent.enter(*this);
  check_settings("GroupNorm", *this);
  refuse_named_axis("GroupNorm", axis_name);
  if (x.rank() == 0) throw ShapeError("GroupNorm", "The input must have at least one axis.", {.got = describe(x)});
  const int last = x.rank() - 1;
  AxisList reduced = reduction_axes ? sorted_axes(*reduction_axes, x.rank(), "GroupNorm") : other_axes(1, last, {});
  if (!reduction_axes) reduced.push_back(last);
  if (!contains(reduced, last)) {
    throw ValueError("GroupNorm", "The reduction axes must include the last one, which holds the channels.",
                     {.got = fmt::format("({}) of {} axes", fmt::join(reduced, ", "), x.rank())});
  }
  if (num_groups.has_value() == group_size.has_value()) {
    throw ValueError("GroupNorm", "Exactly one of num_groups and group_size must be given.",
                     {.hint = "num_groups is 32 unless group_size replaces it: .num_groups = std::nullopt"});
  }
  const std::int64_t channels = x.extent(-1);
  const std::int64_t given = num_groups.value_or(group_size.value_or(0));
  require_positive("GroupNorm", num_groups ? "num_groups" : "group_size", given);
  if (channels % given != 0) {
    throw ShapeError("GroupNorm", "The groups do not divide the channels.",
                     {.got = num_groups ? fmt::format("{} channels, {} groups", channels, given)
                                        : fmt::format("{} channels, groups of {}", channels, given)});
  }
  const std::int64_t groups = num_groups ? given : channels / given;
  const auto grouped = [&](Shape shape) {
    shape.back() = groups;
    shape.push_back(groups == 0 ? given : channels / groups);
    return shape;
  };
  Array grouped_mask;
  if (mask.defined()) {
    require_mask("GroupNorm", mask, x.shape());
    if (mask.rank() == 0 || mask.extent(-1) != channels) {
      throw ShapeError("GroupNorm", "The mask needs all channels.",
                       {.got = to_string(mask.shape()), .expected = fmt::format("(..., {})", channels)});
    }
    grouped_mask = reshape(mask, grouped(mask.shape()));
  }
  reduced.back() = x.rank();  // the channels of a group
  const Moments moments = completed(moments_of(*this, reshape(x, grouped(x.shape())), reduced, grouped_mask), 0, 1);
  reduced.pop_back();
  const Shape aligned = with_ones(x.shape(), reduced);
  const auto spread = [&](const Array& statistic) {
    return reshape(repeat(statistic, groups == 0 ? 0 : channels / groups, -1), aligned);
  };
  return scope.output(normalized(*this, scope, x, {spread(moments.mean), spread(moments.var)}, {last}));
}

}  // namespace linseed::nn
