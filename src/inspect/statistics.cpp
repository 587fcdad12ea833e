#include <linseed/inspect/statistics.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "inspect/elements.hpp"
#include "inspect/text_table.hpp"

namespace linseed::inspect {

namespace {

LeafStatistics statistics_of(const std::string& path, const Array& array) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  LeafStatistics result{.path = path, .dtype = array.dtype(), .shape = array.shape()};
  result.min = std::numeric_limits<double>::infinity();
  result.max = -result.min;
  std::int64_t count = 0;
  double total = 0.0;
  const auto each_finite = [&](const auto& use) {
    for_each_element(array, [&](std::size_t, double x) {
      if (std::isfinite(x)) use(x);
      return true;
    });
  };
  each_finite([&](double x) {
    ++count;
    total += x;
    result.min = std::min(result.min, x);
    result.max = std::max(result.max, x);
  });
  result.non_finite = array.size() - count;
  if (count == 0) {
    result.mean = result.std = result.min = result.max = nan;
    return result;
  }
  result.mean = total / static_cast<double>(count);
  double squares = 0.0;
  each_finite([&](double x) { squares += (x - result.mean) * (x - result.mean); });
  result.std = std::sqrt(squares / static_cast<double>(count));
  return result;
}

}  // namespace

Statistics detail::statistics(pytree::View value) {
  const std::vector<Array> leaves = pytree::leaves(value);
  const std::vector<std::string> paths = pytree::paths(value, "");
  Statistics result;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    if (leaves[i].defined()) result.leaves.push_back(statistics_of(paths[i], leaves[i]));
  }
  return result;
}

std::string Statistics::to_string() const {
  TextTable table{
      .columns =
          {{"path"}, {"type"}, {"mean", true}, {"std", true}, {"min", true}, {"max", true}, {"non-finite", true}},
      .rows = {}};
  for (const LeafStatistics& leaf : leaves) {
    const auto number = [](double x) { return fmt::format("{:.4g}", x); };
    table.rows.push_back({leaf.path, describe(leaf.dtype, leaf.shape), number(leaf.mean), number(leaf.std),
                          number(leaf.min), number(leaf.max), fmt::format("{}", leaf.non_finite)});
  }
  return table.to_string();
}

}  // namespace linseed::inspect

fmt::format_context::iterator fmt::formatter<linseed::inspect::Statistics>::format(
    const linseed::inspect::Statistics& statistics, fmt::format_context& context) const {
  return fmt::formatter<fmt::string_view>::format(statistics.to_string(), context);
}
