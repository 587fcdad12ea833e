#include <linseed/ops/reduce.hpp>

#include <functional>
#include <limits>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>

#include "ops/expect.hpp"

using namespace linseed;
using tests::error_text;
using tests::expect;
using tests::expect_near;

namespace {
constexpr double NaN = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();
using Reduction = Array (*)(const Array&, const Axes&, bool);
}  // namespace

TEST_CASE("reductions over all, some and no axes") {
  const Array x{{{1, 2, 3}, {4, 5, 6}}, {{7, 8, 9}, {10, 11, 12}}};
  expect(sum(x), Array(78));
  expect(sum(x, 0), Array{{8, 10, 12}, {14, 16, 18}});
  expect(sum(x, {0, 2}), Array{30, 48});
  expect(sum(x, {-1, 0}), Array{30, 48});
  expect(sum(x, 1, true), Array{{{5, 7, 9}}, {{17, 19, 21}}});
  expect(sum(x, {}, true), Array{{{78}}});
  expect(sum(x, std::vector<int>{}), x);
  expect(max(x, {1, 2}), Array{6, 12});
  expect(min(x, {0, 1}, true), Array{{{1, 2, 3}}});
  expect(prod(x, {0, 1}), Array{280, 880, 1944});
  expect(mean(x, 2), Array{{2.0, 5.0}, {8.0, 11.0}});
  expect_near(var(x, 2), Array{{2.0 / 3, 2.0 / 3}, {2.0 / 3, 2.0 / 3}}, 1e-7);
  expect(any(x > 11, 0), Array{{false, false, false}, {false, false, true}});
  expect(all(x > 1, {1, 2}), Array{false, true});
  expect(sum(Array(5)), Array(5));
}

TEST_CASE("reductions of nothing") {
  const Array none = zeros({0, 3});
  expect(sum(none, 0), Array{0.0, 0.0, 0.0});
  expect(sum(none, 1), zeros({0}));
  expect(sum(none), Array(0.0));
  expect(prod(none, 0), Array{1.0, 1.0, 1.0});
  expect(mean(none, 0), Array{NaN, NaN, NaN});
  expect(mean(none), Array(NaN));
  expect(var(none, 0), Array{NaN, NaN, NaN});
  expect(any(none, 0), Array{false, false, false});
  expect(all(none, 0), Array{true, true, true});
  expect(max(none, 1), zeros({0}));
  expect(argmax(none, 1), zeros({0}, int32));
  expect(argsort(none, 0), zeros({0, 3}, int32));
  expect(grad([](const Array& x) { return sum(x) + prod(x); })(none), none);
  CHECK(error_text<ShapeError>([&] { return max(none, 0); }) ==
        "[max] An empty axis has no largest or smallest element.\n  got: (0, 3)");
  CHECK(error_text<ShapeError>([&] { return min(none); }) ==
        "[min] An empty axis has no largest or smallest element.\n  got: (0, 3)");
  CHECK(error_text<ShapeError>([&] { return argmax(none, 0); }) ==
        "[argmax] An empty axis has no largest or smallest element.\n  got: (0, 3)");
  CHECK(error_text<ShapeError>([&] { return argmin(none, 0); }) ==
        "[argmin] An empty axis has no largest or smallest element.\n  got: (0, 3)");
}

TEST_CASE("small integers are summed in 32 bits, and wrap there") {
  expect(sum(Array({200, 100}, uint8)), Array(300, uint32));
  expect(prod(Array({200, 2}, uint8)), Array(400, uint32));
  expect(sum(Array{true, true, false}), Array(2));
  expect(prod(Array{true, false}), Array(0));
  expect(sum(Array{2147483647, 1}), Array(-2147483647 - 1));
  expect(sum(Array({4294967295L, 2L}, uint32)), Array(1, uint32));
  expect(max(Array{false, true}), Array(true));
  expect(min(Array({3, 200}, uint8)), Array(3, uint8));
}

TEST_CASE("NaN and infinities in reductions") {
  const Array x{{1.0, NaN, 3.0}, {-inf, 2.0, inf}};
  expect(max(x, 1), Array{NaN, inf});
  expect(min(x, 1), Array{NaN, -inf});
  expect(max(Array{-inf, -inf}), Array(-inf));
  expect(sum(x, 1), Array{NaN, NaN});
  expect(argmax(x, 1), Array{1, 2});
  expect(argmin(x, 1), Array{1, 0});
  expect(argsort(Array{3.0, NaN, -inf, inf, NaN, 1.0}), Array{2, 5, 0, 3, 1, 4});
  expect(any(Array{0.0, NaN}), Array(true));
}

