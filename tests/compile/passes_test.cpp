#include "compile/passes.hpp"

#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "program/program.hpp"
#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

Program after(std::string_view name, const Program& program) {
  for (const compile::Pass& pass : compile::simplifications()) {
    if (pass.name == name) return pass.run(program);
  }
  FAIL("no such pass");
  return program;
}

std::vector<Array> values(const Program& program, const std::vector<Array>& inputs) {
  return interpret(program.data(), inputs, Executor(1));
}

const Array x{{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}};
const Array row{10.0, 20.0, 30.0};

}  // namespace

TEST_CASE("dead_code drops what no output needs, and keeps inputs") {
  const Program program = make_program(
      [](const Array& a, const Array& b) {
        const Array unused = exp(b) + 1;
        return a * 2;
      },
      x, row);
  CHECK(program.size() == 3);
  const Program live = after("dead_code", program);
  CHECK(live.size() == 1);
  CHECK(live.data().inputs.size() == 2);
  CHECK(identical(values(live, {x, row})[0], x * 2));
}

TEST_CASE("constant_folding computes what depends on constants alone") {
  const Program program =
      make_program([](const Array& a) { return a * (exp(zeros({3})) + sum(arange(4, float32))); }, x);
  const Program folded = after("dead_code", after("constant_folding", program));
  CHECK(folded.size() == 1);
  CHECK(identical(values(folded, {x})[0], x * 7));
  // Large constants are not worth their memory.
  const Program large =
      make_program([](const Array& a) { return a + broadcast_to(Array(1.0), {100, 100}); }, Array(2.0));
  CHECK(after("constant_folding", large).size() == large.size());
}

TEST_CASE("common_subexpressions computes equal values once") {
  const Program program = make_program(
      [](const Array& a) { return sum(a, 0) * exp(a * 2) + sum(a, 0) * exp(a * 2.0) + sum(a, 1, true) + a * 3; }, x);
  CHECK(program.count("exp") == 2);
  const Program shared = after("common_subexpressions", program);
  CHECK(shared.count("exp") == 1);
  CHECK(shared.count("reduce_sum") == 2);  // over other axes
  CHECK(shared.count("mul") == 3);         // a * 2, the product, a * 3
  CHECK(identical(values(shared, {x})[0], values(program, {x})[0]));
}

TEST_CASE("algebra drops operations that change nothing") {
  const Program program = make_program(
      [](const Array& a) {
        const Array same = -(-(transpose(transpose(a * 1.0 / 1.0 - 0.0))));
        return reshape(reshape(stop_gradient(broadcast_to(same, {2, 3})), {6}), {3, 2});
      },
      x);
  const Program simple = after("dead_code", after("algebra", program));
  CHECK(simple.size() == 1);
  CHECK(simple.count("reshape") == 1);
  CHECK(identical(values(simple, {x})[0], reshape(x, {3, 2})));
  // What broadcasts or converts does change something.
  const Program kept = make_program([](const Array& a) { return a * ones({2, 3}); }, row);
  CHECK(after("algebra", kept).count("mul") == 1);
}

TEST_CASE("algebra takes constant factors and signs out of sums") {
  const auto simplified = [](const auto& function) {
    return after("dead_code", after("algebra", after("algebra", make_program(function, x, row))));
  };
  const Program factor = simplified([](const Array& a, const Array& b) { return sum(a * b, 0); });
  CHECK(identical(values(factor, {x, row})[0], Array{50.0, 140.0, 270.0}));
  CHECK(factor.data().nodes.back().result.shape == Shape{3});
  CHECK(factor.data().nodes[2].op->name == "reduce_sum");  // before the product
  const Program varying = simplified([](const Array& a, const Array& b) { return sum(a * b, 1); });
  CHECK(varying.data().nodes[2].op->name == "mul");
  CHECK(identical(values(varying, {x, row})[0], Array{140.0, 320.0}));
  const Program sign = simplified([](const Array& a, const Array&) { return sum(-a); });
  CHECK(sign.count("neg") == 1);
  CHECK(identical(values(sign, {x, row})[0], Array(-21.0)));
  // The sum of nothing is zero even if the factor is not a number.
  const Program empty = make_program([](const Array& a) { return sum(a * (0.0 * INFINITY)); }, zeros({0, 3}));
  CHECK(identical(values(after("algebra", empty), {zeros({0, 3})})[0], Array(0.0)));
}

TEST_CASE("algebra turns a product round instead of transposing it") {
  const Program program = make_program(
      [](const Array& a, const Array& b) { return transpose(dot_general(a, b, {{0}, {0}, {}, {}})); }, x, x);
  const Program turned = after("dead_code", after("algebra", program));
  CHECK(turned.count("transpose") == 0);
  CHECK(identical(values(turned, {x, x + 1})[0], values(program, {x, x + 1})[0]));
}

