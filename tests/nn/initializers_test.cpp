#include <linseed/nn/initializers.hpp>

#include <cmath>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/core/error.hpp>
#include <linseed/core/reflect.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

#include "random/golden_arrays.hpp"

using namespace linseed;
using golden::json;
using nn::Distribution;
using nn::Fan;
using nn::Initializer;
namespace init = nn::initializers;

namespace {

Fan fan_named(const std::string& name) {
  return name == "fan_in"    ? Fan::in
         : name == "fan_out" ? Fan::out
         : name == "fan_avg" ? Fan::average
                             : Fan::geometric_average;
}
Distribution distribution_named(const std::string& name) {
  return name == "normal"    ? Distribution::normal
         : name == "uniform" ? Distribution::uniform
                             : Distribution::truncated_normal;
}

Initializer made_from(const json& entry) {
  const std::string name = entry.at("initializer").get<std::string>();
  const json& args = entry.at("args");
  const auto argument = [&](const char* key) { return golden::number<double>(args.at(key)); };
  if (name == "zeros") return init::zeros();
  if (name == "ones") return init::ones();
  if (name == "constant") return init::constant(argument("value"));
  if (name == "uniform") return init::uniform(argument("scale"));
  if (name == "normal") return init::normal(argument("stddev"));
  if (name == "truncated_normal")
    return init::truncated_normal(argument("stddev"), argument("lower"), argument("upper"));
  if (name == "delta_orthogonal") return init::delta_orthogonal(argument("scale"));
  if (name == "orthogonal") return init::orthogonal(argument("scale"));
  if (name == "lecun_normal") return init::lecun_normal();
  if (name == "lecun_uniform") return init::lecun_uniform();
  if (name == "glorot_normal") return init::glorot_normal();
  if (name == "glorot_uniform") return init::glorot_uniform();
  if (name == "xavier_normal") return init::xavier_normal();
  if (name == "xavier_uniform") return init::xavier_uniform();
  if (name == "he_normal") return init::he_normal();
  if (name == "he_uniform") return init::he_uniform();
  if (name == "kaiming_normal") return init::kaiming_normal();
  if (name == "kaiming_uniform") return init::kaiming_uniform();
  REQUIRE(name == "variance_scaling");
  nn::FanAxes axes;
  if (entry.contains("axes")) {
    for (const auto& [field, list] : entry.at("axes").items()) {
      (field == "in_axis"    ? axes.in_axis
       : field == "out_axis" ? axes.out_axis
                             : axes.batch_axis) = list.get<std::vector<int>>();
    }
  }
  return init::variance_scaling(argument("scale"), fan_named(args.at("mode").get<std::string>()),
                                distribution_named(args.at("distribution").get<std::string>()), axes);
}

std::vector<float> head(const Array& array, std::size_t count) {
  const auto data = array.data<float>().first(count);
  return {data.begin(), data.end()};
}

template <class Error, class Function>
std::string text_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing of this type was thrown";
}

}  // namespace

TEST_CASE("initializers equal Flax's") {
  for (const json& entry : golden::load("initializers.json").cases()) {
    CAPTURE(entry.at("name").get<std::string>());
    const golden::Measured measured("jax.nn.initializers." + entry.at("initializer").get<std::string>());
    const Array got = made_from(entry)(golden::key_of(entry), golden::extents(entry.at("shape")));
    const json& expected = entry.at("output");
    if (!entry.at("initializer").get<std::string>().ends_with("orthogonal")) {
      golden::check_identical<float>(got, expected);
      continue;
    }
    // LAPACK factorises in float32; linseed in double.
    REQUIRE(got.shape() == golden::extents(expected.at("shape")));
    const auto stored = golden::is_summary(expected) ? golden::head<float>(expected) : golden::values<float>(expected);
    const double scale = golden::number<double>(entry.at("args").at("scale"));
    double deviation = 0.0;
    for (std::size_t i = 0; i < stored.size(); ++i)
      deviation = std::max(deviation, std::abs(static_cast<double>(got.data<float>()[i]) - stored[i]) / scale);
    golden::Deviations::instance().note(deviation);
    CHECK(deviation <= 1e-6);
  }
}

