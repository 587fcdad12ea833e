// Local convolutions, layers around modules with submodules, attention weights that are sown, and layers under other
// names, against Flax.
#include <doctest/doctest.h>

#include <linseed/nn/activations.hpp>
#include <linseed/nn/attention.hpp>
#include <linseed/nn/combinators.hpp>
#include <linseed/nn/conv.hpp>
#include <linseed/nn/linear.hpp>
#include <linseed/nn/norm.hpp>
#include <linseed/nn/weight_norm.hpp>

#include "calls.hpp"

using namespace linseed;
using calls::Arrays;
using calls::json;
using support::check_near;
using support::error_of;

namespace {

struct Inner {
  std::string name = {};
  Array operator()(nn::Scope& parent, const Array& x) const {
    nn::Scope scope = parent.enter(*this);
    return nn::Dense{.features = 2}(scope, nn::relu(x));
  }
};

struct Block {
  std::string name = {};
  Array operator()(nn::Scope& parent, const Array& x, bool train) const {
    nn::Scope scope = parent.enter(*this);
    Array y = nn::Dense{.features = 3}(scope, x);
    y = nn::BatchNorm{.use_running_average = !train}(scope, y);
    const Array first = Inner{}(scope, y);
    return first + Inner{}(scope, y);
  }
};

const nn::Initializer normal = nn::initializers::normal(1.0);

Array wrapped(const std::string& label, nn::Scope& scope, const Array& x) {
  if (label == "weight") return nn::WeightNorm{.layer_instance = Block{}}(scope, x, false);
  if (label == "weight_all")
    return nn::WeightNorm{.layer_instance = Block{}, .scale_init = normal, .variable_filter = {}}(scope, x, false);
  if (label == "weight_some")
    return nn::WeightNorm{.layer_instance = Block{}, .epsilon = 0.1, .variable_filter = {"Inner_1", "bias"}}(scope, x,
                                                                                                             false);
  if (label == "weight_module")
    return nn::WeightNorm{.layer_instance = Block{.name = "block"}, .variable_filter = {"block/D"}}(scope, x, false);
  if (label == "weight_rows")
    return nn::WeightNorm{.layer_instance = Block{}, .scale_init = normal, .feature_axes = 0}(scope, x, false);
  if (label == "weight_whole")
    return nn::WeightNorm{.layer_instance = Block{}, .scale_init = normal, .feature_axes = {}}(scope, x, false);
  if (label == "spectral") return nn::SpectralNorm{.layer_instance = Block{}}(scope, x, true, true);
  if (label == "spectral_keep")
    return nn::SpectralNorm{.layer_instance = Block{}, .n_steps = 2}(scope, x, false, false);
  if (label == "spectral_collection")
    return nn::SpectralNorm{.layer_instance = Block{}, .collection_name = "sn"}(scope, x, true, true);
  REQUIRE(label == "two");
  const Array y = nn::SpectralNorm{.layer_instance = nn::Dense{.features = 3}}(scope, x, true);
  return nn::WeightNorm{.layer_instance = Inner{}}(scope, y);
}

nn::Sequential sequential() {
  return {{nn::WeightNorm{.layer_instance = nn::Dense{.features = 3}, .scale_init = normal}, nn::relu,
           nn::WeightNorm{.layer_instance = Inner{}, .variable_filter = {}}}};
}

/// In place of attention: no weights at all.
Array doubled(const Array& query, const Array&, const Array& value, const nn::AttentionOptions&) {
  return 2 * query + mean(value, -3, true);
}

Array attend(const std::string& label, nn::Scope& scope, const Array& x) {
  const Array mask = nn::make_causal_mask(reshape(slice_axis(x, -1, 0, 1), {x.extent(0), x.extent(1)}));
  if (label == "multi_head") {
    return nn::MultiHeadAttention{.num_heads = 2}(scope, x, {.mask = mask, .sow_weights = true});
  }
  if (label == "self") {
    return nn::SelfAttention{.num_heads = 2, .qkv_features = 6}(scope, x, {.sow_weights = true});
  }
  if (label == "before_dropout") {
    return nn::MultiHeadAttention{.num_heads = 2, .dropout_rate = 0.5, .deterministic = false}(
        scope, x, {.dropout_rng = random::key(3), .sow_weights = true});
  }
  if (label == "twice") {
    const auto layer = scope.share(nn::MultiHeadDotProductAttention{.num_heads = 2}, "shared");
    const Array y = layer(x, nn::AttentionArguments{.mask = mask, .sow_weights = true});
    return layer(y, nn::AttentionArguments{.sow_weights = true});
  }
  if (label == "other_function") return nn::MultiHeadAttention{.num_heads = 2, .attention_fn = doubled}(scope, x);
  REQUIRE(label == "quiet");
  return nn::SelfAttention{.num_heads = 2}(scope, x, nn::AttentionArguments{.mask = mask});
}

}  // namespace

TEST_CASE("local convolutions follow Flax") {
  for (const json& entry : golden::load("modules.json").where("layer", "ConvLocal")) {
    const json& config = entry.at("config");
    const nn::ConvLocal layer{.features = config.at("features").get<int>(),
                              .kernel_size = calls::extents_in(config, "kernel_size"),
                              .strides = calls::extents_in(config, "strides"),
                              .padding = calls::padding_in(config, "SAME"),
                              .input_dilation = calls::extents_in(config, "input_dilation"),
                              .kernel_dilation = calls::extents_in(config, "kernel_dilation"),
                              .use_bias = config.value("use_bias", true)};
    const Array mask = entry.contains("mask") ? support::array_of(entry.at("mask")) : Array();
    calls::check_inside(entry,
                        [&](nn::Scope& scope, const Arrays& in) -> Arrays { return {layer(scope, in[0], mask)}; });
  }
  CHECK(error_of<ShapeError>([] {
          return nn::init(nn::ConvLocal{.features = 1, .kernel_size = {2}}, random::key(0), ones({1, 3, 2}), ones({2}));
        }) ==
        "[ConvLocal] The mask must have the kernel's shape.\n"
        "  got: (2,)\n"
        "  expected: (3, 4, 1)");
}

