#include <linseed/ops/conv.hpp>

#include <string>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>
#include <linseed/transform/grad.hpp>

#include "ops/expect.hpp"

using namespace linseed;
using tests::error_text;
using tests::expect;
using tests::expect_near;

TEST_CASE("conv_transpose with the forward kernel is the gradient of conv in its input") {
  struct Case {
    const char* padding;
    std::int64_t extent, window, stride, dilation;
  };
  for (const auto& [padding, extent, window, stride, dilation] :
       {Case{"SAME", 6, 3, 1, 1}, Case{"SAME", 6, 3, 2, 1}, Case{"SAME", 6, 2, 3, 1}, Case{"SAME", 6, 4, 2, 1},
        Case{"SAME", 6, 3, 1, 2}, Case{"VALID", 6, 3, 1, 1}, Case{"VALID", 7, 3, 2, 1}, Case{"VALID", 6, 2, 2, 1},
        Case{"VALID", 7, 3, 1, 2}}) {
    CAPTURE(std::string(padding));
    CAPTURE(extent);
    CAPTURE(window);
    CAPTURE(stride);
    const Array kernel = random::normal(random::key(0), {window, 3, 2, 4}, float64);
    const ConvOptions options{.strides = {stride, 1}, .padding = padding, .kernel_dilation = {dilation, 1}};
    const auto forward = [&](const Array& x) { return conv(x, kernel, options); };
    const Array x = zeros({2, extent, 5, 2}, float64);
    const Array cotangent = random::normal(random::key(1), forward(x).shape(), float64);
    const Array expected = grad([&](const Array& input) { return sum(forward(input) * cotangent); })(x);
    expect_near(
        conv_transpose(
            cotangent, kernel,
            {.strides = {stride, 1}, .padding = padding, .kernel_dilation = {dilation, 1}, .transpose_kernel = true}),
        expected, 1e-12);
  }
}

TEST_CASE("conv_transpose by hand") {
  const Array x = reshape(Array{1.0, 2.0}, {1, 2, 1});
  const Array kernel = reshape(Array{1.0, 10.0, 100.0}, {3, 1, 1});
  const auto places = [&](const ConvTransposeOptions& options) { return ravel(conv_transpose(x, kernel, options)); };
  // 1 0 2, padded, under a window that is not turned round.
  expect(places({.strides = {2}, .padding = "VALID"}), Array{100.0, 10.0, 201.0, 20.0, 2.0});
  expect(places({.strides = {2}}), Array{100.0, 10.0, 201.0, 20.0});
  expect(places({.strides = {2}, .padding = Padding::Pairs{{0, 1}}}), Array{201.0, 20.0});
  expect(places({.strides = {2}, .padding = 1}), Array{10.0, 201.0, 20.0});
  // What lies outside two places comes in again from the other end.
  expect(sum(places({.padding = "CIRCULAR"})), Array(333.0));
  expect(sum(places({.strides = {2}, .padding = "CIRCULAR"})), Array(333.0));
  CHECK(conv_transpose(zeros({0, 2, 1}), kernel).shape() == Shape{0, 2, 1});
}

TEST_CASE("conv_transpose refuses what does not fit") {
  CHECK(error_text<ShapeError>([] { return conv_transpose(ones({2, 3}), ones({3, 1})); }) ==
        "[conv_transpose] Input and kernel need a batch axis and a channel axis beside the same spatial axes.\n"
        "  got: input (2, 3), kernel (3, 1)\n"
        "  expected: input (batch, spatial..., channels), kernel (spatial..., channels, features)");
  CHECK(error_text<ShapeError>([] { return conv_transpose(ones({1, 3, 2}), ones({3, 1, 1})); }) ==
        "[conv] Input has 2 channels, but the kernel expects 1.\n"
        "  got: input (1, 3, 2), kernel (3, 1, 1)\n"
        "  expected: channels of the input = second to last extent of the kernel x groups");
  CHECK(error_text<ValueError>([] { return conv_transpose(ones({1, 3, 1}), ones({3, 1, 1}), {.strides = {0}}); }) ==
        "[conv_transpose] The strides must be positive.\n  got: (0,)");
  for (const char* padding : {"SAME_LOWER", "REFLECT", "CAUSAL"}) {
    CHECK(error_text<ValueError>(
              [&] { return conv_transpose(ones({1, 3, 1}), ones({3, 1, 1}), {.padding = padding}); }) ==
          "[conv_transpose] This padding has no transpose.\n"
          "  expected: \"SAME\", \"VALID\", \"CIRCULAR\", a number, or a (low, high) pair per axis");
  }
}
