#include <linseed/nn/layers.hpp>

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

namespace linseed::nn {

namespace {

// flax.linen.dtypes.promote_dtype: the dtype in which a layer computes.
DType computation_dtype(std::optional<DType> dtype, std::initializer_list<Array> operands) {
  if (dtype) {
    if (!is_floating(*dtype))
      throw DTypeError("dtype", "A layer computes in a floating-point dtype.", {.got = std::string(to_string(*dtype))});
    return *dtype;
  }
  DType result = operands.begin()->dtype();
  for (const Array& operand : operands) {
    if (operand.defined()) result = promote(result, operand.dtype());
  }
  return promote(result, DType::float32);
}

void require_positive(std::string_view layer, std::string_view field, std::int64_t value) {
  if (value > 0) return;
  throw ValueError(layer, fmt::format("{} must be positive.", field), {.got = std::to_string(value)});
}

}  // namespace

bool merge_param(std::string_view name, std::optional<bool> field, std::optional<bool> argument) {
  if (field && argument) {
    throw ValueError("merge_param", fmt::format("\"{}\" was passed to the constructor and at call time.", name),
                     {.hint = "pass it just once"});
  }
  if (!field && !argument) {
    throw ValueError("merge_param", fmt::format("\"{}\" must be passed to the constructor or at call time.", name));
  }
  return field ? *field : *argument;
}

Array Dense::operator()(Scope& parent, const Array& x) const {
  Scope scope = parent.enter(*this);
  require_positive("Dense", "features", features);
  if (x.rank() == 0) throw ShapeError("Dense", "The input must have at least one axis.", {.got = describe(x)});
  const Array kernel = scope.param("kernel", kernel_init, {x.extent(-1), features}, param_dtype);
  const Array bias = use_bias ? scope.param("bias", bias_init, {features}, param_dtype) : Array();
  const DType common = computation_dtype(dtype, {x, kernel, bias});
  const Array y = dot(astype(x, common), astype(kernel, common));
  return use_bias ? y + astype(bias, common) : y;
}

Array Conv::operator()(Scope& parent, const Array& x) const {
  Scope scope = parent.enter(*this);
  require_positive("Conv", "features", features);
  require_positive("Conv", "feature_group_count", feature_group_count);
  const int spatial = kernel_size.rank();
  if (spatial == 0 || x.rank() < spatial + 1) {
    throw ShapeError("Conv", "The input has too few axes for the kernel.",
                     {.got = fmt::format("input {}, kernel_size {}", to_string(x.shape()), to_string(kernel_size)),
                      .expected = "input [N, spatial..., channels] with as many spatial axes as kernel_size"});
  }
  if (x.extent(-1) % feature_group_count != 0 || features % feature_group_count != 0) {
    throw ShapeError(
        "Conv", "The groups do not divide the channels.",
        {.got = fmt::format("{} input channels, {} features, {} groups", x.extent(-1), features, feature_group_count)});
  }
  Shape kernel_shape = kernel_size;
  kernel_shape.push_back(x.extent(-1) / feature_group_count);
  kernel_shape.push_back(features);
  const Array kernel = scope.param("kernel", kernel_init, kernel_shape, param_dtype);
  const Array bias = use_bias ? scope.param("bias", bias_init, {features}, param_dtype) : Array();
  const DType common = computation_dtype(dtype, {x, kernel, bias});

  // One batch axis: none is added, several are merged.
  const int leading = x.rank() - spatial - 1;
  Shape batched{std::accumulate(x.shape().begin(), x.shape().begin() + leading, std::int64_t{1}, std::multiplies<>{})};
  for (int axis = leading; axis < x.rank(); ++axis) batched.push_back(x.extent(axis));
  Array y = conv(astype(reshape(x, batched), common), astype(kernel, common),
                 {.strides = strides,
                  .padding = padding,
                  .input_dilation = input_dilation,
                  .kernel_dilation = kernel_dilation,
                  .groups = feature_group_count});
  if (use_bias) y = y + astype(bias, common);
  if (leading == 1) return y;
  Shape restored(x.shape().begin(), x.shape().begin() + leading);
  for (int axis = 1; axis < y.rank(); ++axis) restored.push_back(y.extent(axis));
  return reshape(y, restored);
}

namespace {

struct Moments {
  Array mean, var;
};

// flax.linen.normalization._compute_stats: statistics over `axes`, in at least float32.
Moments batch_moments(const Array& input, std::optional<DType> dtype, const std::vector<int>& axes, bool fast,
                      const Array& mask) {
  const Array x = astype(input, promote(dtype.value_or(input.dtype()), DType::float32));
  const auto average = [&](const Array& values) {
    if (!mask.defined()) return mean(values, axes);
    const Array counted = broadcast_to(astype(mask, DType::bool_), x.shape());
    return sum(where(counted, values, 0), axes) / sum(astype(counted, x.dtype()), axes);
  };
  const Array mu = average(x);
  if (fast) return {mu, maximum(0, average(square(x)) - square(mu))};
  Shape kept = x.shape();
  for (const int axis : axes) kept[static_cast<std::size_t>(axis)] = 1;
  return {mu, average(square(x - reshape(mu, kept)))};
}

}  // namespace

Array BatchNorm::operator()(Scope& parent, const Array& x, std::optional<bool> use_running_average_at_call,
                            const Array& mask) const {
  Scope scope = parent.enter(*this);
  const bool use_running = merge_param("use_running_average", use_running_average, use_running_average_at_call);
  const auto feature_axes = axis.normalized(x.rank(), "BatchNorm");
  std::vector<int> reduction_axes;
  Shape feature_shape;
  Shape broadcast_shape = Shape::filled(x.rank(), 1);
  for (int i = 0; i < x.rank(); ++i) {
    if (std::find(feature_axes.begin(), feature_axes.end(), i) == feature_axes.end()) {
      reduction_axes.push_back(i);
    } else {
      feature_shape.push_back(x.extent(i));
      broadcast_shape[static_cast<std::size_t>(i)] = x.extent(i);
    }
  }
  const Variable running_mean = scope.variable("batch_stats", "mean", [&] { return zeros(feature_shape); });
  const Variable running_var = scope.variable("batch_stats", "var", [&] { return ones(feature_shape); });
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
    moments = batch_moments(x, dtype, reduction_axes, use_fast_variance, mask);
    if (!scope.is_initializing()) {
      const auto move = [&](const Variable& running, const Array& batch) {
        running.set(astype(momentum * running.value() + (1 - momentum) * batch, running.value().dtype()));
      };
      move(running_mean, moments.mean);
      move(running_var, moments.var);
    }
  }

