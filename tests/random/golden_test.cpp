#include <linseed/random/random.hpp>

#include <optional>

#include "random/golden_arrays.hpp"

using namespace linseed;
using golden::json;

namespace {

const golden::File& file() { return golden::load("random.json"); }

// Calls `draw(key, shape, entry)` for every case of a kind and compares all bits.
template <class T, class Draw>
void check_kind(const char* kind, Draw draw) {
  for (const json& entry : file().where("kind", kind)) {
    CAPTURE(entry.at("name").get<std::string>());
    const Shape shape = entry.contains("shape") ? golden::extents(entry.at("shape")) : Shape{};
    golden::check_identical<T>(draw(golden::key_of(entry), shape, entry), entry.at("output"));
  }
}

double bound(const json& entry, const char* name) { return golden::number<double>(entry.at(name)); }

}  // namespace

TEST_CASE("keys of seeds equal JAX's") {
  for (const json& entry : file().where("kind", "key")) {
    const Array key = random::key(entry.at("seed").get<std::int64_t>());
    CHECK(identical(key, golden::key_of(entry)));
  }
}

TEST_CASE("split, fold_in and bits equal JAX's") {
  check_kind<std::uint32_t>("split", [](const Array& key, const Shape&, const json& entry) {
    return random::split(key, entry.at("n").get<std::int64_t>());
  });
  check_kind<std::uint32_t>("fold_in", [](const Array& key, const Shape&, const json& entry) {
    return random::fold_in(key, entry.at("data").get<std::int64_t>());
  });
  check_kind<std::uint32_t>("bits",
                            [](const Array& key, const Shape& shape, const json&) { return random::bits(key, shape); });
}

TEST_CASE("floating draws equal JAX's bit for bit") {
  check_kind<float>("uniform", [](const Array& key, const Shape& shape, const json& entry) {
    return random::uniform(key, shape, float32, bound(entry, "minval"), bound(entry, "maxval"));
  });
  check_kind<float>("normal",
                    [](const Array& key, const Shape& shape, const json&) { return random::normal(key, shape); });
  check_kind<float>("truncated_normal", [](const Array& key, const Shape& shape, const json& entry) {
    return random::truncated_normal(key, bound(entry, "lower"), bound(entry, "upper"), shape);
  });
  check_kind<float>("gumbel",
                    [](const Array& key, const Shape& shape, const json&) { return random::gumbel(key, shape); });
  check_kind<float>("exponential",
                    [](const Array& key, const Shape& shape, const json&) { return random::exponential(key, shape); });
}

TEST_CASE("discrete draws equal JAX's") {
  check_kind<bool>("bernoulli", [](const Array& key, const Shape& shape, const json& entry) {
    return random::bernoulli(key, bound(entry, "p"), shape);
  });
  check_kind<std::int32_t>("randint", [](const Array& key, const Shape& shape, const json& entry) {
    return random::randint(key, shape, entry.at("minval").get<std::int64_t>(), entry.at("maxval").get<std::int64_t>());
  });
  check_kind<std::int32_t>("permutation", [](const Array& key, const Shape&, const json& entry) {
    return random::permutation(key, entry.at("n").get<std::int64_t>());
  });
  check_kind<std::int32_t>("permutation_of_array", [](const Array& key, const Shape&, const json& entry) {
    const json& x = entry.at("x");
    return random::permutation(key, Array::from(golden::values<std::int32_t>(x), golden::extents(x.at("shape"))),
                               entry.at("axis").get<int>());
  });
  check_kind<std::int32_t>("categorical", [](const Array& key, const Shape& shape, const json& entry) {
    const json& logits = entry.at("logits");
    const bool own_shape = entry.at("name") == "categorical/shape";
    return random::categorical(key, Array::from(golden::values<float>(logits), golden::extents(logits.at("shape"))),
                               entry.at("axis").get<int>(), own_shape ? std::optional(shape) : std::nullopt);
  });
}
