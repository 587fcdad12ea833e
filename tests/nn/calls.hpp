// Golden cases of tests/golden/maker/call.py: layers that are called with any inputs, inside a module or at the root.
#pragma once

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/nn/module.hpp>
#include <linseed/ops/conv.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "random/golden_arrays.hpp"
#include "support.hpp"

namespace calls {

using namespace linseed;
using golden::json;
using Arrays = std::vector<Array>;

/// A nested dictionary, whose keys may hold slashes.
inline Tree tree_of(const json& entry) {
  if (entry.contains("dtype") && entry.contains("data")) return support::array_of(entry);
  Tree::Dict entries;
  for (const auto& [key, value] : entry.items()) entries.emplace(key, tree_of(value));
  return Tree(std::move(entries));
}

inline Arrays arrays_of(const json& list) {
  Arrays result;
  for (const json& entry : list) result.push_back(support::array_of(entry));
  return result;
}

/// Leaf by leaf, whatever the keys.
inline void check_near(const Tree& got, const Tree& expected, double relative, double absolute) {
  CHECK(tree::difference(got, expected, /*values=*/false).value_or("") == "");
  const Arrays a = got.leaves(), b = expected.leaves();
  REQUIRE(a.size() == b.size());
  const std::vector<std::string> paths = expected.paths();
  for (std::size_t i = 0; i < a.size(); ++i) {
    CAPTURE(paths[i]);
    support::check_near(a[i], b[i], relative, absolute);
  }
}

inline nn::Rngs rngs_of(const json& entry) {
  nn::Rngs result;
  if (!entry.contains("rngs")) return result;
  for (const auto& [stream, words] : entry.at("rngs").items())
    result.streams = result.streams.set(stream, support::key_of(words));
  return result;
}

/// What cancels exactly leaves rounding noise of the size of the terms.
inline constexpr double noise = 4e-6;

/// Outputs, updates and gradients of sum(output * weights) for `module`, called with the case's inputs, eager and under
/// jit; and the structure that nn::init gives. `module` takes (scope, Arrays) and gives Arrays.
template <class Module>
void check(const json& entry, const Module& module) {
  CAPTURE(entry.at("name").get<std::string>());
  const golden::Measured measured("flax.linen." + entry.at("layer").get<std::string>());
  const Tree variables = tree_of(entry.at("variables"));
  const Arrays inputs = arrays_of(entry.at("inputs"));
  const Arrays weights = arrays_of(entry.at("weights"));
  const Arrays expected = arrays_of(entry.at("outputs"));
  const nn::Rngs keys = rngs_of(entry);
  std::vector<std::string> states;
  if (!variables.empty()) states = variables.keys();
  std::erase(states, "params");
  std::vector<std::size_t> floating;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (is_floating(inputs[i].dtype())) floating.push_back(i);
  }

  const auto forward = [&](const Tree& params, const Arrays& floats) {
    Arrays given = inputs;
    for (std::size_t i = 0; i < floats.size(); ++i) given[floating[i]] = floats[i];
    const Tree all = params.empty() ? variables : variables.set("params", params);
    return nn::apply(module, all, nn::Mutable(states), keys, given);
  };
  Arrays floats;
  for (const std::size_t i : floating) floats.push_back(inputs[i]);
  const Tree params = variables.contains("params") ? variables["params"] : Tree();

  const auto [outputs, updates] = forward(params, floats);
  REQUIRE(outputs.size() == expected.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) support::check_near(outputs[i], expected[i], 1e-5, 1e-6);
  check_near(updates, tree_of(entry.at("updates")), 1e-5, 1e-6);

  const auto loss = [&](const Tree& p, const Arrays& x) {
    const auto results = forward(p, x).first;
    Array total(0.0);
    for (std::size_t i = 0; i < results.size(); ++i) total = total + sum(results[i] * weights[i]);
    return total;
  };
  const auto gradients = grad(loss, argnums<0, 1>);
  const auto [params_grad, floats_grad] = gradients(params, floats);
  check_near(params_grad, tree_of(entry.at("grads").at("params")), 1e-5, noise);
  const Arrays inputs_grad = arrays_of(entry.at("grads").at("inputs"));
  REQUIRE(floats_grad.size() == inputs_grad.size());
  for (std::size_t i = 0; i < inputs_grad.size(); ++i) support::check_near(floats_grad[i], inputs_grad[i], 1e-5, noise);

  const auto [jit_params_grad, jit_floats_grad] = jit(gradients)(params, floats);
  if (!params.empty()) check_near(jit_params_grad, params_grad, 1e-5, noise);
  for (std::size_t i = 0; i < floats_grad.size(); ++i) check_near(jit_floats_grad[i], floats_grad[i], 1e-5, noise);

  nn::Rngs init_keys = keys;
  init_keys.streams = init_keys.streams.set("params", random::key(0));
  CHECK(tree::difference(nn::init(module, init_keys, inputs), variables, /*values=*/false).value_or("") == "");
}

/// The layer is called inside a module: what it makes has the name that the module gives it.
template <class Body>
void check_inside(const json& entry, const Body& body) {
  check(entry, [&](nn::Scope& scope, const Arrays& inputs) -> Arrays { return body(scope, inputs); });
}

inline Shape extents_in(const json& config, const char* key) {
  return config.contains(key) && !config.at(key).is_null() ? golden::extents(config.at(key)) : Shape{};
}
/// One number or a list.
inline std::vector<int> integers_in(const json& config, const char* key, std::vector<int> fallback) {
  if (!config.contains(key)) return fallback;
  if (config.at(key).is_number()) return {config.at(key).get<int>()};
  return config.at(key).get<std::vector<int>>();
}
inline Padding padding_in(const json& config, const char* fallback) {
  if (!config.contains("padding")) return fallback;
  const json& padding = config.at("padding");
  if (padding.is_string()) return std::string_view(padding.get_ref<const std::string&>());
  if (padding.is_number()) return padding.get<int>();
  return padding.get<Padding::Pairs>();
}

}  // namespace calls
