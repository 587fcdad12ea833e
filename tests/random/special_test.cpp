#include "kernels/special.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <doctest/doctest.h>

namespace special = linseed::kernels::special;

namespace {

// Folds the bits of a sequence into one number; any difference in any element shows.
class Digest {
 public:
  void add(float x) {
    const float canonical = x != x ? 0.0f : x;
    value_ = (value_ ^ std::bit_cast<std::uint32_t>(canonical)) * 1099511628211u;
  }
  [[nodiscard]] std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 14695981039346656037u;
};

// Normal float32 numbers of all magnitudes.
std::vector<float> magnitudes() {
  std::vector<float> values;
  for (std::uint32_t bits = 0x00800000; bits < 0x7F800000; bits += 16381) values.push_back(std::bit_cast<float>(bits));
  return values;
}

template <class Function>
std::uint64_t digest_of_both_signs(Function function) {
  Digest digest;
  for (const float x : magnitudes()) digest.add(function(x));
  for (const float x : magnitudes()) digest.add(function(-x));
  return digest.value();
}

}  // namespace

// The digests were computed from the results of jax.jit on a CPU (jaxlib 0.10.2) for the same operands.

TEST_CASE("float32 log, log1p and erf have XLA's bits at all magnitudes") {
  Digest log;
  for (const float x : magnitudes()) log.add(special::log(x));
  CHECK(log.value() == 0x3D8D295EA0BC22D6u);
  CHECK(digest_of_both_signs([](float x) { return special::log1p(x); }) == 0x71B8FB57CF468789u);
  CHECK(digest_of_both_signs([](float x) { return special::erf(x); }) == 0xFCBF6770A7DD139Du);
}

TEST_CASE("every 61st of all normal draws has XLA's bits") {
  const float low = std::nextafter(-1.0f, 0.0f);
  Digest digest;
  for (std::uint32_t k = 0; k < 1u << 23; k += 61) {
    const float unit = std::bit_cast<float>(k | 0x3F800000u) - 1.0f;
    digest.add(1.41421356f * special::erf_inv(std::fma(unit, 2.0f, low)));
  }
  CHECK(digest.value() == 0x9EDFA8FFBADFF14Cu);
}

TEST_CASE("float32 special functions at the ends of their domains") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(special::log(0.0f) == -infinity);
  CHECK(special::log(-0.0f) == -infinity);
  CHECK(special::log(1.0f) == 0.0f);
  CHECK(special::log(infinity) == infinity);
  CHECK(std::isnan(special::log(-1.0f)));
  CHECK(std::isnan(special::log(nan)));
  CHECK(special::log(1e-40f) == special::log(std::numeric_limits<float>::min()));

  CHECK(special::log1p(-1.0f) == -infinity);
  CHECK(special::log1p(infinity) == infinity);
  CHECK(std::signbit(special::log1p(-0.0f)));
  CHECK(std::isnan(special::log1p(-2.0f)));
  CHECK(std::isnan(special::log1p(nan)));

  CHECK(special::erf(infinity) == 1.0f);
  CHECK(special::erf(-infinity) == -1.0f);
  CHECK(std::bit_cast<std::uint32_t>(special::erf(std::bit_cast<float>(0x3FB504F3u))) == 0x3F745A18u);
  CHECK(std::signbit(special::erf(-0.0f)));
  CHECK(std::isnan(special::erf(nan)));

  CHECK(special::erf_inv(0.0f) == 0.0f);
  CHECK(special::erf_inv(1.0f) == infinity);
  CHECK(special::erf_inv(-1.0f) == -infinity);
  CHECK(std::isnan(special::erf_inv(1.5f)));
  CHECK(std::isnan(special::erf_inv(nan)));
}

TEST_CASE("float64 special functions invert each other") {
  CHECK(special::erf_inv(1.0) == std::numeric_limits<double>::infinity());
  CHECK(special::erf_inv(-1.0) == -std::numeric_limits<double>::infinity());
  for (const double x : {-0.9999999, -0.97, -0.3, -1e-5, 0.0, 1e-12, 0.2, 0.5, 0.9, 0.999, 0.99999999999}) {
    CHECK(std::erf(special::erf_inv(x)) == doctest::Approx(x).epsilon(1e-14));
    CHECK(special::log1p(x) == doctest::Approx(std::log1p(x)).epsilon(1e-13));
  }
}
