#include <linseed/ops/elementwise.hpp>

#include <functional>
#include <limits>
#include <map>

#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>

#include "golden/golden.hpp"
#include "ops/expect.hpp"

using namespace linseed;
using golden::json;
using tests::error_text;
using tests::expect;
using tests::expect_near;

namespace {
constexpr double NaN = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();
using Binary = std::function<Array(const ArrayLike&, const ArrayLike&)>;
}  // namespace

// ---- dtypes ----

namespace {

const std::map<std::string, Binary>& binary_functions() {
  static const std::map<std::string, Binary> all{
      {"add", [](const auto& a, const auto& b) { return a + b; }},
      {"subtract", [](const auto& a, const auto& b) { return a - b; }},
      {"multiply", [](const auto& a, const auto& b) { return a * b; }},
      {"divide", [](const auto& a, const auto& b) { return a / b; }},
      {"remainder", [](const auto& a, const auto& b) { return mod(a, b); }},
      {"power", [](const auto& a, const auto& b) { return pow(a, b); }},
      {"maximum", [](const auto& a, const auto& b) { return maximum(a, b); }},
      {"less", [](const auto& a, const auto& b) { return a < b; }},
      {"where", [](const auto& a, const auto& b) { return where(Array(true), a, b); }},
      {"matmul",
       [](const auto& a, const auto& b) { return matmul(reshape(a.array(), {1, 1}), reshape(b.array(), {1, 1})); }},
  };
  return all;
}

Array one_of(const std::string& dtype) {
  for (const DType candidate : {bool_, uint8, int32, uint32, int64, float32, float64}) {
    if (to_string(candidate) == dtype) return Array(1, candidate);
  }
  FAIL("no dtype " << dtype);
  return {};
}

std::string dtype_of_result(const std::function<Array()>& function) {
  try {
    return std::string(to_string(function().dtype()));
  } catch (const DTypeError&) {
    return "null";
  }
}

}  // namespace

// JAX's rules with 64-bit types. linseed departs from them in one thing, which `astype`'s neighbours in the header say:
// a number or a function of the calculus turns integers into float32, int64 too, as JAX does while it has no 64-bit
// types.
TEST_CASE("two Arrays meet in JAX's dtype") {
  for (const auto& [name, function] : binary_functions()) {
    const json& table = golden::load("ops.json")["dtype/" + name + "/x64_on"];
    const json& dtypes = table.at("dtypes");
    for (std::size_t i = 0; i < dtypes.size(); ++i) {
      for (std::size_t j = 0; j < dtypes.size(); ++j) {
        const Array a = one_of(dtypes[i]);
        const Array b = one_of(dtypes[j]);
        const json& cell = table.at("table")[i][j];
        std::string expected = cell.is_null() ? "null" : cell.get<std::string>();
        if (name == "divide" && !is_floating(a.dtype()) && !is_floating(b.dtype())) expected = "float32";
        INFO(name, " of ", describe(a), " and ", describe(b));
        CHECK(dtype_of_result([&] { return function(a, b); }) == expected);
        if (name == "add") CHECK(to_string(promote(a.dtype(), b.dtype())) == expected);
      }
    }
  }
}

TEST_CASE("a C++ number takes the dtype of the Array beside it") {
  const std::map<std::string, ArrayLike> numbers{{"bool", true}, {"int", 1}, {"float", 1.0}};
  for (const auto& [name, function] : binary_functions()) {
    if (name == "where" || name == "matmul") continue;
    for (const std::string side : {"left", "right"}) {
      const auto table_of = [&](const std::string& x64) -> const json& {
        return golden::load("ops.json")["dtype/" + name + "/scalar_" + side + "/x64_" + x64];
      };
      const auto check = [&](const json& table, bool wide_only) {
        const json& dtypes = table.at("dtypes");
        for (std::size_t i = 0; i < dtypes.size(); ++i) {
          const Array x = one_of(dtypes[i]);
          if (wide_only && x.dtype() != int64 && x.dtype() != float64) continue;
          for (std::size_t k = 0; k < 3; ++k) {
            const ArrayLike& number = numbers.at(table.at("scalars")[k].get<std::string>());
            const json& cell = table.at("table")[i][k];
            std::string expected = cell.is_null() ? "null" : cell.get<std::string>();
            if (x.dtype() == int64 && expected == "float64") expected = "float32";
            INFO(name, " of ", describe(x), " and ", table.at("scalars")[k].get<std::string>(), " on the ", side);
            CHECK(dtype_of_result([&] { return side == "left" ? function(number, x) : function(x, number); }) ==
                  expected);
          }
        }
      };
      check(table_of("off"), false);
      check(table_of("on"), true);
    }
  }
}

