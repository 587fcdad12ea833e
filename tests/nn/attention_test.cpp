// Attention, its masks, its dropout and its cache against Flax; what it refuses.
#include <linseed/nn/attention.hpp>

#include <doctest/doctest.h>

#include "calls.hpp"

using namespace linseed;
using calls::Arrays;
using calls::json;
using support::array_of;
using support::check_near;
using support::error_of;

namespace {

using Attention = nn::MultiHeadDotProductAttention;

Attention attention_of(const json& config) {
  Attention attention{.num_heads = config.at("num_heads").get<int>(),
                      .qkv_features = config.value("qkv_features", 0),
                      .out_features = config.value("out_features", 0),
                      .broadcast_dropout = config.value("broadcast_dropout", true),
                      .dropout_rate = config.value("dropout_rate", 0.0),
                      .use_bias = config.value("use_bias", true),
                      .decode = config.value("decode", false),
                      .normalize_qk = config.value("normalize_qk", false)};
  if (config.contains("deterministic")) attention.deterministic = config.at("deterministic").get<bool>();
  return attention;
}

template <class E, class Module, class... Args>
std::string init_error(const Module& module, const Args&... args) {
  return error_of<E>([&] { return nn::init(module, random::key(0), args...); });
}

}  // namespace

TEST_CASE("attention follows Flax, dropout masks included") {
  for (const json& entry : golden::load("attention.json").cases()) {
    const std::string layer = entry.at("layer").get<std::string>();
    if (layer == "MultiHeadDotProductAttention") {
      calls::check_inside(entry, [&](nn::Scope& scope, Arrays in) -> Arrays {
        nn::AttentionArguments arguments;
        if (entry.at("masked").get<bool>()) {
          arguments.mask = in.back();
          in.pop_back();
        }
        in.resize(3);
        return {attention_of(entry.at("config"))(scope, in[0], in[1], in[2], arguments)};
      });
    } else if (layer == "dot_product_attention") {
      calls::check_inside(entry, [&](nn::Scope&, Arrays in) -> Arrays {
        in.resize(4);
        return {nn::dot_product_attention(in[0], in[1], in[2], {.bias = in[3]})};
      });
    }
  }
}

TEST_CASE("masks follow Flax") {
  int tested = 0;
  for (const json& entry : golden::load("attention.json").cases()) {
    const std::string name = entry.at("name").get<std::string>();
    CAPTURE(name);
    const Arrays in = calls::arrays_of(entry.at("inputs"));
    Array mask;
    const auto equal = [](const Array& a, const Array& b) { return a == b; };
    if (name == "make_attention_mask/padding") mask = nn::make_attention_mask(in[0], in[1]);
    if (name == "make_attention_mask/equal") mask = nn::make_attention_mask(in[0], in[1], equal, 1, int32);
    if (name == "make_causal_mask/two_axes") mask = nn::make_causal_mask(in[0]);
    if (name == "make_causal_mask/extra") mask = nn::make_causal_mask(in[0], 2, bool_);
    if (name == "combine_masks/two") mask = nn::combine_masks({in[0], {}, in[1]});
    if (!mask.defined()) continue;
    ++tested;
    const golden::Measured measured("flax.linen." + entry.at("layer").get<std::string>());
    check_near(mask, array_of(entry.at("outputs")[0]), 0.0);
  }
  CHECK(tested == 5);
  CHECK_FALSE(nn::combine_masks({}).defined());
  CHECK_FALSE(nn::combine_masks({Array(), Array()}).defined());
}

TEST_CASE("decoding follows Flax position by position, and beyond the end of the cache") {
  for (const json& entry : golden::load("attention.json").where("layer", "decode")) {
    const Attention attention = attention_of(entry.at("config"));
    const Tree params = calls::tree_of(entry.at("variables"))["params"];
    const Array whole = array_of(entry.at("inputs")[0]);
    Tree cache = nn::init(attention, random::key(0), zeros({2, 3, 4}))["cache"];
    const auto step = jit([&](const Tree& before, const Array& x) {
      return nn::apply(attention, {{"params", params}, {"cache", before}}, nn::mutable_({"cache"}), x);
    });
    std::int64_t position = 0;
    for (const json& output : entry.at("outputs")) {
      const auto [y, updates] = step(cache, slice_axis(whole, 1, position, position + 1));
      check_near(y, array_of(output));
      cache = updates["cache"];
      ++position;
    }
    calls::check_near(cache, calls::tree_of(entry.at("updates")), 1e-5, 1e-6);
  }
}

TEST_CASE("a query that sees nothing attends to all keys alike, without NaN in value or gradient") {
  const Array q = random::normal(random::key(0), {1, 2, 1, 3});
  const Array nothing = zeros({1, 1, 2, 2}, bool_);
  const auto attend = [&](const Array& x) { return nn::dot_product_attention(x, q, q, {.mask = nothing}); };
  check_near(attend(q), broadcast_to(mean(q, 1, true), q.shape()));
  CHECK(all(isfinite(grad([&](const Array& x) { return sum(square(attend(x))); })(q))).item<bool>());
}

