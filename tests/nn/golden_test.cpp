// Names, keys, initial values, forward and backward passes of real Flax models.
#include <functional>
#include <map>
#include <string>

#include <doctest/doctest.h>

#include <linseed/random/random.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "models.hpp"
#include "random/golden_arrays.hpp"
#include "support.hpp"

using namespace linseed;
using golden::json;
using support::array_of;
using support::check_near;
using support::tree_of;

namespace {

nn::Rngs rngs_of(const json& entry) {
  nn::Rngs result;
  if (!entry.contains("rngs")) return result;
  for (const auto& [stream, words] : entry.at("rngs").items())
    result.streams = result.streams.set(stream, support::key_of(words));
  return result;
}

/// Calls `function` with the model of that name.
template <class Function>
void with_model(const std::string& name, const Function& function) {
  if (name == "mlp_batch_norm") return function(models::MLP{});
  if (name == "mlp") return function(models::MLP{.batch_norm = false});
  if (name == "cnn") return function(models::CNN{});
  if (name == "bn_lenet") return function(models::BNLeNet{});
  if (name == "nested") return function(models::Nested{});
  if (name == "shared") return function(models::Shared{});
  if (name == "shared_statistics") return function(models::SharedStatistics{});
  if (name == "names") return function(models::Names{});
  if (name == "sequential_inside") return function(models::SequentialInside{});
  if (name == "resnet") return function(models::ResNet{});
  if (name == "encoder") return function(models::Encoder{});
  FAIL("no model ", name);
}

nn::Sequential sequential_at_the_root() {
  return {{nn::Dense{.features = 4}, nn::BatchNorm{.use_running_average = true}, nn::relu, nn::Dense{.features = 2}}};
}

void check_variables(const Tree& got, const json& expected) {
  std::vector<std::string> names;
  for (const auto& [path, array] : expected.items()) names.push_back(path);
  std::sort(names.begin(), names.end());
  std::vector<std::string> paths = got.paths();
  std::sort(paths.begin(), paths.end());
  REQUIRE(paths == names);
  for (const std::string& path : names) {
    CAPTURE(path);
    golden::check_identical<float>(got.at(path), expected.at(path));
  }
}

}  // namespace

TEST_CASE("keys are derived from the path and the count as in Flax") {
  for (const json& entry : golden::load("init_params.json").where("kind", "derive")) {
    CAPTURE(entry.at("name").get<std::string>());
    const auto path = entry.at("path").get<std::vector<std::string>>();
    const int count = golden::number<int>(entry.at("count"));
    std::function<Array(nn::Scope&, std::size_t)> draw = [&](nn::Scope& scope, std::size_t depth) {
      if (depth < path.size()) {
        nn::Scope inner = scope.child(path[depth]);
        return draw(inner, depth + 1);
      }
      Array key;
      for (int i = 0; i < count; ++i) key = scope.make_rng("params");
      return key;
    };
    const auto module = [&](nn::Scope& scope) { return draw(scope, 0); };
    const Array key = nn::apply(module, {}, nn::rngs({{"params", support::key_of(entry.at("key"))}}));
    CHECK(identical(key, support::key_of(entry.at("output"))));
  }
}

TEST_CASE("the same seed gives the same parameters as Flax, bit for bit") {
  for (const json& entry : golden::load("init_params.json").where("kind", "init")) {
    CAPTURE(entry.at("name").get<std::string>());
    const std::string name = entry.at("model").get<std::string>();
    const Array key = random::key(golden::number<std::int64_t>(entry.at("seed")));
    const Array x = zeros(golden::extents(entry.at("x_shape")));
    const json& expected = entry.at("variables");
    if (name == "dense") {
      check_variables(nn::init(nn::Dense{.features = 4}, key, x), expected);
    } else if (name == "conv") {
      check_variables(nn::init(nn::Conv{.features = 4, .kernel_size = {3, 3}}, key, x), expected);
    } else if (name == "sequential") {
      check_variables(nn::init(sequential_at_the_root(), key, x), expected);
    } else {
      with_model(name, [&](const auto& model) {
        const Tree variables = nn::init(model, key, x, false);
        check_variables(variables, expected);
        CHECK(identical(nn::init(model, key, x, true), variables));  // whatever the mode
        CHECK(identical(jit([&](const Array& k) { return nn::init(model, k, x, false); })(key), variables));
      });
    }
  }
}

