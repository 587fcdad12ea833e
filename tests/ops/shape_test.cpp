#include <linseed/ops/shape.hpp>

#include <cstdint>
#include <limits>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/transform/grad.hpp>

#include "ops/expect.hpp"

using namespace linseed;
using tests::error_text;
using tests::expect;

namespace {
constexpr double NaN = std::numeric_limits<double>::quiet_NaN();
const Array six{{1, 2, 3}, {4, 5, 6}};

std::vector<Array> examples() {  // one per element size
  return {six, astype(six, float64), astype(six, uint8), astype(six, float32), six > 3};
}
}  // namespace

TEST_CASE("reshape") {
  expect(reshape(six, {3, 2}), Array{{1, 2}, {3, 4}, {5, 6}});
  expect(reshape(six, {-1}), ravel(six));
  expect(reshape(six, {2, -1, 1}), Array{{{1}, {2}, {3}}, {{4}, {5}, {6}}});
  expect(reshape(Array{{7}}, {}), Array(7));
  expect(ravel(Array(7)), Array{7});
  CHECK(describe(reshape(zeros({0, 3}), {5, 0})) == "float32[5,0]");
  CHECK(describe(reshape(zeros({0, 3}), {-1, 3})) == "float32[0,3]");
  // The buffer is shared.
  const Array turned = reshape(six, {6});
  CHECK(turned.data<std::int32_t>().data() == six.data<std::int32_t>().data());
  CHECK(error_text<ShapeError>([] { return reshape(six, {4, 2}); }) ==
        "[reshape] The number of elements differs.\n  got: (2, 3) to (4, 2)");
  CHECK(error_text<ShapeError>([] { return reshape(six, {-1, -1}); }) ==
        "[reshape] Only one extent may be left open, by -1.\n  got: (-1, -1)");
  CHECK(error_text<ShapeError>([] { return reshape(six, {-2, 3}); }) ==
        "[reshape] Only one extent may be left open, by -1.\n  got: (-2, 3)");
  CHECK(error_text<ShapeError>([] { return reshape(six, {4, -1}); }) ==
        "[reshape] The open extent cannot be deduced.\n  got: (2, 3) to (4, -1)");
  CHECK(error_text<ShapeError>([] { return reshape(zeros({0}), {0, -1}); }) ==
        "[reshape] The open extent cannot be deduced.\n  got: (0,) to (0, -1)");
}

TEST_CASE("transpose and moveaxis") {
  for (const Array& x : examples()) {
    const Array turned{{1, 4}, {2, 5}, {3, 6}};
    expect(transpose(x), x.dtype() == bool_ ? turned > 3 : astype(turned, x.dtype()));
    expect(transpose(x, {0, 1}), x);
    expect(transpose(transpose(x, {-1, 0})), x);
  }
  const Array x = reshape(arange(24), {2, 3, 4});
  CHECK(transpose(x).shape() == Shape{4, 3, 2});
  const Array y = transpose(x, {2, 0, 1});
  CHECK(y.shape() == Shape{4, 2, 3});
  for (int i = 0; i < 24; ++i) {  // y[c, a, b] = x[a, b, c]
    const int c = i / 6, a = i / 3 % 2, b = i % 3;
    CHECK(y.data<std::int32_t>()[i] == (a * 3 + b) * 4 + c);
  }
  expect(moveaxis(x, 2, 0), y);
  expect(moveaxis(y, 0, -1), x);
  expect(moveaxis(x, 1, 1), x);
  CHECK(moveaxis(zeros({2, 3, 0, 5}), -1, 1).shape() == Shape{2, 5, 3, 0});
  expect(transpose(Array(3)), Array(3));
  CHECK(error_text<ShapeError>([] { return transpose(six, {0}); }) ==
        "[transpose] The permutation must name every axis once.\n  got: 1 axes for (2, 3)");
  CHECK(error_text<ShapeError>([] { return transpose(six, {0, 0}); }) == "[transpose] Axis 0 is given twice.");
  CHECK(error_text<ShapeError>([] { return transpose(six, {0, 2}); }) ==
        "[transpose] Axis is out of range.\n  got: axis 2 of an Array with 2 axes\n  expected: -2 to 1");
  CHECK(error_text<ShapeError>([] { return moveaxis(six, 0, 2); }) ==
        "[moveaxis] Axis is out of range.\n  got: axis 2 of an Array with 2 axes\n  expected: -2 to 1");
}

