// Which routine serves a kernel, as explain() tells it.
#include <string>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

using namespace linseed;

namespace {

/// The lines of explain() on kernels of an op, from the op's name on.
std::string kernels_of(const std::string& text, const std::string& op) {
  std::string result;
  for (std::size_t at = text.find("kernels:"); at != std::string::npos;) {
    const std::size_t end = text.find('\n', at), from = text.find("   " + op, at);
    if (from < end) result += text.substr(from + 3, end - from - 2);
    at = end == std::string::npos ? end : end + 1;
  }
  return result;
}

template <class Function, class... Arrays>
std::string explained(const Function& function, const std::string& op, const JitOptions& options,
                      const Arrays&... arrays) {
  const auto compiled = jit(function, options);
  static_cast<void>(compiled(arrays...));
  return kernels_of(compiled.explain(), op);
}

/// On AVX2 and AVX-512 alike: what is chosen follows from shapes.
template <class Function, class... Arrays>
void check(const std::string& expected, const Function& function, const std::string& op, const Arrays&... arrays) {
  for (const VectorSet set : {VectorSet::avx2, VectorSet::avx512}) {
    if (set > best_vector_set()) continue;
    CAPTURE(to_string(set));
    CHECK(explained(function, op, {.executor = Executor(1, set)}, arrays...) == expected);
  }
}

}  // namespace

TEST_CASE("explain() says which routine a product takes, and its work") {
  const auto product = [](const Array& a, const Array& b) { return matmul(a, b); };
  const auto check_product = [&](const std::string& expected, const Shape& a, const Shape& b, DType dtype = float32) {
    check("dot_general  [" + expected + "]\n", product, "dot_general", zeros(a, dtype), zeros(b, dtype));
  };
  check_product("small_gemm, 240 FLOP", {4, 5}, {5, 6});
  check_product("offset_gemm, 240 FLOP", {4, 5}, {5, 6}, float64);  // small ones are for float32
  check_product("offset_gemm, 480 FLOP", {2, 4, 5}, {2, 5, 6});
  check_product("offset_gemm, 132 kFLOP", {1, 256}, {256, 257});
  check_product("dense_gemm, 6.4 MFLOP", {1600, 100}, {100, 20});
  check_product("row_dots, 131 kFLOP", {256, 256}, {256, 1});
  check_product("dense_gemm, 4.29 MFLOP", {128, 128}, {128, 131});
  check_product("blas, 547 MFLOP", {513, 1031}, {1031, 517});
  check_product("reference, 240 FLOP", {4, 5}, {5, 6}, int32);
  check_product("reference", {4, 0}, {0, 6});
}

