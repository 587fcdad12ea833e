#include <linseed/random/random.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/shape.hpp>

using namespace linseed;

namespace {

template <class T>
std::vector<T> values(const Array& array) {
  const auto data = array.data<T>();
  return {data.begin(), data.end()};
}
using Words = std::vector<std::uint32_t>;
using Floats = std::vector<float>;
using Doubles = std::vector<double>;
using Integers = std::vector<std::int32_t>;

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

TEST_CASE("keys, children and bits that JAX documents") {
  CHECK(values<std::uint32_t>(random::key(0)) == Words{0, 0});
  CHECK(values<std::uint32_t>(random::key(-1)) == Words{0, 4294967295u});
  CHECK(values<std::uint32_t>(random::key((std::int64_t{1} << 32) + 5)) == Words{0, 5});
  CHECK(values<std::uint32_t>(random::split(random::key(0))) ==
        Words{1797259609u, 2579123966u, 928981903u, 3453687069u});
  CHECK(values<std::uint32_t>(random::split(random::key(1))) ==
        Words{507451445u, 1853169794u, 1948878966u, 4237131848u});
  CHECK(values<std::uint32_t>(random::fold_in(random::key(0), 4)) == Words{2285895361u, 433833334u});
  CHECK(values<std::uint32_t>(random::fold_in(random::key(0), 0xFFFFFFFFu)) == Words{743310391u, 3789761811u});
  CHECK(values<std::uint32_t>(random::bits(random::key(0), {4})) ==
        Words{4070199207u, 4202968722u, 1427181096u, 2012915765u});
  CHECK(values<std::uint32_t>(random::bits(random::key(1701), {3})) == Words{1111271205u, 2679469115u, 974515252u});
}

TEST_CASE("child i is the same however many are made") {
  const Array key = random::key(42);
  const auto five = values<std::uint32_t>(random::split(key, 5));
  for (std::uint32_t i = 0; i < 5; ++i) {
    CHECK(values<std::uint32_t>(random::fold_in(key, i)) == Words{five[2 * i], five[2 * i + 1]});
  }
  const auto [first, second, third] = random::split<3>(key);
  CHECK(values<std::uint32_t>(third) == Words{five[4], five[5]});
  CHECK(random::split(key, 0).shape() == Shape{0, 2});
}

TEST_CASE("fold_in takes any integer scalar") {
  const Array key = random::key(3);
  const Array expected = random::fold_in(key, 7);
  for (const DType dtype : {uint8, int32, uint32, int64})
    CHECK(identical(random::fold_in(key, Array(7, dtype)), expected));
  CHECK(identical(random::fold_in(key, Array(-1)), random::fold_in(key, 0xFFFFFFFFu)));
}

TEST_CASE("float32 draws that JAX documents") {
  CHECK(values<float>(random::uniform(random::key(0), {4})) == Floats{0.947667f, 0.9785799f, 0.33229148f, 0.46866846f});
  CHECK(values<float>(random::normal(random::key(42), {3})) == Floats{-0.028304616f, 0.46713185f, 0.29570296f});
  CHECK(values<float>(random::normal(random::key(0), {4})) ==
        Floats{1.6226422f, 2.0252647f, -0.43359444f, -0.07861735f});
}

TEST_CASE("float64 draws are those of JAX with 64-bit mode") {
  const Array key = random::key(5);
  CHECK(values<double>(random::uniform(key, {4}, float64)) ==
        Doubles{0.634340617068121, 0.04716389088541528, 0.836893662441414, 0.6844151475737681});
  CHECK(values<double>(random::uniform(key, {4}, float64, -0.7, 0.33)) ==
        Doubles{-0.04662916441983536, -0.6514211923880222, 0.16200047231465653, 0.004947602000981196});
  CHECK(values<double>(random::normal(key, {4}, float64)) ==
        Doubles{0.3433718077169161, -1.6729975326208553, 0.9817710060103099, 0.4800811308371194});
  CHECK(values<double>(random::truncated_normal(key, -2, 2, {4}, float64)) ==
        Doubles{0.32716401958890906, -1.4926222081852167, 0.9213453022670939, 0.4566097351569714});
  CHECK(values<double>(random::exponential(key, {4}, float64)) ==
        Doubles{1.0060530266293406, 0.04831236376391374, 1.8133529132211392, 1.1533276872768692});
  CHECK(values<double>(random::gumbel(key, {4}, float64)) ==
        Doubles{0.7870860216630391, -1.1164936934226324, 1.7256444640935666, 0.9697162858692016});
}

TEST_CASE("discrete draws that JAX documents") {
  CHECK(values<std::int32_t>(random::randint(random::key(0), {9}, 0, 8)) == Integers{5, 0, 0, 5, 3, 3, 0, 7, 5});
  CHECK(values<std::int32_t>(random::permutation(random::key(0), 10)) == Integers{0, 1, 8, 5, 6, 4, 3, 2, 7, 9});
  CHECK(values<std::int32_t>(random::permutation(random::key(42), 8)) == Integers{7, 4, 2, 5, 3, 6, 0, 1});
  const Array two_rounds = random::permutation(random::key(0), 2000);
  const auto head = two_rounds.data<std::int32_t>().first(8);
  CHECK(Integers(head.begin(), head.end()) == Integers{988, 23, 1144, 1675, 1700, 884, 311, 1604});

  const Array mask = random::bernoulli(Array::from(Words{4113325155u, 798010028u}, {2}), 0.5, {16});
  std::string bits;
  for (const bool bit : mask.data<bool>()) bits += bit ? '1' : '0';
  CHECK(bits == "1100100000111101");
}

TEST_CASE("a draw depends on the linear index alone") {
  const Array key = random::key(9);
  const Array flat = random::normal(key, {24});
  CHECK(identical(reshape(flat, {2, 3, 4}), random::normal(key, {2, 3, 4})));
  const Array longer = random::normal(key, {40000});
  CHECK(std::equal(flat.data<float>().begin(), flat.data<float>().end(), longer.data<float>().begin()));
  CHECK(random::normal(key, {}).item<float>() == flat.data<float>()[0]);
  CHECK(random::normal(key, {3, 0, 2}).shape() == Shape{3, 0, 2});
}

TEST_CASE("uniform stays within its bounds, and at the lower one when they are in the wrong order") {
  const Array key = random::key(11);
  const Array narrow = random::uniform(key, {1000}, float32, 1.0, 1.0000001);
  for (const float x : narrow.data<float>()) CHECK((x == 1.0f || x == std::nextafter(1.0f, 2.0f)));
  const Array none = random::uniform(key, {5}, float32, 2.0, 1.0);
  for (const float x : none.data<float>()) CHECK(x == 2.0f);
}

TEST_CASE("truncated_normal lies strictly within its bounds") {
  const Array draw = random::truncated_normal(random::key(1), -0.25, 0.125, {5000});
  const auto data = draw.data<float>();
  CHECK(*std::min_element(data.begin(), data.end()) > -0.25f);
  CHECK(*std::max_element(data.begin(), data.end()) < 0.125f);
  const Array tail = random::truncated_normal(random::key(1), 30, 40, {4});
  for (const float x : tail.data<float>()) CHECK(x < 40.0f);
}

TEST_CASE("randint covers all of int32 and keeps to the lower bound when the upper is not above it") {
  const Array key = random::key(5);
  constexpr std::int64_t low = std::numeric_limits<std::int32_t>::min(), high = std::int64_t{1} << 31;
  CHECK(values<std::int32_t>(random::randint(key, {4}, low, high)) ==
        Integers{-1787507967, -1163020224, -1664956169, -994140664});
  CHECK(values<std::int32_t>(random::randint(key, {4}, 0, high)) ==
        Integers{359975681, 984463424, 482527479, 1153342984});
  CHECK(values<std::int32_t>(random::randint(key, {3}, 4, 4)) == Integers{4, 4, 4});
  CHECK(values<std::int32_t>(random::randint(key, {3}, 4, -9)) == Integers{4, 4, 4});
}

TEST_CASE("permutation of an Array moves whole slices") {
  const Array x = reshape(arange(12), {4, 3});
  const Array order = random::permutation(random::key(8), 4);
  const Array shuffled = random::permutation(random::key(8), x);
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(shuffled.data<std::int32_t>()[3 * i] == 3 * order.data<std::int32_t>()[i]);
  }
  CHECK(random::permutation(random::key(8), x, -1).shape() == x.shape());
  CHECK(random::permutation(random::key(8), 0).shape() == Shape{0});
}

