// An auto-encoder whose decoder uses the encoder's kernel, transposed.
#include <linseed/linseed.hpp>

#include <doctest/doctest.h>

using namespace linseed;

namespace {

struct TiedAutoEncoder {
  std::int64_t inputs, latents;

  Array operator()(nn::Scope& scope, const Array& x) const {
    const Array kernel = scope.param("kernel", nn::initializers::lecun_normal(), {inputs, latents});
    const Array latent = nn::tanh(dot(x, kernel) + scope.param("latent_bias", nn::initializers::zeros(), {latents}));
    return dot(latent, transpose(kernel)) + scope.param("bias", nn::initializers::zeros(), {inputs});
  }
};

}  // namespace

TEST_CASE("design: a tied auto-encoder") {
  const TiedAutoEncoder model{.inputs = 6, .latents = 2};
  const Array x = random::normal(random::key(1), {16, 6});
  Tree params = nn::init(model, random::key(0), x)["params"];
  CHECK(tree::shapes(params) == "{'bias': (6,), 'kernel': (6, 2), 'latent_bias': (2,)}");

  const auto loss = [&](const Tree& p) { return mean(nn::squared_error(nn::apply(model, {{"params", p}}, x), x)); };
  // The kernel's gradient is the sum of those of an untied pair.
  const auto untied = [&](const Array& down, const Array& up) {
    return mean(nn::squared_error(
        dot(nn::tanh(dot(x, down) + params["latent_bias"].array()), transpose(up)) + params["bias"].array(), x));
  };
  const Array& kernel = params["kernel"];
  const auto [down, up] = grad(untied, argnums<0, 1>)(kernel, kernel);
  const Array difference = grad(loss)(params)["kernel"].array() - (down + up);
  CHECK(max(abs(difference)).item<float>() < 1e-6F);

  const auto step = jit([&](const Tree& p) {
    const auto [value, grads] = value_and_grad(loss)(p);
    return std::pair{tree::map([](const Array& w, const Array& g) { return w - 0.1 * g; }, p, grads), value};
  });
  Array first, last;
  std::tie(params, first) = step(params);
  for (int i = 0; i < 50; ++i) std::tie(params, last) = step(params);
  CHECK(last.item<float>() < first.item<float>());
}
