#pragma once

// Pytrees: anything made of Arrays and Trees. Tuples, pairs, vectors, arrays, optionals, string-keyed maps and plain
// aggregates are taken apart without registration; whatever holds no Array is static: it takes no part in the leaves
// and is compared by value.

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/core/reflect.hpp>
#include <linseed/tree/tree.hpp>

namespace linseed::detail {

/// True when shapes, dtypes and, for trees, structures agree; empty Arrays agree with each other.
bool same_abstract(const Array& a, const Array& b) noexcept;
bool same_abstract(const Tree& a, const Tree& b) noexcept;
/// "float32[3] -> float32[4]"; for trees one line per path, each as "/path: ...".
std::string describe_change(const Array& a, const Array& b);
std::string describe_change(const Tree& a, const Tree& b);
[[noreturn]] void throw_leaf_count(std::size_t got, std::size_t expected);
/// Handles with the shapes and dtypes of `arrays` and nothing else.
std::vector<Array> placeholders(std::span<const Array> arrays);

}  // namespace linseed::detail

namespace linseed::pytree {

namespace detail {

template <class T>
inline constexpr bool is_sequence = false;
template <class T>
inline constexpr bool is_sequence<std::vector<T>> = true;
template <class T, std::size_t N>
inline constexpr bool is_sequence<std::array<T, N>> = true;

template <class T>
inline constexpr bool is_string_map = false;
template <class T, class Compare>
inline constexpr bool is_string_map<std::map<std::string, T, Compare>> = true;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
inline constexpr bool is_tuple = false;
template <class... T>
inline constexpr bool is_tuple<std::tuple<T...>> = true;
template <class A, class B>
inline constexpr bool is_tuple<std::pair<A, B>> = true;

template <class T>
consteval bool holds_arrays();

template <class Tuple, std::size_t... I>
consteval bool any_holds_arrays(std::index_sequence<I...>) {
  return (holds_arrays<std::remove_cvref_t<std::tuple_element_t<I, Tuple>>>() || ...);
}

template <class T>
consteval bool holds_arrays() {
  if constexpr (std::is_same_v<T, Array> || std::is_same_v<T, Tree>) {
    return true;
  } else if constexpr (is_sequence<T> || is_optional<T>) {
    return holds_arrays<typename T::value_type>();
  } else if constexpr (is_string_map<T>) {
    return holds_arrays<typename T::mapped_type>();
  } else if constexpr (is_tuple<T>) {
    return any_holds_arrays<T>(std::make_index_sequence<std::tuple_size_v<T>>{});
  } else if constexpr (reflect::Aggregate<T>) {
    using Fields = decltype(reflect::fields(std::declval<T&>()));
    return any_holds_arrays<Fields>(std::make_index_sequence<std::tuple_size_v<Fields>>{});
  } else {
    return false;
  }
}

}  // namespace detail

/// True for types that hold Arrays or Trees somewhere; the others are static.
template <class T>
inline constexpr bool is_dynamic = detail::holds_arrays<std::remove_cvref_t<T>>();

/// Equality of static values: `==` where there is one, else field by field. Types without either (a lambda that
/// captures) compare unequal, even to themselves.
template <class T>
[[nodiscard]] bool static_equal(const T& a, const T& b) {
  if constexpr (std::is_empty_v<T>) {
    return true;
  } else if constexpr (requires {
                         { a == b } -> std::same_as<bool>;
                       }) {
    return a == b;
  } else if constexpr (reflect::Aggregate<T>) {
    static_assert(reflect::field_count<T> > 0, "linseed cannot take this struct apart (bases, C arrays, references?)");
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      const auto left = reflect::fields(a);
      const auto right = reflect::fields(b);
      return (static_equal(std::get<I>(left), std::get<I>(right)) && ...);
    }(std::make_index_sequence<reflect::field_count<T>>{});
  } else {
    return false;
  }
}

/// Where a walk over a pytree is: keys joined by '/'.
struct Path {
  std::string text = {};
  [[nodiscard]] Path operator/(std::string_view key) const { return {linseed::detail::join_path(text, key)}; }
  [[nodiscard]] Path operator/(std::size_t index) const { return *this / std::string_view(std::to_string(index)); }
};

/// For walks that do not ask where they are.
struct NoPath {
  template <class Key>
  [[nodiscard]] constexpr NoPath operator/(const Key&) const noexcept {
    return {};
  }
};

/// Calls `function(path, node)` for every Array and Tree inside `value` (const or not), in order.
template <class T, class Where, class Function>
void visit(T& value, const Where& path, const Function& function) {
  using Plain = std::remove_const_t<T>;
  if constexpr (std::is_same_v<Plain, Array> || std::is_same_v<Plain, Tree>) {
    function(path, value);
  } else if constexpr (!is_dynamic<Plain>) {
    return;
  } else if constexpr (detail::is_sequence<Plain>) {
    for (std::size_t i = 0; i < value.size(); ++i) visit(value[i], path / i, function);
  } else if constexpr (detail::is_string_map<Plain>) {
    for (auto& [key, element] : value) visit(element, path / key, function);
  } else if constexpr (detail::is_optional<Plain>) {
    if (value) visit(*value, path, function);
  } else if constexpr (detail::is_tuple<Plain>) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      (visit(std::get<I>(value), path / I, function), ...);
    }(std::make_index_sequence<std::tuple_size_v<Plain>>{});
  } else {
    static_assert(reflect::field_count<Plain> > 0,
                  "linseed cannot take this struct apart (bases, C arrays, references?)");
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      const auto parts = reflect::fields(value);
      (visit(std::get<I>(parts), path / reflect::field_names<Plain>[I], function), ...);
    }(std::make_index_sequence<reflect::field_count<Plain>>{});
  }
}

