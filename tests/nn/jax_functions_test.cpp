// Functions of jax.nn and losses over several arrays against JAX and Optax, with their gradients; what they refuse.
#include <doctest/doctest.h>

#include <linseed/nn/grouped_attention.hpp>
#include <linseed/nn/jax_activations.hpp>
#include <linseed/nn/losses.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "support.hpp"

using namespace linseed;
using golden::json;
using support::array_of;
using support::error_of;
using support::tree_of;

namespace {

Array attention(const Tree& inputs, const json& constants, const json& args) {
  nn::GroupedAttentionOptions options{.is_causal = args.value("is_causal", false)};
  if (inputs.contains("bias")) options.bias = inputs["bias"];
  if (args.contains("scale")) options.scale = args.at("scale").get<double>();
  if (args.contains("local_window_size")) {
    const json& window = args.at("local_window_size");
    options.local_window_size = window.is_array() ? std::pair{window.at(0).get<int>(), window.at(1).get<int>()}
                                                  : std::pair{window.get<int>(), window.get<int>()};
  }
  const auto take = [&](const char* name, Array& option) {
    if (constants.contains(name)) option = array_of(constants.at(name));
  };
  take("mask", options.mask);
  take("query_seq_lengths", options.query_seq_lengths);
  take("key_value_seq_lengths", options.key_value_seq_lengths);
  return nn::grouped_attention(inputs["query"], inputs["key"], inputs["value"], options);
}

Array call(const json& entry, const Tree& inputs) {
  const std::string fn = entry.at("fn").get<std::string>();
  const json &args = entry.at("args"), &constants = entry.at("constants");
  if (fn == "log1mexp") return nn::log1mexp(inputs["x"]);
  if (fn == "logmeanexp") {
    Axes axes;
    if (args.contains("axis"))
      axes = args.at("axis").is_array() ? Axes(args.at("axis").get<std::vector<int>>()) : args.at("axis").get<int>();
    std::optional<Array> where;
    if (constants.contains("where")) where = array_of(constants.at("where"));
    return nn::logmeanexp(inputs["x"], axes, args.value("keepdims", false), where);
  }
  if (fn == "dot_product_attention") return attention(inputs, constants, args);
  REQUIRE(fn == "ctc_loss");
  return nn::ctc_loss(inputs["logits"], array_of(constants.at("logit_paddings")), array_of(constants.at("labels")),
                      array_of(constants.at("label_paddings")),
                      {.blank_id = args.value("blank_id", 0), .log_epsilon = args.value("log_epsilon", -1e5)});
}

}  // namespace

TEST_CASE("functions of several arrays and their gradients follow jax.nn and Optax, eager and compiled") {
  for (const json& entry : golden::load("jax_functions.json").cases()) {
    CAPTURE(entry.at("name").get<std::string>());
    const std::string fn = entry.at("fn").get<std::string>();
    const golden::Measured measured((fn == "ctc_loss" ? "optax." : "jax.nn.") + fn);
    const Tree inputs = tree_of(entry.at("inputs"));
    const Array weights = array_of(entry.at("weights"));
    const auto loss = [&](const Tree& x) {
      const Array output = call(entry, x);
      return std::pair{sum(output * weights), output};
    };
    for (const bool compiled : {false, true}) {
      CAPTURE(compiled);
      const auto both = value_and_grad(loss);
      const auto [value, grads] = compiled ? jit(both)(inputs) : both(inputs);
      support::check_near(value.second, array_of(entry.at("output")), 1e-5, 1e-6);
      support::check_near(grads, tree_of(entry.at("grads")), 1e-5, 1e-6);
    }
  }
}

TEST_CASE("what logarithms of sums give at the ends") {
  CHECK(std::isinf(nn::log1mexp(Array(0.0F)).item<double>()));
  CHECK(std::isnan(nn::log1mexp(Array(-1.0F)).item<double>()));
  CHECK(std::isnan(nn::logmeanexp(ones({2}), {}, false, zeros({2}, bool_)).item<double>()));
  // The derivative is 1 / (e^x - 1).
  CHECK(grad([](const Array& x) { return nn::log1mexp(x); })(Array(1e-20)).item<double>() == doctest::Approx(1e20));
}

