// Comparisons for the tests of ops.
#pragma once

#include <algorithm>
#include <cmath>
#include <type_traits>

#include <doctest/doctest.h>

#include <linseed/core/array.hpp>
#include <linseed/core/error.hpp>

#include "core/dispatch.hpp"

namespace linseed::tests {

/// Equal dtype, shape and elements, where NaN equals NaN and 0 equals -0.
inline bool equal_values(const Array& a, const Array& b) {
  if (describe(a) != describe(b)) return false;
  return detail::visit_dtype(a.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto left = a.data<T>();
    const auto right = b.data<T>();
    return std::equal(left.begin(), left.end(), right.begin(), [](T x, T y) { return x == y || (x != x && y != y); });
  });
}

inline void expect(const Array& got, const Array& expected) {
  INFO("got ", describe(got), " ", to_string(got), ", expected ", describe(expected), " ", to_string(expected));
  CHECK(equal_values(got, expected));
}

/// Elements within `tolerance`, relative to the expected one or to 1 where that is smaller.
inline void expect_near(const Array& got, const Array& expected, double tolerance) {
  INFO("got ", describe(got), " ", to_string(got), ", expected ", describe(expected), " ", to_string(expected));
  REQUIRE(describe(got) == describe(expected));
  double worst = 0.0;
  detail::visit_floating(got.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto left = got.data<T>();
    const auto right = expected.data<T>();
    for (std::size_t i = 0; i < left.size(); ++i) {
      if (left[i] == right[i] || (left[i] != left[i] && right[i] != right[i])) continue;
      const double error =
          std::abs(static_cast<double>(left[i]) - right[i]) / std::max(1.0, std::abs(static_cast<double>(right[i])));
      worst = error <= worst ? worst : error;  // NaN sticks
    }
  });
  CHECK(worst <= tolerance);
}

/// The text of the error that `function` throws, which must be an `E`.
template <class E, class Function>
std::string error_text(const Function& function) {
  try {
    static_cast<void>(function());
  } catch (const E& error) {
    return error.what();
  }
  FAIL("no error was thrown, or another one");
  return {};
}

}  // namespace linseed::tests
