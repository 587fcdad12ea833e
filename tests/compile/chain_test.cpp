// Fused groups keep their values in registers from step to step; whatever they are made of, their bits are those of the
// same ops one by one.
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "support.hpp"

using namespace linseed;

namespace {

/// Whether two arrays are the same but for which NaN is where.
bool same(const Array& a, const Array& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  if (a.dtype() != float32) return identical(a, b);
  const auto x = a.data<float>(), y = b.data<float>();
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i]) && std::isnan(y[i])) continue;
    if (std::bit_cast<std::uint32_t>(x[i]) != std::bit_cast<std::uint32_t>(y[i])) return false;
  }
  return true;
}

/// Normally distributed numbers, and among them those that are none, or no usual ones.
Array with_special_values(const Shape& shape, std::uint32_t seed) {
  const Array usual = random::normal(random::key(seed), shape);
  std::vector<float> values(usual.data<float>().begin(), usual.data<float>().end());
  constexpr float infinity = std::numeric_limits<float>::infinity();
  const float special[] = {0.0F, -0.0F, infinity, -infinity, std::numeric_limits<float>::quiet_NaN(),
                           1.0F, -1.0F, 1e-40F,   3e38F,     -88.5F};
  for (std::size_t i = seed % 7; i < values.size(); i += 7 + seed % 3) values[i] = special[i / 7 % std::size(special)];
  return Array::from(values, shape);
}

using Values = std::vector<Array>;

/// Everything a step can be, with its operands in every position.
Values every_op(const Array& x, const Array& y, const Array& channel, const Array& mask) {
  const Array s = sigmoid(x * channel + y), t = x - y;
  return {t + s,
          s - t,
          t - s,
          s / t,
          t / s,
          t * t,
          s * s + t,
          maximum(s, t),
          maximum(t, s),
          minimum(x, t),
          minimum(t, x),
          where(s > t, s, t),
          where(s >= 0.5F, t, s),
          where(t == s, s, x),
          where(t != x, s, y),
          where(mask, t, s),
          where(mask || t <= 0, x, channel),
          where(mask && !(t < 0), x, t),
          mask && s > 0.5F,
          relu(t),
          abs(t) + sqrt(abs(s)),
          exp(t) * rsqrt(s),
          tanh(t) - log1p(s),
          log(abs(t)) + sign(t),
          erf(t) + expm1(t),
          floor(t) + ceil(s) - round(x),
          sin(t) + cos(s),
          pow(abs(t), s),
          -t,
          where(isfinite(t), t, 0.0F),
          astype(t > 0, float32) * s,
          astype(astype(mask, int32) * 3 - 1, float32) + t};
}

/// A program of so many ops on what came shortly before, some of it a result, and its sums.
std::pair<Values, Values> random_chain(std::uint32_t seed, const Array& x, const Array& y, const Array& channel) {
  std::uint32_t state = seed * 2654435761U + 12345U;
  const auto below = [&](std::uint32_t n) {
    state = state * 1664525U + 1013904223U;
    return (state >> 8) % n;
  };
  Values made{x, y, x * channel}, results, sums;
  const std::uint32_t ops = 3 + below(30);
  for (std::uint32_t k = 0; k < ops; ++k) {
    const auto pick = [&] { return made[made.size() - 1 - below(3)]; };
    const Array a = pick(), b = pick(), c = pick();
    switch (below(14)) {
      case 0: made.push_back(a + b); break;
      case 1: made.push_back(a - b); break;
      case 2: made.push_back(a * b); break;
      case 3: made.push_back(a * channel); break;
      case 4: made.push_back(channel - a); break;
      case 5: made.push_back(sigmoid(a)); break;
      case 6: made.push_back(where(a > b, b, c)); break;
      case 7: made.push_back(where(a > 0, a, b)); break;
      case 8: made.push_back(maximum(a, b)); break;
      case 9: made.push_back(1 - a); break;
      case 10: made.push_back(exp(minimum(a, 3.0F))); break;
      case 11: made.push_back(a / (abs(b) + 1)); break;
      case 12: sums.push_back(sum(tanh(a) * tanh(b), 0)); break;
      default: sums.push_back(sum(square(tanh(a)), 0)); break;
    }
    if (below(5) == 0) results.push_back(made.back());
  }
  results.push_back(made.back());
  return {results, sums};
}

}  // namespace

TEST_CASE("each op in a chain has the bits that it has alone") {
  const auto plain = jit(every_op, {.disabled_passes = {"all"}});
  for (const VectorSet set : {VectorSet::avx2, VectorSet::avx512}) {
    if (set > best_vector_set()) continue;
    CAPTURE(to_string(set));
    const auto compiled = jit(every_op, {.executor = Executor(1, set)});
    // Below one turn of a chain, exactly one, with a rest, and over several tiles.
    for (const Shape& shape : {Shape{1, 8}, Shape{16, 8}, Shape{33, 8}, Shape{500, 6}, Shape{77, 96}, Shape{40, 100}}) {
      CAPTURE(shape);
      const Array x = with_special_values(shape, 1), y = with_special_values(shape, 2);
      const Array channel = with_special_values({shape[1]}, 3), mask = random::normal(random::key(4), shape) > 0;
      const Values got = compiled(x, y, channel, mask), expected = plain(x, y, channel, mask);
      REQUIRE(got.size() == expected.size());
      for (std::size_t k = 0; k < got.size(); ++k) {
        CAPTURE(k);
        CHECK(same(got[k], expected[k]));
      }
    }
  }
}

TEST_CASE("random chains have the bits of their ops one by one, and their sums are close") {
  for (std::uint32_t seed = 0; seed < 150; ++seed) {
    CAPTURE(seed);
    const auto program = [&](const Array& x, const Array& y, const Array& channel) {
      return random_chain(seed, x, y, channel);
    };
    const Shape shape = seed % 2 == 0 ? Shape{331, 16} : Shape{64, 48};
    const Array x = random::normal(random::key(seed), shape), y = random::normal(random::key(seed + 1), shape);
    const Array channel = random::normal(random::key(seed + 2), {shape[1]});
    const auto [expected, expected_sums] = jit(program, {.disabled_passes = {"all"}})(x, y, channel);
    Values narrow;
    for (const VectorSet set : {VectorSet::avx2, VectorSet::avx512}) {
      if (set > best_vector_set()) continue;
      const auto [got, sums] = jit(program, {.executor = Executor(2, set)})(x, y, channel);
      for (std::size_t k = 0; k < got.size(); ++k) CHECK(same(got[k], expected[k]));
      for (std::size_t k = 0; k < sums.size(); ++k) support::check_near(sums[k], expected_sums[k], 1e-5, 1e-5);
      for (std::size_t k = 0; k < narrow.size(); ++k) CHECK(same(sums[k], narrow[k]));
      narrow = sums;
    }
  }
}
