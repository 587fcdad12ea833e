#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/tree/pytree.hpp>

namespace linseed::data {

/// A batch that was filled up to a fixed number of examples.
template <class T>
struct Padded {
  T batch;
  Array mask;  ///< bool [size]: true for the examples, false for what was added
};

namespace detail {
/// The leaves with zeros appended along the first axis up to `size`, then the mask.
[[nodiscard]] std::vector<Array> pad_leaves(std::span<const Array> leaves, std::int64_t size);
}  // namespace detail

/// Fills every Array [n, ...] of a batch (any pytree) with zeros up to [size, ...], so that a compiled step sees one
/// shape and is traced once, the last batch of an epoch included. The mask keeps what was added out of the results:
///
///     const auto [batch, mask] = data::padded(last, 256);
///     ... x = norm(scope, x, std::nullopt, reshape(mask, {-1, 1, 1, 1}));  // statistics of the examples alone
///     ... loss = sum(where(mask, losses, 0)) / sum(astype(mask, float32));
///
/// Throws ShapeError for a leaf without axes or leaves that differ in n, ValueError where n is larger than `size` or
/// there is no leaf.
template <class T>
[[nodiscard]] Padded<T> padded(const T& batch, std::int64_t size) {
  std::vector<Array> leaves = detail::pad_leaves(pytree::leaves(batch), size);
  const Array mask = leaves.back();
  leaves.pop_back();
  return {pytree::with_leaves(batch, leaves), mask};
}

}  // namespace linseed::data