TEST_CASE("explain() says which routine a convolution and its gradients take") {
  const auto gradients = [](const ConvOptions& options) {
    return [options](const Array& x, const Array& w) {
      return grad([&](const std::pair<Array, Array>& p) { return sum(square(conv(p.first, p.second, options))); })(
          std::pair(x, w));
    };
  };
  const auto check_conv = [&](const std::string& expected, const Shape& x, const Shape& w,
                              const ConvOptions& options = {}, DType dtype = float32) {
    INFO(to_string(x), " ", to_string(w));
    check(expected, gradients(options), "conv", zeros(x, dtype), zeros(w, dtype));
  };
  check_conv(
      "conv_in_lanes  [lanes 5x5, 614 kFLOP]\n"
      "conv_input_grad_in_lanes  [lanes 5x5, 614 kFLOP]\n"
      "conv_kernel_grad_in_lanes  [lanes 5x5, 614 kFLOP]\n",
      {32, 8, 8, 1}, {5, 5, 1, 6});
  // 2 * 8 points * 2 tiles of a row * 8 rows * 32 samples * 5 rows of taps * 6 * 16: two fifths of the plain sums
  check_conv(
      "conv_winograd_in_lanes  [winograd_rows 5x5, 3.93 MFLOP]\n"
      "conv_input_grad_winograd_in_lanes  [winograd_rows 5x5, 3.93 MFLOP]\n"
      "conv_kernel_grad_winograd_in_lanes  [winograd_rows 5x5, 3.93 MFLOP]\n",
      {32, 8, 8, 6}, {5, 5, 6, 16});
  check_conv(
      "conv  [lanes 5x5, 192 kFLOP]\n"
      "conv_input_grad  [lanes 5x5, 192 kFLOP]\n"
      "conv_kernel_grad  [lanes 5x5, 192 kFLOP]\n",
      {10, 8, 8, 1}, {5, 5, 1, 6});  // no whole blocks of 16 samples
  check_conv(
      "conv  [lanes 3x3, 111 kFLOP]\n"
      "conv_input_grad  [lanes 3x3, 111 kFLOP]\n"
      "conv_kernel_grad  [lanes 3x3, 111 kFLOP]\n",
      {2, 16, 16, 2}, {3, 3, 2, 6});  // strips of an image stand for samples
  check_conv(
      "conv  [depthwise 3x3, 36.9 kFLOP]\n"
      "conv_input_grad  [depthwise 3x3, 36.9 kFLOP]\n"
      "conv_kernel_grad  [depthwise 3x3, 36.9 kFLOP]\n",
      {2, 8, 8, 16}, {3, 3, 1, 16}, {.groups = 16});
  check_conv(
      "conv  [offset_gemm 3x3, 41.5 kFLOP]\n"
      "conv_input_grad  [offset_gemm 3x3, 41.5 kFLOP]\n"
      "conv_kernel_grad  [offset_gemm 3x3, 41.5 kFLOP]\n",
      {2, 8, 8, 6}, {3, 3, 3, 6}, {.groups = 2});
  check_conv(
      "conv  [direct 3x3, 7.08 MFLOP]\n"
      "conv_input_grad  [lanes 3x3, 7.08 MFLOP]\n"
      "conv_kernel_grad  [direct 3x3, 7.08 MFLOP]\n",
      {2, 32, 32, 3}, {3, 3, 3, 64});
  check_conv(
      "conv  [panels 3x3, 231 MFLOP]\n"
      "conv_input_grad  [panels 3x3, 231 MFLOP]\n"
      "conv_kernel_grad  [panels 3x3, 231 MFLOP]\n",
      {8, 28, 28, 128}, {3, 3, 64, 128}, {.strides = {2, 2}, .groups = 2});
  // 2 * 36 * 4 tiles of a sample * 4 samples * 64 * 64: a quarter of the plain sums
  check_conv(
      "conv_winograd  [winograd 3x3, 4.72 MFLOP]\n"
      "conv_input_grad_winograd  [winograd 3x3, 4.72 MFLOP]\n"
      "conv_kernel_grad_winograd  [winograd 3x3, 4.72 MFLOP]\n",
      {4, 8, 8, 64}, {3, 3, 64, 64});
  check_conv(
      "conv  [offset_gemm 3, 768 FLOP]\n"
      "conv_input_grad  [offset_gemm 3, 768 FLOP]\n"
      "conv_kernel_grad  [offset_gemm 3, 768 FLOP]\n",
      {2, 16, 2}, {3, 2, 2}, {}, float64);
}

TEST_CASE("explain() says what reductions and others run by, and what a script calls") {
  const auto f = [](const Array& x) {
    return std::vector<Array>{min(x, 1), min(x, 0), min(transpose(x, {1, 0, 2}), {0, 2}),
                              astype(argmax(x, 0), float32)};
  };
  const auto compiled = jit(f);
  static_cast<void>(compiled(zeros({3, 4, 5})));
  const std::string text = compiled.explain();
  CHECK(kernels_of(text, "reduce_min").find("reduce_min  [columns]\n") != std::string::npos);
  CHECK(kernels_of(text, "reduce_min").find("reduce_min  [reference]\n") != std::string::npos);
  CHECK(kernels_of(text, "argmax") == "argmax  [reference]\n");
  check("reduce_min  [rows]\n", [](const Array& x) { return min(x, 1); }, "reduce_min", zeros({3, 4}));
  const auto half = [](const Array& x) { return x * 0.5 + 1; };
  check("fused over 64 in tiles of 64: 1 steps, 0 sums  [script]\n", half, "fused", zeros({64}));
  check("fused over 640 in tiles of 512: 1 steps, 0 sums\n", half, "fused", zeros({640}));
}

TEST_CASE("without AVX2 nothing is put in lanes") {
  const auto f = [](const Array& x, const Array& w) { return conv(x, w); };
  const auto kernels = [&](VectorSet set) {
    return explained(f, "conv", {.executor = Executor(2, set)}, zeros({32, 8, 8, 1}), zeros({5, 5, 1, 6}));
  };
  CHECK(kernels(VectorSet::portable) == "conv  [direct 5x5, 614 kFLOP]\n");
}
