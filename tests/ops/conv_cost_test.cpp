// Which routine computes a convolution: the estimates, the choice, and that every routine which can serve gives the
// result.
#include "kernels/cpu/conv_cost.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "kernels/cpu/conv_depthwise.hpp"
#include "kernels/cpu/conv_direct.hpp"
#include "kernels/cpu/conv_lanes.hpp"
#include "kernels/cpu/conv_panels.hpp"
#include "ops/conv.hpp"
#include "ops/conv_helpers.hpp"

using namespace linseed;
using namespace linseed::kernels::cpu;

namespace {

constexpr ConvResult results[] = {ConvResult::output, ConvResult::input_grad, ConvResult::kernel_grad};

/// Square images and windows, "SAME" padding. Channels and features are those of all groups.
struct Layer {
  std::int64_t samples, extent, channels, features, taps, stride = 1, groups = 1;

  [[nodiscard]] Problem problem(ConvResult result) const {
    const std::int64_t out = (extent + stride - 1) / stride, beyond = (out - 1) * stride + taps - extent;
    const Axis axis{out, extent, taps, stride, beyond > 0 ? beyond / 2 : 0, 1, 1}, none{1, 1, 1, 1, 0, 1, 1};
    const Problem forward{samples, groups, channels / groups, features / groups, {none, axis, axis}};
    return result == ConvResult::input_grad ? adjoint(forward) : forward;
  }
};

double cost(ConvRoutine routine, const Layer& layer, ConvResult result) {
  const Problem problem = layer.problem(result);
  return conv_cost(routine, {.problem = problem, .result = result, .is_float32 = true, .vectors = VectorSet::avx2});
}
ConvRoutine choice(const Layer& layer, ConvResult result, VectorSet vectors = VectorSet::avx2) {
  const Problem problem = layer.problem(result);
  return choose_conv_routine({.problem = problem, .result = result, .is_float32 = true, .vectors = vectors});
}

}  // namespace

TEST_CASE("the routine of the least estimate computes a convolution, and estimates grow with the work") {
  for (const ConvResult result : results) {
    CAPTURE(static_cast<int>(result));
    for (const std::int64_t samples : {1, 16, 64}) {
      for (const std::int64_t extent : {7, 28}) {
        for (const std::int64_t channels : {1, 6, 16, 48}) {
          for (const std::int64_t features : {1, 10, 32, 80}) {
            for (const std::int64_t taps : {1, 3, 5}) {
              for (const std::int64_t stride : {1, 2}) {
                const Layer layer{samples, extent, channels, features, taps, stride};
                CAPTURE(samples);
                CAPTURE(extent);
                CAPTURE(channels);
                CAPTURE(features);
                CAPTURE(taps);
                CAPTURE(stride);
                const double chosen = cost(choice(layer, result), layer, result);
                CHECK(std::isfinite(chosen));
                for (const ConvRoutine routine : conv_routines) {
                  CAPTURE(std::string(to_string(routine)));
                  const double now = cost(routine, layer, result);
                  CHECK(now > 0);
                  CHECK(chosen <= now);
                  if (!std::isfinite(now)) continue;
                  for (const Layer& more : {Layer{64 * samples, extent, channels, features, taps, stride},
                                            Layer{samples, 3 * extent, channels, features, taps, stride},
                                            Layer{samples, extent, 40 * channels, features, taps, stride},
                                            Layer{samples, extent, channels, 40 * features, taps, stride}})
                    CHECK(cost(routine, more, result) > now);
                }
              }
            }
          }
        }
      }
    }
  }
}

TEST_CASE("the choice follows from the shape, but lanes need vectors of eight") {
  for (const ConvResult result : results) {
    for (const Layer& layer : {Layer{64, 28, 1, 6, 5}, Layer{2, 28, 64, 64, 3, 2}, Layer{8, 28, 32, 32, 3, 1, 32}}) {
      CHECK(choice(layer, result) == choice(layer, result, VectorSet::avx512));
      CHECK(choice(layer, result, VectorSet::portable) != ConvRoutine::lanes);
      const Problem problem = layer.problem(result);
      const ConvWork in_double{.problem = problem, .result = result, .is_float32 = false, .vectors = VectorSet::avx512};
      CHECK(choose_conv_routine(in_double) == ConvRoutine::tiles);
    }
    CHECK(choice({64, 28, 0, 6, 5}, result) == ConvRoutine::zeros);
    CHECK(choice({0, 28, 3, 6, 5}, result) == ConvRoutine::zeros);
  }
  // What no routine has the memory for.
  Problem vast = Layer{1, 4, 1, 1, 2}.problem(ConvResult::output);
  vast.axis[1].kernel_dilation = vast.axis[1].in = std::int64_t{1} << 40;
  CHECK(std::isinf(
      conv_cost(ConvRoutine::lanes,
                {.problem = vast, .result = ConvResult::output, .is_float32 = true, .vectors = VectorSet::avx2})));
  CHECK(choose_conv_routine(
            {.problem = vast, .result = ConvResult::output, .is_float32 = false, .vectors = VectorSet::avx2}) ==
        ConvRoutine::reference);
}

