// Activations that jax.nn has and flax.linen has not.
#include <linseed/nn/jax_activations.hpp>

#include <functional>

#include <doctest/doctest.h>

#include <linseed/ops/reduce.hpp>
#include <linseed/transform/grad.hpp>

#include "support.hpp"

using namespace linseed;
using golden::json;

TEST_CASE("further activations and their gradients follow jax.nn") {
  for (const json& entry : golden::load("further_functions.json").where("kind", "activation")) {
    CAPTURE(entry.at("name").get<std::string>());
    const std::string fn = entry.at("fn").get<std::string>();
    const double b = entry.at("args").value("b", 4.0);
    const std::function<Array(const Array&)> function = [&](const Array& x) {
      if (fn == "identity") return nn::identity(x);
      if (fn == "mish") return nn::mish(x);
      if (fn == "squareplus") return nn::squareplus(x, b);
      if (fn == "sparse_plus") return nn::sparse_plus(x);
      REQUIRE(fn == "sparse_sigmoid");
      return nn::sparse_sigmoid(x);
    };
    const golden::Measured measured("jax.nn." + fn);
    const Array x = support::array_of(entry.at("x"));
    // Far below zero the outputs are subnormal, or the difference of two equal numbers.
    support::check_near(function(x), support::array_of(entry.at("output")), 1e-5, 1e-7);
    const Array gradient = grad([&](const Array& input) { return sum(function(input)); })(x);
    support::check_near(gradient, support::array_of(entry.at("grad")), 1e-5, 1e-7);
  }
}
