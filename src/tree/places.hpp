#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include <linseed/tree/pytree.hpp>

#include "core/array_node.hpp"

namespace linseed::pytree {

/// The parts of a struct or tuple, in place.
class Places {
 public:
  Places(const Type& type, const void* value) {
    if (type.parts.size() > few_.size()) many_.resize(type.parts.size());
    type.places(const_cast<void*>(value), many_.empty() ? few_.data() : many_.data());
  }
  [[nodiscard]] void* operator[](std::size_t index) const noexcept { return data()[index]; }
  [[nodiscard]] void* const* data() const noexcept { return many_.empty() ? few_.data() : many_.data(); }

 private:
  std::array<void*, reflect::max_fields> few_;
  std::vector<void*> many_;  // of a long tuple
};

/// Whether two Arrays, or empty handles, have the same shape and dtype.
inline bool same_abstract(const Array& a, const Array& b) noexcept {
  using linseed::detail::ArrayNode;
  const ArrayNode *left = ArrayNode::peek(a), *right = ArrayNode::peek(b);
  if (left == nullptr || right == nullptr) return left == right;
  return left->dtype == right->dtype && left->shape.size() == right->shape.size() &&
         std::ranges::equal(left->shape, right->shape);
}

/// Something in a value of some type, as far from its beginning in every other value of that type: an Array, a Tree,
/// something static, or what has a number of elements.
struct Piece {
  const Type* type;
  std::size_t offset;
};

/// What values of a type like `value` are made of, in order, with structs and tuples taken apart.
[[nodiscard]] std::vector<Piece> pieces_of(View value);

}  // namespace linseed::pytree
