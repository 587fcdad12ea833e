#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/tree/pytree.hpp>

namespace linseed::inspect {

/// What the elements of one Array are like. `mean`, `std` (the population's: divided by the count), `min` and `max` are
/// over the finite elements, in float64; NaN when there are none.
struct LeafStatistics {
  std::string path = {};
  DType dtype = DType::float32;
  Shape shape = {};
  double mean = 0.0, std = 0.0, min = 0.0, max = 0.0;
  std::int64_t non_finite = 0;  ///< elements that are NaN or infinite
};

/// A row per Array. `fmt::print("{}", inspect::statistics(state))` prints the table.
struct Statistics {
  std::vector<LeafStatistics> leaves;

  [[nodiscard]] std::string to_string() const;
};

namespace detail {
[[nodiscard]] Statistics statistics(pytree::View value);
}

/// Statistics of every Array of a Tree, a TrainState or another pytree, in the order of its paths. Throws TraceError
/// for Arrays that have no values yet.
template <class T>
[[nodiscard]] Statistics statistics(const T& value) {
  return detail::statistics(pytree::View::of(value));
}

}  // namespace linseed::inspect

template <>
struct fmt::formatter<linseed::inspect::Statistics> : fmt::formatter<fmt::string_view> {
  fmt::format_context::iterator format(const linseed::inspect::Statistics& statistics,
                                       fmt::format_context& context) const;
};
