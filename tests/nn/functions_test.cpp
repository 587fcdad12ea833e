#include <linseed/nn/functions.hpp>

#include <functional>
#include <map>

#include <doctest/doctest.h>

#include <linseed/transform/grad.hpp>

#include "support.hpp"

using namespace linseed;
using golden::json;
using support::array_of;
using support::check_near;

namespace {

using Function = std::function<Array(const Array&)>;

Function function_of(const json& entry) {
  const std::string name = entry.at("fn").get<std::string>();
  const json& args = entry.at("args");
  using Plain = Array (*)(const Array&);
  static const std::map<std::string, Plain> plain = {{"relu6", nn::relu6},
                                                     {"hard_tanh", nn::hard_tanh},
                                                     {"hard_sigmoid", nn::hard_sigmoid},
                                                     {"hard_swish", nn::hard_swish},
                                                     {"silu", nn::silu},
                                                     {"swish", nn::swish},
                                                     {"softplus", nn::softplus},
                                                     {"log_sigmoid", nn::log_sigmoid},
                                                     {"soft_sign", nn::soft_sign},
                                                     {"selu", nn::selu}};
  if (const auto found = plain.find(name); found != plain.end()) return found->second;
  if (name == "relu") return nn::relu;
  if (name == "sigmoid") return nn::sigmoid;
  if (name == "tanh") return nn::tanh;
  if (name == "elu") return [alpha = args.value("alpha", 1.0)](const Array& x) { return nn::elu(x, alpha); };
  if (name == "celu") return [alpha = args.value("alpha", 1.0)](const Array& x) { return nn::celu(x, alpha); };
  if (name == "leaky_relu") {
    return [slope = args.value("negative_slope", 0.01)](const Array& x) { return nn::leaky_relu(x, slope); };
  }
  if (name == "gelu")
    return [approximate = args.at("approximate").get<bool>()](const Array& x) { return nn::gelu(x, approximate); };
  if (name == "glu") return [axis = args.value("axis", -1)](const Array& x) { return nn::glu(x, axis); };
  const json axis = args.value("axis", json(-1));
  const Axes axes = axis.is_array() ? Axes(axis.get<std::vector<int>>()) : Axes(axis.get<int>());
  if (name == "standardize" || name == "normalize") {
    return [axes, epsilon = args.value("epsilon", 1e-5)](const Array& x) {
      return nn::normalize(x, axes, {.epsilon = epsilon});
    };
  }
  if (name == "softmax") return [axes](const Array& x) { return nn::softmax(x, axes); };
  if (name == "log_softmax") return [axes](const Array& x) { return nn::log_softmax(x, axes); };
  REQUIRE(name == "logsumexp");
  return [axes](const Array& x) { return logsumexp(x, axes); };
}

}  // namespace

TEST_CASE("activations and their gradients follow jax.nn") {
  for (const json& entry : golden::load("activations.json").cases()) {
    const Function function = function_of(entry);
    const golden::Measured measured("flax.linen." + entry.at("fn").get<std::string>());
    CAPTURE(entry.at("name").get<std::string>());
    const Array x = array_of(entry.at("x"));
    // The ends of exp near -88 are subnormal, and JAX flushes those to zero.
    check_near(function(x), array_of(entry.at("output")), 1e-5, 1e-37);
    const Array cotangent = array_of(entry.at("cotangent"));
    const Array gradient = grad([&](const Array& input) { return sum(function(input) * cotangent); })(x);
    check_near(gradient, array_of(entry.at("grad")), 1e-5, 1e-7);
  }
}
