#include <linseed/inspect/difference.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "inspect/elements.hpp"

namespace linseed::inspect {

namespace {

using Kind = LeafDifference::Kind;

std::string type_of(const Array& array) { return array.defined() ? describe(array) : "nothing"; }

LeafDifference compared(const std::string& path, const Array& a, const Array& b) {
  LeafDifference result{.path = path, .kind = Kind::values, .first = type_of(a), .second = type_of(b)};
  if (result.first != result.second) {
    result.kind = Kind::type;
    return result;
  }
  if (!a.defined()) return result;
  std::vector<double> other(static_cast<std::size_t>(b.size()));
  for_each_element(b, [&](std::size_t i, double x) {
    other[i] = x;
    return true;
  });
  for_each_element(a, [&](std::size_t i, double x) {
    if (x == other[i] || (std::isnan(x) && std::isnan(other[i]))) return true;
    ++result.count;
    const double distance = std::fabs(x - other[i]);
    result.max_abs =
        std::max(result.max_abs, std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance);
    return true;
  });
  return result;
}

}  // namespace

Difference detail::difference(pytree::View a, pytree::View b) {
  const std::vector<Array> first = pytree::leaves(a), second = pytree::leaves(b);
  const std::vector<std::string> first_paths = pytree::paths(a, ""), second_paths = pytree::paths(b, "");
  std::multimap<std::string, Array> unmet;
  for (std::size_t i = 0; i < second.size(); ++i) unmet.emplace(second_paths[i], second[i]);

  Difference result;
  for (std::size_t i = 0; i < first.size(); ++i) {
    const auto found = unmet.lower_bound(first_paths[i]);
    if (found == unmet.end() || found->first != first_paths[i]) {
      result.leaves.push_back(
          {.path = first_paths[i], .kind = Kind::only_in_first, .first = type_of(first[i]), .second = {}});
      continue;
    }
    LeafDifference leaf = compared(first_paths[i], first[i], found->second);
    if (leaf.kind != Kind::values || leaf.count > 0) result.leaves.push_back(std::move(leaf));
    unmet.erase(found);
  }
  for (const auto& [path, array] : unmet) {
    result.leaves.push_back({.path = path, .kind = Kind::only_in_second, .first = {}, .second = type_of(array)});
  }
  return result;
}

double Difference::max_abs() const noexcept {
  double result = 0.0;
  for (const LeafDifference& leaf : leaves) {
    result = std::max(result, leaf.kind == Kind::values ? leaf.max_abs : std::numeric_limits<double>::infinity());
  }
  return result;
}

std::string Difference::to_string() const {
  if (leaves.empty()) return "no difference";
  std::string text;
  for (const LeafDifference& leaf : leaves) {
    if (!text.empty()) text += '\n';
    text += leaf.path + ": ";
    switch (leaf.kind) {
      case Kind::only_in_first: text += fmt::format("{} in the first alone", leaf.first); break;
      case Kind::only_in_second: text += fmt::format("{} in the second alone", leaf.second); break;
      case Kind::type: text += fmt::format("{} against {}", leaf.first, leaf.second); break;
      case Kind::values:
        text += fmt::format("{} element{} of {} differ{}, by at most {:.3g}", leaf.count, leaf.count == 1 ? "" : "s",
                            leaf.first, leaf.count == 1 ? "s" : "", leaf.max_abs);
        break;
    }
  }
  return text;
}

}  // namespace linseed::inspect

fmt::format_context::iterator fmt::formatter<linseed::inspect::Difference>::format(
    const linseed::inspect::Difference& difference, fmt::format_context& context) const {
  return fmt::formatter<fmt::string_view>::format(difference.to_string(), context);
}
