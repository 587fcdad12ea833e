#include <linseed/ops/conv.hpp>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>

#include "golden/deviation.hpp"
#include "golden/golden.hpp"
#include "kernels/cpu/offset_gemm.hpp"
#include "ops/conv.hpp"
#include "window_helpers.hpp"

using namespace window_helpers;

namespace {

Array sequence(const std::vector<float>& values, const Shape& shape) { return Array::from(values, shape); }
std::vector<double> row(std::initializer_list<double> values) { return values; }

/// A convolution's attributes with everything but the shapes at its default.
attr::Conv plain(const Shape& x, const Shape& kernel) {
  const int rank = x.rank() - 2;
  const Shape ones = Shape::filled(rank, 1);
  const Shape zeros = Shape::filled(rank, 0);
  attr::Conv conv;
  conv.strides = conv.input_dilation = conv.kernel_dilation = ones;
  conv.low = conv.high = zeros;
  conv.input_shape = x;
  conv.kernel_shape = kernel;
  return conv;
}

Shape result_shape(const attr::Conv& conv) {
  const std::vector<Abstract> inputs{{conv.input_shape, float32}, {conv.kernel_shape, float32}};
  return ops::conv.shape_rule(inputs, conv).shape;
}

/// Convolutions of all kinds: small ones drawn at random, and some that reach every way of cutting up the work.
std::vector<attr::Conv> sweep() {
  std::mt19937 generator(7);
  const auto draw = [&](std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(generator() % static_cast<std::uint64_t>(high - low + 1));
  };
  std::vector<attr::Conv> result;
  for (int i = 0; i < 240; ++i) {
    const int rank = 1 + i % 3;
    const std::int64_t groups = draw(0, 2) == 0 ? draw(2, 3) : 1;
    const std::int64_t channels = draw(0, 19) == 0 ? 0 : draw(1, 5);
    const std::int64_t features = groups * (draw(0, 19) == 0 ? 0 : draw(1, 20));
    Shape x{draw(0, 15) == 0 ? 0 : draw(1, 4)};
    Shape kernel;
    for (int axis = 0; axis < rank; ++axis) {
      x.push_back(draw(0, 24) == 0 ? 0 : draw(1, rank == 1 ? 12 : 7));
      kernel.push_back(draw(0, 29) == 0 ? 0 : draw(1, rank == 3 ? 3 : 4));
    }
    x.push_back(groups * channels);
    kernel.push_back(channels);
    kernel.push_back(features);
    attr::Conv conv = plain(x, kernel);
    conv.groups = groups;
    for (std::size_t axis = 0; axis < conv.strides.size(); ++axis) {
      conv.strides[axis] = draw(1, 3);
      conv.input_dilation[axis] = draw(0, 2) == 0 ? draw(2, 4) : 1;
      conv.kernel_dilation[axis] = draw(0, 2) == 0 ? draw(2, 3) : 1;
      conv.low[axis] = draw(-2, 4);
      conv.high[axis] = draw(-2, 4);
    }
    result.push_back(conv);
  }

  const auto add = [&](Shape x, Shape kernel, auto&& change) {
    attr::Conv conv = plain(x, kernel);
    change(conv);
    result.push_back(conv);
  };
  add({70, 6, 6, 3}, {3, 3, 3, 5}, [](attr::Conv& c) { c.low = c.high = {1, 1}; });     // several samples per block
  add({1, 5, 5, 40}, {3, 3, 40, 100}, [](attr::Conv& c) { c.low = c.high = {1, 1}; });  // columns in pieces, long depth
  add({2, 2600, 32}, {3, 32, 2}, [](attr::Conv& c) { c.low = {2}; });                   // a row in several tiles
  add({1, 40, 90, 20}, {2, 2, 20, 3}, [](attr::Conv& c) { c.strides = {2, 1}; });       // many rows of pixels
  add({1, 9, 9, 300}, {3, 3, 300, 2}, [](attr::Conv& c) {                               // channels in several tiles
    c.kernel_dilation = {30, 30};
    c.low = c.high = {30, 30};
  });
  add({1, 9, 9, 96}, {3, 3, 2, 96}, [](attr::Conv& c) {  // whole groups and parts of them in a tile
    c.groups = 48;
    c.kernel_dilation = {40, 40};
    c.low = c.high = {40, 40};
  });
  add({2, 6, 2}, {3, 2, 3}, [](attr::Conv& c) {  // a tile that fits nowhere
    c.kernel_dilation = {400000};
    c.low = c.high = {400000};
  });
  add({3, 12, 11, 4}, {4, 3, 4, 33}, [](attr::Conv& c) { c.strides = {3, 2}, c.input_dilation = {2, 3}; });
  add({2, 1, 1, 1}, {1, 1, 1, 1}, [](attr::Conv&) {});
  return result;
}

std::string describe_conv(const attr::Conv& conv, DType dtype) {
  return to_string(Attributes(conv)) + " " + std::string(to_string(dtype));
}

/// What a convolution does, written out: the input is laid into a field of zeros with its gaps and its padding, the
/// kernel into another, and one slides over the other.
std::vector<double> naive_conv(const Array& x, const Array& kernel, const attr::Conv& conv) {
  const std::size_t rank = conv.strides.size();
  const auto axis3 = [&](const Shape& shape, std::size_t first, std::size_t i, std::int64_t missing) {
    return i + rank < 3 ? missing : shape[first + i + rank - 3];
  };
  std::int64_t in[3], field[3], taps[3], window[3], out[3], stride[3], low[3], gap[3], spread[3];
  const Shape y = result_shape(conv);
  for (std::size_t i = 0; i < 3; ++i) {
    in[i] = axis3(conv.input_shape, 1, i, 1);
    taps[i] = axis3(conv.kernel_shape, 0, i, 1);
    out[i] = axis3(y, 1, i, 1);
    stride[i] = axis3(conv.strides, 0, i, 1);
    low[i] = axis3(conv.low, 0, i, 0);
    gap[i] = axis3(conv.input_dilation, 0, i, 1);
    spread[i] = axis3(conv.kernel_dilation, 0, i, 1);
    window[i] = taps[i] == 0 ? 0 : (taps[i] - 1) * spread[i] + 1;
    field[i] = std::max<std::int64_t>((out[i] - 1) * stride[i] + window[i], 0);
  }
  const std::int64_t samples = conv.input_shape[0], all_channels = conv.input_shape.back();
  const std::int64_t channels = conv.kernel_shape[rank], features = conv.kernel_shape.back();
  const auto values = doubles(x);
  const auto weights = doubles(kernel);

  std::vector<double> laid(static_cast<std::size_t>(samples * field[0] * field[1] * field[2] * all_channels));
  std::size_t from = 0;
  for (std::int64_t n = 0; n < samples; ++n)
    for (std::int64_t i = 0; i < in[0]; ++i)
      for (std::int64_t j = 0; j < in[1]; ++j)
        for (std::int64_t k = 0; k < in[2]; ++k, from += all_channels) {
          const std::int64_t p[3] = {i * gap[0] + low[0], j * gap[1] + low[1], k * gap[2] + low[2]};
          bool inside = true;
          for (int a = 0; a < 3; ++a) inside = inside && p[a] >= 0 && p[a] < field[a];
          if (!inside) continue;
          const std::int64_t to = (((n * field[0] + p[0]) * field[1] + p[1]) * field[2] + p[2]) * all_channels;
          std::copy_n(values.begin() + from, all_channels, laid.begin() + to);
        }

  std::vector<double> result(static_cast<std::size_t>(y.elements()));
  std::size_t weight = 0;
  for (std::int64_t a = 0; a < taps[0]; ++a)
    for (std::int64_t b = 0; b < taps[1]; ++b)
      for (std::int64_t c = 0; c < taps[2]; ++c)
        for (std::int64_t channel = 0; channel < channels; ++channel)
          for (std::int64_t feature = 0; feature < features; ++feature, ++weight) {
            const std::int64_t source = feature / (features / conv.groups) * channels + channel;
            std::size_t to = 0;
            for (std::int64_t n = 0; n < samples; ++n)
              for (std::int64_t i = 0; i < out[0]; ++i)
                for (std::int64_t j = 0; j < out[1]; ++j)
                  for (std::int64_t k = 0; k < out[2]; ++k, ++to) {
                    const std::int64_t p = n * field[0] + i * stride[0] + a * spread[0];
                    const std::int64_t q = p * field[1] + j * stride[1] + b * spread[1];
                    const std::int64_t r = q * field[2] + k * stride[2] + c * spread[2];
                    result[to * features + feature] += laid[r * all_channels + source] * weights[weight];
                  }
          }
  return result;
}

struct Operands {
  Array x, kernel, cotangent;
  Operands(const attr::Conv& conv, DType dtype)
      : x(random_array(conv.input_shape, dtype, 1)),
        kernel(random_array(conv.kernel_shape, dtype, 2)),
        cotangent(random_array(result_shape(conv), dtype, 3)) {}
};

/// Each op of the family with its operands.
std::vector<std::pair<const Op*, std::vector<Array>>> applications(const Operands& o) {
  return {{&ops::conv, {o.x, o.kernel}},
          {&ops::conv_input_grad, {o.cotangent, o.kernel}},
          {&ops::conv_kernel_grad, {o.x, o.cotangent}}};
}

bool is_huge(const attr::Conv& conv) { return conv.kernel_dilation[0] > 1000; }

}  // namespace

