#include <cmath>
#include <limits>

#include "core/dispatch.hpp"
#include "kernels/random.hpp"
#include "kernels/special.hpp"

namespace linseed::kernels::reference {

namespace {

/// One standard normal number of a key, as random::normal of shape {} draws it.
template <class T>
T one_normal(Words key) noexcept {
  const T low = std::nextafter(T{-1}, T{0});
  return special::erf_inv(uniform(threefry2x32(key, 0), low, T{1} - low)) * static_cast<T>(1.4142135623730950488);
}

template <class T>
T one_uniform(Words key) noexcept {
  return uniform(threefry2x32(key, 0), T{0}, T{1});
}

/// Marsaglia and Tsang 2000, with JAX's use of keys: a normal number x and v = (1 + c x)^3 until a uniform number u
/// accepts d v. Below 1 the draw is one for alpha + 1 times a uniform number to the power of 1 / alpha; `in_log` gives
/// the logarithm, which does not run out where the number itself would.
template <class T>
T gamma_draw(Words key, T alpha, bool in_log) noexcept {
  const bool whole = alpha >= T{1};
  const T shape = whole ? alpha : alpha + T{1};
  const T third = static_cast<T>(1.0 / 3.0);
  const T d = shape - third;
  const T c = third / std::sqrt(d);

  const Words boost_key = threefry2x32(key, 1);
  Words current = threefry2x32(key, 0);
  T v = T{1};
  for (bool accepted = false; !accepted;) {
    Words normal_key = threefry2x32(current, 1);
    const Words uniform_key = threefry2x32(current, 2);
    current = threefry2x32(current, 0);
    T x, base;
    do {
      x = one_normal<T>(threefry2x32(normal_key, 1));
      normal_key = threefry2x32(normal_key, 0);
      base = std::fma(x, c, T{1});
    } while (base <= T{0});
    const T square = x * x;
    v = base * base * base;
    const T u = one_uniform<T>(uniform_key);
    accepted = !(u >= T{1} - static_cast<T>(0.0331) * (square * square) &&
                 special::log(u) >= square * T{0.5} + d * (T{1} - v + special::log(v)));
  }

  const T u = one_uniform<T>(boost_key);
  if (in_log) {
    const T exponent = special::log1p(-u);
    const T boost = whole || exponent == T{0} ? T{0} : exponent * (T{1} / alpha);
    return special::log(d) + special::log(v) + boost;
  }
  return d * v * (whole ? T{1} : std::pow(T{1} - u, T{1} / alpha));
}

void draw(std::span<const Input> inputs, const Output& output, bool in_log) noexcept {
  const Words key = key_of(inputs[0]);
  linseed::detail::visit_floating(output.dtype, [&]<class T>(std::type_identity<T>) {
    const auto alphas = inputs[1].span<T>();
    std::uint64_t index = 0;
    for (T& element : output.span<T>()) {
      element = gamma_draw(threefry2x32(key, index), alphas[index], in_log);
      ++index;
    }
  });
}

}  // namespace

void random_gamma(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  draw(inputs, output, /*in_log=*/false);
}

void random_loggamma(const Attributes&, std::span<const Input> inputs, const Output& output, const Executor&) noexcept {
  draw(inputs, output, /*in_log=*/true);
}

}  // namespace linseed::kernels::reference
