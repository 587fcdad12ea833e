// Convolutions of few channels whose samples do not fill the lanes: strips of rows of an image stand for samples there.
#include <vector>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "kernels/cpu/conv_lanes.hpp"
#include "kernels/cpu/offset_gemm.hpp"
#include "ops/conv.hpp"
#include "ops/conv_helpers.hpp"
#include "program/op.hpp"

using namespace linseed;

namespace {

using conv_helpers::error, conv_helpers::normal, conv_helpers::run_reference;

struct Trial {
  Shape x, w;
  ConvOptions options = {};
};

/// One sample, a few, and a few more than fill the lanes; strides, dilations, paddings, strips of one row and ragged
/// ones, and windows taller than the image.
const std::vector<Trial>& trials() {
  static const std::vector<Trial> all{
      {{1, 28, 28, 1}, {5, 5, 1, 6}},
      {{1, 8, 5, 2}, {3, 3, 2, 3}},
      {{2, 29, 11, 3}, {3, 3, 3, 17}},
      {{3, 17, 23, 8}, {5, 3, 8, 24}, {.padding = "VALID"}},
      {{17, 13, 6, 4}, {3, 3, 4, 5}},
      {{8, 33, 9, 3}, {7, 7, 3, 8}, {.strides = {2, 2}}},
      {{5, 20, 10, 6}, {3, 5, 6, 16}, {.strides = {3, 1}, .kernel_dilation = {2, 2}}},
      {{1, 100, 3, 5}, {4, 2, 5, 20}, {.padding = Padding::Pairs{{6, 1}, {0, 3}}}},
      {{1, 9, 4, 16}, {21, 3, 16, 16}},
      {{9, 1, 12, 3}, {1, 3, 3, 8}},
      {{3, 40, 2}, {5, 2, 7}},
      {{16, 14, 14, 4}, {5, 5, 4, 8}},  // one block in several tasks
      // One tap at each pixel, or at some; few channels and many.
      {{16, 5, 6, 7}, {1, 1, 7, 10}},
      {{33, 9, 7, 5}, {1, 1, 5, 13}, {.strides = {2, 3}}},
      {{2, 7, 5, 20}, {1, 1, 20, 50}},
      // Columns that are fewer than the pixels of a tile, or than the taps; taps and pixels that see none of them.
      {{2, 9, 1, 3}, {3, 3, 3, 8}},
      {{3, 9, 2, 1}, {5, 7, 1, 6}},
      {{2, 16, 6, 3}, {3, 11, 3, 4}},
      {{2, 8, 9, 2}, {3, 9, 2, 3}, {.kernel_dilation = {1, 4}}},
      {{1, 12, 5, 2}, {3, 3, 2, 6}, {.padding = Padding::Pairs{{2, 2}, {7, 9}}}},
      {{2, 10, 19, 2}, {3, 5, 2, 12}, {.strides = {1, 2}, .padding = Padding::Pairs{{1, 1}, {9, 6}}}},
      {{1, 9, 31, 1}, {3, 8, 1, 5}, {.padding = Padding::Pairs{{1, 1}, {12, 3}}}},
  };
  return all;
}

attr::Conv attributes_of(const Trial& t) { return conv_helpers::attributes_of(t.x, t.w, t.options); }

}  // namespace

TEST_CASE("few channels of samples that do not fill the lanes agree with the reference, on any number of threads") {
  for (const Trial& t : trials()) {
    const attr::Conv conv = attributes_of(t);
    INFO(to_string(Attributes(conv)));
    const Array x = normal(t.x, 1), w = normal(t.w, 2);
    const Array y = run_reference(ops::conv, x, w, conv);
    const Array dy = normal(y.shape(), 3);
    const Array dx = run_reference(ops::conv_input_grad, dy, w, conv);
    const Array dw = run_reference(ops::conv_kernel_grad, x, dy, conv);
    using namespace kernels::cpu;
    const Problem problem = forward_problem(conv, y.shape());
    const float *x_data = x.data<float>().data(), *w_data = w.data<float>().data(), *dy_data = dy.data<float>().data();
    const auto ordinary = lanes::Layout::ordinary;
    std::vector<float> by_one;
    for (const int threads : {1, 2, 3, 8}) {
      const Executor executor(threads);
      conv_helpers::Framed got_y(y), got_dx(dx), got_dw(dw);
      std::vector<float> together;
      const auto check = [&](bool has, const conv_helpers::Framed& got, const Array& expected) {
        CHECK(has == lanes::suits(&got == &got_dx ? adjoint(problem) : problem, executor.vectors()));
        if (!has) return;
        CHECK(error(got.values(), expected.data<float>()) < 2e-6);
        together.insert(together.end(), got.values().begin(), got.values().end());
      };
      check(lanes::gather(problem, ordinary, x_data, w_data, kernel_layout(problem), got_y.data(), executor), got_y, y);
      check(
          lanes::gather(adjoint(problem), ordinary, dy_data, w_data, flipped_layout(problem), got_dx.data(), executor),
          got_dx, dx);
      check(lanes::correlate(problem, ordinary, x_data, dy_data, got_dw.data(), executor), got_dw, dw);
      if (threads == 1) by_one = together;
      CHECK(together == by_one);
    }
  }
}

