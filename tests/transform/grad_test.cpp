#include <linseed/transform/grad.hpp>

#include <chrono>
#include <map>
#include <thread>

#include <doctest/doctest.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/jit.hpp>

#include "support.hpp"

using namespace linseed;
using support::check_near;
using support::error_of;

namespace {

float number(const Array& x) { return x.item<float>(); }

const auto cube = [](const Array& x) { return x * x * x; };

struct Params {
  Array w, b;
};

}  // namespace

TEST_CASE("grad of a scalar function, as often as wanted") {
  CHECK(number(grad(cube)(Array(2.0))) == 12.0F);
  CHECK(number(grad(grad(cube))(Array(2.0))) == 12.0F);
  CHECK(number(grad(grad(grad(cube)))(Array(2.0))) == 6.0F);
  CHECK(number(grad(grad(grad(grad(cube))))(Array(2.0))) == 0.0F);
}

TEST_CASE("value_and_grad gives what the function gave") {
  const auto [value, gradient] = value_and_grad(cube)(Array(3.0));
  CHECK(number(value) == 27.0F);
  CHECK(number(gradient) == 27.0F);
}

TEST_CASE("aux is passed on undifferentiated, whatever it is") {
  struct Aux {
    Tree tree;
    std::vector<Array> list;
    int plain;
  };
  const auto f = [](const Array& x) {
    const Array y = x * x;
    return std::pair{y * x, Aux{.tree = {{"y", y}}, .list = {y, Array(5)}, .plain = 7}};
  };
  const auto [value, gradient] = value_and_grad(f)(Array(3.0));
  CHECK(number(value.first) == 27.0F);
  CHECK(number(value.second.tree["y"]) == 9.0F);
  CHECK(value.second.list[1].item<int>() == 5);
  CHECK(value.second.plain == 7);
  CHECK(number(gradient) == 27.0F);
  const auto [only_gradient, aux] = grad(f)(Array(3.0));
  CHECK(number(only_gradient) == 27.0F);
  // What comes out is no longer traced: it may be used anywhere.
  CHECK(number(jit([&](const Array& x) { return x * aux.tree["y"].array(); })(Array(2.0))) == 18.0F);
}

TEST_CASE("argnums chooses the arguments") {
  const auto f = [](const Array& x, const Array& y, const Array& z) { return x * y * y + z; };
  const Array two(2.0), three(3.0), one(1.0);
  CHECK(number(grad(f)(two, three, one)) == 9.0F);
  CHECK(number(grad(f, argnums<1>)(two, three, one)) == 12.0F);
  const auto [dz, dx] = grad(f, argnums<2, 0>)(two, three, one);
  CHECK(number(dz) == 1.0F);
  CHECK(number(dx) == 9.0F);
  // Others may be integers, or no Arrays at all.
  const auto scaled = [](const Array& x, const Array& n, int k) { return x * n * k; };
  CHECK(number(grad(scaled)(two, Array(3), 5)) == 15.0F);
}

TEST_CASE("gradients have the structure of the argument") {
  const Array x{1.0, 2.0};
  SUBCASE("a Tree") {
    const Tree params = {{"a", {{"w", x}}}, {"b", Array(3.0)}, {"unused", {{"c", x}, {"empty", Tree()}}}};
    const Tree g = grad([](const Tree& p) { return sum(square(p.at("a/w").array())) * p["b"].array(); })(params);
    CHECK(g.same_structure(params));
    CHECK(identical(g.at("a/w").array(), Array{6.0, 12.0}));
    CHECK(identical(g["b"].array(), Array(5.0)));
    CHECK(identical(g.at("unused/c").array(), Array{0.0, 0.0}));
  }
  SUBCASE("a vector") {
    const auto g = grad([](const std::vector<Array>& v) { return sum(v[0] * v[1]); })(std::vector{x, x * 3});
    REQUIRE(g.size() == 2);
    CHECK(identical(g[0], x * 3));
    CHECK(identical(g[1], x));
  }
  SUBCASE("a struct") {
    const Params g = grad([](const Params& p) { return sum(p.w * p.b); })(Params{.w = x, .b = Array(2.0)});
    CHECK(identical(g.w, Array{2.0, 2.0}));
    CHECK(identical(g.b, Array(3.0)));
  }
  SUBCASE("a tuple with a struct and a map") {
    using Argument = std::tuple<Params, std::map<std::string, Array>, std::optional<Array>>;
    const auto f = [](const Argument& a) {
      return sum(std::get<0>(a).w) + sum(std::get<1>(a).at("k")) * (std::get<2>(a) ? *std::get<2>(a) : Array(7.0));
    };
    const auto g = grad(f)(Argument{Params{x, x}, {{"k", x}}, std::nullopt});
    CHECK(identical(std::get<0>(g).w, ones({2})));
    CHECK(identical(std::get<0>(g).b, zeros({2})));
    CHECK(identical(std::get<1>(g).at("k"), full({2}, 7.0)));
    CHECK(!std::get<2>(g).has_value());
  }
  SUBCASE("float64 stays float64") {
    CHECK(grad([](const Array& y) { return sum(square(y)); })(astype(x, float64)).dtype() == float64);
  }
}

