#pragma once

// Positions on the spatial axes of convolution and pooling.

#include <array>
#include <cstdint>

#include <linseed/core/shape.hpp>

namespace linseed::kernels::reference {

/// One number per spatial axis, three always: missing leading axes have extent 1.
using Place = std::array<std::int64_t, 3>;

/// Entries [first, first + rank) of `shape`, after as many `missing` ones as lack.
inline Place place(const Shape& shape, std::size_t first, std::size_t rank, std::int64_t missing) noexcept {
  Place result{missing, missing, missing};
  for (std::size_t axis = 0; axis < rank; ++axis) result[axis + result.size() - rank] = shape[first + axis];
  return result;
}

/// Calls `function(place)` for every place below `extents`, in row-major order.
template <class Function>
void for_each_place(const Place& extents, Function&& function) noexcept {
  Place p;
  for (p[0] = 0; p[0] < extents[0]; ++p[0]) {
    for (p[1] = 0; p[1] < extents[1]; ++p[1]) {
      for (p[2] = 0; p[2] < extents[2]; ++p[2]) function(p);
    }
  }
}

}  // namespace linseed::kernels::reference
