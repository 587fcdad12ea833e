#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace linseed {

/// The element type of an Array.
enum class DType : std::uint8_t { bool_, uint8, int32, uint32, int64, float32, float64 };

inline constexpr DType bool_ = DType::bool_;
inline constexpr DType uint8 = DType::uint8;
inline constexpr DType int32 = DType::int32;
inline constexpr DType uint32 = DType::uint32;
inline constexpr DType int64 = DType::int64;
inline constexpr DType float32 = DType::float32;
inline constexpr DType float64 = DType::float64;

/// NumPy's name: "float32", "bool".
[[nodiscard]] std::string_view to_string(DType dtype) noexcept;
/// Bytes per element.
[[nodiscard]] std::size_t size_of(DType dtype) noexcept;

[[nodiscard]] constexpr bool is_floating(DType dtype) noexcept { return dtype >= DType::float32; }
[[nodiscard]] constexpr bool is_integer(DType dtype) noexcept { return dtype >= DType::uint8 && dtype <= DType::int64; }

/// The dtype in which `a` and `b` meet, by JAX's promotion lattice (bool < integers < float32 < float64; an integer
/// with a float gives that float; int32 with uint32 gives int64).
[[nodiscard]] DType promote(DType a, DType b) noexcept;

/// C++ numbers that linseed takes wherever it takes a scalar.
template <class T>
concept Number = std::same_as<T, bool> || std::integral<T> || std::floating_point<T>;

namespace detail {
template <class T>
struct dtype_of_impl {};
template <>
struct dtype_of_impl<bool> {
  static constexpr DType value = DType::bool_;
};
template <>
struct dtype_of_impl<std::uint8_t> {
  static constexpr DType value = DType::uint8;
};
template <>
struct dtype_of_impl<std::int32_t> {
  static constexpr DType value = DType::int32;
};
template <>
struct dtype_of_impl<std::uint32_t> {
  static constexpr DType value = DType::uint32;
};
template <>
struct dtype_of_impl<std::int64_t> {
  static constexpr DType value = DType::int64;
};
template <>
struct dtype_of_impl<float> {
  static constexpr DType value = DType::float32;
};
template <>
struct dtype_of_impl<double> {
  static constexpr DType value = DType::float64;
};
}  // namespace detail

/// The dtype whose elements are `T`.
template <class T>
inline constexpr DType dtype_of = detail::dtype_of_impl<T>::value;

/// Types that an Array can store.
template <class T>
concept Element = requires { detail::dtype_of_impl<T>::value; };

}  // namespace linseed
