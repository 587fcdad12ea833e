// Normalization of activations and of weights against Flax; PyTorch's conventions; masks, named axes and bad input.
#include <linseed/nn/norm.hpp>

#include <limits>

#include <doctest/doctest.h>

#include <linseed/nn/activations.hpp>
#include <linseed/nn/conv.hpp>
#include <linseed/nn/linear.hpp>
#include <linseed/nn/weight_norm.hpp>

#include "calls.hpp"

using namespace linseed;
using calls::Arrays;
using calls::json;
using support::check_near;
using support::error_of;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

Axes axes_in(const json& config, const char* key) { return calls::integers_in(config, key, {-1}); }

template <class Norm>
Norm norm_of(const json& config) {
  Norm norm{.epsilon = config.value("epsilon", 1e-6), .use_scale = config.value("use_scale", true)};
  if constexpr (requires { norm.use_bias; }) norm.use_bias = config.value("use_bias", true);
  norm.use_fast_variance = config.value("use_fast_variance", true);
  return norm;
}

nn::LayerNorm layer_norm_of(const json& config) {
  auto norm = norm_of<nn::LayerNorm>(config);
  norm.reduction_axes = axes_in(config, "reduction_axes");
  norm.feature_axes = axes_in(config, "feature_axes");
  return norm;
}
nn::RMSNorm rms_norm_of(const json& config) {
  auto norm = norm_of<nn::RMSNorm>(config);
  norm.reduction_axes = axes_in(config, "reduction_axes");
  norm.feature_axes = axes_in(config, "feature_axes");
  return norm;
}
nn::GroupNorm group_norm_of(const json& config) {
  nn::GroupNorm norm{.epsilon = config.value("epsilon", 1e-6),
                     .use_bias = config.value("use_bias", true),
                     .use_scale = config.value("use_scale", true),
                     .use_fast_variance = config.value("use_fast_variance", true)};
  if (config.at("num_groups").is_null()) {
    norm.num_groups = std::nullopt;
  } else {
    norm.num_groups = config.at("num_groups").get<int>();
  }
  if (config.contains("group_size")) norm.group_size = config.at("group_size").get<int>();
  if (config.contains("reduction_axes")) norm.reduction_axes = axes_in(config, "reduction_axes");
  return norm;
}
nn::InstanceNorm instance_norm_of(const json& config) {
  auto norm = norm_of<nn::InstanceNorm>(config);
  norm.feature_axes = axes_in(config, "feature_axes");
  return norm;
}

nn::Model inner_of(const json& inner) {
  if (inner.at("layer") == "Dense") return nn::Dense{.features = inner.at("features").get<int>()};
  return nn::Conv{.features = inner.at("features").get<int>(), .kernel_size = golden::extents(inner.at("kernel_size"))};
}

nn::WeightNorm weight_norm_of(const json& entry) {
  const json& config = entry.at("config");
  nn::WeightNorm norm{.layer_instance = inner_of(entry.at("inner")),
                      .epsilon = config.value("epsilon", 1e-12),
                      .use_scale = config.value("use_scale", true)};
  if (config.contains("feature_axes")) {
    norm.feature_axes.reset();
    if (!config.at("feature_axes").is_null()) norm.feature_axes = axes_in(config, "feature_axes");
  }
  if (config.contains("variable_filter")) norm.variable_filter.clear();
  return norm;
}

template <class E, class Module, class... Args>
std::string init_error(const Module& module, const Args&... args) {
  return error_of<E>([&] { return nn::init(module, random::key(0), args...); });
}

}  // namespace

