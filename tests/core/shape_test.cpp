#include <linseed/core/shape.hpp>

#include <doctest/doctest.h>

#include <linseed/core/dtype.hpp>
#include <linseed/core/error.hpp>

#include "support.hpp"

using namespace linseed;
using support::error_of;

TEST_CASE("shapes count, print and have strides") {
  CHECK(to_string(Shape{}) == "()");
  CHECK(to_string(Shape{4}) == "(4,)");
  CHECK(to_string(Shape{2, 3, 0}) == "(2, 3, 0)");
  CHECK(Shape{}.elements() == 1);
  CHECK(Shape{2, 3, 4}.elements() == 24);
  CHECK(Shape{2, 0, 4}.elements() == 0);
  CHECK(strides_of({2, 3, 4}) == Shape{12, 4, 1});
  CHECK(strides_of({}) == Shape{});
  CHECK(Shape::filled(3, 7) == Shape{7, 7, 7});
  CHECK(error_of<ShapeError>([] { return Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; }) ==
        "[Shape] An Array has too many axes.\n"
        "  got: 9 axes\n"
        "  expected: at most 8");
}

TEST_CASE("shapes broadcast as in NumPy") {
  CHECK(broadcast_shapes({2, 3}, {3}) == Shape{2, 3});
  CHECK(broadcast_shapes({2, 1}, {3}) == Shape{2, 3});
  CHECK(broadcast_shapes({}, {3}) == Shape{3});
  CHECK(broadcast_shapes({8, 1, 6, 1}, {7, 1, 5}) == Shape{8, 7, 6, 5});
  CHECK(broadcast_shapes({1}, {0}) == Shape{0});
  CHECK(error_of<ShapeError>([] { return broadcast_shapes({2, 3}, {2}, "add"); }) ==
        "[add] Shapes do not broadcast.\n"
        "  got: (2, 3) and (2,)\n"
        "  expected: equal extents, or 1, counted from the last axis");
  CHECK_THROWS_AS((void)broadcast_shapes({2}, {0}), ShapeError);
}

TEST_CASE("axes count from the end, stay in range and appear once") {
  CHECK(normalize_axis(-1, 3, "f") == 2);
  CHECK(normalize_axis(0, 3, "f") == 0);
  const auto list = [](const Axes& axes, int rank) {
    const auto normalized = axes.normalized(rank, "f");
    return std::vector<int>(normalized.begin(), normalized.end());
  };
  CHECK(list({}, 3) == std::vector<int>{0, 1, 2});
  CHECK(list(Axes(), 0) == std::vector<int>{});
  CHECK(list(-1, 3) == std::vector<int>{2});
  CHECK(list({2, 0}, 3) == std::vector<int>{0, 2});
  CHECK(list(std::vector<int>{-1, -3}, 3) == std::vector<int>{0, 2});
  CHECK(list(std::vector<int>{}, 3) == std::vector<int>{});
  CHECK(error_of<ShapeError>([] { return normalize_axis(3, 3, "f"); }) ==
        "[f] Axis is out of range.\n"
        "  got: axis 3 of an Array with 3 axes\n"
        "  expected: -3 to 2");
  CHECK(error_of<ShapeError>([] { return normalize_axis(0, 0, "f"); }) ==
        "[f] Axis is out of range.\n"
        "  got: axis 0 of an Array with 0 axes\n"
        "  expected: no axis");
  CHECK(error_of<ShapeError>([&] { return list({1, -2}, 3); }) == "[f] Axis 1 is given twice.");
}

TEST_CASE("dtypes have NumPy's names and sizes, and meet as in JAX") {
  const std::vector<DType> all = {bool_, uint8, int32, uint32, int64, float32, float64};
  std::string names;
  std::vector<std::size_t> sizes;
  for (const DType dtype : all) {
    names += std::string(to_string(dtype)) + " ";
    sizes.push_back(size_of(dtype));
  }
  CHECK(names == "bool uint8 int32 uint32 int64 float32 float64 ");
  CHECK(sizes == std::vector<std::size_t>{1, 1, 4, 4, 8, 4, 8});
  // jax.numpy.promote_types with 64 bits enabled.
  const std::vector<std::vector<DType>> table = {{bool_, uint8, int32, uint32, int64, float32, float64},
                                                 {uint8, uint8, int32, uint32, int64, float32, float64},
                                                 {int32, int32, int32, int64, int64, float32, float64},
                                                 {uint32, uint32, int64, uint32, int64, float32, float64},
                                                 {int64, int64, int64, int64, int64, float32, float64},
                                                 {float32, float32, float32, float32, float32, float32, float64},
                                                 {float64, float64, float64, float64, float64, float64, float64}};
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = 0; j < all.size(); ++j) CHECK(promote(all[i], all[j]) == table[i][j]);
  }
  CHECK(is_floating(float32));
  CHECK(!is_floating(int64));
  CHECK(is_integer(uint8));
  CHECK(!is_integer(bool_));
}

TEST_CASE("errors print what they know, and learn their place once") {
  Error error("op", "A sentence.", {.got = "this", .hint = "do that"});
  CHECK(std::string(error.what()) == "[op] A sentence.\n  got: this\n  hint: do that");
  error.locate("");
  error.locate("Dense_0");
  error.locate("Dense_1");
  CHECK(std::string(error.what()) == "[op] A sentence.\n  at: Dense_0\n  got: this\n  hint: do that");
  CHECK(error.context().at == "Dense_0");
}
