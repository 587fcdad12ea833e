#pragma once

// The bridge to xtensor, and the one public header that pulls it in. With it an Array converts from any xtensor
// expression (`Array y = xt::sin(a) + 1;`, evaluated once; a moved container is adopted without a copy), and
// `view<T>(array)` gives a const xtensor view of an Array's elements. An operator with an
// Array on one side and an xtensor expression on the other is xtensor's and does not compile: write Array(expression).

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#if __has_include(<xtensor/containers/xarray.hpp>)
#include <xtensor/containers/xadapt.hpp>
#include <xtensor/containers/xarray.hpp>
#include <xtensor/containers/xtensor.hpp>
#else
#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xtensor.hpp>
#endif

#include <linseed/core/array.hpp>
#include <linseed/core/error.hpp>

namespace linseed {

namespace detail {

/// The element type in which values of type T are stored: T itself, or the fixed-width type of the same size.
template <class T>
using element_for = std::conditional_t<
    Element<T>, T,
    std::conditional_t<std::is_floating_point_v<T>, double,
                       std::conditional_t<sizeof(T) == 8, std::int64_t,
                                          std::conditional_t<sizeof(T) == 1, std::uint8_t, std::int32_t>>>>;

/// Containers that own row-major elements of a type that an Array stores.
template <class E>
concept AdoptableContainer = requires(E container) {
  container.storage();
  requires Element<typename E::value_type>;
  requires E::static_layout == xt::layout_type::row_major;
  requires std::is_move_constructible_v<E>;
  requires std::is_same_v<typename E::storage_type, std::remove_cvref_t<decltype(container.storage())>>;
  requires !std::is_pointer_v<typename E::storage_type>;
};

template <class E>
Shape shape_of(const E& expression) {
  Shape shape;
  for (const auto extent : expression.shape()) shape.push_back(static_cast<std::int64_t>(extent));
  return shape;
}

template <class E>
Array from_xtensor(E&& expression) {
  using Plain = std::remove_cvref_t<E>;
  using T = element_for<std::remove_const_t<typename Plain::value_type>>;
  if constexpr (!std::is_lvalue_reference_v<E> && !std::is_const_v<std::remove_reference_t<E>> &&
                AdoptableContainer<Plain>) {
    const auto owner = std::make_shared<Plain>(std::forward<E>(expression));
    const Shape shape = shape_of(*owner);
    return Array::adopt(std::shared_ptr<const void>(owner, owner->data()), shape, dtype_of<T>);
  } else {
    const auto owner = std::make_shared<xt::xarray<T, xt::layout_type::row_major>>(xt::cast<T>(expression));
    const Shape shape = shape_of(*owner);
    return Array::adopt(std::shared_ptr<const void>(owner, owner->data()), shape, dtype_of<T>);
  }
}

}  // namespace detail

/// A const view of the elements as an xtensor expression, without a copy. The Array must outlive it. Throws DTypeError
/// unless `T` is the dtype, TraceError for a traced Array without a value.
template <Element T>
[[nodiscard]] auto view(const Array& array) {
  const std::vector<std::size_t> shape(array.shape().begin(), array.shape().end());
  const std::span<const T> elements = array.data<T>();
  return xt::adapt(elements.data(), elements.size(), xt::no_ownership(), shape);
}
template <Element T>
auto view(const Array&& array) = delete;  // the elements would die with the temporary

}  // namespace linseed
