// docs/write_a_module.md, docs/write_an_op.md, docs/write_an_optimizer.md

#include <cmath>
#include <cstdio>
#include <cstdlib>

#include <linseed/linseed.hpp>

using namespace linseed;

// <module>
/// y = x * scale, a scale per feature.
struct Scale {
  double start = 1.0;
  std::string name = {};  // optional: Scale{.name = "gain"}

  Array operator()(nn::Scope& parent, const Array& x) const {
    nn::Scope scope = parent.enter(*this);  // "Scale_0", "Scale_1", ... below the caller
    const Array scale = scope.param("scale", nn::initializers::constant(start), {x.extent(-1)});
    return scope.output(x * scale);  // output(): so that inspection sees it
  }
};
// </module>

// <block>
struct Block {
  int features;
  double rate = 0.1;
  std::string name = {};

  Array operator()(nn::Scope& parent, const Array& x, bool train) const {
    nn::Scope scope = parent.enter(*this);
    Array y = nn::LayerNorm{}(scope, x);  // one submodule per statement: their order gives the names
    y = nn::gelu(nn::Dense{.features = features}(scope, y));
    y = nn::Dropout{.rate = rate, .deterministic = !train}(scope, y);
    y = nn::Dense{.features = x.extent(-1)}(scope, y);
    return scope.output(x + Scale{.start = 0.5}(scope, y));
  }
};
// </block>

// <shared>
struct TwiceTheSame {
  Array operator()(nn::Scope& scope, const Array& x) const {
    const auto dense = scope.share(nn::Dense{.features = x.extent(-1)});
    const Array once = dense(x);
    return dense(nn::relu(once));  // the same parameters
  }
};
// </shared>

// <state>
/// x minus a running mean that training moves.
struct Center {
  std::string name = {};

  Array operator()(nn::Scope& parent, const Array& x, bool train) const {
    nn::Scope scope = parent.enter(*this);
    const nn::Variable running = scope.variable("batch_stats", "mean", [&] { return zeros({x.extent(-1)}); });
    if (!train) return scope.output(x - running.value());
    const Array batch = mean(x, 0);
    if (!scope.is_initializing()) running.set(0.9 * running.value() + 0.1 * batch);
    return scope.output(x - batch);
  }
};
// </state>

// <op>
/// x * tanh(softplus(x)) (Misra 2019). Shapes and dtypes as tanh has them.
Array mish(const Array& x) { return x * tanh(nn::softplus(x)); }
// </op>

// <custom_vjp>
/// max(x, 0) whose gradient also flows where x is just below zero.
Array leaky_backward(const Array& x) {
  const auto f = custom_vjp([](const Array& a) { return maximum(a, 0); },                         // the value
                            [](const Array& a) { return std::pair(maximum(a, 0), a); },           // value, residuals
                            [](const Array& a, const Array& g) { return where(a > -1, g, 0); });  // cotangent of a
  return f(x);
}
// </custom_vjp>

// <optimizer>
/// Steps of the same size, by the sign of the gradient (signSGD with momentum).
optim::GradientTransformation sign_momentum(double learning_rate, double decay) {
  using optim::Description;
  return {Description("sign_momentum", learning_rate, decay),  // equal settings: no second trace
          [](const Tree& params) {
            return Tree{{"trace", tree::map([](const Array& p) { return zeros_like(p); }, params)}};
          },
          [=](const Tree& grads, const Tree& state, const Tree&) {
            const Tree trace = tree::map([&](const Array& t, const Array& g) { return decay * t + (1 - decay) * g; },
                                         state["trace"], grads);
            const Tree updates = tree::map([&](const Array& t) { return -learning_rate * sign(t); }, trace);
            return std::pair{updates, Tree{{"trace", trace}}};
          }};
}
// </optimizer>

namespace {

void expect(bool condition, const char* what) {
  if (condition) return;
  fmt::print("not so: {}\n", what);
  std::exit(1);
}

void modules() {
  const Array x = random::normal(random::key(1), {4, 3});
  const Tree variables = nn::init(Block{.features = 8}, random::key(0), x, /*train=*/false);
  fmt::print("{}\n", tree::shapes(variables));
  const nn::Rngs keys = nn::rngs({{"dropout", random::key(2)}});
  const Array y = nn::apply(Block{.features = 8}, variables, keys, x, /*train=*/true);
  expect(y.shape() == x.shape(), "the block keeps the shape");
  expect(nn::init(TwiceTheSame{}, random::key(0), x).element_count() == 12, "shared parameters exist once");

  const Tree centered = nn::init(Center{}, random::key(0), x, true);
  const auto [z, updates] = nn::apply(Center{}, centered, nn::mutable_({"batch_stats"}), x, true);
  expect(std::fabs(mean(z).item<double>()) < 1e-6, "the batch is centered");
  expect(inspect::difference(updates.at("batch_stats/mean"), 0.1 * mean(x, 0)).max_abs() < 1e-7, "the mean moves");

  // <capture>
  const auto [out, kept] = nn::apply(Block{.features = 8}, variables, nn::capture_intermediates(), x, false);
  fmt::print("{}\n", tree::shapes(kept["intermediates"]));
  // </capture>
  expect(identical(kept.at("intermediates/__call__/0").array(), out), "the root's output is kept");
}

void ops() {
  const Array x{-2.0, -0.5, 0.5, 2.0};
  // <use_op>
  const Array slopes = grad([](const Array& a) { return sum(mish(a)); })(x);
  const Array compiled = jit([](const Array& a) { return mish(a); })(x);
  // </use_op>
  const double h = 1e-3;
  const Array by_difference = (mish(x + h) - mish(x - h)) / (2 * h);
  expect(inspect::difference(slopes, by_difference).max_abs() < 1e-3, "mish has its gradient");
  expect(inspect::difference(compiled, mish(x)).max_abs() < 1e-6, "mish compiles");
  const Array leaky = grad([](const Array& a) { return sum(leaky_backward(a)); })(x);
  expect(identical(leaky, Array{0.0, 1.0, 1.0, 1.0}), "the rule of one's own is used");
}

void optimizers() {
  // <use_optimizer>
  const auto tx = optim::chain({optim::clip_by_global_norm(1.0), sign_momentum(0.01, 0.9)});
  Tree params = {{"w", Array{1.0, -1.0}}};
  Tree state = tx.init(params);
  const auto loss = [](const Tree& p) { return sum(square(p["w"].array())); };
  for (int step = 0; step < 100; ++step) {
    const auto [updates, next] = tx.update(grad(loss)(params), state, params);
    params = optim::apply_updates(params, updates);
    state = next;
  }
  // </use_optimizer>
  expect(loss(params).item<double>() < 0.1, "the optimizer goes down");
  expect(sign_momentum(0.01, 0.9) == sign_momentum(0.01, 0.9), "equal by description");
}

}  // namespace

int main() {
  modules();
  ops();
  optimizers();
}