TEST_CASE("conv slides the kernel without turning it") {
  const Array x = sequence({1, 2, 3, 4}, {1, 4, 1});
  const Array kernel = sequence({1, 0, -1}, {3, 1, 1});
  CHECK(doubles(conv(x, kernel, {.padding = "VALID"})) == row({-2, -2}));
  CHECK(doubles(conv(x, kernel)) == row({-2, -2, -2, 3}));

  const Array square = sequence({1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 3, 3, 1});
  const Array corner = sequence({1, 2, 3, 4}, {2, 2, 1, 1});
  CHECK(doubles(conv(square, corner, {.padding = "VALID"})) == row({37, 47, 67, 77}));
}

TEST_CASE("conv pads the odd place at the end for SAME, at the front for SAME_LOWER") {
  const Array x = sequence({1, 2, 3, 4}, {1, 4, 1});
  const Array ones = sequence({1, 1, 1}, {3, 1, 1});
  CHECK(doubles(conv(x, ones, {.strides = {2}})) == row({6, 7}));
  CHECK(doubles(conv(x, ones, {.strides = {2}, .padding = "SAME_LOWER"})) == row({3, 9}));
}

TEST_CASE("conv dilates, groups, pads by numbers and crops") {
  const Array x = sequence({1, 2, 3, 4}, {1, 4, 1});
  const Array pair = sequence({1, 10}, {2, 1, 1});
  CHECK(doubles(conv(x, pair, {.padding = "VALID", .kernel_dilation = {2}})) == row({31, 42}));
  CHECK(doubles(conv(sequence({1, 2}, {1, 2, 1}), pair, {.padding = "VALID", .input_dilation = {2}})) == row({1, 20}));
  CHECK(doubles(conv(x, sequence({1}, {1, 1, 1}), {.padding = Padding::Pairs{{-1, -1}}})) == row({2, 3}));
  CHECK(doubles(conv(x, pair, {.padding = 1})) == row({10, 21, 32, 43, 4}));
  CHECK(doubles(conv(sequence({3, 5}, {1, 1, 2}), sequence({2, 7}, {1, 1, 2}), {.groups = 2})) == row({6, 35}));
}

