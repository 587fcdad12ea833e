// Activations over axes, and PReLU: what functions_test.cpp does not reach.
#include <linseed/nn/activations.hpp>

#include <doctest/doctest.h>

#include "calls.hpp"

using namespace linseed;
using support::check_near;
using support::error_of;

TEST_CASE("standardize takes statistics that are given") {
  const Array x{{1.0, 2.0, 3.0}, {4.0, 6.0, 8.0}};
  check_near(nn::standardize(x, -1, {.mean = Array(1.0), .variance = Array(4.0), .epsilon = 0.0}), (x - 1) / 2);
  check_near(nn::standardize(x, 0, {.epsilon = 0.0}), Array{{-1.0, -1.0, -1.0}, {1.0, 1.0, 1.0}});
  check_near(nn::standardize(x, {}, {.epsilon = 0.0}), (x - 4) / std::sqrt(130.0 / 6 - 16));
  const Array first_two{true, true, false};
  check_near(nn::standardize(x, -1, {.epsilon = 0.0, .where = first_two}), Array{{-1.0, 1.0, 3.0}, {-1.0, 1.0, 3.0}});
  CHECK(all(isnan(nn::standardize(x, -1, {.where = Array{false, false, false}}))).item<bool>());
  CHECK(error_of<ShapeError>([&] { return nn::standardize(x, -1, {.where = ones({2}, bool_)}); }) ==
        "[standardize] The mask does not broadcast.\n  got: (2,)\n  expected: a shape that broadcasts to (2, 3)");
  CHECK(error_of<ValueError>([&] {
          return nn::standardize(x, -1, {.epsilon = -1});
        }).find("[standardize] epsilon is out of its range.") == 0);
}

TEST_CASE("activations keep NaN, and refuse what does not fit") {
  const Array nan = Array{std::nan("")};
  for (const auto& function : {nn::relu6, nn::selu, nn::silu, nn::softplus, nn::log_sigmoid, nn::soft_sign,
                               nn::hard_tanh, nn::hard_sigmoid, nn::hard_silu}) {
    CHECK(isnan(function(nan)).item<bool>());
  }
  CHECK(error_of<ShapeError>([] { return nn::glu(ones({2, 3})); }) ==
        "[split] The parts do not divide the axis.\n  got: 2 parts of axis 1 of (2, 3)");
  CHECK(error_of<ValueError>([] { return nn::celu(ones({2}), 0.0); }) == "[celu] alpha must not be 0.\n  got: 0");
}

TEST_CASE("the exact gelu keeps its digits far from zero") {
  // x / 2 * erfc(-x / sqrt(2)) at -5, in double; rounding the argument alone costs 25 half units.
  CHECK(std::abs(nn::gelu(Array{-5.0}, false).item<double>() / -1.4332578593959731e-06 - 1) < 3e-6);
}

TEST_CASE("PReLU's slope is a scalar of its own dtype; the output has the input's") {
  const Tree variables =
      nn::init(nn::PReLU{.param_dtype = float64, .negative_slope_init = 0.5}, random::key(0), ones({2}));
  CHECK(identical(variables, Tree{{"params", Tree{{"negative_slope", Array(0.5, float64)}}}}));
  check_near(nn::apply(nn::PReLU{.param_dtype = float64}, variables, Array{-2.0, 3.0}), Array{-1.0, 3.0});
}