TEST_CASE("values can be read, printed and branched on under grad") {
  std::string printed;
  const auto f = [&](const Array& x) {
    printed = to_string(x * 2);
    if (x > 0) return x * x;
    return -x;
  };
  CHECK(number(grad(f)(Array(3.0))) == 6.0F);
  CHECK(printed == "6.0");
  CHECK(number(grad(f)(Array(-3.0))) == -1.0F);
  // In second derivatives too.
  CHECK(number(grad(grad(f))(Array(3.0))) == 2.0F);
  CHECK(number(grad([](const Array& x) { return x * x.item<double>(); })(Array(3.0))) ==
        3.0F);  // a number read is a constant
}

TEST_CASE("grad inside grad over captured outer variables") {
  // d/dx [ x * d/dy (x * y^2) at y = 3 ] = d/dx [ x * 6 x ] = 12 x
  const auto outer = [](const Array& x) {
    const Array inner = grad([&](const Array& y) { return x * y * y; })(Array(3.0));
    return x * inner;
  };
  CHECK(number(grad(outer)(Array(2.0))) == 24.0F);
  CHECK(number(grad(grad(outer))(Array(2.0))) == 12.0F);
  // The classic confusion of perturbations: d/dx [x * d/dy (x + y)] = 1.
  const auto confusing = [](const Array& x) { return x * grad([&](const Array& y) { return x + y; })(Array(1.0)); };
  CHECK(number(grad(confusing)(Array(1.0))) == 1.0F);
}

TEST_CASE("stop_gradient and things without gradients are constants") {
  CHECK(number(grad([](const Array& x) { return x * stop_gradient(x); })(Array(3.0))) == 3.0F);
  CHECK(number(grad([](const Array& x) { return floor(x) * x; })(Array(3.5))) == 3.0F);
  CHECK(number(grad([](const Array&) { return Array(1.0); })(Array(3.0))) == 0.0F);
  CHECK(number(grad([](const Array& x) { return x * astype(x > 2, float32); })(Array(3.0))) == 1.0F);
}

TEST_CASE("what was captured before keeps its value; what is stored inside keeps it after") {
  Array stored;
  const Array g = grad([&](const Array& x) {
    stored = x * x;
    return stored * x;
  })(Array(2.0));
  CHECK(number(g) == 12.0F);
  CHECK(number(stored) == 4.0F);
  CHECK(number(stored + 1) == 5.0F);
}

TEST_CASE("losses must be floating-point scalars") {
  CHECK(error_of<ShapeError>([] { return grad([](const Array& x) { return x * 2; })(zeros({2, 3})); }) ==
        "[grad] The function must return a scalar.\n"
        "  got: float32[2,3]\n"
        "  expected: an Array of shape ()\n"
        "  hint: reduce it with mean or sum");
  CHECK(error_of<ShapeError>([] { return grad([](const Array& x) { return x * 2; })(zeros({1})); }) ==
        "[grad] The function must return a scalar.\n"
        "  got: float32[1]\n"
        "  expected: an Array of shape ()\n"
        "  hint: reduce it with mean or sum");
  CHECK(error_of<DTypeError>([] { return grad([](const Array& x) { return astype(x, int32); })(Array(1.0)); }) ==
        "[grad] The function must return a floating-point scalar.\n"
        "  got: int32[]");
}

