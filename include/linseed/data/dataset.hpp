#pragma once

#include <cstdint>

#include <linseed/core/array.hpp>

namespace linseed::data {

/// Images and their labels; example i is row i of both.
struct Dataset {
  Array images;  ///< uint8 [n, height, width, channels]
  Array labels;  ///< int32 [n]

  /// The number of examples.
  [[nodiscard]] std::int64_t size() const { return labels.extent(0); }
};

/// The first `count` examples, or all when there are fewer. Shares the buffers of `dataset`. Throws ValueError unless
/// `count` is positive.
[[nodiscard]] Dataset limit(const Dataset& dataset, std::int64_t count);

}  // namespace linseed::data
