// Winograd's tiles along rows, for convolutions whose samples lie in lanes.
#include "kernels/cpu/winograd_rows.hpp"

#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "compile/layout.hpp"
#include "compile/winograd.hpp"
#include "kernels/conv.hpp"
#include "ops/conv.hpp"
#include "ops/conv_helpers.hpp"
#include "program/program.hpp"
#include "support.hpp"

using namespace linseed;

namespace {

using conv_helpers::error, conv_helpers::normal, conv_helpers::run, conv_helpers::run_reference;

struct Trial {
  std::int64_t samples, height, width, channels, features, rows, taps;
  ConvOptions options = {};

  [[nodiscard]] Shape x() const { return {samples, height, width, channels}; }
  [[nodiscard]] Shape w() const { return {rows, taps, channels, features}; }
};

/// A convolution and its operands, in lanes.
struct Case {
  attr::Conv conv;
  Array x, w, y, dy, dx, dw;  // y, dx and dw are those of the specification

  explicit Case(const Trial& t)
      : conv(conv_helpers::attributes_of(t.x(), t.w(), t.options)),
        x(normal(kernels::in_lanes(t.x()), 1)),
        w(normal(t.w(), 2)),
        y(run_reference(ops::conv_in_lanes, x, w, conv)),
        dy(normal(y.shape(), 3)),
        dx(run_reference(ops::conv_input_grad_in_lanes, dy, w, conv)),
        dw(run_reference(ops::conv_kernel_grad_in_lanes, x, dy, conv)) {}
};

/// Ragged tiles, groups of features and of channels, one pixel, paddings, several blocks and strips, rows of taps that
/// do not meet the input.
const std::vector<Trial>& trials() {
  static const std::vector<Trial> all{
      {16, 4, 4, 1, 1, 3, 3},
      {16, 14, 14, 6, 16, 5, 5},
      {32, 28, 28, 1, 6, 5, 5},
      {16, 1, 1, 2, 3, 3, 5},
      {16, 1, 13, 9, 11, 1, 5},
      {48, 5, 7, 3, 5, 4, 3},
      {16, 6, 9, 7, 17, 2, 3, {.padding = "VALID"}},
      {16, 7, 6, 13, 8, 3, 5, {.padding = "VALID"}},
      {16, 5, 5, 4, 4, 3, 3, {.padding = Padding::Pairs{{4, 3}, {5, 0}}}},
      {16, 4, 6, 3, 4, 5, 5, {.padding = Padding::Pairs{{0, 6}, {0, 7}}}},
      {16, 11, 9, 5, 4, 3, 5, {.strides = {2, 1}}},
      {16, 12, 8, 2, 10, 3, 3, {.strides = {3, 1}, .kernel_dilation = {2, 1}}},
      {16, 70, 5, 20, 24, 3, 3},
      {16, 9, 40, 24, 7, 5, 3},
      {176, 3, 6, 4, 6, 3, 3},
  };
  return all;
}

}  // namespace

