#include <linseed/optim/optimizers.hpp>

#include <limits>

#include <doctest/doctest.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/jit.hpp>

#include "optim/golden_schedules.hpp"
#include "support.hpp"

using namespace linseed;
using golden::json;
using support::array_of;
using support::check_near;
using support::error_of;
using support::tree_of;

namespace {

optim::GradientTransformation optimizer_of(const std::string& name, const json& args) {
  if (name == "scale") return optim::scale(args.at("step_size").get<double>());
  if (name == "trace") return optim::trace(args.at("decay").get<double>(), args.value("nesterov", false));
  if (name == "chain") {
    std::vector<optim::GradientTransformation> members;
    for (const json& member : args.at("members"))
      members.push_back(optimizer_of(member.at("optimizer").get<std::string>(), member));
    return optim::chain(members);
  }
  const optim::Schedule rate = golden_optim::rate_of(args.at("learning_rate"));
  if (name == "sgd") {
    optim::SgdOptions options{.nesterov = args.value("nesterov", false)};
    if (args.contains("momentum")) options.momentum = args.at("momentum").get<double>();
    return optim::sgd(rate, options);
  }
  REQUIRE(name == "adam");
  return optim::adam(rate, {.b1 = args.value("b1", 0.9),
                            .b2 = args.value("b2", 0.999),
                            .eps = args.value("eps", 1e-8),
                            .eps_root = args.value("eps_root", 0.0),
                            .nesterov = args.value("nesterov", false)});
}

/// The state's paths with its empty nodes, as the golden file lists them.
void check_state(const Tree& state, const json& arrays, const json& empty_nodes, double relative) {
  Tree expected = tree_of(arrays);
  for (const json& path : empty_nodes) expected = expected.set(path.get<std::string>(), Tree());
  check_near(state, expected, relative);
  CHECK(state.same_structure(expected));
}

}  // namespace

TEST_CASE("trajectories and states follow Optax, eager and compiled") {
  for (const json& entry : golden::load("optim.json").where("kind", "trajectory")) {
    CAPTURE(entry.at("name").get<std::string>());
    const auto tx = optimizer_of(entry.at("optimizer").get<std::string>(), entry.at("args"));
    const json& inputs = golden::load("optim.json")["inputs"];
    const auto update = [&](const Tree& params, const Tree& state, const Tree& grads) {
      auto [updates, next] = tx.update(grads, state, params);
      return std::pair{optim::apply_updates(params, updates), next};
    };
    const auto compiled_update = jit(update);
    for (const bool compiled : {false, true}) {
      CAPTURE(compiled);
      Tree params = tree_of(inputs.at("params"));
      Tree state = tx.init(params);
      check_state(state, entry.at("init_state"), entry.at("empty_nodes"), 0.0);
      for (std::size_t i = 0; i < entry.at("steps").size(); ++i) {
        CAPTURE(i);
        const Tree grads = tree_of(inputs.at("grads").at(i));
        std::tie(params, state) = compiled ? compiled_update(params, state, grads) : update(params, state, grads);
        check_near(params, tree_of(entry.at("steps").at(i)), 3e-6, 1e-7);
      }
      check_state(state, entry.at("final_state"), entry.at("empty_nodes"), 3e-6);
    }
    CHECK(compiled_update.trace_count() == 1);
  }
}

TEST_CASE("polynomial_schedule by hand") {
  // optax: (1 - 0.1) * (1 - count/4)^2 + 0.1
  const auto schedule = optim::polynomial_schedule(1.0, 0.1, 2.0, 4);
  CHECK(schedule(0).item<float>() == doctest::Approx(1.0));
  CHECK(schedule(1).item<float>() == doctest::Approx(0.60625));
  CHECK(schedule(2).item<float>() == doctest::Approx(0.325));
  CHECK(schedule(4).item<float>() == doctest::Approx(0.1));
  CHECK(schedule(9).item<float>() == doctest::Approx(0.1));
  CHECK(optim::polynomial_schedule(1.0, 0.1, 2.0, 0)(5).item<float>() == 1.0F);
}

