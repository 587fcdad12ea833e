#pragma once

// Reflection of plain aggregates without registration: how many fields, references to them, and their names. The count
// comes from brace initialisation, the references from structured bindings, the names from the compiler's text of a
// function signature. Needs GCC 12 or clang 16; bases, C arrays and reference members are not reflected.

#include <array>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace linseed::reflect {

inline constexpr std::size_t max_fields = 24;

namespace detail {

struct Anything {
  template <class T>
    requires(!std::is_same_v<std::remove_cvref_t<T>, Anything>)
  operator T() const;  // NOLINT: never defined, only asked for
};

template <std::size_t>
using AnythingAt = Anything;

template <class T, class Indices>
struct BracesTake;
// clang-format off
template <class T, std::size_t... I>
struct BracesTake<T, std::index_sequence<I...>> : std::bool_constant<requires { T{AnythingAt<I>{}...}; }> {};
// clang-format on

template <class T, std::size_t N = max_fields>
consteval std::size_t count_fields() {
  if constexpr (BracesTake<T, std::make_index_sequence<N>>::value) {
    return N;
  } else if constexpr (N == 0) {
    return 0;
  } else {
    return count_fields<T, N - 1>();
  }
}

}  // namespace detail

/// A class that can be taken apart field by field.
template <class T>
concept Aggregate = std::is_aggregate_v<T> && std::is_class_v<T> && !std::is_empty_v<T>;

/// Number of fields of `T`.
template <class T>
inline constexpr std::size_t field_count = [] {
  if constexpr (std::is_empty_v<T>) {
    return std::size_t{0};
  } else {
    return detail::count_fields<T>();
  }
}();

/// References to the fields of `object`, in order, as a tuple.
template <class T>
constexpr auto fields(T& object) {
  constexpr std::size_t n = field_count<std::remove_const_t<T>>;
  if constexpr (n == 0)
    return std::tie();
  else if constexpr (n == 1) {
    auto& [a] = object;
    return std::tie(a);
  } else if constexpr (n == 2) {
    auto& [a, b] = object;
    return std::tie(a, b);
  } else if constexpr (n == 3) {
    auto& [a, b, c] = object;
    return std::tie(a, b, c);
  } else if constexpr (n == 4) {
    auto& [a, b, c, d] = object;
    return std::tie(a, b, c, d);
  } else if constexpr (n == 5) {
    auto& [a, b, c, d, e] = object;
    return std::tie(a, b, c, d, e);
  } else if constexpr (n == 6) {
    auto& [a, b, c, d, e, f] = object;
    return std::tie(a, b, c, d, e, f);
  } else if constexpr (n == 7) {
    auto& [a, b, c, d, e, f, g] = object;
    return std::tie(a, b, c, d, e, f, g);
  } else if constexpr (n == 8) {
    auto& [a, b, c, d, e, f, g, h] = object;
    return std::tie(a, b, c, d, e, f, g, h);
  } else if constexpr (n == 9) {
    auto& [a, b, c, d, e, f, g, h, i] = object;
    return std::tie(a, b, c, d, e, f, g, h, i);
  } else if constexpr (n == 10) {
    auto& [a, b, c, d, e, f, g, h, i, j] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j);
  } else if constexpr (n == 11) {
    auto& [a, b, c, d, e, f, g, h, i, j, k] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k);
  } else if constexpr (n == 12) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l);
  } else if constexpr (n == 13) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m);
  } else if constexpr (n == 14) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, o);
  } else if constexpr (n == 15) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p);
  } else if constexpr (n == 16) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q);
  } else if constexpr (n == 17) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r);
  } else if constexpr (n == 18) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s);
  } else if constexpr (n == 19) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t);
  } else if constexpr (n == 20) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u] = object;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, o, p, q, r, s, t, u);
  } else
    static_assert(n <= 20, "linseed reflects aggregates of at most 20 fields; group some of them in a struct");
}

namespace detail {

// An object that is never constructed: only the spelling of its fields' addresses is used.
template <class T>
union Unconstructed {
  constexpr Unconstructed() : nothing{} {}
  constexpr ~Unconstructed() {}
  char nothing;
  T value;
};
template <class T>
inline constinit Unconstructed<T> unconstructed{};

template <auto Pointer>
consteval std::string_view pretty_pointer() {
  return __PRETTY_FUNCTION__;
}
template <class T>
consteval std::string_view pretty_type() {
  return __PRETTY_FUNCTION__;
}

// "... unconstructed<T>.value.Type::field)..." or "...(& unconstructed<T>.value)->field": the identifier that ends the
// pointer's text.
consteval std::string_view last_identifier(std::string_view text) {
  const auto is_word = [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  };
  std::size_t end = text.find("; std::string_view");  // GCC appends the alias that it knows
  if (end == std::string_view::npos) end = text.size();
  while (end > 0 && !is_word(text[end - 1])) --end;
  std::size_t begin = end;
  while (begin > 0 && is_word(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

template <class T, std::size_t... I>
consteval auto names_of(std::index_sequence<I...>) {
  constexpr auto pointers =
      std::apply([](auto&... field) { return std::tuple(&field...); }, fields(unconstructed<T>.value));
  return std::array<std::string_view, sizeof...(I)>{last_identifier(pretty_pointer<std::get<I>(pointers)>())...};
}

}  // namespace detail

/// The names of the fields of `T`, in order.
template <class T>
inline constexpr auto field_names = detail::names_of<T>(std::make_index_sequence<field_count<T>>{});

/// The unqualified name of `T` without template arguments: "MLP".
template <class T>
consteval std::string_view type_name() {
  std::string_view text = detail::pretty_type<T>();
  text = text.substr(text.find("T = ") + 4);
  text = text.substr(0, text.find_first_of(";]<"));
  const std::size_t colon = text.rfind("::");
  return colon == std::string_view::npos ? text : text.substr(colon + 2);
}

}  // namespace linseed::reflect