/// The Arrays inside `value`, in order.
template <class T>
[[nodiscard]] std::vector<Array> leaves(const T& value) {
  std::vector<Array> result;
  visit(value, NoPath{}, [&]<class Node>(NoPath, const Node& node) {
    if constexpr (std::is_same_v<Node, Array>) {
      result.push_back(node);
    } else {
      node.collect_leaves(result);
    }
  });
  return result;
}

/// Their paths: "params/Dense_0/kernel", "0/image", starting from `root`.
template <class T>
[[nodiscard]] std::vector<std::string> paths(const T& value, const std::string& root = "") {
  std::vector<std::string> result;
  visit(value, Path{root}, [&]<class Node>(const Path& path, const Node& node) {
    if constexpr (std::is_same_v<Node, Array>) {
      result.push_back(path.text);
    } else {
      for (const std::string& inner : node.paths()) result.push_back((path / inner).text);
    }
  });
  return result;
}

/// A copy of `value` with other Arrays, taken in order. Throws StructureError when there are not as many.
template <class T>
[[nodiscard]] T with_leaves(T value, std::span<const Array> leaves) {
  std::size_t next = 0;
  visit(value, NoPath{}, [&]<class Node>(NoPath, Node& node) {
    if constexpr (std::is_same_v<Node, Array>) {
      if (next == leaves.size()) linseed::detail::throw_leaf_count(leaves.size(), next + 1);
      node = leaves[next++];
    } else {
      node = node.with_leaves(leaves, next);
    }
  });
  if (next != leaves.size()) linseed::detail::throw_leaf_count(leaves.size(), next);
  return value;
}

/// What remembers the structure of `value` without its elements.
template <class T>
[[nodiscard]] T structure_of(const T& value) {
  return with_leaves(value, linseed::detail::placeholders(leaves(value)));
}

/// Applies `function` to every Array.
template <class Function, class T>
[[nodiscard]] T map(Function&& function, const T& value) {
  std::vector<Array> mapped = leaves(value);
  for (Array& leaf : mapped) leaf = function(leaf);
  return with_leaves(value, mapped);
}

/// Compares structure, static parts, shapes and dtypes of two values of one type. Calls `report(path, text)` at each
/// difference and goes on while it returns true. Returns whether there was none.
template <class T, class Where, class Report>
bool compare(const T& a, const T& b, const Where& path, const Report& report) {
  if constexpr (!is_dynamic<T>) {
    return static_equal(a, b) || (report(path, "a static value changed"), false);
  } else if constexpr (std::is_same_v<T, Array> || std::is_same_v<T, Tree>) {
    return linseed::detail::same_abstract(a, b) || (report(path, linseed::detail::describe_change(a, b)), false);
  } else if constexpr (detail::is_sequence<T>) {
    if (a.size() != b.size()) {
      report(path, std::to_string(a.size()) + " -> " + std::to_string(b.size()) + " elements");
      return false;
    }
    bool same = true;
    for (std::size_t i = 0; i < a.size(); ++i) same = compare(a[i], b[i], path / i, report) && same;
    return same;
  } else if constexpr (detail::is_string_map<T>) {
    if (!std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first; })) {
      report(path, "other keys");
      return false;
    }
    bool same = true;
    for (auto x = a.begin(), y = b.begin(); x != a.end(); ++x, ++y)
      same = compare(x->second, y->second, path / x->first, report) && same;
    return same;
  } else if constexpr (detail::is_optional<T>) {
    if (a.has_value() != b.has_value()) {
      report(path, a.has_value() ? "present -> absent" : "absent -> present");
      return false;
    }
    return !a || compare(*a, *b, path, report);
  } else if constexpr (detail::is_tuple<T>) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return (static_cast<int>(compare(std::get<I>(a), std::get<I>(b), path / I, report)) & ... & 1) != 0;
    }(std::make_index_sequence<std::tuple_size_v<T>>{});
  } else {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      const auto left = reflect::fields(a);
      const auto right = reflect::fields(b);
      return (static_cast<int>(
                  compare(std::get<I>(left), std::get<I>(right), path / reflect::field_names<T>[I], report)) &
              ... & 1) != 0;
    }(std::make_index_sequence<reflect::field_count<T>>{});
  }
}

/// True when `a` and `b` have the same structure and equal static parts, and their Arrays the same shapes and dtypes.
template <class T>
[[nodiscard]] bool same_signature(const T& a, const T& b) {
  return compare(a, b, NoPath{}, [](const auto&, const auto&) {});
}

/// One line per difference: "batch/image: float32[256,28,28,1] -> float32[96,28,28,1]".
template <class T>
[[nodiscard]] std::vector<std::string> differences(const T& a, const T& b, const std::string& root = "") {
  std::vector<std::string> lines;
  compare(a, b, Path{root}, [&](const Path& path, std::string_view text) {
    // A Tree reports several lines, each with its own path below this one.
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::string line(text.substr(begin, end - begin));
      const bool has_own_path = line.starts_with('/');
      lines.push_back(has_own_path ? (path / line.substr(1)).text : path.text + ": " + line);
      begin = end + 1;
    }
  });
  return lines;
}

}  // namespace linseed::pytree
