#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/nn/initializers.hpp>
#include <linseed/nn/merge_param.hpp>
#include <linseed/nn/scope.hpp>

namespace linseed::nn {

/// Options of dot_product_attention. `bias` and `mask` broadcast to [batch..., heads, q_length, kv_length]; a false (or
/// zero) element of the mask hides a key from a query. Dropout draws with `dropout_rng`, when `dropout_rate` is
/// positive and `deterministic` is off: one mask [q_length, kv_length] for all batches and heads, unless
/// `broadcast_dropout` is off. The weights before dropout are sown in `module` as "attention_weights", a tuple in the
/// collection "intermediates", where it is given.
struct AttentionOptions {
  Array bias = {};
  Array mask = {};
  bool broadcast_dropout = true;
  Array dropout_rng = {};
  double dropout_rate = 0.0;
  bool deterministic = false;
  std::optional<DType> dtype = {};
  bool force_fp32_for_softmax = false;
  Scope* module = nullptr;
};

/// softmax(query . key / sqrt(depth)), from query [batch..., q_length, heads, depth] and key [batch..., kv_length,
/// heads, depth] to [batch..., heads, q_length, kv_length] (flax.linen.dot_product_attention_weights; Vaswani et al.
/// 2017). Hidden keys take part with the lowest number of the dtype, so that a query from which all keys are hidden
/// weighs them equally, and no NaN arises. Throws ShapeError when shapes do not fit, ValueError for a rate outside [0,
/// 1) or without a key.
[[nodiscard]] Array dot_product_attention_weights(const Array& query, const Array& key,
                                                  const AttentionOptions& options = {});

/// The weights applied to value [batch..., kv_length, heads, value_depth]: [batch..., q_length, heads, value_depth]
/// (flax.linen.dot_product_attention).
[[nodiscard]] Array dot_product_attention(const Array& query, const Array& key, const Array& value,
                                          const AttentionOptions& options = {});

/// What attention layers do between their projections: dot_product_attention, or any function of its arguments that
/// gives [batch..., q_length, heads, depth]. A value to copy and compare, since it takes part in the cache key of
/// `jit`: a function of the user's is equal to its copies only.
class AttentionFunction {
 public:
  using Function =
      std::function<Array(const Array& query, const Array& key, const Array& value, const AttentionOptions& options)>;

  AttentionFunction() noexcept = default;
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, AttentionFunction> && std::is_constructible_v<Function, F>)
  AttentionFunction(F&& function)  // NOLINT: .attention_fn = [](...) { ... }
      : function_(std::make_shared<const Function>(std::forward<F>(function))) {}

  [[nodiscard]] Array operator()(const Array& query, const Array& key, const Array& value,
                                 const AttentionOptions& options) const;

  friend bool operator==(const AttentionFunction&, const AttentionFunction&) noexcept = default;

 private:
  std::shared_ptr<const Function> function_;  // null for dot_product_attention
};

/// What a call of an attention layer may be told beside its inputs.
struct AttentionArguments {
  Array mask = {};                         ///< broadcasts to [batch..., heads, q_length, kv_length]
  std::optional<bool> deterministic = {};  ///< when the field is not set
  Array dropout_rng = {};                  ///< in place of a key of the stream "dropout"
  bool sow_weights = false;                ///< sow the weights in the layer, see AttentionOptions
};

namespace detail {

/// The attention layers, which differ in the names that they get: `Name::class_name`.
template <class Name>
struct AttentionLayer {
  static constexpr std::string_view class_name = Name::class_name;

  std::int64_t num_heads = 0;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  std::int64_t qkv_features = 0;
  std::int64_t out_features = 0;
  bool broadcast_dropout = true;
  double dropout_rate = 0.0;
  std::optional<bool> deterministic = {};
  Initializer kernel_init = initializers::lecun_normal();
  std::optional<Initializer> out_kernel_init = {};  ///< kernel_init, unless given
  Initializer bias_init = initializers::zeros();
  std::optional<Initializer> out_bias_init = {};  ///< bias_init, unless given
  bool use_bias = true;
  AttentionFunction attention_fn = {};
  bool decode = false;
  bool normalize_qk = false;
  bool force_fp32_for_softmax = false;
  std::string name = {};

