#pragma once

#include <bit>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/core/array.hpp>

#include "golden/deviation.hpp"
#include "golden/golden.hpp"

namespace golden {

inline linseed::Shape extents(const json& list) {
  const auto values = numbers<std::int64_t>(list);
  return {values.begin(), values.end()};
}

inline linseed::Array key_of(const json& entry) {
  return linseed::Array::from(numbers<std::uint32_t>(entry.at("key")), {2});
}

/// -0.0 and 0.0 differ, NaNs of the same bits do not.
template <class T>
bool same_bits(T a, T b) {
  if constexpr (std::is_same_v<T, float>) {
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  } else {
    return a == b;
  }
}

/// Checks shape, dtype and every stored element, bit for bit.
template <class T>
void check_identical(const linseed::Array& got, const json& expected) {
  CHECK(linseed::to_string(got.dtype()) == dtype(expected));
  REQUIRE(got.shape() == extents(expected.at("shape")));
  const auto data = got.data<T>();
  const auto stored = is_summary(expected) ? head<T>(expected) : values<T>(expected);
  REQUIRE(stored.size() <= data.size());
  std::size_t different = 0;
  for (std::size_t i = 0; i < stored.size(); ++i) different += same_bits(data[i], static_cast<T>(stored[i])) ? 0 : 1;
  Deviations::instance().note(different == 0 ? 0.0 : 1.0);
  CHECK(different == 0);
  if (is_summary(expected)) {
    CHECK(same_bits(data.back(), last<T>(expected)));
    long double total = 0;
    for (const T element : data) total += element;
    CHECK(static_cast<double>(total) == doctest::Approx(sum(expected)).epsilon(1e-13));
  }
}

}  // namespace golden
