// The errors that kernels/special.hpp states, against the C library in double, over all magnitudes. Compiled functions
// compute by other loops than eager ones: both are held to them.
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>

#include <linseed/linseed.hpp>

using namespace linseed;

namespace {

/// Every 997th number of float32 between two, and the two themselves.
std::vector<float> numbers_between(float low, float high) {
  std::vector<float> numbers{low, high};
  for (std::uint32_t bits = 0; bits < 0x7F800000U; bits += 997) {
    for (const std::uint32_t sign : {0U, 0x80000000U}) {
      const auto x = std::bit_cast<float>(bits | sign);
      if (x > low && x < high) numbers.push_back(x);
    }
  }
  return numbers;
}

/// The largest error in units of the last place of the exact value, where that is a normal number.
double largest_error(const Array& x, const Array& y, const std::function<double(double)>& exact) {
  double largest = 0.0;
  const auto from = x.data<float>(), got = y.data<float>();
  for (std::size_t i = 0; i < from.size(); ++i) {
    const double expected = exact(static_cast<double>(from[i]));
    if (std::abs(expected) < 1.2e-38 || std::abs(expected) > 3.4e38) continue;
    const double unit = std::ldexp(1.0, std::ilogb(expected) - 23);
    const double error = std::abs(static_cast<double>(got[i]) - expected) / unit;
    largest = error > largest || std::isnan(error) ? error : largest;
  }
  return largest;
}

struct Function {
  const char* name;
  Array (*function)(const ArrayLike&);
  double (*exact)(double);
  float low, high;
  double bound;  // units in the last place
};

}  // namespace

TEST_CASE("transcendental functions keep to the errors that are stated") {
  constexpr float big = std::numeric_limits<float>::max();
  const auto sigmoid = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
  const Function functions[] = {
      {"exp", exp, std::exp, -87.3F, 88.7F, 1.2},
      {"expm1", expm1, std::expm1, -big, 88.7F, 2.0},
      {"log", log, std::log, std::numeric_limits<float>::min(), big, 1.5},
      {"log1p", log1p, std::log1p, -0.999F, big, 3.0},
      {"tanh", tanh, std::tanh, -big, big, 2.0},
      {"sigmoid", nn::sigmoid, sigmoid, -87.0F, big, 3.0},
      {"erf", erf, std::erf, -big, big, 5.0},
  };
  for (const Function& f : functions) {
    CAPTURE(f.name);
    const std::vector<float> numbers = numbers_between(f.low, f.high);
    REQUIRE(numbers.size() > 100'000);
    const Array x = Array::from(numbers, {static_cast<std::int64_t>(numbers.size())});
    const Array eager = f.function(x);
    CHECK(largest_error(x, eager, f.exact) <= f.bound);
    CHECK(identical(jit([&](const Array& a) { return f.function(a); })(x), eager));
  }
}

TEST_CASE("exp, sigmoid and tanh have the same bits in vectors of any width, by themselves and behind other steps") {
  std::vector<float> numbers;
  for (std::uint64_t bits = 0; bits < 1ULL << 32U; bits += 9973) {
    const auto x = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    if (!std::isnan(x)) numbers.push_back(x);
  }
  constexpr float inf = std::numeric_limits<float>::infinity();
  numbers.insert(numbers.end(), {inf, -inf, 0.0F, -0.0F, 88.3762F, 88.5F, 88.73F, -88.73F, -103.9F, -104.1F, 0.625F});
  const Array x = Array::from(numbers, {static_cast<std::int64_t>(numbers.size())});
  const Array nan = full({37}, std::numeric_limits<double>::quiet_NaN());
  for (Array (*const function)(const ArrayLike&) :
       std::initializer_list<Array (*)(const ArrayLike&)>{exp, nn::sigmoid, tanh}) {
    const Array alone = function(x), among_others = abs(function(-x)) * 0.5;  // eager: element by element
    for (const VectorSet vectors : {VectorSet::portable, VectorSet::avx2, VectorSet::avx512}) {
      CAPTURE(to_string(vectors));
      const JitOptions options{.executor = Executor(1, vectors)};
      CHECK(identical(jit([&](const Array& a) { return function(a); }, options)(x), alone));
      CHECK(identical(jit([&](const Array& a) { return abs(function(-a)) * 0.5; }, options)(x), among_others));
      CHECK(all(isnan(jit([&](const Array& a) { return function(a); }, options)(nan))).item<bool>());
    }
  }
}

TEST_CASE("expm1 keeps the sign of zero and its limits") {
  constexpr float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const Array y = expm1(Array::from(std::vector<float>{0.0F, -0.0F, inf, -inf, nan, 1e-30F, 90.0F, -40.0F}, {8}));
  const auto values = y.data<float>();
  CHECK_FALSE(std::signbit(values[0]));
  CHECK(std::signbit(values[1]));
  CHECK(values[1] == 0.0F);
  CHECK(values[2] == inf);
  CHECK(values[3] == -1.0F);
  CHECK(std::isnan(values[4]));
  CHECK(values[5] == 1e-30F);
  CHECK(values[6] == inf);
  CHECK(values[7] == -1.0F);
}