TEST_CASE("ties: the first index, shared gradients, stable order") {
  const Array x{{2.0, 5.0, 5.0}, {7.0, 7.0, 7.0}};
  expect(argmax(x), Array{1, 0});
  expect(argmin(x), Array{0, 0});
  expect(argmax(x, 0), Array{1, 1, 1});
  expect(argsort(Array{1, 0, 1, 0}), Array{1, 3, 0, 2});
  expect(argsort(Array{{3, 1}, {2, 4}}, 0), Array{{1, 0}, {0, 1}});
  const Array g = grad([](const Array& y) { return sum(max(y, 1)); })(x);
  expect(g, Array({{0.0, 0.5, 0.5}, {1.0 / 3, 1.0 / 3, 1.0 / 3}}));
  expect(grad([](const Array& y) { return min(y); })(x), Array{{1.0, 0.0, 0.0}, {0.0, 0.0, 0.0}});
}

TEST_CASE("large sums keep their accuracy") {
  // A float32 accumulator would stop at 2^24.
  expect(sum(ones({(1 << 24) + 2})), Array(16777218.0));
  const Array x = full({1000, 1001}, 0.1F);
  expect_near(sum(x), Array(static_cast<double>(0.1F) * 1001000, float32), 1e-7);
  expect_near(mean(x), Array(0.1), 1e-7);
  // Two passes: no cancellation at a large mean.
  expect_near(var(Array({1e8, 1e8 + 1, 1e8 + 2}, float64)), Array(2.0 / 3, float64), 1e-9);
}

TEST_CASE("products with zeros have first and second derivatives") {
  const auto first = [](const Array& x) { return grad([](const Array& y) { return prod(y); })(x); };
  expect(first(Array{2.0, 0.0, 5.0}), Array{0.0, 10.0, 0.0});
  expect(first(Array{0.0, 0.0, 5.0}), Array{0.0, 0.0, 0.0});
  const Array weights{1.0, 10.0, 100.0};
  const auto second = grad([&](const Array& x) { return sum(first(x) * weights); });
  // d/dx (yz + 10 xz + 100 xy)
  expect(second(Array{2.0, 0.0, 5.0}), Array{50.0, 205.0, 20.0});
  expect(second(Array{0.0, 0.0, 5.0}), Array{50.0, 5.0, 0.0});
}

TEST_CASE("logsumexp neither overflows nor underflows") {
  expect_near(logsumexp(Array{1000.0, 1000.0}), Array(1000.6931471805599), 1e-7);
  expect_near(logsumexp(Array{-1000.0, -1000.0}), Array(-999.3068528194401), 1e-7);
  expect(logsumexp(Array{-inf, -inf}), Array(-inf));
  expect(logsumexp(Array{inf, 1.0}), Array(inf));
  expect(logsumexp(Array{NaN, 1.0}), Array(NaN));
  expect_near(logsumexp(Array{{0.0, 0.0}, {1.0, 1.0}}, 1), Array{0.6931471805599453, 1.6931471805599454}, 1e-7);
  CHECK(describe(logsumexp(zeros({2, 3, 1}), {0, 2}, true)) == "float32[1,3,1]");
  CHECK(describe(logsumexp(zeros({1, 3, 1}), 1)) == "float32[1,1]");
  CHECK(describe(logsumexp(zeros({1, 3}, int32))) == "float32[]");
  // The gradient is the softmax.
  expect_near(grad([](const Array& x) { return logsumexp(x); })(Array{0.0, 0.0, 0.6931471805599453}),
              Array{0.25, 0.25, 0.5}, 1e-6);
}

TEST_CASE("reductions say which axis is wrong") {
  const std::vector<std::pair<std::string, Reduction>> all_of_them{
      {"sum", &sum}, {"mean", &mean}, {"max", &max}, {"min", &min}, {"prod", &prod}};
  for (const auto& [name, reduce] : all_of_them) {
    CHECK(error_text<ShapeError>([&, f = reduce] { return f(zeros({2, 3}), 2, false); }) ==
          "[" + name + "] Axis is out of range.\n  got: axis 2 of an Array with 2 axes\n  expected: -2 to 1");
    CHECK(error_text<ShapeError>([&, f = reduce] { return f(zeros({2, 3}), {0, -2}, false); }) ==
          "[" + name + "] Axis 0 is given twice.");
    CHECK(error_text<ShapeError>([&, f = reduce] { return f(zeros({}), 0, false); }) ==
          "[" + name + "] Axis is out of range.\n  got: axis 0 of an Array with 0 axes\n  expected: no axis");
  }
  CHECK(error_text<ShapeError>([] { return argmax(zeros({2}), 1); }) ==
        "[argmax] Axis is out of range.\n  got: axis 1 of an Array with 1 axes\n  expected: -1 to 0");
  CHECK(error_text<ShapeError>([] { return argmin(zeros({2}), -2); }) ==
        "[argmin] Axis is out of range.\n  got: axis -2 of an Array with 1 axes\n  expected: -1 to 0");
  CHECK(error_text<ShapeError>([] { return argsort(Array(1.0)); }) ==
        "[argsort] Axis is out of range.\n  got: axis -1 of an Array with 0 axes\n  expected: no axis");
}
