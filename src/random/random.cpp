#include <linseed/random/random.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "core/dispatch.hpp"
#include "kernels/special.hpp"
#include "ops/random.hpp"

namespace linseed::random {

namespace {

constexpr double sqrt_2 = 1.4142135623730950488;
constexpr std::int64_t int32_min = std::numeric_limits<std::int32_t>::min();
constexpr std::int64_t int32_max = std::numeric_limits<std::int32_t>::max();

Array draw_uniform(const Array& key, const Shape& shape, DType dtype, double low, double high) {
  return apply_op(ops::random_uniform, {key}, attr::Random{shape, dtype, low, high});
}

// Calls `function` with a zero of the type in which a draw is made; the op refuses the other dtypes.
template <class Function>
auto in_type_of(DType dtype, Function&& function) {
  return dtype == DType::float64 ? function(double{}) : function(float{});
}

}  // namespace

Array key(std::int64_t seed) {
  return Array::from(std::vector<std::uint32_t>{0, static_cast<std::uint32_t>(seed)}, {2});
}

Array split(const Array& key, std::int64_t count) {
  if (count < 0) {
    throw ValueError("random::split", "The number of keys is negative.", {.got = fmt::format("{}", count)});
  }
  return apply_op(ops::random_split, {key}, attr::Random{{count}, DType::uint32});
}

Array fold_in(const Array& key, const ArrayLike& data) {
  const Array number = data.beside(DType::int64);  // a C++ integer becomes int64, anything else stays what it is
  if (is_floating(number.dtype())) {
    throw DTypeError("random::fold_in", "Only whole numbers are folded into a key.",
                     {.got = describe(number), .expected = "an integer in [0, 2^32)"});
  }
  if (const auto whole = data.whole_number();
      whole && (*whole < 0 || *whole > std::numeric_limits<std::uint32_t>::max())) {
    throw ValueError("random::fold_in", "The number to fold in does not fit into 32 bits.",
                     {.got = fmt::format("{}", *whole), .expected = "an integer in [0, 2^32)"});
  }
  return apply_op(ops::random_fold_in, {key, astype(number, DType::uint32)});
}

Array bits(const Array& key, const Shape& shape) {
  return apply_op(ops::random_bits, {key}, attr::Random{shape, DType::uint32});
}

Array uniform(const Array& key, const Shape& shape, DType dtype, double low, double high) {
  const bool finite = in_type_of(dtype, [&]<class T>(T) {
    return std::isfinite(static_cast<T>(low)) && std::isfinite(static_cast<T>(high) - static_cast<T>(low));
  });
  if (!finite) {
    throw ValueError("random::uniform", "The bounds and their distance must be finite.",
                     {.got = fmt::format("[{}, {}) in {}", low, high, to_string(dtype))});
  }
  return draw_uniform(key, shape, dtype, low, high);
}

Array normal(const Array& key, const Shape& shape, DType dtype) {
  const double low =
      in_type_of(dtype, []<class T>(T zero) { return static_cast<double>(std::nextafter(T{-1}, zero)); });
  return erf_inv(draw_uniform(key, shape, dtype, low, 1.0)) * sqrt_2;
}

Array truncated_normal(const Array& key, double low, double high, const Shape& shape, DType dtype) {
  if (!(low < high)) {
    throw ValueError("random::truncated_normal", "The lower bound is not below the upper one.",
                     {.got = fmt::format("({}, {})", low, high)});
  }
  return in_type_of(dtype, [&]<class T>(T) {
    // XLA divides by the constant sqrt(2) through its reciprocal.
    constexpr T scale = T{1} / static_cast<T>(sqrt_2), infinity = std::numeric_limits<T>::infinity();
    const T lower = static_cast<T>(low), upper = static_cast<T>(high);
    const Array u =
        draw_uniform(key, shape, dtype, kernels::special::erf(lower * scale), kernels::special::erf(upper * scale));
    return clip(erf_inv(u) * sqrt_2, std::nextafter(lower, infinity), std::nextafter(upper, -infinity));
  });
}

Array bernoulli(const Array& key, double p, const Shape& shape) {
  if (!(p >= 0.0 && p <= 1.0)) {
    throw ValueError("random::bernoulli", "A probability lies in [0, 1].", {.got = fmt::format("{}", p)});
  }
  return draw_uniform(key, shape, DType::float32, 0.0, 1.0) < p;
}

Array bernoulli(const Array& key, const Array& p, const std::optional<Shape>& shape) {
  const Shape draws = shape.value_or(p.shape());
  if (!(broadcast_shapes(draws, p.shape(), "random::bernoulli") == draws)) {
    throw ShapeError("random::bernoulli", "The probabilities do not broadcast to the shape asked for.",
                     {.got = to_string(p.shape()), .expected = to_string(draws)});
  }
  return draw_uniform(key, draws, p.dtype(), 0.0, 1.0) < p;
}

Array rademacher(const Array& key, const Shape& shape, DType dtype) {
  return 2 * astype(bernoulli(key, 0.5, shape), dtype) - 1;
}

Array randint(const Array& key, const Shape& shape, std::int64_t low, std::int64_t high) {
  if (low < int32_min || low > int32_max || high < int32_min || high > int32_max + 1) {
    throw ValueError("random::randint", "The bounds do not fit into int32.",
                     {.got = fmt::format("[{}, {})", low, high)});
  }
  return apply_op(ops::random_randint, {key},
                  attr::Random{shape, DType::int32, static_cast<double>(low), static_cast<double>(high)});
}

namespace {

// Calls `sort` with a fresh key for every round. Sorting by random keys leaves ties in order; enough rounds make it
// improbable that a pair ties in all of them.
template <class Sort>
void shuffle(const Array& key, std::int64_t count, Sort sort) {
  const auto rounds = static_cast<int>(std::ceil(3.0 * std::log(std::max(1.0, static_cast<double>(count))) /
                                                 std::log(std::numeric_limits<std::uint32_t>::max())));
  Array current = key;
  for (int round = 0; round < rounds; ++round) {
    const auto [next, sort_key] = split<2>(current);
    sort(sort_key);
    current = next;
  }
}

}  // namespace

Array permutation(const Array& key, std::int64_t count) {
  ops::require_key(abstract(key));
  if (count < 0 || count > int32_max) {
    throw ValueError("random::permutation", "The number of elements is negative or does not fit into int32.",
                     {.got = fmt::format("{}", count)});
  }
  Array order = arange(count);
  shuffle(key, count, [&](const Array& sort_key) { order = take(order, argsort(bits(sort_key, {count}))); });
  return order;
}

Array permutation(const Array& key, const Array& x, int axis, bool independent) {
  const int along = normalize_axis(axis, x.rank(), "random::permutation");
  if (!independent) return take(x, permutation(key, x.extent(along)), along);
  ops::require_key(abstract(key));
  Array result = x;
  shuffle(key, x.size(), [&](const Array& sort_key) {
    result = take_along_axis(result, argsort(bits(sort_key, x.shape()), along), along);
  });
  return result;
}

Array gumbel(const Array& key, const Shape& shape, DType dtype) {
  const double smallest =
      in_type_of(dtype, []<class T>(T) { return static_cast<double>(std::numeric_limits<T>::min()); });
  return -log(-log(draw_uniform(key, shape, dtype, smallest, 1.0)));
}

Array exponential(const Array& key, const Shape& shape, DType dtype) {
  return -log1p(-draw_uniform(key, shape, dtype, 0.0, 1.0));
}

Array laplace(const Array& key, const Shape& shape, DType dtype) {
  const double above = in_type_of(dtype, []<class T>(T zero) {
    return static_cast<double>(std::nextafter(T{-1}, zero));  // -1 + half of epsilon
  });
  const Array u = draw_uniform(key, shape, dtype, above, 1.0);
  return sign(u) * log1p(-abs(u));
}

Array logistic(const Array& key, const Shape& shape, DType dtype) {
  const double smallest =
      in_type_of(dtype, []<class T>(T) { return static_cast<double>(std::numeric_limits<T>::min()); });
  const Array u = draw_uniform(key, shape, dtype, smallest, 1.0);
  return log(u) - log1p(-u);
}

}  // namespace linseed::random
