#include <linseed/core/array.hpp>

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>

#include "support.hpp"

using namespace linseed;
using support::error_of;

TEST_CASE("scalars take JAX's default dtypes") {
  CHECK(describe(Array(1.0)) == "float32[]");
  CHECK(describe(Array(1.0F)) == "float32[]");
  CHECK(describe(Array(1)) == "int32[]");
  CHECK(describe(Array(std::int64_t{1})) == "int32[]");
  CHECK(describe(Array(1U)) == "uint32[]");
  CHECK(describe(Array(std::uint8_t{1})) == "uint8[]");
  CHECK(describe(Array(true)) == "bool[]");
  CHECK(describe(Array(1, float64)) == "float64[]");
  CHECK(Array(1.5, float64).item<double>() == 1.5);
  CHECK(Array(0.1).item<double>() == static_cast<double>(0.1F));
  CHECK(Array(2.9, int32).item<int>() == 2);
  CHECK(Array(3, bool_).item<bool>());
}

TEST_CASE("nested braces give rows") {
  const Array x{{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}};
  CHECK(describe(x) == "float32[2,3]");
  CHECK(x.rank() == 2);
  CHECK(x.size() == 6);
  CHECK(x.extent(0) == 2);
  CHECK(x.extent(-1) == 3);
  const auto data = x.data<float>();
  CHECK(std::vector<float>(data.begin(), data.end()) == std::vector<float>{1, 2, 3, 4, 5, 6});
  CHECK(describe(Array{1, 2}) == "int32[2]");
  CHECK(describe(Array{true, false}) == "bool[2]");
  CHECK(describe(Array({1, 2}, uint8)) == "uint8[2]");
  CHECK(describe(Array{{{1.0, 2.0}}, {{3.0, 4.0}}, {{5.0, 6.0}}}) == "float32[3,1,2]");
  CHECK(describe(Array{{{{1.0}, {2.0}}}}) == "float32[1,1,2,1]");
  CHECK(Array{0.1, 0.2}.dtype() == float32);
  CHECK(Array({0.1, 0.2}, float64).dtype() == float64);
}

TEST_CASE("ragged braces are refused") {
  CHECK(error_of<ShapeError>([] { return Array{{1.0, 2.0}, {3.0}}; }) ==
        "[Array] Nested braces are ragged.\n"
        "  got: a row of 1 elements\n"
        "  expected: 2 elements");
  CHECK(error_of<ShapeError>([] { return Array{{{1, 2}, {3, 4}}, {{5, 6}}}; }) ==
        "[Array] Nested braces are ragged.\n"
        "  got: a row of 1 elements\n"
        "  expected: 2 elements");
}

TEST_CASE("from copies row-major values into a shape") {
  const std::vector<int> values = {1, 2, 3, 4, 5, 6};
  const Array x = Array::from(values, {3, 2});
  CHECK(describe(x) == "int32[3,2]");
  CHECK(x.data<int>().data() != values.data());
  CHECK(identical(x, Array{{1, 2}, {3, 4}, {5, 6}}));
  CHECK(Array::from(std::vector<std::uint8_t>{}, {0, 4}).size() == 0);
  CHECK(error_of<ShapeError>([&] { return Array::from(values, {4}); }) ==
        "[Array] The number of values does not fit the shape.\n"
        "  got: 6 values\n"
        "  expected: 4 for (4,)");
  CHECK(error_of<ShapeError>([&] { return Array::from(values, {-1, -6}); }) ==
        "[Array] An extent is negative.\n  got: (-1, -6)");
  const std::int64_t huge = std::int64_t{1} << 31;
  CHECK(error_of<ShapeError>([&] { return zeros({huge, huge}); }) ==
        "[Array] The Array is too large to address.\n  got: (2147483648, 2147483648)");
}

TEST_CASE("adopt shares a buffer without copying it") {
  const auto values = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3});
  const Array x = Array::adopt(std::shared_ptr<const void>(values, values->data()), {3}, float32);
  CHECK(x.data<float>().data() == values->data());
  CHECK(values.use_count() == 2);
}

TEST_CASE("copies share elements") {
  const Array x{1.0, 2.0};
  const Array y = x;  // NOLINT: a copy is what is tested
  CHECK(x.data<float>().data() == y.data<float>().data());
  const Array column = reshape(x, {2, 1});
  CHECK(column.data<float>().data() == x.data<float>().data());
}