TEST_CASE("algebra lets products of stacks read and write arrays whose axes are in another order") {
  const auto weighted = [](const Array& weights, const Array& v) { return einsum("bhqk,bkhd->bqhd", weights, v); };
  const auto scores = [](const Array& q, const Array& k) { return einsum("bqhd,bkhd->bhqk", q, k); };
  const Array w = reshape(arange(2 * 3 * 4 * 5, float32), {2, 3, 4, 5});
  const Array v = reshape(arange(2 * 5 * 3 * 6, float32), {2, 5, 3, 6}) * 0.5;
  const Array q = reshape(arange(2 * 4 * 3 * 6, float32), {2, 4, 3, 6}) * 0.25;
  const auto simple = [](const Program& program) {
    Program result = program;
    for (int round = 0; round < 2; ++round) result = after("dead_code", after("algebra", result));
    return result;
  };
  const auto check = [&](const Program& program, const std::vector<Array>& inputs) {
    const Program simplified = simple(program);
    CHECK(program.count("transpose") > 0);
    CHECK(simplified.count("transpose") == 0);
    const auto expected = values(program, inputs), got = values(simplified, inputs);
    for (std::size_t i = 0; i < got.size(); ++i) CHECK(identical(got[i], expected[i]));
  };
  check(make_program(weighted, w, v), {w, v});
  check(make_program([&](const Array& a, const Array& b, const Array& g) { return vjp(weighted, a, b).second(g); }, w,
                     v, q),
        {w, v, q});
  check(make_program([&](const Array& a, const Array& b, const Array& g) { return vjp(scores, a, b).second(g); }, q, v,
                     w),
        {q, v, w});

  // A product that is needed as it is, too, is not computed twice.
  const auto twice = [](const Array& a, const Array& b) {
    const Array y = matmul(a, b);
    return std::pair(transpose(y, {0, 2, 1, 3}), y);
  };
  const Program both = simple(make_program(twice, w, zeros({2, 3, 5, 7})));
  CHECK(both.count("transpose") == 1);
  CHECK(both.count("dot_general") == 1);
}

TEST_CASE("an unknown pass is an error that lists the known ones") {
  const auto f = jit([](const Array& a) { return a + 1; }, {.disabled_passes = {"magic"}});
  CHECK(error_of<ValueError>([&] { return f(x); }) ==
        "[jit] There is no such pass.\n  got: magic\n  expected: constant_folding, algebra, common_subexpressions, "
        "dead_code, reassociation, layout, winograd, fusion, rematerialization, phases, windows");
  CHECK(f.trace_count() == 0);
}

namespace {

/// Batch normalization as its formula says it, with the variance taken from deviations.
Array normalized_loss(const Array& a) {
  const Array m = mean(a, Axes{0, 1}, /*keepdims=*/true);
  const Array v = mean(square(a - m), Axes{0, 1}, /*keepdims=*/true);
  const Array y = (a - m) / sqrt(v + 1e-5);
  return sum(y * y * y);
}

Array samples(std::int64_t rows) {
  std::vector<double> numbers;
  for (std::int64_t i = 0; i < rows * 12; ++i) numbers.push_back(std::sin(1.7 * static_cast<double>(i)) * 3 + 1);
  return Array::from(numbers, {rows, 4, 3});
}

}  // namespace

TEST_CASE("algebra knows that deviations from a mean add up to zero") {
  const Array a = samples(5);
  const auto gradient = [](const Array& z) { return grad(normalized_loss)(z); };
  const Program traced = after("common_subexpressions", make_program(gradient, a));
  const Program simplified = after("dead_code", after("algebra", after("algebra", traced)));
  CHECK(simplified.count("reduce_sum") == traced.count("reduce_sum") - 2);  // one of them of the loss, which is dead
  CHECK(simplified.count("broadcast_to") == 0);
  support::check_near(values(simplified, {a})[0], gradient(a), 1e-12, 1e-12);

  // Sums that look alike but do not vanish: of other axes, of another value's mean, of a mean of something else.
  const auto sums = [](const Array& z) {
    const Array m = mean(z, 0, true);
    return std::vector<Array>{sum(z - m, 0),
                              sum(z - m, 1),
                              sum(z * 2 - m, 0),
                              sum(z - m * 2, 0),
                              sum((z - m) * m, 0),
                              sum((z - m) * z, 0),
                              sum((z - m) * 3 - (z - m), 0),
                              sum((z - m) * 3 + -(z - m), 0)};
  };
  const Array z = reshape(a, {20, 3});
  const auto expected = sums(z);
  const auto got = values(after("algebra", after("algebra", make_program(sums, z))), {z});
  for (std::size_t k = 0; k < got.size(); ++k) {
    CAPTURE(k);
    support::check_near(got[k], expected[k], 1e-12, 1e-12);
  }
}

TEST_CASE("a sum that vanishes is still NaN where the values are") {
  const auto f = [](const Array& z) { return sum(z - mean(z, 0, true), 0); };
  const Array z{{1.0, std::numeric_limits<double>::infinity(), 2.0}, {2.0, 1.0, std::nan("")}};
  const auto got = support::doubles(values(after("algebra", make_program(f, z)), {z})[0]);
  CHECK(got[0] == 0.0);
  CHECK(std::isnan(got[1]));
  CHECK(std::isnan(got[2]));
}

TEST_CASE("a division by a root that many share becomes a product") {
  const auto f = [](const Array& a, const Array& v) { return a / sqrt(v) + v / sqrt(v); };
  const Array a = samples(2), v = Array::from(std::vector<double>{4.0, 0.25, 1e-300}, {3});
  const Program program = after("dead_code", after("algebra", make_program(f, a, v)));
  CHECK(program.count("div") == 1);
  support::check_near(values(program, {a, v})[0], f(a, v), 1e-15);
}
