#include <linseed/tree/pytree.hpp>

#include <doctest/doctest.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/train/train_state.hpp>

#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

struct Inner {
  Array w;
  int count = 3;
};
struct Outer {
  std::vector<Inner> layers;
  std::map<std::string, Array> named;
  std::optional<Array> maybe;
  std::tuple<Array, double, Tree> tuple;
  std::array<Array, 2> pair;
  std::string label;
};

const Outer sample{.layers = {{Array(1.0)}, {Array(2.0)}},
                   .named = {{"b", Array(4.0)}, {"a", Array(3.0)}},
                   .maybe = Array(5.0),
                   .tuple = {Array(6.0), 0.5, Tree{{"x", {{"y", Array(7.0)}}}, {"empty", Tree()}}},
                   .pair = {Array(8.0), Array(9.0)},
                   .label = "text"};

}  // namespace

TEST_CASE("what holds Arrays is dynamic, the rest static") {
  CHECK(pytree::is_dynamic<Array>);
  CHECK(pytree::is_dynamic<const Tree&>);
  CHECK(pytree::is_dynamic<Outer>);
  CHECK(pytree::is_dynamic<TrainState>);
  CHECK(pytree::is_dynamic<std::pair<int, Array>>);
  CHECK(pytree::is_dynamic<std::optional<std::vector<Array>>>);
  CHECK(!pytree::is_dynamic<int>);
  CHECK(!pytree::is_dynamic<std::string>);
  CHECK(!pytree::is_dynamic<std::vector<double>>);
  CHECK(!pytree::is_dynamic<Shape>);
  CHECK(!pytree::is_dynamic<nn::Model>);
  CHECK(!pytree::is_dynamic<optim::GradientTransformation>);
}

TEST_CASE("leaves and paths, in order") {
  const std::vector<Array> leaves = pytree::leaves(sample);
  REQUIRE(leaves.size() == 9);
  std::vector<float> values;
  for (const Array& leaf : leaves) values.push_back(leaf.item<float>());
  CHECK(values == std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(pytree::paths(sample) == std::vector<std::string>{"layers/0/w", "layers/1/w", "named/a", "named/b", "maybe",
                                                          "tuple/0", "tuple/2/x/y", "pair/0", "pair/1"});
  CHECK(pytree::paths(sample, "state")[0] == "state/layers/0/w");
  CHECK(pytree::paths(Array(1.0)) == std::vector<std::string>{""});
  CHECK(pytree::paths(Array(1.0), "x") == std::vector<std::string>{"x"});
  CHECK(pytree::paths(Tree(Array(1.0)), "x") == std::vector<std::string>{"x"});
  CHECK(pytree::leaves(5).empty());
  CHECK(pytree::leaves(std::vector<Array>{}).empty());
}

TEST_CASE("with_leaves and map keep structure and static parts") {
  const Outer doubled = pytree::map([](const Array& x) { return x * 2; }, sample);
  CHECK(doubled.layers[1].w.item<float>() == 4.0F);
  CHECK(doubled.layers[1].count == 3);
  CHECK(std::get<2>(doubled.tuple).at("x/y").array().item<float>() == 14.0F);
  CHECK(std::get<2>(doubled.tuple).contains("empty"));
  CHECK(std::get<1>(doubled.tuple) == 0.5);
  CHECK(doubled.label == "text");
  CHECK(sample.layers[1].w.item<float>() == 2.0F);
  const std::vector<Array> few = {Array(1.0)};
  CHECK(error_of<StructureError>([&] { return pytree::with_leaves(sample, few); }) ==
        "[Tree] The number of leaves differs.\n  got: 1\n  expected: at least 2");
  const std::vector<Array> many = {Array(1.0), Array(2.0)};
  CHECK(error_of<StructureError>([&] { return pytree::with_leaves(Array(1.0), many); }) ==
        "[Tree] The number of leaves differs.\n  got: 2\n  expected: 1");
}

TEST_CASE("signatures compare structure, shapes, dtypes and static values") {
  CHECK(pytree::same_signature(sample, pytree::map([](const Array& x) { return x + 1; }, sample)));
  Outer other = sample;
  other.layers[0].w = zeros({2});
  other.layers[1].count = 4;
  other.named.erase("a");
  other.maybe.reset();
  std::get<1>(other.tuple) = 0.25;
  std::get<2>(other.tuple) = Tree{{"x", {{"y", Array(7)}, {"z", Array(1.0)}}}};
  other.label = "other";
  CHECK(!pytree::same_signature(sample, other));
  CHECK(pytree::differences(sample, other, "outer") ==
        std::vector<std::string>{"outer/layers/0/w: float32[] -> float32[2]",
                                 "outer/layers/1/count: a static value changed", "outer/named: other keys",
                                 "outer/maybe: present -> absent", "outer/tuple/1: a static value changed",
                                 "outer/tuple/2/empty: present -> absent", "outer/tuple/2/x/y: float32[] -> int32[]",
                                 "outer/tuple/2/x/z: absent -> present", "outer/label: a static value changed"});
  other = sample;
  other.layers.pop_back();
  CHECK(pytree::differences(sample, other) == std::vector<std::string>{"layers: 2 -> 1 elements"});
  other = sample;
  other.pair[1] = Array();
  CHECK(pytree::differences(sample, other) == std::vector<std::string>{"pair/1: float32[] -> empty"});
  CHECK(pytree::differences(Tree(Array(1.0)), Tree(), "x") == std::vector<std::string>{"x: an Array -> a dictionary"});
}

TEST_CASE("static values compare by ==, or field by field") {
  struct Fields {
    int a;
    std::vector<std::string> names;
  };
  CHECK(pytree::static_equal(Fields{1, {"x"}}, Fields{1, {"x"}}));
  CHECK(!pytree::static_equal(Fields{1, {"x"}}, Fields{1, {"y"}}));
  CHECK(pytree::static_equal(std::string("a"), std::string("a")));
  const auto empty = [] {};
  CHECK(pytree::static_equal(empty, empty));
  const int captured = 1;
  const auto capturing = [captured] { return captured; };
  CHECK(!pytree::static_equal(capturing, capturing));
}

TEST_CASE("types local to a function are pytrees too") {
  struct Run {
    TrainState train;
    Array key;
    Tree ema;
  };
  const TrainState state =
      TrainState::create([](const Array& x) { return x; }, {{"w", Array(1.0)}}, optim::sgd(0.1, {.momentum = 0.9}));
  CHECK(pytree::paths(Run{state, Array(2.0), {{"w", Array(3.0)}}}) ==
        std::vector<std::string>{"train/step", "train/params/w", "train/opt_state/0/trace/w", "key", "ema/w"});
}

TEST_CASE("any pytree becomes a Tree, with numbers for tuples and sequences") {
  struct Inner {
    Array a;
    int label = 3;
  };
  const auto value = std::tuple(Array(1.0), std::vector<Inner>{{Array(2.0)}, {Array(3.0)}}, std::optional<Array>(),
                                std::map<std::string, Array>{{"k", Array(4.0)}}, Tree{{"t", Array(5.0)}}, 6);
  const Tree expected{{"0", Array(1.0)},
                      {"1", {{"0", {{"a", Array(2.0)}}}, {"1", {{"a", Array(3.0)}}}}},
                      {"2", Tree()},
                      {"3", {{"k", Array(4.0)}}},
                      {"4", {{"t", Array(5.0)}}}};
  CHECK(tree::difference(pytree::to_tree(value), expected).value_or("") == "");
  CHECK(pytree::to_tree(Array(1.0)).is_leaf());
  CHECK(pytree::to_tree(Array()).empty());
}
