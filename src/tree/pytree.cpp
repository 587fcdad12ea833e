#include <linseed/tree/pytree.hpp>

#include <algorithm>
#include <functional>
#include <string_view>

#include <fmt/format.h>

#include <linseed/core/error.hpp>

#include "core/array_node.hpp"
#include "tree/places.hpp"

namespace linseed::pytree {

namespace {

using Kind = Type::Kind;

Elements elements_of(const Type& type, const void* value) { return type.elements(const_cast<void*>(value)); }

std::vector<Entry> entries_of(const Type& type, const void* value) {
  std::vector<Entry> result;
  type.entries(const_cast<void*>(value), result);
  return result;
}

/// How part `index` is called in paths.
std::string part_key(const Type& type, std::size_t index) {
  return type.parts[index].name.empty() ? std::to_string(index) : std::string(type.parts[index].name);
}

void find_leaves(const Type& type, const void* value, std::vector<Tree::LeafPlace>& result) {
  switch (type.kind) {
    case Kind::constant: return;
    case Kind::array: result.push_back({static_cast<const Array*>(value), true}); return;
    case Kind::tree: static_cast<const Tree*>(value)->find_leaves(result); return;
    case Kind::record:
    case Kind::tuple: {
      const Places places(type, value);
      for (std::size_t i = 0; i < type.parts.size(); ++i) find_leaves(*type.parts[i].type, places[i], result);
      return;
    }
    case Kind::sequence:
    case Kind::optional: {
      const auto [first, count] = elements_of(type, value);
      for (std::size_t i = 0; i < count; ++i) find_leaves(*type.element, first + i * type.element->size, result);
      return;
    }
    case Kind::map:
      for (const Entry& entry : entries_of(type, value)) find_leaves(*type.element, entry.value, result);
      return;
  }
}

void find_pieces(const Type& type, const std::byte* value, const std::byte* begin, std::vector<Piece>& result) {
  if (type.kind == Kind::record || type.kind == Kind::tuple) {
    const Places places(type, value);
    const auto is_inside = [&](std::size_t i) {  // what a tuple of references refers to is not
      const auto* const part = static_cast<const std::byte*>(places[i]);
      return !std::less<>()(part, value) && std::less<>()(part, value + type.size);
    };
    bool all_inside = true;
    for (std::size_t i = 0; i < type.parts.size(); ++i) all_inside = all_inside && is_inside(i);
    if (all_inside) {
      for (std::size_t i = 0; i < type.parts.size(); ++i)
        find_pieces(*type.parts[i].type, static_cast<const std::byte*>(places[i]), begin, result);
      return;
    }
  }
  result.push_back({&type, static_cast<std::size_t>(value - begin)});
}

void collect_paths(const Type& type, const void* value, const std::string& path, std::vector<std::string>& result) {
  switch (type.kind) {
    case Kind::constant: return;
    case Kind::array: result.push_back(path); return;
    case Kind::tree:
      for (const std::string& inner : static_cast<const Tree*>(value)->paths())
        result.push_back(linseed::detail::join_path(path, inner));
      return;
    case Kind::record:
    case Kind::tuple: {
      const Places places(type, value);
      for (std::size_t i = 0; i < type.parts.size(); ++i)
        collect_paths(*type.parts[i].type, places[i], linseed::detail::join_path(path, part_key(type, i)), result);
      return;
    }
    case Kind::sequence: {
      const auto [first, count] = elements_of(type, value);
      for (std::size_t i = 0; i < count; ++i)
        collect_paths(*type.element, first + i * type.element->size,
                      linseed::detail::join_path(path, std::to_string(i)), result);
      return;
    }
    case Kind::optional:
      if (const auto [first, count] = elements_of(type, value); count > 0)
        collect_paths(*type.element, first, path, result);
      return;
    case Kind::map:
      for (const auto& [key, element] : entries_of(type, value))
        collect_paths(*type.element, element, linseed::detail::join_path(path, key), result);
      return;
  }
}

Tree as_tree(const Type& type, const void* value) {
  Tree::Dict result;
  switch (type.kind) {
    case Kind::constant: break;
    case Kind::array: {
      const Array& array = *static_cast<const Array*>(value);
      return array.defined() ? Tree(array) : Tree();
    }
    case Kind::tree: return *static_cast<const Tree*>(value);
    case Kind::record:
    case Kind::tuple: {
      const Places places(type, value);
      for (std::size_t i = 0; i < type.parts.size(); ++i) {
        if (type.parts[i].type->kind == Kind::constant) continue;
        result.emplace(part_key(type, i), as_tree(*type.parts[i].type, places[i]));
      }
      break;
    }
    case Kind::sequence: {
      const auto [first, count] = elements_of(type, value);
      for (std::size_t i = 0; i < count; ++i)
        result.emplace(std::to_string(i), as_tree(*type.element, first + i * type.element->size));
      break;
    }
    case Kind::optional:
      if (const auto [first, count] = elements_of(type, value); count > 0) return as_tree(*type.element, first);
      break;
    case Kind::map:
      for (const auto& [key, element] : entries_of(type, value)) result.emplace(key, as_tree(*type.element, element));
      break;
  }
  return Tree(std::move(result));
}

void assign_leaves(const Type& type, void* value, std::span<const Array> leaves, std::size_t& next) {
  switch (type.kind) {
    case Kind::constant: return;
    case Kind::array:
      if (next == leaves.size()) linseed::detail::throw_leaf_count(leaves.size(), next + 1);
      *static_cast<Array*>(value) = leaves[next++];
      return;
    case Kind::tree: {
      Tree& tree = *static_cast<Tree*>(value);
      tree = tree.with_leaves(leaves, next);
      return;
    }
    case Kind::record:
    case Kind::tuple: {
      const Places places(type, value);
      for (std::size_t i = 0; i < type.parts.size(); ++i) assign_leaves(*type.parts[i].type, places[i], leaves, next);
      return;
    }
    case Kind::sequence:
    case Kind::optional: {
      const auto [first, count] = elements_of(type, value);
      for (std::size_t i = 0; i < count; ++i)
        assign_leaves(*type.element, first + i * type.element->size, leaves, next);
      return;
    }
    case Kind::map:
      for (const Entry& entry : entries_of(type, value)) assign_leaves(*type.element, entry.value, leaves, next);
      return;
  }
}

bool same_keys(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Entry& x, const Entry& y) { return x.key == y.key; });
}

