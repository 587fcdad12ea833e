#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include <linseed/core/dtype.hpp>
#include <linseed/core/shape.hpp>

namespace xt {
template <class D>
class xexpression;
}

namespace linseed {

class Array;

namespace detail {

struct ArrayNode;  // what a handle points at: a buffer, or a place in a trace

/// C++ numbers enter as JAX's default types do: integers as int32, floating-point numbers as float32.
template <Number T>
inline constexpr DType dtype_of_number = std::is_same_v<T, bool>           ? DType::bool_
                                         : std::is_same_v<T, std::uint8_t> ? DType::uint8
                                         : std::is_floating_point_v<T>     ? DType::float32
                                         : std::is_same_v<T, unsigned>     ? DType::uint32
                                                                           : DType::int32;

template <class E>
concept XtensorExpression = std::is_base_of_v<xt::xexpression<std::remove_cvref_t<E>>, std::remove_cvref_t<E>>;

/// Defined in <linseed/xtensor.hpp>, which a file that hands xtensor expressions to linseed includes.
template <class E>
Array from_xtensor(E&& expression);

template <class T>
using Nested1 = std::initializer_list<T>;
template <class T>
using Nested2 = std::initializer_list<Nested1<T>>;
template <class T>
using Nested3 = std::initializer_list<Nested2<T>>;
template <class T>
using Nested4 = std::initializer_list<Nested3<T>>;

template <class T>
struct NestedList {  // walks a nested initializer list, checking that it is rectangular
  Shape shape;
  std::vector<T> values;

  template <class U>
  void visit(const std::initializer_list<U>& list, std::size_t depth) {
    const auto extent = static_cast<std::int64_t>(list.size());
    if (depth == shape.size()) {
      shape.push_back(extent);
    } else if (shape[depth] != extent) {
      throw_ragged(shape[depth], extent);
    }
    for (const U& element : list) {
      if constexpr (std::is_arithmetic_v<U>) {
        values.push_back(element);
      } else {
        visit(element, depth + 1);
      }
    }
  }
  [[noreturn]] static void throw_ragged(std::int64_t expected, std::int64_t got);
};
[[noreturn]] void throw_ragged_list(std::int64_t expected, std::int64_t got);
template <class T>
void NestedList<T>::throw_ragged(std::int64_t expected, std::int64_t got) {
  throw_ragged_list(expected, got);
}

}  // namespace detail

/// An immutable n-dimensional value: shape, dtype and a shared buffer. Copying shares the buffer.
///
/// An Array may be *traced*: under `grad` it also records how it was computed, under `jit` it has no elements yet,
/// only a shape and a dtype. A default-constructed or moved-from Array is empty; using it throws ValueError.
class Array {
 public:
  Array() noexcept = default;
  Array(const Array& other) noexcept;
  Array(Array&& other) noexcept = default;
  Array& operator=(const Array& other) noexcept;
  Array& operator=(Array&& other) noexcept;
  ~Array();

  /// A scalar: float32 for floating-point numbers, int32 for integers (as JAX does), unless `dtype` says otherwise.
  template <Number T>
  explicit Array(T value) : Array(value, detail::dtype_of_number<T>) {}
  template <Number T>
  Array(T value, DType dtype) : Array(cast_from(&value, 1, Shape{}, dtype)) {}

  /// From nested braces: `Array{{1.0, 2.0}, {3.0, 4.0}}`. Throws ShapeError when rows differ in length.
  template <Number T>
  Array(detail::Nested1<T> list, DType dtype = detail::dtype_of_number<T>) : Array(nested<T>(list, dtype)) {}
  template <Number T>
  Array(detail::Nested2<T> list, DType dtype = detail::dtype_of_number<T>) : Array(nested<T>(list, dtype)) {}
  template <Number T>
  Array(detail::Nested3<T> list, DType dtype = detail::dtype_of_number<T>) : Array(nested<T>(list, dtype)) {}
  template <Number T>
  Array(detail::Nested4<T> list, DType dtype = detail::dtype_of_number<T>) : Array(nested<T>(list, dtype)) {}

  /// From an xtensor container or expression; an `xt::xarray` or `xt::xtensor` that is moved in is not copied.
  /// Needs <linseed/xtensor.hpp>.
  template <class E>
    requires detail::XtensorExpression<E>
  Array(E&& expression) : Array(detail::from_xtensor(std::forward<E>(expression))) {}  // NOLINT: borders convert

  /// Copies `values` (row-major) into an Array of `shape`. Throws ShapeError when the counts differ.
  template <Element T>
  [[nodiscard]] static Array from(std::span<const T> values, const Shape& shape) {
    return copy_of(values.data(), static_cast<std::int64_t>(values.size()), shape, dtype_of<T>);
  }
  template <Element T>
  [[nodiscard]] static Array from(const std::vector<T>& values, const Shape& shape) {
    return from(std::span<const T>(values), shape);
  }
  /// Takes a share of a row-major buffer without copying: `buffer.get()` points at the first element, and nobody
  /// may write to it any more.
  [[nodiscard]] static Array adopt(std::shared_ptr<const void> buffer, const Shape& shape, DType dtype);

  [[nodiscard]] const Shape& shape() const;
  [[nodiscard]] DType dtype() const;
  [[nodiscard]] int rank() const { return shape().rank(); }
  [[nodiscard]] std::int64_t size() const { return shape().elements(); }
  /// Extent of `axis`, which may count from the end.
  [[nodiscard]] std::int64_t extent(int axis) const;
  /// False for a default-constructed or moved-from handle.
  [[nodiscard]] bool defined() const noexcept { return node_ != nullptr; }
  /// False while `jit` traces: then only shape and dtype are known.
  [[nodiscard]] bool has_value() const noexcept;

