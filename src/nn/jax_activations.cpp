#include <linseed/nn/jax_activations.hpp>

#include <linseed/nn/activations.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed::nn {

Array mish(const Array& x) { return x * tanh(softplus(x)); }

Array squareplus(const Array& x, double b) { return (x + sqrt(square(x) + b)) / 2.0; }

Array sparse_plus(const Array& x) {
  // The parabola is not taken beyond its ends: there it might overflow.
  const Array inside = clip(x, -1, 1) + 1.0;
  return where(x <= -1, 0.0, where(x >= 1, x, square(inside) / 4.0));
}

Array sparse_sigmoid(const Array& x) { return 0.5 * clip(x + 1.0, 0, 2); }

}  // namespace linseed::nn