TEST_CASE("categorical follows the logits") {
  const Array certain = Array{{0.0f, 200.0f, 0.0f}, {0.0f, 0.0f, 200.0f}};
  CHECK(values<std::int32_t>(random::categorical(random::key(0), certain)) == Integers{1, 2});
  CHECK(random::categorical(random::key(0), certain, 0).shape() == Shape{3});
  const Array many = random::categorical(random::key(0), certain, -1, Shape{5, 2});
  CHECK(values<std::int32_t>(many) == Integers{1, 2, 1, 2, 1, 2, 1, 2, 1, 2});
}

TEST_CASE("moments are those of the distributions") {
  constexpr std::int64_t count = 100000;
  const auto check = [&](const Array& draw, double mean, double variance) {
    double sum = 0, squares = 0;
    for (const float x : draw.data<float>()) sum += x, squares += static_cast<double>(x) * x;
    CHECK(sum / count == doctest::Approx(mean).epsilon(0.02));
    CHECK(squares / count - sum / count * (sum / count) == doctest::Approx(variance).epsilon(0.03));
  };
  check(random::uniform(random::key(1), {count}), 0.5, 1.0 / 12);
  check(random::exponential(random::key(2), {count}), 1.0, 1.0);
  check(random::gumbel(random::key(3), {count}), 0.5772156649, 1.6449340668);
}