TEST_CASE("whole models compute what Flax computes, dropout masks included") {
  for (const json& entry : golden::load("init_params.json").where("kind", "apply")) {
    CAPTURE(entry.at("name").get<std::string>());
    const Tree variables = tree_of(entry.at("variables"));
    const Array x = array_of(entry.at("x"));
    with_model(entry.at("model").get<std::string>(), [&](const auto& model) {
      const auto [output, updates] =
          nn::apply(model, variables, nn::mutable_({"batch_stats"}), rngs_of(entry), x, true);
      check_near(output, array_of(entry.at("output")));
      check_near(updates, tree_of(entry.at("updates")));
    });
  }
}

// ---- layers ----

namespace {

Shape extents_in(const json& config, const char* key) {
  return config.contains(key) && !config.at(key).is_null() ? golden::extents(config.at(key)) : Shape{};
}

Padding padding_in(const json& config, const char* fallback) {
  if (!config.contains("padding")) return fallback;
  const json& padding = config.at("padding");
  if (padding.is_string()) return std::string_view(padding.get_ref<const std::string&>());
  if (padding.is_number()) return padding.get<int>();
  Padding::Pairs pairs;
  for (const json& side : padding) {
    if (side.is_array())
      pairs.emplace_back(side[0].get<int>(), side[1].get<int>());
    else
      pairs.emplace_back(side.get<int>(), side.get<int>());
  }
  return pairs;
}

nn::Dense dense_of(const json& config) {
  return {.features = config.at("features").get<int>(), .use_bias = config.value("use_bias", true)};
}

nn::Conv conv_of(const json& config) {
  return {.features = config.at("features").get<int>(),
          .kernel_size = extents_in(config, "kernel_size"),
          .strides = extents_in(config, "strides"),
          .padding = padding_in(config, "SAME"),
          .input_dilation = extents_in(config, "input_dilation"),
          .kernel_dilation = extents_in(config, "kernel_dilation"),
          .feature_group_count = config.value("feature_group_count", 1),
          .use_bias = config.value("use_bias", true)};
}

nn::BatchNorm batch_norm_of(const json& config) {
  nn::BatchNorm norm{.use_running_average = config.at("use_running_average").get<bool>(),
                     .momentum = config.value("momentum", 0.99),
                     .epsilon = config.value("epsilon", 1e-5),
                     .use_bias = config.value("use_bias", true),
                     .use_scale = config.value("use_scale", true),
                     .use_fast_variance = config.value("use_fast_variance", true)};
  if (config.contains("axis")) {
    const json& axis = config.at("axis");
    norm.axis = axis.is_array() ? Axes(axis.get<std::vector<int>>()) : Axes(axis.get<int>());
  }
  return norm;
}

nn::Model layer_of(const json& config) {
  const std::string kind = config.at("layer").get<std::string>();
  if (kind == "Dense") return dense_of(config);
  if (kind == "Conv") return conv_of(config);
  if (kind == "BatchNorm") return batch_norm_of(config);
  if (kind == "relu") return nn::relu;
  if (kind == "tanh") return nn::tanh;
  REQUIRE(kind == "sigmoid");
  return nn::sigmoid;
}

/// Forward, updates and gradients of sum(output * weights), eager and under jit.
template <class Module, class... Args>
void check_layer(const json& entry, const Module& module, const Args&... args) {
  CAPTURE(entry.at("name").get<std::string>());
  const Tree variables = tree_of(entry.at("variables"));
  const Array x = array_of(entry.at("x"));
  const Array weights = array_of(entry.at("weights"));
  const nn::Rngs keys = rngs_of(entry);
  const golden::Measured measured("flax.linen." + entry.at("layer").get<std::string>());
  std::vector<std::string> states = variables.keys();
  std::erase(states, "params");

  const auto forward = [&](const Tree& params, const Array& input) {
    const Tree all = params.empty() ? variables : variables.set("params", params);
    return nn::apply(module, all, nn::Mutable(states), keys, input, args...);
  };
  const Tree params = variables.contains("params") ? variables["params"] : Tree();
  const auto [output, updates] = forward(params, x);
  check_near(output, array_of(entry.at("output")));
  check_near(updates, tree_of(entry.at("updates")), 1e-5, 1e-6);

  const auto gradients =
      grad([&](const Tree& p, const Array& input) { return sum(forward(p, input).first * weights); }, argnums<0, 1>);
  const auto [params_grad, x_grad] = gradients(params, x);
  json expected = entry.at("grads");
  // What cancels exactly leaves rounding noise of the size of the terms.
  const double noise = 4e-6;
  check_near(x_grad, array_of(expected.at("x")), 1e-5, noise);
  expected.erase("x");
  if (!params.empty()) check_near(Tree{{"params", params_grad}}, tree_of(expected), 1e-5, noise);

  const auto [jit_params_grad, jit_x_grad] = jit(gradients)(params, x);
  check_near(jit_x_grad, x_grad, 1e-5, noise);
  if (!params.empty()) check_near(jit_params_grad, params_grad, 1e-5, noise);
}

}  // namespace

