// Dense layers of any axes, embeddings and convolutions against Flax; what they refuse.
#include <linseed/nn/linear.hpp>

#include <doctest/doctest.h>

#include <linseed/nn/activations.hpp>
#include <linseed/nn/conv.hpp>

#include "calls.hpp"

using namespace linseed;
using calls::Arrays;
using calls::json;
using support::error_of;

namespace {

nn::DenseGeneral dense_general_of(const json& config) {
  nn::DenseGeneral dense{.axis = calls::integers_in(config, "axis", {-1}),
                         .batch_dims = calls::integers_in(config, "batch_dims", {}),
                         .use_bias = config.value("use_bias", true)};
  for (const int extent : calls::integers_in(config, "features", {})) dense.features.push_back(extent);
  return dense;
}

nn::Embed embed_of(const json& config) {
  return {.num_embeddings = config.at("num_embeddings").get<int>(), .features = config.at("features").get<int>()};
}

nn::Conv conv_of(const json& config) {
  return {.features = config.at("features").get<int>(),
          .kernel_size = calls::extents_in(config, "kernel_size"),
          .strides = calls::extents_in(config, "strides"),
          .padding = calls::padding_in(config, "SAME"),
          .kernel_dilation = calls::extents_in(config, "kernel_dilation"),
          .feature_group_count = config.value("feature_group_count", 1)};
}

nn::ConvTranspose conv_transpose_of(const json& config) {
  return {.features = config.at("features").get<int>(),
          .kernel_size = calls::extents_in(config, "kernel_size"),
          .strides = calls::extents_in(config, "strides"),
          .padding = calls::padding_in(config, "SAME"),
          .kernel_dilation = calls::extents_in(config, "kernel_dilation"),
          .use_bias = config.value("use_bias", true),
          .transpose_kernel = config.value("transpose_kernel", false)};
}

template <class E, class Module, class... Args>
std::string init_error(const Module& module, const Args&... args) {
  return error_of<E>([&] { return nn::init(module, random::key(0), args...); });
}

}  // namespace

TEST_CASE("linear layers and convolutions follow Flax") {
  for (const json& entry : golden::load("linear.json").cases()) {
    const std::string layer = entry.at("layer").get<std::string>();
    const json& config = entry.at("config");
    const Array mask = entry.contains("mask") ? support::array_of(entry.at("mask")) : Array();
    calls::check_inside(entry, [&](nn::Scope& scope, const Arrays& in) -> Arrays {
      if (layer == "DenseGeneral") return {dense_general_of(config)(scope, in[0])};
      if (layer == "Einsum") {
        return {nn::Einsum{.shape = golden::extents(config.at("shape")),
                           .einsum_str = config.at("einsum_str").get<std::string>(),
                           .use_bias = config.value("use_bias", true)}(scope, in[0])};
      }
      if (layer == "Embed" && entry.contains("method")) {
        const auto embed = scope.share(embed_of(config));
        return {embed.call(&nn::Embed::attend, embed(in[0]) * 2.0)};
      }
      if (layer == "Embed") return {embed_of(config)(scope, in[0])};
      if (layer == "Conv") return {conv_of(config)(scope, in[0], mask)};
      if (layer == "ConvTranspose") return {conv_transpose_of(config)(scope, in[0], mask)};
      REQUIRE(layer == "PReLU");
      return {nn::PReLU{.negative_slope_init = config.value("negative_slope_init", 0.01)}(scope, in[0])};
    });
  }
}

TEST_CASE("Dense and DenseGeneral are Einsum of one equation") {
  const Array x = random::normal(random::key(0), {2, 3, 4});
  const nn::DenseGeneral general{.features = {5}};
  const Tree variables = nn::init(general, random::key(1), x);
  CHECK(identical(variables, nn::init(nn::Dense{.features = 5}, random::key(1), x)));
  const Array y = nn::apply(nn::Dense{.features = 5}, variables, x);
  support::check_near(nn::apply(general, variables, x), y);
  support::check_near(nn::apply(nn::Einsum{.shape = {4, 5}, .einsum_str = "...a,ab->...b"}, variables, x), y);
  support::check_near(nn::apply(nn::Einsum{.shape = {4, 5}}, variables, x, std::optional<std::string>("xya,ab->xyb")),
                      y);
}