TEST_CASE("what is not a key is refused") {
  const std::string text = text_of<ShapeError>([] { (void)random::normal(random::split(random::key(0)), {3}); });
  CHECK(text ==
        "[random] A key is an Array uint32[2].\n"
        "  got: uint32[2,2]\n"
        "  expected: uint32[2]\n"
        "  hint: random::key(seed) makes one; a row of random::split, or random::fold_in, gives others");
  CHECK(text_of<DTypeError>([] {
          (void)random::bits(Array{0, 1}, {3});
        }).starts_with("[random] A key is an Array uint32[2]."));
  CHECK_THROWS_AS((void)random::split(Array(0)), DTypeError);
  CHECK_THROWS_AS((void)random::fold_in(Array{0.0f, 1.0f}, 1), DTypeError);
  CHECK_THROWS_AS((void)random::permutation(Array{0, 1}, 1), DTypeError);
  CHECK_THROWS_AS((void)random::normal(Array(), {1}), ValueError);
}

TEST_CASE("arguments out of range are refused") {
  const Array key = random::key(0);
  CHECK(text_of<ValueError>([&] { (void)random::bernoulli(key, 1.5, {2}); }) ==
        "[random::bernoulli] A probability lies in [0, 1].\n  got: 1.5");
  CHECK_THROWS_AS((void)random::bernoulli(key, -0.1, {2}), ValueError);
  CHECK_THROWS_AS((void)random::bernoulli(key, std::nan(""), {2}), ValueError);
  CHECK(text_of<ShapeError>([&] { (void)random::uniform(key, {2, -1}); }) ==
        "[random] An extent is negative.\n  got: (2, -1)");
  CHECK(text_of<DTypeError>([&] { (void)random::normal(key, {2}, int32); }) ==
        "[random] The numbers drawn are floating-point.\n  got: int32\n  expected: float32 or float64");
  CHECK(text_of<ValueError>([&] { (void)random::uniform(key, {2}, float32, 0.0, 1e39); }) ==
        "[random::uniform] The bounds and their distance must be finite.\n  got: [0, 1e+39) in float32");
  CHECK_NOTHROW((void)random::uniform(key, {2}, float64, 0.0, 1e39));
  CHECK_THROWS_AS((void)random::truncated_normal(key, 1, 1, {2}), ValueError);
  CHECK_THROWS_AS((void)random::truncated_normal(key, std::nan(""), 1, {2}), ValueError);
  CHECK(text_of<ValueError>([&] { (void)random::randint(key, {2}, 0, std::int64_t{1} << 40); }) ==
        "[random::randint] The bounds do not fit into int32.\n  got: [0, 1099511627776)");
  CHECK_THROWS_AS((void)random::split(key, -1), ValueError);
  CHECK_THROWS_AS((void)random::permutation(key, -1), ValueError);
  CHECK_THROWS_AS((void)random::permutation(key, std::int64_t{1} << 31), ValueError);
  CHECK_THROWS_AS((void)random::permutation(key, Array(1.0f)), ShapeError);
  CHECK_THROWS_AS((void)random::permutation(key, Array{1.0f}, 1), ShapeError);
  CHECK(text_of<ValueError>([&] { (void)random::fold_in(key, -1); }) ==
        "[random::fold_in] The number to fold in does not fit into 32 bits.\n  got: -1\n  expected: an integer in [0, "
        "2^32)");
  CHECK_THROWS_AS((void)random::fold_in(key, std::int64_t{1} << 32), ValueError);
  CHECK_THROWS_AS((void)random::fold_in(key, 1.0), DTypeError);
  CHECK_THROWS_AS((void)random::fold_in(key, Array{1, 2}), ShapeError);
  CHECK_THROWS_AS((void)random::categorical(key, Array{1, 2}), DTypeError);
  CHECK_THROWS_AS((void)random::categorical(key, Array(1.0f)), ShapeError);
  CHECK_THROWS_AS((void)random::categorical(key, Array{{1.0f, 2.0f}}, -1, Shape{}), ShapeError);
}

