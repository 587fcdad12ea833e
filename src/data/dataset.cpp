#include <linseed/data/dataset.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <linseed/core/error.hpp>

#include "core/array_node.hpp"

namespace linseed::data {

namespace {

// Rows are contiguous, so a shorter Array can share the buffer.
Array first_rows(const Array& array, std::int64_t count) {
  const Array concrete = detail::concrete_value(array);
  Shape shape = array.shape();
  shape[0] = std::min(count, shape[0]);
  return Array::adopt(detail::ArrayNode::of(concrete).buffer, shape, array.dtype());
}

}  // namespace

Dataset limit(const Dataset& dataset, std::int64_t count) {
  if (count <= 0) {
    throw ValueError("limit", "A data set is limited to a positive number of examples.",
                     {.got = fmt::to_string(count), .expected = "at least 1"});
  }
  return {.images = first_rows(dataset.images, count), .labels = first_rows(dataset.labels, count)};
}

}  // namespace linseed::data
