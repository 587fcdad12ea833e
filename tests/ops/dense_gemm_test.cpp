// Dense products against sums in double and the product that packs nothing, in every instruction set.
#include "kernels/cpu/dense_gemm.hpp"

#include <atomic>
#include <cmath>
#include <cstring>
#include <vector>

#include <doctest/doctest.h>

using namespace linseed;
using namespace linseed::kernels::cpu;

namespace {

struct Extents {
  std::int64_t rows, columns, depth;
};
// Around the sizes of tiles, panels, strips and blocks of depth.
constexpr Extents shapes[] = {{1, 1, 1},      {13, 33, 5},    {14, 32, 256}, {15, 31, 257},
                              {56, 64, 3},    {57, 65, 17},   {300, 40, 70}, {40, 300, 513},
                              {130, 129, 64}, {600, 530, 12}, {16, 1030, 9}, {1030, 16, 9},
                              {27, 96, 40},   {19, 112, 300}, {10, 512, 70}, {12, 50, 512}};

template <class T>
std::vector<T> values(std::int64_t count, double phase) {
  std::vector<T> result(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = static_cast<T>(std::sin(static_cast<double>(i) + phase));
  return result;
}

/// The factors of one product, stored with rows or with depth innermost, and elements `spread` apart.
template <class T>
struct Factors {
  Extents extents;
  std::vector<T> left, right;
  MatrixStrides left_strides, right_strides;

  Factors(const Extents& e, bool left_rows_inside, bool right_columns_inside, std::int64_t spread = 1)
      : extents(e),
        left(values<T>(e.rows * e.depth * spread, 0.5)),
        right(values<T>(e.columns * e.depth * spread, 0.7)),
        left_strides(left_rows_inside ? MatrixStrides{spread, e.rows * spread}
                                      : MatrixStrides{e.depth * spread, spread}),
        right_strides(right_columns_inside ? MatrixStrides{spread, e.columns * spread}
                                           : MatrixStrides{e.depth * spread, spread}) {}

  [[nodiscard]] std::vector<T> without_packing(VectorSet set) const {
    Lattice rows, depth;
    rows.extent[3] = extents.rows;
    rows.stride[0][3] = left_strides.row;
    rows.stride[1][3] = extents.columns;
    depth.extent[3] = extents.depth;
    depth.stride[0][3] = left_strides.depth;
    depth.stride[1][3] = right_strides.depth;
    std::vector<T> result(static_cast<std::size_t>(extents.rows * extents.columns));
    offset_gemm(left.data(), rows, depth, right.data(), {extents.columns, right_strides.row}, result.data(), false,
                set);
    return result;
  }

  void check_sums(const std::vector<T>& result, double tolerance) const {
    double worst = 0;
    for (std::int64_t row = 0; row < extents.rows; ++row) {
      for (std::int64_t column = 0; column < extents.columns; ++column) {
        double sum = 0;
        for (std::int64_t k = 0; k < extents.depth; ++k) {
          sum += static_cast<double>(left[static_cast<std::size_t>(row * left_strides.row + k * left_strides.depth)]) *
                 static_cast<double>(
                     right[static_cast<std::size_t>(column * right_strides.row + k * right_strides.depth)]);
        }
        const double error =
            std::fabs(static_cast<double>(result[static_cast<std::size_t>(row * extents.columns + column)]) - sum);
        worst = error <= worst ? worst : error;  // a NaN shows
      }
    }
    CHECK(worst <= tolerance * static_cast<double>(extents.depth));
  }
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

std::vector<VectorSet> sets() {
  std::vector<VectorSet> result{VectorSet::portable};
  if (best_vector_set() != VectorSet::portable) result.push_back(VectorSet::avx2);
  if (best_vector_set() == VectorSet::avx512) result.push_back(VectorSet::avx512);
  return result;
}

template <class T>
void check_dense(const Factors<T>& factors, VectorSet set, double tolerance) {
  const auto& [rows, columns, depth] = factors.extents;
  const std::vector<T> expected = factors.without_packing(set);
  factors.check_sums(expected, tolerance);
  for (const int threads : {1, 2, 3, 8}) {
    std::vector<T> result(expected.size(), std::nan(""));
    REQUIRE(dense_gemm({rows, columns, depth, factors.left_strides, factors.right_strides}, factors.left.data(),
                       factors.right.data(), result.data(), columns, Executor(threads, set)));
    CHECK(same_bits(result, expected));
  }
}

/// Puts the rows where they belong, and counts them.
class Collect final : public RowUser {
 public:
  Collect(std::vector<float>& result, std::int64_t columns) : result_(result), columns_(columns) {}
  void use(std::int64_t first, std::int64_t count, float* rows) const noexcept override {
    std::memcpy(result_.data() + first * columns_, rows, static_cast<std::size_t>(count * columns_) * sizeof(float));
    rows_ += count;
  }
  [[nodiscard]] std::int64_t rows() const noexcept { return rows_; }

 private:
  std::vector<float>& result_;
  std::int64_t columns_;
  mutable std::atomic<std::int64_t> rows_ = 0;
};

}  // namespace

TEST_CASE("dense products have the bits of those without packing, in every instruction set and for any threads") {
  for (const Extents& extents : shapes) {
    for (const int layout : {0, 1, 2, 3}) {
      CAPTURE(extents.rows);
      CAPTURE(extents.columns);
      CAPTURE(extents.depth);
      CAPTURE(layout);
      const Factors<float> floats(extents, (layout & 1) != 0, (layout & 2) != 0);
      const Factors<double> doubles(extents, (layout & 1) != 0, (layout & 2) != 0);
      for (const VectorSet set : sets()) {
        check_dense(floats, set, 1e-6);
        check_dense(doubles, set, 2e-15);
      }
      check_dense(Factors<float>(extents, (layout & 1) != 0, (layout & 2) != 0, /*spread=*/3), best_vector_set(), 1e-6);
    }
  }
}

TEST_CASE("rows of a product that are used up come once each, with the same bits") {
  for (const Extents& extents : shapes) {
    for (const VectorSet set : sets()) {
      const auto& [rows, columns, depth] = extents;
      const Factors<float> factors(extents, /*left_rows_inside=*/true, /*right_columns_inside=*/true);
      const std::vector<float> expected = factors.without_packing(set);
      for (const int threads : {1, 2, 3, 8}) {
        std::vector<float> result(expected.size(), std::nanf(""));
        std::vector<float> memory(static_cast<std::size_t>(threads * most_rows_used * columns));
        const Collect user(result, columns);
        dense_gemm_rows({rows, columns, depth, factors.left_strides, factors.right_strides}, factors.left.data(),
                        factors.right.data(), memory.data(), user, Executor(threads, set));
        CHECK(user.rows() == rows);
        CHECK(same_bits(result, expected));
      }
    }
  }
}
