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

namespace {

/// The trajectories of a file, eager and compiled.
void check_trajectories(const golden::File& cases) {
  const auto kept = golden::numbers<int>(file()["inputs"].at("kept_steps"));
  for (const json& entry : cases.where("kind", "trajectory")) {
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

}  // namespace

TEST_CASE("fifty steps of every transformation follow Optax, eager and compiled") {
  CHECK(support::doubles(flat(gradient(7, json::array()))) ==
        golden::numbers<double>(file()["inputs"].at("gradient_at_step_7")));
  check_trajectories(file());
  check_trajectories(golden::load("further_optimizers.json"));
  check_trajectories(golden::load("mixed_optimizers.json"));
}

TEST_CASE("factored second moments follow Optax: which axes, and in five steps") {
  for (const json& entry : golden::load("further_optimizers.json").where("kind", "factored")) {
    CAPTURE(entry.at("name").get<std::string>());
    const golden::Measured measured("optax.scale_by_factored_rms");
    const json& args = entry.at("args");
    const auto tx =
        optim::scale_by_factored_rms({.decay_rate = args.value("decay_rate", 0.8),
                                      .step_offset = args.value("step_offset", 0),
                                      .min_dim_size_to_factor = args.at("min_dim_size_to_factor").get<int>(),
                                      .epsilon = args.value("epsilon", 1e-30)});
    const Tree params = tree_of(entry.at("params"));
    Tree state = tx.init(params);
    CHECK(identical(state, tree_of(entry.at("init_state"))));
    const auto update = jit([&](const Tree& grads, const Tree& before) { return tx.update(grads, before, params); });
    for (const json& step : entry.at("steps")) {
      const Tree grads = tree_of(step.at("grads")), expected = tree_of(step.at("updates"));
      check_near(update(grads, state).first, expected, 1e-5, 1e-6);
      auto [updates, next] = tx.update(grads, state, params);
      check_near(updates, expected, 1e-5, 1e-6);
      state = next;
    }
    check_near(state, tree_of(entry.at("final_state")), 1e-5, 1e-6);
  }
}

TEST_CASE("lookahead follows Optax, with both sets of parameters in one tree") {
  for (const json& entry : golden::load("further_optimizers.json").where("kind", "lookahead")) {
    const std::string name = entry.at("name").get<std::string>();
    CAPTURE(name);
    const golden::Measured measured("optax.lookahead");
    const json& args = entry.at("args");
    const auto fast = name == "lookahead/adam_reset" ? optim::adam(0.01)
                      : name == "lookahead/sgd"      ? optim::sgd(0.1, {.momentum = 0.9})
                                                     : optim::sgd(0.1);
    const auto tx = optim::lookahead(fast, {.sync_period = args.at("sync_period").get<int>(),
                                            .slow_step_size = args.at("slow_step_size").get<double>(),
                                            .reset_state = args.value("reset_state", false)});
    Tree params = optim::lookahead_params(tree_of(file()["inputs"].at("params")));
    Tree state = tx.init(params);
    check_near(state.at("steps_since_sync").array(), Array(0));
    int step = 0;
    for (const json& expected : entry.at("steps")) {
      CAPTURE(step);
      const Tree grads = {{"fast", gradient(step++, json::array())}, {"slow", params["slow"]}};
      auto [updates, next] = tx.update(grads, state, params);
      params = optim::apply_updates(params, updates);
      state = next;
      for (const char* set : {"fast", "slow"}) {
        const auto values = golden::numbers<float>(expected.at(set));
        check_near(flat(params[set]), Array::from(values, {static_cast<std::int64_t>(values.size())}), 1e-5, 1e-6);
      }
    }
    for (const std::string& path : tree_of(entry.at("final_state")).paths()) {
      CAPTURE(path);
      check_near(state.at(path).array(), tree_of(entry.at("final_state")).at(path).array(), 1e-5, 1e-6);
    }
  }
}

TEST_CASE("lookahead and apply_every say what they need") {
  CHECK(support::error_of<ValueError>([] { return optim::lookahead(optim::sgd(0.1), {.sync_period = 0}); }) ==
        "[lookahead] sync_period must be positive.\n  got: 0");
  CHECK(support::error_of<StructureError>(
            [] { return optim::lookahead(optim::sgd(0.1)).init(Tree{{"a", Array(1.0)}}); }) ==
        "[lookahead] The parameters must be a pair, fast and slow.\n"
        "  got: keys a\n"
        "  expected: keys fast, slow\n"
        "  hint: begin with optim::lookahead_params(params)");
  CHECK(support::error_of<ValueError>([] { return optim::apply_every(0); }) ==
        "[apply_every] k must be positive.\n  got: 0");
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