TEST_CASE("normalizations follow Flax") {
  for (const json& entry : golden::load("norms.json").cases()) {
    const std::string layer = entry.at("layer").get<std::string>();
    const json& config = entry.at("config");
    if (entry.at("name") == "BatchNorm/all_masked") continue;  // NaN in Flax, see below
    if (entry.value("root", false)) {
      const nn::WeightNorm norm = weight_norm_of(entry);
      // At the root itself, not inside a module.
      const Tree variables = calls::tree_of(entry.at("variables"));
      const Arrays in = calls::arrays_of(entry.at("inputs"));
      check_near(nn::apply(norm, variables, in[0]), support::array_of(entry.at("outputs")[0]));
      CHECK(tree::difference(nn::init(norm, random::key(0), in[0]), variables, false).value_or("") == "");
      const Array weights = support::array_of(entry.at("weights")[0]);
      const auto loss = [&](const Tree& params) { return sum(nn::apply(norm, {{"params", params}}, in[0]) * weights); };
      calls::check_near(grad(loss)(variables["params"]), calls::tree_of(entry.at("grads").at("params")), 1e-5,
                        calls::noise);
      continue;
    }
    calls::check_inside(entry, [&](nn::Scope& scope, const Arrays& in) -> Arrays {
      const Array mask = in.size() > 1 ? in[1] : Array();
      if (layer == "LayerNorm") return {layer_norm_of(config)(scope, in[0], mask)};
      if (layer == "RMSNorm") return {rms_norm_of(config)(scope, in[0], mask)};
      if (layer == "GroupNorm") return {group_norm_of(config)(scope, in[0], mask)};
      if (layer == "InstanceNorm") return {instance_norm_of(config)(scope, in[0], mask)};
      if (layer == "BatchNorm") return {nn::BatchNorm{.use_running_average = false}(scope, in[0], {}, mask)};
      if (layer == "WeightNorm") return {weight_norm_of(entry)(scope, in[0])};
      REQUIRE(layer == "SpectralNorm");
      const nn::SpectralNorm norm{.layer_instance = inner_of(entry.at("inner")),
                                  .n_steps = config.value("n_steps", 1),
                                  .epsilon = config.value("epsilon", 1e-12)};
      return {norm(scope, in[0], entry.at("update_stats").get<bool>())};
    });
  }
}

TEST_CASE("weight and spectral normalization store what they normalized, and apply leaves it alone") {
  const Array x = random::normal(random::key(1), {2, 3});
  const nn::WeightNorm weight{.layer_instance = nn::Dense{.features = 4}};
  const Tree variables = nn::init(weight, random::key(0), x);
  const Array kernel = variables.at("params/layer_instance/kernel");
  check_near(sum(square(kernel), 0), ones({4}), 1e-6);
  const Array plain =
      nn::init(nn::Dense{.features = 4, .name = "layer_instance"}, random::key(0), x)["params"]["kernel"];
  CHECK_FALSE(identical(plain, kernel));
  const auto [y, updates] = nn::apply(weight, variables, nn::mutable_(true), x);
  CHECK(identical(updates, variables));

  // With parameters to give back, SpectralNorm gives them back normalized, as Flax does.
  const nn::SpectralNorm spectral{.layer_instance = nn::Dense{.features = 4}};
  const Tree state = nn::init(spectral, random::key(0), x, false);
  CHECK(state["batch_stats"].keys() ==
        std::vector<std::string>{"layer_instance/kernel/sigma", "layer_instance/kernel/u"});
  const auto [z, all] = nn::apply(spectral, state, nn::mutable_(true), x, true);
  const Array sigma = all["batch_stats"]["layer_instance/kernel/sigma"];
  check_near(all.at("params/layer_instance/kernel").array() * sigma, state.at("params/layer_instance/kernel").array(),
             1e-5);
  const auto [w, stats] = nn::apply(spectral, state, nn::mutable_({"batch_stats"}), x, true);
  CHECK(stats.keys() == std::vector<std::string>{"batch_stats"});
  CHECK(identical(w, z));

  CHECK(error_of<nn::ImmutableCollectionError>([&] {
          return nn::apply(spectral, state, x, true);
        }).find("[apply] Cannot update \"layer_instance/kernel/u\"") == 0);
  CHECK(init_error<ValueError>(nn::WeightNorm{.layer_instance = nn::relu}, x)
            .find("[WeightNorm] The layer must be a module, with parameters.") == 0);
  const nn::SpectralNorm strict{.layer_instance = nn::Conv{.features = 1, .kernel_size = {2}},
                                .error_on_non_matrix = true};
  CHECK(init_error<ShapeError>(strict, ones({1, 3, 1}), false) ==
        "[SpectralNorm] A parameter is not a matrix.\n"
        "  got: (2, 1, 1) of layer_instance/kernel\n"
        "  hint: error_on_non_matrix = false merges the leading axes");
}

