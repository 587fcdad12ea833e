#include <linseed/nn/grouped_attention.hpp>

#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/nn/activations.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/shape.hpp>

#include "nn/layer_support.hpp"

namespace linseed::nn {

namespace {

constexpr std::string_view op = "grouped_attention";

void require_fitting(const Array& query, const Array& key, const Array& value) {
  const bool ranks = query.rank() == 4 && key.rank() == 4 && key.shape() == value.shape();
  if (ranks && query.extent(0) == key.extent(0) && query.extent(3) == key.extent(3) && key.extent(2) > 0 &&
      query.extent(2) % key.extent(2) == 0) {
    return;
  }
  throw ShapeError(op, "Query, key and value do not fit.",
                   {.got = fmt::format("query {}, key {}, value {}", to_string(query.shape()), to_string(key.shape()),
                                       to_string(value.shape())),
                    .expected = "query (batch, q_length, heads, depth), key and value (batch, kv_length, key_heads, "
                                "depth), heads a multiple of key_heads"});
}

void require_lengths(std::string_view name, const Array& lengths, std::int64_t batch) {
  if (!is_integer(lengths.dtype())) {
    throw DTypeError(op, fmt::format("{} holds integers.", name), {.got = describe(lengths)});
  }
  if (!(lengths.shape() == Shape{batch})) {
    throw ShapeError(op, fmt::format("{} has a number for each example.", name),
                     {.got = to_string(lengths.shape()), .expected = to_string(Shape{batch})});
  }
}

void require_options(const GroupedAttentionOptions& options, const Shape& scores) {
  for (const Array* broadcast : {&options.bias, &options.mask}) {
    if (broadcast->defined()) require_mask(op, *broadcast, scores);
  }
  if (options.mask.defined() && options.mask.dtype() != DType::bool_)
    throw DTypeError(op, "A mask holds bool.", {.got = describe(options.mask), .expected = "bool"});
  if (options.scale && !std::isfinite(*options.scale))
    throw ValueError(op, "scale must be finite.", {.got = fmt::format("{}", *options.scale)});
  if (options.query_seq_lengths.defined()) require_lengths("query_seq_lengths", options.query_seq_lengths, scores[0]);
  if (options.key_value_seq_lengths.defined())
    require_lengths("key_value_seq_lengths", options.key_value_seq_lengths, scores[0]);
  if (const auto& window = options.local_window_size; window && (window->first < 0 || window->second < 0)) {
    throw ValueError(op, "A window reaches no negative number of keys.",
                     {.got = fmt::format("({}, {})", window->first, window->second)});
  }
}

// What is seen, of a shape that broadcasts to the scores [batch, heads, q_length, kv_length]; nothing if all is.
std::optional<Array> seen(const GroupedAttentionOptions& options, const Shape& scores) {
  const Array row = reshape(arange(scores[2]), {scores[2], 1}), column = reshape(arange(scores[3]), {1, scores[3]});
  std::optional<Array> all;
  const auto restrict_to = [&](const Array& visible) { all = all ? *all && visible : visible; };
  if (options.mask.defined()) restrict_to(options.mask);
  if (options.is_causal) restrict_to(row >= column);
  if (const auto& window = options.local_window_size)
    restrict_to(row <= column + window->first && row >= column - window->second);
  const auto before = [&](const Array& lengths, const Array& place) {
    return place < reshape(lengths, {scores[0], 1, 1, 1});
  };
  if (options.query_seq_lengths.defined()) restrict_to(before(options.query_seq_lengths, row));
  if (options.key_value_seq_lengths.defined()) restrict_to(before(options.key_value_seq_lengths, column));
  return all;
}

}  // namespace

Array grouped_attention(const Array& query, const Array& key, const Array& value,
                        const GroupedAttentionOptions& options) {
  if (query.rank() == 3 && key.rank() == 3 && value.rank() == 3)
    return squeeze(grouped_attention(expand_dims(query, 0), expand_dims(key, 0), expand_dims(value, 0), options), 0);
  require_fitting(query, key, value);
  const std::int64_t batch = query.extent(0), length = query.extent(1), heads = query.extent(2),
                     depth = query.extent(3);
  const std::int64_t source = key.extent(1), groups = key.extent(2), members = heads / groups;
  const Shape shape{batch, heads, length, source};
  require_options(options, shape);

  const Array grouped = reshape(query, {batch, length, groups, members, depth});
  Array scores = reshape(einsum("btkgh,bskh->bkgts", grouped, key), shape);
  scores = scores * options.scale.value_or(1.0 / std::sqrt(static_cast<double>(depth)));
  if (options.bias.defined()) scores = astype(scores + options.bias, scores.dtype());
  if (const auto visible = seen(options, shape))
    scores = where(*visible, scores, -0.7 * static_cast<double>(std::numeric_limits<float>::max()));
  const Array weights = astype(softmax(astype(scores, DType::float32)), key.dtype());
  Array result = einsum("bkgts,bskh->btkgh", reshape(weights, {batch, groups, members, length, source}), value);
  result = reshape(result, query.shape());
  if (options.query_seq_lengths.defined()) {
    const Array place = reshape(arange(length), {1, length, 1, 1});
    result = result * astype(place < reshape(options.query_seq_lengths, {batch, 1, 1, 1}), result.dtype());
  }
  return result;
}

}  // namespace linseed::nn
