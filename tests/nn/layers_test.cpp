// What layers refuse, their dtypes, and the worked numbers of the reference.
#include <linseed/nn/layers.hpp>

#include <doctest/doctest.h>

#include <linseed/nn/functions.hpp>
#include <linseed/nn/module.hpp>
#include <linseed/random/random.hpp>
#include <linseed/transform/grad.hpp>

#include "support.hpp"

using namespace linseed;
using support::check_near;
using support::error_of;

namespace {

template <class E, class Module>
std::string init_error(const Module& module, const Array& x) {
  return error_of<E>([&] { return nn::init(module, random::key(0), x); });
}

}  // namespace

TEST_CASE("BatchNorm by hand: the worked example of the reference, in double") {
  const Array x({{1.0, 2.0}, {3.0, 4.0}, {5.0, 7.0}, {7.0, 11.0}}, float64);
  const nn::BatchNorm norm{.use_running_average = false, .param_dtype = float64};
  const Tree params = {{"scale", ones({2}, float64)}, {"bias", zeros({2}, float64)}};
  const Tree statistics = {{"mean", zeros({2})}, {"var", ones({2})}};
  const auto forward = [&](const Tree& p, const Array& input) {
    return nn::apply(norm, {{"params", p}, {"batch_stats", statistics}}, nn::mutable_({"batch_stats"}), input);
  };
  const auto [y, updates] = forward(params, x);
  check_near(y,
             Array({{-1.3416394, -1.1795351}, {-0.4472131, -0.5897676}, {0.4472131, 0.2948838}, {1.3416394, 1.4744189}},
                   float64),
             1e-7, 1e-7);
  check_near(updates.at("batch_stats/mean").array(), Array{0.04, 0.06});
  check_near(updates.at("batch_stats/var").array(), Array{1.04, 1.105});
  const Array dy({{1.0, 0.0}, {0.0, 1.0}, {2.0, 0.0}, {0.0, -1.0}}, float64);
  const auto [dp, dx] = grad([&](const Tree& p, const Array& input) { return sum(forward(p, input).first * dy); },
                             argnums<0, 1>)(params, x);
  check_near(dx,
             Array({{0.0447214, -0.1794943}, {-0.3577705, 0.2051366}, {0.5813770, 0.0448736}, {-0.2683280, -0.0705159}},
                   float64),
             1e-6, 1e-7);
  check_near(dp["scale"].array(), Array({-0.4472131, -2.0641865}, float64), 1e-6);
  check_near(dp["bias"].array(), Array({3.0, 0.0}, float64), 1e-6);
}

TEST_CASE("BatchNorm never updates its statistics with running averages, mask or not") {
  const Array x{{1.0}, {3.0}};
  const Tree variables = nn::init(nn::BatchNorm{.use_running_average = true}, random::key(0), x);
  const auto [y, updates] = nn::apply(nn::BatchNorm{}, variables, nn::mutable_({"batch_stats"}), x, std::optional(true),
                                      Array{{true}, {false}});
  CHECK(identical(updates["batch_stats"], variables["batch_stats"]));
  check_near(y, Array{{0.999995}, {2.999985}});
}

TEST_CASE("use_running_average is given exactly once") {
  const Array x{{1.0}, {3.0}};
  const std::string at_root = "";
  CHECK(init_error<ValueError>(nn::BatchNorm{}, x) ==
        "[merge_param] \"use_running_average\" must be passed to the constructor or at call time.");
  CHECK(error_of<ValueError>([&] {
          return nn::init(nn::BatchNorm{.use_running_average = true}, random::key(0), x, std::optional(true));
        }) ==
        "[merge_param] \"use_running_average\" was passed to the constructor and at call time.\n"
        "  hint: pass it just once");
  const auto inside = [](nn::Scope& scope, const Array& y) { return nn::BatchNorm{}(scope, y); };
  CHECK(init_error<ValueError>(inside, x) ==
        "[merge_param] \"use_running_average\" must be passed to the constructor or at call time.\n"
        "  at: BatchNorm_0");
  CHECK(init_error<ValueError>(nn::Dropout{.rate = 0.0}, x) ==
        "[merge_param] \"deterministic\" must be passed to the constructor or at call time.");
  CHECK(error_of<ValueError>(
            [&] { return nn::init(nn::Dropout{.deterministic = true}, random::key(0), x, std::optional(true)); }) ==
        "[merge_param] \"deterministic\" was passed to the constructor and at call time.\n"
        "  hint: pass it just once");
  CHECK(nn::merge_param("p", true, {}));
  CHECK(!nn::merge_param("p", {}, false));
}