TEST_CASE("Winograd's tiles along rows are near the plain sums, in every instruction set") {
  using namespace kernels::cpu;
  for (const Trial& t : trials()) {
    const Case c(t);
    INFO(to_string(Attributes(c.conv)));
    const Problem problem = problem_in_lanes(c.conv, c.y.shape());
    std::vector<float> by_avx2;
    for (const VectorSet set : {VectorSet::avx2, VectorSet::avx512}) {
      if (set > best_vector_set()) continue;
      CAPTURE(to_string(set));
      REQUIRE(winograd_rows::fits(problem, set));
      conv_helpers::Framed y(c.y), dx(c.dx), dw(c.dw);
      const float *x_data = c.x.data<float>().data(), *w_data = c.w.data<float>().data(),
                  *dy_data = c.dy.data<float>().data();
      const Executor executor(1, set);
      CHECK(winograd_rows::gather(problem, x_data, w_data, kernel_layout(problem), y.data(), executor));
      CHECK(winograd_rows::correlate(problem, x_data, dy_data, dw.data(), executor));
      std::vector<std::pair<const conv_helpers::Framed*, const Array*>> results{{&y, &c.y}, {&dw, &c.dw}};
      // The input's gradient has gaps between cotangents where there is a stride, and none of the padding beyond taps.
      const bool fits = t.options.strides.empty() && problem.axis[1].low < t.rows && problem.axis[2].low < t.taps;
      REQUIRE(winograd_rows::fits(adjoint(problem), set) == fits);
      if (fits) {
        CHECK(winograd_rows::gather(adjoint(problem), dy_data, w_data, flipped_layout(problem), dx.data(), executor));
        results.emplace_back(&dx, &c.dx);
      }
      std::vector<float> together;
      for (const auto& [got, expected] : results) {
        CHECK(got->is_intact());
        CHECK(error(got->values(), expected->data<float>()) < 3e-6);
        together.insert(together.end(), got->values().begin(), got->values().end());
      }
      if (set == VectorSet::avx2) by_avx2 = together;
      if (set == VectorSet::avx512) CHECK(together == by_avx2);
    }
  }
}

TEST_CASE("Winograd's tiles along rows give the same bits on any number of threads") {
  for (const Trial& t : trials()) {
    const Case c(t);
    INFO(to_string(Attributes(c.conv)));
    const Array y = run(ops::conv_winograd_in_lanes, c.x, c.w, c.conv);
    const Array dx = run(ops::conv_input_grad_winograd_in_lanes, c.dy, c.w, c.conv);
    const Array dw = run(ops::conv_kernel_grad_winograd_in_lanes, c.x, c.dy, c.conv);
    for (const int threads : {2, 3, 8}) {
      CHECK(identical(run(ops::conv_winograd_in_lanes, c.x, c.w, c.conv, threads), y));
      CHECK(identical(run(ops::conv_input_grad_winograd_in_lanes, c.dy, c.w, c.conv, threads), dx));
      CHECK(identical(run(ops::conv_kernel_grad_winograd_in_lanes, c.x, c.dy, c.conv, threads), dw));
    }
  }
}

TEST_CASE("Winograd's ops in lanes take what tiles along rows cannot do to the plain kernels") {
  const auto check = [](const Trial& t, DType dtype = float32) {
    const attr::Conv conv = conv_helpers::attributes_of(t.x(), t.w(), t.options);
    INFO(to_string(Attributes(conv)));
    const Array x = astype(normal(kernels::in_lanes(t.x()), 1), dtype), w = astype(normal(t.w(), 2), dtype);
    const Array y = run(ops::conv_in_lanes, x, w, conv);
    CHECK(identical(run(ops::conv_winograd_in_lanes, x, w, conv), y));
    CHECK(identical(run(ops::conv_input_grad_winograd_in_lanes, y, w, conv),
                    run(ops::conv_input_grad_in_lanes, y, w, conv)));
    CHECK(identical(run(ops::conv_kernel_grad_winograd_in_lanes, x, y, conv),
                    run(ops::conv_kernel_grad_in_lanes, x, y, conv)));
  };
  check({16, 6, 6, 2, 4, 3, 3}, float64);
  check({16, 6, 9, 2, 4, 3, 3, {.strides = {1, 2}}});
  check({16, 6, 9, 2, 4, 3, 3, {.kernel_dilation = {1, 2}}});
  check({16, 6, 6, 2, 4, 3, 3, {.padding = "VALID", .input_dilation = {1, 2}}});
  check({16, 6, 6, 4, 4, 3, 1});
  check({16, 6, 9, 2, 4, 3, 4});
  check({16, 6, 9, 2, 4, 3, 7});
  check({16, 30, 6, 1, 2, 17, 3});  // more rows of taps than tiles have room for
  // No samples, pixels, channels or features, and a kernel larger than the input.
  check({0, 6, 6, 2, 4, 3, 3});
  check({16, 0, 6, 2, 4, 3, 3});
  check({16, 6, 6, 0, 4, 3, 3});
  check({16, 6, 6, 2, 0, 3, 3});
  check({16, 2, 6, 2, 4, 3, 3, {.padding = "VALID"}});
}

