#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/tree/pytree.hpp>

namespace linseed::inspect {

/// A path at which two pytrees differ.
struct LeafDifference {
  enum class Kind : std::uint8_t { only_in_first, only_in_second, type, values };

  std::string path = {};
  Kind kind = Kind::values;
  std::string first = {}, second = {};  ///< "float32[3,4]"; empty where there is nothing
  /// For Kind::values: how many elements differ, and the largest |a - b|, which is infinite where a NaN or an infinity
  /// meets something else.
  std::int64_t count = 0;
  double max_abs = 0.0;
};

/// All of them, one line each when printed; "no difference" when there are none.
struct Difference {
  std::vector<LeafDifference> leaves;

  [[nodiscard]] bool empty() const noexcept { return leaves.empty(); }
  /// Largest |a - b| over all paths; infinite when a path, a shape or a dtype differs.
  [[nodiscard]] double max_abs() const noexcept;
  [[nodiscard]] std::string to_string() const;
};

namespace detail {
[[nodiscard]] Difference difference(pytree::View a, pytree::View b);
}

/// Where the Arrays of two pytrees differ: two Trees, two TrainStates, or one of each as long as paths agree. Two NaNs
/// are equal; so are 0.0 and -0.0. What is not an Array (a model, an optimizer) is not compared. Throws TraceError for
/// Arrays that have no values yet.
template <class A, class B>
[[nodiscard]] Difference difference(const A& a, const B& b) {
  return detail::difference(pytree::View::of(a), pytree::View::of(b));
}

}  // namespace linseed::inspect

template <>
struct fmt::formatter<linseed::inspect::Difference> : fmt::formatter<fmt::string_view> {
  fmt::format_context::iterator format(const linseed::inspect::Difference& difference,
                                       fmt::format_context& context) const;
};