TEST_CASE("layers refuse settings and inputs that do not fit") {
  CHECK(init_error<ValueError>(nn::Dense{}, ones({2})) == "[Dense] features must be positive.\n  got: 0");
  CHECK(init_error<ShapeError>(nn::Dense{.features = 1}, Array(1.0)) ==
        "[Dense] The input must have at least one axis.\n  got: float32[]");
  CHECK(init_error<ValueError>(nn::Conv{.kernel_size = {3}}, ones({1, 3, 1})) ==
        "[Conv] features must be positive.\n  got: 0");
  CHECK(init_error<ValueError>(nn::Conv{.features = 1, .kernel_size = {3}, .feature_group_count = 0},
                               ones({1, 3, 1})) == "[Conv] feature_group_count must be positive.\n  got: 0");
  CHECK(init_error<ShapeError>(nn::Conv{.features = 1, .kernel_size = {3, 3}}, ones({3, 1})) ==
        "[Conv] The input has too few axes for the kernel.\n"
        "  got: input (3, 1), kernel_size (3, 3)\n"
        "  expected: input [N, spatial..., channels] with as many spatial axes as kernel_size");
  CHECK(init_error<ShapeError>(nn::Conv{.features = 1}, ones({3, 1})) ==
        "[Conv] The input has too few axes for the kernel.\n"
        "  got: input (3, 1), kernel_size ()\n"
        "  expected: input [N, spatial..., channels] with as many spatial axes as kernel_size");
  CHECK(
      init_error<ShapeError>(nn::Conv{.features = 4, .kernel_size = {1}, .feature_group_count = 2}, ones({1, 3, 3})) ==
      "[Conv] The groups do not divide the channels.\n"
      "  got: 3 input channels, 4 features, 2 groups");
  CHECK(init_error<ValueError>(nn::Dropout{.rate = 1.5, .deterministic = false}, ones({2})) ==
        "[Dropout] The rate must lie between 0 and 1.\n  got: 1.5");
  CHECK(init_error<ValueError>(nn::Dropout{.rate = -0.5, .deterministic = true}, ones({2})) ==
        "[Dropout] The rate must lie between 0 and 1.\n  got: -0.5");
  CHECK(init_error<ValueError>(nn::Dropout{.rate = std::nan(""), .deterministic = true}, ones({2})) ==
        "[Dropout] The rate must lie between 0 and 1.\n  got: nan");
  CHECK(init_error<DTypeError>(nn::Dropout{.deterministic = false}, ones({2}, int32)) ==
        "[Dropout] The input must be floating-point.\n  got: int32[2]");
  CHECK(init_error<ValueError>(nn::Sequential{}, ones({2})) == "[Sequential] There are no layers.");
  CHECK(init_error<DTypeError>(nn::Dense{.features = 1, .dtype = int32}, ones({2})) ==
        "[dtype] A layer computes in a floating-point dtype.\n  got: int32");
  CHECK(init_error<DTypeError>(nn::BatchNorm{.use_running_average = true, .dtype = int32}, ones({2, 2})) ==
        "[dtype] A layer computes in a floating-point dtype.\n  got: int32");
  CHECK(init_error<ShapeError>(nn::BatchNorm{.use_running_average = true, .axis = 2}, ones({2, 2})) ==
        "[BatchNorm] Axis is out of range.\n"
        "  got: axis 2 of an Array with 2 axes\n"
        "  expected: -2 to 1");
}