TEST_CASE("a schedule is a number or any function of the count") {
  const optim::Schedule constant = 0.5;
  CHECK(constant.is_constant());
  CHECK(constant.value() == 0.5);
  CHECK(constant(17).item<float>() == 0.5F);
  const optim::Schedule own = [](const Array& count) { return 1.0 / (astype(count, float32) + 1); };
  CHECK(!own.is_constant());
  CHECK(own(3).item<float>() == 0.25F);
  const auto tx = optim::sgd(own);
  const Tree params = {{"w", Array(0.0)}}, grads = {{"w", Array(1.0)}};
  Tree state = tx.init(params);
  std::vector<float> steps;
  for (int i = 0; i < 3; ++i) {
    auto [updates, next] = tx.update(grads, state, params);
    steps.push_back(updates["w"].array().item<float>());
    state = next;
  }
  CHECK(steps == std::vector<float>{-1.0F, -0.5F, static_cast<float>(-1.0 / 3.0)});
}

TEST_CASE("schedules refuse what makes no sense") {
  CHECK(error_of<ValueError>([] { return optim::Schedule(std::numeric_limits<double>::infinity()); }) ==
        "[schedule] The value must be finite.\n  got: inf");
  CHECK(error_of<ValueError>([] { return optim::sgd(std::numeric_limits<double>::quiet_NaN()); }) ==
        "[schedule] The value must be finite.\n  got: nan");
  CHECK(error_of<ValueError>([] { return optim::cosine_decay_schedule(0.1, 0); }) ==
        "[cosine_decay_schedule] decay_steps must be positive.\n  got: 0");
  CHECK(error_of<ValueError>([] { return optim::cosine_decay_schedule(std::numeric_limits<double>::infinity(), 5); }) ==
        "[cosine_decay_schedule] init must be finite.\n  got: inf");
  CHECK(error_of<ValueError>([] { return optim::linear_schedule(0.1, std::numeric_limits<double>::infinity(), 5); }) ==
        "[polynomial_schedule] end must be finite.\n  got: inf");
  CHECK(error_of<ValueError>([] { return optim::piecewise_constant_schedule(0.1, {{3, -0.5}}); }) ==
        "[piecewise_constant_schedule] Factors must not be negative.\n  got: -0.5 at 3");
}

TEST_CASE("transformations are values, and apply_updates keeps the parameters' dtype") {
  const auto tx = optim::adam(1e-3);
  CHECK(tx == optim::GradientTransformation(tx));
  CHECK(error_of<ValueError>([] { return optim::GradientTransformation().init({}); }) ==
        "[GradientTransformation] It is empty.\n  hint: make one, with optim::sgd for example");
  const Tree params = {{"w", Array({1.0}, float32)}, {"d", Array({1.0}, float64)}};
  const Tree moved = optim::apply_updates(params, {{"w", Array({0.5}, float64)}, {"d", Array({0.5}, float32)}});
  CHECK(describe(moved["w"]) == "float32[1]");
  CHECK(describe(moved["d"]) == "float64[1]");
  CHECK(moved["d"].array().data<double>()[0] == 1.5);
  CHECK(error_of<StructureError>([&] { return optim::apply_updates(params, Tree{{"w", Array(1.0)}}); }) ==
        "[Tree] The trees differ in structure.\n"
        "  at: the root\n"
        "  got: keys w\n"
        "  expected: keys d, w");
}

TEST_CASE("an optimizer of a user's own goes into a chain") {
  const optim::GradientTransformation sign(
      [](const Tree&) { return Tree(); },
      [](const Tree& updates, const Tree& state, const Tree&) {
        return std::pair{tree::map([](const Array& u) { return linseed::sign(u); }, updates), state};
      });
  const auto tx = optim::chain({sign, optim::scale(-0.1)});
  const Tree params = {{"w", Array{1.0, -2.0}}};
  const auto [updates, state] = tx.update({{"w", Array{5.0, -7.0}}}, tx.init(params), params);
  check_near(updates["w"].array(), Array{-0.1, 0.1});
  CHECK(state.same_structure({{"0", Tree()}, {"1", Tree()}}));
}

TEST_CASE("counts stop at the largest int32") {
  const auto tx = optim::sgd([](const Array& count) { return astype(count, float32); });
  const int largest = std::numeric_limits<int>::max();
  const auto [updates, state] =
      tx.update({{"w", Array(1.0)}}, {{"0", Tree()}, {"1", {{"count", Array(largest)}}}}, {{"w", Array(1.0)}});
  CHECK(state.at("1/count").array().item<int>() == largest);
}