TEST_CASE("conv agrees with sliding over a field of zeros") {
  for (const attr::Conv& attributes : sweep()) {
    if (is_huge(attributes)) continue;
    CAPTURE(describe_conv(attributes, float64));
    const Operands o(attributes, float64);
    const auto expected = naive_conv(o.x, o.kernel, attributes);
    CHECK(relative_error(doubles(run(ops::conv, Which::reference, {o.x, o.kernel}, attributes)), expected) < 1e-13);
  }
}

TEST_CASE("conv: fast kernels agree with the reference") {
  for (const attr::Conv& attributes : sweep()) {
    for (const DType dtype : {float32, float64}) {
      CAPTURE(describe_conv(attributes, dtype));
      const double tolerance = dtype == float32 ? 2e-6 : 4e-15;
      for (const auto& [op, operands] : applications(Operands(attributes, dtype))) {
        CAPTURE(op->name);
        const Array expected = run(*op, Which::reference, operands, attributes);
        CHECK(relative_error(doubles(run(*op, Which::fast, operands, attributes)), doubles(expected)) < tolerance);
      }
    }
  }
}

TEST_CASE("conv: the same bytes from any number of threads, and on AVX2 as on AVX-512") {
  const Executor one(1), others[] = {Executor(2), Executor(3), Executor(2, VectorSet::avx2)};
  for (const attr::Conv& attributes : sweep()) {
    CAPTURE(describe_conv(attributes, float32));
    for (const auto& [op, operands] : applications(Operands(attributes, float32))) {
      CAPTURE(op->name);
      const Array expected = run(*op, Which::fast, operands, attributes, one);
      for (const Executor& other : others)
        CHECK(same_bytes(run(*op, Which::fast, operands, attributes, other), expected));
    }
  }
}

