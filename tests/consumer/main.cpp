// A small program as a user would write it; each project beside it finds linseed in another way.

#include <fmt/format.h>
#include <xtensor/xarray.hpp>
#include <xtensor/xmath.hpp>

#include <linseed/core/array.hpp>
#include <linseed/data/fashion_mnist.hpp>

namespace {

bool check(bool holds, const char* what) {
  fmt::print("{}: {}\n", what, holds ? "yes" : "NO");
  return holds;
}

}  // namespace

int main() {
  const linseed::Array x{{1.0, 2.0}, {3.0, 4.0}};
  fmt::print("{}\n", x);
  const linseed::data::FashionMnist set = linseed::data::fashion_mnist_embedded();
  // Goes wrong without the compiler option that comes with linseed::linseed.
  const xt::xarray<double> values{{1.0, 2.0}, {3.0, 4.0}};
  const xt::xarray<double> sums = xt::sum(values, {0}, xt::evaluation_strategy::immediate);

  bool good = check(x.size() == 4, "arrays are there");
  good &= check(set.train.size() == 1000, "the embedded data set is there");
  good &= check(sums.dimension() == 1 && sums(0) == 4.0 && sums(1) == 6.0, "xtensor reduces well");
  return good ? 0 : 1;
}