TEST_CASE("integers have no gradients, and the path says which") {
  const auto f = [](const Tree& p) { return sum(p["w"].array()); };
  CHECK(error_of<DTypeError>([&] { return grad(f)(Tree{{"w", Array(1.0)}, {"steps", {{"count", Array{1, 2}}}}}); }) ==
        "[grad] Only floating-point Arrays have gradients.\n"
        "  at: argument 0/steps/count\n"
        "  got: int32[2]\n"
        "  hint: pass it as an argument that is not differentiated");
  const auto g = [](const Array& x, const Params& p) { return sum(p.w * x); };
  CHECK(error_of<DTypeError>(
            [&] { return grad(g, argnums<0, 1>)(Array(1.0), Params{.w = Array(1.0), .b = Array(true)}); }) ==
        "[grad] Only floating-point Arrays have gradients.\n"
        "  at: argument 1/b\n"
        "  got: bool[]\n"
        "  hint: pass it as an argument that is not differentiated");
}

TEST_CASE("an exception leaves nothing behind") {
  const auto f = [](const Array& x) -> Array {
    if (x > 1) throw std::runtime_error("mine");
    return x * x;
  };
  CHECK_THROWS_WITH_AS((void)grad(f)(Array(2.0)), "mine", std::runtime_error);
  CHECK(number(grad(f)(Array(0.5))) == 1.0F);
}

// ---- vjp ----

TEST_CASE("vjp pulls any cotangent back, any number of times") {
  const auto f = [](const Array& x, const Array& y) { return Params{.w = x * y, .b = sum(x)}; };
  const Array x{1.0, 2.0}, y{3.0, 4.0};
  const auto [result, pull_back] = vjp(f, x, y);
  CHECK(identical(result.w, Array{3.0, 8.0}));
  CHECK(number(result.b) == 3.0F);
  const auto [dx, dy] = pull_back(Params{.w = Array{1.0, 10.0}, .b = Array(100.0)});
  CHECK(identical(dx, Array{103.0, 140.0}));
  CHECK(identical(dy, Array{1.0, 20.0}));
  const auto [dx2, dy2] = pull_back(Params{.w = zeros({2}), .b = Array(1.0)});
  CHECK(identical(dx2, ones({2})));
  CHECK(identical(dy2, zeros({2})));
}

TEST_CASE("vjp composes with grad and jit") {
  const auto f = [](const Array& x) {
    const auto [y, pull_back] = vjp([](const Array& a) { return a * a * a; }, x);
    return std::get<0>(pull_back(ones_like(y)));  // 3 x^2
  };
  CHECK(number(f(Array(2.0))) == 12.0F);
  CHECK(number(grad(f)(Array(2.0))) == 12.0F);
  CHECK(number(jit(f)(Array(2.0))) == 12.0F);
  CHECK(number(jit(grad(f))(Array(2.0))) == 12.0F);
}

TEST_CASE("cotangents must look like the result") {
  const auto [y, pull_back] = vjp([](const std::vector<Array>& v) { return v; }, std::vector{Array(1.0), Array(2.0)});
  CHECK(error_of<StructureError>([&, &back = pull_back] { return back(std::vector{Array(1.0)}); }) ==
        "[vjp] The cotangent has another structure than the result.\n"
        "  got: 1 Arrays\n"
        "  expected: 2");
  CHECK(error_of<ShapeError>([&, &back = pull_back] { return back(std::vector{zeros({2}), Array(1.0)}); }) ==
        "[vjp] A cotangent is unlike its output.\n"
        "  got: float32[2]\n"
        "  expected: float32[]");
}

// ---- custom_vjp ----

namespace {

/// sin with a gradient that is ten times too large, so that one sees which rule ran.
const auto loud_sin =
    custom_vjp([](const Array& x) { return sin(x); }, [](const Array& x) { return std::pair{sin(x), x}; },
               [](const Array& x, const Array& ct) { return 10 * ct * cos(x); });

/// The identity with a clipped gradient.
const auto clipped = custom_vjp([](const Array& x) { return x; }, [](const Array& x) { return std::pair{x, Tree()}; },
                                [](const Tree&, const Array& ct) { return clip(ct, -1, 1); });

}  // namespace

