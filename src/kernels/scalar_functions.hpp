#pragma once

// The mathematics of the element-wise ops, one function object each, for one element at a time. Signed integers wrap.

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/special.hpp"

namespace linseed::kernels {

/// Which operand types a function is made for.
enum class Domain { floating, numeric, any };

/// astype's conversion: truncates toward zero, saturates, NaN gives 0; anything nonzero is true.
template <class To, class From>
constexpr To convert(From x) noexcept {
  if constexpr (std::is_same_v<To, bool>) {
    return x != From{};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    if (x != x) return To{};
    if (x <= static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
    if (x >= static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
    return static_cast<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

/// 1 and 0 for what holds and does not, in the form that the compiler makes vectors of; other results as they are.
template <class T>
constexpr float as_float(T value) noexcept {
  if constexpr (std::is_same_v<T, bool>) return value ? 1.0F : 0.0F;
  return static_cast<float>(value);
}

namespace scalar {

template <class T, class F>
constexpr T wrap(T a, T b, F f) noexcept {
  if constexpr (std::is_floating_point_v<T>) {
    return f(a, b);
  } else if constexpr (std::is_same_v<T, bool>) {
    return f(static_cast<unsigned>(a), static_cast<unsigned>(b)) != 0;
  } else {
    using U = std::make_unsigned_t<T>;
    return static_cast<T>(f(static_cast<U>(a), static_cast<U>(b)));
  }
}

struct Add {
  static constexpr Domain domain = Domain::any;
  template <class T>
  T operator()(T a, T b) const noexcept {
    return wrap(a, b, [](auto x, auto y) { return x + y; });
  }
};
struct Sub {
  static constexpr Domain domain = Domain::numeric;
  template <class T>
  T operator()(T a, T b) const noexcept {
    return wrap(a, b, [](auto x, auto y) { return x - y; });
  }
};
struct Mul {
  static constexpr Domain domain = Domain::any;
  template <class T>
  T operator()(T a, T b) const noexcept {
    return wrap(a, b, [](auto x, auto y) { return x * y; });
  }
};
struct Div {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T a, T b) const noexcept {
    return a / b;
  }
};
struct Maximum {
  static constexpr Domain domain = Domain::any;
  template <class T>
  T operator()(T a, T b) const noexcept {
    return a != a ? a : (a > b || b == a) ? a : b;
  }
};
struct Minimum {
  static constexpr Domain domain = Domain::any;
  template <class T>
  T operator()(T a, T b) const noexcept {
    return a != a ? a : (a < b || b == a) ? a : b;
  }
};

struct Equal {
  static constexpr Domain domain = Domain::any;
  template <class T>
  bool operator()(T a, T b) const noexcept {
    return a == b;
  }
};
struct NotEqual {
  static constexpr Domain domain = Domain::any;
  template <class T>
  bool operator()(T a, T b) const noexcept {
    return a != b;
  }
};
struct Less {
  static constexpr Domain domain = Domain::any;
  template <class T>
  bool operator()(T a, T b) const noexcept {
    return a < b;
  }
};
struct LessEqual {
  static constexpr Domain domain = Domain::any;
  template <class T>
  bool operator()(T a, T b) const noexcept {
    return a <= b;
  }
};
struct LogicalAnd {
  static constexpr Domain domain = Domain::any;
  template <class T>
  bool operator()(T a, T b) const noexcept {
    return a != T{} && b != T{};
  }
};
struct LogicalOr {
  static constexpr Domain domain = Domain::any;
  template <class T>
  bool operator()(T a, T b) const noexcept {
    return a != T{} || b != T{};
  }
};

struct LogicalNot {
  static constexpr Domain domain = Domain::any;
  template <class T>
  bool operator()(T x) const noexcept {
    return x == T{};
  }
};
struct IsFinite {
  static constexpr Domain domain = Domain::any;
  template <class T>
  bool operator()(T x) const noexcept {
    if constexpr (std::is_floating_point_v<T>)
      return std::isfinite(x);
    else
      return true;
  }
};
struct Neg {
  static constexpr Domain domain = Domain::numeric;
  template <class T>
  T operator()(T x) const noexcept {
    if constexpr (std::is_floating_point_v<T>)
      return -x;
    else
      return static_cast<T>(0u - static_cast<std::make_unsigned_t<T>>(x));
  }
};
struct Sign {
  static constexpr Domain domain = Domain::numeric;
  template <class T>
  T operator()(T x) const noexcept {
    return x > T{} ? T{1} : x < T{} ? static_cast<T>(-1) : x;
  }
};
struct Abs {
  static constexpr Domain domain = Domain::numeric;
  template <class T>
  T operator()(T x) const noexcept {
    if constexpr (std::is_floating_point_v<T>)
      return std::fabs(x);
    else if constexpr (std::is_signed_v<T>)
      return x < 0 ? Neg{}(x) : x;
    else
      return x;
  }
};
struct Exp {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return special::exp(x);
  }
};
struct Expm1 {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return special::expm1(x);
  }
};
struct Log {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return special::log(x);
  }
};
struct Log1p {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return special::log1p(x);
  }
};
struct Sqrt {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return std::sqrt(x);
  }
};
struct Rsqrt {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return T{1} / std::sqrt(x);
  }
};
struct Sin {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return std::sin(x);
  }
};
struct Cos {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return std::cos(x);
  }
};
struct Tanh {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return special::tanh(x);
  }
};
struct Sigmoid {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return special::sigmoid(x);
  }
};
struct Relu {
  static constexpr Domain domain = Domain::numeric;
  template <class T>
  T operator()(T x) const noexcept {
    return x < T{} ? T{} : x;
  }
};
struct Erf {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return special::erf(x);
  }
};
struct Erfc {  // in double: where it is small, no formula in float32 keeps its digits
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return static_cast<T>(std::erfc(static_cast<double>(x)));
  }
};
struct ErfInv {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return special::erf_inv(x);
  }
};
struct Floor {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return std::floor(x);
  }
};
struct Ceil {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return std::ceil(x);
  }
};
struct Round {
  static constexpr Domain domain = Domain::floating;
  template <class T>
  T operator()(T x) const noexcept {
    return std::nearbyint(x);
  }
};

struct Pow {
  static constexpr Domain domain = Domain::numeric;
  template <class T>
  T operator()(T a, T b) const noexcept {
    if constexpr (std::is_floating_point_v<T>) {
      return std::pow(a, b);
    } else {
      if (std::is_signed_v<T> && b < T{}) return a == T{1} ? T{1} : T{0};
      T result{1};
      for (T factor = a; b > T{}; b = static_cast<T>(b / 2), factor = Mul{}(factor, factor)) {
        if (b % 2 == 1) result = Mul{}(result, factor);
      }
      return result;
    }
  }
};

struct Mod {  // the sign of the divisor
  static constexpr Domain domain = Domain::numeric;
  template <class T>
  T operator()(T a, T b) const noexcept {
    if constexpr (std::is_floating_point_v<T>) {
      const T rest = std::fmod(a, b);
      return rest != T{} && (rest < T{}) != (b < T{}) ? rest + b : rest;
    } else {
      if (b == T{}) return a;
      if (std::is_signed_v<T> && b == static_cast<T>(-1)) return T{};
      const T rest = static_cast<T>(a % b);
      return rest != T{} && (rest < T{}) != (b < T{}) ? static_cast<T>(rest + b) : rest;
    }
  }
};

}  // namespace scalar
}  // namespace linseed::kernels