TEST_CASE("item and bool take a single element of any shape") {
  CHECK(Array{{7}}.item<int>() == 7);
  CHECK(Array{{7}}.item<float>() == 7.0F);
  CHECK(Array(2.75).item<int>() == 2);
  CHECK(Array(2.75).item<double>() == 2.75);
  CHECK(Array((std::int64_t{1} << 60) + 1, int64).item<std::int64_t>() == (std::int64_t{1} << 60) + 1);
  CHECK(static_cast<bool>(Array(0.5)));
  CHECK(!Array(0));
  CHECK(static_cast<bool>(Array(std::numeric_limits<double>::quiet_NaN())));
  CHECK(error_of<ShapeError>([] { return Array{1, 2}.item<int>(); }) ==
        "[Array::item] Only an Array of one element converts to a number.\n  got: int32[2]");
  CHECK(error_of<ShapeError>([] { return static_cast<bool>(Array{1.0, 2.0}); }) ==
        "[Array::item] Only an Array of one element converts to a number.\n  got: float32[2]");
  CHECK(error_of<ShapeError>([] { return zeros({0}).item<float>(); }) ==
        "[Array::item] Only an Array of one element converts to a number.\n  got: float32[0]");
}

TEST_CASE("elements are read as what they are") {
  const Array x{1.0, 2.0};
  CHECK(error_of<DTypeError>([&] { return x.data<double>().size(); }) ==
        "[Array] Elements are read as another type.\n"
        "  got: an Array of float32\n"
        "  expected: float64\n"
        "  hint: convert with astype first");
  CHECK(error_of<ShapeError>([&] { return x.extent(1); }) ==
        "[Array::extent] Axis is out of range.\n"
        "  got: axis 1 of an Array with 1 axes\n"
        "  expected: -1 to 0");
}

TEST_CASE("an empty Array says so when it is used") {
  const std::string text =
      "[Array] An empty Array was used.\n"
      "  hint: it was default-constructed or moved from; a moved-in state must be replaced by the result";
  const Array empty;
  CHECK(!empty.defined());
  CHECK(!empty.has_value());
  CHECK(error_of<ValueError>([&] { return empty.shape(); }) == text);
  CHECK(error_of<ValueError>([&] { return empty.dtype(); }) == text);
  CHECK(error_of<ValueError>([&] { return empty + 1; }) == text);
  CHECK(error_of<ValueError>([&] { return 1 + empty; }) == text);
  Array x{1.0};
  const Array y = std::move(x);
  CHECK(y.defined());
  CHECK(error_of<ValueError>([&] { return x.item<float>(); }) == text);  // NOLINT: used after the move on purpose
}

TEST_CASE("identical compares shape, dtype and bits") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(identical(Array{1.0, nan}, Array{1.0, nan}));
  CHECK(!identical(Array{1.0, 2.0}, Array{1.0, 3.0}));
  CHECK(!identical(Array(0.0), Array(-0.0)));
  CHECK(!identical(Array{1.0}, Array{{1.0}}));
  CHECK(!identical(Array(1.0), Array(1)));
  CHECK(identical(zeros({0, 2}), zeros({0, 2})));
  CHECK(!identical(zeros({0, 2}), zeros({2, 0})));
}

TEST_CASE("a number takes the dtype of the Array beside it") {
  const ArrayLike whole = 3;
  CHECK(whole.is_number());
  CHECK(whole.array().dtype() == int32);
  CHECK(whole.beside(float64).dtype() == float64);
  CHECK(whole.beside(uint8).dtype() == uint8);
  CHECK(whole.beside(bool_).dtype() == int32);
  CHECK(whole.whole_number() == 3);
  const ArrayLike real = 2.5;
  CHECK(real.array().dtype() == float32);
  CHECK(real.beside(float64).item<double>() == 2.5);
  CHECK(real.beside(int32).dtype() == float32);
  CHECK(!real.whole_number());
  const ArrayLike array = Array({1, 2}, uint8);
  CHECK(!array.is_number());
  CHECK(array.beside(float32).dtype() == uint8);
  CHECK(describe(Array({1, 2}, uint8) * 2) == "uint8[2]");
  CHECK(describe(Array({1, 2}, uint8) * 2.0) == "float32[2]");
  CHECK(describe(Array({1.0, 2.0}, float64) * 2) == "float64[2]");
  CHECK(describe(Array{1.0, 2.0} * 2.0) == "float32[2]");
  CHECK(describe(Array{true, false} + 1) == "int32[2]");
}
