#pragma once

#include <limits>

#include "kernels/kernel.hpp"
#include "kernels/scalar_functions.hpp"

namespace linseed::kernels {

/// How a reduction combines elements. float32 sums and products accumulate in double where an order is free.
namespace fold {

template <class T>
constexpr T lowest() noexcept {
  if constexpr (std::is_floating_point_v<T>)
    return -std::numeric_limits<T>::infinity();
  else
    return std::numeric_limits<T>::lowest();
}
template <class T>
constexpr T highest() noexcept {
  if constexpr (std::is_floating_point_v<T>)
    return std::numeric_limits<T>::infinity();
  else
    return std::numeric_limits<T>::max();
}

struct Sum : scalar::Add {
  template <class T>
  static constexpr T identity() noexcept {
    return T{};
  }
};
struct Prod : scalar::Mul {
  template <class T>
  static constexpr T identity() noexcept {
    return T{1};
  }
};
struct Max : scalar::Maximum {
  template <class T>
  static constexpr T identity() noexcept {
    return lowest<T>();
  }
};
struct Min : scalar::Minimum {
  template <class T>
  static constexpr T identity() noexcept {
    return highest<T>();
  }
};

/// The type in which partial results are kept.
template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, float>, double, T>;

}  // namespace fold

#define LINSEED_FOLDS(X) X(Sum) X(Prod) X(Max) X(Min)

namespace reference {
template <class Fold>
void reduce(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void argmax(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void argmin(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
void argsort(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}  // namespace reference

namespace cpu {
template <class Fold>
void reduce(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
Choice choose_reduce(const Attributes&, std::span<const Input>, const Output&, VectorSet) noexcept;
}  // namespace cpu

}  // namespace linseed::kernels