TEST_CASE("layers around modules of several submodules follow Flax: names, initial values, outputs, gradients") {
  for (const json& entry : golden::load("modules.json").where("layer", "wrapped")) {
    const std::string label = entry.at("label").get<std::string>();
    CAPTURE(label);
    const Tree made = calls::tree_of(entry.at("init"));
    const Array x = support::array_of(entry.at("inputs")[0]);
    if (label == "sequential") {
      // At the root itself: the layers have names of their own.
      const nn::Sequential model = sequential();
      calls::check_near(nn::init(model, random::key(0), x), made, 1e-5, 1e-6);
      const Tree variables = calls::tree_of(entry.at("variables"));
      check_near(nn::apply(model, variables, x), support::array_of(entry.at("outputs")[0]), 1e-5, 1e-6);
      continue;
    }
    const auto module = [&](nn::Scope& scope, const Arrays& in) -> Arrays { return {wrapped(label, scope, in[0])}; };
    calls::check(entry, module);
    calls::check_near(nn::init(module, random::key(0), Arrays{x}), made, 1e-5, 1e-6);
  }
}

TEST_CASE("statistics inside of a WeightNorm move, where Flax allows none") {
  const Array x = random::normal(random::key(1), {4, 5});
  const nn::WeightNorm norm{.layer_instance = Block{}, .use_scale = false};
  const Tree variables = nn::init(norm, random::key(0), x, true);
  const auto [y, updates] = nn::apply(norm, variables, nn::mutable_({"batch_stats"}), x, true);
  // nn::init stored kernels that are normalized already, so that the block alone computes the same.
  const Tree inner = {{"params", variables.at("params/layer_instance")},
                      {"batch_stats", variables.at("batch_stats/layer_instance")}};
  const auto [z, alone] = nn::apply(Block{}, inner, nn::mutable_({"batch_stats"}), x, true);
  check_near(y, z, 1e-5, 1e-6);
  check_near(updates.at("batch_stats/layer_instance"), alone["batch_stats"], 1e-5, 1e-6);
  CHECK(error_of<ValueError>([&] { return nn::apply(norm, variables, x); }).starts_with("[Model] Block does not take 1 argument."));

  // Statistics that are themselves normalized cannot move.
  const nn::WeightNorm all{.layer_instance = Block{}, .variable_filter = {}};
  const Tree normalized = nn::init(all, random::key(0), x, true);
  CHECK(error_of<nn::ImmutableCollectionError>(
            [&] { return nn::apply(all, normalized, nn::mutable_({"batch_stats"}), x, true); }) ==
        "[WeightNorm] The layer updates a variable that is normalized.\n"
        "  got: float32[3]\n"
        "  hint: choose the variables by variable_filter, or run the layer in a mode that does not update");
}

TEST_CASE("attention sows its weights and takes other functions, names and dropout as in Flax") {
  for (const json& entry : golden::load("modules.json").where("layer", "attention")) {
    const std::string label = entry.at("label").get<std::string>();
    CAPTURE(label);
    const auto module = [&](nn::Scope& scope, const Array& x) { return attend(label, scope, x); };
    const Array x = support::array_of(entry.at("inputs")[0]);
    const Tree variables = calls::tree_of(entry.at("variables"));
    CHECK(identical(nn::init(module, random::key(0), x), variables));
    const Array expected = support::array_of(entry.at("outputs")[0]);
    const golden::Measured measured(label == "self" || label == "quiet" ? "flax.linen.SelfAttention"
                                                                        : "flax.linen.MultiHeadAttention");
    check_near(nn::apply(module, variables, x), expected, 1e-5, 1e-6);
    const auto [y, kept] = nn::apply(module, variables, nn::mutable_({"intermediates"}), x);
    check_near(y, expected, 1e-5, 1e-6);
    const json& sown = entry.at("sown");
    CHECK(kept.contains("intermediates") == !sown.empty());
    for (const auto& [layer, weights] : sown.items()) {
      const Tree values = kept["intermediates"][layer];
      CHECK(values.keys() == std::vector<std::string>{"attention_weights"});
      check_near(stack(values["attention_weights"].leaves()), support::array_of(weights.at("attention_weights")), 1e-5,
                 1e-6);
    }
  }
}

TEST_CASE("a function in place of attention takes part in the comparison of layers") {
  const nn::MultiHeadAttention plain{.num_heads = 2}, other{.num_heads = 2, .attention_fn = doubled};
  CHECK(nn::Model(plain) == nn::Model(nn::MultiHeadAttention{.num_heads = 2}));
  CHECK_FALSE(nn::Model(plain) == nn::Model(other));
  CHECK(nn::Model(other) == nn::Model(nn::MultiHeadAttention(other)));
  CHECK(nn::Model(plain).name() == "MultiHeadAttention");
  CHECK(error_of<ValueError>([] { return nn::init(nn::SelfAttention{}, random::key(0), ones({2, 3, 4})); }) ==
        "[SelfAttention] num_heads must be positive.\n  got: 0");
}
