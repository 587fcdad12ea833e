// Values and vector-Jacobian products of the real JAX, for every op of the golden file.
#include <functional>
#include <memory>
#include <set>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>

#include "golden/deviation.hpp"
#include "golden/golden.hpp"
#include "ops/expect.hpp"

using namespace linseed;
using golden::json;

namespace {

using Arrays = std::vector<Array>;

Shape shape_of(const json& list) {
  const auto extents = golden::numbers<std::int64_t>(list);
  return {extents.begin(), extents.end()};
}

DType dtype_named(const std::string& name) {
  for (const DType dtype : {bool_, uint8, int32, uint32, int64, float32, float64}) {
    if (to_string(dtype) == name) return dtype;
  }
  FAIL("no dtype " << name);
  return float32;
}

Array array_of(const json& value) {
  return detail::visit_dtype(dtype_named(golden::dtype(value)), [&]<class T>(std::type_identity<T>) {
    const auto numbers = golden::values<T>(value);
    const auto elements = std::make_unique<T[]>(numbers.size());  // vector<bool> has no elements
    std::copy(numbers.begin(), numbers.end(), elements.get());
    return Array::from(std::span<const T>(elements.get(), numbers.size()), shape_of(value.at("shape")));
  });
}

Axes axes_of(const json& axis) {
  if (axis.is_null()) return {};
  if (axis.is_number()) return axis.get<int>();
  return axis.get<std::vector<int>>();
}

ArrayLike number_of(const json& value) {
  if (value.is_number_integer()) return value.get<int>();
  return value.get<double>();
}

// `tolerance` is relative; 0 asks for the same numbers. Below 1e-7 (1e-37 for values of single elements) it is
// absolute.
void compare(const Array& got, const json& expected, double tolerance, double floor) {
  const Array wanted = array_of(expected);
  if (tolerance == 0 || !is_floating(wanted.dtype())) {
    golden::Deviations::instance().note(tests::equal_values(got, wanted) ? 0.0 : 1.0);
    return tests::expect(got, wanted);
  }
  INFO("got ", describe(got), " ", to_string(got), ", expected ", to_string(wanted));
  REQUIRE(describe(got) == describe(wanted));
  detail::visit_floating(wanted.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto a = got.data<T>();
    const auto b = wanted.data<T>();
    double deviation = 0.0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (a[i] == b[i] || (a[i] != a[i] && b[i] != b[i])) continue;
      deviation = std::max(deviation, std::abs(static_cast<double>(a[i]) - b[i]) /
                                          std::max(std::abs(static_cast<double>(b[i])), floor / tolerance));
      CHECK(std::abs(static_cast<double>(a[i]) - b[i]) <=
            std::max(tolerance * std::abs(static_cast<double>(b[i])), floor));
    }
    golden::Deviations::instance().note(deviation);
  });
}

struct Entry {
  std::string op;
  std::function<Array(const Arrays&, const json& attrs)> function;
  double forward = 0;       // relative tolerance of the value
  double gradient = 0;      // and of the vector-Jacobian product
  double cancelled = 1e-7;  // below which the latter is absolute
};