TEST_CASE("conv: gradient rules are adjoints, all ways round") {
  for (const attr::Conv& attributes : sweep()) {
    CAPTURE(describe_conv(attributes, float64));
    const Operands o(attributes, float64);
    const double expected = inner_product(apply_op(ops::conv, {o.x, o.kernel}, attributes), o.cotangent);
    const double tolerance = 1e-12 * (1.0 + static_cast<double>(o.cotangent.size()));
    // The argument missing from an op's operands is its cotangent.
    const std::vector<std::pair<const Op*, std::vector<Array>>> cases{
        {&ops::conv, {o.x, o.kernel, o.cotangent}},
        {&ops::conv_input_grad, {o.cotangent, o.kernel, o.x}},
        {&ops::conv_kernel_grad, {o.x, o.cotangent, o.kernel}}};
    for (const auto& [op, arguments] : cases) {
      CAPTURE(op->name);
      const auto gradients = pull_back(*op, {arguments[0], arguments[1]}, attributes, arguments[2]);
      REQUIRE(gradients.size() == 2);
      CHECK(std::abs(inner_product(gradients[0], arguments[0]) - expected) < tolerance);
      CHECK(std::abs(inner_product(gradients[1], arguments[1]) - expected) < tolerance);
    }
  }
}

TEST_CASE("conv computes only the gradients that are wanted") {
  const attr::Conv attributes = plain({1, 4, 1}, {2, 1, 1});
  const Operands o(attributes, float32);
  const std::vector<Array> operands{o.x, o.kernel};
  const std::vector<char> wanted{0, 1};
  const auto gradients = ops::conv.gradient({operands, o.cotangent, attributes, wanted}, o.cotangent);
  CHECK_FALSE(gradients[0].defined());
  CHECK(gradients[1].shape() == Shape{2, 1, 1});
}

TEST_CASE("conv of nothing") {
  const auto shape_of = [](const Shape& x, const Shape& kernel, const Padding& padding) {
    return conv(random_array(x, float32, 1), random_array(kernel, float32, 2), {.padding = padding}).shape();
  };
  CHECK(shape_of({0, 4, 4, 1}, {3, 3, 1, 2}, "SAME") == Shape{0, 4, 4, 2});
  CHECK(shape_of({1, 2, 4, 1}, {3, 3, 1, 2}, "VALID") == Shape{1, 0, 2, 2});
  CHECK(shape_of({1, 0, 1}, {3, 1, 2}, "SAME") == Shape{1, 0, 2});
  CHECK(shape_of({1, 2, 1}, {1, 1, 2}, Padding::Pairs{{-3, -3}}) == Shape{1, 0, 2});
  CHECK(doubles(conv(random_array({1, 2, 0}, float32, 1), random_array({1, 0, 2}, float32, 1))) == row({0, 0, 0, 0}));
  CHECK(doubles(conv(random_array({1, 1, 1}, float32, 1), random_array({0, 1, 1}, float32, 1), {.padding = "VALID"})) ==
        row({0, 0}));
}