TEST_CASE("samples that lie in lanes already speak for lanes, and against others") {
  for (const ConvResult result : results) {
    const Layer layer{32, 32, 3, 16, 3};
    const Problem problem = layer.problem(result);
    const auto by = [&](ConvRoutine routine, bool in_lanes) {
      return conv_cost(
          routine,
          {.problem = problem, .result = result, .is_float32 = true, .vectors = VectorSet::avx2, .in_lanes = in_lanes});
    };
    CHECK(by(ConvRoutine::lanes, true) < by(ConvRoutine::lanes, false));
    for (const ConvRoutine other : {ConvRoutine::panels, ConvRoutine::direct, ConvRoutine::tiles})
      CHECK(by(other, true) > by(other, false));
  }
}

TEST_CASE("well-known convolutions have the routines that were the fastest by far when measured") {
  const auto check = [](const Layer& layer, ConvResult result, ConvRoutine expected) {
    CAPTURE(layer.samples);
    CAPTURE(layer.extent);
    CAPTURE(layer.channels);
    CAPTURE(layer.features);
    CAPTURE(static_cast<int>(result));
    CHECK(to_string(choice(layer, result)) == to_string(expected));
  };
  using enum ConvResult;
  for (const ConvResult result : results) {
    for (const std::int64_t samples : {1, 2, 8, 17, 64, 256}) check({samples, 28, 1, 6, 5}, result, ConvRoutine::lanes);
    check({8, 33, 3, 8, 3}, result, ConvRoutine::lanes);
    check({1, 56, 8, 8, 3}, result, ConvRoutine::lanes);
    check({2, 28, 32, 32, 3, 1, 4}, result, ConvRoutine::tiles);
    check({1, 14, 128, 128, 3, 1, 32}, result, ConvRoutine::tiles);
    for (const std::int64_t samples : {1, 8, 32})
      check({samples, 28, 64, 64, 3, 1, 64}, result, ConvRoutine::depthwise);
    check({1, 28, 128, 128, 3, 2, 128}, result, ConvRoutine::depthwise);
    check({2, 7, 256, 256, 7, 1, 256}, result, ConvRoutine::depthwise);
  }
  for (const std::int64_t samples : {8, 16, 64}) check({samples, 14, 6, 16, 5}, input_grad, ConvRoutine::lanes);
  for (const ConvResult result : {output, kernel_grad}) {
    for (const std::int64_t samples : {3, 64}) check({samples, 28, 1, 32, 3}, result, ConvRoutine::direct);
    for (const std::int64_t samples : {1, 16}) check({samples, 32, 3, 16, 3}, result, ConvRoutine::direct);
    for (const std::int64_t samples : {2, 32}) check({samples, 32, 3, 64, 3}, result, ConvRoutine::direct);
    check({1, 224, 3, 64, 7, 2}, result, ConvRoutine::direct);
    check({8, 28, 16, 32, 3}, result, ConvRoutine::direct);
    check({8, 16, 4, 32, 1}, result, ConvRoutine::direct);
  }
  check({64, 28, 1, 32, 3}, input_grad, ConvRoutine::lanes);
  check({2, 32, 3, 64, 3}, input_grad, ConvRoutine::lanes);
  check({16, 32, 3, 16, 3}, input_grad, ConvRoutine::lanes);
  check({2, 28, 64, 64, 3, 2}, input_grad, ConvRoutine::direct);
  check({8, 15, 64, 128, 3, 2}, input_grad, ConvRoutine::panels);
  check({16, 8, 128, 128, 3, 2}, input_grad, ConvRoutine::panels);
  check({8, 14, 64, 256, 1}, kernel_grad, ConvRoutine::direct);
  check({32, 8, 128, 128, 1}, kernel_grad, ConvRoutine::direct);
}

