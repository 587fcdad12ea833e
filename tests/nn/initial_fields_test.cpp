// Layers whose initializers are given, against Flax: what init draws, bit for bit, and what a call gives.
#include <functional>

#include <doctest/doctest.h>

#include <linseed/nn/layers.hpp>

#include "calls.hpp"

using namespace linseed;
using calls::json;
namespace init = nn::initializers;

namespace {

std::function<Array(nn::Scope&, const Array&)> layer_named(const std::string& name) {
  const auto call = [](auto layer) {
    return [layer](nn::Scope& scope, const Array& x) -> Array { return layer(scope, x); };
  };
  const nn::Initializer scale = init::normal(0.5), bias = init::uniform(2.0);
  if (name == "BatchNorm") {
    return call(nn::BatchNorm{.use_running_average = false, .momentum = 0.9, .bias_init = bias, .scale_init = scale});
  }
  if (name == "BatchNorm/axes") {
    return call(nn::BatchNorm{.use_running_average = false,
                              .axis = {1, 2},
                              .bias_init = init::normal(1.0),
                              .scale_init = init::uniform(3.0)});
  }
  if (name == "LayerNorm") return call(nn::LayerNorm{.bias_init = bias, .scale_init = scale});
  if (name == "GroupNorm") return call(nn::GroupNorm{.num_groups = 2, .bias_init = bias, .scale_init = scale});
  if (name == "RMSNorm") return call(nn::RMSNorm{.scale_init = scale});
  if (name == "Dense")
    return call(nn::Dense{.features = 3, .kernel_init = init::he_uniform(), .bias_init = init::normal(0.1)});
  if (name == "Conv") {
    return call(nn::Conv{
        .features = 3, .kernel_size = {2, 2}, .kernel_init = init::xavier_normal(), .bias_init = init::uniform()});
  }
  REQUIRE(name == "Embed");
  return call(nn::Embed{.num_embeddings = 4, .features = 3, .embedding_init = init::normal(0.2)});
}

}  // namespace

TEST_CASE("initializers that are fields of layers draw what Flax's do") {
  for (const json& entry : golden::load("initial_fields.json").cases()) {
    const std::string name = entry.at("name").get<std::string>();
    CAPTURE(name);
    const golden::Measured measured("flax.linen." + name.substr(0, name.find('/')));
    const auto layer = layer_named(name);
    const Array x = support::array_of(entry.at("x"));
    const Tree variables = nn::init(layer, golden::key_of(entry), x);
    calls::check_near(variables, calls::tree_of(entry.at("variables")), 0.0, 0.0);
    const auto [output, updates] = nn::apply(layer, variables, nn::mutable_({"batch_stats"}), x);
    support::check_near(output, support::array_of(entry.at("output")), 1e-5, 1e-6);
    calls::check_near(updates, calls::tree_of(entry.at("updates")), 1e-5, 1e-6);
  }
}
