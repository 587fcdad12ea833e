#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>

namespace linseed {

/// An immutable nested dictionary of Arrays with sorted string keys; a single Array is a tree too (a leaf). Copies and
/// modified copies share what they have in common.
///
///     tree["params"]["Dense_0"]["kernel"]      // sub-trees, and a leaf that converts to Array
///     tree.at("params/Dense_0/kernel")         // the same
///     tree.set("params/Dense_0/kernel", w)     // a new tree
///
/// The empty dictionary is what a default-constructed Tree is. Lookups that fail throw StructureError with the path
/// and the keys that exist.
class Tree {
 public:
  using Dict = std::map<std::string, Tree, std::less<>>;

  Tree();
  Tree(const Tree& other) noexcept;
  Tree(Tree&& other) noexcept = default;
  Tree& operator=(const Tree& other) noexcept;
  Tree& operator=(Tree&& other) noexcept;
  ~Tree();
  Tree(Array leaf);  // NOLINT: an Array is a tree
  Tree(std::initializer_list<std::pair<const std::string, Tree>> entries);
  explicit Tree(Dict entries);

  [[nodiscard]] bool is_leaf() const noexcept { return leaf_.defined(); }
  /// Number of entries; 0 for a leaf.
  [[nodiscard]] std::size_t size() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return !is_leaf() && size() == 0; }
  /// The entries, sorted by key. Throws StructureError for a leaf.
  [[nodiscard]] const Dict& entries() const&;
  [[nodiscard]] Dict entries() && { return std::as_const(*this).entries(); }
  [[nodiscard]] std::vector<std::string> keys() const;

  // What is asked of a temporary is given by value, since references into it would dangle.

  /// The entry of one key.
  [[nodiscard]] const Tree& operator[](std::string_view key) const&;
  [[nodiscard]] Tree operator[](std::string_view key) && { return std::as_const(*this)[key]; }
  /// The sub-tree at a path of keys joined by '/'; the tree itself for "".
  [[nodiscard]] const Tree& at(std::string_view path) const&;
  [[nodiscard]] Tree at(std::string_view path) && { return std::as_const(*this).at(path); }
  /// The sub-tree at a path, or null.
  [[nodiscard]] const Tree* find(std::string_view path) const noexcept;
  [[nodiscard]] bool contains(std::string_view path) const noexcept { return find(path) != nullptr; }

  /// The Array of a leaf. Throws StructureError for a dictionary.
  [[nodiscard]] const Array& array() const&;
  [[nodiscard]] Array array() && { return std::as_const(*this).array(); }
  operator Array() const { return array(); }  // NOLINT: leaves are used as Arrays

  /// A copy with `value` at `path`, making the dictionaries on the way. Throws StructureError when the path runs
  /// through a leaf.
  [[nodiscard]] Tree set(std::string_view path, Tree value) const;
  /// A copy without what is at `path`.
  [[nodiscard]] Tree erase(std::string_view path) const;
  /// A copy with the entries of `other` laid over; dictionaries on both sides merge recursively.
  [[nodiscard]] Tree merge(const Tree& other) const;

  /// The leaves in order of their paths, key by key.
  [[nodiscard]] std::vector<Array> leaves() const;
  /// "params/Dense_0/kernel", ... in the same order.
  [[nodiscard]] std::vector<std::string> paths() const;
  /// Total number of elements.
  [[nodiscard]] std::int64_t element_count() const;

  /// The same structure with other leaves, taken in order. Throws StructureError when the numbers differ.
  [[nodiscard]] Tree with_leaves(std::span<const Array> leaves) const;
  /// The same, taking leaves from position `next` on and leaving it behind the last one taken.
  [[nodiscard]] Tree with_leaves(std::span<const Array> leaves, std::size_t& next) const;
  /// Where a leaf is.
  struct LeafPlace {
    const Array* array;
    bool unshared;  ///< it belongs to what was searched alone: no dictionary on the way to it is shared
  };
  /// Appends the places of the leaves to `result`, in order. They are good as long as the tree is there.
  void find_leaves(std::vector<LeafPlace>& result) const { find_leaves(true, result); }

