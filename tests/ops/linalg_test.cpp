#include <linseed/ops/linalg.hpp>

#include <thread>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "ops/expect.hpp"

using namespace linseed;
using tests::error_text;
using tests::expect;

namespace {
// 0, 1, 2, ... in `shape`: sums of products stay exact in float32.
Array counting(const Shape& shape, DType dtype = float32) { return reshape(arange(shape.elements(), dtype), shape); }
}  // namespace

TEST_CASE("matmul") {
  const Array a{{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}};
  const Array b{{1.0, 0.0}, {0.0, 2.0}, {3.0, 0.0}};
  expect(matmul(a, b), Array{{10.0, 4.0}, {22.0, 10.0}});
  expect(matmul(a, Array{1.0, 1.0, 1.0}), Array{6.0, 15.0});
  expect(matmul(Array{1.0, 1.0}, a), Array{5.0, 7.0, 9.0});
  expect(matmul(Array{1.0, 2.0}, Array{3.0, 4.0}), Array(11.0));
  expect(matmul(astype(a, int32), astype(b, int32)), Array{{10, 4}, {22, 10}});
  expect(matmul(astype(a, int32), b), Array{{10.0, 4.0}, {22.0, 10.0}});
  expect(matmul(Array{{true, false}}, Array{{false, true}, {true, true}}), Array{{false, true}});
  expect(matmul(Array({{200, 100}}, uint8), Array({{1}, {1}}, uint8)), Array({{44}}, uint8));
}

TEST_CASE("matmul broadcasts the leading axes") {
  const Array a = counting({2, 1, 2, 3});
  const Array b = counting({4, 3, 2});
  const Array product = matmul(a, b);
  CHECK(describe(product) == "float32[2,4,2,2]");
  for (int i = 0; i < 2; ++i) {
    for (int k = 0; k < 4; ++k) {
      const auto matrix = [](const Array& x, int index) { return take(x, Array(index), 0); };
      expect(matrix(matrix(product, i), k), matmul(matrix(matrix(a, i), 0), matrix(b, k)));
    }
  }
  CHECK(describe(matmul(zeros({3}), zeros({5, 3, 2}))) == "float32[5,2]");
  CHECK(describe(matmul(zeros({5, 2, 3}), zeros({3}))) == "float32[5,2]");
  CHECK(describe(matmul(zeros({0, 2, 3}), zeros({3, 4}))) == "float32[0,2,4]");
  CHECK(describe(matmul(zeros({1, 2, 3}), zeros({0, 3, 4}))) == "float32[0,2,4]");
  expect(matmul(zeros({2, 0}), zeros({0, 3})), zeros({2, 3}));
}

TEST_CASE("dot") {
  const Array a = counting({2, 3});
  const Array b = counting({2, 3, 2});
  // a[i, k] b[j, k, l]
  expect(dot(a, b), Array{{{10.0, 13.0}, {28.0, 31.0}}, {{28.0, 40.0}, {100.0, 112.0}}});
  expect(dot(Array(2.0), a), 2 * a);
  expect(dot(a, Array(2)), 2 * a);
  expect(dot(a, Array{1.0, 1.0, 1.0}), Array{3.0, 12.0});
}

TEST_CASE("dot_general agrees with sums of products") {
  const Array a = counting({2, 3, 4, 5}, float64);
  const Array b = counting({4, 5, 2, 3}, float64);
  // batch 3, contract 2 x 5, free 4 and 4
  const Array got =
      dot_general(a, b, {.lhs_contract = {0, 3}, .rhs_contract = {2, 1}, .lhs_batch = {1}, .rhs_batch = {-1}});
  const Array left = expand_dims(transpose(a, {1, 2, 0, 3}), 2);   // [3, 4, 1, 2, 5]
  const Array right = expand_dims(transpose(b, {3, 0, 2, 1}), 1);  // [3, 1, 4, 2, 5]
  expect(got, sum(left * right, {3, 4}));
  // Nothing summed over: an outer product.
  expect(dot_general(Array{1.0, 2.0}, Array{3.0, 4.0}, {.lhs_contract = {}, .rhs_contract = {}}),
         Array{{3.0, 4.0}, {6.0, 8.0}});
  // Everything.
  expect(dot_general(a, a, {.lhs_contract = {0, 1, 2, 3}, .rhs_contract = {0, 1, 2, 3}}), sum(a * a));
}

TEST_CASE("products say what does not fit") {
  CHECK(error_text<ShapeError>([] { return matmul(zeros({2, 3}), zeros({2, 3})); }) ==
        "[matmul] Inner extents differ.\n  got: (2, 3) and (2, 3): 3 against 2");
  CHECK(error_text<ShapeError>([] { return matmul(zeros({3}), zeros({2})); }) ==
        "[matmul] Inner extents differ.\n  got: (3,) and (2,): 3 against 2");
  CHECK(error_text<ShapeError>([] { return matmul(Array(1.0), zeros({2})); }) ==
        "[matmul] Scalars are not multiplied as matrices.\n  hint: use *");
  CHECK(error_text<ShapeError>([] { return matmul(zeros({2, 2, 3}), zeros({3, 3, 2})); }) ==
        "[matmul] Shapes do not broadcast.\n  got: (2,) and (3,)\n  expected: equal extents, or 1, counted from the "
        "last axis");
  CHECK(error_text<ShapeError>([] { return dot(zeros({2}), zeros({3})); }) ==
        "[dot_general] The contracted axes differ in extent.\n  got: (2,) and (3,): 2 against 3");
  const auto general = [](const DotAxes& axes) {
    return error_text<ShapeError>([&] { return dot_general(zeros({2, 3}), zeros({3, 2}), axes); });
  };
  CHECK(general({.lhs_contract = {0}, .rhs_contract = {}}) ==
        "[dot_general] Each axis of the left operand needs a partner on the right.");
  CHECK(general({.lhs_contract = {}, .rhs_contract = {}, .lhs_batch = {0}, .rhs_batch = {0}}) ==
        "[dot_general] The batch axes differ in extent.\n  got: (2, 3) and (3, 2): 2 against 3");
  CHECK(general({.lhs_contract = {2}, .rhs_contract = {0}}) ==
        "[dot_general] Axis is out of range.\n  got: axis 2 of an Array with 2 axes\n  expected: -2 to 1");
  CHECK(general({.lhs_contract = {0, -2}, .rhs_contract = {0, 1}}) == "[dot_general] Axis -2 is given twice.");
  CHECK(general({.lhs_contract = {1}, .rhs_contract = {0}, .lhs_batch = {1}, .rhs_batch = {0}}) ==
        "[dot_general] Axis 1 is both paired and summed over.");
  CHECK(error_text<ShapeError>([] {
          return dot_general(zeros({1, 1, 1, 1, 1}), zeros({1, 1, 1, 1}), {.lhs_contract = {}, .rhs_contract = {}});
        }) == "[Shape] An Array has too many axes.\n  got: 9 axes\n  expected: at most 8");
}

// The serial OpenBLAS shares a work buffer between its callers; a training run gave other bits with three threads.
TEST_CASE("products from several threads at once do not spoil each other") {
  const Array a = sin(reshape(arange(100 * 784, float32), {100, 784}));
  const Array b = cos(reshape(arange(784 * 120, float32), {784, 120}));
  const Array expected = matmul(a, b);
  std::vector<int> wrong(4, 0);
  std::vector<std::thread> threads;
  for (int& count : wrong) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) count += identical(matmul(a, b), expected) ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(4, 0));
}