TEST_CASE("conv promotes dtypes") {
  const Array x = sequence({1, 2}, {1, 2, 1});
  const Array wide = random_array({1, 1, 1}, float64, 1);
  CHECK(conv(x, wide).dtype() == float64);
  CHECK(conv(astype(x, int32), random_array({1, 1, 1}, float32, 1)).dtype() == float32);
  CHECK(error_text<DTypeError>([&] { return conv(astype(x, int32), astype(wide, int32)); }) ==
        "[conv] The operands must be floating-point.\n"
        "  got: int32[1,2,1] and int32[1,1,1]\n"
        "  expected: float32 or float64");
}

TEST_CASE("conv says what does not fit") {
  const auto attempt = [](const Shape& x, const Shape& kernel, const ConvOptions& options = {}) {
    return [=] { return conv(random_array(x, float32, 1), random_array(kernel, float32, 2), options); };
  };
  CHECK(error_text<ShapeError>(attempt({2, 28, 28, 3}, {5, 5, 1, 6})) ==
        "[conv] Input has 3 channels, but the kernel expects 1.\n"
        "  got: input (2, 28, 28, 3), kernel (5, 5, 1, 6)\n"
        "  expected: channels of the input = second to last extent of the kernel x groups");
  CHECK(error_text<ShapeError>(attempt({2, 8, 3}, {5, 2, 6}, {.groups = 2})) ==
        "[conv] Input has 3 channels, but the kernel expects 2 in each of 2 groups.\n"
        "  got: input (2, 8, 3), kernel (5, 2, 6)\n"
        "  expected: channels of the input = second to last extent of the kernel x groups");
  CHECK(error_text<ShapeError>(attempt({2, 8, 4}, {5, 1, 6}, {.groups = 4})) ==
        "[conv] The kernel's 6 features do not split into 4 groups.\n"
        "  got: input (2, 8, 4), kernel (5, 1, 6)");
  CHECK(error_text<ShapeError>(attempt({2, 8, 8, 3}, {5, 3, 6})) ==
        "[conv] Input and kernel differ in their number of axes.\n"
        "  got: input (2, 8, 8, 3), kernel (5, 3, 6)\n"
        "  expected: input (batch, spatial..., channels), kernel (spatial..., channels / groups, features)");
  CHECK(error_text<ShapeError>(attempt({8, 3}, {3, 6})) ==
        "[conv] The input needs a batch axis, 1 to 3 spatial axes and a channel axis.\n"
        "  got: input (8, 3), kernel (3, 6)");
  CHECK(error_text<ShapeError>(attempt({1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1}))
            .starts_with("[conv] The input needs a batch axis, 1 to 3 spatial axes and a channel axis."));
  CHECK(error_text<ShapeError>(attempt({1, 8, 8, 1}, {3, 3, 1, 1}, {.strides = {2}})) ==
        "[conv] The strides need one number per spatial axis.\n  got: (2,)\n  expected: 2 numbers");
  CHECK(error_text<ValueError>(attempt({1, 8, 1}, {3, 1, 1}, {.strides = {0}})) ==
        "[conv] The strides must be positive.\n  got: (0,)");
  CHECK(error_text<ValueError>(attempt({1, 8, 1}, {3, 1, 1}, {.kernel_dilation = {-1}})) ==
        "[conv] The kernel dilations must be positive.\n  got: (-1,)");
  CHECK(error_text<ValueError>(attempt({1, 8, 1}, {3, 1, 1}, {.groups = 0})) ==
        "[conv] The number of groups must be positive.\n  got: 0");
  CHECK(error_text<ShapeError>(attempt({1, 8, 8, 1}, {3, 3, 1, 1}, {.padding = Padding::Pairs{{1, 1}}})) ==
        "[conv] Padding needs one (low, high) pair per spatial axis.\n  got: 1 pairs\n  expected: 2");
  CHECK(error_text<ValueError>(attempt({1, 8, 1}, {3, 1, 1}, {.input_dilation = {2}})) ==
        "[conv] SAME padding has no meaning for a dilated input.\n"
        "  got: input dilation (2,)\n"
        "  hint: give a (low, high) pair per spatial axis");
  CHECK(error_text<ValueError>([] { return Padding("FULL"); }) ==
        "[Padding] The name is unknown.\n"
        "  got: \"FULL\"\n"
        "  expected: \"SAME\", \"SAME_LOWER\", \"VALID\", \"CIRCULAR\", \"REFLECT\", \"CAUSAL\", a number, or a (low, "
        "high) pair per axis");
}