TEST_CASE("self-attention in short, and a key of one's own for dropout") {
  const Array x = random::normal(random::key(0), {2, 3, 4});
  const Attention attention{.num_heads = 2, .dropout_rate = 0.5};
  const nn::AttentionArguments quiet{.deterministic = true};
  const Tree variables = nn::init(attention, random::key(1), x, quiet);
  const Array y = nn::apply(attention, variables, x, quiet);
  CHECK(identical(y, nn::apply(attention, variables, x, x, x, quiet)));
  const nn::AttentionArguments drawn{.deterministic = false, .dropout_rng = random::key(7)};
  const Array z = nn::apply(attention, variables, x, drawn);
  CHECK_FALSE(identical(z, y));
  CHECK(identical(z, nn::apply(attention, variables, nn::rngs({{"dropout", random::key(8)}}), x, drawn)));
}

TEST_CASE("attention refuses what does not fit") {
  const Array x = ones({2, 3, 4});
  CHECK(init_error<ValueError>(Attention{.num_heads = 3}, x) ==
        "[MultiHeadDotProductAttention] The heads do not divide the features.\n  got: 4 features, 3 heads");
  CHECK(init_error<ValueError>(Attention{}, x) ==
        "[MultiHeadDotProductAttention] num_heads must be positive.\n  got: 0");
  CHECK(init_error<ValueError>(Attention{.num_heads = 2, .dropout_rate = 0.5}, x) ==
        "[merge_param] \"deterministic\" must be passed to the constructor or at call time.");
  CHECK(init_error<ValueError>(Attention{.num_heads = 2, .dropout_rate = 2.0}, x) ==
        "[MultiHeadDotProductAttention] dropout_rate is out of its range.\n  got: 2\n  expected: 0 to 1");
  CHECK(init_error<ValueError>(Attention{.num_heads = 2}, x, Array(), x) ==
        "[MultiHeadDotProductAttention] Values were given without keys.\n"
        "  hint: give keys alone to use them for both");
  CHECK(init_error<ShapeError>(Attention{.num_heads = 2}, ones({4})) ==
        "[MultiHeadDotProductAttention] Inputs need an axis of positions and one of features.\n  got: float32[4]");
  CHECK(
      init_error<ShapeError>(Attention{.num_heads = 2}, x, ones({3, 3, 4})) ==
      "[attention] Query, key and value do not fit.\n"
      "  got: query (2, 3, 2, 2), key (3, 3, 2, 2), value (3, 3, 2, 2)\n"
      "  expected: (batch..., length, heads, depth): equal batches and heads, one depth for query and key, one length "
      "for key and value");
  CHECK(init_error<ShapeError>(Attention{.num_heads = 2}, x, nn::AttentionArguments{.mask = ones({3, 4})}) ==
        "[attention] The mask does not broadcast.\n"
        "  got: (3, 4)\n"
        "  expected: a shape that broadcasts to (2, 2, 3, 3)");
  const Array heads = ones({1, 2, 1, 3});
  CHECK(error_of<ValueError>([&] { return nn::dot_product_attention(heads, heads, heads, {.dropout_rate = 0.5}); }) ==
        "[attention] Dropout needs a key.\n  hint: pass dropout_rng, or deterministic = true");
  CHECK(error_of<ValueError>([&] { return nn::dot_product_attention(heads, heads, heads, {.dropout_rate = -0.5}); }) ==
        "[attention] dropout_rate is out of its range.\n  got: -0.5\n  expected: 0 to 1");
  CHECK(error_of<ShapeError>([] { return nn::combine_masks({ones({2, 2}), ones({2})}); }) ==
        "[combine_masks] The masks differ in rank.\n  got: (2, 2) and (2,)");
  CHECK(error_of<ShapeError>([] { return nn::make_causal_mask(Array(1.0)); }) ==
        "[make_causal_mask] The input needs an axis of positions.\n  got: float32[]");

  const Attention decoder{.num_heads = 2, .decode = true};
  const Tree variables = nn::init(decoder, random::key(0), x);
  CHECK(error_of<ShapeError>([&] { return nn::apply(decoder, variables, nn::mutable_({"cache"}), x); }) ==
        "[MultiHeadDotProductAttention] Decoding takes one position of the cached batch at a time.\n"
        "  got: query (2, 3, 2, 2), key (2, 3, 2, 2)\n"
        "  expected: (2, 1, 2, 2)");
  CHECK(error_of<nn::ImmutableCollectionError>([&] {
          return nn::apply(decoder, variables, ones({2, 1, 4}));
        }).find("[apply] Cannot update \"cached_key\"") == 0);
}
