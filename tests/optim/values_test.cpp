// Transformations, schedules and masks as values: equality, what jit sees of them, and bad input.
#include <cmath>
#include <functional>
#include <limits>

#include <doctest/doctest.h>

#include <linseed/nn/layers.hpp>
#include <linseed/nn/module.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/optim/clipping.hpp>
#include <linseed/optim/optimizers.hpp>
#include <linseed/optim/wrappers.hpp>
#include <linseed/random/random.hpp>
#include <linseed/train/train_state.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "support.hpp"

using namespace linseed;
using support::check_near;
using support::error_of;

namespace {

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

const Tree params = {{"a", Array{1.0, -2.0}}, {"b", {{"w", Array{{0.5}}}}}};
const Tree grads = {{"a", Array{0.5, 0.25}}, {"b", {{"w", Array{{-1.0}}}}}};

bool is_matrix(std::string_view, const Array& leaf) { return leaf.rank() > 1; }

}  // namespace

TEST_CASE("transformations made alike are equal") {
  CHECK(optim::adam(1e-3) == optim::adam(1e-3));
  CHECK(!(optim::adam(1e-3) == optim::adam(2e-3)));
  CHECK(!(optim::adam(1e-3) == optim::adam(1e-3, {.b1 = 0.8})));
  CHECK(!(optim::adam(1e-3) == optim::nadam(1e-3)));
  CHECK(!(optim::adam(1e-3) == optim::adam(optim::constant_schedule(1e-3))));
  CHECK(optim::sgd(0.1, {.momentum = 0.9}) == optim::sgd(0.1, {.momentum = 0.9}));
  CHECK(!(optim::sgd(0.1, {.momentum = 0.9}) == optim::sgd(0.1)));
  CHECK(!(optim::sgd(0.1, {.momentum = 0.0}) == optim::sgd(0.1)));
  CHECK(optim::sgd(optim::cosine_decay_schedule(0.1, 10)) == optim::sgd(optim::cosine_decay_schedule(0.1, 10)));
  CHECK(!(optim::sgd(optim::cosine_decay_schedule(0.1, 10)) == optim::sgd(optim::cosine_decay_schedule(0.1, 11))));
  CHECK(optim::adamw(0.1, {.mask = optim::Mask{{"a", true}, {"b", false}}}) ==
        optim::adamw(0.1, {.mask = optim::Mask(Tree{{"a", Array(true)}, {"b", Array(false)}})}));
  CHECK(!(optim::adamw(0.1, {.mask = optim::Mask{{"a", true}, {"b", false}}}) ==
          optim::adamw(0.1, {.mask = optim::Mask{{"a", true}, {"b", true}}})));
  CHECK(optim::chain({optim::clip(1.0), optim::adam(0.1)}) == optim::chain({optim::clip(1.0), optim::adam(0.1)}));
  CHECK(!(optim::chain({optim::clip(1.0), optim::adam(0.1)}) == optim::chain({optim::adam(0.1), optim::clip(1.0)})));
  CHECK(optim::multi_steps(optim::sgd(0.1), 4) == optim::multi_steps(optim::sgd(0.1), 4));
  CHECK(!(optim::multi_steps(optim::sgd(0.1), 4) == optim::multi_steps(optim::sgd(0.1), 5)));
  CHECK(!(optim::multi_steps(optim::sgd(0.1), 4) == optim::multi_steps(optim::sgd(0.1), 4, {.use_grad_mean = false})));
  CHECK(optim::multi_transform({{"x", optim::sgd(0.1)}}, "x") == optim::multi_transform({{"x", optim::sgd(0.1)}}, "x"));
  CHECK(optim::GradientTransformation() == optim::GradientTransformation());
  CHECK(!(optim::GradientTransformation() == optim::identity()));
}

TEST_CASE("what holds a caller's state is equal to its copies only") {
  double slope = 0.5;
  const auto made = [&] { return optim::Schedule([slope](const Array& count) { return slope / (count + 1); }); };
  const optim::Schedule one = made(), copy = one;
  CHECK(one == copy);
  CHECK(!(one == made()));
  CHECK(optim::sgd(one) == optim::sgd(copy));
  CHECK(!(optim::sgd(one) == optim::sgd(made())));
  // Nothing is captured here: the type says all.
  const auto bare = [] { return optim::Schedule([](const Array& count) { return 1.0 / (count + 1); }); };
  CHECK(bare() == bare());
  CHECK(!(bare() == optim::Schedule([](const Array& count) { return 1.0 / (count + 1); })));
  CHECK(!(optim::stateless([](const Tree& u, const Tree&) { return u; }) ==
          optim::stateless([](const Tree& u, const Tree&) { return u; })));
  const Array rate(0.5);
  CHECK(!(optim::scale(rate) == optim::scale(rate)));
}

