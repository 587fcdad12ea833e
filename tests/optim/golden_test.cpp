// Fifty steps of every transformation, and tables of schedules, against Optax.
#include <doctest/doctest.h>

#include <linseed/ops/shape.hpp>
#include <linseed/transform/jit.hpp>

#include "optim/golden_transformations.hpp"
#include "support.hpp"

using namespace linseed;
using golden::json;
using support::array_of;
using support::check_near;
using support::tree_of;

namespace {

const golden::File& file() { return golden::load("optimizers.json"); }

/// The gradient of one step; the formula is in maker/optimizers.py.
Tree gradient(int step, const json& poison) {
  Tree result;
  int n = 0;
  const bool poisoned = std::find(poison.begin(), poison.end(), step) != poison.end();
  for (const auto& [path, shape] : std::vector<std::pair<std::string, Shape>>{{"a", {3}}, {"b/w", {2, 2}}, {"c", {}}}) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < shape.elements(); ++i, ++n) {
      float value = static_cast<float>((7 * n + 13 * step + 5 * n * step + step * step) % 129 - 64) / 64;
      if (n == 6 && step < 2) value = 0;
      if (n == 0 && poisoned) value = std::numeric_limits<float>::quiet_NaN();
      values.push_back(value);
    }
    result = result.set(path, Array::from(values, shape));
  }
  return result;
}

/// All elements, in the order of the paths.
Array flat(const Tree& tree) {
  std::vector<Array> parts;
  for (const Array& leaf : tree.leaves()) parts.push_back(ravel(leaf));
  return concatenate(parts);
}

/// The state's paths with its empty nodes, as the golden file lists them.
Tree expected_state(const json& arrays, const json& empty_nodes) {
  Tree expected = tree_of(arrays);
  for (const json& path : empty_nodes) expected = expected.set(path.get<std::string>(), Tree());
  return expected;
}

/// What a case is about: the transformation, or the stage of a chain, for which it is named.
std::string subject_of(const json& entry) {
  const std::string fn = entry.at("spec").at("fn").get<std::string>();
  if (fn == "multi_steps") return "MultiSteps";
  if (fn != "chain") return fn;
  std::string name = entry.at("name").get<std::string>();
  if (name.starts_with("poisoned/")) name = name.substr(9);
  return name.substr(0, name.find('/'));
}

void check_state(const Tree& state, const Tree& expected, double relative, double absolute = 0.0) {
  CHECK(state.same_structure(expected));
  check_near(state, expected, relative, absolute);
}

}  // namespace

TEST_CASE("fifty steps of every transformation follow Optax, eager and compiled") {
  const auto kept = golden::numbers<int>(file()["inputs"].at("kept_steps"));
  CHECK(support::doubles(flat(gradient(7, json::array()))) ==
        golden::numbers<double>(file()["inputs"].at("gradient_at_step_7")));
  for (const json& entry : file().where("kind", "trajectory")) {
    CAPTURE(entry.at("name").get<std::string>());
    const golden::Measured measured("optax." + subject_of(entry));
    const auto tx = golden_optim::transformation_of(entry.at("spec"));
    const auto update = [&](const Tree& params, const Tree& state, const Tree& grads) {
      auto [updates, next] = tx.update(grads, state, params);
      return std::pair{optim::apply_updates(params, updates), next};
    };
    const auto compiled_update = jit(update);
    for (const bool compiled : {false, true}) {
      CAPTURE(compiled);
      Tree params = tree_of(file()["inputs"].at("params"));
      Tree state = tx.init(params);
      check_state(state, expected_state(entry.at("init_state"), entry.at("empty_nodes")), 0.0);
      std::size_t next = 0;
      for (int step = 0; step < kept.back(); ++step) {
        CAPTURE(step);
        const Tree grads = gradient(step, entry.at("poison"));
        std::tie(params, state) = compiled ? compiled_update(params, state, grads) : update(params, state, grads);
        if (step + 1 != kept[next]) continue;
        const auto expected = golden::numbers<float>(entry.at("params").at(next++));
        check_near(flat(params), Array::from(expected, {static_cast<std::int64_t>(expected.size())}), 1e-5, 1e-6);
      }
      check_state(state, expected_state(entry.at("final_state"), entry.at("empty_nodes")), 1e-5, 1e-6);
    }
    CHECK(compiled_update.trace_count() == 1);
  }
}

TEST_CASE("schedules follow Optax") {
  for (const json& entry : golden::load("optim.json").where("kind", "schedule")) {
    CAPTURE(entry.at("name").get<std::string>());
    const golden::Measured measured("optax." + entry.at("schedule").get<std::string>());
    const auto schedule = golden_optim::schedule_of(entry.at("schedule").get<std::string>(), entry.at("args"));
    std::vector<Array> values, traced;
    const auto compiled = jit([&](const Array& count) { return schedule(count); });
    for (const int count : golden::numbers<int>(entry.at("counts"))) {
      values.push_back(schedule(count));
      CHECK(describe(values.back()) == "float32[]");
      traced.push_back(compiled(Array(count)));
    }
    check_near(stack(values), array_of(entry.at("values")), 2e-6, 1e-8);
    CHECK(identical(stack(values), stack(traced)));
  }
}
