#include <linseed/ops/pool.hpp>

#include <limits>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>

#include "golden/golden.hpp"
#include "ops/pool.hpp"
#include "window_helpers.hpp"

using namespace window_helpers;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

Array sequence(const std::vector<float>& values, const Shape& shape) { return Array::from(values, shape); }
std::vector<double> row(std::initializer_list<double> values) { return values; }

std::vector<attr::Window> sweep() {
  std::mt19937 generator(11);
  const auto draw = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(generator() % static_cast<std::uint64_t>(high - low + 1));
  };
  std::vector<attr::Window> result;
  for (int i = 0; i < 180; ++i) {
    const int rank = 1 + i % 3;
    attr::Window pool;
    pool.input_shape.push_back(draw(0, 15) == 0 ? 0 : draw(1, 4));
    for (int axis = 0; axis < rank; ++axis) {
      pool.input_shape.push_back(draw(0, 29) == 0 ? 0 : draw(1, rank == 1 ? 13 : 7));
      pool.window.push_back(draw(1, 4));
      pool.strides.push_back(draw(1, 4));
      pool.low.push_back(draw(-2, 4));
      pool.high.push_back(draw(-2, 4));
    }
    pool.input_shape.push_back(draw(0, 15) == 0 ? 0 : draw(0, 9) == 0 ? draw(60, 140) : draw(1, 9));
    result.push_back(pool);
  }
  return result;
}

Shape result_shape(const attr::Window& pool) {
  const std::vector<Abstract> input{{pool.input_shape, float32}};
  return ops::window_sum.shape_rule(input, pool).shape;
}

/// Few different values, so that windows hold ties.
Array with_ties(const Shape& shape, DType dtype, unsigned seed) {
  return floor(random_array(shape, dtype, seed) * 2.0);
}

std::vector<std::pair<const Op*, std::vector<Array>>> applications(const attr::Window& pool, DType dtype) {
  const Array x = with_ties(pool.input_shape, dtype, 1);
  const Array c = random_array(pool.input_shape, dtype, 2);
  const Array g = random_array(result_shape(pool), dtype, 3);
  return {{&ops::max_pool, {x}},
          {&ops::max_pool_grad, {x, g}},
          {&ops::max_pool_gather, {x, c}},
          {&ops::window_sum, {c}},
          {&ops::window_sum_transpose, {g}}};
}

std::string describe_pool(const attr::Window& pool) { return to_string(Attributes(pool)); }

/// Pools one axis after the other, which sums and maxima allow.
template <class Combine>
std::vector<double> naive_pool(const Array& x, const attr::Window& pool, double identity, Combine combine) {
  std::vector<double> values = doubles(x);
  Shape shape = pool.input_shape;
  const Shape result = result_shape(pool);
  for (std::size_t axis = 0; axis < pool.window.size(); ++axis) {
    std::int64_t outer = 1, inner = 1;
    for (std::size_t i = 0; i <= axis; ++i) outer *= shape[i];
    for (std::size_t i = axis + 2; i < shape.size(); ++i) inner *= shape[i];
    const std::int64_t extent = shape[axis + 1], places = result[axis + 1];
    std::vector<double> pooled(static_cast<std::size_t>(outer * places * inner), identity);
    for (std::int64_t a = 0; a < outer; ++a) {
      for (std::int64_t i = 0; i < extent; ++i) {
        for (std::int64_t o = 0; o < places; ++o) {
          const std::int64_t begin = o * pool.strides[axis] - pool.low[axis];
          if (i < begin || i >= begin + pool.window[axis]) continue;
          for (std::int64_t b = 0; b < inner; ++b) {
            double& to = pooled[static_cast<std::size_t>((a * places + o) * inner + b)];
            to = combine(to, values[static_cast<std::size_t>((a * extent + i) * inner + b)]);
          }
        }
      }
    }
    values = std::move(pooled);
    shape[axis + 1] = places;
  }
  return values;
}

}  // namespace