TEST_CASE("functions of one Array keep or change its dtype as in JAX") {
  const std::map<std::string, std::function<Array(const Array&)>> functions{
      {"exp", [](const Array& x) { return exp(x); }},       {"sqrt", [](const Array& x) { return sqrt(x); }},
      {"abs", [](const Array& x) { return abs(x); }},       {"negative", [](const Array& x) { return -x; }},
      {"sign", [](const Array& x) { return sign(x); }},     {"square", [](const Array& x) { return square(x); }},
      {"sum", [](const Array& x) { return sum(x); }},       {"mean", [](const Array& x) { return mean(x); }},
      {"var", [](const Array& x) { return var(x); }},       {"max", [](const Array& x) { return max(x); }},
      {"argmax", [](const Array& x) { return argmax(x); }}, {"prod", [](const Array& x) { return prod(x); }},
  };
  const json& table = golden::load("ops.json")["dtype/unary/x64_off"];
  for (std::size_t i = 0; i < table.at("functions").size(); ++i) {
    const auto name = table.at("functions")[i].get<std::string>();
    if (name == "cumsum") continue;  // not offered
    for (std::size_t k = 0; k < table.at("dtypes").size(); ++k) {
      const Array x = reshape(one_of(table.at("dtypes")[k]), {1});
      const json& cell = table.at("table")[i][k];
      INFO(name, " of ", describe(x));
      CHECK(dtype_of_result([&] { return functions.at(name)(x); }) ==
            (cell.is_null() ? "null" : cell.get<std::string>()));
    }
    for (const DType wide : {int64, float64}) {
      const Array x(std::initializer_list<int>{1}, wide);
      const bool integral = name == "abs" || name == "negative" || name == "sign" || name == "square" ||
                            name == "sum" || name == "max" || name == "prod";
      const DType expected = name == "argmax" ? int32 : wide == int64 && !integral ? float32 : wide;
      CHECK(functions.at(name)(x).dtype() == expected);
    }
  }
}

TEST_CASE("numbers beside Arrays") {
  expect(Array{1.0, 2.0} * 2.0, Array{2.0, 4.0});
  expect(Array({1.0, 2.0}, float64) * 0.1, Array({0.1, 0.2}, float64));
  expect(Array{1, 2} * 2.0, Array{2.0, 4.0});
  expect(Array({5, 7}, uint32) - 1, Array({4, 6}, uint32));
  expect(Array({0}, uint32) - 1, Array({4294967295}, uint32));
  expect(1 - Array({5}, uint8), Array({252}, uint8));
  expect(Array{true, false} + true, Array{true, true});
  expect(Array{true, false} + 1, Array{2, 1});
  expect(2 / Array{4, 5}, Array{0.5, 0.4});
  expect(1 + linseed::exp(0), Array(2.0));
  // The number is rounded once, from double.
  expect(Array{1.0} * (1 - 0.999), Array{0.0010000000000000009});
}

// ---- values ----

TEST_CASE("broadcasting follows NumPy") {
  const auto shape_of = [](const Shape& a, const Shape& b) {
    const Shape shape = (zeros(a) + zeros(b)).shape();
    CHECK((zeros(b) * zeros(a)).shape() == shape);
    CHECK((zeros(a) < zeros(b)).shape() == shape);
    CHECK(where(zeros(a) == 0, zeros(b), 1).shape() == shape);
    CHECK(where(Array(true), zeros(a), zeros(b)).shape() == shape);
    return to_string(shape);
  };
  CHECK(shape_of({}, {}) == "()");
  CHECK(shape_of({}, {1}) == "(1,)");
  CHECK(shape_of({}, {2, 0}) == "(2, 0)");
  CHECK(shape_of({3}, {2, 1}) == "(2, 3)");
  CHECK(shape_of({1}, {0}) == "(0,)");
  CHECK(shape_of({4, 1, 0}, {3, 1}) == "(4, 3, 0)");
  CHECK(shape_of({7, 1, 5}, {1, 6, 1}) == "(7, 6, 5)");
  CHECK(shape_of({1, 1, 1, 1, 1, 1, 1, 1}, {2}) == "(1, 1, 1, 1, 1, 1, 1, 2)");
  expect(Array{{1}, {2}} - Array{10, 20, 30}, Array{{-9, -19, -29}, {-8, -18, -28}});
}