TEST_CASE("custom_vjp alone, under grad, jit and both ways round") {
  const Array x(0.5);
  const float sine = number(sin(x)), cosine = number(cos(x));
  CHECK(number(loud_sin(x)) == sine);
  CHECK(number(jit(loud_sin)(x)) == sine);
  CHECK(number(grad(loud_sin)(x)) == doctest::Approx(10 * cosine).epsilon(1e-6));
  CHECK(number(jit(grad(loud_sin))(x)) == doctest::Approx(10 * cosine).epsilon(1e-6));
  CHECK(number(grad(jit(loud_sin))(x)) == doctest::Approx(10 * cosine).epsilon(1e-6));
  CHECK(number(jit(grad(jit(loud_sin)))(x)) == doctest::Approx(10 * cosine).epsilon(1e-6));
  // The second derivative is that of the rule: -10 sin.
  CHECK(number(grad(grad(loud_sin))(x)) == doctest::Approx(-10 * sine).epsilon(1e-6));
  CHECK(number(jit(grad(grad(loud_sin)))(x)) == doctest::Approx(-10 * sine).epsilon(1e-6));
  CHECK(number(grad(grad(jit(loud_sin)))(x)) == doctest::Approx(-10 * sine).epsilon(1e-6));
  // Inside of something larger, twice.
  const auto f = [](const Array& y) { return loud_sin(loud_sin(y * 2)) * y; };
  const auto expected = [&](double y) {
    const double inner = std::sin(2 * y);
    return std::sin(inner) + y * 10 * std::cos(inner) * 10 * std::cos(2 * y) * 2;
  };
  CHECK(number(grad(f)(x)) == doctest::Approx(expected(0.5)).epsilon(1e-5));
  CHECK(number(grad(jit(f))(x)) == doctest::Approx(expected(0.5)).epsilon(1e-5));
}

TEST_CASE("a custom_vjp identity does not touch other uses of its argument") {
  // d/dx (5 clipped(x) + 7 x) = 1 + 7
  const auto f = [](const Array& x) { return 5 * clipped(x) + 7 * x; };
  CHECK(number(grad(f)(Array(2.0))) == 8.0F);
  CHECK(number(grad(jit(f))(Array(2.0))) == 8.0F);
  CHECK(number(jit(grad(f))(Array(2.0))) == 8.0F);
  CHECK(number(jit(f)(Array(2.0))) == 24.0F);
  CHECK(number(grad(jit(clipped))(Array(2.0))) == 1.0F);
}

TEST_CASE("custom_vjp with several arguments and outputs, some of them unused") {
  const auto sincos =
      custom_vjp([](const Array& x, const Tree& scale) { return std::vector{sin(x) * scale["s"].array(), cos(x)}; },
                 [](const Array& x, const Tree& scale) {
                   return std::pair{std::vector{sin(x) * scale["s"].array(), cos(x)}, std::tuple{x, scale}};
                 },
                 [](const std::tuple<Array, Tree>& saved, const std::vector<Array>& ct) {
                   const auto& [x, scale] = saved;
                   const Array s = scale["s"];
                   return std::tuple{2 * (ct[0] * s * cos(x) - ct[1] * sin(x)), Tree{{"s", ct[0] * sin(x)}}};
                 });
  const Array x(0.5);
  const Tree scale = {{"s", Array(3.0)}};
  const auto both = [&](const Array& y, const Tree& s) {
    const std::vector<Array> out = sincos(y, s);
    return out[0] + out[1];
  };
  const auto second = [&](const Array& y, const Tree& s) { return sincos(y, s)[1]; };
  const double sine = std::sin(0.5), cosine = std::cos(0.5);
  for (const bool compiled : {false, true}) {
    CAPTURE(compiled);
    const auto gradient = [&](const auto& f) {
      return compiled ? grad(jit(f), argnums<0, 1>)(x, scale) : grad(f, argnums<0, 1>)(x, scale);
    };
    const auto [dx, ds] = gradient(both);
    CHECK(number(dx) == doctest::Approx(2 * (3 * cosine - sine)).epsilon(1e-6));
    CHECK(number(ds["s"]) == doctest::Approx(sine).epsilon(1e-6));
    const auto [dx2, ds2] = gradient(second);
    CHECK(number(dx2) == doctest::Approx(-2 * sine).epsilon(1e-6));
    CHECK(number(ds2["s"]) == 0.0F);
  }
}

