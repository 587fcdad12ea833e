#include <doctest/doctest.h>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>
#include <linseed/core/error.hpp>

using namespace linseed;

struct State { Array w; Array step; };
struct Batch { Array image; Array label; };

TEST_CASE("smoke") {
  const Array x{{1.0, 2.0}, {3.0, 4.0}};
  const Array y = x * 2 + 1; CHECK(y.data<float>()[3] == 9.0F);
  const auto f = [](const Array& a) { return sum(square(a) * a); };
  const Array g = grad(f)(x);
  CHECK(g.dtype() == float32);
  fmt::print("{}\n{}\n", x, g);
  const auto gg = grad([&](const Array& a) { return sum(grad(f)(a)); })(x);
  fmt::print("{}\n", gg);
  const auto jf = jit(grad(f));
  fmt::print("{}\n", jf(x));
  fmt::print("{}", jf.program().to_string());
  fmt::print("{}\n", grad([&](const Array& a) { return sum(jf(a)); })(x));
  const auto step = jit([](State s, Batch b) {
    const auto loss = [&](const Array& w) { return mean(square(matmul(b.image, w) - b.label)); };
    const auto [value, gw] = value_and_grad(loss)(s.w);
    return std::pair(State{.w = s.w - 0.1 * gw, .step = s.step + 1}, value);
  });
  State s{.w = Array{{1.0}, {2.0}}, .step = Array(0)};
  for (int i = 0; i < 3; ++i) {
    Array loss;
    std::tie(s, loss) = step(std::move(s), Batch{.image = x, .label = Array{{1.0}, {1.0}}});
    fmt::print("{} {} {}\n", s.step, loss, ravel(s.w));
  }
  std::tie(s, std::ignore) = step(s, Batch{.image = Array{{1.0,2.0}}, .label = Array{{1.0}}});
  for (auto& l : step.retrace_reasons()) fmt::print("{}\n", l);
  try { jit([](const Array& a) { if (sum(a) > 0) return a; return a * 2; })(x); } catch (const Error& e) { fmt::print("{}\n", e.what()); }
  try { jit([](State a) { a.w = concatenate({a.w, a.w}); return a; })(s); } catch (const Error& e) { fmt::print("{}\n", e.what()); }
}
