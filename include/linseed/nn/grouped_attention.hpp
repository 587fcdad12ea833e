#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include <linseed/core/array.hpp>

namespace linseed::nn {

/// Options of grouped_attention. `bias` and `mask` broadcast to [batch, heads, q_length, kv_length]; a false element of
/// the mask hides a key from a query, as do the others but the bias and the scale.
struct GroupedAttentionOptions {
  Array bias = {};
  Array mask = {};
  std::optional<double> scale = {};  ///< 1 / sqrt(depth) if not given
  bool is_causal = false;            ///< hides keys that come after the query
  Array query_seq_lengths = {};      ///< integers [batch]: queries from there on give zeros
  Array key_value_seq_lengths = {};  ///< integers [batch]: keys from there on are hidden
  /// How many keys before and after a query's place it sees.
  std::optional<std::pair<std::int64_t, std::int64_t>> local_window_size = {};
};

/// softmax(scale * query . key + bias) . value, from query [batch, q_length, heads, depth] and key and value [batch,
/// kv_length, key_heads, depth] to the query's shape; without `batch` as well. Each key head serves heads / key_heads
/// query heads, one after the other (jax.nn.dot_product_attention; Ainslie et al. 2023). The softmax is taken in
/// float32. A query from which all keys are hidden weighs them equally. Throws ShapeError when shapes do not fit,
/// DTypeError for a mask that is not bool or lengths that are not integers, ValueError for a scale that is not finite
/// or a negative window.
[[nodiscard]] Array grouped_attention(const Array& query, const Array& key, const Array& value,
                                      const GroupedAttentionOptions& options = {});

}  // namespace linseed::nn
