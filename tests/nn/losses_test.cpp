#include <linseed/nn/losses.hpp>

#include <limits>

#include <doctest/doctest.h>

#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "support.hpp"

using namespace linseed;
using golden::json;
using support::array_of;
using support::check_near;
using support::error_of;

namespace {

nn::ClassOptions class_options(const json& args) {
  nn::ClassOptions options;
  if (args.contains("axis")) {
    const json& axis = args.at("axis");
    options.axis = axis.is_array() ? Axes(axis.get<std::vector<int>>()) : Axes(axis.get<int>());
  }
  if (args.contains("where")) options.where = array_of(args.at("where"));
  return options;
}

Array class_loss(const std::string& name, const json& args, const Array& a, const Array& b) {
  const nn::ClassOptions options = class_options(args);
  if (name == "softmax_cross_entropy") return nn::softmax_cross_entropy(a, b, options);
  if (name == "softmax_cross_entropy_with_integer_labels")
    return nn::softmax_cross_entropy_with_integer_labels(a, b, options);
  if (name == "safe_softmax_cross_entropy") return nn::safe_softmax_cross_entropy(a, b);
  if (name == "poly_loss_cross_entropy") return nn::poly_loss_cross_entropy(a, b, args.value("epsilon", 2.0), options);
  if (name == "kl_divergence") return nn::kl_divergence(a, b, options);
  if (name == "kl_divergence_with_log_targets") return nn::kl_divergence_with_log_targets(a, b, options);
  if (name == "generalized_kl_divergence") return nn::generalized_kl_divergence(a, b, options);
  const nn::CosineOptions cosine{.epsilon = args.value("epsilon", 0.0), .axis = options.axis, .where = options.where};
  if (name == "cosine_similarity") return nn::cosine_similarity(a, b, cosine);
  REQUIRE(name == "cosine_distance");
  return nn::cosine_distance(a, b, cosine);
}

Array loss_of(const std::string& name, const json& args, const Array& a, const Array& b) {
  if (name == "sigmoid_binary_cross_entropy") return nn::sigmoid_binary_cross_entropy(a, b);
  if (name == "sigmoid_focal_loss") {
    nn::FocalOptions options{.gamma = args.value("gamma", 2.0)};
    if (args.contains("alpha")) options.alpha = args.at("alpha").get<double>();
    return nn::sigmoid_focal_loss(a, b, options);
  }
  if (name == "hinge_loss") return nn::hinge_loss(a, b);
  if (name == "perceptron_loss") return nn::perceptron_loss(a, b);
  if (name == "multiclass_hinge_loss") return nn::multiclass_hinge_loss(a, b);
  if (name == "multiclass_perceptron_loss") return nn::multiclass_perceptron_loss(a, b);
  if (name == "squared_error") return nn::squared_error(a, b);
  if (name == "l2_loss") return nn::l2_loss(a, b);
  if (name == "huber_loss") return nn::huber_loss(a, b, args.value("delta", 1.0));
  if (name == "log_cosh") return nn::log_cosh(a, b);
  return class_loss(name, args, a, b);
}

}  // namespace

TEST_CASE("losses and their gradients follow Optax, eager and compiled") {
  for (const json& entry : golden::load("losses.json").cases()) {
    CAPTURE(entry.at("name").get<std::string>());
    const std::string name = entry.at("loss").get<std::string>();
    if (name == "smooth_labels") continue;
    const golden::Measured measured("optax." + name);
    const bool logits = entry.contains("logits");
    const std::string first = logits ? "logits" : "predictions";
    const std::string second = logits ? "labels" : "targets";
    const Array a = array_of(entry.at(first));
    const Array b = array_of(entry.at(second));
    const auto loss = [&](const Array& p, const Array& q) { return loss_of(name, entry.at("args"), p, q); };
    check_near(loss(a, b), array_of(entry.at("output")), 1e-5, 1e-7);
    check_near(jit(loss)(a, b), array_of(entry.at("output")), 1e-5, 1e-7);
    const Array cotangent = array_of(entry.at("cotangent"));
    const auto total = [&](const Array& p, const Array& q) { return sum(loss(p, q) * cotangent); };
    check_near(grad(total, argnums<0>)(a, b), array_of(entry.at("grads").at(first)), 1e-5, 1e-7);
    if (entry.at("name") == "safe_softmax_cross_entropy/impossible") {
      // Optax's gradient of an impossible class's label is infinite, linseed's the largest number.
      const Array gradient = grad(total, argnums<1>)(a, b);
      CHECK(!any(isnan(gradient)).item<bool>());
      CHECK(max(abs(gradient)).item<float>() > 1e38F);
    } else if (entry.at("grads").contains(second)) {
      check_near(grad(total, argnums<1>)(a, b), array_of(entry.at("grads").at(second)), 1e-5, 1e-7);
    }
  }
}

TEST_CASE("smooth_labels follows Optax") {
  const golden::Measured measured("optax.smooth_labels");
  for (const json& entry : golden::load("losses.json").where("loss", "smooth_labels")) {
    CAPTURE(entry.at("name").get<std::string>());
    const json& args = entry.at("args");
    const Array labels = array_of(entry.at("labels"));
    const auto smooth = [&](const Array& x) {
      return nn::smooth_labels(x, args.at("alpha").get<double>(), class_options(args));
    };
    check_near(smooth(labels), array_of(entry.at("output")));
    const Array cotangent = array_of(entry.at("cotangent"));
    check_near(grad([&](const Array& x) { return sum(smooth(x) * cotangent); })(labels),
               array_of(entry.at("grads").at("labels")));
  }
}