  const auto aligned = [&](const Array& statistic) { return reshape(statistic, broadcast_shape); };
  Array y = x - aligned(moments.mean);
  Array factor = rsqrt(aligned(moments.var) + epsilon);
  DType result = x.dtype();
  if (use_scale) {
    const Array scale = scope.param("scale", scale_init, feature_shape, param_dtype);
    factor = factor * aligned(scale);
    result = promote(result, scale.dtype());
  }
  y = y * factor;
  if (use_bias) {
    const Array bias = scope.param("bias", bias_init, feature_shape, param_dtype);
    y = y + aligned(bias);
    result = promote(result, bias.dtype());
  }
  return astype(y, dtype ? computation_dtype(dtype, {x}) : promote(result, DType::float32));
}

Array Dropout::operator()(Scope& parent, const Array& x, std::optional<bool> deterministic_at_call) const {
  Scope scope = parent.enter(*this);
  const bool keep_all = merge_param("deterministic", deterministic, deterministic_at_call);
  if (!(rate >= 0.0 && rate <= 1.0)) {
    throw ValueError("Dropout", "The rate must lie between 0 and 1.", {.got = fmt::format("{}", rate)});
  }
  if (rate == 0.0 || keep_all) return x;
  if (!is_floating(x.dtype())) throw DTypeError("Dropout", "The input must be floating-point.", {.got = describe(x)});
  if (rate == 1.0) return zeros_like(x);
  Shape mask_shape = x.shape();
  for (const int axis : broadcast_dims)
    mask_shape[static_cast<std::size_t>(normalize_axis(axis, x.rank(), "Dropout"))] = 1;
  const Array kept = random::bernoulli(scope.make_rng(rng_collection), 1.0 - rate, mask_shape);
  const float keep = static_cast<float>(1.0 - rate);
  return where(kept, x * (1.0F / keep), 0);
}

Array Sequential::operator()(Scope& parent, const Array& x) const {
  if (layers.empty()) throw ValueError("Sequential", "There are no layers.");
  const bool at_own_root = parent.is_for(*this);
  Scope scope = parent.enter(*this);
  Array y = x;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Model& layer = layers[i];
    if (at_own_root && layer.is_module()) {
      Scope own = scope.child(fmt::format("layers_{}", i), layer.type());
      y = layer(own, y);
    } else {
      y = layer(parent, y);
    }
  }
  return y;
}

}  // namespace linseed::nn
