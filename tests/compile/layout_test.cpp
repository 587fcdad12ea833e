#include "compile/layout.hpp"

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "kernels/conv.hpp"
#include "ops/conv.hpp"
#include "program/program.hpp"
#include "support.hpp"

using namespace linseed;

namespace {

Array normal(const Shape& shape, int seed) {
  return random::normal(random::key(static_cast<std::uint32_t>(seed)), shape);
}

Array to_lanes(const Array& x) {
  return reshape(transpose(reshape(x, {x.extent(0) / 16, 16, -1}), {0, 2, 1}), kernels::in_lanes(x.shape()));
}

/// Runs the program of `function` as it is and with samples in lanes: the results must agree.
template <class Function>
Program check_layout(const Function& function, const std::vector<Array>& inputs, double tolerance = 1e-5) {
  const Program program =
      make_program([&](const Array& x, const Array& w) { return function(x, w); }, inputs[0], inputs[1]);
  const Program changed = compile::layout(program);
  const auto expected = interpret(program.data(), inputs, Executor(1));
  const auto got = interpret(changed.data(), inputs, Executor(1));
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) support::check_near(got[i], expected[i], tolerance, 1e-5);
  return changed;
}

int conversions(const Program& program) { return program.count("transpose"); }

}  // namespace

TEST_CASE("convolutions in lanes are those of the ordinary layout") {
  struct Trial {
    std::int64_t samples, height, width, channels, features, taps;
    Shape strides = {1, 1}, dilation = {1, 1};
    Padding padding = "SAME";
  };
  const std::vector<Trial> trials{
      {16, 5, 7, 1, 1, 3},
      {32, 6, 6, 1, 6, 5},
      {16, 7, 5, 6, 16, 5},
      {48, 4, 9, 3, 2, 3},
      {16, 5, 5, 2, 3, 1},
      {16, 9, 8, 4, 5, 7, {1, 1}, {1, 1}, "VALID"},
      {16, 9, 9, 3, 7, 3, {2, 2}},
      {16, 11, 9, 2, 12, 3, {1, 1}, {2, 3}},
      {16, 4, 17, 5, 24, 3, {2, 1}, {1, 1}, Padding::Pairs{{2, 0}, {0, 3}}},
      {16, 12, 12, 1, 9, 9},
      {16, 3, 3, 40, 2, 3},
      {32, 6, 5, 33, 33, 3},
      {16, 6, 5, 3, 4, 3, {1, 1}, {1, 1}, Padding::Pairs{{-1, 1}, {0, 2}}},  // a row is cut off: the reference does it
  };
  for (const Trial& t : trials) {
    const Array x = normal({t.samples, t.height, t.width, t.channels}, 1);
    const Array w = normal({t.taps, t.taps, t.channels, t.features}, 2);
    const Program program = make_program(
        [&](const Array& a, const Array& b) {
          return conv(a, b, {.strides = t.strides, .padding = t.padding, .kernel_dilation = t.dilation});
        },
        x, w);
    const Attributes& attributes = program.data().nodes.back().attributes;
    INFO(to_string(x.shape()), " with ", to_string(w.shape()), " ", to_string(attributes));
    const Array y = apply_op(ops::conv, {x, w}, attributes);
    const Array dy = normal(y.shape(), 3);
    support::check_near(apply_op(ops::conv_in_lanes, {to_lanes(x), w}, attributes), to_lanes(y), 1e-5, 1e-5);
    support::check_near(apply_op(ops::conv_input_grad_in_lanes, {to_lanes(dy), w}, attributes),
                        to_lanes(apply_op(ops::conv_input_grad, {dy, w}, attributes)), 1e-5, 1e-5);
    support::check_near(apply_op(ops::conv_kernel_grad_in_lanes, {to_lanes(x), to_lanes(dy)}, attributes),
                        apply_op(ops::conv_kernel_grad, {x, dy}, attributes), 1e-5, 1e-4);
    // The specification agrees, in double too.
    for (const DType dtype : {float32, float64}) {
      const auto reference = [&](const Op& op, const Array& a, const Array& b) {
        Op slow = op;
        slow.fast = nullptr;
        const std::vector<Array> operands{astype(a, dtype), astype(b, dtype)};
        const std::vector<Abstract> types{abstract(operands[0]), abstract(operands[1])};
        return execute(slow, operands, attributes, op.shape_rule(types, attributes), Executor(1));
      };
      const auto as = [&](const Array& a) { return astype(a, dtype); };
      support::check_near(reference(ops::conv_in_lanes, to_lanes(x), w), as(to_lanes(y)), 1e-5, 1e-5);
      support::check_near(reference(ops::conv_input_grad_in_lanes, to_lanes(dy), w),
                          to_lanes(reference(ops::conv_input_grad, dy, w)), 1e-6, 1e-6);
      support::check_near(reference(ops::conv_kernel_grad_in_lanes, to_lanes(x), to_lanes(dy)),
                          reference(ops::conv_kernel_grad, x, dy), 1e-6, 1e-6);
    }
  }
}