TEST_CASE("a transformation says what it is") {
  CHECK(to_string(optim::adam(1e-3)) == "chain({scale_by_adam(0.9, 0.999, 1e-08, 0, false, none), scale(-0.001)})");
  CHECK(to_string(optim::masked(optim::scale(2.0), {{"a \"b\"", true}})) ==
        "masked(scale(2), ({\"a \\\"b\\\"\", true}))");
  CHECK(to_string(optim::GradientTransformation()) == "empty");
}

TEST_CASE("a compiled step takes another optimizer of the same making without a new trace") {
  const auto step =
      jit([](const TrainState& state, const Tree& gradients) { return state.apply_gradients(gradients); });
  const nn::Model model = nn::Dense{.features = 1};
  const auto state_of = [&](const optim::GradientTransformation& tx) { return TrainState::create(model, params, tx); };
  (void)step(state_of(optim::adam(optim::cosine_decay_schedule(0.1, 100))), grads);
  (void)step(state_of(optim::adam(optim::cosine_decay_schedule(0.1, 100))), grads);
  CHECK(step.trace_count() == 1);
  (void)step(state_of(optim::adam(optim::cosine_decay_schedule(0.1, 200))), grads);
  CHECK(step.trace_count() == 2);
}

TEST_CASE("masks are true, trees, paths or functions") {
  const auto kept = [](const optim::Mask& mask) {
    const auto tx = optim::masked(optim::set_to_zero(), mask);
    const auto [updates, state] = tx.update(grads, tx.init(params), params);
    return std::pair{updates["a"].array().data<float>()[0] == 0.0F, updates.at("b/w").array().data<float>()[0] == 0.0F};
  };
  CHECK(kept(true) == std::pair{true, true});
  CHECK(kept(false) == std::pair{false, false});
  CHECK(kept(is_matrix) == std::pair{false, true});
  CHECK(kept([](std::string_view path, const Array&) { return path == "a"; }) == std::pair{true, false});
  CHECK(kept({{"a", true}, {"b", false}}) == std::pair{true, false});
  CHECK(kept({{"a", false}, {"b/w", true}}) == std::pair{false, true});
  CHECK(kept(Tree{{"a", Array(true)}, {"b", Array(false)}}) == std::pair{true, false});
}

TEST_CASE("masks and labels that do not fit are refused") {
  const auto init = [](const optim::Mask& mask) { (void)optim::masked(optim::sgd(0.1), mask).init(params); };
  CHECK(error_of<StructureError>([&] {
          init({{"a", true}});
          return 0;
        }) == "[mask] A leaf has no value in the mask or labels.\n  at: b/w");
  CHECK(error_of<StructureError>([&] {
          init({{"a", true}, {"b", true}, {"c", true}});
          return 0;
        }) == "[mask] The tree has nothing at a path of the mask or labels.\n  at: c\n  expected: one of a, b/w");
  CHECK(error_of<StructureError>([&] {
          init({{"a", true}, {"b", true}, {"b/w", false}});
          return 0;
        }) == "[mask] A path of the mask or labels lies inside another.\n  at: b/w\n  got: a value for b too");
  CHECK(error_of<DTypeError>([&] {
          init(Tree{{"a", Array(1)}, {"b", Array(true)}});
          return 0;
        }) == "[mask] A mask holds bool scalars.\n  at: a\n  got: int32[]\n  expected: bool[]");
  CHECK(error_of<ShapeError>([&] {
          init(Tree{{"a", Array{true, false}}, {"b", Array(true)}});
          return 0;
        }) == "[mask] A mask holds bool scalars.\n  at: a\n  got: bool[2]\n  expected: bool[]");
  const auto groups =
      optim::multi_transform({{"fast", optim::sgd(0.1)}, {"slow", optim::sgd(0.01)}}, {{"a", "fast"}, {"b", "frozen"}});
  const std::string text =
      "[multi_transform] There is no transformation for the label 'frozen'.\n"
      "  got: labels fast, frozen\n"
      "  expected: transformations fast, slow";
  CHECK(error_of<ValueError>([&] { return groups.init(params); }) == text);
  CHECK(error_of<ValueError>([&] { return groups.update(grads, Tree(), params); }) == text);
}