TEST_CASE("what grouped attention refuses") {
  const Array query = ones({2, 4, 6, 3}), key = ones({2, 5, 2, 3});
  const auto error = [&](const nn::GroupedAttentionOptions& options) {
    return error_of<ValueError>([&] { return nn::grouped_attention(query, key, key, options); });
  };
  CHECK(error_of<ShapeError>([&] { return nn::grouped_attention(query, ones({2, 5, 4, 3}), ones({2, 5, 4, 3})); }) ==
        "[grouped_attention] Query, key and value do not fit.\n"
        "  got: query (2, 4, 6, 3), key (2, 5, 4, 3), value (2, 5, 4, 3)\n"
        "  expected: query (batch, q_length, heads, depth), key and value (batch, kv_length, key_heads, depth), heads "
        "a multiple of key_heads");
  CHECK(error({.scale = std::nan("")}) == "[grouped_attention] scale must be finite.\n  got: nan");
  CHECK(error({.local_window_size = std::pair{-1, 0}}) ==
        "[grouped_attention] A window reaches no negative number of keys.\n  got: (-1, 0)");
  CHECK(error_of<ShapeError>([&] {
          return nn::grouped_attention(query, key, key, {.mask = ones({3, 5}, bool_)});
        }).find("[grouped_attention]") == 0);
  CHECK(error_of<DTypeError>([&] { return nn::grouped_attention(query, key, key, {.mask = ones({4, 5})}); }) ==
        "[grouped_attention] A mask holds bool.\n  got: float32[4,5]\n  expected: bool");
  CHECK(error_of<DTypeError>([&] {
          return nn::grouped_attention(query, key, key, {.query_seq_lengths = ones({2})});
        }) == "[grouped_attention] query_seq_lengths holds integers.\n  got: float32[2]");
  CHECK(error_of<ShapeError>(
            [&] { return nn::grouped_attention(query, key, key, {.key_value_seq_lengths = ones({3}, int32)}); }) ==
        "[grouped_attention] key_value_seq_lengths has a number for each example.\n  got: (3,)\n  expected: (2,)");
}

TEST_CASE("attention without a batch is that of a batch of one") {
  const Array query = reshape(astype(arange(24), float32), {4, 2, 3}) / 7.0, key = query * 0.5;
  const Array batched = nn::grouped_attention(expand_dims(query, 0), expand_dims(key, 0), expand_dims(query, 0));
  CHECK(identical(nn::grouped_attention(query, key, query), squeeze(batched, 0)));
}

TEST_CASE("what ctc_loss refuses") {
  const Array logits = ones({2, 4, 3}), times = zeros({2, 4}), labels = ones({2, 2}, int32), none = zeros({2, 2});
  CHECK(error_of<DTypeError>([&] { return nn::ctc_loss(logits, times, none, none); }) ==
        "[ctc_loss] Labels are integers.\n  got: float32[2,2]");
  CHECK(error_of<DTypeError>([&] { return nn::ctc_loss(ones({2, 4, 3}, int32), times, labels, none); }) ==
        "[ctc_loss] The logits must be floating-point.\n  got: int32[2,4,3]");
  CHECK(error_of<ShapeError>([&] { return nn::ctc_loss(logits, none, labels, none); }) ==
        "[ctc_loss] Logits, labels and paddings do not fit.\n"
        "  got: logits (2, 4, 3) with paddings (2, 2), labels (2, 2) with paddings (2, 2)\n"
        "  expected: (batch, time, classes), (batch, time), (batch, labels), (batch, labels)");
  CHECK(error_of<ValueError>([&] { return nn::ctc_loss(logits, times, labels, none, {.blank_id = 3}); }) ==
        "[ctc_loss] The blank is no class.\n  got: 3\n  expected: 0 to 2");
}
