#include <linseed/nn/functions.hpp>

#include <doctest/doctest.h>

#include <linseed/transform/grad.hpp>

#include "support.hpp"

using namespace linseed;
using golden::json;
using support::array_of;
using support::check_near;
using support::error_of;

namespace {

using Function = std::function<Array(const Array&)>;

/// The function of that name, or nothing where linseed has none yet.
Function function_of(const json& entry) {
  const std::string name = entry.at("fn").get<std::string>();
  const json& args = entry.at("args");
  if (name == "relu") return nn::relu;
  if (name == "sigmoid") return nn::sigmoid;
  if (name == "tanh") return nn::tanh;
  if (name == "softplus") return nn::softplus;
  if (name == "log_sigmoid") return nn::log_sigmoid;
  if (name == "silu" || name == "swish") return nn::silu;
  if (name == "elu") return [alpha = args.value("alpha", 1.0)](const Array& x) { return nn::elu(x, alpha); };
  if (name == "leaky_relu") {
    return [slope = args.value("negative_slope", 0.01)](const Array& x) { return nn::leaky_relu(x, slope); };
  }
  if (name == "gelu")
    return [approximate = args.at("approximate").get<bool>()](const Array& x) { return nn::gelu(x, approximate); };
  if (name != "softmax" && name != "log_softmax" && name != "logsumexp") return {};
  const json& axis = args.at("axis");
  const Axes axes = axis.is_array() ? Axes(axis.get<std::vector<int>>()) : Axes(axis.get<int>());
  if (name == "softmax") return [axes](const Array& x) { return nn::softmax(x, axes); };
  if (name == "log_softmax") return [axes](const Array& x) { return nn::log_softmax(x, axes); };
  return [axes](const Array& x) { return logsumexp(x, axes); };
}

Array loss_of(const std::string& name, const json& args, const Array& a, const Array& b) {
  if (name == "softmax_cross_entropy") return nn::softmax_cross_entropy(a, b);
  if (name == "softmax_cross_entropy_with_integer_labels") return nn::softmax_cross_entropy_with_integer_labels(a, b);
  if (name == "sigmoid_binary_cross_entropy") return nn::sigmoid_binary_cross_entropy(a, b);
  if (name == "l2_loss") return nn::l2_loss(a, b);
  if (name == "squared_error") return nn::squared_error(a, b);
  REQUIRE(name == "huber_loss");
  return nn::huber_loss(a, b, args.value("delta", 1.0));
}

}  // namespace

TEST_CASE("activations and their gradients follow jax.nn") {
  int tested = 0;
  for (const json& entry : golden::load("activations.json").cases()) {
    const Function function = function_of(entry);
    if (!function) continue;
    ++tested;
    CAPTURE(entry.at("name").get<std::string>());
    const Array x = array_of(entry.at("x"));
    // The ends of exp near -88 are subnormal, and JAX flushes those to zero.
    check_near(function(x), array_of(entry.at("output")), 1e-5, 1e-37);
    const Array cotangent = array_of(entry.at("cotangent"));
    const Array gradient = grad([&](const Array& input) { return sum(function(input) * cotangent); })(x);
    check_near(gradient, array_of(entry.at("grad")), 1e-5, 1e-7);
  }
  CHECK(tested == 56);
}

TEST_CASE("losses and their gradients follow Optax") {
  for (const json& entry : golden::load("losses.json").cases()) {
    CAPTURE(entry.at("name").get<std::string>());
    const std::string name = entry.at("loss").get<std::string>();
    const bool logits = entry.contains("logits");
    const std::string first = logits ? "logits" : "predictions";
    const std::string second = logits ? "labels" : "targets";
    const Array a = array_of(entry.at(first));
    const Array b = array_of(entry.at(second));
    check_near(loss_of(name, entry.at("args"), a, b), array_of(entry.at("output")), 1e-5, 1e-7);
    const Array cotangent = array_of(entry.at("cotangent"));
    const auto total = [&](const Array& p, const Array& q) {
      return sum(loss_of(name, entry.at("args"), p, q) * cotangent);
    };
    check_near(grad(total, argnums<0>)(a, b), array_of(entry.at("grads").at(first)), 1e-5, 1e-7);
    if (entry.at("grads").contains(second)) {
      check_near(grad(total, argnums<1>)(a, b), array_of(entry.at("grads").at(second)), 1e-5, 1e-7);
    }
  }
}

TEST_CASE("losses refuse what does not fit") {
  CHECK(error_of<DTypeError>([] { return nn::softmax_cross_entropy_with_integer_labels(zeros({2, 3}), zeros({2})); }) ==
        "[softmax_cross_entropy] Labels must be integers.\n"
        "  got: float32[2]\n"
        "  hint: for one-hot labels use softmax_cross_entropy");
  CHECK(error_of<ShapeError>(
            [] { return nn::softmax_cross_entropy_with_integer_labels(zeros({2, 3}), zeros({3}, int32)); }) ==
        "[softmax_cross_entropy] There must be one label per row of logits.\n"
        "  got: logits (2, 3), labels (3,)");
  CHECK(error_of<ShapeError>([] { return nn::l2_loss(zeros({2, 1}), zeros({2})); }) ==
        "[squared_error] Predictions and targets differ in shape.\n"
        "  got: (2, 1) and (2,)");
  CHECK(error_of<ShapeError>([] { return nn::huber_loss(zeros({2, 1}), zeros({2})); }) ==
        "[huber_loss] Predictions and targets differ in shape.\n"
        "  got: (2, 1) and (2,)");
}
