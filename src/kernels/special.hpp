#pragma once

#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>

// Functions whose bits other software fixes: XLA's CPU backend rounds exactly as written here, and the initial
// parameters of a model depend on it. Every std::fma is one rounding and every other operation its own, so that the
// library is compiled with -ffp-contract=off. The float32 functions have no branches, and loops over them vectorise.
// Always inlined: a file compiled for a newer instruction set must not leave its copy to the others.
namespace linseed::kernels::special {

namespace detail {

/// Polynomial with coefficients from the highest power down, one fma per step, without a loop, for the vectoriser.
template <class T, class... Rest>
[[gnu::always_inline]] inline T horner(T x, T highest, Rest... coefficients) noexcept {
  T sum = highest;
  ((sum = std::fma(sum, x, coefficients)), ...);
  return sum;
}

}  // namespace detail

/// Natural logarithm within 1.5 ulp (Cephes' polynomial in XLA's order). Subnormal numbers count as the smallest normal
/// one.
[[gnu::always_inline]] inline float log(float x) noexcept {
  constexpr std::uint32_t one_half = 0x3F000000, mantissa_mask = 0x007FFFFF;
  constexpr float smallest = std::numeric_limits<float>::min();
  const auto bits = std::bit_cast<std::uint32_t>(x > smallest ? x : smallest);
  float v = std::bit_cast<float>((bits & mantissa_mask) | one_half);
  float e = static_cast<float>(static_cast<std::int32_t>(bits >> 23) - 126);
  const bool small = v < 0.707106781186547524f;
  e = small ? e - 1.0f : e;
  v = small ? (v - 1.0f) + v : v - 1.0f;

  const float v2 = v * v;
  const float v3 = v2 * v;
  const float a = detail::horner(v, 7.0376836292E-2f, -1.1514610310E-1f, 1.1676998740E-1f);
  const float b = detail::horner(v, -1.2420140846E-1f, 1.4249322787E-1f, -1.6668057665E-1f);
  const float c = detail::horner(v, 2.0000714765E-1f, -2.4999993993E-1f, 3.3333331174E-1f);
  const float p = std::fma(std::fma(v3, a, b), v3, c);
  const float tail = std::fma(v3, p, e * -2.12194440e-4f);  // ln 2 in two parts: this one and the next
  float result = std::fma(e, 0.693359375f, std::fma(-0.5f, v2, v) + tail);

  result = x == std::numeric_limits<float>::infinity() ? x : result;
  result = x == 0.0f ? -std::numeric_limits<float>::infinity() : result;
  return x >= 0.0f ? result : std::numeric_limits<float>::quiet_NaN();
}

namespace detail {

/// e^x = 2^exponent (1 + rest), with a rest between -0.3 and 0.42: Cephes' polynomial for e^r - 1, x = exponent ln 2 +
/// r.
struct ExpParts {
  std::int32_t exponent;
  float rest;
};
[[gnu::always_inline]] inline ExpParts exp_parts(float x) noexcept {
  const float low = x < -104.0f ? -104.0f : x;
  const float bounded = low > 89.0f ? 89.0f : low;
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
  const float shifted = std::fma(bounded, 1.44269504088896341f, 12582912.0f);
  const float k = shifted - 12582912.0f;
  const auto exponent = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(shifted) - 0x4B400000u);
  const float r = std::fma(k, 2.12194440e-4f, std::fma(k, -0.693359375f, bounded));
  const float p = horner(r, 1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                         5.0000001201e-1f);
  return {exponent, std::fma(r * r, p, r)};
}
[[gnu::always_inline]] inline float power_of_two(std::int32_t n) noexcept {
  return std::bit_cast<float>(static_cast<std::uint32_t>(n + 127) << 23);
}

}  // namespace detail