TEST_CASE("broadcast_to") {
  expect(broadcast_to(Array{1, 2}, {3, 2}), Array{{1, 2}, {1, 2}, {1, 2}});
  expect(broadcast_to(Array{{1}, {2}}, {2, 3}), Array{{1, 1, 1}, {2, 2, 2}});
  expect(broadcast_to(Array(5), {2}), Array{5, 5});
  CHECK(describe(broadcast_to(zeros({1, 2}), {0, 2})) == "float32[0,2]");
  CHECK(error_text<ShapeError>([] { return broadcast_to(six, {2, 4}); }) ==
        "[broadcast_to] Shapes do not broadcast.\n  got: (2, 3) and (2, 4)\n"
        "  expected: equal extents, or 1, counted from the last axis");
  CHECK(error_text<ShapeError>([] { return broadcast_to(six, {3}); }) ==
        "[broadcast_to] The Array does not broadcast to the shape.\n  got: (2, 3)\n  expected: (3,)");
  CHECK(error_text<ShapeError>([] { return broadcast_to(six, {2, 1}); }) ==
        "[broadcast_to] The Array does not broadcast to the shape.\n  got: (2, 3)\n  expected: (2, 1)");
}

TEST_CASE("expand_dims and squeeze") {
  CHECK(expand_dims(six, 0).shape() == Shape{1, 2, 3});
  CHECK(expand_dims(six, -1).shape() == Shape{2, 3, 1});
  CHECK(expand_dims(six, {0, 2}).shape() == Shape{1, 2, 1, 3});
  CHECK(expand_dims(six, {-1, -2}).shape() == Shape{2, 3, 1, 1});
  CHECK(expand_dims(Array(1), 0).shape() == Shape{1});
  CHECK(squeeze(zeros({1, 2, 1, 0})).shape() == Shape{2, 0});
  CHECK(squeeze(zeros({1, 2, 1}), -1).shape() == Shape{1, 2});
  CHECK(squeeze(zeros({1, 2, 1}), {0, 2}).shape() == Shape{2});
  CHECK(squeeze(zeros({1, 1})).shape() == Shape{});
  CHECK(error_text<ShapeError>([] { return expand_dims(six, 3); }) ==
        "[expand_dims] Axis is out of range.\n  got: axis 3 of an Array with 3 axes\n  expected: -3 to 2");
  CHECK(error_text<ShapeError>([] { return squeeze(six, 0); }) ==
        "[squeeze] Only axes of extent 1 can be removed.\n  got: axis 0 of (2, 3)");
}

TEST_CASE("concatenate and stack") {
  expect(concatenate({six, Array{{7, 8, 9}}}), Array{{1, 2, 3}, {4, 5, 6}, {7, 8, 9}});
  expect(concatenate({six, Array{{7}, {8}}}, -1), Array{{1, 2, 3, 7}, {4, 5, 6, 8}});
  expect(concatenate({six, zeros({2, 0}, int32), Array{{7}, {8}}}, 1), Array{{1, 2, 3, 7}, {4, 5, 6, 8}});
  expect(concatenate({Array{1, 2}, Array{0.5}}), Array{1.0, 2.0, 0.5});
  expect(concatenate({Array{true}, Array({3}, uint8)}), Array({1, 3}, uint8));
  expect(stack({Array{1, 2}, Array{3, 4}}), Array{{1, 2}, {3, 4}});
  expect(stack({Array{1, 2}, Array{3, 4}}, -1), Array{{1, 3}, {2, 4}});
  expect(stack({Array(1), Array(2)}), Array{1, 2});
  CHECK(error_text<ShapeError>([] { return concatenate({}); }) == "[concatenate] There is nothing to join.");
  CHECK(error_text<ShapeError>([] { return stack({}); }) == "[stack] There is nothing to join.");
  CHECK(error_text<ShapeError>([] { return concatenate({six, Array{{1, 2}}}); }) ==
        "[concatenate] Shapes differ apart from the joined axis.\n  got: (2, 3) and (1, 2) along axis 0");
  CHECK(error_text<ShapeError>([] { return concatenate({six, Array{1, 2, 3}}); }) ==
        "[concatenate] Shapes differ apart from the joined axis.\n  got: (2, 3) and (3,) along axis 0");
  CHECK(error_text<ShapeError>([] { return concatenate({Array(1)}); }) ==
        "[concatenate] Axis is out of range.\n  got: axis 0 of an Array with 0 axes\n  expected: no axis");
  CHECK(error_text<ShapeError>([] { return stack({six, Array{1}}); }) ==
        "[stack] Shapes differ.\n  got: (2, 3) and (1,)");
}

