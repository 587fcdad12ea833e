// Convolutions whose channels are groups by themselves: kernels/cpu/conv_depthwise against the reference kernels.
#include "kernels/cpu/conv_depthwise.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "ops/conv.hpp"
#include "ops/conv_helpers.hpp"
#include "ops/conv_in_every_set.hpp"
#include "program/op.hpp"

using namespace linseed;
using namespace linseed::kernels::cpu;

namespace {

using conv_helpers::error, conv_helpers::normal, conv_helpers::run, conv_helpers::run_reference;

struct Trial {
  Shape x, w;
  ConvOptions options = {};
};

/// One to three spatial axes, taps, strides, dilations of kernel and input, paddings, all widths of vectors; images of
/// which no pixel sees the input through all taps.
std::vector<Trial> trials() {
  std::vector<Trial> all{
      {{2, 9, 7, 16}, {3, 3, 1, 16}},
      {{3, 8, 8, 33}, {3, 3, 1, 33}, {.strides = {2, 2}}},
      {{2, 11, 16, 100}, {1, 1, 1, 100}, {.strides = {2, 3}}},
      {{1, 12, 10, 4}, {5, 2, 1, 4}, {.strides = {3, 1}, .padding = "VALID"}},
      {{2, 10, 19, 131}, {3, 5, 1, 131}, {.kernel_dilation = {2, 3}}},
      {{2, 5, 4, 24}, {3, 4, 1, 24}, {.padding = Padding::Pairs{{2, 1}, {3, 3}}, .input_dilation = {2, 3}}},
      {{2, 5, 7, 17},
       {4, 3, 1, 17},
       {.strides = {3, 2}, .padding = 3, .input_dilation = {2, 5}, .kernel_dilation = {1, 2}}},
      {{1, 6, 5, 32}, {3, 3, 1, 32}, {.strides = {2, 1}, .padding = Padding::Pairs{{0, 4}, {-1, 2}}}},
      {{2, 4, 3, 70}, {7, 9, 1, 70}},
      {{1, 3, 3, 20}, {15, 17, 1, 20}},
      {{3, 70, 19}, {7, 1, 19}, {.strides = {2}}},
      {{2, 3, 4, 5, 16}, {2, 2, 3, 1, 16}, {.strides = {1, 2, 1}}},
      {{9, 23, 21, 12}, {3, 3, 1, 12}},  // several sums of rows
      {{1, 200, 3, 8},
       {3, 3, 1, 8},
       {.padding = Padding::Pairs{{1, 1}, {4, 4}}}},  // many rows, outputs beside the input
  };
  for (Trial& t : all) t.options.groups = t.x.back();
  return all;
}

attr::Conv attributes_of(const Trial& t) { return conv_helpers::attributes_of(t.x, t.w, t.options); }

}  // namespace

TEST_CASE("depthwise convolutions agree with the reference in every instruction set, the vector ones to the bit") {
  for (const Trial& t : trials()) {
    const attr::Conv conv = attributes_of(t);
    INFO(to_string(Attributes(conv)));
    const bool is_dilated = conv.input_dilation != Shape::filled(conv.input_dilation.rank(), 1);
    conv_helpers::check_in_every_set(conv, normal(t.x, 1), normal(t.w, 2), depthwise::gather, depthwise::correlate,
                                     !is_dilated, 2e-6);
  }
}

TEST_CASE("depthwise convolutions give the same bits on any number of threads, and the reference's values") {
  for (const Trial& t : trials()) {
    const attr::Conv conv = attributes_of(t);
    INFO(to_string(Attributes(conv)));
    const Array x = normal(t.x, 1), w = normal(t.w, 2);
    const Array y = run(ops::conv, x, w, conv, 1), dx = run(ops::conv_input_grad, y, w, conv, 1),
                dw = run(ops::conv_kernel_grad, x, y, conv, 1);
    CHECK(error(y, run_reference(ops::conv, x, w, conv)) < 2e-6);
    CHECK(error(dx, run_reference(ops::conv_input_grad, y, w, conv)) < 2e-6);
    CHECK(error(dw, run_reference(ops::conv_kernel_grad, x, y, conv)) < 2e-6);
    for (const int threads : {2, 3, 8}) {
      CHECK(identical(run(ops::conv, x, w, conv, threads), y));
      CHECK(identical(run(ops::conv_input_grad, y, w, conv, threads), dx));
      CHECK(identical(run(ops::conv_kernel_grad, x, y, conv, threads), dw));
    }
  }
}

TEST_CASE("depthwise kernels leave what does not suit them to others") {
  const auto taken = [](const Shape& x_shape, const Shape& w_shape, ConvOptions options) {
    const attr::Conv conv = conv_helpers::attributes_of(x_shape, w_shape, options);
    const Array x = normal(x_shape, 1), w = normal(w_shape, 2);
    const Array y = run_reference(ops::conv, x, w, conv);
    const Problem problem = forward_problem(conv, y.shape());
    conv_helpers::Framed got(y);
    const bool result = depthwise::gather(problem, x.data<float>().data(), w.data<float>().data(),
                                          kernel_layout(problem), got.data(), Executor(1));
    CHECK(got.is_intact());
    CHECK((result ? error(got.values(), y.data<float>()) < 2e-6 : got.values()[0] == 7.0F));
    return result;
  };
  CHECK(taken({1, 4, 4, 4}, {3, 3, 1, 4}, {.groups = 4}));
  CHECK(taken({1, 4, 4, 3}, {3, 3, 1, 3}, {.groups = 3}));
  CHECK_FALSE(taken({1, 4, 4, 8}, {3, 3, 2, 4}, {.groups = 4}));
  CHECK_FALSE(taken({1, 4, 4, 4}, {3, 3, 1, 8}, {.groups = 4}));
  CHECK(taken({1, 16, 16, 4}, {16, 16, 1, 4}, {.groups = 4}));
  CHECK_FALSE(taken({1, 16, 17, 4}, {16, 17, 1, 4}, {.groups = 4}));
  CHECK(taken({1, 2, 2, 4}, {9, 9, 1, 4},
              {.padding = Padding::Pairs{{8, 8}, {8, 8}}, .input_dilation = {8, 1}, .groups = 4}));
  CHECK_FALSE(taken({1, 2, 2, 4}, {9, 9, 1, 4},
                    {.padding = Padding::Pairs{{8, 8}, {8, 8}}, .input_dilation = {9, 1}, .groups = 4}));
}

TEST_CASE("depthwise convolutions of no pixels, or no samples, are empty or zero") {
  const auto check = [](const Shape& x_shape, const Shape& w_shape, ConvOptions options = {}) {
    options.groups = x_shape.back();
    const attr::Conv conv = conv_helpers::attributes_of(x_shape, w_shape, options);
    INFO(to_string(Attributes(conv)));
    const Array x = normal(x_shape, 1), w = normal(w_shape, 2);
    const Array y = run(ops::conv, x, w, conv, 2);
    CHECK(identical(y, run_reference(ops::conv, x, w, conv)));
    CHECK(identical(run(ops::conv_input_grad, y, w, conv, 2), zeros(x_shape)));
    CHECK(identical(run(ops::conv_kernel_grad, x, y, conv, 2), zeros(w_shape)));
  };
  check({0, 6, 6, 32}, {3, 3, 1, 32});
  check({2, 0, 6, 32}, {3, 3, 1, 32});
  check({2, 2, 6, 32}, {3, 3, 1, 32}, {.padding = "VALID"});
  check({2, 2, 2, 32}, {1, 1, 1, 32}, {.strides = {5, 5}, .padding = Padding::Pairs{{1, 0}, {0, 0}}});
}
