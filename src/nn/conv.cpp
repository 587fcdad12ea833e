#include <linseed/nn/conv.hpp>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/shape.hpp>

#include "nn/layer_support.hpp"

namespace linseed::nn {

namespace {

void require_spatial_axes(std::string_view layer, const Array& x, const Shape& kernel_size) {
  if (!kernel_size.empty() && x.rank() > kernel_size.rank()) return;
  throw ShapeError(layer, "The input has too few axes for the kernel.",
                   {.got = fmt::format("input {}, kernel_size {}", to_string(x.shape()), to_string(kernel_size)),
                    .expected = "input [N, spatial..., channels] with as many spatial axes as kernel_size"});
}

/// The kernel, with what the mask leaves of it.
Array masked_kernel(std::string_view layer, Scope& scope, const Initializer& init, const Shape& shape, DType dtype,
                    const Array& mask) {
  if (mask.defined() && !(mask.shape() == shape)) {
    throw ShapeError(layer, "The mask must have the kernel's shape.",
                     {.got = to_string(mask.shape()), .expected = to_string(shape)});
  }
  const Array kernel = scope.param("kernel", init, shape, dtype);
  return mask.defined() ? kernel * mask : kernel;
}

/// Calls `convolve` with one batch axis: none is added, several are merged; and gives them back.
template <class Convolve>
Array over_one_batch_axis(const Array& x, int spatial_rank, const Convolve& convolve) {
  const int leading = x.rank() - spatial_rank - 1;
  if (leading == 1) return convolve(x);
  Shape merged{1};
  for (int axis = 0; axis < leading; ++axis) merged[0] *= x.extent(axis);
  for (int axis = leading; axis < x.rank(); ++axis) merged.push_back(x.extent(axis));
  const Array y = convolve(reshape(x, merged));
  Shape restored(x.shape().begin(), x.shape().begin() + leading);
  for (int axis = 1; axis < y.rank(); ++axis) restored.push_back(y.extent(axis));
  return reshape(y, restored);
}

}  // namespace

Array Conv::operator()(Scope& parent, const Array& x, const Array& mask) const {
  Scope scope = parent.enter(*this);
  require_positive("Conv", "features", features);
  require_positive("Conv", "feature_group_count", feature_group_count);
  require_spatial_axes("Conv", x, kernel_size);
  if (x.extent(-1) % feature_group_count != 0 || features % feature_group_count != 0) {
    throw ShapeError(
        "Conv", "The groups do not divide the channels.",
        {.got = fmt::format("{} input channels, {} features, {} groups", x.extent(-1), features, feature_group_count)});
  }
  Shape kernel_shape = kernel_size;
  kernel_shape.push_back(x.extent(-1) / feature_group_count);
  kernel_shape.push_back(features);
  const Array kernel = masked_kernel("Conv", scope, kernel_init, kernel_shape, param_dtype, mask);
  const Array bias = use_bias ? scope.param("bias", bias_init, {features}, param_dtype) : Array();
  const DType common = computation_dtype(dtype, {x, kernel, bias});
  Array y = over_one_batch_axis(astype(x, common), kernel_size.rank(), [&](const Array& batch) {
    const Array product = conv(batch, astype(kernel, common),
                               {.strides = strides,
                                .padding = padding,
                                .input_dilation = input_dilation,
                                .kernel_dilation = kernel_dilation,
                                .groups = feature_group_count});
    return use_bias ? product + astype(bias, common) : product;
  });
  return scope.output(std::move(y));
}

Array ConvTranspose::operator()(Scope& parent, const Array& x, const Array& mask) const {
  Scope scope = parent.enter(*this);
  require_positive("ConvTranspose", "features", features);
  require_spatial_axes("ConvTranspose", x, kernel_size);
  Shape kernel_shape = kernel_size;
  kernel_shape.push_back(transpose_kernel ? features : x.extent(-1));
  kernel_shape.push_back(transpose_kernel ? x.extent(-1) : features);
  const Array kernel = masked_kernel("ConvTranspose", scope, kernel_init, kernel_shape, param_dtype, mask);
  const Array bias = use_bias ? scope.param("bias", bias_init, {features}, param_dtype) : Array();
  const DType common = computation_dtype(dtype, {x, kernel, bias});
  Array y = over_one_batch_axis(astype(x, common), kernel_size.rank(), [&](const Array& batch) {
    const Array product = conv_transpose(batch, astype(kernel, common),
                                         {.strides = strides,
                                          .padding = padding,
                                          .kernel_dilation = kernel_dilation,
                                          .transpose_kernel = transpose_kernel});
    return use_bias ? product + astype(bias, common) : product;
  });
  return scope.output(std::move(y));
}

Array ConvLocal::operator()(Scope& parent, const Array& x, const Array& mask) const {
  Scope scope = parent.enter(*this);
  require_positive("ConvLocal", "features", features);
  require_spatial_axes("ConvLocal", x, kernel_size);
  const std::int64_t window = kernel_size.elements(), channels = x.extent(-1);
  const Array floating = astype(x, computation_dtype(dtype, {x}));
  Array result = over_one_batch_axis(floating, kernel_size.rank(), [&](const Array& batch) {
    // What each window sees, channel by channel, comes from convolutions with a single 1.
    Shape picking = kernel_size;
    picking.push_back(1);
    picking.push_back(channels * window);
    const Array one =
        reshape(arange(window), {window, 1}) == mod(reshape(arange(channels * window), {1, channels * window}), window);
    const ConvOptions options{.strides = strides,
                              .padding = padding,
                              .input_dilation = input_dilation,
                              .kernel_dilation = kernel_dilation,
                              .groups = channels};
    const Array seen = conv(batch, astype(reshape(one, picking), batch.dtype()), options);

    Shape kernel_shape, bias_shape;
    std::int64_t places = 1;
    for (int axis = 1; axis + 1 < seen.rank(); ++axis) {
      bias_shape.push_back(seen.extent(axis));
      places *= seen.extent(axis);
    }
    kernel_shape = bias_shape;
    kernel_shape.push_back(channels * window);
    kernel_shape.push_back(features);
    bias_shape.push_back(features);
    const Array kernel = masked_kernel("ConvLocal", scope, kernel_init, kernel_shape, param_dtype, mask);
    const Array bias = use_bias ? scope.param("bias", bias_init, bias_shape, param_dtype) : Array();
    const DType common = computation_dtype(dtype, {x, kernel, bias});
    Array y = einsum("nsp,spf->nsf", reshape(astype(seen, common), {batch.extent(0), places, channels * window}),
                     reshape(astype(kernel, common), {places, channels * window, features}));
    Shape shape{batch.extent(0)};
    for (const std::int64_t extent : bias_shape) shape.push_back(extent);
    y = reshape(y, shape);
    return use_bias ? y + astype(bias, common) : y;
  });
  return scope.output(std::move(result));
}

}  // namespace linseed::nn