TEST_CASE("slice and slice_axis") {
  const Array x = reshape(arange(20), {4, 5});
  expect(slice(x, {1, 2}, {3, 5}), Array{{7, 8, 9}, {12, 13, 14}});
  expect(slice(x, {0, 0}, {4, 5}, {3, 2}), Array{{0, 2, 4}, {15, 17, 19}});
  expect(slice(x, {1, 1}, {4, 4}, {2, 5}), Array{{6}, {16}});
  CHECK(describe(slice(x, {4, 0}, {4, 5})) == "int32[0,5]");
  expect(slice(Array(3), {}, {}), Array(3));
  expect(slice_axis(x, 1, 1, 3), Array{{1, 2}, {6, 7}, {11, 12}, {16, 17}});
  expect(slice_axis(x, 0, -1, 100), Array{{15, 16, 17, 18, 19}});
  expect(slice_axis(x, -1, 0, 5, 4), Array{{0, 4}, {5, 9}, {10, 14}, {15, 19}});
  CHECK(describe(slice_axis(x, 0, 3, 1)) == "int32[0,5]");
  CHECK(describe(slice_axis(x, 0, -100, -50)) == "int32[0,5]");
  const auto refused = [&](const Shape& starts, const Shape& limits, const Shape& strides = {}) {
    return error_text<ShapeError>([&] { return slice(x, starts, limits, strides); });
  };
  const std::string expected = "\n  expected: 0 <= start <= limit <= extent and a positive stride on every axis";
  CHECK(refused({0, 0}, {4, 6}) ==
        "[slice] The bounds do not fit the Array.\n  got: (0, 0) to (4, 6) by (1, 1) of (4, 5)" + expected);
  CHECK(refused({-1, 0}, {4, 5}) ==
        "[slice] The bounds do not fit the Array.\n  got: (-1, 0) to (4, 5) by (1, 1) of (4, 5)" + expected);
  CHECK(refused({3, 0}, {2, 5}) ==
        "[slice] The bounds do not fit the Array.\n  got: (3, 0) to (2, 5) by (1, 1) of (4, 5)" + expected);
  CHECK(refused({0, 0}, {4, 5}, {1, 0}) ==
        "[slice] The bounds do not fit the Array.\n  got: (0, 0) to (4, 5) by (1, 0) of (4, 5)" + expected);
  CHECK(refused({0}, {4}) ==
        "[slice] The bounds do not fit the Array.\n  got: (0,) to (4,) by (1,) of (4, 5)" + expected);
  CHECK(error_text<ShapeError>([&] { return slice_axis(x, 2, 0, 1); }) ==
        "[slice_axis] Axis is out of range.\n  got: axis 2 of an Array with 2 axes\n  expected: -2 to 1");
  CHECK(error_text<ShapeError>([&] { return slice_axis(x, 0, 0, 4, -1); }) ==
        "[slice] The bounds do not fit the Array.\n  got: (0, 0) to (4, 5) by (-1, 1) of (4, 5)" + expected);
}