/// e^x within 1.2 ulp where the result is normal. The power of two comes in two factors, so that results run out gently
/// into subnormals, zero and infinity.
[[gnu::always_inline]] inline float exp(float x) noexcept {
  const auto [exponent, rest] = detail::exp_parts(x);
  const std::int32_t half = exponent >> 1;
  return (rest + 1.0f) * detail::power_of_two(half) * detail::power_of_two(exponent - half);
}
inline double exp(double x) noexcept { return std::exp(x); }

/// e^x - 1 within 2 ulp.
[[gnu::always_inline]] inline float expm1(float x) noexcept {
  const auto [exponent, rest] = detail::exp_parts(x);
  const float power = detail::power_of_two(exponent < 30 ? exponent : 30);  // beyond, 1 is nothing
  const float near = std::fma(rest, power, power - 1.0f);
  const float result = std::abs(x) < 17.0f ? near : exp(x) - 1.0f;
  return x == 0.0f ? x : result;
}
inline double expm1(double x) noexcept { return std::expm1(x); }

/// 1 / (1 + e^-x), within 3 ulp where the result is normal.
template <std::floating_point T>
[[gnu::always_inline]] inline T sigmoid(T x) noexcept {
  return T(1) / (T(1) + exp(-x));
}

/// Hyperbolic tangent within 2 ulp: Cephes' polynomial near zero, 1 - 2 / (e^2|x| + 1) elsewhere.
[[gnu::always_inline]] inline float tanh(float x) noexcept {
  const float magnitude = std::abs(x);
  const float z = x * x;
  const float p = detail::horner(z, -5.70498872745e-3f, 2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                                 -3.33332819422e-1f);
  const float near_zero = std::fma(p * z, x, x);
  const float far = 1.0f - 2.0f / (exp(magnitude + magnitude) + 1.0f);
  return magnitude < 0.625f ? near_zero : std::copysign(far, x);
}
inline double tanh(double x) noexcept { return std::tanh(x); }

/// Natural logarithm of a double: XLA calls the C library too.
inline double log(double x) noexcept { return std::log(x); }

/// log(1 + x) within 3 ulp: a rational function (Cephes') near zero, else the logarithm of the rounded sum.
template <std::floating_point T>
[[gnu::always_inline]] inline T log1p(T x) noexcept {
  const T numerator =
      detail::horner(x, T(4.5270000862445199635215E-5L), T(4.9854102823193375972212E-1L),
                     T(6.5787325942061044846969E0L), T(2.9911919328553073277375E1L), T(6.0949667980987787057556E1L),
                     T(5.7112963590585538103336E1L), T(2.0039553499201281259648E1L));
  const T denominator = detail::horner(x, T(1), T(1.5062909083469192043167E1L), T(8.3047565967967209469434E1L),
                                       T(2.2176239823732856465394E2L), T(3.0909872225312059774938E2L),
                                       T(2.1642788614495947685003E2L), T(6.0118660497603843919306E1L));
  const T x2 = x * x;
  const T near_zero = x + std::fma(T(-0.5), x2, (x2 * x) * (numerator / denominator));
  return std::abs(x) < T(0.41421356237309504880L) ? near_zero : log(x + T(1));
}

/// Error function within 5 ulp: a rational function of x^2, cut off where it reaches 1.
[[gnu::always_inline]] inline float erf(float x) noexcept {
  const float q = x * x;
  const float numerator = detail::horner(q, 2.2905065861350646e-4f, 3.4082910107109506e-3f, 5.0955695062380861e-2f,
                                         1.8520832239976145e-1f, 1.128379143519084f);
  const float denominator =
      detail::horner(q, -1.1791602954361697e-7f, 2.3547966471313185e-5f, 1.0179625278914885e-3f, 1.4070470171167667e-2f,
                     1.1098505178285362e-1f, 4.9746925110067538e-1f, 1.0f);
  const float inside = (x * numerator) / denominator;
  return std::abs(x) >= 3.8325069f ? std::copysign(1.0f, x) : inside;
}