TEST_CASE("integers wrap") {
  constexpr std::int64_t big = std::numeric_limits<std::int64_t>::max();
  expect(Array(2147483647) + 1, Array(-2147483647 - 1));
  expect(-Array(-2147483647 - 1), Array(-2147483647 - 1));
  expect(abs(Array(-2147483647 - 1)), Array(-2147483647 - 1));
  expect(Array({200, 255}, uint8) + Array({100, 1}, uint8), Array({44, 0}, uint8));
  expect(Array({100}, uint8) * 3, Array({44}, uint8));
  expect(-Array({1, 0}, uint8), Array({255, 0}, uint8));
  expect(Array(big, int64) + 1, Array(-big - 1, int64));
  expect(Array(big, int64) * 2, Array(-2, int64));
  expect(square(Array({65536}, uint32)), Array({0}, uint32));
}

TEST_CASE("division and remainder by zero") {
  expect(Array{1.0, -1.0, 0.0} / 0.0, Array{inf, -inf, NaN});
  expect(Array{1, -1, 0} / Array{0, 0, 0}, Array{inf, -inf, NaN});
  expect(mod(Array{5, -5, 0}, Array{0, 0, 0}), Array{5, -5, 0});  // as XLA: the dividend
  expect(mod(Array({7}, uint8), 0), Array({7}, uint8));
  expect(mod(Array{5.0, inf, 5.0}, Array{0.0, 2.0, inf}), Array{NaN, NaN, 5.0});
  expect(mod(Array{-7, 7, -2147483647 - 1}, Array{3, -3, -1}), Array{2, -2, 0});
  expect(mod(Array{-0.5, 0.5, -4.0}, Array{1.0, -1.0, 2.0}), Array{0.5, -0.5, 0.0});
  expect(mod(Array{true, true}, Array{true, true}), Array{0, 0});
}

TEST_CASE("powers") {
  expect(pow(Array{2, 3, -3}, 3), Array{8, 27, -27});
  expect(pow(Array{2, 1, -1, 0}, Array{-1, -2, 3, 0}), Array{0, 1, -1, 1});
  expect(pow(Array({3}, uint8), 6), Array({729 % 256}, uint8));
  expect(pow(Array{2.0, -2.0, 0.0}, 0), Array{1.0, 1.0, 1.0});
  expect(pow(Array{2.0, -4.0, 0.0}, -1), Array{0.5, -0.25, inf});
  expect(pow(Array{0.0, -1.0, NaN}, 0.0), Array{1.0, 1.0, 1.0});
  expect(pow(2, Array{0.0, 1.0, 3.0}), Array{1.0, 2.0, 8.0});
  expect(pow(Array{true, false}, Array{false, true}), Array{1, 0});
  expect_near(pow(Array{2.0, 9.0}, 0.5), Array{1.4142135623730951, 3.0}, 1e-7);
}

TEST_CASE("comparisons") {
  const Array a{1.0, 2.0, NaN, inf};
  const Array b{1.0, 1.0, NaN, -inf};
  expect(a == b, Array{true, false, false, false});
  expect(a != b, Array{false, true, true, true});
  expect(a < b, Array{false, false, false, false});
  expect(a <= b, Array{true, false, false, false});
  expect(a > b, Array{false, true, false, true});
  expect(a >= b, Array{true, true, false, true});
  expect(Array({255}, uint8) > Array{-1}, Array{true});
  expect(Array({4294967295}, uint32) > Array{-1}, Array{true});
  expect(Array{true, false} < Array{true, true}, Array{false, true});
  // Not rounded to double on the way.
  const std::int64_t large = 9007199254740993;
  expect(Array(large, int64) == Array(large - 1, int64), Array(false));
}

TEST_CASE("logic takes anything that is not zero for true") {
  expect(!Array{0, 2, -1}, Array{true, false, false});
  expect(Array{0.0, 0.5, NaN} && Array{1, 1, 1}, Array{false, true, true});
  expect(Array{0.0, 0.5} || Array{false, false}, Array{false, true});
}