TEST_CASE("pad") {
  for (const Array& x : examples()) {
    const Array padded = pad(x, {{1, 0}, {0, 2}}, 1);
    const Array one = astype(Array{1, 1}, x.dtype());
    CHECK(padded.shape() == Shape{3, 5});
    expect(slice(padded, {1, 0}, {3, 3}), x);
    expect(slice(padded, {0, 0}, {1, 2}), reshape(one, {1, 2}));
    expect(slice(padded, {2, 3}, {3, 5}), reshape(one, {1, 2}));
  }
  expect(pad(Array{1, 2, 3}, {{-1, 2}}), Array{2, 3, 0, 0});
  expect(pad(Array{1, 2, 3}, {{2, -2}}, 9), Array{9, 9, 1});
  expect(pad(Array{1, 2, 3}, {{-2, -1}}), zeros({0}, int32));
  expect(pad(Array{1, 2}, {{0, 1}}, 2.9), Array{1, 2, 2});  // in the dtype of x
  expect(pad(zeros({0}), {{1, 1}}, 5.0), Array{5.0, 5.0});
  expect(pad_interior(Array{1, 2, 3}, {1}, {0}, {2}, 7), Array{7, 1, 7, 7, 2, 7, 7, 3});
  expect(pad_interior(Array{1, 2, 3}, {-1}, {-2}, {1}), Array{0, 2});
  expect(pad_interior(zeros({0}), {1}, {1}, {3}, 2.0), Array{2.0, 2.0});
  expect(pad_interior(Array{4}, {0}, {0}, {3}), Array{4});
  CHECK(error_text<ShapeError>([] { return pad(six, {{-2, -1}, {0, 0}}); }) ==
        "[pad] Negative padding cuts off more than there is.\n  got: axis 0 of (2, 3) padded by (-2, -1)");
  CHECK(error_text<ShapeError>([] { return pad(six, {{1, 1}}); }) ==
        "[pad] There must be one width per axis.\n  got: 1 widths for (2, 3)");
  CHECK(error_text<ShapeError>([] { return pad(six, {{1, 1}, {0, 0}}, Array{1, 2}); }) ==
        "[pad] The padding value must be a scalar.\n  got: int32[2]");
  CHECK(error_text<ShapeError>([] { return pad_interior(six, {0, 0}, {0, 0}, {0, -1}); }) ==
        "[pad] Interior padding cannot be negative.\n  got: (0, -1)");
}

TEST_CASE("flip") {
  for (const Array& x : examples()) expect(flip(flip(x, 0), {0}), x);
  expect(flip(six, 0), Array{{4, 5, 6}, {1, 2, 3}});
  expect(flip(six, -1), Array{{3, 2, 1}, {6, 5, 4}});
  expect(flip(six), Array{{6, 5, 4}, {3, 2, 1}});
  expect(flip(zeros({0, 2}), 0), zeros({0, 2}));
  CHECK(error_text<ShapeError>([] { return flip(six, 5); }) ==
        "[flip] Axis is out of range.\n  got: axis 5 of an Array with 2 axes\n  expected: -2 to 1");
}

