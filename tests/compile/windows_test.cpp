#include "compile/windows.hpp"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "support.hpp"

using namespace linseed;

namespace {

using Arrays = std::vector<Array>;

Array normal(const Shape& shape, int seed) {
  return random::normal(random::key(static_cast<std::uint32_t>(seed)), shape);
}

/// An activation per channel between a convolution and `pool`, then a loss: of image, kernel, scale.
template <class Pool>
auto network(const Pool& pool) {
  return [pool](const Arrays& a) { return sum(sin(pool(sigmoid(conv(a[0], a[1]) * a[2] + 0.5)))); };
}

template <class Loss>
auto value_and_gradients(const Loss& loss) {
  return [loss](const Arrays& inputs) {
    const auto [value, gradients] = value_and_grad(loss)(inputs);
    Arrays all = gradients;
    all.push_back(value);
    return all;
  };
}

/// Compiles a step that must agree with eager ops, and keep its bits whatever is spread or added up where, on any
/// number of threads; gives what explain() says.
template <class Step>
std::string check_step(const Step& step, const Arrays& inputs) {
  const Arrays eager = step(inputs);
  std::string text;
  for (const VectorSet vectors : {VectorSet::portable, VectorSet::avx2, VectorSet::avx512}) {
    if (vectors > best_vector_set()) continue;
    const Arrays apart = jit(step, {.executor = Executor(1, vectors), .disabled_passes = {"windows"}})(inputs);
    for (const int threads : {1, 3}) {
      const auto compiled = jit(step, {.executor = Executor(threads, vectors)});
      const Arrays got = compiled(inputs);
      REQUIRE(got.size() == eager.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        INFO("result ", i, " with ", threads, " threads");
        support::check_near(got[i], eager[i], 1e-4, 1e-5);
        CHECK(identical(got[i], apart[i]));
      }
      text = compiled.explain();
    }
  }
  return text;
}

bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("fused groups add up windows side by side, and read cotangents that are not spread") {
  struct Trial {
    std::int64_t height, width, channels;
    Shape window, strides;
    Padding padding;
    bool joined;
  };
  const std::vector<Trial> trials{
      {12, 12, 6, {2, 2}, {2, 2}, "VALID", true},
      {12, 6, 5, {3, 2}, {3, 2}, "VALID", true},
      {4, 12, 6, {2, 3}, {2, 3}, "VALID", true},
      {6, 10, 3, {1, 5}, {1, 5}, "VALID", true},
      {9, 7, 2, {3, 1}, {3, 1}, "VALID", true},
      {12, 12, 6, {2, 2}, {1, 1}, "VALID", false},
      {12, 12, 6, {2, 2}, {3, 3}, "VALID", false},
      {12, 12, 6, {3, 3}, {2, 2}, "SAME", false},
      {11, 12, 6, {2, 2}, {2, 2}, "VALID", false},
      {11, 11, 6, {2, 2}, {2, 2}, "SAME", false},
      {12, 12, 6, {2, 2}, {2, 2}, Padding::Pairs{{2, 0}, {0, 2}}, false},
  };
  for (const Trial& t : trials) {
    for (const bool count_include_pad : {true, false}) {
      INFO(t.height, " x ", t.width, " x ", t.channels, ", windows ", to_string(t.window), " ", to_string(t.strides));
      const auto loss =
          network([=](const Array& x) { return avg_pool(x, t.window, t.strides, t.padding, count_include_pad); });
      const Arrays inputs{normal({48, t.height, t.width, 1}, 1), normal({3, 3, 1, t.channels}, 2),
                          normal({t.channels}, 3)};
      const std::string text = check_step(value_and_gradients(loss), inputs);
      CHECK(says(text, ", 1 pooled") == t.joined);
      CHECK(says(text, ", 1 spread") == t.joined);
      CHECK(says(text, "window_sum") != t.joined);
    }
  }
}

TEST_CASE("windows of one and three axes are those of rows and planes") {
  const Arrays inputs{normal({32, 6, 12, 1}, 1), normal({3, 3, 1, 4}, 2), normal({4}, 3)};
  const auto text_of = [&](const Shape& spatial, const Shape& window) {
    const auto pool = [=](const Array& x) {
      Shape shape{x.extent(0)};
      for (const std::int64_t extent : spatial) shape.push_back(extent);
      shape.push_back(x.extent(3));
      return avg_pool(reshape(x, shape), window, window);
    };
    return check_step(value_and_gradients(network(pool)), inputs);
  };
  CHECK(says(text_of({72}, {4}), ", 1 pooled"));
  CHECK(says(text_of({3, 4, 6}, {1, 2, 3}), ", 1 pooled"));
  CHECK_FALSE(says(text_of({2, 6, 6}, {2, 2, 2}), "pooled"));
}

TEST_CASE("what others need is stored at its full size") {
  const auto pool = [](const Array& x) { return avg_pool(x, {2, 2}, {2, 2}); };
  const Arrays inputs{normal({32, 8, 12, 1}, 1), normal({3, 3, 1, 6}, 2), normal({6}, 3), normal({32, 8, 12, 6}, 4)};
  const auto activation = [&](const Arrays& a) {  // the caller gets what is added up
    const Array y = sigmoid(conv(a[0], a[1]) * a[2]);
    return Arrays{y, conv(pool(y), a[1] * ones({1, 1, 6, 1}))};
  };
  CHECK_FALSE(says(check_step(activation, inputs), "pooled"));
  // Its gradient is what is spread.
  const auto shifted = [&](const Arrays& a) { return sum(sin(pool(conv(a[0], a[1]) * a[2] + a[3]))); };
  CHECK_FALSE(says(check_step(value_and_gradients(shifted), inputs), ", 1 spread"));
}

TEST_CASE("the cotangent of a sum, one number for all windows, is no array of windows") {
  const Arrays inputs{normal({48, 8, 12, 1}, 1), normal({3, 3, 1, 6}, 2), normal({6}, 3)};
  const auto pooled = [](const Arrays& a) { return avg_pool(sigmoid(conv(a[0], a[1]) * a[2] + 0.5), {2, 2}, {2, 2}); };
  check_step(value_and_gradients([&](const Arrays& a) { return mean(pooled(a)); }), inputs);
  check_step(value_and_gradients([&](const Arrays& a) { return sum(pooled(a)); }), inputs);
  check_step(value_and_gradients([&](const Arrays& a) { return mean(pooled(a)) * mean(a[2]); }), inputs);
  // The cotangent of the inner pooling is an array, that of the outer one a number.
  const auto twice = [&](const Arrays& a) { return mean(avg_pool(conv(pooled(a), a[3]), {2, 2}, {2, 2})); };
  Arrays more = inputs;
  more.push_back(normal({3, 3, 6, 5}, 4));
  check_step(value_and_gradients(twice), more);
}

TEST_CASE("two activations under one pooling read its cotangent") {
  const auto loss = [](const Arrays& a) {
    const Array left = sigmoid(conv(a[0], a[1]) * a[2]), right = tanh(conv(a[0], a[3]) * a[4]);
    return sum(sin(avg_pool(left + right, {2, 2}, {2, 2})));
  };
  const Arrays inputs{normal({48, 8, 12, 1}, 1), normal({3, 3, 1, 6}, 2), normal({6}, 3), normal({5, 3, 1, 6}, 4),
                      normal({6}, 5)};
  check_step(value_and_gradients(loss), inputs);
  // The gradient of the first one's convolution waits for a sum over the batch.
  const auto after = [](const Arrays& a) {
    const Array left = conv(a[0], a[1]), centred = left - mean(left, Axes{0, 1, 2});
    return sum(sin(avg_pool(sigmoid(centred * a[2]) + tanh(conv(a[0], a[3]) * a[4]), {2, 2}, {2, 2})));
  };
  check_step(value_and_gradients(after), inputs);
}

TEST_CASE("a pooling between normalizations in training agrees with eager ops") {
  const auto loss = [](const Arrays& a) {
    const auto normalized = [](const Array& x, const Array& scale) {
      const Array m = mean(x, Axes{0, 1, 2}), v = mean(square(x), Axes{0, 1, 2}) - square(m);
      return (x - m) * (rsqrt(v + 1e-3) * scale);
    };
    Array y = avg_pool(sigmoid(normalized(conv(a[0], a[1]), a[2])), {2, 2}, {2, 2});
    y = avg_pool(sigmoid(normalized(conv(y, a[3]), a[4])), {2, 2}, {2, 2});
    return mean(square(reshape(y, {y.extent(0), -1})));
  };
  const Arrays inputs{normal({48, 12, 12, 1}, 1), normal({3, 3, 1, 6}, 2), normal({6}, 3), normal({3, 3, 6, 16}, 4),
                      normal({16}, 5)};
  const std::string text = check_step(value_and_gradients(loss), inputs);
  CHECK_FALSE(says(text, "window_sum"));
}
