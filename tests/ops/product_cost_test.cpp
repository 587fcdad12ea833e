// Which routine computes a product: the estimates, the choice, and that every routine which can serve gives the
// product.
#include "kernels/cpu/product_cost.hpp"

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include "kernels/linalg.hpp"
#include "ops/conv_helpers.hpp"

using namespace linseed;
using namespace linseed::kernels;
using namespace linseed::kernels::cpu;

namespace {

struct Extents {
  std::int64_t batches, rows, depth, columns;
};
enum class Turned { neither, left, right };

ProductStack stack_of(const Extents& e, Turned turned = Turned::neither) {
  return {.batches = e.batches,
          .each = {e.rows, e.columns, e.depth,
                   turned == Turned::left ? MatrixStrides{1, e.rows} : MatrixStrides{e.depth, 1},
                   turned == Turned::right ? MatrixStrides{e.depth, 1} : MatrixStrides{1, e.columns}},
          .is_float32 = true,
          .is_plain = true,
          .blas_allowed = true};
}

}  // namespace

TEST_CASE("the routine of the least estimate is chosen, and estimates grow with the work") {
  for (const std::int64_t batches : {1, 12}) {
    for (const std::int64_t rows : {1, 4, 9, 33, 256, 2000}) {
      for (const std::int64_t columns : {1, 10, 48, 100, 1024}) {
        for (const Turned turned : {Turned::neither, Turned::left, Turned::right}) {
          for (const std::int64_t depth : {1, 16, 100, 784}) {
            const ProductStack stack = stack_of({batches, rows, depth, columns}, turned);
            const ProductStack deeper = stack_of({batches, rows, depth + 256, columns}, turned);
            const double chosen = product_cost(choose_product(stack), stack);
            CHECK(std::isfinite(chosen));
            for (const ProductRoutine routine : product_routines) {
              CHECK(chosen <= product_cost(routine, stack));
              CHECK(product_cost(routine, stack) > 0);
              if (std::isfinite(product_cost(routine, stack)))
                CHECK(product_cost(routine, stack) < product_cost(routine, deeper));
            }
          }
        }
      }
    }
  }
}

TEST_CASE("routines serve the products that they are made for") {
  const ProductStack stack = stack_of({1, 64, 64, 64});
  CHECK(std::isinf(product_cost(ProductRoutine::row_dots, stack)));  // columns of the right factor are neighbours
  CHECK(std::isinf(product_cost(ProductRoutine::blas, stack)));      // not large
  CHECK(std::isinf(product_cost(ProductRoutine::small_gemm, stack)));
  ProductStack several_axes = stack_of({1, 64, 64, 64}, Turned::right);
  CHECK(std::isfinite(product_cost(ProductRoutine::row_dots, several_axes)));
  several_axes.is_plain = false;
  CHECK(choose_product(several_axes) == ProductRoutine::offset_gemm);
  ProductStack large = stack_of({1, 1024, 1024, 1024});
  CHECK(choose_product(large) == ProductRoutine::blas);
  large.blas_allowed = false;
  CHECK(choose_product(large) == ProductRoutine::dense_gemm);
}

TEST_CASE("well-known layers have the routines that were the fastest when measured") {
  const auto check = [](const Extents& extents, Turned turned, ProductRoutine expected) {
    CAPTURE(extents.rows);
    CAPTURE(extents.depth);
    CAPTURE(extents.columns);
    CHECK(to_string(choose_product(stack_of(extents, turned))) == to_string(expected));
  };
  for (const Turned turned : {Turned::neither, Turned::left, Turned::right}) {
    check({1, 256, 784, 120}, turned, ProductRoutine::dense_gemm);
    check({1, 256, 120, 84}, turned, ProductRoutine::dense_gemm);
    check({1, 64, 512, 512}, turned, ProductRoutine::dense_gemm);
    check({1, 256, 1024, 1024}, turned, ProductRoutine::dense_gemm);
    check({1, 2000, 8, 8}, turned, ProductRoutine::dense_gemm);
  }
  check({1, 1, 784, 128}, Turned::neither, ProductRoutine::offset_gemm);
  check({1, 2, 512, 512}, Turned::neither, ProductRoutine::offset_gemm);
  check({1, 8, 784, 256}, Turned::neither, ProductRoutine::dense_gemm);
  check({1, 1, 784, 128}, Turned::right, ProductRoutine::row_dots);
  check({1, 8, 1024, 512}, Turned::right, ProductRoutine::row_dots);
  check({1, 32, 256, 1024}, Turned::right, ProductRoutine::dense_gemm);
  check({16, 17, 33, 65}, Turned::neither, ProductRoutine::dense_gemm);
  check({256, 8, 16, 8}, Turned::neither, ProductRoutine::dense_gemm);
  check({12, 1, 64, 128}, Turned::neither, ProductRoutine::offset_gemm);
}

TEST_CASE("every routine that can serve gives the product, of one matrix and of a stack, for any threads") {
  for (const Extents& e : {Extents{1, 5, 40, 7}, {1, 37, 300, 50}, {3, 19, 33, 65}, {20, 8, 64, 17}, {9, 1, 300, 31}}) {
    for (const Turned turned : {Turned::neither, Turned::left, Turned::right}) {
      CAPTURE(e.batches);
      CAPTURE(e.rows);
      CAPTURE(static_cast<int>(turned));
      const Shape left_shape =
                      turned == Turned::left ? Shape{e.batches, e.depth, e.rows} : Shape{e.batches, e.rows, e.depth},
                  right_shape = turned == Turned::right ? Shape{e.batches, e.columns, e.depth}
                                                        : Shape{e.batches, e.depth, e.columns};
      const Array left = conv_helpers::normal(left_shape, 1), right = conv_helpers::normal(right_shape, 2);
      const float *a = left.data<float>().data(), *b = right.data<float>().data();
      attr::Dot dot;
      dot.lhs_batch = dot.rhs_batch = {0};
      dot.lhs_contract = {turned == Turned::left ? 1 : 2};
      dot.rhs_contract = {turned == Turned::right ? 2 : 1};
      const std::vector<Input> inputs{{a, left_shape, float32}, {b, right_shape, float32}};
      const ProductStack stack = stack_of(e, turned);
      for (const ProductRoutine routine : product_routines) {
        if (std::isinf(product_cost(routine, stack))) continue;
        CAPTURE(std::string(to_string(routine)));
        for (const int threads : {1, 3}) {
          std::vector<float> result(static_cast<std::size_t>(e.batches * e.rows * e.columns), std::nanf(""));
          dot_general_by(routine, dot, inputs, {result.data(), {e.batches, e.rows, e.columns}, float32},
                         Executor(threads));
          double worst = 0;
          for (std::int64_t at = 0; at < e.batches * e.rows * e.columns; ++at) {
            const std::int64_t batch = at / (e.rows * e.columns), row = at / e.columns % e.rows,
                               column = at % e.columns;
            double sum = 0, size = 0;
            for (std::int64_t k = 0; k < e.depth; ++k) {
              const MatrixStrides l = stack.each.left, r = stack.each.right;
              const double term = static_cast<double>(a[batch * e.rows * e.depth + row * l.row + k * l.depth]) *
                                  static_cast<double>(b[batch * e.columns * e.depth + column * r.row + k * r.depth]);
              sum += term;
              size += std::fabs(term);
            }
            const double error = std::fabs(static_cast<double>(result[static_cast<std::size_t>(at)]) - sum) / size;
            worst = error <= worst ? worst : error;  // a NaN shows
          }
          CHECK(worst <= 0x1p-24 * static_cast<double>(e.depth));
        }
      }
    }
  }
}
