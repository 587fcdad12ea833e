// Cells, RNN and Bidirectional against Flax; what they refuse.
#include <linseed/nn/recurrent.hpp>

#include <doctest/doctest.h>

#include "calls.hpp"

using namespace linseed;
using calls::Arrays;
using calls::json;
using support::array_of;
using support::check_near;
using support::error_of;

namespace {

/// Calls `function` with the cell of that name.
template <class Function>
auto with_cell(const std::string& kind, const json& config, const Function& function) {
  const int features = config.at("features").get<int>();
  if (kind == "LSTMCell") return function(nn::LSTMCell{.features = features});
  if (kind == "OptimizedLSTMCell") return function(nn::OptimizedLSTMCell{.features = features});
  if (kind == "GRUCell") return function(nn::GRUCell{.features = features});
  if (kind == "MGUCell")
    return function(nn::MGUCell{.features = features, .reset_gate = config.value("reset_gate", true)});
  if (kind == "SimpleCell")
    return function(nn::SimpleCell{.features = features, .residual = config.value("residual", false)});
  REQUIRE(kind == "ConvLSTMCell");
  return function(nn::ConvLSTMCell{.features = features,
                                   .kernel_size = calls::extents_in(config, "kernel_size"),
                                   .use_bias = config.value("use_bias", true)});
}

Arrays leaves_of(const auto& carry, const Array& output) {
  Arrays result = pytree::leaves(carry);
  result.push_back(output);
  return result;
}

template <class Layer>
Arrays run(nn::Scope& scope, const Layer& layer, const Arrays& in, bool with_carry) {
  nn::RNNArguments<typename Layer::Carry> arguments;
  if (in.size() > 1) arguments.seq_lengths = in[1];
  if (!with_carry) return {layer(scope, in[0], arguments)};
  const auto [carry, y] = layer.with_carry(scope, in[0], arguments);
  return leaves_of(carry, y);
}

/// The layer at the root of the call: its first output.
template <class Layer>
void check_at_root(const json& entry, const Layer& layer) {
  CAPTURE(entry.at("name").get<std::string>());
  const Tree variables = calls::tree_of(entry.at("variables"));
  const Array x = array_of(entry.at("inputs")[0]);
  check_near(nn::apply(layer, variables, x), array_of(entry.at("outputs")[0]), 1e-5, 1e-6);
  CHECK(tree::difference(nn::init(layer, random::key(0), x), variables, false).value_or("") == "");
}

const nn::RNN forward_rnn{.cell = nn::GRUCell{.features = 2}};
const nn::RNN backward_rnn{.cell = nn::LSTMCell{.features = 3}};

}  // namespace

// SimpleCell/no_batch and ConvLSTMCell/no_bias have gradients 1.2e-5 of an element away from the golden ones, which
// pass by their absolute tolerance. There it is Flax's float32 that strays: in float64 Flax gives -0.02539955 for an
// element that is -0.02539930 in its float32 and -0.02539963 here. XLA's tanh is 1.5 ulp off, and 1 - tanh^2 magnifies
// that.
TEST_CASE("cells follow Flax") {
  int tested = 0;
  for (const json& entry : golden::load("recurrent.json").cases()) {
    const std::string kind = entry.at("layer").get<std::string>();
    if (!kind.ends_with("Cell")) continue;
    ++tested;
    with_cell(kind, entry.at("config"), [&](const auto& cell) {
      calls::check_inside(entry, [&](nn::Scope& scope, const Arrays& in) -> Arrays {
        if constexpr (std::is_same_v<nn::CarryOf<std::decay_t<decltype(cell)>>, Array>) {
          const auto [carry, y] = cell(scope, in[0], in[1]);
          return {carry, y};
        } else {
          const auto [carry, y] = cell(scope, nn::LSTMCarry(in[0], in[1]), in[2]);
          return leaves_of(carry, y);
        }
      });
    });
  }
  CHECK(tested == 14);
}

TEST_CASE("RNN follows Flax") {
  for (const json& entry : golden::load("recurrent.json").where("layer", "RNN")) {
    const json& config = entry.at("config");
    with_cell(entry.at("cell").get<std::string>(), entry.at("cell_config"), [&](const auto& cell) {
      const nn::RNN rnn{.cell = cell,
                        .time_major = config.value("time_major", false),
                        .reverse = config.value("reverse", false),
                        .keep_order = config.value("keep_order", false)};
      if (entry.value("root", false)) return check_at_root(entry, rnn);
      calls::check_inside(entry, [&](nn::Scope& scope, const Arrays& in) {
        return run(scope, rnn, in, entry.at("carry").get<bool>());
      });
    });
  }
}

TEST_CASE("Bidirectional follows Flax") {
  for (const json& entry : golden::load("recurrent.json").where("layer", "Bidirectional")) {
    if (entry.value("root", false)) {
      const auto merge = [](const Array& a, const Array& b) { return slice_axis(a, -1, 0, 1) + b; };
      check_at_root(entry,
                    nn::Bidirectional{.forward_rnn = forward_rnn, .backward_rnn = backward_rnn, .merge_fn = merge});
      continue;
    }
    const nn::Bidirectional both{.forward_rnn = forward_rnn, .backward_rnn = backward_rnn};
    calls::check_inside(
        entry, [&](nn::Scope& scope, const Arrays& in) { return run(scope, both, in, entry.at("carry").get<bool>()); });
  }
}

