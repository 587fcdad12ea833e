#pragma once

#include <linseed/core/array.hpp>

namespace linseed::nn {

// Activations of jax.nn that flax.linen does not have.

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

}  // namespace linseed::nn