  /// True when both have the same keys on every level (Arrays may differ).
  [[nodiscard]] bool same_structure(const Tree& other) const noexcept;
  /// True when, besides, the Arrays have the same shapes and dtypes. Trees that were found alike remember it.
  [[nodiscard]] bool same_signature(const Tree& other) const noexcept;

 private:
  struct Node;

  void find_leaves(bool unshared, std::vector<LeafPlace>& result) const;

  Array leaf_;
  std::shared_ptr<Node> node_;  // null for a leaf and for the empty dictionary
};

namespace tree {

/// Applies `function(leaf, other leaves...)` at every path. Throws StructureError at the first path where the
/// structures differ.
template <class Function, class... Trees>
[[nodiscard]] Tree map(Function&& function, const Tree& first, const Trees&... rest);
/// The same with `function(path, leaf, other leaves...)`.
template <class Function, class... Trees>
[[nodiscard]] Tree map_with_path(Function&& function, const Tree& first, const Trees&... rest);

/// Where two trees differ, one line per path ("params/Dense_0/kernel: float32[3,4] against float32[4,4]"); with
/// `values`, elements count too. Nothing when they are equal.
[[nodiscard]] std::optional<std::string> difference(const Tree& a, const Tree& b, bool values = true);

/// The structure with shapes in place of Arrays, as Flax's guides print it:
/// {'params': {'Dense_0': {'bias': (4,), 'kernel': (3, 4)}}}, one entry per line when `width` columns do not suffice.
[[nodiscard]] std::string shapes(const Tree& tree, std::size_t width = 100);

}  // namespace tree

/// True when structure, shapes, dtypes and all elements are the same.
[[nodiscard]] bool identical(const Tree& a, const Tree& b);

/// The tree with its Arrays, nested by indentation, in lines of at most `width` columns where keys and single elements
/// leave room. `fmt::print("{}", tree)` prints the same; `"{:120}"` sets the width.
[[nodiscard]] std::string to_string(const Tree& tree, std::size_t width = 80);
std::ostream& operator<<(std::ostream& stream, const Tree& tree);

namespace detail {
[[noreturn]] void throw_structures_differ(const std::string& path, const Tree& a, const Tree& b);
[[noreturn]] void throw_leaf_count(std::size_t got, std::size_t expected);
std::string join_path(std::string_view parent, std::string_view key);

template <class Function, class... Trees>
Tree map_at(const std::string& path, Function& function, const Tree& first, const Trees&... rest) {
  if (first.is_leaf()) {
    (void)std::initializer_list<int>{(rest.is_leaf() ? 0 : (throw_structures_differ(path, first, rest), 0))...};
    return Tree(function(path, first.array(), rest.array()...));
  }
  [[maybe_unused]] const auto require_same_keys = [&](const Tree& other) {
    if (other.is_leaf() || other.keys() != first.keys()) throw_structures_differ(path, first, other);
  };
  (require_same_keys(rest), ...);
  Tree::Dict result;
  for (const auto& [key, child] : first.entries()) {
    result.emplace_hint(result.end(), key, map_at(join_path(path, key), function, child, rest[key]...));
  }
  return Tree(std::move(result));
}
}  // namespace detail

template <class Function, class... Trees>
Tree tree::map_with_path(Function&& function, const Tree& first, const Trees&... rest) {
  return detail::map_at("", function, first, rest...);
}

template <class Function, class... Trees>
Tree tree::map(Function&& function, const Tree& first, const Trees&... rest) {
  const auto without_path = [&function](const std::string&, const auto&... leaves) { return function(leaves...); };
  return detail::map_at("", without_path, first, rest...);
}

}  // namespace linseed

template <>
struct fmt::formatter<linseed::Tree> {
  constexpr auto parse(fmt::format_parse_context& context) {
    const char* at = context.begin();
    if (at != context.end() && *at != '}') width = 0;
    for (; at != context.end() && *at >= '0' && *at <= '9' && width < 100'000; ++at) {
      width = 10 * width + static_cast<std::size_t>(*at - '0');
    }
    return at;  // fmt refuses what is left
  }
  fmt::format_context::iterator format(const linseed::Tree& tree, fmt::format_context& context) const;

  std::size_t width = 80;
};
