// Statistics, differences, elements that are not finite.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <linseed/inspect/difference.hpp>
#include <linseed/inspect/non_finite.hpp>
#include <linseed/inspect/statistics.hpp>
#include <linseed/optim/optimizers.hpp>
#include <linseed/random/random.hpp>
#include <linseed/train/train_state.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "nn/models.hpp"
#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

constexpr double quiet_nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("statistics are over the finite elements of each Array") {
  const Tree tree{{"a", Tree{{"kernel", Array{{1.0, 2.0}, {3.0, 6.0}}}, {"bias", Array{quiet_nan, 5.0, -infinity}}}},
                  {"count", Array(7)},
                  {"none", zeros({0, 3})}};
  const inspect::Statistics statistics = inspect::statistics(tree);
  REQUIRE(statistics.leaves.size() == 4);
  const auto& [bias, kernel, count, empty] =
      std::tie(statistics.leaves[0], statistics.leaves[1], statistics.leaves[2], statistics.leaves[3]);
  CHECK(kernel.path == "a/kernel");
  CHECK(kernel.mean == 3.0);
  CHECK(kernel.std == doctest::Approx(std::sqrt((4.0 + 1.0 + 0.0 + 9.0) / 4.0)).epsilon(1e-15));
  CHECK(kernel.min == 1.0);
  CHECK(kernel.max == 6.0);
  CHECK(kernel.non_finite == 0);
  CHECK(bias.mean == 5.0);
  CHECK(bias.std == 0.0);
  CHECK(bias.non_finite == 2);
  CHECK(count.mean == 7.0);
  CHECK(count.dtype == int32);
  CHECK(std::isnan(empty.mean));
  CHECK(std::isnan(empty.max));
  CHECK(fmt::format("{}", statistics) == R"(╭──────────┬──────────────┬──────┬───────┬─────┬─────┬────────────╮
│ path     │ type         │ mean │   std │ min │ max │ non-finite │
├──────────┼──────────────┼──────┼───────┼─────┼─────┼────────────┤
│ a/bias   │ float32[3]   │    5 │     0 │   5 │   5 │          2 │
│ a/kernel │ float32[2,2] │    3 │ 1.871 │   1 │   6 │          0 │
│ count    │ int32[]      │    7 │     0 │   7 │   7 │          0 │
│ none     │ float32[0,3] │  nan │   nan │ nan │ nan │          0 │
╰──────────┴──────────────┴──────┴───────┴─────┴─────┴────────────╯
)");
}

TEST_CASE("statistics keep their digits where the mean is large") {
  const Array x = astype(arange(1000), float64) + 1e9;
  const auto leaf = inspect::statistics(Tree(x)).leaves.front();
  CHECK(leaf.std == doctest::Approx(std::sqrt((1000.0 * 1000.0 - 1.0) / 12.0)).epsilon(1e-9));
}

TEST_CASE("differences name every path with what differs there") {
  const Tree a{{"same", Array{1.0, quiet_nan}},
               {"values", Array{1.0, 2.0, 3.0}},
               {"shape", zeros({2, 3})},
               {"dtype", Array{1}},
               {"gone", Array(1.0)}};
  const Tree b{{"same", Array{1.0, quiet_nan}},
               {"values", Array{1.0, 2.5, 2.75}},
               {"shape", zeros({3, 2})},
               {"dtype", Array{1.0}},
               {"more", Tree{{"x", Array(2)}}}};
  CHECK(fmt::format("{}", inspect::difference(a, b)) ==
        "dtype: int32[1] against float32[1]\n"
        "gone: float32[] in the first alone\n"
        "shape: float32[2,3] against float32[3,2]\n"
        "values: 2 elements of float32[3] differ, by at most 0.5\n"
        "more/x: int32[] in the second alone");
  CHECK(inspect::difference(a, b).max_abs() == infinity);
  CHECK(inspect::difference(a, a).empty());
  CHECK(fmt::format("{}", inspect::difference(a, a)) == "no difference");
  CHECK(inspect::difference(Array{1.0, infinity}, Array{1.5, infinity}).max_abs() == 0.5);
  CHECK(inspect::difference(Array{quiet_nan}, Array{0.0}).max_abs() == infinity);
  CHECK(inspect::difference(Array{infinity}, Array{-infinity}).max_abs() == infinity);
  CHECK(inspect::difference(Array{0.0}, Array{-0.0}).empty());
}

TEST_CASE("training states are compared field by field") {
  const Array x = ones({4, 3});
  const Tree variables = nn::init(models::MLP{}, random::key(0), x, false);
  const TrainState state =
      TrainState::create(models::MLP{}, variables["params"], variables["batch_stats"], optim::sgd(0.5));
  const TrainState next =
      state.apply_gradients(tree::map([](const Array& p) { return zeros_like(p) + 1; }, state.params));
  const inspect::Difference difference = inspect::difference(state, next);
  REQUIRE(difference.leaves.size() == 7);
  CHECK(difference.leaves[0].path == "step");
  CHECK(difference.leaves[0].max_abs == 1.0);
  CHECK(difference.leaves[1].path == "params/BatchNorm_0/bias");
  CHECK(difference.leaves[1].count == 4);
  CHECK(difference.leaves[1].max_abs == 0.5);
}

TEST_CASE("the first element that is not finite is found with its place") {
  const Tree tree{{"a", Array{1.0, 2.0}}, {"b", Array{{{1.0, 2.0}, {3.0, -infinity}}, {{quiet_nan, 1.0}, {1.0, 1.0}}}}};
  const auto found = inspect::first_non_finite(tree);
  REQUIRE(found);
  CHECK(found->to_string() == "b[0,1,1] is -inf");
  CHECK_FALSE(inspect::first_non_finite(Tree{{"a", Array{1, 2}}}));
  for (const double x : {quiet_nan, -quiet_nan})
    CHECK(inspect::first_non_finite(std::pair(Array(1.0), Array(x)))->to_string() == "1 is nan");

  const auto loss = [](const Tree& params) { return sum(sqrt(params["x"].array())) + sum(params["y"].array()); };
  const Tree gradient = grad(loss)(Tree{{"x", Array{4.0, 0.0}}, {"y", Array{1.0}}});
  CHECK(inspect::first_non_finite(gradient)->to_string() == "x[1] is inf");
}

TEST_CASE("of activations the module that returns first is named") {
  const Array x = ones({2, 3});
  const Tree variables = nn::init(models::Nested{}, random::key(0), x, false);
  CHECK_FALSE(inspect::first_non_finite_activation(models::Nested{}, variables, x, false));
  const Tree broken = variables.set("params/Block_1/Dense_0/bias", Array{0.0, quiet_nan, 0.0, 0.0});
  const auto found = inspect::first_non_finite_activation(models::Nested{}, broken, x, false);
  REQUIRE(found);
  CHECK(found->to_string() == "Block_1/Dense_0/__call__[0,1] is nan");
  const auto with_keys =
      inspect::first_non_finite_activation(models::Nested{}, broken, nn::rngs({{"dropout", random::key(1)}}), x, true);
  CHECK(with_keys->path == "Block_1/Dense_0/__call__");
}

TEST_CASE("what has no values yet is refused") {
  const auto look = [](const Array& x) {
    (void)inspect::statistics(x);
    return x;
  };
  CHECK(error_of<TraceError>([&] { return jit(look)(ones({2})); }) ==
        "[inspect] What is being traced has no values to look at.\n  got: float32[2]\n"
        "  hint: return it from the compiled function and look at it there");
  CHECK_FALSE(inspect::first_non_finite(jit([](const Array& x) { return x; })(ones({2}))));
}