TEST_CASE("hyper-parameters must be finite scalars") {
  CHECK(error_of<ValueError>([] { return optim::adam(1e-3, {.b1 = not_a_number}); }) ==
        "[scale_by_adam] b1 must be finite.\n  got: nan");
  CHECK(error_of<ValueError>([] { return optim::adamw(1e-3, {.weight_decay = infinity}); }) ==
        "[schedule] The value must be finite.\n  got: inf");
  CHECK(error_of<ValueError>([] { return optim::sgd(0.1, {.momentum = not_a_number}); }) ==
        "[trace] decay must be finite.\n  got: nan");
  CHECK(error_of<ValueError>([] { return optim::sgd(-infinity); }) ==
        "[schedule] The value must be finite.\n  got: -inf");
  CHECK(error_of<ValueError>([] { return optim::clip_by_global_norm(not_a_number); }) ==
        "[clip_by_global_norm] max_norm must be finite.\n  got: nan");
  CHECK(error_of<ValueError>([] { return optim::clip(-1.0); }) == "[clip] max_delta must not be negative.\n  got: -1");
  for (const auto& make : std::vector<std::function<optim::GradientTransformation()>>{
           [] { return optim::adamax(0.1, {.eps = not_a_number}); },
           [] { return optim::adabelief(0.1, {.eps_root = not_a_number}); },
           [] { return optim::radam(0.1, {.threshold = not_a_number}); },
           [] { return optim::yogi(0.1, {.b2 = not_a_number}); }, [] { return optim::lion(0.1, {.b2 = not_a_number}); },
           [] { return optim::rmsprop(0.1, {.decay = not_a_number}); },
           [] { return optim::adagrad(0.1, {.eps = not_a_number}); },
           [] { return optim::adadelta(0.1, {.rho = not_a_number}); },
           [] { return optim::lamb(0.1, {.b1 = not_a_number}); },
           [] { return optim::lars(0.1, {.trust_coefficient = not_a_number}); },
           [] { return optim::signum(0.1, not_a_number); }, [] { return optim::fromage(0.1, not_a_number); },
           [] { return optim::ema(not_a_number); }, [] { return optim::scale(not_a_number); },
           [] { return optim::clip_by_block_rms(not_a_number); },
           [] { return optim::adaptive_grad_clip(not_a_number); },
           [] { return optim::optimistic_gradient_descent(0.1, not_a_number); },
           [] { return optim::normalize_by_update_norm(not_a_number); },
           [] { return optim::amsgrad(0.1, {.b1 = not_a_number}); }}) {
    CHECK_THROWS_AS(make(), ValueError);
  }
  CHECK(error_of<ShapeError>([] { return optim::scale(Array{1.0, 2.0}); }) ==
        "[optim] A hyper-parameter is a scalar.\n  got: float32[2]\n  expected: shape ()");
  CHECK(error_of<ValueError>([] { return optim::amsgrad(0.1, {.nesterov = true}); }) ==
        "[scale_by_amsgrad] AMSGrad has no variant with Nesterov's momentum.");
  CHECK(error_of<ValueError>([] { return optim::apply_if_finite(optim::sgd(0.1), -1); }) ==
        "[apply_if_finite] max_consecutive_errors must not be negative.\n  got: -1");
  CHECK(error_of<ValueError>([] { return optim::multi_steps(optim::sgd(0.1), 0); }) ==
        "[multi_steps] every_k must be a positive whole number.\n  got: 0");
  CHECK(error_of<ValueError>([] { return optim::multi_steps(optim::sgd(0.1), 2.5); }) ==
        "[multi_steps] every_k must be a positive whole number.\n  got: 2.5");
  CHECK(error_of<ValueError>([] { return optim::named_chain({{"x", optim::sgd(0.1)}, {"x", optim::sgd(0.1)}}); }) ==
        "[named_chain] A name is given twice.\n  got: x");
  CHECK(error_of<ValueError>([] { return optim::periodic_update(params, params, Array(1), 0); }) ==
        "[periodic_update] The period must be positive.\n  got: 0");
  CHECK(error_of<ValueError>([] { return optim::conditionally_mask(optim::sgd(0.1), {}); }) ==
        "[conditionally_mask] The condition is empty.");
}