TEST_CASE("few channels agree with the reference in every instruction set that has lanes, to the same bits") {
  using namespace kernels::cpu;
  for (const Trial& t : trials()) {
    const attr::Conv conv = attributes_of(t);
    INFO(to_string(Attributes(conv)));
    const Array x = normal(t.x, 1), w = normal(t.w, 2);
    const Array y = run_reference(ops::conv, x, w, conv);
    const Array dy = normal(y.shape(), 3);
    const Array dx = run_reference(ops::conv_input_grad, dy, w, conv);
    const Array dw = run_reference(ops::conv_kernel_grad, x, dy, conv);
    const Problem problem = forward_problem(conv, y.shape());
    const float *x_data = x.data<float>().data(), *w_data = w.data<float>().data(), *dy_data = dy.data<float>().data();
    std::vector<float> by_avx2;
    for (const VectorSet set : {VectorSet::portable, VectorSet::avx2, VectorSet::avx512}) {
      if (set > best_vector_set()) continue;
      CAPTURE(static_cast<int>(set));
      const auto ordinary = lanes::Layout::ordinary;
      conv_helpers::Framed got_y(y), got_dx(dx), got_dw(dw);
      const bool has_y =
          lanes::gather(problem, ordinary, x_data, w_data, kernel_layout(problem), got_y.data(), Executor(1, set));
      const bool has_dx = lanes::gather(adjoint(problem), ordinary, dy_data, w_data, flipped_layout(problem),
                                        got_dx.data(), Executor(1, set));
      const bool has_dw = lanes::correlate(problem, ordinary, x_data, dy_data, got_dw.data(), Executor(1, set));
      CHECK(has_y == lanes::suits(problem, set));
      CHECK(has_dx == lanes::suits(adjoint(problem), set));
      CHECK(has_dw == has_y);
      std::vector<float> together;
      const auto check = [&](bool has, const conv_helpers::Framed& got, const Array& expected) {
        CHECK(got.is_intact());
        if (!has) return;
        CHECK(error(got.values(), expected.data<float>()) < 2e-6);
        together.insert(together.end(), got.values().begin(), got.values().end());
      };
      check(has_y, got_y, y);
      check(has_dx, got_dx, dx);
      check(has_dw, got_dw, dw);
      if (set == VectorSet::avx2) by_avx2 = together;
      if (set == VectorSet::avx512) CHECK(together == by_avx2);
    }
  }
}

TEST_CASE("lanes take one group of plain images in blocks of some size, and write nothing beyond the result") {
  using namespace kernels::cpu;
  const bool has_lanes = best_vector_set() != VectorSet::portable;
  const auto taken = [](const Trial& t) {
    const attr::Conv conv = attributes_of(t);
    const Array x = normal(t.x, 1), w = normal(t.w, 2);
    const Array y = run_reference(ops::conv, x, w, conv);
    const Problem problem = forward_problem(conv, y.shape());
    conv_helpers::Framed got(y);
    const bool result = lanes::gather(problem, lanes::Layout::ordinary, x.data<float>().data(), w.data<float>().data(),
                                      kernel_layout(problem), got.data(), Executor(2));
    CHECK(got.is_intact());
    CHECK((result ? error(got.values(), y.data<float>()) < 2e-6 : got.values()[0] == 7.0F));
    return result;
  };
  CHECK(taken({{1, 8, 5, 2}, {3, 3, 2, 3}}) == has_lanes);
  CHECK(taken({{1, 1, 5, 2}, {3, 3, 2, 3}}) == has_lanes);
  CHECK(taken({{2, 9, 5, 65}, {3, 3, 65, 70}}) == has_lanes);
  CHECK(taken({{16, 64, 64, 64}, {1, 1, 64, 1}}) == has_lanes);
  CHECK_FALSE(taken({{16, 64, 65, 64}, {1, 1, 64, 1}}));
  CHECK_FALSE(taken({{2, 9, 5, 4}, {3, 3, 2, 4}, {.groups = 2}}));
  // A depth of one, all of it padding.
  CHECK_FALSE(taken(
      {{8, 1, 9, 5, 2}, {1, 3, 3, 2, 3}, {.strides = {2, 1, 1}, .padding = Padding::Pairs{{2, -1}, {1, 1}, {1, 1}}}}));
}