  /// The elements, row-major. Throws DTypeError unless `T` is the dtype, TraceError when there is no value yet.
  template <Element T>
  [[nodiscard]] std::span<const T> data() const& {
    return {static_cast<const T*>(raw(dtype_of<T>)), static_cast<std::size_t>(size())};
  }
  template <Element T>
  std::span<const T> data() const&& = delete;  // the elements would die with the temporary

  /// The only element, converted to `T`. Throws ShapeError unless there is exactly one.
  template <Number T>
  [[nodiscard]] T item() const {
    if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(scalar_as_double());
    } else {
      return static_cast<T>(scalar_as_int64());
    }
  }
  /// Truth of the only element, for `if`. Throws TraceError under `jit`: use `where` there.
  [[nodiscard]] explicit operator bool() const { return scalar_as_double() != 0.0; }

 private:
  friend struct detail::ArrayNode;
  explicit Array(std::shared_ptr<const detail::ArrayNode> node) noexcept : node_(std::move(node)) {}

  template <Number T>
  static Array cast_from(const T* values, std::int64_t count, const Shape& shape, DType dtype) {
    if constexpr (std::is_floating_point_v<T>) {
      const std::vector<double> wide(values, values + count);
      return cast_of(wide.data(), shape, dtype);
    } else {
      const std::vector<std::int64_t> wide(values, values + count);
      return cast_of(wide.data(), shape, dtype);
    }
  }
  template <Number T, class List>
  static Array nested(const List& list, DType dtype) {
    // One flat vector of a wide type; bool has no usable std::vector.
    using Wide = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;
    detail::NestedList<Wide> all;
    all.visit(list, 0);
    return cast_of(all.values.data(), all.shape, dtype);
  }
  static Array cast_of(const double* values, const Shape& shape, DType dtype);
  static Array cast_of(const std::int64_t* values, const Shape& shape, DType dtype);
  static Array copy_of(const void* values, std::int64_t count, const Shape& shape, DType dtype);

  const void* raw(DType dtype) const;
  double scalar_as_double() const;
  std::int64_t scalar_as_int64() const;

  std::shared_ptr<const detail::ArrayNode> node_;
};

/// An Array or a C++ number. A number is weakly typed, as in JAX: it takes the dtype of the Array that it meets
/// (a floating-point number meeting integers makes them float32).
class ArrayLike {
 public:
  ArrayLike(Array array) : array_(std::move(array)) {}  // NOLINT: that is its purpose
  template <class T>
    requires(std::is_convertible_v<const T&, Array> && !std::is_same_v<T, Array> && !Number<T>)
  ArrayLike(const T& value) : array_(value) {}  // NOLINT
  template <Number T>
  ArrayLike(T number)
      : number_(static_cast<double>(number)), kind_(detail::dtype_of_number<T>), is_number_(true) {}  // NOLINT

  [[nodiscard]] bool is_number() const noexcept { return is_number_; }
  /// The Array itself, or the number as a scalar of its default dtype.
  [[nodiscard]] Array array() const { return is_number() ? as(kind_) : array_; }
  /// The Array itself, or the number as a scalar of the dtype that it takes beside `other`.
  [[nodiscard]] Array beside(DType other) const;
  /// The value of a C++ integer; nothing for an Array or a floating-point number.
  [[nodiscard]] std::optional<std::int64_t> whole_number() const {
    if (!is_number() || is_floating(kind_) || kind_ == DType::bool_) return std::nullopt;
    return static_cast<std::int64_t>(number_);
  }
  /// The dtype of the Array, or the one that the number takes beside `other`.
  [[nodiscard]] DType dtype_beside(DType other) const;

 private:
  Array as(DType dtype) const;

  Array array_;
  double number_ = 0.0;  // int64 beyond 2^53 does not occur among literals; pass an Array for those
  DType kind_ = DType::float32;
  bool is_number_ = false;
};

/// Prints like NumPy: nested brackets, aligned columns, "..." in long axes. A traced Array without a value prints
/// as "float32[3,4]". Lines are at most `width` columns wide, unless a single element needs more.
[[nodiscard]] std::string to_string(const Array& array, std::size_t width = 75);
std::ostream& operator<<(std::ostream& stream, const Array& array);

/// "float32[3,4]": dtype and shape alone.
[[nodiscard]] std::string describe(const Array& array);
[[nodiscard]] std::string describe(DType dtype, const Shape& shape);

/// True when shape, dtype and every element are the same (NaN equals NaN of the same bits).
[[nodiscard]] bool identical(const Array& a, const Array& b);

}  // namespace linseed

template <>
struct fmt::formatter<linseed::Array> : fmt::formatter<fmt::string_view> {
  fmt::format_context::iterator format(const linseed::Array& array, fmt::format_context& context) const;
};
template <>
struct fmt::formatter<linseed::Shape> : fmt::formatter<fmt::string_view> {
  fmt::format_context::iterator format(const linseed::Shape& shape, fmt::format_context& context) const;
};
template <>
struct fmt::formatter<linseed::DType> : fmt::formatter<fmt::string_view> {
  fmt::format_context::iterator format(linseed::DType dtype, fmt::format_context& context) const;
};