TEST_CASE("PyTorch's momentum is the other share, and its running variance the unbiased one") {
  CHECK(nn::momentum_from_pytorch(0.1) == 0.9);
  CHECK(nn::momentum_from_pytorch(0.0) == 1.0);
  CHECK(error_of<ValueError>([] { return nn::momentum_from_pytorch(1.5); }) ==
        "[momentum_from_pytorch] momentum is out of its range.\n  got: 1.5\n  expected: 0 to 1");

  // torch.nn.BatchNorm1d(1, momentum=0.1) on {1, 3, 5, 7}: mean 4, biased variance 5, unbiased 20/3. PyTorch keeps
  // 0.9 * 1 + 0.1 * 20/3; Flax and linseed 0.9 * 1 + 0.1 * 5. The means agree.
  const Array x{{1.0}, {3.0}, {5.0}, {7.0}};
  const nn::BatchNorm norm{.use_running_average = false, .momentum = nn::momentum_from_pytorch(0.1)};
  const Tree variables = nn::init(norm, random::key(0), x);
  const auto [y, updates] = nn::apply(norm, variables, nn::mutable_({"batch_stats"}), x);
  check_near(updates.at("batch_stats/mean").array(), Array{0.4});
  check_near(updates.at("batch_stats/var").array(), Array{1.4});
  const double count = 4.0, pytorch = 0.9 + 0.1 * 20.0 / 3.0;
  const double moved = (1.4 - 0.9) * count / (count - 1);
  CHECK(0.9 + moved == doctest::Approx(pytorch));
  // The output is normalized by the biased variance in both.
  check_near(y, (x - 4) / std::sqrt(5 + 1e-5));
}

TEST_CASE("named axes wait for collectives") {
  const Array x{{1.0}, {3.0}};
  const nn::BatchNorm norm{.axis_name = "batch", .axis_index_groups = {{0, 3}, {2, 1}}};
  const auto train = std::optional(false), eval = std::optional(true);
  const Tree variables = nn::init(norm, random::key(0), x, train);
  check_near(nn::apply(norm, variables, x, eval), x / std::sqrt(1 + 1e-5));
  const auto in_training = [&](nn::Scope& scope, const Array& input) { return norm(scope, input, false); };
  const Tree inside = nn::init(in_training, random::key(0), x);
  CHECK(error_of<nn::UnboundAxisError>(
            [&] { return nn::apply(in_training, inside, nn::mutable_({"batch_stats"}), x); }) ==
        "[BatchNorm] The axis name \"batch\" is not bound to anything.\n"
        "  at: BatchNorm_0\n"
        "  hint: linseed has no collectives yet, so statistics are those of one process: leave axis_name empty");
  // The other layers ask for the axis in nn::init too, as in Flax.
  CHECK(init_error<nn::UnboundAxisError>(nn::LayerNorm{.axis_name = "i"}, x).find("[LayerNorm]") == 0);
  CHECK(init_error<nn::UnboundAxisError>(nn::GroupNorm{.num_groups = 1, .axis_name = "i"}, x).find("[GroupNorm]") == 0);

  using Groups = nn::AxisIndexGroups;
  for (const auto& [groups, shown] : {std::pair(Groups{{0, 1}, {1, 2}}, "[[0, 1], [1, 2]]"),
                                      std::pair(Groups{{0, 2}}, "[[0, 2]]"), std::pair(Groups{{1, 2}}, "[[1, 2]]"),
                                      std::pair(Groups{{-1, 0}}, "[[-1, 0]]"), std::pair(Groups{{}}, "[[]]")}) {
    CHECK(init_error<ValueError>(nn::BatchNorm{.use_running_average = true, .axis_index_groups = groups}, x) ==
          std::string("[BatchNorm] axis_index_groups must hold every index exactly once.\n  got: ") + shown +
              "\n  expected: 0, 1, 2, ... in some order, each in one group");
  }
}