TEST_CASE("pooling takes windows at every stride") {
  const Array x = sequence({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, {1, 4, 4, 1});
  CHECK(doubles(max_pool(x, {2, 2}, {2, 2})) == row({6, 8, 14, 16}));
  CHECK(doubles(min_pool(x, {2, 2}, {2, 2})) == row({1, 3, 9, 11}));
  CHECK(doubles(avg_pool(x, {2, 2}, {2, 2})) == row({3.5, 5.5, 11.5, 13.5}));
  CHECK(doubles(max_pool(x, {4, 3})) == row({15, 16}));  // strides are ones when not given
  CHECK(doubles(avg_pool(sequence({1, 3, 5}, {1, 3, 1}), {2})) == row({2, 4}));
}

TEST_CASE("padding never wins, and counts for an average unless told not to") {
  const Array x = sequence({-1, -2, -3}, {1, 3, 1});
  CHECK(doubles(max_pool(x, {3}, {}, "SAME")) == row({-1, -1, -2}));
  CHECK(doubles(min_pool(-x, {3}, {}, "SAME")) == row({1, 1, 2}));
  CHECK(doubles(avg_pool(x, {2}, {}, "SAME")) == row({-1.5, -2.5, -1.5}));
  CHECK(doubles(avg_pool(x, {2}, {}, "SAME", /*count_include_pad=*/false)) == row({-1.5, -2.5, -3}));
  CHECK(doubles(avg_pool(x, {2}, {2}, "SAME")) == row({-1.5, -1.5}));
  CHECK(doubles(avg_pool(x, {2}, {2}, "SAME_LOWER")) == row({-0.5, -2.5}));
  CHECK(doubles(max_pool(x, {2}, {2}, Padding::Pairs{{-1, 0}})) == row({-2}));
}

TEST_CASE("a window wholly in padding") {
  const Array x = sequence({-1, -2}, {1, 2, 1});
  const Padding padding = Padding::Pairs{{2, 0}};
  CHECK(doubles(max_pool(x, {2}, {2}, padding)) == row({-infinity, -1}));
  CHECK(doubles(min_pool(x, {2}, {2}, padding)) == row({infinity, -2}));
  CHECK(doubles(avg_pool(x, {2}, {2}, padding)) == row({0, -1.5}));
  CHECK(std::isnan(doubles(avg_pool(x, {2}, {2}, padding, false))[0]));
  CHECK(doubles(max_pool(astype(x, int32), {2}, {2}, padding)) ==
        row({std::numeric_limits<std::int32_t>::lowest(), -1}));
  CHECK(doubles(grad([&](const Array& a) { return sum(max_pool(a, {2}, {2}, padding)); })(x)) == row({1, 0}));
}

TEST_CASE("avg_pool multiplies by the float32 reciprocal") {
  const Array x = sequence({1, 2, 4}, {1, 3, 1});
  CHECK(avg_pool(x, {3}).item<float>() == 7.0F * (1.0F / 3.0F));
}

TEST_CASE("pooling of integers") {
  const Array x(detail::Nested3<std::int64_t>{{{7}, {-2147483648}, {2147483647}}}, int32);
  CHECK(max_pool(x, {3}).item<std::int32_t>() == 2147483647);
  CHECK(min_pool(x, {3}).item<std::int32_t>() == std::numeric_limits<std::int32_t>::lowest());
  const Array small(detail::Nested3<int>{{{7}, {0}, {255}}}, uint8);
  CHECK(max_pool(small, {3}).item<int>() == 255);
  CHECK(min_pool(small, {3}).item<int>() == 0);
  CHECK(avg_pool(astype(sequence({1, 2}, {1, 2, 1}), int32), {2}).dtype() == float32);
  CHECK(avg_pool(astype(sequence({1, 2}, {1, 2, 1}), int32), {2}).item<float>() == 1.5F);
}

TEST_CASE("max_pool: NaN wins") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto which : {Which::reference, Which::fast}) {
    attr::Window pool{.window = {2}, .strides = {1}, .low = {0}, .high = {0}, .input_shape = {1, 5, 1}};
    const auto y = doubles(run(ops::max_pool, which, {sequence({1, nan, 2, 3, 4}, {1, 5, 1})}, pool));
    CHECK(std::isnan(y[0]));
    CHECK(std::isnan(y[1]));
    CHECK(y[2] == 3);
    CHECK(y[3] == 4);
  }
}

