#pragma once

// What a pytree type is made of, as a table that ordinary functions read. One table per C++ type is all that templates
// contribute; the walks over pytrees are compiled once (src/tree/pytree.cpp).

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
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

struct Type;

/// A field of a struct, or an element of a tuple (whose name is empty).
struct Part {
  std::string_view name;
  const Type* type;
};

/// The elements of a sequence; an optional has one or none.
struct Elements {
  std::byte* first;
  std::size_t count;
};

/// An entry of a map.
struct Entry {
  std::string_view key;
  void* value;
};

/// How values of one C++ type are taken apart. The functions do not change the value that they are given.
struct Type {
  enum class Kind : std::uint8_t { array, tree, record, tuple, sequence, optional, map, constant };

  Kind kind;
  std::size_t size = 0;        ///< sizeof
  std::string_view name = {};  ///< of a struct

  std::span<const Part> parts = {};                             ///< struct, tuple
  void (*places)(void* value, void** parts) = nullptr;          ///< struct, tuple: the addresses of the parts
  const Type* element = nullptr;                                ///< sequence, optional, map
  Elements (*elements)(void* value) = nullptr;                  ///< sequence, optional
  void (*entries)(void* value, std::vector<Entry>&) = nullptr;  ///< map
  bool (*equal)(const void* a, const void* b) = nullptr;        ///< constant
  void (*move)(void* to, void* from) noexcept = nullptr;        ///< Array, Tree, struct: if assignment cannot fail
  void (*copy)(void* to, const void* from) = nullptr;           ///< the same types
};

namespace detail {

template <class T>
consteval Type describe();

}  // namespace detail

/// The table of `T`; its address identifies the type.
template <class T>
inline constexpr Type type_of = detail::describe<T>();

namespace detail {

template <class T>
constexpr auto parts_of(T& value) {
  if constexpr (is_tuple<T>) {
    return std::apply([](auto&... part) { return std::tie(part...); }, value);
  } else {
    static_assert(reflect::field_count<T> > 0, "linseed cannot take this struct apart (bases, C arrays, references?)");
    return reflect::fields(value);
  }
}

template <class T>
inline constexpr std::size_t part_count = std::tuple_size_v<decltype(parts_of(std::declval<T&>()))>;

template <class T>
inline constexpr auto part_table = []<std::size_t... I>(std::index_sequence<I...>) {
  using Parts = decltype(parts_of(std::declval<T&>()));
  [[maybe_unused]] const auto name = []([[maybe_unused]] std::size_t index) -> std::string_view {
    if constexpr (is_tuple<T>) {
      return {};
    } else {
      return reflect::field_names<T>[index];
    }
  };
  return std::array<Part, sizeof...(I)>{
      Part{name(I), &type_of<std::remove_cvref_t<std::tuple_element_t<I, Parts>>>}...};
}(std::make_index_sequence<part_count<T>>{});

template <class T>
void places(void* value, void** result) {
  std::apply([&](auto&... part) { ((*result++ = const_cast<void*>(static_cast<const void*>(&part))), ...); },
             parts_of(*static_cast<T*>(value)));
}

template <class T>
inline constexpr auto move_of = [] {
  void (*move)(void*, void*) noexcept = nullptr;
  if constexpr (std::is_nothrow_move_assignable_v<T>) {
    move = [](void* to, void* from) noexcept { *static_cast<T*>(to) = std::move(*static_cast<T*>(from)); };
  }
  return move;
}();

template <class T>
inline constexpr auto copy_of = [] {
  void (*copy)(void*, const void*) = nullptr;
  if constexpr (std::is_nothrow_move_assignable_v<T> && std::is_copy_assignable_v<T>) {
    copy = [](void* to, const void* from) { *static_cast<T*>(to) = *static_cast<const T*>(from); };
  }
  return copy;
}();

template <class T>
consteval Type describe() {
  using Kind = Type::Kind;
  if constexpr (std::is_same_v<T, Array>) {
    return {.kind = Kind::array, .size = sizeof(T), .move = move_of<T>, .copy = copy_of<T>};
  } else if constexpr (std::is_same_v<T, Tree>) {
    return {.kind = Kind::tree, .size = sizeof(T), .move = move_of<T>, .copy = copy_of<T>};
  } else if constexpr (is_tuple<T>) {  // with or without Arrays: also the arguments of a call
    return {.kind = Kind::tuple, .size = sizeof(T), .parts = part_table<T>, .places = places<T>};
  } else if constexpr (!is_dynamic<T>) {
    return {.kind = Kind::constant, .size = sizeof(T), .equal = [](const void* a, const void* b) {
              return static_equal(*static_cast<const T*>(a), *static_cast<const T*>(b));
            }};
  } else if constexpr (is_sequence<T>) {
    return {.kind = Kind::sequence,
            .size = sizeof(T),
            .element = &type_of<typename T::value_type>,
            .elements = [](void* value) {
              auto& sequence = *static_cast<T*>(value);
              return Elements{reinterpret_cast<std::byte*>(sequence.data()), sequence.size()};
            }};
  } else if constexpr (is_optional<T>) {
    return {.kind = Kind::optional,
            .size = sizeof(T),
            .element = &type_of<typename T::value_type>,
            .elements = [](void* value) {
              auto& optional = *static_cast<T*>(value);
              return optional ? Elements{reinterpret_cast<std::byte*>(std::addressof(*optional)), 1}
                              : Elements{nullptr, 0};
            }};
  } else if constexpr (is_string_map<T>) {
    return {.kind = Kind::map,
            .size = sizeof(T),
            .element = &type_of<typename T::mapped_type>,
            .entries = [](void* value, std::vector<Entry>& result) {
              for (auto& [key, element] : *static_cast<T*>(value)) result.push_back({key, &element});
            }};
  } else {
    return {.kind = Kind::record,
            .size = sizeof(T),
            .name = reflect::type_name<T>(),
            .parts = part_table<T>,
            .places = places<T>,
            .move = move_of<T>,
            .copy = copy_of<T>};
  }
}

}  // namespace detail

}  // namespace linseed::pytree