bool same_signature(const Type& type, const void* a, const void* b) {
  switch (type.kind) {
    case Kind::constant: return type.equal(a, b);
    case Kind::array: return same_abstract(*static_cast<const Array*>(a), *static_cast<const Array*>(b));
    case Kind::tree: return static_cast<const Tree*>(a)->same_signature(*static_cast<const Tree*>(b));
    case Kind::record:
    case Kind::tuple: {
      const Places left(type, a), right(type, b);
      for (std::size_t i = 0; i < type.parts.size(); ++i) {
        if (!same_signature(*type.parts[i].type, left[i], right[i])) return false;
      }
      return true;
    }
    case Kind::sequence:
    case Kind::optional: {
      const Elements left = elements_of(type, a), right = elements_of(type, b);
      if (left.count != right.count) return false;
      for (std::size_t i = 0; i < left.count; ++i) {
        const std::size_t offset = i * type.element->size;
        if (!same_signature(*type.element, left.first + offset, right.first + offset)) return false;
      }
      return true;
    }
    case Kind::map: {
      const std::vector<Entry> left = entries_of(type, a), right = entries_of(type, b);
      if (!same_keys(left, right)) return false;
      for (std::size_t i = 0; i < left.size(); ++i) {
        if (!same_signature(*type.element, left[i].value, right[i].value)) return false;
      }
      return true;
    }
  }
  return false;
}

