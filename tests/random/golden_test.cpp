#include <linseed/random/random.hpp>

#include <optional>
#include <string>

#include <linseed/ops/shape.hpp>
#include <linseed/transform/jit.hpp>

#include "random/golden_arrays.hpp"

using namespace linseed;
using golden::json;

namespace {

const golden::File& file() { return golden::load("random.json"); }

// The function that a kind of case is about: "choice_of_array" about choice.
std::string function_of(const std::string& kind) {
  for (const char* name : {"permutation", "categorical", "bernoulli", "choice"}) {
    if (kind.find(name) != std::string::npos) return name;
  }
  return kind;
}

// Calls `draw(key, shape, entry)` for every case of a kind and compares all bits.
template <class T, class Draw>
void check_kind(const char* kind, Draw draw) {
  const golden::Measured measured("jax.random." + function_of(kind));
  for (const json& entry : file().where("kind", kind)) {
    CAPTURE(entry.at("name").get<std::string>());
    const Shape shape = entry.contains("shape") ? golden::extents(entry.at("shape")) : Shape{};
    golden::check_identical<T>(draw(golden::key_of(entry), shape, entry), entry.at("output"));
  }
}

Array integers(const json& array) {
  return Array::from(golden::values<std::int32_t>(array), golden::extents(array.at("shape")));
}

Array floats(const json& array) {
  return Array::from(golden::values<float>(array), golden::extents(array.at("shape")));
}

double bound(const json& entry, const char* name) { return golden::number<double>(entry.at(name)); }

}  // namespace

TEST_CASE("keys of seeds equal JAX's") {
  for (const json& entry : file().where("kind", "key")) {
    const golden::Measured measured("jax.random.key");
    const bool same = identical(random::key(entry.at("seed").get<std::int64_t>()), golden::key_of(entry));
    golden::Deviations::instance().note(same ? 0.0 : 1.0);
    CHECK(same);
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
  check_kind<float>("laplace",
                    [](const Array& key, const Shape& shape, const json&) { return random::laplace(key, shape); });
  check_kind<float>("logistic",
                    [](const Array& key, const Shape& shape, const json&) { return random::logistic(key, shape); });
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
    return random::permutation(key, integers(entry.at("x")), entry.at("axis").get<int>());
  });
  check_kind<std::int32_t>("independent_permutation", [](const Array& key, const Shape&, const json& entry) {
    return random::permutation(key, integers(entry.at("x")), entry.at("axis").get<int>(), /*independent=*/true);
  });
  check_kind<bool>("bernoulli_each", [](const Array& key, const Shape& shape, const json& entry) {
    const Array p = floats(entry.at("p"));
    return p.rank() == shape.rank() ? random::bernoulli(key, p) : random::bernoulli(key, p, shape);
  });
  check_kind<std::int32_t>(
      "rademacher", [](const Array& key, const Shape& shape, const json&) { return random::rademacher(key, shape); });
  check_kind<std::int32_t>("categorical_without", [](const Array& key, const Shape& shape, const json& entry) {
    return random::categorical(key, floats(entry.at("logits")), entry.at("axis").get<int>(), shape, /*replace=*/false);
  });
  check_kind<std::int32_t>("categorical", [](const Array& key, const Shape& shape, const json& entry) {
    const bool own_shape = entry.at("name") == "categorical/shape";
    return random::categorical(key, floats(entry.at("logits")), entry.at("axis").get<int>(),
                               own_shape ? std::optional(shape) : std::nullopt);
  });
}

TEST_CASE("choices equal JAX's, eager and compiled") {
  const auto options_of = [](const json& entry) {
    random::ChoiceOptions options{.replace = entry.at("replace").get<bool>()};
    if (entry.contains("p")) options.p = floats(file()["choice_p/" + entry.at("p").get<std::string>()].at("p"));
    return options;
  };
  const auto compiled = [](const auto& draw, const Array& key) { return jit(draw)(key); };
  check_kind<std::int32_t>("choice", [&](const Array& key, const Shape& shape, const json& entry) {
    const auto draw = [&](const Array& k) {
      return random::choice(k, entry.at("n").get<std::int64_t>(), shape, options_of(entry));
    };
    CHECK(identical(compiled(draw, key), draw(key)));
    return draw(key);
  });
  check_kind<std::int32_t>("choice_of_array", [&](const Array& key, const Shape& shape, const json& entry) {
    random::ChoiceOptions options = options_of(entry);
    options.axis = entry.at("axis").get<int>();
    const Shape extents = golden::extents(entry.at("x_shape"));
    const Array x = reshape(arange(extents.elements()), extents);
    const auto draw = [&](const Array& k) { return random::choice(k, x, shape, options); };
    CHECK(identical(compiled(draw, key), draw(key)));
    return draw(key);
  });
}
