// A small program as a user would write it; each project beside it finds linseed in another way.

#include <xtensor/xmath.hpp>

#include <linseed/linseed.hpp>
#include <linseed/xtensor.hpp>

using namespace linseed;

namespace {

bool check(bool holds, const char* what) {
  fmt::print("{}: {}\n", what, holds ? "yes" : "NO");
  return holds;
}

}  // namespace

int main() {
  // Goes wrong without the compiler option that comes with linseed::linseed.
  const xt::xarray<double> values{{1.0, 2.0}, {3.0, 4.0}};
  const xt::xarray<double> sums = xt::sum(values, {0}, xt::evaluation_strategy::immediate);
  bool good = check(sums.dimension() == 1 && sums(0) == 4.0 && sums(1) == 6.0, "xtensor reduces well");

  const Array x = values * 2.0;
  good &= check(x.dtype() == float64 && view<double>(x)(1, 1) == 8.0, "xtensor expressions become Arrays");
  const auto loss = jit([](const Array& w, const Array& input) { return sum(square(matmul(input, w))); });
  good &= check(loss(x, x).item<double>() == 13728.0, "matrices multiply inside a compiled function");
  good &= check(grad(loss)(x, x).shape() == x.shape(), "compiled functions have gradients");
  good &= check(data::fashion_mnist_embedded().train.size() == 1000, "the embedded data set is there");
  return good ? 0 : 1;
}