TEST_CASE("batches that have no statistics") {
  const nn::BatchNorm norm{.use_running_average = false};
  const Array x{{1.0, 2.0}, {3.0, 4.0}};
  const Tree variables = nn::init(norm, random::key(0), x);
  const auto train = [&](const Array& input, const Array& mask) {
    return nn::apply(norm, variables, nn::mutable_({"batch_stats"}), input, std::optional<bool>(), mask);
  };
  CHECK(error_of<ValueError>([&] { return train(zeros({0, 2}), {}); }) ==
        "[BatchNorm] An empty batch has no statistics.\n"
        "  got: float32[0,2]\n"
        "  hint: skip the batch, or pass use_running_average = true");
  // With running ones, and while initializing, an empty batch is as good as any.
  CHECK(nn::apply(nn::BatchNorm{.use_running_average = true}, variables, zeros({0, 2})).shape() == Shape{0, 2});
  CHECK(identical(nn::init(norm, random::key(0), zeros({0, 2})), variables));

  // One sample: its variance is 0, the output the bias, and the running variance shrinks.
  const auto [y, updates] = train(Array{{5.0, -3.0}}, {});
  CHECK(identical(y, zeros({1, 2})));
  check_near(updates.at("batch_stats/var").array(), Array{0.99, 0.99});
}

TEST_CASE("a feature of which a mask leaves nothing is normalized by the running statistics, where Flax has NaN") {
  const json& entry = golden::load("norms.json")["BatchNorm/all_masked"];
  const Tree variables = calls::tree_of(entry.at("variables"));
  const Arrays in = calls::arrays_of(entry.at("inputs"));
  const Array weights = support::array_of(entry.at("weights")[0]);
  const auto forward = [&](const Tree& params, const Array& x) {
    const auto body = [&](nn::Scope& scope, const Array& y) {
      return nn::BatchNorm{.use_running_average = false}(scope, y, {}, in[1]);
    };
    return nn::apply(body, variables.set("params", params), nn::mutable_({"batch_stats"}), x);
  };
  const auto gradients =
      grad([&](const Tree& params, const Array& x) { return sum(forward(params, x).first * weights); }, argnums<0, 1>);
  const auto column = [](const Array& x, int index) { return ravel(slice_axis(x, -1, index, index + 1)); };
  const auto leaf = [](const Tree& tree, const char* collection, const char* name, int index) {
    return tree[collection]["BatchNorm_0"][name].array().data<float>()[static_cast<std::size_t>(index)];
  };

  for (const bool compiled : {false, true}) {
    CAPTURE(compiled);
    const auto [y, updates] = compiled ? jit(forward)(variables["params"], in[0]) : forward(variables["params"], in[0]);
    const auto [params_grad, x_grad] =
        compiled ? jit(gradients)(variables["params"], in[0]) : gradients(variables["params"], in[0]);
    const Tree params_grads = {{"params", params_grad}};
    // The first feature has two elements that count, and follows Flax.
    const Tree expected_updates = calls::tree_of(entry.at("updates"));
    const Tree expected_grads = {{"params", calls::tree_of(entry.at("grads").at("params"))}};
    check_near(column(y, 0), column(support::array_of(entry.at("outputs")[0]), 0));
    check_near(column(x_grad, 0), column(support::array_of(entry.at("grads").at("inputs")[0]), 0), 1e-5, calls::noise);
    for (const char* name : {"mean", "var"}) {
      CHECK(leaf(updates, "batch_stats", name, 0) ==
            doctest::Approx(leaf(expected_updates, "batch_stats", name, 0)).epsilon(1e-5));
    }
    for (const char* name : {"scale", "bias"}) {
      CHECK(leaf(params_grads, "params", name, 0) ==
            doctest::Approx(leaf(expected_grads, "params", name, 0)).epsilon(1e-5));
    }
    // Of the second one nothing counts: y = (x - mean) / sqrt(var + epsilon) * scale + bias with the running mean and
    // variance, which do not move.
    const double mean = leaf(variables, "batch_stats", "mean", 1), var = leaf(variables, "batch_stats", "var", 1);
    const double scale = leaf(variables, "params", "scale", 1), bias = leaf(variables, "params", "bias", 1);
    const double factor = 1 / std::sqrt(var + 1e-5);
    const Array x = column(in[0], 1), w = column(weights, 1);
    check_near(column(y, 1), (x - mean) * factor * scale + bias);
    check_near(column(x_grad, 1), w * factor * scale);
    CHECK(leaf(params_grads, "params", "scale", 1) ==
          doctest::Approx(sum(w * (x - mean) * factor).item<double>()).epsilon(1e-5));
    CHECK(leaf(params_grads, "params", "bias", 1) == doctest::Approx(sum(w).item<double>()).epsilon(1e-5));
    CHECK(leaf(updates, "batch_stats", "mean", 1) == leaf(variables, "batch_stats", "mean", 1));
    CHECK(leaf(updates, "batch_stats", "var", 1) == leaf(variables, "batch_stats", "var", 1));
  }
}