// Cases have inputs that are multiples of 1/64, so sums and products are exact in any order. Where they are not: 1e-6
// is 8 units in the last place, which leaves room for JAX's own functions (up to 5 off) and its divisions by
// reciprocals.
const std::vector<Entry>& entries() {
  constexpr double close = 1e-6;
  const auto unary = [](Array (*f)(const ArrayLike&)) { return [f](const Arrays& x, const json&) { return f(x[0]); }; };
  const auto binary = [](Array (*f)(const ArrayLike&, const ArrayLike&)) {
    return [f](const Arrays& x, const json&) { return f(x[0], x[1]); };
  };
  const auto reduction = [](Array (*f)(const Array&, const Axes&, bool)) {
    return [f](const Arrays& x, const json& a) { return f(x[0], axes_of(a.at("axis")), a.at("keepdims").get<bool>()); };
  };
  const auto index = [](Array (*f)(const Array&, int)) {
    return [f](const Arrays& x, const json& a) {
      if (a.at("axis").is_null()) return f(ravel(x[0]), 0);
      const int axis = a.at("axis").get<int>();
      return a.at("keepdims").get<bool>() ? expand_dims(f(x[0], axis), axis) : f(x[0], axis);
    };
  };
  static const std::vector<Entry> all{
      {"add", binary(&operator+)},
      {"subtract", binary(static_cast<Array (*)(const ArrayLike&, const ArrayLike&)>(&operator-))},
      {"multiply", binary(&operator*)},
      {"divide", binary(&operator/), close, close},
      {"power", binary(&pow), close, close},
      {"maximum", binary(&maximum)},
      {"minimum", binary(&minimum)},
      {"remainder", binary(&mod)},
      {"equal", binary(&operator==)},
      {"not_equal", binary(&operator!=)},
      {"less", binary(&operator<)},
      {"less_equal", binary(&operator<=)},
      {"greater", binary(&operator>)},
      {"greater_equal", binary(&operator>=)},
      {"integer_pow", [](const Arrays& x, const json& a) { return pow(x[0], a.at("exponent").get<int>()); }, close,
       close},
      {"float_pow", [](const Arrays& x, const json& a) { return pow(x[0], a.at("exponent").get<double>()); }, close,
       close},
      {"logical_and", [](const Arrays& x, const json&) { return x[0] && x[1]; }},
      {"logical_or", [](const Arrays& x, const json&) { return x[0] || x[1]; }},
      {"logical_not", [](const Arrays& x, const json&) { return !x[0]; }},
      {"negative", [](const Arrays& x, const json&) { return -x[0]; }},
      {"abs", unary(&abs)},
      {"sign", unary(&sign)},
      {"square", unary(&square)},
      {"floor", unary(&linseed::floor)},
      {"exp", unary(&linseed::exp), close, close},
      {"expm1", unary(&linseed::expm1), close, close},
      {"log", unary(&linseed::log), close, close},
      {"log1p", unary(&linseed::log1p), close, close},
      {"sqrt", unary(&linseed::sqrt), 0, close},
      {"rsqrt", unary(&rsqrt), close, close},
      {"reciprocal", [](const Arrays& x, const json&) { return 1 / x[0]; }, close, close},
      {"sin", unary(&linseed::sin), close, close},
      {"cos", unary(&linseed::cos), close, close},
      {"tanh", unary(&linseed::tanh), close, close, 1e-6},  // 2 (1 - y^2), where JAX's y is up to 5 units off
      {"x_times_stop_gradient_x", [](const Arrays& x, const json&) { return x[0] * stop_gradient(x[0]); }},
      {"where", [](const Arrays& x, const json&) { return where(x[0], x[1], x[2]); }},
      {"clip",
       [](const Arrays& x, const json& a) {
         if (a.at("max").is_null()) return maximum(x[0], number_of(a.at("min")));
         if (a.at("min").is_null()) return minimum(x[0], number_of(a.at("max")));
         return clip(x[0], number_of(a.at("min")), number_of(a.at("max")));
       }},
      {"sum", reduction(&sum), close},
      {"mean", reduction(&mean), close, close},
      {"var", reduction(&var), close, close},
      {"max", reduction(&linseed::max), 0, close},
      {"min", reduction(&linseed::min), 0, close},
      {"prod", reduction(&prod), close, close},
      {"argmax", index(&argmax)},
      {"argmin", index(&argmin)},
      {"matmul", [](const Arrays& x, const json&) { return matmul(x[0], x[1]); }},
      {"dot", [](const Arrays& x, const json&) { return dot(x[0], x[1]); }},
      {"take", [](const Arrays& x, const json& a) { return take(x[0], x[1], a.at("axis").get<int>()); }},
      {"one_hot",
       [](const Arrays& x, const json& a) {
         const Array rows = one_hot(x[0], a.at("num_classes").get<int>());
         return a.contains("axis") ? moveaxis(rows, -1, a.at("axis").get<int>()) : rows;
       }},
      {"pad",
       [](const Arrays& x, const json& a) {
         const auto widths = a.at("pad_width").get<std::vector<std::pair<std::int64_t, std::int64_t>>>();
         return a.contains("constant_values") ? pad(x[0], widths, a.at("constant_values").get<double>())
                                              : pad(x[0], widths);
       }},
      {"lax_pad",
       [](const Arrays& x, const json& a) {
         Shape low, high, interior;
         for (const json& axis : a.at("padding_config")) {
           low.push_back(axis[0].get<int>());
           high.push_back(axis[1].get<int>());
           interior.push_back(axis[2].get<int>());
         }
         return pad_interior(x[0], low, high, interior, a.value("padding_value", 0.0));
       }},
      {"slice",
       [](const Arrays& x, const json& a) {
         const Shape strides = a.at("strides").is_null() ? Shape{} : shape_of(a.at("strides"));
         return slice(x[0], shape_of(a.at("start_indices")), shape_of(a.at("limit_indices")), strides);
       }},
      {"concatenate", [](const Arrays& x, const json& a) { return concatenate(x, a.at("axis").get<int>()); }},
      {"stack", [](const Arrays& x, const json& a) { return stack(x, a.at("axis").get<int>()); }},
      {"transpose", [](const Arrays& x, const json& a) { return transpose(x[0], axes_of(a.at("axes"))); }},
      {"broadcast_to", [](const Arrays& x, const json& a) { return broadcast_to(x[0], shape_of(a.at("shape"))); }},
      {"reshape", [](const Arrays& x, const json& a) { return reshape(x[0], shape_of(a.at("shape"))); }},
      {"astype",
       [](const Arrays& x, const json& a) { return astype(x[0], dtype_named(a.at("dtype").get<std::string>())); }},
  };
  return all;
}

