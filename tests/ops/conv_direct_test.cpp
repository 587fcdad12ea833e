// Plain sums with features in the lanes: kernels/cpu/conv_direct against the reference kernels.
#include "kernels/cpu/conv_direct.hpp"

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

using conv_helpers::error, conv_helpers::normal, conv_helpers::run_reference;

struct Trial {
  Shape x, w;
  ConvOptions options = {};
};

/// One to three spatial axes, taps, strides, dilations of kernel and input, paddings, ragged vectors and panels.
const std::vector<Trial>& trials() {
  static const std::vector<Trial> all{
      {{2, 9, 7, 1}, {3, 3, 1, 32}},
      {{3, 10, 33, 3}, {3, 3, 3, 16}},
      {{1, 6, 30, 3}, {5, 5, 3, 64}},
      {{2, 11, 17, 6}, {5, 5, 6, 13}},
      {{3, 8, 8, 5}, {3, 3, 5, 47}, {.strides = {2, 2}}},
      {{2, 11, 6, 20}, {1, 1, 20, 70}, {.strides = {2, 3}}},
      {{1, 12, 10, 7}, {5, 2, 7, 65}, {.strides = {3, 1}, .padding = "VALID"}},
      {{2, 10, 9, 4}, {3, 3, 4, 19}, {.kernel_dilation = {2, 3}}},
      {{2, 5, 4, 24}, {3, 4, 24, 33}, {.padding = Padding::Pairs{{2, 1}, {3, 3}}, .input_dilation = {2, 3}}},
      {{2, 5, 6, 3}, {4, 5, 3, 8}, {.padding = 3, .input_dilation = {3, 2}, .kernel_dilation = {2, 2}}},
      {{1, 6, 5, 2}, {3, 3, 2, 16}, {.strides = {2, 1}, .padding = Padding::Pairs{{0, 4}, {-1, 2}}}},
      {{1, 7, 5, 2}, {3, 3, 2, 9}, {.padding = Padding::Pairs{{4, -2}, {5, 4}}}},  // some see no input
      {{3, 70, 19}, {7, 19, 21}, {.strides = {2}}},
      {{1, 3, 4, 5, 3}, {2, 2, 3, 3, 18}, {.strides = {1, 2, 1}}},
      {{2, 6, 4, 5, 2}, {3, 3, 3, 2, 8}, {.padding = 1}},
      {{5, 1, 1, 200}, {1, 1, 200, 130}},  // a dense layer
      {{1, 4, 4, 150}, {3, 3, 150, 35}},   // several chains
      {{1, 4, 4, 70}, {3, 5, 70, 18}, {.padding = 4, .input_dilation = {2, 2}}},
      {{6, 20, 16, 16}, {3, 3, 16, 64}},  // many pixels
      {{40, 5, 5, 1}, {3, 3, 1, 8}},      // small images
      {{1, 3, 300, 1}, {7, 7, 1, 16}},    // long rows
  };
  return all;
}

attr::Conv attributes_of(const Trial& t) { return conv_helpers::attributes_of(t.x, t.w, t.options); }

}  // namespace

TEST_CASE("direct sums agree with the reference in every instruction set, the vector ones to the bit") {
  for (const Trial& t : trials()) {
    const attr::Conv conv = attributes_of(t);
    INFO(to_string(Attributes(conv)));
    const bool is_dilated = conv.input_dilation != Shape::filled(conv.input_dilation.rank(), 1);
    conv_helpers::check_in_every_set(conv, normal(t.x, 1), normal(t.w, 2), direct::gather, direct::correlate,
                                     !is_dilated, 2e-6);
  }
}

TEST_CASE("direct sums are the same bits on any number of threads") {
  for (const Trial& t : trials()) {
    const attr::Conv conv = attributes_of(t);
    INFO(to_string(Attributes(conv)));
    const Array x = normal(t.x, 1), w = normal(t.w, 2);
    const Array y = run_reference(ops::conv, x, w, conv);
    const float *x_data = x.data<float>().data(), *w_data = w.data<float>().data(), *y_data = y.data<float>().data();
    const Problem problem = forward_problem(conv, y.shape());
    const auto sums = [&](int threads) {
      const Executor executor(threads);
      std::vector<float> got_y(y.data<float>().size()), got_dx(x.data<float>().size()), got_dw(w.data<float>().size());
      CHECK(direct::gather(problem, x_data, w_data, kernel_layout(problem), got_y.data(), executor));
      CHECK(direct::gather(adjoint(problem), y_data, w_data, flipped_layout(problem), got_dx.data(), executor));
      if (direct::suits_correlate(problem)) direct::correlate(problem, x_data, y_data, got_dw.data(), executor);
      got_y.insert(got_y.end(), got_dx.begin(), got_dx.end());
      got_y.insert(got_y.end(), got_dw.begin(), got_dw.end());
      return got_y;
    };
    const std::vector<float> by_one = sums(1);
    for (const int threads : {2, 3, 4, 8}) CHECK(sums(threads) == by_one);
  }
}

TEST_CASE("direct sums leave what does not suit them to others") {
  const auto problem_of = [](const Trial& t) {
    const attr::Conv conv = attributes_of(t);
    const Program program = make_program([&](const Array& a, const Array& b) { return linseed::conv(a, b, t.options); },
                                         zeros(t.x), zeros(t.w));
    return forward_problem(conv, program.data().nodes.back().result.shape);
  };
  std::vector<float> x(4096), w(1 << 20), y(1 << 16);
  const auto taken = [&](const Trial& t) {
    const Problem problem = problem_of(t);
    return direct::gather(problem, x.data(), w.data(), kernel_layout(problem), y.data(), Executor(1));
  };
  CHECK(taken({{1, 4, 4, 16}, {3, 3, 16, 16}}));
  CHECK(taken({{1, 4, 4, 1}, {3, 3, 1, 15}}));
  CHECK_FALSE(taken({{1, 4, 4, 0}, {3, 3, 0, 16}}));
  CHECK_FALSE(taken({{0, 4, 4, 2}, {3, 3, 2, 16}}));
  CHECK_FALSE(taken({{1, 4, 4, 2}, {3, 3, 2, 0}}));
  CHECK_FALSE(taken({{1, 2, 4, 2}, {3, 3, 2, 16}, {.padding = "VALID"}}));
  CHECK_FALSE(taken({{1, 4, 4, 16}, {3, 3, 8, 16}, {.groups = 2}}));
  // Outputs of a row that see different taps are many.
  CHECK_FALSE(taken({{1, 4, 4, 16}, {1, 1, 16, 16}, {.padding = "VALID", .input_dilation = {1, 5}}}));
  CHECK(taken({{1, 4, 4, 16}, {1, 1, 16, 16}, {.padding = "VALID", .input_dilation = {5, 4}}}));
  // Sums of the kernel's gradient are many.
  CHECK_FALSE(direct::suits_correlate(problem_of({{1, 4, 4, 512}, {3, 3, 512, 512}})));
}
