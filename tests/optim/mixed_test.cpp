// Optimizers whose first moment has a dtype of its own, and SM3, against Optax.
#include <doctest/doctest.h>

#include <linseed/ops/shape.hpp>
#include <linseed/optim/optimizers.hpp>
#include <linseed/transform/jit.hpp>

#include "support.hpp"

using namespace linseed;
using golden::json;
using optim::GradientTransformation;
using support::check_near;
using support::error_of;
using support::tree_of;

namespace {

const golden::File& file() { return golden::load("mixed_optimizers.json"); }

Tree as(const Tree& tree, DType dtype) {
  return tree::map([&](const Array& leaf) { return astype(leaf, dtype); }, tree);
}

GradientTransformation mixed(const std::string& fn, const json& args) {
  const optim::AdamOptions adam{.b1 = args.value("b1", 0.9), .mu_dtype = float32};
  if (fn == "adam") return optim::adam(0.01, adam);
  if (fn == "nadam") return optim::nadam(0.01, adam);
  if (fn == "amsgrad") return optim::amsgrad(0.01, adam);
  if (fn == "adamw")
    return optim::adamw(0.01, {.weight_decay = args.at("weight_decay").get<double>(), .mu_dtype = float32});
  if (fn == "nadamw")
    return optim::nadamw(0.01, {.weight_decay = args.at("weight_decay").get<double>(), .mu_dtype = float32});
  if (fn == "lion") return optim::lion(0.01, {.b1 = args.at("b1").get<double>(), .mu_dtype = float32});
  REQUIRE(fn == "optimistic_adam_v2");
  return optim::optimistic_adam_v2(0.01, args.at("alpha").get<double>(), 1.0, {.nesterov = true, .mu_dtype = float32});
}

GradientTransformation sm3(const std::string& fn, const json& args) {
  if (fn == "sm3") return optim::sm3(args.at("learning_rate").get<double>(), args.at("momentum").get<double>());
  return optim::scale_by_sm3(
      {.b1 = args.value("b1", 0.9), .b2 = args.value("b2", 1.0), .eps = args.value("eps", 1e-8)});
}

void check_steps(const json& entry, const GradientTransformation& tx, DType dtype, double relative) {
  const json& inputs = file()["inputs"];
  const auto step = jit([&](const Tree& params, const Tree& state, const Tree& grads) {
    auto [updates, next] = tx.update(grads, state, params);
    return std::pair{optim::apply_updates(params, updates), next};
  });
  Tree first = tree_of(entry.at("init_state")), last = tree_of(entry.at("final_state"));
  for (const json& path : entry.at("empty_nodes")) {
    first = first.set(path.get<std::string>(), Tree());
    last = last.set(path.get<std::string>(), Tree());
  }
  Tree params = as(tree_of(inputs.at("params")), dtype);
  Tree state = tx.init(params);
  check_near(state, first, 0.0);
  std::size_t count = 0;
  for (const json& expected : entry.at("steps")) {
    CAPTURE(count);
    std::tie(params, state) = step(params, state, as(tree_of(inputs.at("grads").at(count++)), dtype));
    check_near(params, tree_of(expected), relative);
  }
  // The first moment is rounded to float32 in every step.
  check_near(state, last, std::max(relative, 1e-6));
}

}  // namespace

TEST_CASE("a first moment in a dtype of its own follows Optax") {
  for (const json& entry : file().where("kind", "mixed")) {
    CAPTURE(entry.at("name").get<std::string>());
    const std::string fn = entry.at("fn").get<std::string>();
    const golden::Measured measured("optax." + fn);
    // A moment on the border between two float32 numbers may be rounded either way.
    check_steps(entry, mixed(fn, entry.at("args")), float64, 1e-8);
  }
}

TEST_CASE("SM3 follows Optax over leaves of one, two and three axes") {
  for (const json& entry : file().where("kind", "sm3")) {
    CAPTURE(entry.at("name").get<std::string>());
    const std::string fn = entry.at("fn").get<std::string>();
    const golden::Measured measured("optax." + fn);
    check_steps(entry, sm3(fn, entry.at("args")), float32, 1e-5);
  }
}

TEST_CASE("what moments and SM3 refuse") {
  CHECK(error_of<DTypeError>([] { return optim::adam(0.1, {.mu_dtype = int32}); }) ==
        "[scale_by_adam] A moment is floating-point.\n  got: mu_dtype int32\n  expected: float32 or float64");
  CHECK(error_of<DTypeError>([] { return optim::lion(0.1, {.mu_dtype = bool_}); }) ==
        "[scale_by_lion] A moment is floating-point.\n  got: mu_dtype bool\n  expected: float32 or float64");
  CHECK(error_of<DTypeError>([] { return optim::amsgrad(0.1, {.mu_dtype = uint8}); }) ==
        "[scale_by_amsgrad] A moment is floating-point.\n  got: mu_dtype uint8\n  expected: float32 or float64");
  CHECK(error_of<ShapeError>([] { return optim::sm3(0.1).init({{"a", {{"b", Array(1.0)}}}}); }) ==
        "[scale_by_sm3] SM3 needs leaves of at least one axis.\n  at: a/b\n  got: a scalar");
  CHECK(error_of<ValueError>([] { return optim::scale_by_sm3({.eps = std::nan("")}); }) ==
        "[scale_by_sm3] eps must be finite.\n  got: nan");
  CHECK(optim::adam(0.1, {.mu_dtype = float32}) == optim::adam(0.1, {.mu_dtype = float32}));
  CHECK_FALSE(optim::adam(0.1, {.mu_dtype = float32}) == optim::adam(0.1));
}