TEST_CASE("take fills where there is nothing to take") {
  const Array x{{1.0, 2.0}, {3.0, 4.0}, {5.0, 6.0}};
  expect(take(x, Array{2, 0, -1, -3}), Array{{5.0, 6.0}, {1.0, 2.0}, {5.0, 6.0}, {1.0, 2.0}});
  expect(take(x, Array{3, -4}), Array{{NaN, NaN}, {NaN, NaN}});
  expect(take(x, Array(1), 1), Array{2.0, 4.0, 6.0});
  expect(take(x, Array{{0, 1}, {1, 0}}, -1),
         Array{{{1.0, 2.0}, {2.0, 1.0}}, {{3.0, 4.0}, {4.0, 3.0}}, {{5.0, 6.0}, {6.0, 5.0}}});
  expect(take(astype(x, int32), Array{9}), full({1, 2}, Array(-2147483647 - 1)));
  expect(take(astype(x, uint8), Array{9}), zeros({1, 2}, uint8));
  expect(take(x > 2, Array{9}), zeros({1, 2}, bool_));
  expect(take(zeros({0}), Array{0}), Array{NaN});
  for (const DType dtype : {uint8, int32, uint32, int64}) expect(take(x, Array({1}, dtype)), Array{{3.0, 4.0}});
  expect(take_along_axis(x, Array{{1}, {0}, {-1}}), Array{{2.0}, {3.0}, {6.0}});
  expect(take_along_axis(x, Array{{2, 0}}, 0), Array{{5.0, 2.0}});
  expect(take_along_axis(x, Array{{2}, {0}, {0}}, 1), Array{{NaN}, {3.0}, {5.0}});
  CHECK(error_text<DTypeError>([&] { return take(x, Array{0.5}); }) ==
        "[take] Indices must be integers.\n  got: float32[1]");
  CHECK(error_text<DTypeError>([&] { return take(x, Array{true}); }) ==
        "[take] Indices must be integers.\n  got: bool[1]");
  CHECK(error_text<DTypeError>([&] { return take_along_axis(x, x); }) ==
        "[take_along_axis] Indices must be integers.\n  got: float32[3,2]");
  CHECK(error_text<ShapeError>([&] { return take_along_axis(x, Array{{0, 1}}); }) ==
        "[take_along_axis] Indices and Array differ in shape apart from the axis.\n  got: (1, 2) into (3, 2) along "
        "axis 1");
  CHECK(error_text<ShapeError>([&] { return take(x, Array{0}, 2); }) ==
        "[take] Axis is out of range.\n  got: axis 2 of an Array with 2 axes\n  expected: -2 to 1");
}

TEST_CASE("the gradient of take adds up, also for small unsigned indices and long axes") {
  for (const DType dtype : {uint8, int32, uint32, int64}) {
    const Array indices({2, 299, 2}, dtype);  // 299 is 43 in uint8
    const std::int64_t last = dtype == uint8 ? 43 : 299;
    const auto f = [&](const Array& x) { return sum(square(take(x, indices)) / 2); };
    const Array x = arange(300, float32);
    const Array two = astype(one_hot(Array(2), 300), float32);
    const Array other = astype(one_hot(Array(last, int64), 300), float32);
    expect(grad(f)(x), (2 * two + other) * x);
    // Differentiated again: the diagonal of the Hessian.
    expect(grad([&](const Array& y) { return sum(grad(f)(y)); })(x), 2 * two + other);
  }
}

TEST_CASE("one_hot") {
  expect(one_hot(Array{1, 0}, 3), Array{{0.0, 1.0, 0.0}, {1.0, 0.0, 0.0}});
  expect(one_hot(Array{-1, 3, 2}, 3), Array{{0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 1.0}});
  expect(one_hot(Array(1), 2, int32), Array{0, 1});
  expect(one_hot(Array{{1}, {0}}, 2, bool_), Array{{{false, true}}, {{true, false}}});
  CHECK(describe(one_hot(Array{1, 0}, 0)) == "float32[2,0]");
  // More classes than uint8 can name.
  expect(sum(one_hot(Array({0, 44}, uint8), 400), 1), Array{1.0, 1.0});
  CHECK(error_text<DTypeError>([] { return one_hot(Array{1.0}, 3); }) ==
        "[one_hot] Indices must be integers.\n  got: float32[1]");
  CHECK(error_text<ShapeError>([] { return one_hot(Array{1}, -3); }) == "[Array] An extent is negative.\n  got: (-3,)");
}

TEST_CASE("constants") {
  expect(iota({2, 3}), Array{{0, 0, 0}, {1, 1, 1}});
  expect(iota({2, 3}, -1, float64), Array({{0.0, 1.0, 2.0}, {0.0, 1.0, 2.0}}, float64));
  expect(arange(3), Array{0, 1, 2});
  expect(arange(0), zeros({0}, int32));
  expect(zeros({2}), Array{0.0, 0.0});
  expect(ones({2}, uint8), Array({1, 1}, uint8));
  expect(ones({}, bool_), Array(true));
  expect(full({2}, 3), Array{3, 3});
  expect(full({2}, 3, float32), Array{3.0, 3.0});
  expect(full({2}, 2.5), Array{2.5, 2.5});
  expect(full({2}, 2.9, int32), Array{2, 2});
  expect(full({2, 2}, Array{1, 2}), Array{{1, 2}, {1, 2}});
  expect(zeros_like(Array({1, 2}, uint8)), Array({0, 0}, uint8));
  expect(ones_like(Array({1.0}, float64)), Array({1.0}, float64));
  CHECK(error_text<ShapeError>([] { return iota({2}, 1); }) ==
        "[iota] Axis is out of range.\n  got: axis 1 of an Array with 1 axes\n  expected: -1 to 0");
  CHECK(error_text<ShapeError>([] { return zeros({-1}); }) == "[Array] An extent is negative.\n  got: (-1,)");
}

