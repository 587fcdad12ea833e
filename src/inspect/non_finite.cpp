#include <linseed/inspect/non_finite.hpp>

#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "inspect/elements.hpp"

namespace linseed::inspect {

std::optional<NonFinite> detail::first_non_finite(pytree::View value, const std::string& root) {
  const std::vector<Array> leaves = pytree::leaves(value);
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (!leaves[i].defined()) continue;
    std::optional<NonFinite> found;
    for_each_element(leaves[i], [&](std::size_t position, double x) {
      if (std::isfinite(x)) return true;
      Shape index = leaves[i].shape();
      for (std::size_t axis = index.size(); axis-- > 0;) {
        const auto extent = static_cast<std::size_t>(index[axis]);
        index[axis] = static_cast<std::int64_t>(position % extent);
        position /= extent;
      }
      found = NonFinite{.path = pytree::paths(value, root)[i], .index = index, .value = x};
      return false;
    });
    if (found) return found;
  }
  return std::nullopt;
}

void detail::NonFiniteWatch::output(const nn::ModuleCall& call, pytree::View value) {
  if (found) return;
  found = first_non_finite(value, linseed::detail::join_path(call.path, call.method));
}

std::string NonFinite::to_string() const {
  const std::string place = index.empty() ? "" : fmt::format("[{}]", fmt::join(index, ","));
  return fmt::format("{}{} is {}", path, place, std::isnan(value) ? std::fabs(value) : value);  // a NaN has no sign
}

}  // namespace linseed::inspect

fmt::format_context::iterator fmt::formatter<linseed::inspect::NonFinite>::format(
    const linseed::inspect::NonFinite& found, fmt::format_context& context) const {
  return fmt::formatter<fmt::string_view>::format(found.to_string(), context);
}
