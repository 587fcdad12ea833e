#pragma once

#include <array>
#include <vector>

#include <linseed/tree/pytree.hpp>

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

}  // namespace linseed::pytree