TEST_CASE("max_pool gives the gradient to the first largest") {
  const Array x = sequence({5, 5, 1, 5, 0, 0, 5, 5, 5}, {1, 3, 3, 1});
  const auto loss = [](const Array& a) {
    return sum(max_pool(a, {2, 2}) * sequence({1, 10, 100, 1000}, {1, 2, 2, 1}));
  };
  CHECK(doubles(grad(loss)(x)) == row({1, 10, 0, 100, 0, 0, 0, 1000, 0}));
}

TEST_CASE("pooling has second derivatives") {
  const Array x = sequence({1, 3, 2, 4}, {1, 4, 1});
  const auto square_of_max = [](const Array& a) { return sum(square(max_pool(a, {2}, {2}))); };
  const auto max_once_more = [&](const Array& a) {
    return sum(grad(square_of_max)(a) * sequence({1, 2, 3, 4}, {1, 4, 1}));
  };
  CHECK(doubles(grad(square_of_max)(x)) == row({0, 6, 0, 8}));
  CHECK(doubles(grad(max_once_more)(x)) == row({0, 4, 0, 8}));
  const auto square_of_mean = [](const Array& a) { return sum(square(avg_pool(a, {2}, {2}))); };
  const auto mean_once_more = [&](const Array& a) {
    return sum(grad(square_of_mean)(a) * sequence({1, 2, 3, 4}, {1, 4, 1}));
  };
  CHECK(doubles(grad(mean_once_more)(x)) == row({1.5, 1.5, 3.5, 3.5}));
}

TEST_CASE("pooling agrees with pooling one axis after the other") {
  for (const attr::Window& pool : sweep()) {
    CAPTURE(describe_pool(pool));
    const Array x = random_array(pool.input_shape, float64, 1);
    const auto largest = naive_pool(x, pool, -infinity, [](double a, double b) { return std::max(a, b); });
    const auto total = naive_pool(x, pool, 0.0, [](double a, double b) { return a + b; });
    CHECK(doubles(run(ops::max_pool, Which::reference, {x}, pool)) == largest);
    CHECK(relative_error(doubles(run(ops::window_sum, Which::reference, {x}, pool)), total) < 1e-14);
  }
}

TEST_CASE("pooling: fast kernels agree with the reference") {
  for (const attr::Window& pool : sweep()) {
    CAPTURE(describe_pool(pool));
    for (const DType dtype : {float32, float64}) {
      for (const auto& [op, operands] : applications(pool, dtype)) {
        CAPTURE(op->name);
        const Array expected = run(*op, Which::reference, operands, pool);
        const Array got = run(*op, Which::fast, operands, pool);
        CHECK(relative_error(doubles(got), doubles(expected)) < (dtype == float32 ? 1e-6 : 1e-14));
      }
    }
    for (const DType dtype : {int32, int64, uint8, uint32}) {
      const Array x = astype(random_array(pool.input_shape, float64, 1) * 100 + 100, dtype);
      CHECK(same_bytes(run(ops::max_pool, Which::fast, {x}, pool), run(ops::max_pool, Which::reference, {x}, pool)));
    }
  }
}