TEST_CASE("NaN wins, and ties are shared") {
  expect(maximum(Array{NaN, 1.0, -inf}, Array{1.0, NaN, inf}), Array{NaN, NaN, inf});
  expect(minimum(Array{NaN, 1.0, -inf}, Array{1.0, NaN, inf}), Array{NaN, NaN, -inf});
  expect(clip(Array{NaN, -2.0, 0.5, 7.0}, -1, 1), Array{NaN, -1.0, 0.5, 1.0});
  expect(clip(Array{-2, 5}, 0, 3), Array{0, 3});
  expect(clip(Array{-2, 5}, 0.5, 3), Array{0.5, 3.0});
  expect(relu(Array{NaN, -1.0, 0.0, 2.0}), Array{NaN, 0.0, 0.0, 2.0});
  expect(sign(Array{NaN, -3.0, 0.0, 2.0}), Array{NaN, -1.0, 0.0, 1.0});

  const auto slope = [](const std::function<Array(const Array&)>& f, const Array& x) {
    return grad([&](const Array& y) { return sum(f(y)); })(x);
  };
  const Array x{-1.0, 0.0, 1.0};
  expect(slope([](const Array& y) { return maximum(y, 0); }, x), Array{0.0, 0.5, 1.0});
  expect(slope([](const Array& y) { return minimum(0, y); }, x), Array{1.0, 0.5, 0.0});
  expect(slope([](const Array& y) { return clip(y, -1, 1); }, x), Array{0.5, 1.0, 0.5});
  expect(slope([](const Array& y) { return relu(y); }, x), Array{0.0, 0.0, 1.0});
  expect(slope([](const Array& y) { return abs(y); }, x), Array{-1.0, 1.0, 1.0});
  expect(slope([](const Array& y) { return sign(y); }, x), Array{0.0, 0.0, 0.0});
  expect(slope([](const Array& y) { return floor(y) + ceil(y) + round(y); }, x), Array{0.0, 0.0, 0.0});
  expect(slope([](const Array& y) { return where(y > 0, y, 2 * y); }, x), Array{2.0, 2.0, 1.0});
  expect(slope([](const Array& y) { return where(y > 0, sqrt(y), 0); }, Array{1.0, -1.0}), Array{0.5, NaN});  // as JAX
  expect(slope([](const Array& y) { return y * stop_gradient(y); }, x), x);
  expect(slope([](const Array& y) { return astype(astype(y, int32), float32); }, x), Array{0.0, 0.0, 0.0});
}

TEST_CASE("functions of one element, at special places") {
  expect(exp(Array{0.0, -inf, inf, NaN}), Array{1.0, 0.0, inf, NaN});
  expect(expm1(Array{0.0, -inf, inf}), Array{0.0, -1.0, inf});
  expect(log(Array{1.0, 0.0, inf, -1.0}), Array{0.0, -inf, inf, NaN});
  expect(log1p(Array{0.0, -1.0, inf, -2.0}), Array{0.0, -inf, inf, NaN});
  expect(sqrt(Array{4.0, 0.0, inf, -1.0}), Array{2.0, 0.0, inf, NaN});
  expect(rsqrt(Array{4.0, 0.0, inf, -1.0}), Array{0.5, inf, 0.0, NaN});
  expect(square(Array{-3.0, inf}), Array{9.0, inf});
  expect(sin(Array{0.0, inf}), Array{0.0, NaN});
  expect(cos(Array{0.0, inf}), Array{1.0, NaN});
  expect(tanh(Array{0.0, inf, -inf, NaN}), Array{0.0, 1.0, -1.0, NaN});
  expect(sigmoid(Array{0.0, inf, -inf, 200.0, -200.0, NaN}), Array{0.5, 1.0, 0.0, 1.0, 0.0, NaN});
  expect(erf(Array{0.0, inf, -inf, NaN}), Array{0.0, 1.0, -1.0, NaN});
  expect(erfc(Array{0.0, inf, -inf, NaN}), Array{1.0, 0.0, 2.0, NaN});
  // erfc(5) = 1.5374597944280349e-12, of which 1 - erf(5) leaves nothing in float32.
  CHECK(std::abs(erfc(Array(5.0)).item<double>() / 1.5374597944280349e-12 - 1) < 1e-7);
  expect(erf_inv(Array{0.0, 1.0, -1.0, 1.5}), Array{0.0, inf, -inf, NaN});
  expect(floor(Array{-1.5, 2.5, inf}), Array{-2.0, 2.0, inf});
  expect(ceil(Array{-1.5, 2.5, NaN}), Array{-1.0, 3.0, NaN});
  expect(round(Array{0.5, 1.5, 2.5, -0.5, -1.5, 2.4}), Array{0.0, 2.0, 2.0, 0.0, -2.0, 2.0});
  expect(isfinite(Array{1.0, NaN, inf, -inf}), Array{true, false, false, false});
  expect(isnan(Array{1.0, NaN, inf}), Array{false, true, false});
  expect(isfinite(Array{1, 2}), Array{true, true});
  expect(isnan(Array{1, 2}), Array{false, false});
}