TEST_CASE("losses of integer labels refuse what does not fit") {
  CHECK(error_of<DTypeError>([] { return nn::softmax_cross_entropy_with_integer_labels(zeros({2, 3}), zeros({2})); }) ==
        "[softmax_cross_entropy] Labels must be integers.\n"
        "  got: float32[2]\n"
        "  hint: for one-hot labels use softmax_cross_entropy");
  CHECK(error_of<ShapeError>(
            [] { return nn::softmax_cross_entropy_with_integer_labels(zeros({2, 3}), zeros({3}, int32)); }) ==
        "[softmax_cross_entropy] There must be one label per row of logits.\n"
        "  got: logits (2, 3), labels (3,)");
  CHECK(error_of<ShapeError>([] { return nn::multiclass_hinge_loss(zeros({2, 3}), zeros({3}, int32)); }) ==
        "[multiclass_hinge_loss] There must be one label per row of scores.\n"
        "  got: scores (2, 3), labels (3,)");
  CHECK(error_of<DTypeError>([] { return nn::multiclass_perceptron_loss(zeros({2, 3}), zeros({2})); }) ==
        "[multiclass_perceptron_loss] Labels must be integers.\n"
        "  got: float32[2]");
}

TEST_CASE("regression losses refuse unequal shapes") {
  const auto refuses = [](const char* op, auto loss) {
    CHECK(error_of<ShapeError>([&] { return loss(zeros({2, 1}), zeros({2})); }) ==
          std::string("[") + op + "] Predictions and targets differ in shape.\n  got: (2, 1) and (2,)");
  };
  refuses("squared_error", nn::squared_error);
  refuses("squared_error", nn::l2_loss);
  refuses("huber_loss", [](const Array& a, const Array& b) { return nn::huber_loss(a, b); });
  refuses("log_cosh", nn::log_cosh);
  refuses("perceptron_loss", nn::perceptron_loss);
}

TEST_CASE("losses refuse integers, masks that do not fit and numbers out of range") {
  constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
  const Array x = zeros({2, 3}), whole = zeros({2, 3}, int32);
  CHECK(error_of<DTypeError>([&] { return nn::softmax_cross_entropy(whole, x); }) ==
        "[softmax_cross_entropy] The logits must be floating-point.\n  got: int32[2,3]");
  CHECK(error_of<DTypeError>([&] { return nn::kl_divergence(x, whole); }) ==
        "[kl_divergence] The targets must be floating-point.\n  got: int32[2,3]");
  CHECK(error_of<DTypeError>([&] { return nn::smooth_labels(whole, 0.1); }) ==
        "[smooth_labels] The labels must be floating-point.\n  got: int32[2,3]");
  CHECK(error_of<DTypeError>([&] { return nn::softmax_cross_entropy(x, x, {.where = ones({2, 3})}); }) ==
        "[softmax_cross_entropy] A mask holds bool.\n  got: float32[2,3]\n  expected: bool");
  const std::string text =
      "[kl_divergence] The mask does not broadcast to the classes.\n  got: (5, 2, 3)\n  expected: (2, 3)";
  CHECK(error_of<ShapeError>([&] { return nn::kl_divergence(x, x, {.where = ones({5, 2, 3}) != 0}); }) == text);
  CHECK_THROWS_AS((void)nn::kl_divergence(zeros({1, 3}), zeros({1, 3}), {.where = ones({2, 3}) != 0}), ShapeError);
  CHECK_THROWS_AS((void)nn::softmax_cross_entropy(x, x, {.where = ones({3}) != 0}), ShapeError);
  CHECK(error_of<ShapeError>([&] { return nn::softmax_cross_entropy(x, x, {.axis = 2}); }).find("axis") !=
        std::string::npos);
  CHECK(error_of<ValueError>([&] { return nn::huber_loss(x, x, not_a_number); }) ==
        "[huber_loss] delta is negative or not finite.\n  got: nan");
  CHECK(error_of<ValueError>([&] { return nn::cosine_similarity(x, x, {.epsilon = -1.0}); }) ==
        "[cosine_similarity] epsilon is negative or not finite.\n  got: -1");
  CHECK(error_of<ValueError>([&] { return nn::smooth_labels(x, 1.5); }) ==
        "[smooth_labels] alpha lies in [0, 1].\n  got: 1.5");
  CHECK(error_of<ValueError>([&] { return nn::sigmoid_focal_loss(x, x, {.gamma = not_a_number}); }) ==
        "[sigmoid_focal_loss] alpha and gamma must be finite.\n  got: alpha 0, gamma nan");
  CHECK(error_of<ValueError>([&] { return nn::poly_loss_cross_entropy(x, x, not_a_number); }) ==
        "[poly_loss_cross_entropy] epsilon must be finite.\n  got: nan");
}

TEST_CASE("an empty batch has no losses") {
  CHECK(describe(nn::softmax_cross_entropy_with_integer_labels(zeros({0, 3}), zeros({0}, int32))) == "float32[0]");
  CHECK(describe(nn::cosine_similarity(zeros({0, 3}), zeros({0, 3}))) == "float32[0]");
  CHECK(describe(nn::log_cosh(zeros({0, 3}), zeros({0, 3}))) == "float32[0,3]");
}
