// Sums and maxima over trailing axes run in the kernels of what is around them: one pass over a row does all.
#include <doctest/doctest.h>

#include <limits>

#include <linseed/linseed.hpp>

#include "support.hpp"

using namespace linseed;

namespace {

Array normalized(const Array& x, const Array& scale, const Array& bias) {
  const Array center = x - mean(x, -1, /*keepdims=*/true);
  return center * rsqrt(mean(square(center), -1, /*keepdims=*/true) + 1e-6) * scale + bias;
}

std::vector<Array> of_rows(const Array& x, const Array& scale, const Array& bias) {
  const auto loss = [&](const std::vector<Array>& p) {
    return sum(normalized(p[0], p[1], p[2]) * cos(x)) + mean(logsumexp(p[0] * 3, -1));
  };
  const std::vector<Array> grads = grad(loss)(std::vector<Array>{x, scale, bias});
  return {normalized(x, scale, bias),
          nn::softmax(x),
          nn::log_softmax(x * 2),
          max(x, -1),
          where(max(x, -1, true) > 1, x, -x),
          sum(x, -1) * 2 + 1,
          grads[0],
          grads[1],
          grads[2]};
}

int count(const std::string& text, const std::string& word) {
  int found = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_CASE("what works along rows of any length gives what op by op gives") {
  const auto plain = jit(of_rows, {.disabled_passes = {"all"}});
  const auto compiled = jit(of_rows);
  for (const std::int64_t rows : {1, 2, 3, 17, 300}) {
    for (const std::int64_t columns : {1, 2, 3, 10, 16, 31, 32, 33, 64, 100, 512, 1000, 1024, 1025, 1500, 4096, 4100}) {
      CAPTURE(rows);
      CAPTURE(columns);
      const Array x = random::normal(random::key(1), {rows, columns});
      const Array scale = random::normal(random::key(2), {columns}), bias = random::normal(random::key(3), {columns});
      const auto got = compiled(x, scale, bias), expected = plain(x, scale, bias);
      for (std::size_t k = 0; k < got.size(); ++k) {
        CAPTURE(k);
        support::check_near(got[k], expected[k], 2e-5, 2e-5);
      }
      CHECK(identical(got[3], expected[3]));  // the maxima
      CHECK(identical(got[5], expected[5]));  // the sums
    }
  }
}

TEST_CASE("several trailing axes are one row") {
  const auto f = [](const Array& x) { return x / (1 + sum(square(x), {2, 3}, /*keepdims=*/true)); };
  const Array x = random::normal(random::key(1), {3, 4, 5, 6});
  const auto compiled = jit(f);
  support::check_near(compiled(x), f(x), 1e-6, 1e-6);
  CHECK(compiled.explain().find("reduce_sum") == std::string::npos);
}

TEST_CASE("layer normalization with its gradients is one kernel, softmax too") {
  for (const std::int64_t columns : {512, 1500, 4096}) {
    CAPTURE(columns);
    const Array x = random::normal(random::key(1), {64, columns}), scale = ones({columns}), bias = zeros({columns});
    const auto layer = jit(normalized);
    (void)layer(x, scale, bias);
    CAPTURE(layer.explain());
    CHECK(count(layer.explain(), " <- ") == 1);
    const auto gradients = jit([](const Array& a, const Array& s, const Array& b) {
      return grad([&](const std::vector<Array>& p) { return sum(square(normalized(p[0], p[1], p[2]))); })(
          std::vector<Array>{a, s, b});
    });
    (void)gradients(x, scale, bias);
    CAPTURE(gradients.explain());
    if (columns == 512) CHECK(count(gradients.explain(), " <- ") == 1);
    const auto softmax = jit([](const Array& a) { return nn::softmax(a); });
    (void)softmax(x);
    CHECK(count(softmax.explain(), " <- ") == 1);
  }
}

TEST_CASE("maxima of rows keep NaN, infinities and the sign of what is below zero") {
  constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const auto largest = jit([](const Array& x) { return max(x, -1) * 1.0; });
  for (const std::size_t columns : {2U, 5U, 32U, 40U, 100U}) {
    CAPTURE(columns);
    for (std::size_t place = 0; place < columns; ++place) {
      std::vector<float> values(5 * columns, -2.0F);
      values[place] = nan;
      values[columns + place] = -1.0F;
      values[2 * columns + place] = inf;
      values[3 * columns + place] = -inf;
      for (std::size_t k = 0; k < columns; ++k) values[4 * columns + k] = k == place ? inf : -inf;
      const auto rows = support::doubles(largest(Array::from(values, {5, static_cast<std::int64_t>(columns)})));
      CHECK(std::isnan(rows[0]));
      CHECK(rows[1] == -1.0);
      CHECK(rows[2] == inf);
      CHECK(rows[3] == -2.0);
      CHECK(rows[4] == inf);
    }
  }
}

TEST_CASE("a row that is masked away but for one element is one there") {
  const auto softmax = jit([](const Array& x, const Array& mask) {
    return nn::softmax(where(mask, x, -std::numeric_limits<float>::infinity()));
  });
  const Array x = random::normal(random::key(1), {8, 8});
  const Array mask = arange(8) == expand_dims(arange(8), 1);
  CHECK(identical(softmax(x, mask), astype(mask, float32)));
}

TEST_CASE("along rows, bits depend on neither threads nor whether the argument is given up") {
  const auto f = [](const Array& x) { return std::pair{nn::softmax(x) * x, sum(nn::log_softmax(x))}; };
  const Array x = random::normal(random::key(1), {3000, 96});
  const auto [expected, total] = jit(f)(x);
  for (const int threads : {2, 3, 4, 8}) {
    CAPTURE(threads);
    const auto step = jit(f, {.executor = Executor(threads)});
    const auto [kept, first] = step(x);
    const auto [given, second] = step(x * 1.0);
    CHECK(identical(kept, expected));
    CHECK(identical(given, expected));
    CHECK(identical(first, total));
    CHECK(identical(second, total));
  }
}

TEST_CASE("a compiled function that has not run yet can be profiled") {
  const auto f = jit([](const Array& x) { return x * 2; });
  CHECK(f.profile(ones({40})).find("in all") != std::string::npos);
}

TEST_CASE("one element per row is put in its place by comparison, not through an array of zeros") {
  const auto loss = [](const Array& logits, const Array& labels) {
    return mean(nn::softmax_cross_entropy_with_integer_labels(logits, labels));
  };
  const auto f = [&](const Array& logits, const Array& labels) {
    return value_and_grad([&](const Array& x) { return loss(x, labels); })(logits);
  };
  const auto compiled = jit(f), plain = jit(f, {.disabled_passes = {"all"}});
  for (const std::int64_t classes : {1, 2, 10, 1000, 1030}) {
    CAPTURE(classes);
    const Array logits = random::normal(random::key(1), {37, classes});
    // From either end; and two labels that name no class.
    Array labels = random::randint(random::key(2), {37}, -classes, classes);
    for (const bool beyond : {false, true}) {
      if (beyond) {
        const Array index = arange(37);
        labels = where(index == 3, classes, where(index == 4, -classes - 1, labels));
      }
      for (const DType dtype : {int32, int64}) {
        const auto [value, gradient] = compiled(logits, astype(labels, dtype));
        const auto [expected, slope] = plain(logits, astype(labels, dtype));
        support::check_near(gradient, slope, 1e-7, 1e-5);
        if (beyond) {
          CHECK(std::isnan(value.item<float>()));
        } else {
          CHECK(value.item<float>() == doctest::Approx(expected.item<float>()).epsilon(1e-5));
        }
      }
    }
  }
  (void)compiled(zeros({8, 10}), zeros({8}, int32));
  CHECK(compiled.explain().find("take_along_add") == std::string::npos);
}