TEST_CASE("conv survives absurd sizes") {
  const Array x = random_array({1, 2, 1}, float32, 1);
  const Array kernel = random_array({2, 1, 1}, float32, 2);
  constexpr std::int64_t huge = std::int64_t{1} << 62;
  const auto attempt = [&](const ConvOptions& options) { return [=] { return conv(x, kernel, options); }; };
  CHECK(error_text<ShapeError>(attempt({.padding = Padding::Pairs{{huge, huge}}})) ==
        "[conv] A size is too large.\n  got: padding 4611686018427387904");
  CHECK(error_text<ShapeError>(attempt({.padding = Padding::Pairs{{-huge, 0}}}))
            .starts_with("[conv] A size is too large."));
  CHECK(error_text<ShapeError>(attempt({.kernel_dilation = {huge}})).starts_with("[conv] A size is too large."));
  CHECK(error_text<ShapeError>(attempt({.strides = {huge}})).starts_with("[conv] A size is too large."));
  CHECK(conv(x, kernel, {.strides = {huge / 16}}).shape() == Shape{1, 1, 1});
  CHECK(conv(x, kernel, {.padding = "VALID", .kernel_dilation = {huge / 16}}).shape() == Shape{1, 0, 1});
  CHECK(error_text<ShapeError>([&] {
          return conv(x, kernel, {.groups = huge});
        }).starts_with("[conv] Input has 1 channels, but the kernel expects 1 in each of"));
}

TEST_CASE("conv ops refuse operands of another convolution") {
  const attr::Conv attributes = plain({1, 4, 1}, {2, 1, 1});
  const Array x = random_array({1, 4, 1}, float32, 1);
  CHECK(error_text<ShapeError>([&] { return apply_op(ops::conv_input_grad, {x, x}, attributes); }) ==
        "[conv_input_grad] The operands do not have the shapes of this convolution.\n"
        "  got: (1, 4, 1) and (1, 4, 1)\n"
        "  expected: (1, 3, 1) and (2, 1, 1)");
}

