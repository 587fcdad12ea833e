#pragma once

// Pytrees: anything made of Arrays and Trees. Tuples, pairs, vectors, arrays, optionals, string-keyed maps and plain
// aggregates are taken apart without registration; whatever holds no Array is static: it takes no part in the leaves
// and is compared by value.

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/tree/pytree_type.hpp>

namespace linseed::pytree {

/// A value of any pytree type, not owned.
struct View {
  const Type* type;
  const void* value;

  template <class T>
  static View of(const T& value) noexcept {
    return {&type_of<T>, std::addressof(value)};
  }
};

/// A value of any pytree type, owned.
class Any {
 public:
  Any() = default;
  template <class T>
  static Any of(T&& value) {
    using Plain = std::remove_cvref_t<T>;
    Any result;
    result.type_ = &type_of<Plain>;
    result.value_ = {new Plain(std::forward<T>(value)), [](void* p) { delete static_cast<Plain*>(p); }};
    return result;
  }

  [[nodiscard]] const Type& type() const noexcept { return *type_; }
  [[nodiscard]] View view() const noexcept { return {type_, value_.get()}; }
  [[nodiscard]] void* get() const noexcept { return value_.get(); }
  /// The value as what it was made of; the caller knows the type.
  template <class T>
  [[nodiscard]] T& as() const noexcept {
    return *static_cast<T*>(value_.get());
  }

 private:
  const Type* type_ = nullptr;
  std::unique_ptr<void, void (*)(void*)> value_{nullptr, [](void*) {}};
};

// The walks. The templates below are their typed faces.

[[nodiscard]] std::vector<Array> leaves(View value);
/// Appends the places of the leaves to `result`, in order. They are good as long as `value` is there.
void find_leaves(View value, std::vector<Tree::LeafPlace>& result);
[[nodiscard]] std::vector<std::string> paths(View value, const std::string& root);
/// The Arrays of any pytree as a Tree, with "0", "1", ... for the elements of tuples and sequences, as Flax's
/// to_state_dict has them; a lone Array is a leaf.
[[nodiscard]] Tree to_tree(View value);
/// Replaces the Arrays inside `value`. Throws StructureError when there are not as many, and then some are replaced.
void assign_leaves(const Type& type, void* value, std::span<const Array> leaves);
/// For two values of one type.
[[nodiscard]] bool same_signature(View a, View b);
[[nodiscard]] std::vector<std::string> differences(View a, View b, const std::string& root);
/// Arrays with the shapes and dtypes of `arrays` and nothing else.
[[nodiscard]] std::vector<Array> placeholders(std::span<const Array> arrays);

/// The Arrays inside `value`, in order.
template <class T>
[[nodiscard]] std::vector<Array> leaves(const T& value) {
  return leaves(View::of(value));
}

/// The same as a Tree.
template <class T>
[[nodiscard]] Tree to_tree(const T& value) {
  return to_tree(View::of(value));
}

/// Their paths: "params/Dense_0/kernel", "0/image", starting from `root`.
template <class T>
[[nodiscard]] std::vector<std::string> paths(const T& value, const std::string& root = "") {
  return paths(View::of(value), root);
}

/// A copy of `value` with other Arrays, taken in order. Throws StructureError when there are not as many.
template <class T>
[[nodiscard]] T with_leaves(T value, std::span<const Array> leaves) {
  assign_leaves(type_of<T>, &value, leaves);
  return value;
}

/// What remembers the structure of `value` without its elements.
template <class T>
[[nodiscard]] T structure_of(const T& value) {
  return with_leaves(value, placeholders(leaves(value)));
}

/// Applies `function` to every Array.
template <class Function, class T>
[[nodiscard]] T map(Function&& function, const T& value) {
  std::vector<Array> mapped = leaves(value);
  for (Array& leaf : mapped) leaf = function(leaf);
  return with_leaves(value, mapped);
}

/// True when `a` and `b` have the same structure and equal static parts, and their Arrays the same shapes and dtypes.
template <class T>
[[nodiscard]] bool same_signature(const T& a, const T& b) {
  return same_signature(View::of(a), View::of(b));
}

/// One line per difference: "batch/image: float32[256,28,28,1] -> float32[96,28,28,1]".
template <class T>
[[nodiscard]] std::vector<std::string> differences(const T& a, const T& b, const std::string& root = "") {
  return differences(View::of(a), View::of(b), root);
}

}  // namespace linseed::pytree