TEST_CASE("dtype is that of the computation, param_dtype that of the parameters") {
  const auto dtypes = [](const auto& layer, const Array& x) {
    const auto [y, variables] = nn::init_with_output(layer, random::key(0), x);
    return std::pair(y.dtype(), variables["params"].leaves().at(0).dtype());
  };
  CHECK(dtypes(nn::Dense{.features = 1}, ones({2}, int32)) == std::pair(float32, float32));
  CHECK(dtypes(nn::Dense{.features = 1}, ones({2}, float64)) == std::pair(float64, float32));
  CHECK(dtypes(nn::Dense{.features = 1, .dtype = float32}, ones({2}, float64)) == std::pair(float32, float32));
  CHECK(dtypes(nn::Dense{.features = 1, .param_dtype = float64}, ones({2})) == std::pair(float64, float64));
  CHECK(dtypes(nn::Conv{.features = 1, .kernel_size = {1}}, ones({1, 2, 1}, uint8)) == std::pair(float32, float32));
  CHECK(dtypes(nn::BatchNorm{.use_running_average = false}, ones({2, 2}, int32)) == std::pair(float32, float32));
  CHECK(dtypes(nn::BatchNorm{.use_running_average = false}, ones({2, 2}, float64)) == std::pair(float64, float32));
  CHECK(dtypes(nn::BatchNorm{.use_running_average = false, .dtype = float32}, ones({2, 2}, float64)) ==
        std::pair(float32, float32));
  const Tree variables = nn::init(nn::BatchNorm{.use_running_average = false}, random::key(0), ones({2, 2}, float64));
  CHECK(variables.at("batch_stats/var").array().dtype() == float32);
}

TEST_CASE("Conv merges leading axes and adds none") {
  const nn::Conv conv{.features = 3, .kernel_size = {2, 2}};
  const Tree variables = nn::init(conv, random::key(0), ones({1, 4, 5, 2}));
  const Array x = random::normal(random::key(1), {2, 3, 4, 5, 2});
  const Array y = nn::apply(conv, variables, x);
  CHECK(y.shape() == Shape{2, 3, 4, 5, 3});
  CHECK(identical(reshape(y, {6, 4, 5, 3}), nn::apply(conv, variables, reshape(x, {6, 4, 5, 2}))));
  const Array single = nn::apply(conv, variables, reshape(slice(x, {0, 0, 0, 0, 0}, {1, 1, 4, 5, 2}), {4, 5, 2}));
  CHECK(single.shape() == Shape{4, 5, 3});
  check_near(single, reshape(slice(y, {0, 0, 0, 0, 0}, {1, 1, 4, 5, 3}), {4, 5, 3}));
}

TEST_CASE("Dropout draws nothing when it keeps everything") {
  for (const nn::Dropout& dropout :
       {nn::Dropout{.rate = 0.0, .deterministic = false}, nn::Dropout{.deterministic = true}}) {
    CHECK(identical(nn::apply(dropout, {}, ones({5})), ones({5})));
  }
}

TEST_CASE("Sequential passes on and nests") {
  const nn::Sequential inner{{nn::Dense{.features = 2}, nn::relu}};
  const nn::Sequential outer{
      {inner, [](const Array& x) { return x + 1; }, nn::Dense{.features = 1, .name = "ignored"}}};
  CHECK(tree::shapes(nn::init(outer, random::key(0), ones({3})), 1000) ==
        "{'params': {'layers_0': {'layers_0': {'bias': (2,), 'kernel': (3, 2)}}, 'layers_2': {'bias': (1,), 'kernel': "
        "(2, 1)}}}");
}
