#pragma once

#include <optional>
#include <string>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/nn/initializers.hpp>
#include <linseed/nn/merge_param.hpp>
#include <linseed/nn/scope.hpp>

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

/// Dense over several axes, to several axes (flax.linen.DenseGeneral): contracts the axes `axis` of x, in the order of
/// x, with the kernel [batch_dims..., axis..., features...]; the result has the batch axes, the other axes of x and
/// `features`. Each index of the leading axes `batch_dims` has a kernel and a bias of its own. Params: kernel,
/// bias [batch_dims..., features...]; the initializers see them as a matrix of inputs by outputs, and a vector. Throws
/// ShapeError for axes that x does not have or that are given twice, ValueError for batch_dims that are not the leading
/// axes and for features that are not positive.
struct DenseGeneral {
  Shape features = {};
  Axes axis = -1;
  std::vector<int> batch_dims = {};
  bool use_bias = true;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer bias_init = initializers::zeros();
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x) const;
};

/// einsum(einsum_str, x, kernel) + bias (flax.linen.Einsum). The equation, given here or at the call but not twice, has
/// an arrow and two operands. Params: kernel of `shape`, bias with the letters that kernel and result share, in the
/// order of the result. Throws ValueError for another equation, ShapeError when x or `shape` does not fit it.
struct Einsum {
  Shape shape = {};
  std::optional<std::string> einsum_str = {};
  bool use_bias = true;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer bias_init = initializers::zeros();
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& x,
                                 const std::optional<std::string>& einsum_str_at_call = {}) const;
};

/// A table of vectors (flax.linen.Embed): integers [...] -> [..., features]. Params: embedding [num_embeddings,
/// features]. As in Flax negative indices count from the end, those out of range give NaN, and a table of one row gives
/// that row whatever the index. Throws DTypeError for anything but integers.
///
///     const auto embed = scope.share(nn::Embed{.num_embeddings = 1000, .features = 64});
///     const Array logits = embed.call(&nn::Embed::attend, layers(embed(tokens)));   // tied weights
struct Embed {
  std::int64_t num_embeddings = 0;
  std::int64_t features = 0;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer embedding_init = initializers::variance_scaling(1.0, Fan::in, Distribution::normal, {.out_axis = {0}});
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& indices) const;
  /// The products of query [..., features] with every row: [..., num_embeddings].
  [[nodiscard]] Array attend(Scope& parent, const Array& query) const;
};

}  // namespace linseed::nn