TEST_CASE("initial values that Flax documents") {
  const Array key = random::key(0);
  const Shape shape{2, 3};
  using Floats = std::vector<float>;
  CHECK(head(init::lecun_normal()(key, shape), 6) ==
        Floats{1.1704054f, 1.3784391f, -0.3317383f, -0.060317304f, 0.13505137f, -0.73362523f});
  CHECK(head(init::he_normal()(key, shape), 3) == Floats{1.6552032f, 1.9494075f, -0.46914884f});
  CHECK(head(init::glorot_normal()(key, shape), 3) == Floats{1.0468423f, 1.2329134f, -0.29671577f});
  CHECK(head(init::lecun_uniform()(key, shape), 3) == Floats{1.0965558f, 1.1722765f, -0.4108003f});
  CHECK(head(init::normal(0.01)(key, shape), 3) == Floats{0.016226422f, 0.020252647f, -0.004335944f});
  CHECK(head(init::glorot_uniform()(key, shape), 6) ==
        Floats{0.9807893f, 1.048516f, -0.36743096f, -0.068643965f, 0.1531185f, -0.7328462f});
  const Array orthogonal = init::orthogonal()(key, shape);
  const Floats expected{0.96083665f, -0.25675002f, 0.10427104f, 0.18604839f, 0.3188112f, -0.92937905f};
  for (std::size_t i = 0; i < 6; ++i) CHECK(std::abs(orthogonal.data<float>()[i] - expected[i]) <= 1e-7);
}

TEST_CASE("kernels of Flax models that are known from their derived keys") {
  const auto kernel = [](std::uint32_t first, std::uint32_t second, const Shape& shape) {
    return init::lecun_normal()(Array::from(std::vector<std::uint32_t>{first, second}, {2}), shape);
  };
  const auto sum = [](const Array& array) {
    double total = 0;
    for (const float x : array.data<float>()) total += x;
    return total;
  };
  using Floats = std::vector<float>;
  const Array dense = kernel(3043437727u, 3662875008u, {3, 4});  // ('Dense_0', 1) under key(0)
  CHECK(head(dense, 4) == Floats{-0.95366687f, 0.43564045f, -0.79544437f, -0.49191567f});
  CHECK(dense.data<float>().back() == 0.4932202f);
  const Array wide = kernel(3043437727u, 3662875008u, {400, 120});
  CHECK(head(wide, 4) == Floats{-0.08258998f, 0.037727572f, -0.06888751f, -0.04260115f});
  CHECK(wide.data<float>().back() == -0.011935243f);
  CHECK(sum(wide) == doctest::Approx(-2.501683).epsilon(1e-6));
  const Array conv = kernel(3061677083u, 1876059778u, {5, 5, 1, 6});  // ('Conv_0', 1)
  CHECK(head(conv, 4) == Floats{0.13446388f, -0.057909086f, 0.09318226f, -0.24129227f});
  CHECK(conv.data<float>().back() == 0.37756175f);
  CHECK(sum(conv) == doctest::Approx(-2.424869).epsilon(1e-6));
  const Array second_conv = kernel(3205139852u, 2892292449u, {5, 5, 6, 16});  // ('Conv_1', 1)
  CHECK(head(second_conv, 4) == Floats{-0.010937684f, 0.01674344f, 0.03967685f, -0.0015415647f});
  CHECK(sum(second_conv) == doctest::Approx(-2.448775).epsilon(1e-6));
}

TEST_CASE("float64 initial values are those of Flax with 64-bit mode") {
  const Array key = random::key(5);
  const auto values = [&](const Initializer& initializer) {
    const Array array = initializer(key, {2, 2}, float64);
    return std::vector<double>(array.data<double>().begin(), array.data<double>().end());
  };
  using Doubles = std::vector<double>;
  CHECK(values(init::lecun_normal()) ==
        Doubles{0.2629981218823959, -1.1998777797323967, 0.7406440488348509, 0.3670559584467603});
  CHECK(values(init::glorot_uniform()) ==
        Doubles{0.329065963547525, -1.1092174044380192, 0.8252175705589021, 0.451723012395791});
  const Doubles orthogonal = values(init::orthogonal());
  const Doubles expected{0.33013795797226053, -0.9439326928896496, 0.9439326928896496, 0.33013795797226075};
  for (std::size_t i = 0; i < 4; ++i) CHECK(orthogonal[i] == doctest::Approx(expected[i]).epsilon(1e-14));
}

TEST_CASE("orthogonal has orthonormal columns, or rows when they are fewer") {
  for (const Shape& shape : {Shape{40, 17}, Shape{17, 40}, Shape{3, 5, 8}, Shape{1, 1}, Shape{64, 64}}) {
    const Array matrix = reshape(init::orthogonal(3.0)(random::key(4), shape), {-1, shape.back()});
    const bool tall = matrix.extent(0) >= matrix.extent(1);
    const Array product = tall ? matmul(transpose(matrix), matrix) : matmul(matrix, transpose(matrix));
    const auto extent = static_cast<std::size_t>(product.extent(0));
    for (std::size_t i = 0; i < extent * extent; ++i) {
      CHECK(std::abs(product.data<float>()[i] - (i % (extent + 1) == 0 ? 9.0f : 0.0f)) < 1e-5f);
    }
  }
  CHECK(init::orthogonal()(random::key(4), {0, 3}).shape() == Shape{0, 3});
}