/// Inverse of erf (Giles' single-precision polynomials); infinite at -1 and 1, NaN beyond.
[[gnu::always_inline]] inline float erf_inv(float x) noexcept {
  const float w = -log1p(-(x * x));
  const bool central = w < 5.0f;
  const float v = central ? w - 2.5f : std::sqrt(w) - 3.0f;
  float p = central ? 2.81022636e-08f : -0.000200214257f;
  p = std::fma(p, v, central ? 3.43273939e-07f : 0.000100950558f);
  p = std::fma(p, v, central ? -3.5233877e-06f : 0.00134934322f);
  p = std::fma(p, v, central ? -4.39150654e-06f : -0.00367342844f);
  p = std::fma(p, v, central ? 0.00021858087f : 0.00573950773f);
  p = std::fma(p, v, central ? -0.00125372503f : -0.0076224613f);
  p = std::fma(p, v, central ? -0.00417768164f : 0.00943887047f);
  p = std::fma(p, v, central ? 0.246640727f : 1.00167406f);
  p = std::fma(p, v, central ? 1.50140941f : 2.83297682f);
  return std::abs(x) == 1.0f ? x * std::numeric_limits<float>::infinity() : p * x;
}

inline double erf(double x) noexcept { return std::erf(x); }

/// Giles' double-precision polynomials.
inline double erf_inv(double x) noexcept {
  const double w = -log1p(-(x * x));
  double p;
  if (w < 6.25) {
    p = detail::horner(
        w - 3.125, -3.6444120640178196996e-21, -1.685059138182016589e-19, 1.2858480715256400167e-18,
        1.115787767802518096e-17, -1.333171662854620906e-16, 2.0972767875968561637e-17, 6.6376381343583238325e-15,
        -4.0545662729752068639e-14, -8.1519341976054721522e-14, 2.6335093153082322977e-12, -1.2975133253453532498e-11,
        -5.4154120542946279317e-11, 1.051212273321532285e-09, -4.1126339803469836976e-09, -2.9070369957882005086e-08,
        4.2347877827932403518e-07, -1.3654692000834678645e-06, -1.3882523362786468719e-05, 0.0001867342080340571352,
        -0.00074070253416626697512, -0.0060336708714301490533, 0.24015818242558961693, 1.6536545626831027356);
  } else if (w < 16.0) {
    p = detail::horner(
        std::sqrt(w) - 3.25, 2.2137376921775787049e-09, 9.0756561938885390979e-08, -2.7517406297064545428e-07,
        1.8239629214389227755e-08, 1.5027403968909827627e-06, -4.013867526981545969e-06, 2.9234449089955446044e-06,
        1.2475304481671778723e-05, -4.7318229009055733981e-05, 6.8284851459573175448e-05, 2.4031110387097893999e-05,
        -0.0003550375203628474796, 0.00095328937973738049703, -0.0016882755560235047313, 0.0024914420961078508066,
        -0.0037512085075692412107, 0.005370914553590063617, 1.0052589676941592334, 3.0838856104922207635);
  } else {
    p = detail::horner(std::sqrt(w) - 5.0, -2.7109920616438573243e-11, -2.5556418169965252055e-10,
                       1.5076572693500548083e-09, -3.7894654401267369937e-09, 7.6157012080783393804e-09,
                       -1.4960026627149240478e-08, 2.9147953450901080826e-08, -6.7711997758452339498e-08,
                       2.2900482228026654717e-07, -9.9298272942317002539e-07, 4.5260625972231537039e-06,
                       -1.9681778105531670567e-05, 7.5995277030017761139e-05, -0.00021503011930044477347,
                       -0.00013871931833623122026, 1.0103004648645343977, 4.8499064014085844221);
  }
  return std::abs(x) == 1.0 ? x * std::numeric_limits<double>::infinity() : p * x;
}

}  // namespace linseed::kernels::special