TEST_CASE("Dense follows Flax") {
  for (const json& entry : golden::load("layers.json").where("layer", "Dense"))
    check_layer(entry, dense_of(entry.at("config")));
}

TEST_CASE("Conv follows Flax") {
  for (const json& entry : golden::load("layers.json").where("layer", "Conv"))
    check_layer(entry, conv_of(entry.at("config")));
}

TEST_CASE("BatchNorm follows Flax") {
  for (const json& entry : golden::load("layers.json").where("layer", "BatchNorm")) {
    const nn::BatchNorm norm = batch_norm_of(entry.at("config"));
    if (entry.contains("mask")) {
      check_layer(entry, norm, std::optional<bool>(), array_of(entry.at("mask")));
    } else {
      check_layer(entry, norm);
    }
  }
}

TEST_CASE("Dropout follows Flax, masks included") {
  for (const json& entry : golden::load("layers.json").where("layer", "Dropout")) {
    const json& config = entry.at("config");
    check_layer(entry, nn::Dropout{.rate = config.at("rate").get<double>(),
                                   .broadcast_dims = config.value("broadcast_dims", std::vector<int>()),
                                   .deterministic = config.at("deterministic").get<bool>()});
  }
}

TEST_CASE("the poolings follow Flax") {
  for (const json& entry : golden::load("layers.json").cases()) {
    const std::string kind = entry.at("layer").get<std::string>();
    if (!kind.ends_with("_pool")) continue;
    const json& config = entry.at("config");
    const Shape window = golden::extents(config.at("window_shape"));
    check_layer(entry, [&](nn::Scope&, const Array& x) {
      const Shape strides = extents_in(config, "strides");
      const Padding padding = padding_in(config, "VALID");
      if (kind == "max_pool") return nn::max_pool(x, window, strides, padding);
      if (kind == "min_pool") return nn::min_pool(x, window, strides, padding);
      return nn::avg_pool(x, window, strides, padding, config.value("count_include_pad", true));
    });
  }
}

TEST_CASE("Sequential follows Flax") {
  for (const json& entry : golden::load("layers.json").where("layer", "Sequential")) {
    nn::Sequential sequential;
    for (const json& layer : entry.at("config").at("layers")) sequential.layers.push_back(layer_of(layer));
    check_layer(entry, sequential);
  }
}