TEST_CASE("constants take the dtype asked for and need no key") {
  CHECK(identical(init::zeros()(Array(), {2}, int32), Array{0, 0}));
  CHECK(identical(init::ones()(Array(), {2}, float64), Array({1.0, 1.0}, float64)));
  CHECK(identical(init::constant(2.5)(Array(), {}, float64), Array(2.5, float64)));
}

TEST_CASE("initializers compare by what they do") {
  CHECK(init::lecun_normal() == init::lecun_normal());
  CHECK(init::lecun_normal() != init::lecun_uniform());
  CHECK(init::normal(0.1) == init::normal(0.1));
  CHECK(init::normal(0.1) != init::normal(0.1 + 1e-16));
  CHECK(init::xavier_uniform() == init::glorot_uniform());
  CHECK(init::variance_scaling(2, Fan::in, Distribution::normal) !=
        init::variance_scaling(2, Fan::out, Distribution::normal));

  const auto half = [](const Array&, const Shape& shape, DType dtype) { return full(shape, 0.5, dtype); };
  const Initializer custom = half;
  const Initializer copy = custom;
  CHECK(custom == copy);
  CHECK(custom != Initializer(half));
  CHECK(custom != init::constant(0.5));
  CHECK(Initializer::described("half", half) == Initializer::described("half", half));
}

TEST_CASE("initializers say what they are") {
  CHECK(to_string(init::lecun_normal()) == "lecun_normal");
  CHECK(to_string(init::constant(0.5)) == "constant(0.5)");
  CHECK(to_string(init::truncated_normal()) == "truncated_normal(0.01, -2, 2)");
  CHECK(to_string(init::variance_scaling(2, Fan::geometric_average, Distribution::uniform)) ==
        "variance_scaling(2, fan_geo_avg, uniform)");
  CHECK(to_string(Initializer([](const Array&, const Shape& shape, DType dtype) { return zeros(shape, dtype); })) ==
        "custom");
}

TEST_CASE("an initializer is a field of a module") {
  struct Layer {
    std::int64_t features = 1;
    Initializer kernel_init = init::lecun_normal();
    Initializer bias_init = init::zeros();
    bool operator==(const Layer&) const = default;
  };
  CHECK(reflect::field_count<Layer> == 3);
  CHECK(Layer{.features = 3} == Layer{.features = 3});
  CHECK(Layer{.features = 3} != Layer{.features = 3, .bias_init = init::ones()});
  const Layer own{.bias_init = [](const Array&, const Shape& shape, DType dtype) { return full(shape, 0.1, dtype); }};
  CHECK(own.bias_init(random::key(0), {1}).item<float>() == 0.1f);
  Layer moved_from{.features = 2};
  const Layer moved = std::move(moved_from);
  CHECK(moved_from.kernel_init == moved.kernel_init);  // NOLINT: still usable
}

TEST_CASE("initializers refuse what they cannot scale") {
  const Array key = random::key(0);
  CHECK(text_of<ValueError>([&] { (void)init::lecun_normal()(key, {4}); }) ==
        "[lecun_normal] The shape needs at least two axes, for inputs and outputs.\n"
        "  got: (4,)\n"
        "  hint: for a vector, such as a bias, use zeros, constant or normal");
  CHECK(text_of<ValueError>([&] { (void)init::he_uniform()(key, {0, 4}); }) ==
        "[he_uniform] A shape without elements has no inputs or outputs to scale by.\n  got: (0, 4)");
  CHECK_THROWS_AS((void)init::orthogonal()(key, {4}), ValueError);
  CHECK_THROWS_AS((void)init::variance_scaling(-1, Fan::in, Distribution::normal), ValueError);
  CHECK_THROWS_AS((void)init::variance_scaling(std::nan(""), Fan::in, Distribution::normal), ValueError);
  CHECK_THROWS_AS((void)init::truncated_normal(1, 2, -2), ValueError);
  CHECK_THROWS_AS((void)init::lecun_normal()(key, {2, 2}, int32), DTypeError);
  CHECK_THROWS_AS((void)init::normal()(key, {2}, int32), DTypeError);
  CHECK_THROWS_AS((void)init::orthogonal()(key, {2, 2}, int32), DTypeError);
  CHECK_THROWS_AS((void)init::normal()(Array{1.0f}, {2}), DTypeError);
}

TEST_CASE("what a callable returns is checked") {
  const Initializer wrong_shape = [](const Array&, const Shape&, DType dtype) { return zeros({7}, dtype); };
  CHECK(text_of<ShapeError>([&] { (void)wrong_shape(random::key(0), {3}); }) ==
        "[initializer] custom gave another shape than it was asked for.\n  got: float32[7]\n  expected: float32[3]");
  const Initializer wrong_dtype = [](const Array&, const Shape& shape, DType) { return zeros(shape); };
  CHECK_THROWS_AS((void)wrong_dtype(random::key(0), {3}, float64), DTypeError);
}