TEST_CASE("offset_gemm: every instruction set gives the product, the vector ones the same bits") {
  using namespace kernels::cpu;
  const VectorSet best = best_vector_set();
  const auto check = [&]<class T>(std::type_identity<T>, std::int64_t rows, std::int64_t depth, std::int64_t columns,
                                  bool is_turned = false) {
    const Array left = random_array({rows, depth}, dtype_of<T>, 1);
    const Array right = random_array({depth, columns}, dtype_of<T>, 2);
    const Array in_memory = is_turned ? transpose(right) : right;
    Lattice row_lattice, depth_lattice;
    row_lattice.extent[3] = rows;
    row_lattice.stride[0][3] = depth;
    row_lattice.stride[1][3] = columns;
    depth_lattice.extent[3] = depth;
    depth_lattice.stride[0][3] = 1;
    depth_lattice.stride[1][3] = is_turned ? 1 : columns;
    std::vector<T> first;
    for (const VectorSet set : {VectorSet::avx2, VectorSet::avx512, VectorSet::portable}) {
      if (set > best) continue;
      // A frame around the result shows whether anything is written beyond it.
      std::vector<T> result(static_cast<std::size_t>(rows * columns) + 2, T{7});
      offset_gemm(left.data<T>().data(), row_lattice, depth_lattice, in_memory.data<T>().data(),
                  {columns, is_turned ? depth : 1}, result.data() + 1, false, set);
      CHECK(result.front() == T{7});
      CHECK(result.back() == T{7});
      double largest_error = 0.0;
      for (std::int64_t i = 0; i < rows; ++i) {
        for (std::int64_t j = 0; j < columns; ++j) {
          double expected = 0.0;
          for (std::int64_t k = 0; k < depth; ++k) {
            expected += static_cast<double>(left.data<T>()[i * depth + k]) *
                        static_cast<double>(right.data<T>()[k * columns + j]);
          }
          largest_error =
              std::max(largest_error, std::abs(static_cast<double>(result[1 + i * columns + j]) - expected));
        }
      }
      CHECK(largest_error < (sizeof(T) == 4 ? 1e-7 : 2e-16) * (1.0 + static_cast<double>(depth)));
      if (set == VectorSet::avx2) first = result;
      if (set == VectorSet::avx512) CHECK(result == first);
    }
  };
  for (const std::int64_t rows : {1, 3, 8, 13, 1030}) {
    for (const std::int64_t depth : {0, 1, 5, 256, 300}) {
      for (const std::int64_t columns : {1, 2, 3, 7, 8, 15, 16, 17, 33, 40}) {
        if (rows == 1030 && depth * columns > 600) continue;
        CAPTURE(rows);
        CAPTURE(depth);
        CAPTURE(columns);
        check(std::type_identity<float>{}, rows, depth, columns);
        check(std::type_identity<double>{}, rows, depth, columns);
        check(std::type_identity<float>{}, rows, depth, columns, true);
        check(std::type_identity<double>{}, rows, depth, columns, true);
      }
    }
  }
  for (const std::int64_t rows : {1, 2, 3, 4, 5}) {  // few of them, many columns
    CAPTURE(rows);
    check(std::type_identity<float>{}, rows, 300, 307);
    check(std::type_identity<double>{}, rows, 40, 150);
  }
}

TEST_CASE("conv agrees with JAX") {
  for (const golden::json& entry : golden::load("ops.json").where("op", "conv_general_dilated")) {
    const std::string name = entry["name"];
    CAPTURE(name);
    const auto array = [](const golden::json& value) {
      const auto extents = golden::shape(value);
      return Array::from(golden::values<float>(value), Shape(extents.begin(), extents.end()));
    };
    const auto shape = [&](const char* key) {
      const auto numbers = golden::numbers<std::int64_t>(entry["attrs"][key]);
      return Shape(numbers.begin(), numbers.end());
    };
    const golden::json& padding = entry["attrs"]["padding"];
    ConvOptions options{.strides = shape("window_strides"),
                        .padding = "VALID",
                        .input_dilation = shape("lhs_dilation"),
                        .kernel_dilation = shape("rhs_dilation"),
                        .groups = entry["attrs"]["feature_group_count"].get<std::int64_t>()};
    if (padding.is_string()) {
      options.padding = Padding(padding.get<std::string>());
    } else {
      options.padding = padding.get<Padding::Pairs>();
    }
    const Array x = array(entry["inputs"][0]);
    const Array kernel = array(entry["inputs"][1]);
    const Array y = conv(x, kernel, options);
    CHECK(y.shape() == array(entry["output"]).shape());
    const double deviation = relative_error(doubles(y), golden::values<double>(entry["output"]));
    const golden::Measured measured("ops.conv_general_dilated");
    golden::Deviations::instance().note(deviation);
    CHECK(deviation < 1e-6);

    const Array cotangent = array(entry["cotangent"]);
    const auto loss = [&](const Array& a, const Array& b) { return sum(conv(a, b, options) * cotangent); };
    const Array dx = grad([&](const Array& a) { return loss(a, kernel); })(x);
    const Array dkernel = grad([&](const Array& b) { return loss(x, b); })(kernel);
    CHECK(relative_error(doubles(dx), golden::values<double>(entry["grads"][0])) < 1e-6);
    CHECK(relative_error(doubles(dkernel), golden::values<double>(entry["grads"][1])) < 1e-6);
  }
}
