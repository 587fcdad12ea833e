#include <linseed/xtensor.hpp>

#if __has_include(<xtensor/core/xmath.hpp>)
#include <xtensor/containers/xfixed.hpp>
#include <xtensor/core/xmath.hpp>
#else
#include <xtensor/xfixed.hpp>
#include <xtensor/xmath.hpp>
#endif

#include <doctest/doctest.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/transform/jit.hpp>

#include "support.hpp"

using namespace linseed;
using support::error_of;

TEST_CASE("an xtensor expression is evaluated once") {
  const xt::xarray<double> a = {{0.0, 1.0}, {2.0, 3.0}};
  const Array x = a * 2 + 1;
  CHECK(identical(x, Array({{1.0, 3.0}, {5.0, 7.0}}, float64)));
  const Array s = xt::sum(a);
  CHECK(identical(s, Array(6.0, float64)));
  const Array b = a > 1.5;
  CHECK(identical(b, Array{{false, false}, {true, true}}));
  const xt::xtensor<float, 2> column = {{1.0F}, {2.0F}};
  const xt::xtensor<float, 1> row = {10.0F, 20.0F};
  const Array broadcast = column + row;
  CHECK(identical(broadcast, Array{{11.0, 21.0}, {12.0, 22.0}}));
}

TEST_CASE("a container that stays is copied") {
  xt::xarray<float> a = {1.0F, 2.0F};
  const Array x = a;
  a(0) = 100.0F;
  CHECK(identical(x, Array{1.0, 2.0}));
}

TEST_CASE("a container that is moved in is not copied") {
  xt::xarray<float> a = {{1.0F, 2.0F}, {3.0F, 4.0F}};
  const float* elements = a.data();
  const Array x = std::move(a);
  CHECK(x.data<float>().data() == elements);
  CHECK(identical(x, Array{{1.0, 2.0}, {3.0, 4.0}}));
  xt::xtensor<std::int64_t, 1> b = {1, 2, 3};
  const std::int64_t* numbers = b.data();
  const Array y = std::move(b);
  CHECK(y.data<std::int64_t>().data() == numbers);
  CHECK(describe(y) == "int64[3]");
}

TEST_CASE("containers of other layouts and fixed shapes arrive in row-major order") {
  const xt::xarray<float, xt::layout_type::column_major> a = {{1.0F, 2.0F}, {3.0F, 4.0F}};
  CHECK(identical(Array(a), Array{{1.0, 2.0}, {3.0, 4.0}}));
  xt::xarray<float, xt::layout_type::column_major> b = a;
  CHECK(identical(Array(std::move(b)), Array{{1.0, 2.0}, {3.0, 4.0}}));
  const xt::xtensor_fixed<double, xt::xshape<2, 2>> c = {{1.0, 2.0}, {3.0, 4.0}};
  CHECK(identical(Array(c), Array({{1.0, 2.0}, {3.0, 4.0}}, float64)));
  CHECK(describe(Array(xt::xarray<float>::from_shape({0, 3}))) == "float32[0,3]");
}

TEST_CASE("element types become the dtype of their size") {
  CHECK(Array(xt::xarray<int>{1, 2}).dtype() == int32);
  CHECK(Array(xt::xarray<unsigned>{1, 2}).dtype() == uint32);
  CHECK(Array(xt::xarray<long>{1, 2}).dtype() == int64);
  CHECK(Array(xt::xarray<long long>{1, 2}).dtype() == int64);
  CHECK(Array(xt::xarray<unsigned long>{1, 2}).dtype() == int64);
  CHECK(Array(xt::xarray<std::uint8_t>{1, 2}).dtype() == uint8);
  CHECK(Array(xt::xarray<std::int16_t>{-1, 2}).dtype() == int32);
  const Array widened = xt::xarray<std::int16_t>{-1, 2};
  CHECK(identical(widened, Array{-1, 2}));
  CHECK(Array(xt::xarray<bool>{true, false}).dtype() == bool_);
}

TEST_CASE("view shows the elements without a copy") {
  const Array x{{1.0, 2.0}, {3.0, 4.0}};
  const auto v = view<float>(x);
  CHECK(v.data() == x.data<float>().data());
  CHECK(v.dimension() == 2);
  CHECK(v(1, 0) == 3.0F);
  CHECK(xt::sum(v)() == 10.0F);
  CHECK(identical(Array(v + v), x * 2));
  CHECK_THROWS_AS((void)view<double>(x), DTypeError);
  CHECK_THROWS_AS((void)jit([](const Array& y) {
                    (void)view<float>(y);
                    return y;
                  })(x),
                  TraceError);
}