TEST_CASE("convolutions in lanes give the same bits on any number of threads, and on AVX2 as on AVX-512") {
  const Array x = to_lanes(normal({160, 9, 7, 3}, 1)), w = normal({5, 5, 3, 6}, 2);
  const Program program =
      make_program([](const Array& a, const Array& b) { return conv(a, b); }, normal({160, 9, 7, 3}, 1), w);
  const Attributes& attributes = program.data().nodes.back().attributes;
  const auto run = [&](const Op& op, const Array& a, const Array& b, const Executor& executor) {
    const std::vector<Abstract> types{abstract(a), abstract(b)};
    return execute(op, std::vector<Array>{a, b}, attributes, op.shape_rule(types, attributes), executor);
  };
  const Executor one(1), others[] = {Executor(2), Executor(3), Executor(8), Executor(1, VectorSet::avx2)};
  const Array y = run(ops::conv_in_lanes, x, w, one), dx = run(ops::conv_input_grad_in_lanes, y, w, one),
              dw = run(ops::conv_kernel_grad_in_lanes, x, y, one);
  for (const Executor& other : others) {
    CHECK(identical(run(ops::conv_in_lanes, x, w, other), y));
    CHECK(identical(run(ops::conv_input_grad_in_lanes, y, w, other), dx));
    CHECK(identical(run(ops::conv_kernel_grad_in_lanes, x, y, other), dw));
  }
}

TEST_CASE("a convolution in lanes needs whole blocks of samples") {
  const Program program = make_program([](const Array& a, const Array& b) { return conv(a, b); }, zeros({17, 4, 4, 1}),
                                       zeros({3, 3, 1, 2}));
  const Attributes& attributes = program.data().nodes.back().attributes;
  CHECK(support::error_of<ShapeError>(
            [&] { return apply_op(ops::conv_in_lanes, {zeros({1, 4, 4, 16}), zeros({3, 3, 1, 2})}, attributes); }) ==
        "[conv_in_lanes] The samples do not fill whole lanes.\n  got: (17, 4, 4, 1)\n  expected: a multiple of 16 "
        "samples");
}

TEST_CASE("layout converts where values enter and leave, and nowhere else") {
  const Array x = normal({32, 8, 8, 1}, 1), w = normal({3, 3, 1, 4}, 2);
  const Program network = check_layout(
      [](const Array& image, const Array& kernel) {
        const Array scale{0.5, 1.0, 1.5, 2.0};
        const Array y = conv(image, kernel);
        const Array centred = (y - mean(y, {0, 1, 2})) * scale +
                              Array{{{1.0}}, {{2.0}}, {{3.0}}, {{4.0}}, {{5.0}}, {{6.0}}, {{7.0}}, {{8.0}}};
        const Array pooled = avg_pool(relu(centred), {2, 2}, {2, 2});
        return matmul(reshape(max_pool(pooled, {2, 2}, {1, 1}), {32, -1}), ones({36, 3}));
      },
      {x, w});
  CHECK(network.count("conv_in_lanes") == 1);
  CHECK(conversions(network) == 2);
  const Program gradient = check_layout(
      [](const Array& image, const Array& kernel) {
        return grad([&](const Array& k) {
          const Array y = sigmoid(conv(avg_pool(conv(image, k), {2, 2}, {2, 2}), ones({3, 3, 4, 2})));
          return sum(matmul(reshape(y, {32, -1}), ones({32, 3})));
        })(kernel);
      },
      {x, w}, 1e-4);
  CHECK(gradient.count("conv_kernel_grad_in_lanes") == 1);
  CHECK(gradient.count("conv_input_grad_in_lanes") == 1);
  CHECK(gradient.count("window_sum_transpose") == 1);
  CHECK(conversions(gradient) == 2);  // the images, and what the product gives back
}