  [[nodiscard]] Array operator()(Scope& parent, const Array& inputs_q, const Array& inputs_k = {},
                                 const Array& inputs_v = {}, const AttentionArguments& arguments = {}) const;
  /// Self-attention.
  [[nodiscard]] Array operator()(Scope& parent, const Array& inputs, const AttentionArguments& arguments) const;
};

struct DotProductName {
  static constexpr std::string_view class_name = "MultiHeadDotProductAttention";
};
struct MultiHeadName {
  static constexpr std::string_view class_name = "MultiHeadAttention";
};
struct SelfName {
  static constexpr std::string_view class_name = "SelfAttention";
};

}  // namespace detail

/// Attention of several heads between learned projections (flax.linen.MultiHeadDotProductAttention; Vaswani et al.
/// 2017): inputs_q [batch..., q_length, features], inputs_k [batch..., kv_length, features] (the queries, when it is
/// empty) and inputs_v (the keys) give [batch..., q_length, out_features]. `qkv_features` and `out_features` are the
/// features of the queries, when they are 0.
///
/// Submodules: query, key, value, DenseGeneral to [num_heads, qkv_features / num_heads]; out, DenseGeneral from there;
/// with `normalize_qk` (Dehghani et al. 2023) query_ln and key_ln, LayerNorm without bias. `deterministic` is asked for
/// when `dropout_rate` is positive, and given here or at the call.
///
/// With `decode` (self-attention, position by position) nn::init, which sees the longest input, makes the collection
/// "cache": cached_key, cached_value [batch..., length, heads, depth] and cache_index (int32). Every apply takes one
/// position, appends its key and value, and attends to all so far; "cache" must be mutable. As in Flax a full cache
/// goes on in its last place.
///
/// Throws ShapeError when shapes do not fit, ValueError when the heads do not divide the features.
using MultiHeadDotProductAttention = detail::AttentionLayer<detail::DotProductName>;

/// The same under other names (flax.linen.MultiHeadAttention, flax.linen.SelfAttention, the older one, for a single
/// input): automatic ones are MultiHeadAttention_0 and SelfAttention_0, and initial parameters follow from names.
using MultiHeadAttention = detail::AttentionLayer<detail::MultiHeadName>;
using SelfAttention = detail::AttentionLayer<detail::SelfName>;

// Masks: 1 where a query may see a key, of the given dtype.

/// From query_input [batch..., q_length] and key_input [batch..., kv_length]: pairwise_fn of every pair, [batch..., 1,
/// q_length, kv_length], behind `extra_batch_dims` axes of extent 1 (flax.linen.make_attention_mask). The product,
/// which is the default, hides padding when the inputs are 1 for tokens and 0 for padding.
[[nodiscard]] Array make_attention_mask(const Array& query_input, const Array& key_input,
                                        const std::function<Array(const Array&, const Array&)>& pairwise_fn = {},
                                        int extra_batch_dims = 0, DType dtype = DType::float32);

/// For x [batch..., length], whose elements do not matter: a position sees those up to itself, [batch..., 1, length,
/// length] (flax.linen.make_causal_mask).
[[nodiscard]] Array make_causal_mask(const Array& x, int extra_batch_dims = 0, DType dtype = DType::float32);

/// 1 where all masks are not zero (flax.linen.combine_masks). Empty Arrays are left out; an empty Array when none
/// remains. Throws ShapeError for masks of different rank.
[[nodiscard]] Array combine_masks(const std::vector<Array>& masks, DType dtype = DType::float32);

}  // namespace linseed::nn
