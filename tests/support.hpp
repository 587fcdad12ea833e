// Shared by the tests: golden values as linseed's own, comparisons, and the texts of errors.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <typeinfo>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/core/array.hpp>
#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/tree/tree.hpp>

#include "core/dispatch.hpp"
#include "golden/deviation.hpp"
#include "golden/golden.hpp"

namespace support {

using golden::json;
using linseed::Array;
using linseed::DType;
using linseed::Shape;
using linseed::Tree;

/// A whole array of a golden file.
inline Array array_of(const json& entry) {
  const std::vector<std::int64_t> extents = golden::shape(entry);
  const Shape shape(extents.begin(), extents.end());
  const std::string dtype = golden::dtype(entry);
  if (dtype == "float32") return Array::from(golden::values<float>(entry), shape);
  if (dtype == "float64") return Array::from(golden::values<double>(entry), shape);
  if (dtype == "int32") return Array::from(golden::values<std::int32_t>(entry), shape);
  if (dtype == "uint32") return Array::from(golden::values<std::uint32_t>(entry), shape);
  if (dtype == "uint8" || dtype == "bool") {
    const Array bytes = Array::from(golden::values<std::uint8_t>(entry), shape);
    return dtype == "bool" ? bytes != 0 : bytes;
  }
  throw std::runtime_error("no test for " + dtype);
}

/// A tree of a golden file: {"params/Dense_0/kernel": array, ...}.
inline Tree tree_of(const json& paths) {
  Tree result;
  for (const auto& [path, entry] : paths.items()) result = result.set(path, array_of(entry));
  return result;
}

inline Array key_of(const json& words) { return Array::from(golden::numbers<std::uint32_t>(words), {2}); }

inline std::vector<double> doubles(const Array& array) {
  return linseed::detail::visit_dtype(array.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto data = array.data<T>();
    return std::vector<double>(data.begin(), data.end());
  });
}

/// Shapes and dtypes are the same; elements differ by at most `relative` of themselves, or a tenth of that of the
/// largest one, or `absolute`. NaNs and infinities must stand in the same places.
inline void check_near(const Array& got, const Array& expected, double relative = 1e-5, double absolute = 0.0) {
  REQUIRE(linseed::describe(got) == linseed::describe(expected));
  const std::vector<double> a = doubles(got);
  const std::vector<double> b = doubles(expected);
  double largest = 0.0;
  for (const double x : b) largest = std::isfinite(x) ? std::max(largest, std::fabs(x)) : largest;
  std::string wrong;
  double deviation = 0.0;  // in units of what `relative` is a share of
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double allowed = std::max({relative * std::fabs(b[i]), 0.1 * relative * largest, absolute});
    if (std::isfinite(b[i]) && a[i] != b[i])
      deviation =
          std::max(deviation, std::fabs(a[i] - b[i]) / (relative > 0.0 && allowed > 0.0 ? allowed / relative : 1.0));
    const bool same = std::isfinite(b[i]) ? std::fabs(a[i] - b[i]) <= allowed
                      : std::isnan(b[i])  ? std::isnan(a[i])
                                          : a[i] == b[i];
    if (!same && wrong.empty()) wrong = fmt::format("element {}: {:.9g} instead of {:.9g}", i, a[i], b[i]);
  }
  golden::Deviations::instance().note(deviation);
  CHECK(wrong == "");
}

inline void check_near(const Tree& got, const Tree& expected, double relative = 1e-5, double absolute = 0.0) {
  CHECK(linseed::tree::difference(got, expected, /*values=*/false).value_or("") == "");
  if (!got.same_structure(expected)) return;
  for (const std::string& path : expected.paths()) {
    CAPTURE(path);
    check_near(got.at(path).array(), expected.at(path).array(), relative, absolute);
  }
}

/// The text of the error that `call` throws, which must be exactly an `E`.
template <class E, class Call>
std::string error_of(const Call& call) {
  try {
    (void)call();
  } catch (const E& error) {
    return typeid(error) == typeid(E) ? error.what() : std::string("of a derived type: ") + error.what();
  } catch (const std::exception& error) {
    return std::string("of another type: ") + error.what();
  }
  return "no error";
}

}  // namespace support