TEST_CASE("every optimizer refuses numbers that are not finite") {
  using Make = std::function<optim::GradientTransformation(double)>;
  const std::vector<std::pair<const char*, Make>> makers = {
      {"nadam", [](double x) { return optim::nadam(0.1, {.eps = x}); }},
      {"adamw", [](double x) { return optim::adamw(0.1, {.b2 = x}); }},
      {"amsgrad", [](double x) { return optim::amsgrad(0.1, {.eps_root = x}); }},
      {"adamax", [](double x) { return optim::adamax(0.1, {.eps = x}); }},
      {"radam", [](double x) { return optim::radam(0.1, {.threshold = x}); }},
      {"adabelief", [](double x) { return optim::adabelief(0.1, {.b1 = x}); }},
      {"yogi", [](double x) { return optim::yogi(0.1, {.initial_accumulator_value = x}); }},
      {"lion", [](double x) { return optim::lion(0.1, {.b2 = x}); }},
      {"rmsprop", [](double x) { return optim::rmsprop(0.1, {.decay = x}); }},
      {"adagrad", [](double x) { return optim::adagrad(0.1, {.eps = x}); }},
      {"adadelta", [](double x) { return optim::adadelta(0.1, {.rho = x}); }},
      {"lamb", [](double x) { return optim::lamb(0.1, {.eps = x}); }},
      {"lars", [](double x) { return optim::lars(0.1, {.trust_coefficient = x}); }},
      {"signum", [](double x) { return optim::signum(0.1, x); }},
      {"fromage", [](double x) { return optim::fromage(0.1, x); }},
      {"adan", [](double x) { return optim::adan(0.1, {.b3 = x}); }},
      {"novograd", [](double x) { return optim::novograd(0.1, {.b2 = x}); }},
      {"rprop", [](double x) { return optim::rprop(x); }},
      {"sm3", [](double x) { return optim::sm3(x); }},
      {"optimistic_adam", [](double x) { return optim::optimistic_adam(x); }},
      {"optimistic_adam_v2", [](double x) { return optim::optimistic_adam_v2(0.1, x); }},
      {"noisy_sgd", [](double x) { return optim::noisy_sgd(0.1, random::key(0), x); }},
      {"adafactor", [](double x) { return optim::adafactor(0.1, {.decay_rate = x}); }},
      {"clip", [](double x) { return optim::clip(x); }},
      {"ema", [](double x) { return optim::ema(x); }},
      {"add_decayed_weights", [](double x) { return optim::add_decayed_weights(x); }}};
  for (const auto& [name, make] : makers) {
    CAPTURE(name);
    for (const double number : {not_a_number, infinity, -infinity}) {
      CAPTURE(number);
      CHECK(error_of<ValueError>([&] { return make(number); }).find("must be finite") != std::string::npos);
    }
  }
}

TEST_CASE("schedules refuse what makes no sense, each by its name") {
  CHECK(error_of<ValueError>([] { return optim::exponential_decay(0.1, 10, not_a_number); }) ==
        "[exponential_decay] decay_rate must be finite.\n  got: nan");
  CHECK(error_of<ValueError>([] { return optim::join_schedules({0.1, 0.2}, {}); }) ==
        "[join_schedules] There must be one boundary less than schedules.\n  got: 2 schedules, 0 boundaries");
  CHECK(error_of<ValueError>([] { return optim::warmup_cosine_decay_schedule(0.0, 1.0, 10, 10); }) ==
        "[warmup_cosine_decay_schedule] decay_steps counts the warmup too and must exceed it.\n"
        "  got: decay_steps 10, warmup_steps 10");
  CHECK(error_of<ValueError>([] {
          return optim::piecewise_interpolate_schedule(optim::Interpolation::linear, 1.0, {{-1, 0.5}});
        }) == "[piecewise_interpolate_schedule] Boundaries must not be negative.\n  got: -1");
  CHECK(error_of<ValueError>([] { return optim::cosine_onecycle_schedule(0, 1.0); }) ==
        "[cosine_onecycle_schedule] transition_steps must be positive.\n  got: 0");
  CHECK(error_of<ValueError>([] { return optim::linear_onecycle_schedule(-3, 1.0); }) ==
        "[linear_onecycle_schedule] transition_steps must be positive.\n  got: -3");
  CHECK(error_of<ValueError>([] { return optim::sgdr_schedule({}); }) == "[sgdr_schedule] There are no cycles.");
  const optim::Schedule vector = [](const Array&) { return ones({2}); };
  CHECK(error_of<ShapeError>([&] { return vector(0); }) ==
        "[schedule] A schedule gives a scalar.\n  got: float32[2]\n  expected: float32[]");
}

