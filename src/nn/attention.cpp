#include <linseed/nn/attention.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/nn/activations.hpp>
#include <linseed/nn/linear.hpp>
#include <linseed/nn/norm.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

#include "nn/layer_support.hpp"

namespace linseed::nn {

namespace {

constexpr std::string_view op = "attention";

bool same_batch(const Array& a, const Array& b) {
  return a.rank() == b.rank() && std::equal(a.shape().begin(), a.shape().end() - 3, b.shape().begin());
}

void require_heads(const Array& query, const Array& key, const Array& value) {
  const bool ranks = query.rank() >= 3 && same_batch(query, key) && same_batch(query, value);
  if (ranks && query.extent(-2) == key.extent(-2) && query.extent(-2) == value.extent(-2) &&
      query.extent(-1) == key.extent(-1) && key.extent(-3) == value.extent(-3)) {
    return;
  }
  throw ShapeError(
      op, "Query, key and value do not fit.",
      {.got = fmt::format("query {}, key {}, value {}", to_string(query.shape()), to_string(key.shape()),
                          to_string(value.shape())),
       .expected = "(batch..., length, heads, depth): equal batches and heads, one depth for query and key, "
                   "one length for key and value"});
}

double lowest_of(DType dtype) {
  return dtype == DType::float64 ? std::numeric_limits<double>::lowest()
                                 : static_cast<double>(std::numeric_limits<float>::lowest());
}

Array dropped(const Array& weights, const AttentionOptions& options) {
  require_within(op, "dropout_rate", options.dropout_rate, 0.0, 1.0);
  if (options.dropout_rate == 1.0) return zeros_like(weights);
  if (!options.dropout_rng.defined()) {
    throw ValueError(op, "Dropout needs a key.", {.hint = "pass dropout_rng, or deterministic = true"});
  }
  const double keep = 1.0 - options.dropout_rate;
  Shape shape = weights.shape();
  if (options.broadcast_dropout) std::fill(shape.begin(), shape.end() - 2, 1);
  const Array kept = random::bernoulli(options.dropout_rng, keep, shape);
  return weights * (astype(kept, weights.dtype()) / Array(keep, weights.dtype()));
}

}  // namespace

Array dot_product_attention_weights(const Array& query, const Array& key, const AttentionOptions& options) {
  require_heads(query, key, key);
  const DType dtype = computation_dtype(options.dtype, {query, key});
  const Array scaled = astype(query, dtype) / Array(std::sqrt(static_cast<double>(query.extent(-1))), dtype);
  Array scores = einsum("...qhd,...khd->...hqk", scaled, astype(key, dtype));
  const Shape shape = scores.shape();
  if (options.bias.defined()) {
    require_mask(op, options.bias, shape);
    scores = scores + options.bias;
  }
  if (options.mask.defined()) {
    require_mask(op, options.mask, shape);
    scores = where(astype(options.mask, DType::bool_), scores, lowest_of(dtype));
  }
  const bool widen = options.force_fp32_for_softmax && dtype != DType::float32;
  const Array weights = widen ? softmax(astype(scores, DType::float32)) : astype(softmax(scores), dtype);
  if (options.module != nullptr) options.module->sow("intermediates", "attention_weights", weights);
  return options.deterministic || !(options.dropout_rate != 0.0) ? weights : dropped(weights, options);
}

Array dot_product_attention(const Array& query, const Array& key, const Array& value, const AttentionOptions& options) {
  require_heads(query, key, value);
  AttentionOptions computing = options;
  computing.dtype = computation_dtype(options.dtype, {query, key, value});
  const Array weights = dot_product_attention_weights(query, key, computing);
  return einsum("...hqk,...khd->...qhd", weights, astype(value, *computing.dtype));
}

Array AttentionFunction::operator()(const Array& query, const Array& key, const Array& value,
                                    const AttentionOptions& options) const {
  return function_ ? (*function_)(query, key, value, options) : dot_product_attention(query, key, value, options);
}

// ---- the layers ----

namespace {

/// The keys and values of one more position, beside all before it; `mask` hides the places still empty.
struct Decoded {
  Array key, value, mask;
};

Decoded decode_step(std::string_view layer, Scope& scope, const Array& query, const Array& key, const Array& value,
                    const Array& mask) {
  const bool exists = scope.has_variable("cache", "cached_key");
  const Variable cached_key = scope.variable("cache", "cached_key", [&] { return zeros_like(key); });
  const Variable cached_value = scope.variable("cache", "cached_value", [&] { return zeros_like(value); });
  const Variable cache_index = scope.variable("cache", "cache_index", [] { return Array(0); });
  if (!exists) return {key, value, mask};

  const Shape cache = cached_key.value().shape();
  Shape expected = cache;
  if (cache.rank() >= 3) expected[cache.size() - 3] = 1;
  if (cache.rank() < 3 || !(query.shape() == expected) || !(key.shape() == expected)) {
    throw ShapeError(layer, "Decoding takes one position of the cached batch at a time.",
                     {.got = fmt::format("query {}, key {}", to_string(query.shape()), to_string(key.shape())),
                      .expected = to_string(expected)});
  }
  const std::int64_t length = cache[cache.size() - 3];
  const Array position = arange(length);
  const Array index = cache_index.value();
  const Array here = reshape(position == minimum(index, length - 1), {length, 1, 1});
  const Array keys = where(here, key, cached_key.value());
  const Array values = where(here, value, cached_value.value());
  cached_key.set(keys);
  cached_value.set(values);
  cache_index.set(index + 1);

  Shape visible(cache.begin(), cache.end() - 3);
  for (const std::int64_t extent : {std::int64_t{1}, std::int64_t{1}, length}) visible.push_back(extent);
  return {keys, values, combine_masks({mask, broadcast_to(position <= index, visible)})};
}

}  // namespace

template <class Name>
Array detail::AttentionLayer<Name>::operator()(Scope& parent, const Array& inputs_q, const Array& inputs_k,
                                               const Array& inputs_v, const AttentionArguments& arguments) const {
  constexpr std::string_view layer = Name::class_name;
  Scope scope = parent.enter(*this);
  require_positive(layer, "num_heads", num_heads);
  require_within(layer, "dropout_rate", dropout_rate, 0.0, 1.0);
  if (inputs_v.defined() && !inputs_k.defined()) {
    throw ValueError(layer, "Values were given without keys.", {.hint = "give keys alone to use them for both"});
  }
  const Array& keys_of = inputs_k.defined() ? inputs_k : inputs_q;
  const Array& values_of = inputs_v.defined() ? inputs_v : keys_of;
  for (const Array& input : {inputs_q, keys_of, values_of}) {
    if (input.rank() >= 2) continue;
    throw ShapeError(layer, "Inputs need an axis of positions and one of features.", {.got = describe(input)});
  }
  const std::int64_t features = qkv_features != 0 ? qkv_features : inputs_q.extent(-1);
  if (features < 1 || features % num_heads != 0) {
    throw ValueError(layer, "The heads do not divide the features.",
                     {.got = fmt::format("{} features, {} heads", features, num_heads)});
  }
  const auto project = [&](const char* as, const Array& input) {
    return DenseGeneral{.features = {num_heads, features / num_heads},
                        .use_bias = use_bias,
                        .dtype = dtype,
                        .param_dtype = param_dtype,
                        .kernel_init = kernel_init,
                        .bias_init = bias_init,
                        .name = as}(scope, input);
  };
  Array query = project("query", inputs_q);
  Decoded seen{project("key", keys_of), project("value", values_of), arguments.mask};
  if (normalize_qk) {
    const auto normalize = [&](const char* as, const Array& heads) {
      return LayerNorm{.dtype = dtype, .param_dtype = param_dtype, .use_bias = false, .name = as}(scope, heads);
    };
    query = normalize("query_ln", query);
    seen.key = normalize("key_ln", seen.key);
  }
  if (decode) seen = decode_step(layer, scope, query, seen.key, seen.value, seen.mask);

  AttentionOptions options{.mask = seen.mask,
                           .broadcast_dropout = broadcast_dropout,
                           .dropout_rng = arguments.dropout_rng,
                           .dropout_rate = dropout_rate,
                           .deterministic = true,
                           .dtype = dtype,
                           .force_fp32_for_softmax = force_fp32_for_softmax,
                           .module = arguments.sow_weights ? &scope : nullptr};
  if (dropout_rate > 0.0) {
    options.deterministic = merge_param("deterministic", deterministic, arguments.deterministic);
    if (!options.deterministic && !options.dropout_rng.defined()) options.dropout_rng = scope.make_rng("dropout");
  }
  const Array heads = attention_fn(query, seen.key, seen.value, options);
  const DenseGeneral out{.features = {out_features != 0 ? out_features : inputs_q.extent(-1)},
                         .axis = {-2, -1},
                         .use_bias = use_bias,
                         .dtype = dtype,
                         .param_dtype = param_dtype,
                         .kernel_init = out_kernel_init.value_or(kernel_init),
                         .bias_init = out_bias_init.value_or(bias_init),
                         .name = "out"};
  return scope.output(out(scope, heads));
}

template <class Name>
Array detail::AttentionLayer<Name>::operator()(Scope& parent, const Array& inputs,
                                               const AttentionArguments& arguments) const {
  return (*this)(parent, inputs, {}, {}, arguments);
}

template struct detail::AttentionLayer<detail::DotProductName>;
template struct detail::AttentionLayer<detail::MultiHeadName>;
template struct detail::AttentionLayer<detail::SelfName>;

// ---- masks ----

Array make_attention_mask(const Array& query_input, const Array& key_input,
                          const std::function<Array(const Array&, const Array&)>& pairwise_fn, int extra_batch_dims,
                          DType dtype) {
  if (query_input.rank() == 0 || key_input.rank() == 0) {
    throw ShapeError("make_attention_mask", "The inputs need an axis of positions.",
                     {.got = fmt::format("{} and {}", describe(query_input), describe(key_input))});
  }
  if (extra_batch_dims < 0) {
    throw ValueError("make_attention_mask", "extra_batch_dims is negative.", {.got = std::to_string(extra_batch_dims)});
  }
  const Array queries = expand_dims(query_input, -1), keys = expand_dims(key_input, -2);
  Array mask = expand_dims(pairwise_fn ? pairwise_fn(queries, keys) : queries * keys, -3);
  for (int i = 0; i < extra_batch_dims; ++i) mask = expand_dims(mask, 0);
  return astype(mask, dtype);
}

Array make_causal_mask(const Array& x, int extra_batch_dims, DType dtype) {
  if (x.rank() == 0)
    throw ShapeError("make_causal_mask", "The input needs an axis of positions.", {.got = describe(x)});
  const Array positions = iota(x.shape(), x.rank() - 1);
  const auto not_later = [](const Array& query, const Array& key) { return query >= key; };
  return make_attention_mask(positions, positions, not_later, extra_batch_dims, dtype);
}

Array combine_masks(const std::vector<Array>& masks, DType dtype) {
  Array result;
  for (const Array& mask : masks) {
    if (!mask.defined()) continue;
    if (result.defined() && mask.rank() != result.rank()) {
      throw ShapeError("combine_masks", "The masks differ in rank.",
                       {.got = fmt::format("{} and {}", to_string(result.shape()), to_string(mask.shape()))});
    }
    result = result.defined() ? result && mask : mask;
  }
  return result.defined() ? astype(result, dtype) : result;
}

}  // namespace linseed::nn