TEST_CASE("every routine that can serve gives the result, to the same bits on any number of threads and vectors") {
  using conv_helpers::normal;
  struct Trial {
    Shape x, w;
    ConvOptions options = {};
  };
  for (const Trial& t :
       {Trial{{2, 9, 7, 3}, {3, 3, 3, 5}}, Trial{{5, 6, 11, 17}, {3, 2, 17, 4}, {.strides = {2, 1}}},
        Trial{{3, 7, 7, 1}, {5, 5, 1, 33}}, Trial{{17, 5, 6, 40}, {3, 3, 40, 26}},
        Trial{{1, 5, 6, 70}, {1, 3, 70, 34}, {.kernel_dilation = {1, 2}}},
        Trial{{2, 6, 5, 6}, {3, 3, 2, 9}, {.groups = 3}}, Trial{{2, 8, 9, 2}, {3, 3, 1, 2}, {.groups = 2}},
        Trial{{2, 8, 9, 1}, {3, 3, 1, 1}}, Trial{{2, 8, 9, 3}, {5, 3, 1, 3}, {.strides = {2, 2}, .groups = 3}}}) {
    const attr::Conv conv = conv_helpers::attributes_of(t.x, t.w, t.options);
    INFO(to_string(Attributes(conv)));
    const Array x = normal(t.x, 1), w = normal(t.w, 2);
    const Array y = conv_helpers::run_reference(ops::conv, x, w, conv), dy = normal(y.shape(), 3);
    const Array expected[] = {y, conv_helpers::run_reference(ops::conv_input_grad, dy, w, conv),
                              conv_helpers::run_reference(ops::conv_kernel_grad, x, dy, conv)};
    const Problem forward = forward_problem(conv, y.shape()), backward = adjoint(forward);
    const auto data = [](const Array& a) { return a.data<float>().data(); };
    for (const ConvResult result : results) {
      for (const ConvRoutine routine :
           {ConvRoutine::lanes, ConvRoutine::panels, ConvRoutine::direct, ConvRoutine::depthwise}) {
        CAPTURE(std::string(to_string(routine)));
        CAPTURE(static_cast<int>(result));
        const Problem& problem = result == ConvResult::input_grad ? backward : forward;
        const KernelLayout kernel = result == ConvResult::input_grad ? flipped_layout(forward) : kernel_layout(forward);
        const Array& like = expected[static_cast<int>(result)];
        std::vector<float> first;
        for (const VectorSet set : {VectorSet::avx2, VectorSet::avx512}) {
          const ConvWork work{.problem = problem, .result = result, .is_float32 = true, .vectors = set};
          if (set > best_vector_set() || std::isinf(conv_cost(routine, work))) continue;
          for (const int threads : {1, 2, 3, 4, 8}) {
            conv_helpers::Framed got(like);
            const Executor executor(threads, set);
            const float *in = result == ConvResult::input_grad ? data(dy) : data(x), *with = data(w);
            const bool sums = result == ConvResult::kernel_grad;
            bool done = false;
            if (routine == ConvRoutine::lanes) {
              done = sums ? lanes::correlate(problem, lanes::Layout::ordinary, in, data(dy), got.data(), executor)
                          : lanes::gather(problem, lanes::Layout::ordinary, in, with, kernel, got.data(), executor);
            } else if (routine == ConvRoutine::panels) {
              done = sums ? panels::correlate(problem, in, data(dy), got.data(), executor)
                          : panels::gather(problem, in, with, kernel, got.data(), executor);
            } else if (routine == ConvRoutine::direct) {
              done = sums ? direct::correlate(problem, in, data(dy), got.data(), executor)
                          : direct::gather(problem, in, with, kernel, got.data(), executor);
            } else {
              done = sums ? depthwise::correlate(problem, in, data(dy), got.data(), executor)
                          : depthwise::gather(problem, in, with, kernel, got.data(), executor);
            }
            CHECK(done);
            CHECK(got.is_intact());
            CHECK(conv_helpers::error(got.values(), like.data<float>()) < 2e-6);
            if (first.empty()) first.assign(got.values().begin(), got.values().end());
            CHECK(std::equal(first.begin(), first.end(), got.values().begin()));
          }
        }
      }
    }
  }
}