TEST_CASE("gradients and states that do not fit are refused") {
  const auto tx = optim::adam(1e-3);
  CHECK(error_of<StructureError>([&] { return tx.update({{"a", Array{1.0, 2.0}}}, tx.init(params), params); }) ==
        "[GradientTransformation] The updates do not have the structure of the parameters.\n"
        "  got: b: only in the second\n"
        "  hint: the first are the updates, the second the parameters");
  CHECK(error_of<ShapeError>([&] { return tx.update(grads.set("b/w", Array(1.0)), tx.init(params), params); }) ==
        "[GradientTransformation] An update does not have the shape of its parameter.\n"
        "  at: b/w\n"
        "  got: float32[]\n"
        "  expected: float32[1,1]");
  CHECK(error_of<StructureError>([&] { return tx.update(grads, Tree(), params); }) ==
        "[chain] The state belongs to another transformation.\n"
        "  got: 0 entries\n"
        "  expected: 2 entries, one per member\n"
        "  hint: make the state with init of the same transformation");
  CHECK_THROWS_AS((void)tx.update(grads, optim::sgd(0.1, {.momentum = 0.9}).init(params), params), StructureError);
}

TEST_CASE("trees without leaves are optimized, to nothing") {
  for (const auto& tx :
       {optim::sgd(0.1, {.momentum = 0.9}), optim::adamw(0.1), optim::lamb(0.1), optim::radam(0.1),
        optim::chain({optim::clip_by_global_norm(1.0), optim::lars(0.1)}), optim::masked(optim::adam(0.1), true),
        optim::apply_if_finite(optim::adam(0.1), 1), optim::multi_steps(optim::adam(0.1), 2), optim::chain({})}) {
    const auto [updates, state] = tx.update(Tree(), tx.init(Tree()), Tree());
    CHECK(updates.empty());
    CHECK(state.same_structure(tx.init(Tree())));
  }
  CHECK(optim::global_norm(Tree()).item<float>() == 0.0F);
}

TEST_CASE("injected hyper-parameters can be replaced between steps") {
  const auto tx = optim::inject_hyperparams(
      [](const Tree& h) { return optim::sgd(h["learning_rate"], {.momentum = h["momentum"]}); },
      {{"learning_rate", 0.5}, {"momentum", 0.0}});
  const auto step = jit([&](const Tree& state) { return tx.update(grads, state, params); });
  Tree state = tx.init(params);
  CHECK(state.at("hyperparams/learning_rate").array().item<float>() == 0.5F);
  auto [updates, next] = step(state);
  check_near(updates["a"].array(), Array{-0.25, -0.125});
  std::tie(updates, next) = step(next.set("hyperparams/learning_rate", Array(2.0)));
  check_near(updates["a"].array(), Array{-1.0, -0.5});
  CHECK(next.at("hyperparams/learning_rate").array().item<float>() == 2.0F);
  CHECK(next.at("count").array().item<int>() == 2);
  CHECK(step.trace_count() == 1);
}

TEST_CASE("injected schedules follow their count, and float64 parameters get float64 values") {
  const auto tx = optim::inject_hyperparams([](const Tree& h) { return optim::scale(h["factor"]); },
                                            {{"factor", optim::linear_schedule(0.0, 1.0, 4)}});
  const Tree wide = {{"w", Array({1.0}, float64)}};
  Tree state = tx.init(wide);
  CHECK(describe(state.at("hyperparams/factor")) == "float64[]");
  for (const double expected : {0.0, 0.25, 0.5}) {
    const auto [updates, next] = tx.update(wide, state, wide);
    CHECK(updates["w"].array().data<double>()[0] == expected);
    state = next;
  }
  CHECK(state.at("hyperparams_states/factor/count").array().item<int>() == 3);
}

TEST_CASE("multi_steps takes k from a schedule and says when it has updated") {
  // Two gradients for the first update, then one.
  const auto tx = optim::multi_steps(optim::sgd(1.0), [](const Array& step) { return where(step == 0, 2.0, 1.0); });
  Tree state = tx.init(params);
  CHECK(!optim::has_updated(state).item<bool>());
  std::vector<bool> updated;
  std::vector<float> first;
  for (int i = 0; i < 4; ++i) {
    const auto [updates, next] = tx.update(grads, state, params);
    first.push_back(updates["a"].array().data<float>()[0]);
    updated.push_back(optim::has_updated(next).item<bool>());
    state = next;
  }
  CHECK(updated == std::vector<bool>{false, true, true, true});
  CHECK(first == std::vector<float>{0.0F, -0.5F, -0.5F, -0.5F});
}