TEST_CASE("pooling: the same bytes from any number of threads, and on AVX2 as on AVX-512") {
  const Executor one(1), others[] = {Executor(2), Executor(3), Executor(2, VectorSet::avx2)};
  for (const attr::Window& pool : sweep()) {
    CAPTURE(describe_pool(pool));
    for (const auto& [op, operands] : applications(pool, float32)) {
      CAPTURE(op->name);
      const Array expected = run(*op, Which::fast, operands, pool, one);
      for (const Executor& other : others) CHECK(same_bytes(run(*op, Which::fast, operands, pool, other), expected));
    }
  }
}

TEST_CASE("pooling: gradient rules are adjoints") {
  for (const attr::Window& pool : sweep()) {
    CAPTURE(describe_pool(pool));
    const Array x = with_ties(pool.input_shape, float64, 1);
    const Array c = random_array(pool.input_shape, float64, 2);
    const Array g = random_array(result_shape(pool), float64, 3);
    const double tolerance = 1e-13 * (1.0 + static_cast<double>(c.size() + g.size()));
    const auto close = [&](double a, double b) { return std::abs(a - b) < tolerance; };

    const Array total = run(ops::window_sum, Which::fast, {c}, pool);
    CHECK(close(inner_product(total, g), inner_product(c, pull_back(ops::window_sum, {c}, pool, g)[0])));
    CHECK(same_bytes(pull_back(ops::window_sum_transpose, {g}, pool, c)[0], total));

    const Array scattered = pull_back(ops::max_pool, {x}, pool, g)[0];
    const auto gathered = pull_back(ops::max_pool_grad, {x, g}, pool, c);
    CHECK_FALSE(gathered[0].defined());
    CHECK(close(inner_product(scattered, c), inner_product(g, gathered[1])));
    const auto back = pull_back(ops::max_pool_gather, {x, c}, pool, g);
    CHECK_FALSE(back[0].defined());
    CHECK(same_bytes(back[1], scattered));
    // Where a window sees the input, what is gathered from x itself is its maximum.
    const auto largest = doubles(run(ops::max_pool, Which::fast, {x}, pool));
    const auto own = doubles(run(ops::max_pool_gather, Which::fast, {x, x}, pool));
    for (std::size_t i = 0; i < largest.size(); ++i) REQUIRE(own[i] == (largest[i] == -infinity ? 0.0 : largest[i]));
  }
}

TEST_CASE("pooling says what does not fit") {
  const Array x = random_array({1, 4, 4, 1}, float32, 1);
  CHECK(error_text<ShapeError>([&] { return max_pool(x, {2, 2, 2, 2}); }) ==
        "[max_pool] The window needs one number per spatial axis.\n"
        "  got: window (2, 2, 2, 2), input (1, 4, 4, 1)\n"
        "  expected: 2 numbers");
  CHECK(error_text<ShapeError>([&] { return avg_pool(x, {2, 2}, {2}); }) ==
        "[avg_pool] The strides need one number per spatial axis.\n  got: (2,)\n  expected: 2 numbers");
  CHECK(error_text<ValueError>([&] { return min_pool(x, {2, 0}); }) ==
        "[min_pool] The window's extents must be positive.\n  got: (2, 0)");
  CHECK(error_text<ValueError>([&] { return max_pool(x, {2, 2}, {1, -1}); }) ==
        "[max_pool] The strides must be positive.\n  got: (1, -1)");
  CHECK(error_text<ShapeError>([&] { return max_pool(x, {2, 2}, {}, Padding::Pairs{{0, 0}}); }) ==
        "[max_pool] Padding needs one (low, high) pair per spatial axis.\n  got: 1 pairs\n  expected: 2");
  CHECK(error_text<ShapeError>([&] { return avg_pool(random_array({4, 4}, float32, 1), {}); }) ==
        "[avg_pool] The input needs a batch axis, 1 to 3 spatial axes and a channel axis.\n  got: input (4, 4)");
  CHECK(error_text<DTypeError>([&] { return max_pool(x > 0, {2, 2}); }) ==
        "[max_pool] The operand must be numeric.\n  got: bool[1,4,4,1]");
  CHECK(error_text<DTypeError>([&] { return min_pool(x > 0, {2, 2}); }) ==
        "[min_pool] The operand must be numeric.\n  got: bool[1,4,4,1]");
}