TEST_CASE("functions of one element, in double") {
  const double tolerance = 1e-15;  // relative; values from tables
  const auto both = [&](const Array& got, double value) { expect_near(got, Array(value, float64), tolerance); };
  const Array half(0.5, float64);
  both(exp(half), 1.6487212707001282);
  both(expm1(half), 0.6487212707001282);
  both(log(half), -0.6931471805599453);
  both(log1p(half), 0.4054651081081644);
  both(rsqrt(half), 1.4142135623730951);
  both(sin(half), 0.479425538604203);
  both(cos(half), 0.8775825618903728);
  both(tanh(half), 0.46211715726000973);
  both(sigmoid(half), 0.6224593312018546);
  both(erf(half), 0.5204998778130465);
  both(erfc(half), 0.4795001221869535);
  both(erf_inv(half), 0.4769362762044699);
}

TEST_CASE("where takes elements and dtypes of both sides") {
  expect(where(Array{true, false}, 1, Array{5, 6}), Array{1, 6});
  expect(where(Array{true, false}, 1.5, Array{5, 6}), Array{1.5, 6.0});
  expect(where(Array{1, 0}, Array{1, 2}, Array({3.0, 4.0}, float64)), Array({1.0, 4.0}, float64));
  expect(where(Array{{true}, {false}}, Array{1, 2}, Array(7)), Array{{1, 2}, {7, 7}});
  expect(where(Array(true), 1, 2.0), Array(1.0));
}

TEST_CASE("astype saturates") {
  const Array x({-1e30, -2147483649.0, -1.9, 0.4, 255.9, 256.0, 4294967296.0, 1e30, inf, -inf, NaN}, float64);
  expect(astype(x, uint8), Array({0, 0, 0, 0, 255, 255, 255, 255, 255, 0, 0}, uint8));
  constexpr std::int64_t low = -2147483648LL, high = 2147483647LL;
  expect(astype(x, int32), Array({low, low, -1L, 0L, 255L, 256L, high, high, high, low, 0L}, int32));
  expect(astype(x, uint32), Array({0L, 0L, 0L, 0L, 255L, 256L, 4294967295L, 4294967295L, 4294967295L, 0L, 0L}, uint32));
  expect(astype(x, bool_), Array{true, true, true, true, true, true, true, true, true, true, true});
  expect(astype(Array{256, -1}, uint8), Array({0, 255}, uint8));  // between integers the low bits
  const Array same = astype(x, float64);
  CHECK(same.data<double>().data() == x.data<double>().data());
}

// ---- errors ----

TEST_CASE("elementwise ops say what does not fit") {
  CHECK(error_text<ShapeError>([] { return zeros({2, 3}) + zeros({4}); }) ==
        "[add] Shapes do not broadcast.\n"
        "  got: (2, 3) and (4,)\n"
        "  expected: equal extents, or 1, counted from the last axis");
  CHECK(error_text<ShapeError>([] { return zeros({0}) < zeros({2}); }) ==
        "[less] Shapes do not broadcast.\n"
        "  got: (0,) and (2,)\n"
        "  expected: equal extents, or 1, counted from the last axis");
  CHECK(error_text<ShapeError>([] { return where(zeros({2}) > 0, zeros({3}), 0); }) ==
        "[where] Shapes do not broadcast.\n"
        "  got: (2,) and (3,)\n"
        "  expected: equal extents, or 1, counted from the last axis");
  CHECK(error_text<DTypeError>([] { return Array{true} - Array{true}; }) ==
        "[-] bool Arrays are not subtracted.\n"
        "  hint: use != for exclusive or");
  CHECK(error_text<DTypeError>([] { return -Array{true}; }) ==
        "[-] bool Arrays have no negative.\n"
        "  hint: use !");
  CHECK(error_text<DTypeError>([] { return sign(Array{true}); }) ==
        "[sign] bool Arrays have no sign.\n"
        "  hint: use astype");
  CHECK(error_text<ValueError>([] { return Array() + 1; }) ==
        "[Array] An empty Array was used.\n"
        "  hint: it was default-constructed or moved from; a moved-in state must be replaced by the result");
}
