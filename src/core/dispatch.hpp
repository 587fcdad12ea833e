#pragma once

#include <cstdint>
#include <type_traits>

#include <linseed/core/dtype.hpp>

namespace linseed::detail {

/// Calls `function(std::type_identity<T>{})` with the element type of `dtype`.
template <class Function>
decltype(auto) visit_dtype(DType dtype, Function&& function) {
  switch (dtype) {
    case DType::bool_: return function(std::type_identity<bool>{});
    case DType::uint8: return function(std::type_identity<std::uint8_t>{});
    case DType::int32: return function(std::type_identity<std::int32_t>{});
    case DType::uint32: return function(std::type_identity<std::uint32_t>{});
    case DType::int64: return function(std::type_identity<std::int64_t>{});
    case DType::float32: return function(std::type_identity<float>{});
    case DType::float64: break;
  }
  return function(std::type_identity<double>{});
}

/// The same for the two floating-point types; other dtypes do not occur here, checked by shape rules.
template <class Function>
decltype(auto) visit_floating(DType dtype, Function&& function) {
  return dtype == DType::float32 ? function(std::type_identity<float>{}) : function(std::type_identity<double>{});
}

}  // namespace linseed::detail