TEST_CASE("split, unstack and repeat") {
  const Array x = reshape(arange(12), {2, 6});
  const std::vector<Array> thirds = split(x, 3, -1);
  REQUIRE(thirds.size() == 3);
  expect(thirds[1], Array{{2, 3}, {8, 9}});
  expect(concatenate(thirds, 1), x);
  expect(split(x, 1)[0], x);
  CHECK(split(zeros({0, 2}), 2).size() == 2);
  const std::vector<Array> columns = unstack(x, 1);
  REQUIRE(columns.size() == 6);
  expect(columns[4], Array{4, 10});
  expect(stack(columns, 1), x);
  CHECK(unstack(zeros({0, 2})).empty());
  expect(repeat(Array{1, 2}, 3, 0), Array{1, 1, 1, 2, 2, 2});
  expect(repeat(Array{{1, 2}, {3, 4}}, 2, -1), Array{{1, 1, 2, 2}, {3, 3, 4, 4}});
  CHECK(repeat(x, 0, 0).shape() == Shape{0, 6});
  CHECK(error_text<ShapeError>([&] { return split(x, 4, 1); }) ==
        "[split] The parts do not divide the axis.\n  got: 4 parts of axis 1 of (2, 6)");
  CHECK(error_text<ValueError>([&] { return split(x, 0); }) == "[split] There must be at least one part.\n  got: 0");
  CHECK(error_text<ShapeError>([&] { return unstack(Array(1.0)); }).find("[unstack] Axis is out of range.") == 0);
  CHECK(error_text<ValueError>([&] { return repeat(x, -1, 0); }) ==
        "[repeat] The count must not be negative.\n  got: -1");
}

TEST_CASE("pad goes on periodically or mirrored") {
  const Array x{1, 2, 3};
  expect(pad(x, {{2, 4}}, PadMode::wrap), Array{2, 3, 1, 2, 3, 1, 2, 3, 1});
  expect(pad(x, {{2, 2}}, PadMode::reflect), Array{3, 2, 1, 2, 3, 2, 1});
  expect(pad(x, {{5, 3}}, PadMode::reflect), Array{2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2});  // wider than the Array
  expect(pad(Array{7}, {{1, 2}}, PadMode::reflect), Array{7, 7, 7, 7});
  expect(pad(Array{{1, 2}, {3, 4}}, {{1, 0}, {0, 1}}, PadMode::wrap), Array{{3, 4, 3}, {1, 2, 1}, {3, 4, 3}});
  expect(pad(zeros({0, 2}), {{0, 0}, {1, 0}}, PadMode::wrap), zeros({0, 3}));
  const Array weights{1.0, 10.0, 100.0, 1000.0, 10000.0};
  expect(grad([&](const Array& y) { return sum(pad(y, {{1, 1}}, PadMode::wrap) * weights); })(Array{0.0, 0.0, 0.0}),
         Array{10010.0, 100.0, 1001.0});
  CHECK(error_text<ShapeError>([&] { return pad(x, {{-1, 0}}, PadMode::wrap); }) ==
        "[pad] The axis cannot be continued by this width.\n"
        "  got: (-1, 0) on axis 0 of (3,)\n"
        "  expected: widths of 0 or more, on an axis that is not empty");
  CHECK(error_text<ShapeError>([&] { return pad(x, {}, PadMode::reflect); }) ==
        "[pad] There must be one width per axis.\n  got: 0 widths for (3,)");
}
