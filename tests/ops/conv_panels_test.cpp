// Plain sums of many channels: kernels/cpu/conv_panels against the reference kernels.
#include "kernels/cpu/conv_panels.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "ops/conv.hpp"
#include "ops/conv_helpers.hpp"
#include "ops/conv_in_every_set.hpp"
#include "program/op.hpp"
#include "program/program.hpp"

using namespace linseed;
using namespace linseed::kernels::cpu;

namespace {

using conv_helpers::error, conv_helpers::normal, conv_helpers::run, conv_helpers::run_reference;

struct Trial {
  Shape x, w;
  ConvOptions options = {};
};

/// One to three spatial axes, taps, strides, dilations of kernel and input, paddings, groups, ragged vectors and
/// panels.
const std::vector<Trial>& trials() {
  static const std::vector<Trial> all{
      {{2, 9, 7, 16}, {3, 3, 16, 16}},
      {{3, 8, 8, 33}, {3, 3, 33, 47}, {.strides = {2, 2}}},
      {{2, 11, 6, 20}, {1, 1, 20, 70}, {.strides = {2, 3}}},
      {{1, 12, 10, 17}, {5, 2, 17, 65}, {.strides = {3, 1}, .padding = "VALID"}},
      {{2, 10, 9, 18}, {3, 3, 18, 19}, {.kernel_dilation = {2, 3}}},
      {{2, 5, 4, 24}, {3, 4, 24, 33}, {.padding = Padding::Pairs{{2, 1}, {3, 3}}, .input_dilation = {2, 3}}},
      {{1, 6, 5, 32}, {3, 3, 32, 16}, {.strides = {2, 1}, .padding = Padding::Pairs{{0, 4}, {-1, 2}}}},
      {{2, 5, 7, 48}, {3, 3, 16, 54}, {.strides = {1, 2}, .groups = 3}},
      {{2, 4, 5, 48}, {3, 3, 16, 54}, {.padding = 2, .input_dilation = {2, 3}, .groups = 3}},
      {{3, 70, 19}, {7, 19, 21}, {.strides = {2}}},
      {{1, 3, 4, 5, 16}, {2, 2, 3, 16, 18}, {.strides = {1, 2, 1}}},
      {{5, 1, 1, 200}, {1, 1, 200, 130}},  // a dense layer
      {{1, 2, 2, 150}, {3, 3, 150, 35}},   // few pixels
      {{6, 20, 16, 16}, {3, 3, 16, 64}},   // many
      {{8, 16, 16, 16}, {1, 1, 16, 136}},  // many, and several tasks for the features
  };
  return all;
}

attr::Conv attributes_of(const Trial& t) { return conv_helpers::attributes_of(t.x, t.w, t.options); }

}  // namespace

TEST_CASE("sums of many channels agree with the reference in every instruction set, the vector ones to the bit") {
  for (const Trial& t : trials()) {
    const attr::Conv conv = attributes_of(t);
    INFO(to_string(Attributes(conv)));
    const bool is_dilated = conv.input_dilation != Shape::filled(conv.input_dilation.rank(), 1);
    conv_helpers::check_in_every_set(conv, normal(t.x, 1), normal(t.w, 2), panels::gather, panels::correlate,
                                     !is_dilated, 2e-6);
  }
}

TEST_CASE("convolutions of many channels give the same bits on any number of threads, and those of the reference") {
  for (const Trial& t : trials()) {
    const attr::Conv conv = attributes_of(t);
    INFO(to_string(Attributes(conv)));
    const Array x = normal(t.x, 1), w = normal(t.w, 2);
    const Array y = run(ops::conv, x, w, conv, 1), dx = run(ops::conv_input_grad, y, w, conv, 1),
                dw = run(ops::conv_kernel_grad, x, y, conv, 1);
    CHECK(error(y, run_reference(ops::conv, x, w, conv)) < 2e-6);
    CHECK(error(dx, run_reference(ops::conv_input_grad, y, w, conv)) < 2e-6);
    CHECK(error(dw, run_reference(ops::conv_kernel_grad, x, y, conv)) < 2e-6);
    for (const int threads : {2, 3, 4, 8}) {
      CHECK(identical(run(ops::conv, x, w, conv, threads), y));
      CHECK(identical(run(ops::conv_input_grad, y, w, conv, threads), dx));
      CHECK(identical(run(ops::conv_kernel_grad, x, y, conv, threads), dw));
    }
  }
}

TEST_CASE("the kernels for many channels leave what does not suit them to others") {
  const auto problem_of = [](const Trial& t) {
    const attr::Conv conv = attributes_of(t);
    const Program program = make_program([&](const Array& a, const Array& b) { return linseed::conv(a, b, t.options); },
                                         zeros(t.x), zeros(t.w));
    return forward_problem(conv, program.data().nodes.back().result.shape);
  };
  std::vector<float> x(4096), w(1 << 20), y(1 << 16);
  const auto taken = [&](const Trial& t) {
    const Problem problem = problem_of(t);
    return panels::gather(problem, x.data(), w.data(), kernel_layout(problem), y.data(), Executor(1));
  };
  CHECK(taken({{1, 4, 4, 16}, {3, 3, 16, 16}}));
  CHECK(taken({{1, 4, 4, 1}, {3, 3, 1, 15}}));
  CHECK_FALSE(taken({{1, 4, 4, 0}, {3, 3, 0, 16}}));
  // Outputs that see different taps are many.
  CHECK_FALSE(taken({{1, 4, 4, 16}, {1, 1, 16, 16}, {.padding = "VALID", .input_dilation = {5, 4}}}));
  CHECK(taken({{1, 4, 4, 16}, {1, 1, 16, 16}, {.padding = "VALID", .input_dilation = {4, 4}}}));
}

TEST_CASE("convolutions of many channels and no pixels, or no samples, are empty or zero") {
  const auto check = [](const Shape& x_shape, const Shape& w_shape, const ConvOptions& options = {}) {
    const attr::Conv conv = attributes_of({x_shape, w_shape, options});
    INFO(to_string(Attributes(conv)));
    const Array x = normal(x_shape, 1), w = normal(w_shape, 2);
    const Array y = run(ops::conv, x, w, conv, 2);
    CHECK(identical(y, run_reference(ops::conv, x, w, conv)));
    CHECK(identical(run(ops::conv_input_grad, y, w, conv, 2), zeros(x_shape)));
    CHECK(identical(run(ops::conv_kernel_grad, x, y, conv, 2), zeros(w_shape)));
  };
  check({0, 6, 6, 32}, {3, 3, 32, 32});
  check({2, 0, 6, 32}, {3, 3, 32, 32});
  check({2, 2, 6, 32}, {3, 3, 32, 32}, {.padding = "VALID"});
  check({2, 6, 6, 32}, {3, 3, 32, 0});
  check({2, 2, 2, 32}, {1, 1, 32, 32}, {.strides = {5, 5}, .padding = Padding::Pairs{{1, 0}, {0, 0}}});
}