TEST_CASE("whole batches and examples that are masked stay finite, with finite gradients") {
  const Array x = random::normal(random::key(5), {2, 3, 4});
  // The second example is masked whole.
  const Array mask = broadcast_to(Array{{{true}}, {{false}}}, {2, 3, 4});
  const auto check = [&](const auto& norm, const Array& counts, bool centred) {
    const Tree variables = nn::init(norm, random::key(0), x, counts);
    const auto output = [&](const Array& input) { return nn::apply(norm, variables, input, counts); };
    const Array y = output(x);
    // Mean 0 and variance 1 in place of what is not there.
    check_near(slice_axis(y, 0, 1, 2), slice_axis(x, 0, 1, 2) / std::sqrt(1 + 1e-6));
    // The example that counts is what it is without a mask.
    check_near(slice_axis(y, 0, 0, 1), slice_axis(nn::apply(norm, variables, x), 0, 0, 1));
    const Array ones_grad = grad([&](const Array& input) { return sum(output(input)); })(x);
    check_near(slice_axis(ones_grad, 0, 1, 2), full({1, 3, 4}, 1 / std::sqrt(1 + 1e-6)));
    CHECK(all(isfinite(ones_grad)).template item<bool>());
    if (centred) check_near(slice_axis(ones_grad, 0, 0, 1), zeros({1, 3, 4}), 0.0, calls::noise);
  };
  check(nn::LayerNorm{}, mask, true);
  check(nn::LayerNorm{.use_fast_variance = false}, mask, true);
  check(nn::RMSNorm{}, mask, false);
  check(nn::GroupNorm{.num_groups = 2}, mask, true);
  check(nn::InstanceNorm{}, mask, true);

  // A batch of nothing but masked elements passes through BatchNorm as in evaluation, again and again.
  const nn::BatchNorm norm{.use_running_average = false};
  const Tree variables = nn::init(norm, random::key(0), x);
  const Array nothing = zeros({1}, bool_);
  auto [y, updates] = nn::apply(norm, variables, nn::mutable_({"batch_stats"}), x, std::optional<bool>(), nothing);
  check_near(y, nn::apply(nn::BatchNorm{.use_running_average = true}, variables, x));
  CHECK(identical(updates["batch_stats"], variables["batch_stats"]));
  // What is masked may be anything: NaN and infinity leave the statistics alone.
  const Array spoilt = where(mask, x, infinity);
  const auto [clean, moved] =
      nn::apply(norm, variables, nn::mutable_({"batch_stats"}), spoilt, std::optional<bool>(), mask);
  CHECK(all(isfinite(slice_axis(clean, 0, 0, 1))).item<bool>());
  CHECK(all(isfinite(moved.at("batch_stats/var").array())).item<bool>());
}

