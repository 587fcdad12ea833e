#include "compile/winograd.hpp"

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "kernels/conv.hpp"
#include "kernels/cpu/winograd.hpp"
#include "ops/conv.hpp"
#include "ops/conv_helpers.hpp"
#include "ops/conv_in_every_set.hpp"
#include "program/program.hpp"
#include "support.hpp"

using namespace linseed;

namespace {

using conv_helpers::error, conv_helpers::normal, conv_helpers::run, conv_helpers::run_reference;

Program conv_program(const Shape& x, const Shape& w, const ConvOptions& options = {}) {
  return make_program([&](const Array& a, const Array& b) { return conv(a, b, options); }, zeros(x), zeros(w));
}

struct Trial {
  std::int64_t samples, height, width, channels, features;
  Padding padding = "SAME";

  [[nodiscard]] Shape x() const { return {samples, height, width, channels}; }
  [[nodiscard]] Shape w() const { return {3, 3, channels, features}; }
};

/// Ragged tiles, vectors and panels, few and many tiles, one pixel, all paddings.
const std::vector<Trial>& trials() {
  static const std::vector<Trial> all{
      {1, 4, 4, 32, 32},
      {2, 5, 7, 33, 47},
      {3, 1, 1, 16, 16},
      {1, 2, 9, 1, 3},
      {2, 9, 6, 35, 64, "VALID"},
      {1, 3, 3, 40, 36, "VALID"},
      {2, 6, 5, 20, 24, Padding::Pairs{{2, 0}, {0, 2}}},
      {1, 7, 6, 17, 18, Padding::Pairs{{4, 3}, {5, 0}}},
      {1, 9, 9, 17, 15, Padding::Pairs{{-1, 0}, {0, -2}}},
      {44, 8, 11, 20, 33},   // many tiles: a task takes a block of them
      {5, 8, 8, 144, 40},    // more than one block of channels
      {1000, 2, 2, 16, 33},  // tiles of the kernel's gradient in several rounds
      {310, 2, 2, 130, 66},  // the same, with many groups of sums
      {130, 1, 1, 820, 20},  // tiles of the other two in several rounds
      {9, 3, 5, 140, 40, "VALID"},
  };
  return all;
}

}  // namespace

TEST_CASE("Winograd's convolutions are near the plain sums, in every instruction set") {
  using namespace kernels::cpu;
  for (const Trial& t : trials()) {
    const attr::Conv conv = conv_helpers::attributes_of(t.x(), t.w(), {.padding = t.padding});
    INFO(to_string(Attributes(conv)));
    conv_helpers::check_in_every_set(conv, normal(t.x(), 1), normal(t.w(), 2), kernels::cpu::winograd::gather,
                                     kernels::cpu::winograd::correlate, true, 6e-6);
  }
}

TEST_CASE("Winograd's convolutions give the same bits on any number of threads") {
  for (const Trial& t : trials()) {
    const attr::Conv conv = conv_helpers::attributes_of(t.x(), t.w(), {.padding = t.padding});
    INFO(to_string(Attributes(conv)));
    const Array x = normal(t.x(), 1), w = normal(t.w(), 2);
    const Array y = run(ops::conv_winograd, x, w, conv);
    const Array dx = run(ops::conv_input_grad_winograd, y, w, conv);
    const Array dw = run(ops::conv_kernel_grad_winograd, x, y, conv);
    for (const int threads : {2, 3, 4, 8}) {
      CHECK(identical(run(ops::conv_winograd, x, w, conv, threads), y));
      CHECK(identical(run(ops::conv_input_grad_winograd, y, w, conv, threads), dx));
      CHECK(identical(run(ops::conv_kernel_grad_winograd, x, y, conv, threads), dw));
    }
  }
}

TEST_CASE("Winograd's ops take what tiles cannot do to the plain kernels") {
  const auto check = [](const Shape& x_shape, const Shape& w_shape, const ConvOptions& options, DType dtype = float32) {
    const attr::Conv conv = conv_helpers::attributes_of(x_shape, w_shape, options);
    INFO(to_string(Attributes(conv)));
    const Array x = astype(normal(x_shape, 1), dtype), w = astype(normal(w_shape, 2), dtype);
    const Array y = run(ops::conv, x, w, conv);
    CHECK(identical(run(ops::conv_winograd, x, w, conv), y));
    CHECK(identical(run(ops::conv_input_grad_winograd, y, w, conv), run(ops::conv_input_grad, y, w, conv)));
    CHECK(identical(run(ops::conv_kernel_grad_winograd, x, y, conv), run(ops::conv_kernel_grad, x, y, conv)));
  };
  check({2, 6, 6, 4}, {3, 3, 4, 4}, {}, float64);
  check({2, 6, 6, 4}, {3, 3, 4, 4}, {.strides = {2, 1}});
  check({2, 6, 6, 4}, {3, 3, 2, 4}, {.groups = 2});
  check({2, 9, 6, 4}, {3, 3, 4, 4}, {.kernel_dilation = {2, 1}});
  check({2, 6, 6, 4}, {3, 3, 4, 4}, {.padding = "VALID", .input_dilation = {1, 2}});
  check({2, 6, 6, 4}, {3, 1, 4, 4}, {});
  check({2, 6, 6, 6, 4}, {3, 3, 3, 4, 4}, {});
  // No samples, pixels, channels or features, and a kernel larger than the input.
  check({0, 6, 6, 32}, {3, 3, 32, 32}, {});
  check({2, 0, 6, 32}, {3, 3, 32, 32}, {});
  check({2, 6, 6, 0}, {3, 3, 0, 32}, {});
  check({2, 6, 6, 32}, {3, 3, 32, 0}, {});
  check({2, 2, 6, 32}, {3, 3, 32, 32}, {.padding = "VALID"});
}