/// Collects differences as lines, each with the path where it is.
class Comparison {
 public:
  void compare(const Type& type, const void* a, const void* b, const std::string& path) {
    const auto inside = [&path](const std::string& key) { return linseed::detail::join_path(path, key); };
    switch (type.kind) {
      case Kind::constant:
        if (!type.equal(a, b)) add(path, "a static value changed");
        return;
      case Kind::array: compare(*static_cast<const Array*>(a), *static_cast<const Array*>(b), path); return;
      case Kind::tree: compare(*static_cast<const Tree*>(a), *static_cast<const Tree*>(b), path); return;
      case Kind::record:
      case Kind::tuple: {
        const Places left(type, a), right(type, b);
        for (std::size_t i = 0; i < type.parts.size(); ++i)
          compare(*type.parts[i].type, left[i], right[i], inside(part_key(type, i)));
        return;
      }
      case Kind::sequence: {
        const Elements left = elements_of(type, a), right = elements_of(type, b);
        if (left.count != right.count) {
          add(path, fmt::format("{} -> {} elements", left.count, right.count));
          return;
        }
        for (std::size_t i = 0; i < left.count; ++i) {
          const std::size_t offset = i * type.element->size;
          compare(*type.element, left.first + offset, right.first + offset, inside(std::to_string(i)));
        }
        return;
      }
      case Kind::optional: {
        const Elements left = elements_of(type, a), right = elements_of(type, b);
        if (left.count != right.count) {
          add(path, left.count > 0 ? "present -> absent" : "absent -> present");
        } else if (left.count > 0) {
          compare(*type.element, left.first, right.first, path);
        }
        return;
      }
      case Kind::map: {
        const std::vector<Entry> left = entries_of(type, a), right = entries_of(type, b);
        if (!same_keys(left, right)) {
          add(path, "other keys");
          return;
        }
        for (std::size_t i = 0; i < left.size(); ++i)
          compare(*type.element, left[i].value, right[i].value, inside(std::string(left[i].key)));
        return;
      }
    }
  }

  std::vector<std::string> lines;

 private:
  void add(const std::string& path, std::string_view text) { lines.push_back(fmt::format("{}: {}", path, text)); }

  void compare(const Array& a, const Array& b, const std::string& path) {
    const auto text = [](const Array& x) { return x.defined() ? linseed::describe(x) : std::string("empty"); };
    if (!same_abstract(a, b)) add(path, fmt::format("{} -> {}", text(a), text(b)));
  }

  void compare(const Tree& a, const Tree& b, const std::string& path) {
    if (a.is_leaf() && b.is_leaf()) return compare(a.array(), b.array(), path);
    if (a.is_leaf() || b.is_leaf())
      return add(path, a.is_leaf() ? "an Array -> a dictionary" : "a dictionary -> an Array");
    for (const auto& [key, child] : a.entries()) {
      if (const auto other = b.entries().find(key); other != b.entries().end())
        compare(child, other->second, linseed::detail::join_path(path, key));
      else
        add(linseed::detail::join_path(path, key), "present -> absent");
    }
    for (const auto& [key, child] : b.entries()) {
      if (!a.entries().contains(key)) add(linseed::detail::join_path(path, key), "absent -> present");
    }
  }
};

}  // namespace

std::vector<Array> leaves(View value) {
  std::vector<Tree::LeafPlace> places;
  find_leaves(value, places);
  std::vector<Array> result;
  result.reserve(places.size());
  for (const Tree::LeafPlace& place : places) result.push_back(*place.array);
  return result;
}

void find_leaves(View value, std::vector<Tree::LeafPlace>& result) { find_leaves(*value.type, value.value, result); }

std::vector<Piece> pieces_of(View value) {
  std::vector<Piece> result;
  const auto* const begin = static_cast<const std::byte*>(value.value);
  find_pieces(*value.type, begin, begin, result);
  return result;
}

std::vector<std::string> paths(View value, const std::string& root) {
  std::vector<std::string> result;
  collect_paths(*value.type, value.value, root, result);
  return result;
}

void assign_leaves(const Type& type, void* value, std::span<const Array> leaves) {
  std::size_t next = 0;
  assign_leaves(type, value, leaves, next);
  if (next != leaves.size()) linseed::detail::throw_leaf_count(leaves.size(), next);
}

Tree to_tree(View value) { return as_tree(*value.type, value.value); }

bool same_signature(View a, View b) { return same_signature(*a.type, a.value, b.value); }

std::vector<std::string> differences(View a, View b, const std::string& root) {
  Comparison comparison;
  comparison.compare(*a.type, a.value, b.value, root);
  return std::move(comparison.lines);
}

std::vector<Array> placeholders(std::span<const Array> arrays) {
  std::vector<Array> result;
  for (const Array& array : arrays) {
    result.push_back(
        array.defined() ? linseed::detail::ArrayNode::make({.dtype = array.dtype(), .shape = array.shape()}) : Array());
  }
  return result;
}

}  // namespace linseed::pytree