void check_case(const Entry& entry, const json& golden_case) {
  INFO(golden_case.at("name").get<std::string>());
  const golden::Measured measured("ops." + entry.op);
  const json attrs = golden_case.value("attrs", json::object());
  Arrays inputs;
  for (const json& input : golden_case.at("inputs")) inputs.push_back(array_of(input));
  compare(entry.function(inputs, attrs), golden_case.at("output"), entry.forward, 1e-37);
  if (!golden_case.contains("grads")) return;

  const json& grads = golden_case.at("grads");
  std::vector<std::size_t> varied;
  Arrays primals;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (grads[i].is_null()) continue;
    varied.push_back(i);
    primals.push_back(inputs[i]);
  }
  if (varied.empty()) return;
  const auto function = [&](const Arrays& values) {
    Arrays all = inputs;
    for (std::size_t i = 0; i < varied.size(); ++i) all[varied[i]] = values[i];
    return entry.function(all, attrs);
  };
  const auto [output, pull_back] = vjp(function, primals);
  compare(output, golden_case.at("output"), entry.forward, 1e-37);
  const Arrays gradients = std::get<0>(pull_back(array_of(golden_case.at("cotangent"))));
  for (std::size_t i = 0; i < varied.size(); ++i) {
    INFO("gradient of input ", varied[i]);
    compare(gradients[i], grads[varied[i]], entry.gradient, entry.gradient == 0 ? 0.0 : entry.cancelled);
  }
}

}  // namespace

TEST_CASE("ops give JAX's values and vector-Jacobian products") {
  for (const Entry& entry : entries()) {
    for (const json& golden_case : golden::load("ops.json").where("op", entry.op)) check_case(entry, golden_case);
  }
}

TEST_CASE("every op of the golden file is compared") {
  // Convolution has a file of its own, the dtype tables are in elementwise_test.cpp and reduce_test.cpp.
  std::set<std::string> known{"conv_general_dilated", "floor_divide", "promote_types",     "binary_dtype",
                              "scalar_dtype",         "unary_dtype",  "scalar_array_dtype"};
  for (const Entry& entry : entries()) known.insert(entry.op);
  for (const json& golden_case : golden::load("ops.json").cases()) {
    const auto op = golden_case.at("op").get<std::string>();
    CHECK_MESSAGE(known.contains(op), op, " is not compared");
  }
}
