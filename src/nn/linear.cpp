#include <linseed/nn/linear.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/shape.hpp>

#include "nn/layer_support.hpp"
#include "ops/einsum.hpp"

namespace linseed::nn {

Array Dense::operator()(Scope& parent, const Array& x) const {
  Scope scope = parent.enter(*this);
  require_positive("Dense", "features", features);
  if (x.rank() == 0) throw ShapeError("Dense", "The input must have at least one axis.", {.got = describe(x)});
  const Array kernel = scope.param("kernel", kernel_init, {x.extent(-1), features}, param_dtype);
  const Array bias = use_bias ? scope.param("bias", bias_init, {features}, param_dtype) : Array();
  const DType common = computation_dtype(dtype, {x, kernel, bias});
  const Array y = dot(astype(x, common), astype(kernel, common));
  return scope.output(use_bias ? y + astype(bias, common) : y);
}

// ---- DenseGeneral ----

namespace {

std::vector<int> sorted_axes(const Axes& axes, int rank) {
  const auto normalized = axes.normalized(rank, "DenseGeneral");
  return {normalized.begin(), normalized.end()};
}

bool contains(const std::vector<int>& axes, int axis) {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

/// `init` for a shape that it is to see as another one.
Initializer reshaped(const Initializer& init, const Shape& seen) {
  return [&init, seen](const Array& key, const Shape& shape, DType dtype) {
    return reshape(init(key, seen, dtype), shape);
  };
}

}  // namespace

Array DenseGeneral::operator()(Scope& parent, const Array& x) const {
  Scope scope = parent.enter(*this);
  if (features.empty()) throw ValueError("DenseGeneral", "There must be at least one axis of features.");
  for (const std::int64_t extent : features) require_positive("DenseGeneral", "features", extent);
  const std::vector<int> contracted = sorted_axes(axis, x.rank());
  const std::vector<int> batch = sorted_axes(batch_dims, x.rank());
  for (int i = 0; i < static_cast<int>(batch.size()); ++i) {
    if (contains(batch, i) && !contains(contracted, i)) continue;
    throw ValueError(
        "DenseGeneral", "batch_dims must be the leading axes, apart from those contracted.",
        {.got = fmt::format("batch_dims ({}), axis ({})", fmt::join(batch_dims, ", "), fmt::join(contracted, ", "))});
  }

  Shape kernel_shape, bias_shape, aligned_bias;
  std::int64_t batches = 1, inputs = 1;
  for (const int i : batch) {
    kernel_shape.push_back(x.extent(i));
    batches *= x.extent(i);
  }
  bias_shape = kernel_shape;
  for (const int i : contracted) {
    kernel_shape.push_back(x.extent(i));
    inputs *= x.extent(i);
  }
  for (int i = 0; i < x.rank(); ++i) {
    if (!contains(contracted, i)) aligned_bias.push_back(contains(batch, i) ? x.extent(i) : 1);
  }
  for (const std::int64_t extent : features) {
    kernel_shape.push_back(extent);
    bias_shape.push_back(extent);
    aligned_bias.push_back(extent);
  }
  const std::int64_t outputs = features.elements();
  const Array kernel =
      scope.param("kernel", reshaped(kernel_init, {batches * inputs, outputs}), kernel_shape, param_dtype);
  const Array bias =
      use_bias ? scope.param("bias", reshaped(bias_init, {batches * outputs}), bias_shape, param_dtype) : Array();

  const DType common = computation_dtype(dtype, {x, kernel, bias});
  DotAxes axes{.lhs_contract = contracted, .rhs_contract = {}, .lhs_batch = batch, .rhs_batch = {}};
  for (std::size_t i = 0; i < batch.size(); ++i) axes.rhs_batch.push_back(static_cast<int>(i));
  for (std::size_t i = 0; i < contracted.size(); ++i) axes.rhs_contract.push_back(static_cast<int>(batch.size() + i));
  const Array y = dot_general(astype(x, common), astype(kernel, common), axes);
  return scope.output(use_bias ? y + reshape(astype(bias, common), aligned_bias) : y);
}

// ---- Einsum ----

Array Einsum::operator()(Scope& parent, const Array& x, const std::optional<std::string>& einsum_str_at_call) const {
  Scope scope = parent.enter(*this);
  const std::string equation = merge_param("einsum_str", einsum_str, einsum_str_at_call);
  if (equation.find("->") == std::string::npos || std::count(equation.begin(), equation.end(), ',') != 1) {
    throw ValueError("Einsum", "The equation must have two operands and an arrow.",
                     {.got = fmt::format("\"{}\"", equation), .expected = "as in \"abc,cde->abde\""});
  }
  const Array kernel = scope.param("kernel", kernel_init, shape, param_dtype);
  Array bias;
  Shape aligned_bias;
  if (use_bias) {
    const ops::Equation labels = ops::parse_einsum(equation, {x, kernel});
    Shape bias_shape;
    for (const int label : labels.result) {
      const auto& of_kernel = labels.operands[1];
      const auto found = std::find(of_kernel.begin(), of_kernel.end(), label);
      const bool shared = found != of_kernel.end();
      aligned_bias.push_back(shared ? shape[static_cast<std::size_t>(found - of_kernel.begin())] : 1);
      if (shared) bias_shape.push_back(aligned_bias.back());
    }
    bias = scope.param("bias", bias_init, bias_shape, param_dtype);
  }
  const DType common = computation_dtype(dtype, {x, kernel, bias});
  const Array y = einsum(equation, astype(x, common), astype(kernel, common));
  return scope.output(use_bias ? y + reshape(astype(bias, common), aligned_bias) : y);
}

// ---- Embed ----

namespace {

Array table_of(Scope& scope, const Embed& embed) {
  require_positive("Embed", "num_embeddings", embed.num_embeddings);
  require_positive("Embed", "features", embed.features);
  return scope.param("embedding", embed.embedding_init, {embed.num_embeddings, embed.features}, embed.param_dtype);
}

}  // namespace

Array Embed::operator()(Scope& parent, const Array& indices) const {
  Scope scope = parent.enter(*this);
  if (!is_integer(indices.dtype())) throw DTypeError("Embed", "Indices must be integers.", {.got = describe(indices)});
  const Array table = astype(table_of(scope, *this), dtype.value_or(param_dtype));
  if (num_embeddings > 1) return scope.output(take(table, indices, 0));
  Shape shape = indices.shape();
  shape.push_back(features);
  return scope.output(broadcast_to(reshape(table, {features}), shape));
}

Array Embed::attend(Scope& parent, const Array& query) const {
  Scope scope = parent.enter(*this);
  if (query.rank() == 0 || query.extent(-1) != features) {
    throw ShapeError("Embed", "The query's last axis must be the features.",
                     {.got = describe(query), .expected = fmt::format("(..., {})", features)});
  }
  const Array table = table_of(scope, *this);
  const DType common = computation_dtype(dtype, {query, table});
  return scope.output(dot(astype(query, common), transpose(astype(table, common))), "attend");
}

}  // namespace linseed::nn