TEST_CASE("the pass takes convolutions in lanes that tiles along rows make cheaper, and no others") {
  struct Taken {
    bool output, input_grad, kernel_grad;
    bool operator==(const Taken&) const = default;
  };
  const auto taken = [](const Trial& t) {
    INFO(to_string(t.x()), to_string(t.w()));
    const Program program = make_program(
        [&](const Array& x, const Array& w) {
          return grad([&](const std::pair<Array, Array>& p) {
            return sum(square(conv(p.first, p.second, t.options)));
          })(std::pair(x, w));
        },
        zeros(t.x()), zeros(t.w()));
    const Program in_lanes = compile::layout(program);
    REQUIRE(in_lanes.count("conv_in_lanes") == 1);
    const Program changed = compile::winograd(in_lanes);
    return Taken{changed.count("conv_winograd_in_lanes") == 1, changed.count("conv_input_grad_winograd_in_lanes") == 1,
                 changed.count("conv_kernel_grad_winograd_in_lanes") == 1};
  };
  if (best_vector_set() == VectorSet::portable) return;  // nothing is in lanes
  CHECK(taken({32, 14, 14, 6, 16, 5, 5}) == Taken{true, true, true});
  CHECK(taken({16, 28, 28, 8, 8, 3, 3}) == Taken{true, true, true});
  CHECK(taken({32, 28, 28, 24, 24, 3, 3}) == Taken{true, true, true});   // for which the layout counts on them
  CHECK(taken({16, 28, 28, 1, 6, 5, 5}) == Taken{false, false, false});  // the transforms cost what the products save
  CHECK(taken({16, 5, 5, 6, 6, 5, 5}) == Taken{false, false, false});    // most of the last tiles is beyond the border
  CHECK(taken({16, 28, 28, 8, 8, 3, 3, {.strides = {2, 2}}}) == Taken{false, false, false});
  CHECK(taken({16, 28, 28, 4, 8, 7, 7}) == Taken{false, false, false});
}

TEST_CASE("a compiled network by tiles along rows agrees with plain sums, which the pass's name switches on") {
  const auto loss = [](const Tree& params, const Array& x) {
    Array y = tanh(conv(x, params["a"], {.padding = "VALID"}));
    y = avg_pool(y - mean(y, {0, 1, 2}), {2, 2}, {2, 2});
    return mean(square(conv(y, params["b"])));
  };
  const auto step = [&](const Tree& params, const Array& x) {
    return value_and_grad([&](const Tree& p) { return loss(p, x); })(params);
  };
  const Tree params{{"a", normal({5, 5, 3, 8}, 1) / 9.0}, {"b", normal({3, 3, 8, 16}, 2) / 9.0}};
  const Array x = normal({48, 32, 24, 3}, 3);
  const auto [value, gradients] = step(params, x);
  for (const int threads : {1, 3}) {
    const auto fast = jit(step, {.executor = Executor(threads)});
    const auto [got, got_gradients] = fast(params, x);
    support::check_near(got, value, 1e-5);
    support::check_near(got_gradients["a"], gradients["a"], 1e-4);
    support::check_near(got_gradients["b"], gradients["b"], 1e-4);
    if (best_vector_set() == VectorSet::portable) continue;
    CHECK(fast.explain().find("[winograd_rows 5x5, ") != std::string::npos);
    CHECK(fast.explain().find("phase of 3 blocks") != std::string::npos);
    const auto plain = jit(step, {.executor = Executor(threads), .disabled_passes = {"winograd"}});
    static_cast<void>(plain(params, x));
    CHECK(plain.explain().find("winograd") == std::string::npos);
  }
}