TEST_CASE("the pass takes convolutions that tiles make cheaper, and no others") {
  const auto taken = [](const Shape& x, const Shape& w, const ConvOptions& options = {}) {
    const Program program = conv_program(x, w, options);
    const Program changed = compile::winograd(program);
    const bool same = &changed.data() == &program.data();
    CHECK(changed.count("conv_winograd") == (same ? 0 : 1));
    return !same;
  };
  CHECK(taken({32, 32, 32, 64}, {3, 3, 64, 64}));
  CHECK(taken({32, 4, 4, 512}, {3, 3, 512, 512}));
  CHECK(taken({8, 14, 14, 32}, {3, 3, 32, 96}, {.padding = "VALID"}));
  CHECK(taken({1, 56, 56, 64}, {3, 3, 64, 64}));
  CHECK_FALSE(taken({1, 4, 4, 512}, {3, 3, 512, 512}));  // the weights' transform costs more than it saves
  CHECK_FALSE(taken({32, 1, 1, 64}, {3, 3, 64, 64}));    // tiles are mostly beyond the border
  CHECK_FALSE(taken({32, 32, 32, 31}, {3, 3, 31, 64}));
  CHECK_FALSE(taken({32, 32, 32, 64}, {3, 3, 64, 31}));
  CHECK_FALSE(taken({32, 32, 32, 64}, {3, 3, 64, 64}, {.strides = {2, 2}}));
  CHECK_FALSE(taken({32, 32, 32, 64}, {3, 3, 64, 64}, {.kernel_dilation = {1, 2}}));
  CHECK_FALSE(taken({32, 32, 32, 64}, {3, 3, 32, 64}, {.groups = 2}));
  CHECK_FALSE(taken({32, 32, 32, 64}, {1, 1, 64, 64}));
  CHECK_FALSE(taken({32, 32, 32, 64}, {5, 5, 64, 64}));
  CHECK_FALSE(taken({32, 32, 64}, {3, 64, 64}));
  CHECK_FALSE(taken({0, 32, 32, 64}, {3, 3, 64, 64}));
  const Program in_double = make_program([](const Array& a, const Array& b) { return conv(a, b); },
                                         zeros({4, 16, 16, 64}, float64), zeros({3, 3, 64, 64}, float64));
  CHECK(&compile::winograd(in_double).data() == &in_double.data());
}

TEST_CASE("a compiled network by tiles agrees with plain sums, which the pass's name switches on") {
  struct Loss {
    Array operator()(const Tree& params, const Array& x) const {
      Array y = relu(conv(x, params["a"]));
      y = y - mean(y, {0, 1, 2});
      y = conv(y, params["b"], {.padding = "VALID"});
      return mean(square(y));
    }
  };
  const auto step = [](const Tree& params, const Array& x) {
    return value_and_grad([&](const Tree& p) { return Loss{}(p, x); })(params);
  };
  const Tree params{{"a", normal({3, 3, 32, 40}, 1) / 17.0}, {"b", normal({3, 3, 40, 36}, 2) / 19.0}};
  const Array x = normal({5, 10, 9, 32}, 3);
  const auto [value, gradients] = step(params, x);
  for (const int threads : {1, 3}) {
    const auto fast = jit(step, {.executor = Executor(threads)});
    const auto [got, got_gradients] = fast(params, x);
    support::check_near(got, value, 1e-5);
    support::check_near(got_gradients["a"], gradients["a"], 1e-4);
    support::check_near(got_gradients["b"], gradients["b"], 1e-4);
    const std::string text = fast.explain();
    for (const char* op : {"  conv_winograd", "  conv_input_grad_winograd", "  conv_kernel_grad_winograd"})
      CHECK(text.find(op) != std::string::npos);

    const auto plain = jit(step, {.executor = Executor(threads), .disabled_passes = {"winograd"}});
    static_cast<void>(plain(params, x));
    CHECK(plain.explain().find("winograd") == std::string::npos);
  }
  const auto only_conv = [](const Array& a, const Array& w) { return conv(a, w); };
  const Array eager = only_conv(x, params["a"]);
  CHECK(identical(jit(only_conv, {.disabled_passes = {"winograd"}})(x, params["a"]), eager));
  CHECK_FALSE(identical(jit(only_conv)(x, params["a"]), eager));
}