TEST_CASE("ops around a convolution see the right samples in lanes") {
  const Array x = normal({16, 4, 4, 3}, 1), w = normal({3, 3, 3, 3}, 2);
  const auto after = [&](const auto& function, int convolutions = 1) {
    const Program program =
        check_layout([&](const Array& a, const Array& b) { return function(conv(a, b)); }, {x, w}, 1e-4);
    CHECK(program.count("conv_in_lanes") == convolutions);
  };
  // Sums over every choice of axes.
  for (int choice = 1; choice < 16; ++choice) {
    std::vector<int> axes;
    for (int axis = 0; axis < 4; ++axis) {
      if (choice >> axis & 1) axes.push_back(axis);
    }
    CAPTURE(choice);
    after([&](const Array& y) { return sum(y, axes); });
    after([&](const Array& y) { return y - sum(y, axes, true); });
    after([&](const Array& y) { return max(exp(y), axes); });
  }
  after([](const Array& y) { return reshape(y, {16, 48}) * 2.0; });
  after([](const Array& y) { return reshape(sum(y, {1, 2, 3}), {16, 1, 1, 1}) + y; });
  after([](const Array& y) { return sum(exp(sum(y, {1, 2, 3}))); });
  after([](const Array& y) { return reshape(y, {4, 4, 16, 3}) + 1.0; });
  after([](const Array& y) { return transpose(relu(y), {3, 1, 2, 0}); });
  after([](const Array& y) { return y + normal({16, 4, 4, 1}, 3); });
  after([](const Array& y) { return y + normal({16, 1, 1, 3}, 3); });
  after([](const Array& y) { return y * normal({4, 3}, 3) + normal({4, 4, 1}, 4) + normal({1, 1, 1, 3}, 5); });
  after([](const Array& y) { return where(y > 0, y, zeros({3})); });
  after([](const Array& y) { return astype(y > 0, int32); });
  after([](const Array& y) { return broadcast_to(mean(y, {1, 2}, true), {16, 4, 4, 3}) * y; });
  after([](const Array& y) { return concatenate({y, y}, 3) * 2.0; });
  after([](const Array& y) { return std::vector<Array>{y, relu(y), mean(y)}; });
  after([](const Array& y) { return conv(tanh(y), ones({3, 3, 3, 20})); }, 2);
  after(
      [](const Array& y) { return grad([](const Array& z) { return sum(square(max_pool(z, {2, 2}, {2, 2}))); })(y); });
}

TEST_CASE("a kernel's gradient goes along with samples that are in lanes already") {
  const Array x = normal({16, 6, 6, 4}, 1), w = normal({3, 3, 4, 16}, 2);
  const Program forward =
      make_program([](const Array& image, const Array& kernel) { return conv(image, kernel); }, x, w);
  const auto kernel_grad = [&](const Array& image, const Array& cotangent) {
    return apply_op(ops::conv_kernel_grad, {image, cotangent}, forward.data().nodes.back().attributes);
  };
  const Program alone = check_layout(kernel_grad, {x, normal({16, 6, 6, 16}, 3)});
  CHECK(alone.count("conv_kernel_grad") == 1);
  CHECK(conversions(alone) == 0);
  const Program together = check_layout(
      [&](const Array& image, const Array& kernel) { return kernel_grad(image, conv(image, kernel)); }, {x, w}, 1e-4);
  CHECK(together.count("conv_in_lanes") == 1);
  CHECK(together.count("conv_kernel_grad_in_lanes") == 1);
  CHECK(conversions(together) == 1);  // the images
}

TEST_CASE("layout leaves alone what lanes do not suit") {
  const auto program_of = [](const Shape& x, const Shape& w) {
    return make_program([](const Array& a, const Array& b) { return conv(a, b); }, zeros(x), zeros(w));
  };
  for (const Program& program : {program_of({17, 8, 8, 1}, {3, 3, 1, 4}), program_of({8, 8, 8, 1}, {3, 3, 1, 4}),
                                 program_of({16, 8, 8, 128}, {3, 3, 128, 128}),
                                 program_of({16, 8, 8, 32}, {3, 3, 32, 32}),  // is left to the pass winograd
                                 program_of({0, 8, 8, 1}, {3, 3, 1, 4}), program_of({16, 8, 8, 1}, {3, 3, 1, 0}),
                                 program_of({16, 0, 8, 1}, {3, 3, 1, 2})}) {
    CHECK(&compile::layout(program).data() == &program.data());
  }
}

TEST_CASE("a compiled network agrees with the interpreted one, with and without lanes") {
  const auto loss = [](const Tree& params, const Array& x) {
    Array y = relu(conv(x, params["a"]));
    y = avg_pool(y, {2, 2}, {2, 2});
    y = tanh(conv(y, params["b"], {.strides = {2, 2}}));
    return mean(square(sum(y, {1, 2})));
  };
  const auto step = [&](const Tree& params, const Array& x) {
    return value_and_grad([&](const Tree& p) { return loss(p, x); })(params);
  };
  const Tree params{{"a", normal({5, 5, 1, 3}, 1)}, {"b", normal({3, 3, 3, 7}, 2)}};
  for (const std::int64_t samples : {16, 48, 20}) {
    const Array x = normal({samples, 12, 10, 1}, 3);
    const auto [value, gradients] = step(params, x);
    for (const std::vector<std::string>& off :
         {std::vector<std::string>{}, {"layout"}, {"fusion"}, {"algebra"}, {"rematerialization"}, {"phases"}}) {
      for (const int threads : {1, 3}) {
        const auto [got, got_gradients] = jit(step, {.executor = Executor(threads), .disabled_passes = off})(params, x);
        support::check_near(got, value, 1e-5, 0);
        support::check_near(got_gradients["a"], gradients["a"], 1e-4, 1e-5);
        support::check_near(got_gradients["b"], gradients["b"], 1e-4, 1e-5);
      }
    }
  }
}