TEST_CASE("initial carries follow Flax: drawn from key(0), from a key, or given") {
  const auto drawn = nn::initializers::normal(1.0);
  const nn::RNN simple{.cell = nn::SimpleCell{.features = 2, .carry_init = drawn}};
  int tested = 0;
  for (const json& entry : golden::load("recurrent.json").where("layer", "initial_carry")) {
    const std::string name = entry.at("name").get<std::string>();
    ++tested;
    calls::check_inside(entry, [&](nn::Scope& scope, const Arrays& in) -> Arrays {
      if (name == "initial_carry/drawn") {
        return {nn::RNN{.cell = nn::LSTMCell{.features = 2, .carry_init = drawn}}(scope, in[0])};
      }
      if (name == "initial_carry/init_key") return {simple(scope, in[0], {.init_key = random::key(3)})};
      if (name == "initial_carry/bidirectional_key") {
        return {nn::Bidirectional{.forward_rnn = simple, .backward_rnn = simple}(scope, in[0],
                                                                                 {.init_key = random::key(3)})};
      }
      REQUIRE(name == "initial_carry/given");
      return {nn::RNN{.cell = nn::SimpleCell{.features = 2}}(scope, in[0], {.initial_carry = in[1]})};
    });
  }
  CHECK(tested == 4);
}

TEST_CASE("the arguments of a call go before the fields") {
  const Array x = random::normal(random::key(0), {2, 3, 4});
  const nn::RNN rnn{.cell = nn::GRUCell{.features = 5}};
  const Tree variables = nn::init(rnn, random::key(1), x);
  const nn::RNN backward{.cell = rnn.cell, .time_major = true, .reverse = true, .keep_order = true};
  const Array by_time = transpose(x, {1, 0, 2});
  CHECK(identical(nn::apply(backward, variables, by_time),
                  nn::apply(rnn, variables, by_time,
                            nn::RNNArguments<Array>{.time_major = true, .reverse = true, .keep_order = true})));
  // One step after the other by hand.
  Array carry = zeros({2, 5});
  for (int t = 0; t < 3; ++t) {
    const auto cell = [&](nn::Scope& scope, const Array& h, const Array& step) {
      return nn::GRUCell{.features = 5, .name = "cell"}(scope, h, step);
    };
    carry = nn::apply(cell, variables, carry, squeeze(slice_axis(x, 1, t, t + 1), 1)).first;
  }
  const auto last = [&](nn::Scope& scope, const Array& input) {
    nn::Scope own = scope.child("named", typeid(rnn));
    return rnn.with_carry(own, input).first;
  };
  check_near(nn::apply(last, {{"params", Tree{{"named", variables["params"]}}}}, x), carry);
}

TEST_CASE("sequences are flipped within their lengths") {
  const Array x = Array{{1, 0, 0}, {2, 3, 0}, {4, 5, 6}};
  CHECK(identical(nn::flip_sequences(x, Array{1, 2, 3}, 1, false), Array{{1, 0, 0}, {3, 2, 0}, {6, 5, 4}}));
  CHECK(identical(nn::flip_sequences(transpose(x), Array{1, 2, 3}, 1, true),
                  transpose(Array{{1, 0, 0}, {3, 2, 0}, {6, 5, 4}})));
  CHECK(identical(nn::flip_sequences(x, {}, 1, false), flip(x, 1)));
  CHECK(error_of<ShapeError>([&] { return nn::flip_sequences(x, Array{1, 2}, 1, false); }) ==
        "[RNN] There must be one length per sequence.\n  got: int32[2]\n  expected: (3,)");
  CHECK(error_of<ShapeError>([&] { return nn::flip_sequences(x, {}, 2, false); }) ==
        "[flip_sequences] The input has no time axis.\n  got: int32[3,3], 2 batch axes");
}

TEST_CASE("recurrent layers refuse what does not fit") {
  const nn::RNN rnn{.cell = nn::GRUCell{.features = 2}};
  const auto init = [&](const Array& x, const nn::RNNArguments<Array>& arguments = {}) {
    return [&rnn, x, arguments] { return nn::init(rnn, random::key(0), x, arguments); };
  };
  CHECK(error_of<ShapeError>(init(ones({3}))) ==
        "[RNN] The input has too few axes.\n"
        "  got: float32[3]\n"
        "  expected: (batch..., time, features...) with 1 axes of features");
  CHECK(error_of<ShapeError>(init(ones({2, 0, 3}))) == "[RNN] The input has no steps.\n  got: float32[2,0,3]");
  CHECK(error_of<ShapeError>(init(ones({2, 4, 3}), {.seq_lengths = Array{1, 2, 3}})) ==
        "[RNN] There must be one length per sequence.\n  got: int32[3]\n  expected: (2,)");
  CHECK(error_of<DTypeError>(init(ones({2, 4, 3}), {.seq_lengths = Array{1.0, 2.0}})) ==
        "[RNN] seq_lengths must be integers.\n  got: float32[2]");
  CHECK(error_of<ValueError>([] { return nn::init(nn::RNN{.cell = nn::GRUCell{}}, random::key(0), ones({2, 3})); }) ==
        "[GRUCell] features must be positive.\n  got: 0");
  CHECK(error_of<ShapeError>([] {
          return nn::init(nn::GRUCell{.features = 2}, random::key(0), Array(1.0), ones({3}));
        }) == "[GRUCell] The carry must have at least one axis.\n  got: float32[]");
}