TEST_CASE("choices that cannot be made are refused") {
  const Array key = random::key(0);
  CHECK(text_of<ValueError>([&] { (void)random::choice(key, 0, {1}); }) ==
        "[random::choice] There is nothing to draw from.\n  got: 0");
  CHECK(random::choice(key, 0, {0, 2}).shape() == Shape{0, 2});
  CHECK(text_of<ValueError>([&] { (void)random::choice(key, 3, {2, 2}, {.replace = false}); }) ==
        "[random::choice] There are more draws without replacement than numbers.\n  got: 4 draws, 3 numbers");
  CHECK(text_of<ShapeError>([&] { (void)random::choice(key, 3, {2}, {.p = Array{0.5, 0.5}}); }) ==
        "[random::choice] There must be one probability for each number drawn from.\n"
        "  got: float32[2]\n  expected: (3,)");
  CHECK(text_of<DTypeError>([&] { (void)random::choice(key, 2, {2}, {.p = Array{1, 2}}); }) ==
        "[random::choice] Probabilities are floating-point.\n  got: int32[2]");
  CHECK(text_of<ValueError>([&] { (void)random::choice(key, 2, {2}, {.p = Array{0.5, -0.5}}); }) ==
        "[random::choice] A probability is negative or not finite.\n  got: -0.5");
  CHECK(text_of<ValueError>([&] { (void)random::choice(key, 2, {2}, {.p = Array{0.0, 0.0}}); }) ==
        "[random::choice] Too few probabilities are positive.\n  got: 0\n  expected: at least 1");
  CHECK(text_of<ValueError>([&] { (void)random::choice(key, 2, {2}, {.replace = false, .p = Array{0.0, 1.0}}); }) ==
        "[random::choice] Too few probabilities are positive.\n  got: 1\n  expected: at least 2");
  CHECK(text_of<ShapeError>([&] { (void)random::choice(key, 2, {-1}); }) ==
        "[random] An extent is negative.\n  got: (-1,)");
  CHECK_THROWS_AS((void)random::choice(key, Array(1.0f), {1}), ShapeError);
  CHECK_THROWS_AS((void)random::choice(key, zeros({2, 2}), {1}, {.axis = 2}), ShapeError);
  CHECK_THROWS_AS((void)random::choice(Array{0, 1}, 3, {0}), DTypeError);
}

TEST_CASE("choices follow their probabilities") {
  const Array drawn = random::choice(random::key(4), 3, {20000}, {.p = Array{1.0, 0.0, 3.0}});
  double counts[3] = {};
  for (const std::int32_t i : drawn.data<std::int32_t>()) counts[i] += 1;
  CHECK(counts[1] == 0);
  CHECK(counts[0] / 20000 == doctest::Approx(0.25).epsilon(0.05));
  Integers all = values<std::int32_t>(random::choice(random::key(5), 50, {50}, {.replace = false}));
  std::sort(all.begin(), all.end());
  CHECK(all == values<std::int32_t>(arange(50)));
  CHECK(random::choice(random::key(5), zeros({2, 5, 3}), {4, 1}, {.axis = 1}).shape() == Shape{2, 4, 1, 3});
}

TEST_CASE("further arguments out of range are refused") {
  const Array key = random::key(0);
  CHECK(text_of<ValueError>([&] { (void)random::categorical(key, zeros({3}), -1, Shape{4}, /*replace=*/false); }) ==
        "[random::categorical] There are more draws without replacement than categories.\n"
        "  got: 4 draws, 3 categories");
  CHECK_THROWS_AS((void)random::categorical(key, zeros({1, 3}), -1, Shape{2}, /*replace=*/false), ShapeError);
  CHECK_THROWS_AS((void)random::bernoulli(key, zeros({3}), Shape{2}), ShapeError);
  CHECK_THROWS_AS((void)random::bernoulli(key, zeros({2, 3}), Shape{3}), ShapeError);
  CHECK_THROWS_AS((void)random::bernoulli(key, zeros({3}, int32)), DTypeError);
  const Array certain = random::bernoulli(key, Array{-1.0, 2.0, std::nan("")});
  CHECK(!certain.data<bool>()[0]);
  CHECK(certain.data<bool>()[1]);
  CHECK(!certain.data<bool>()[2]);
}
