// Modules as objects: the functional trees and results, by other words.
#include <linseed/nn/object.hpp>

#include <doctest/doctest.h>

#include <linseed/nn/losses.hpp>
#include <linseed/random/random.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "models.hpp"
#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

/// Its number is no mode.
struct Scaled {
  Array operator()(nn::Scope& scope, const Array& x, double scale = 3.0) const {
    return scope.param("w", nn::initializers::ones(), {}, float32) * x * scale;
  }
};

const Array x = Array{{1.0, -2.0, 0.5}, {3.0, 2.0, -1.5}, {0.0, 4.0, 2.0}, {-1.0, 1.0, 7.0}};

}  // namespace

TEST_CASE("an object has the variables and results of init and apply") {
  const auto fresh = object::make(models::MLP{});
  CHECK_FALSE(fresh.initialized());
  const auto model = fresh.init(random::key(0), x);
  CHECK(model.initialized());
  CHECK_FALSE(fresh.initialized());
  const Tree variables = nn::init(models::MLP{}, random::key(0), x, false);
  CHECK(identical(model.variables(), variables));
  CHECK(identical(model.params(), variables["params"]));

  const auto [y, next] = model(x);
  const auto [expected, updates] = nn::apply(models::MLP{}, variables, nn::mutable_({"batch_stats"}), x, true);
  CHECK(identical(y, expected));
  CHECK(identical(next.variables(), variables.merge(updates)));
  CHECK(identical(model.variables(), variables));

  const auto [z, same] = next.eval()(x);
  CHECK(identical(z, nn::apply(models::MLP{}, next.variables(), x, false)));
  CHECK(identical(same.variables(), next.variables()));
}

TEST_CASE("running averages are used when not training or frozen, and a given argument overrides") {
  const auto bn = object::make(nn::BatchNorm{.momentum = 0.5}).init(random::key(0), x);
  const Array by_batch = bn(x).first;
  const Array by_running = nn::apply(nn::BatchNorm{.use_running_average = true}, bn.variables(), x);
  CHECK_FALSE(identical(by_batch, by_running));
  const auto mean_of = [](const auto& result) { return result.second.variables().at("batch_stats/mean").array(); };
  const Array moved{0.375, 0.625, 1.0};  // half of the batch's mean

  struct Case {
    object::Object<nn::BatchNorm> bn;
    bool running;
  };
  for (const auto& [which, running] : {Case{bn, false}, Case{bn.eval(), true}, Case{bn.freeze(), true},
                                       Case{bn.eval().freeze(), true}, Case{bn.freeze().unfreeze(), false},
                                       Case{bn.eval().freeze().unfreeze(), true}, Case{bn.eval().train(), false}}) {
    CHECK(identical(which(x).first, running ? by_running : by_batch));
    CHECK(identical(mean_of(which(x)), running ? zeros({3}) : moved));
    for (const bool use_running_average : {false, true}) {
      const auto result = which(x, use_running_average);
      CHECK(identical(result.first, use_running_average ? by_running : by_batch));
      CHECK(identical(mean_of(result), use_running_average ? zeros({3}) : moved));
    }
  }
  const auto fixed = object::make(nn::BatchNorm{.use_running_average = true}).init(random::key(0), x);
  CHECK(identical(fixed(x).first, by_running));
}

TEST_CASE("modules without a mode, with numbers, of pairs and of erased type are objects too") {
  const auto dense = object::make(nn::Dense{.features = 2}).init(random::key(3), x);
  CHECK(identical(dense(x).first, nn::apply(nn::Dense{.features = 2}, dense.variables(), x)));
  const auto scaled = object::make(Scaled{}).init(random::key(0), x);
  CHECK(identical(scaled(x).first, x * 3));
  CHECK(identical(scaled(x, 2.0).first, x * 2));
  const auto cell = object::make(nn::GRUCell{.features = 3}).init(random::key(0), zeros({4, 3}), x);
  const auto [carry_and_y, next] = cell(zeros({4, 3}), x);
  CHECK(carry_and_y.first.shape() == Shape{4, 3});
  const auto erased = object::make(nn::Model(models::MLP{})).init(random::key(0), x, false);
  CHECK(identical(erased(x, false).first,
                  nn::apply(models::MLP{}, nn::init(models::MLP{}, random::key(0), x, false), x, false)));
}

TEST_CASE("a module of erased type gets the mode") {
  const auto typed = object::make(models::MLP{}).init(random::key(0), x);
  const auto erased = object::make(nn::Model(models::MLP{})).init(random::key(0), x);
  CHECK(identical(erased.variables(), typed.variables()));
  const auto [y, next] = erased(x);
  CHECK(identical(y, typed(x).first));
  CHECK(identical(next.variables(), typed(x).second.variables()));
  CHECK_FALSE(identical(next.variables(), erased.variables()));
  for (const auto& quiet : {erased.eval(), erased.freeze()}) {
    CHECK(identical(quiet(x).first, typed.eval()(x).first));
    CHECK(identical(quiet(x).second.variables(), erased.variables()));
  }
  CHECK(identical(erased(x, false).first, typed.eval()(x).first));
  const auto dense = object::make(nn::Model(nn::Dense{.features = 2})).init(random::key(3), x);
  CHECK(identical(dense(x).first, nn::apply(nn::Dense{.features = 2}, dense.variables(), x)));
}

TEST_CASE("modules that draw take keys when they train") {
  const auto dropout = object::make(nn::Dropout{.rate = 0.5}).init(random::key(0), x);
  CHECK(identical(dropout.eval()(x).first, x));
  const nn::Rngs keys = nn::rngs({{"dropout", random::key(1)}});
  CHECK(identical(dropout(keys, x).first, nn::apply(nn::Dropout{.rate = 0.5}, {}, keys, x, false)));
  CHECK(error_of<nn::MissingRngError>([&] { return dropout(x); }) != "no error");
}

TEST_CASE("objects go through grad and jit as values") {
  const auto model = object::make(models::MLP{}).init(random::key(0), x);
  using Model = std::remove_const_t<decltype(model)>;
  const auto step = [](const Model& object, const Array& input) {
    const auto loss_fn = [&](const Tree& params) {
      auto [y, next] = object.with_params(params)(input);
      return std::pair(mean(square(y)), next);
    };
    const auto [value, grads] = value_and_grad(loss_fn)(object.params());
    const Tree params = tree::map([](const Array& p, const Array& g) { return p - 0.1 * g; }, object.params(), grads);
    return std::pair(value.second.with_params(params), value.first);
  };
  const auto [eager, loss] = step(model, x);
  const auto compiled_step = jit(step);
  const auto [compiled, compiled_loss] = compiled_step(model, x);
  support::check_near(compiled.variables(), eager.variables(), 1e-5, 1e-6);
  support::check_near(compiled_loss, loss, 1e-5);
  const auto [again, smaller] = compiled_step(compiled, x);
  CHECK(smaller.item<double>() < compiled_loss.item<double>());
  CHECK(compiled_step.trace_count() == 1);
  (void)compiled_step(compiled.eval(), x);
  CHECK(compiled_step.trace_count() == 2);
}

TEST_CASE("an object without variables says so") {
  CHECK(error_of<ValueError>([] { return object::make(models::MLP{})(x); }) ==
        "[object] The MLP has no variables yet.\n  hint: object = object.init(key, arguments...)");
  CHECK(error_of<ValueError>([] { return object::make(models::MLP{}).params(); }) != "no error");
}