TEST_CASE("averages of parameters") {
  const Tree old = {{"w", Array{1.0, 2.0}}}, fresh = {{"w", Array{3.0, 4.0}}};
  check_near(optim::incremental_update(fresh, old, 0.25)["w"].array(), Array{1.5, 2.5});
  CHECK(identical(optim::periodic_update(fresh, old, 4, 2), fresh));
  CHECK(identical(optim::periodic_update(fresh, old, Array(3), 2), old));
  CHECK_THROWS_AS((void)optim::incremental_update(fresh, params, 0.5), StructureError);
  CHECK(error_of<ValueError>([&] { return optim::incremental_update(fresh, old, not_a_number); }) ==
        "[incremental_update] step_size must be finite.\n  got: nan");
}

TEST_CASE("units of adaptive clipping") {
  const Tree wide = {{"k", ones({2, 2, 2, 2, 2, 2})}};
  const auto tx = optim::adaptive_grad_clip(0.1);
  CHECK(error_of<ShapeError>([&] { return tx.update(wide, tx.init(wide), wide); }) ==
        "[adaptive_grad_clip] There is no rule for the units of a parameter of so many axes.\n"
        "  got: float32[2,2,2,2,2,2]\n"
        "  expected: at most 5 axes\n"
        "  hint: say along which axes a unit lies: axes");
  // By hand: one unit, |g| = |p| = 8, so g is scaled to 0.1 |p|.
  const auto whole = optim::adaptive_grad_clip(0.1, 1e-3, Axes{0, 1, 2, 3, 4, 5});
  check_near(whole.update(wide, Tree(), wide).first["k"].array(), full({2, 2, 2, 2, 2, 2}, 0.1));
}

TEST_CASE("float64 parameters are optimized in float64") {
  // Adam by hand, in double.
  const auto tx = optim::adam(0.1);
  Tree wide = {{"w", Array({1.0}, float64)}};
  Tree state = tx.init(wide);
  double p = 1.0, m = 0.0, v = 0.0;
  for (int t = 1; t <= 20; ++t) {
    const double g = std::sin(t);
    const auto [updates, next] = tx.update({{"w", Array({g}, float64)}}, state, wide);
    wide = optim::apply_updates(wide, updates);
    state = next;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    p -= 0.1 * (m / (1 - std::pow(0.9, t))) / (std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8);
  }
  CHECK(describe(wide["w"]) == "float64[1]");
  CHECK(wide["w"].array().item<double>() == doctest::Approx(p).epsilon(1e-12));
}

TEST_CASE("wrapped optimizers train inside a compiled TrainState") {
  // Two gradients make one update; the bias does not decay; a NaN changes nothing.
  const auto decay = [](std::string_view path, const Array&) { return path == "kernel"; };
  const auto tx = optim::apply_if_finite(
      optim::multi_steps(optim::chain({optim::clip_by_global_norm(1.0), optim::adamw(0.1, {.mask = decay})}), 2), 3);
  const nn::Model model = nn::Dense{.features = 1};
  const Array x = {{1.0, 2.0}, {3.0, -1.0}};
  const auto step = jit([&](const TrainState& state, const Array& batch) {
    const auto grads_of =
        grad([&](const Tree& p) { return sum(square(nn::apply(state.model, {{"params", p}}, batch))); });
    return state.apply_gradients(grads_of(state.params));
  });
  TrainState state = TrainState::create(model, nn::init(model, random::key(0), x)["params"], tx);
  const Tree start = state.params;
  state = step(state, x);
  CHECK(identical(state.params, start));
  const TrainState poisoned = step(state, x * Array(not_a_number));
  CHECK(identical(poisoned.params, start));
  CHECK(poisoned.opt_state["total_notfinite"].array().item<int>() == 1);
  CHECK(identical(poisoned.opt_state["inner_state"], state.opt_state["inner_state"]));
  state = step(state, x);
  CHECK(!identical(state.params["kernel"].array(), start["kernel"].array()));
  CHECK(step.trace_count() == 1);
}