TEST_CASE("axes before the spatial ones count as the batch, and none is needed") {
  const Array x = random_array({3, 2, 4, 5}, float32, 2);
  const Array flat = max_pool(reshape(x, {6, 4, 5}), {2});
  const Array pooled = max_pool(x, {2});
  CHECK(pooled.shape() == Shape{3, 2, 3, 5});
  CHECK(identical(reshape(pooled, {6, 3, 5}), flat));
  const Array single = avg_pool(x, {2, 2, 2});
  CHECK(single.shape() == Shape{2, 1, 3, 5});
  CHECK(identical(expand_dims(single, 0), avg_pool(expand_dims(x, 0), {2, 2, 2})));
}

TEST_CASE("pooling survives absurd sizes") {
  const Array x = random_array({1, 4, 1}, float32, 1);
  constexpr std::int64_t huge = std::int64_t{1} << 62;
  for (const Padding& padding : {Padding("SAME"), Padding("VALID"), Padding(1)}) {
    CHECK(error_text<ShapeError>([&] {
            return max_pool(x, {huge}, {}, padding);
          }).starts_with("[max_pool] A size is too large."));
    CHECK(avg_pool(x, {3}, {huge / 16}, padding).shape() == Shape{1, 1, 1});
  }
  CHECK(max_pool(x, {huge / 16}).shape() == Shape{1, 0, 1});
  CHECK(doubles(max_pool(x, {huge / 16}, {}, "SAME")) == std::vector<double>(4, max(x).item<double>()));
}

TEST_CASE("pooling agrees with Flax") {
  const auto array = [](const golden::json& value) {
    const auto extents = golden::shape(value);
    return Array::from(golden::values<float>(value), Shape(extents.begin(), extents.end()));
  };
  for (const std::string kind : {"max_pool", "min_pool", "avg_pool"}) {
    for (const golden::json& entry : golden::load("layers.json").where("layer", kind)) {
      const std::string name = entry["name"];
      CAPTURE(name);
      const golden::json& config = entry["config"];
      const auto shape = [](const golden::json& value) {
        if (value.is_null()) return Shape{};
        const auto numbers = golden::numbers<std::int64_t>(value);
        return Shape(numbers.begin(), numbers.end());
      };
      const Shape window = shape(config["window_shape"]);
      const Shape strides = shape(config["strides"]);
      const golden::json& given = config["padding"];
      const Padding padding =
          given.is_string() ? Padding(given.get<std::string>()) : Padding(given.get<Padding::Pairs>());
      const bool count_include_pad = config.value("count_include_pad", true);

      const Array x = array(entry["x"]);
      const Array weights = array(entry["weights"]);
      const bool batched = x.rank() == window.rank() + 2;  // the layer adds an axis where there is no batch
      const auto pool = [&](const Array& input) {
        const Array in = batched ? input : expand_dims(input, 0);
        const Array y = kind == "max_pool"   ? max_pool(in, window, strides, padding)
                        : kind == "min_pool" ? min_pool(in, window, strides, padding)
                                             : avg_pool(in, window, strides, padding, count_include_pad);
        return batched ? y : squeeze(y, 0);
      };
      CHECK(pool(x).shape() == weights.shape());
      CHECK(relative_error(doubles(pool(x)), golden::values<double>(entry["output"])) < 2e-7);
      const Array dx = grad([&](const Array& input) { return sum(pool(input) * weights); })(x);
      CHECK(relative_error(doubles(dx), golden::values<double>(entry["grads"]["x"])) < 2e-7);
    }
  }
}
