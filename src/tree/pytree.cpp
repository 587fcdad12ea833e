#include <linseed/tree/pytree.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <linseed/core/error.hpp>

#include "core/array_node.hpp"

namespace linseed::detail {

bool same_abstract(const Array& a, const Array& b) noexcept {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.dtype() == b.dtype() && a.shape() == b.shape();
}

bool same_abstract(const Tree& a, const Tree& b) noexcept {
  if (a.is_leaf() || b.is_leaf()) return a.is_leaf() && b.is_leaf() && same_abstract(a.array(), b.array());
  if (&a.entries() == &b.entries()) return true;
  return std::equal(
      a.entries().begin(), a.entries().end(), b.entries().begin(), b.entries().end(),
      [](const auto& x, const auto& y) { return x.first == y.first && same_abstract(x.second, y.second); });
}

std::string describe_change(const Array& a, const Array& b) {
  const auto text = [](const Array& x) { return x.defined() ? describe(x) : std::string("empty"); };
  return fmt::format("{} -> {}", text(a), text(b));
}

namespace {

void changes(const Tree& a, const Tree& b, const std::string& path, std::string& report) {
  const auto line = [&](const std::string& at, std::string_view text) {
    report += report.empty() ? "" : "\n";
    report += at.empty() ? std::string(text) : fmt::format("/{}: {}", at, text);
  };
  if (a.is_leaf() && b.is_leaf()) {
    if (!same_abstract(a.array(), b.array())) line(path, describe_change(a.array(), b.array()));
    return;
  }
  if (a.is_leaf() || b.is_leaf()) {
    line(path, a.is_leaf() ? "an Array -> a dictionary" : "a dictionary -> an Array");
    return;
  }
  for (const auto& [key, child] : a.entries()) {
    const Tree* other = b.find(key);
    if (other == nullptr)
      line(join_path(path, key), "present -> absent");
    else
      changes(child, *other, join_path(path, key), report);
  }
  for (const auto& [key, child] : b.entries()) {
    if (a.find(key) == nullptr) line(join_path(path, key), "absent -> present");
  }
}

}  // namespace

std::string describe_change(const Tree& a, const Tree& b) {
  std::string report;
  changes(a, b, "", report);
  return report;
}

void throw_leaf_count(std::size_t got, std::size_t expected) {
  throw StructureError(
      "Tree", "The number of leaves differs.",
      {.got = std::to_string(got), .expected = fmt::format("{}{}", got < expected ? "at least " : "", expected)});
}

std::vector<Array> placeholders(std::span<const Array> arrays) {
  std::vector<Array> result;
  for (const Array& array : arrays) {
    result.push_back(array.defined() ? ArrayNode::make({.shape = array.shape(), .dtype = array.dtype()}) : Array());
  }
  return result;
}

}  // namespace linseed::detail
