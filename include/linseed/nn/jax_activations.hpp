#pragma once

#include <optional>

#include <linseed/core/array.hpp>

namespace linseed::nn {

// Functions of jax.nn that flax.linen does not have.

/// x (jax.nn.identity)
[[nodiscard]] inline Array identity(const Array& x) { return x; }
/// x * tanh(softplus(x)) (jax.nn.mish; Misra 2019)
[[nodiscard]] Array mish(const Array& x);
/// (x + sqrt(x^2 + b)) / 2 (jax.nn.squareplus; Barron 2021)
[[nodiscard]] Array squareplus(const Array& x, double b = 4.0);
/// 0 up to -1, x from 1 on, (x + 1)^2 / 4 between (jax.nn.sparse_plus)
[[nodiscard]] Array sparse_plus(const Array& x);
/// clip(x + 1, 0, 2) / 2, the derivative of sparse_plus (jax.nn.sparse_sigmoid)
[[nodiscard]] Array sparse_sigmoid(const Array& x);
/// log(1 - exp(-x)) for positive x, exact near zero and far from it (jax.nn.log1mexp; Maechler 2012). 0 gives minus
/// infinity, a negative number NaN.
[[nodiscard]] Array log1mexp(const Array& x);
/// log(mean(exp(x))) over `axes`, without overflow (jax.nn.logmeanexp). With a bool mask `where`, which broadcasts to
/// x, of what it leaves; of nothing NaN.
[[nodiscard]] Array logmeanexp(const Array& x, const Axes& axes = {}, bool keepdims = false,
                               const std::optional<Array>& where = {});

}  // namespace linseed::nn