TEST_CASE("custom_vjp may capture outer tracers, and is not used where nothing varies") {
  const auto f = [](const Array& x) {
    const auto times_x = custom_vjp([=](const Array& y) { return y * stop_gradient(x); },
                                    [=](const Array& y) { return std::pair{y * stop_gradient(x), Tree()}; },
                                    [=](const Tree&, const Array& ct) { return 3 * ct * x; });
    return times_x(x);
  };
  CHECK(number(grad(f)(Array(2.0))) == 6.0F);
  CHECK(number(grad(f)(Array(5.0))) == 15.0F);
  CHECK(number(grad([&](const Array& x) { return x * loud_sin(Array(0.5)); })(Array(1.0))) ==
        doctest::Approx(std::sin(0.5)));
}

TEST_CASE("a backward function must give one cotangent per argument, of its shape") {
  const auto too_few = custom_vjp([](const Array& x, const Array& y) { return x + y; },
                                  [](const Array& x, const Array& y) { return std::pair{x + y, Tree()}; },
                                  [](const Tree&, const Array& ct) { return ct; });
  CHECK(error_of<StructureError>([&] { return grad(too_few)(Array(1.0), Array(2.0)); }) ==
        "[custom_vjp] The backward function gave another number of cotangents than there are arguments.\n"
        "  got: 1 Arrays\n"
        "  expected: 2");
  const auto misshapen =
      custom_vjp([](const Array& x) { return sum(x); }, [](const Array& x) { return std::pair{sum(x), Tree()}; },
                 [](const Tree&, const Array& ct) { return ct; });
  CHECK(error_of<ShapeError>([&] { return grad(misshapen)(zeros({2})); }) ==
        "[grad] The gradient rule of a custom_vjp function gave a cotangent unlike its operand.\n"
        "  got: float32[]\n"
        "  expected: float32[2]");
}

TEST_CASE("one jitted custom_vjp serves several threads") {
  const auto f = jit([](const std::vector<Array>& v) {
    const auto g = custom_vjp([](const std::vector<Array>& a) { return std::vector{a[0] * a[1], a[1]}; },
                              [](const std::vector<Array>& a) { return std::pair{std::vector{a[0] * a[1], a[1]}, a}; },
                              [](const std::vector<Array>& a, const std::vector<Array>& ct) {
                                return std::vector{ct[0] * a[1], ct[0] * a[0] + ct[1]};
                              });
    const auto out = g(v);
    return out[0] + out[1];
  });
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const float a = static_cast<float>(t + i);
        const auto g = grad(f)(std::vector{Array(a), Array(2.0)});
        good[static_cast<std::size_t>(t)] += number(g[0]) == 2.0F && number(g[1]) == a + 1 ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == std::vector<int>(4, 20));
}

// ---- long programs ----

TEST_CASE("ten thousand chained ops: eager, grad, jit, grad of jit, second derivatives") {
  constexpr int count = 10000;
  const auto chain = [](Array x) {
    for (int i = 0; i < count; ++i) x = x * 1.0001 + 0.0;
    return x;
  };
  const auto begin = std::chrono::steady_clock::now();
  const double expected = std::pow(1.0001, count);
  CHECK(number(chain(Array(1.0))) == doctest::Approx(expected).epsilon(1e-3));
  CHECK(number(grad(chain)(Array(1.0))) == doctest::Approx(expected).epsilon(1e-3));
  const auto compiled = jit(chain);
  CHECK(number(compiled(Array(1.0))) == doctest::Approx(expected).epsilon(1e-3));
  CHECK(compiled.program().size() == 2 * count);
  CHECK(number(grad(compiled)(Array(1.0))) == doctest::Approx(expected).epsilon(1e-3));
  CHECK(number(jit(grad(chain))(Array(1.0))) == doctest::Approx(expected).epsilon(1e-3));
  CHECK(number(grad(grad([&](const Array& x) { return x * chain(x); }))(Array(1.0))) ==
        doctest::Approx(2 * expected).epsilon(1e-3));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  CHECK(seconds.count() < 20.0);  // linear; a quadratic walk takes minutes
}

TEST_CASE("values used exponentially often are differentiated once") {
  const auto doubled = [](Array x) {
    for (int i = 0; i < 60; ++i) x = (x + x) * 0.5;
    return x;
  };
  CHECK(number(grad(doubled)(Array(3.0))) == 1.0F);
  CHECK(number(grad(jit(doubled))(Array(3.0))) == 1.0F);
}
