// Shared by the tests of convolution and pooling.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/core/array.hpp>
#include <linseed/core/error.hpp>
#include <linseed/core/executor.hpp>

#include "core/array_node.hpp"
#include "core/dispatch.hpp"
#include "program/op.hpp"

namespace window_helpers {

using namespace linseed;

/// Numbers in [-1, 1) that float32 holds exactly.
inline Array random_array(const Shape& shape, DType dtype, unsigned seed) {
  std::mt19937 generator(seed);
  return detail::visit_floating(dtype, [&]<class T>(std::type_identity<T>) {
    std::vector<T> values(static_cast<std::size_t>(shape.elements()));
    for (T& value : values) value = static_cast<T>(generator() >> 8) / T{1 << 23} - T{1};
    return Array::from(values, shape);
  });
}

inline std::vector<double> doubles(const Array& array) {
  std::vector<double> result;
  detail::visit_dtype(array.dtype(), [&]<class T>(std::type_identity<T>) {
    for (const T value : array.data<T>()) result.push_back(static_cast<double>(value));
  });
  return result;
}

enum class Which { reference, fast };

/// The result of one kernel of `op`, after its shape rule.
inline Array run(const Op& op, Which which, const std::vector<Array>& operands, const Attributes& attributes,
                 const Executor& executor = Executor()) {
  std::vector<Abstract> abstracts;
  for (const Array& operand : operands) abstracts.push_back(abstract(operand));
  Op chosen = op;
  if (which == Which::reference) chosen.fast = nullptr;
  return execute(chosen, operands, attributes, op.shape_rule(abstracts, attributes), executor);
}

/// The gradients that an op's rule gives for `cotangent`, all of them wanted.
inline std::vector<Array> pull_back(const Op& op, const std::vector<Array>& operands, const Attributes& attributes,
                                    const Array& cotangent) {
  const std::vector<char> wanted(operands.size(), 1);
  const Array output = apply_op(op, operands, attributes);
  return op.gradient({operands, output, attributes, wanted}, cotangent);
}

inline double inner_product(const Array& a, const Array& b) {
  REQUIRE(a.shape() == b.shape());
  const auto left = doubles(a);
  const auto right = doubles(b);
  double total = 0.0;
  for (std::size_t i = 0; i < left.size(); ++i) total += left[i] * right[i];
  return total;
}

/// The largest difference, relative to the largest expected magnitude (at least 1).
inline double relative_error(const std::vector<double>& got, const std::vector<double>& expected) {
  REQUIRE(got.size() == expected.size());
  double difference = 0.0;
  double scale = 1.0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (got[i] == expected[i]) continue;  // infinities too
    difference = std::max(difference, std::abs(got[i] - expected[i]));
    scale = std::max(scale, std::abs(expected[i]));
    if (std::isnan(got[i]) != std::isnan(expected[i])) return INFINITY;
  }
  return difference / scale;
}

inline bool same_bytes(const Array& a, const Array& b) { return identical(a, b); }

/// The text of the error that `function` throws, which must be an `E`.
template <class E, class Function>
std::string error_text(Function&& function) {
  try {
    static_cast<void>(function());
  } catch (const E& error) {
    return error.what();
  }
  FAIL("no error was thrown, or another one");
  return {};
}

}  // namespace window_helpers