TEST_CASE("norms refuse settings and inputs that do not fit") {
  const Array x = ones({2, 3, 4});
  CHECK(init_error<ValueError>(nn::LayerNorm{.epsilon = -1.0}, x) ==
        "[LayerNorm] epsilon is out of its range.\n  got: -1\n  expected: a finite number from 0");
  CHECK(init_error<ValueError>(nn::RMSNorm{.epsilon = infinity}, x) ==
        "[RMSNorm] epsilon is out of its range.\n  got: inf\n  expected: a finite number from 0");
  CHECK(init_error<ValueError>(nn::BatchNorm{.use_running_average = true, .momentum = std::nan("")}, x) ==
        "[BatchNorm] momentum is out of its range.\n  got: nan\n  expected: 0 to 1");
  CHECK(init_error<ValueError>(nn::BatchNorm{.use_running_average = true, .momentum = 1.5}, x) ==
        "[BatchNorm] momentum is out of its range.\n  got: 1.5\n  expected: 0 to 1");
  CHECK(init_error<ShapeError>(nn::BatchNorm{.use_running_average = true, .axis = {1, -2}}, x).find("[BatchNorm]") ==
        0);
  CHECK(init_error<ShapeError>(nn::LayerNorm{.reduction_axes = 3}, x) ==
        "[LayerNorm] Axis is out of range.\n"
        "  got: axis 3 of an Array with 3 axes\n"
        "  expected: -3 to 2");
  CHECK(init_error<ShapeError>(nn::LayerNorm{.feature_axes = {0, 0}}, x).find("[LayerNorm]") == 0);
  CHECK(init_error<ShapeError>(nn::LayerNorm{}, Array(1.0)).find("[LayerNorm] Axis is out of range.") == 0);
  for (const Shape& shape : {Shape{2, 2, 4}, Shape{5}, Shape{1, 2, 3, 4}}) {
    CHECK(init_error<ShapeError>(nn::LayerNorm{}, x, ones(shape, bool_)) ==
          "[LayerNorm] The mask does not broadcast.\n  got: " + to_string(shape) +
              "\n  expected: a shape that broadcasts to (2, 3, 4)");
  }
  CHECK(init_error<ShapeError>(nn::BatchNorm{.use_running_average = true}, x, std::optional<bool>(),
                               ones({3, 3}, bool_)) ==
        "[BatchNorm] The mask does not broadcast.\n"
        "  got: (3, 3)\n"
        "  expected: a shape that broadcasts to (2, 3, 4)");

  CHECK(init_error<ShapeError>(nn::GroupNorm{}, x) ==
        "[GroupNorm] The groups do not divide the channels.\n  got: 4 channels, 32 groups");
  CHECK(init_error<ShapeError>(nn::GroupNorm{.num_groups = std::nullopt, .group_size = 3}, x) ==
        "[GroupNorm] The groups do not divide the channels.\n  got: 4 channels, groups of 3");
  const std::string one_of_two =
      "[GroupNorm] Exactly one of num_groups and group_size must be given.\n"
      "  hint: num_groups is 32 unless group_size replaces it: .num_groups = std::nullopt";
  CHECK(init_error<ValueError>(nn::GroupNorm{.group_size = 2}, x) == one_of_two);
  CHECK(init_error<ValueError>(nn::GroupNorm{.num_groups = std::nullopt}, x) == one_of_two);
  CHECK(init_error<ValueError>(nn::GroupNorm{.num_groups = 0}, x) ==
        "[GroupNorm] num_groups must be positive.\n  got: 0");
  CHECK(init_error<ValueError>(nn::GroupNorm{.num_groups = 2, .reduction_axes = Axes{0, 1}}, x) ==
        "[GroupNorm] The reduction axes must include the last one, which holds the channels.\n"
        "  got: (0, 1) of 3 axes");
  CHECK(init_error<ShapeError>(nn::GroupNorm{.num_groups = 2}, x, ones({3, 1}, bool_)) ==
        "[GroupNorm] The mask needs all channels.\n  got: (3, 1)\n  expected: (..., 4)");
  CHECK(init_error<ValueError>(nn::InstanceNorm{.feature_axes = {0, 2}}, x) ==
        "[InstanceNorm] The first axis is the batch and cannot hold features.\n  got: feature_axes (0, 2)");
}

TEST_CASE("norms agree where they are the same") {
  const Array x = random::normal(random::key(3), {2, 3, 4, 6});
  const auto output = [&](const auto& norm) { return nn::init_with_output(norm, random::key(0), x).first; };
  check_near(output(nn::GroupNorm{.num_groups = 1}), output(nn::LayerNorm{.reduction_axes = {1, 2, 3}}));
  check_near(output(nn::GroupNorm{.num_groups = std::nullopt, .group_size = 1}), output(nn::InstanceNorm{}));
  check_near(output(nn::LayerNorm{.reduction_axes = {1, 2}}), output(nn::InstanceNorm{}));
}

TEST_CASE("statistics in the precision of the input when nothing forces float32") {
  const Array x({{1.0, 2.0}, {3.0, 5.0}}, float64);
  const nn::BatchNorm norm{.use_running_average = false, .param_dtype = float64, .force_float32_reductions = false};
  const Tree variables = nn::init(norm, random::key(0), x);
  CHECK(variables.at("batch_stats/mean").array().dtype() == float64);
  const auto [y, updates] = nn::apply(norm, variables, nn::mutable_({"batch_stats"}), x);
  check_near(updates.at("batch_stats/var").array(), Array({0.99 + 0.01, 0.99 + 0.0225}, float64), 1e-12);
}
