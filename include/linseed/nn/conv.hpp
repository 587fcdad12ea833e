#pragma once

#include <optional>
#include <string>

#include <linseed/core/array.hpp>
#include <linseed/nn/initializers.hpp>
#include <linseed/nn/scope.hpp>
#include <linseed/ops/conv.hpp>

namespace linseed::nn {

// The layers of this file take x [N, spatial..., in]; several batch axes are merged and given back, and x without one
// is a batch of its own, as in Flax. Empty strides and dilations stand for ones. A `mask` of the kernel's shape
// multiplies the kernel; it is an argument of the call where Flax has a field, since modules are compared and hold no
// Arrays. They throw ShapeError when ranks, channels or the mask do not fit.

/// Convolution (flax.linen.Conv). Params: kernel [spatial..., in / feature_group_count, features], bias [features].
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

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, const Array& mask = {}) const;
};

/// Transposed convolution, which `conv_transpose` defines (flax.linen.ConvTranspose). Params: kernel [spatial..., in,
/// features], or [spatial..., features, in] with `transpose_kernel`; bias [features].
struct ConvTranspose {
  std::int64_t features = 0;
  Shape kernel_size = {};
  Shape strides = {};
  Padding padding = "SAME";
  Shape kernel_dilation = {};
  bool use_bias = true;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer bias_init = initializers::zeros();
  bool transpose_kernel = false;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, const Array& mask = {}) const;
};

/// Convolution with a kernel of its own for every place of the result (flax.linen.ConvLocal). Params: kernel [result's
/// spatial extents..., in * window, features], the window's places varying faster than the channels; bias [result's
/// spatial extents..., features].
struct ConvLocal {
  std::int64_t features = 0;
  Shape kernel_size = {};
  Shape strides = {};
  Padding padding = "SAME";
  Shape input_dilation = {};
  Shape kernel_dilation = {};
  bool use_bias = true;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer bias_init = initializers::zeros();
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, const Array& mask = {}) const;
};

}  // namespace linseed::nn
