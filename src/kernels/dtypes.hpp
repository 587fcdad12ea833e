#pragma once

#include <cstdint>
#include <type_traits>

#include "core/dispatch.hpp"
#include "kernels/scalar_functions.hpp"

namespace linseed::kernels {

/// Calls `function(std::type_identity<T>{})` for the element type of `dtype`, compiled only for the types in `domain`;
/// shape rules keep the others away.
template <Domain domain, class Function>
void visit(DType dtype, Function&& function) noexcept {
  linseed::detail::visit_dtype(dtype, [&]<class T>(std::type_identity<T> tag) {
    if constexpr (domain == Domain::any || (domain == Domain::numeric && !std::is_same_v<T, bool>) ||
                  std::is_floating_point_v<T>) {
      function(tag);
    }
  });
}

/// Calls `function` with an unsigned type as wide as the elements: moving elements needs their size, not their type.
template <class Function>
void visit_size(DType dtype, Function&& function) noexcept {
  switch (size_of(dtype)) {
    case 1: return function(std::type_identity<std::uint8_t>{});
    case 4: return function(std::type_identity<std::uint32_t>{});
    default: return function(std::type_identity<std::uint64_t>{});
  }
}

}  // namespace linseed::kernels
