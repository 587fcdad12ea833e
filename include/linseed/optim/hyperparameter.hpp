#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>

namespace linseed::optim {

/// What decides whether two schedules, masks or gradient transformations are equal: the function that made them and
/// its arguments, "scale_by_adam(0.9, 0.999, 1e-08, 0, false)". What was made of a callable with captures, or of an
/// Array, is equal to its copies only.
class Description {
 public:
  /// Numbers, strings, optionals, vectors and whatever has a `description()` may be arguments.
  template <class... Arguments>
  explicit Description(std::string_view name, const Arguments&... arguments) : text_(name) {
    open();
    (append(arguments), ...);
    close();
  }
  /// Of a number: the shortest text that gives back the same double.
  explicit Description(double number);
  /// Of something that is equal to its copies only; `name` is for reading.
  [[nodiscard]] static Description unique(std::string_view name);
  /// Of a callable: one without captures is what its type is, any other is equal to its copies only.
  template <class Function>
  [[nodiscard]] static Description of_callable(std::string_view name) {
    return std::is_empty_v<Function> ? identified(name, {std::shared_ptr<const void>(), &tag<Function>}) : unique(name);
  }

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  /// Pointers compare by address; they are held, so an address is not given away a second time.
  friend bool operator==(const Description& a, const Description& b) noexcept = default;

 private:
  template <class T>
  static constexpr char tag = 0;  // its address stands for the type

  Description() = default;
  static Description identified(std::string_view name, std::shared_ptr<const void> identity);

  void open();
  void close();
  void separate();
  void append(std::string_view value);
  void append(const Description& part);
  template <class T>
  void append(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      append_word(value ? "true" : "false");
    } else if constexpr (std::is_floating_point_v<T>) {
      append(Description(static_cast<double>(value)));
    } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
      append_word(std::to_string(static_cast<std::int64_t>(value)));
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      append(std::string_view(value));
    } else if constexpr (requires { value.description(); }) {
      append(value.description());
    } else if constexpr (requires { value.has_value(); }) {
      if (value.has_value()) {
        append(*value);
      } else {
        append_word("none");
      }
    } else {  // a range
      separate();
      text_ += "{";
      for (const auto& element : value) append(element);
      text_ += "}";
    }
  }
  template <class First, class Second>
  void append(const std::pair<First, Second>& pair) {
    append(pair.first);
    append(pair.second);
  }
  void append_word(std::string_view word);

  std::string text_;
  std::vector<std::shared_ptr<const void>> identities_;
};

/// A hyper-parameter: a C++ number, which is known when the optimizer is made and takes the dtype of the Array that it
/// meets, or a scalar Array, traced or not, such as those that `inject_hyperparams` keeps in its state.
class Scalar {
 public:
  template <Number T>
  Scalar(T number) : number_(static_cast<double>(number)) {}  // NOLINT: .b1 = 0.9
  /// Throws ShapeError unless the Array is a scalar.
  template <class T>
    requires(std::is_convertible_v<const T&, Array> && !Number<T>)
  Scalar(const T& array) : Scalar(Array(array), nullptr) {}  // NOLINT: .b1 = hyperparams["b1"]

  [[nodiscard]] bool is_number() const noexcept { return !array_.defined(); }
  [[nodiscard]] bool is(double number) const noexcept { return is_number() && number_ == number; }
  /// The C++ number. An Array is read, which throws TraceError under `jit`.
  [[nodiscard]] double number() const { return is_number() ? number_ : array_.item<double>(); }
  /// As a scalar of `dtype`.
  [[nodiscard]] Array as(DType dtype) const;
  operator ArrayLike() const { return is_number() ? ArrayLike(number_) : ArrayLike(array_); }  // NOLINT

  /// 1 - this: in double for a number, as Python does; otherwise an op.
  [[nodiscard]] Scalar one_minus() const;
  [[nodiscard]] Scalar negated() const;
  /// Numbers compare by value; an Array is equal to nothing.
  friend bool operator==(const Scalar& a, const Scalar& b) noexcept {
    return a.is_number() && b.is_number() && a.number_ == b.number_;
  }

  [[nodiscard]] Description description() const;

 private:
  Scalar(Array array, std::nullptr_t);

  double number_ = 0.0;
  Array array_;
};

/// Throws ValueError "[op] name must be finite." for a number that is not.
void require_finite(std::string_view op, std::string_view name, const Scalar& value);

}  // namespace linseed::optim