TEST_CASE("linear layers refuse settings and inputs that do not fit") {
  const Array x = ones({2, 3, 4});
  CHECK(init_error<ValueError>(nn::DenseGeneral{}, x) == "[DenseGeneral] There must be at least one axis of features.");
  CHECK(init_error<ValueError>(nn::DenseGeneral{.features = {2, 0}}, x) ==
        "[DenseGeneral] features must be positive.\n  got: 0");
  CHECK(init_error<ShapeError>(nn::DenseGeneral{.features = {2}, .axis = 3}, x) ==
        "[DenseGeneral] Axis is out of range.\n"
        "  got: axis 3 of an Array with 3 axes\n"
        "  expected: -3 to 2");
  CHECK(init_error<ShapeError>(nn::DenseGeneral{.features = {2}, .axis = {2, -1}}, x).find("[DenseGeneral]") == 0);
  CHECK(init_error<ValueError>(nn::DenseGeneral{.features = {2}, .batch_dims = {1}}, x) ==
        "[DenseGeneral] batch_dims must be the leading axes, apart from those contracted.\n"
        "  got: batch_dims (1), axis (2)");
  CHECK(init_error<ValueError>(nn::DenseGeneral{.features = {2}, .axis = 0, .batch_dims = {0}}, x) ==
        "[DenseGeneral] batch_dims must be the leading axes, apart from those contracted.\n"
        "  got: batch_dims (0), axis (0)");
  CHECK(init_error<ValueError>(nn::Einsum{.shape = {4, 5}, .einsum_str = "abc,cd"}, x) ==
        "[Einsum] The equation must have two operands and an arrow.\n"
        "  got: \"abc,cd\"\n"
        "  expected: as in \"abc,cde->abde\"");
  CHECK(init_error<ValueError>(nn::Einsum{.shape = {4, 5}}, x) ==
        "[merge_param] \"einsum_str\" must be passed to the constructor or at call time.");
  CHECK(init_error<ShapeError>(nn::Einsum{.shape = {4, 5}, .einsum_str = "ab,bc->ac"}, x) ==
        "[einsum] Operand 0 does not have the axes of its term.\n"
        "  got: (2, 3, 4) for \"ab\"");
  CHECK(init_error<ShapeError>(nn::Einsum{.shape = {5, 6}, .einsum_str = "abc,cd->abd"}, x) ==
        "[einsum] The axes of a letter differ in extent.\n"
        "  got: 4 and 5");
  const nn::Embed embed{.num_embeddings = 3, .features = 2};
  CHECK(init_error<DTypeError>(embed, x) == "[Embed] Indices must be integers.\n  got: float32[2,3,4]");
  CHECK(init_error<DTypeError>(embed, x > 0) == "[Embed] Indices must be integers.\n  got: bool[2,3,4]");
  CHECK(init_error<ValueError>(nn::Embed{.features = 2}, arange(2)) ==
        "[Embed] num_embeddings must be positive.\n  got: 0");
  const auto attend = [&](nn::Scope& scope, const Array& query) { return embed.attend(scope, query); };
  CHECK(init_error<ShapeError>(attend, ones({2, 3})) ==
        "[Embed] The query's last axis must be the features.\n"
        "  at: Embed_0\n"
        "  got: float32[2,3]\n"
        "  expected: (..., 2)");
}

TEST_CASE("convolutions refuse masks and paddings that do not fit") {
  const Array x = ones({1, 4, 4, 2});
  const nn::Conv conv{.features = 3, .kernel_size = {2, 2}};
  CHECK(init_error<ShapeError>(conv, x, ones({2, 2, 2})) ==
        "[Conv] The mask must have the kernel's shape.\n"
        "  got: (2, 2, 2)\n"
        "  expected: (2, 2, 2, 3)");
  CHECK(init_error<ValueError>(nn::Conv{.features = 3, .kernel_size = {2, 2}, .padding = "CAUSAL"}, x) ==
        "[conv] CAUSAL padding is for one spatial axis.\n  got: 2");
  CHECK(init_error<ValueError>(nn::ConvTranspose{.features = 3, .kernel_size = {2, 2}, .padding = "REFLECT"}, x) ==
        "[conv_transpose] This padding has no transpose.\n"
        "  expected: \"SAME\", \"VALID\", \"CIRCULAR\", a number, or a (low, high) pair per axis");
  CHECK(init_error<ShapeError>(nn::ConvTranspose{.features = 3, .kernel_size = {2, 2}}, ones({4, 2})) ==
        "[ConvTranspose] The input has too few axes for the kernel.\n"
        "  got: input (4, 2), kernel_size (2, 2)\n"
        "  expected: input [N, spatial..., channels] with as many spatial axes as kernel_size");
  CHECK(error_of<ValueError>([&] { return max_pool(x, {2, 2}, {}, "CIRCULAR"); }) ==
        "[max_pool] This padding is for convolutions only.\n"
        "  got: \"CIRCULAR\"\n"
        "  expected: \"SAME\", \"SAME_LOWER\", \"VALID\", a number, or a (low, high) pair per axis");
  // An empty axis cannot go on periodically.
  CHECK(init_error<ShapeError>(nn::Conv{.features = 1, .kernel_size = {3}, .padding = "CIRCULAR"}, ones({1, 0, 1})) ==
        "[pad] The axis cannot be continued by this width.\n"
        "  got: (1, 1) on axis 1 of (1, 0, 1)\n"
        "  expected: widths of 0 or more, on an axis that is not empty");
}
