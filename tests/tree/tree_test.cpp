#include <linseed/tree/tree.hpp>

#include <sstream>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>

#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

const Array one(1.0), two(2.0), row{1.0, 2.0, 3.0};
const Tree params = {{"Dense_0", {{"kernel", zeros({3, 4})}, {"bias", zeros({4})}}},
                     {"Dense_1", {{"kernel", zeros({4, 1})}}}};

}  // namespace

TEST_CASE("trees are sorted dictionaries of Arrays") {
  CHECK(params.size() == 2);
  CHECK(!params.is_leaf());
  CHECK(params.keys() == std::vector<std::string>{"Dense_0", "Dense_1"});
  CHECK(params["Dense_0"].keys() == std::vector<std::string>{"bias", "kernel"});
  CHECK(params.paths() == std::vector<std::string>{"Dense_0/bias", "Dense_0/kernel", "Dense_1/kernel"});
  CHECK(params.element_count() == 20);
  CHECK(params.leaves().size() == 3);
  CHECK(params.leaves()[1].shape() == Shape{3, 4});
  const Array& kernel = params["Dense_0"]["kernel"];
  CHECK(kernel.shape() == Shape{3, 4});
  CHECK(params.at("Dense_0/kernel").array().data<float>().data() == kernel.data<float>().data());
  CHECK(&params.at("") == &params);
  CHECK(params.contains("Dense_0/bias"));
  CHECK(!params.contains("Dense_0/bias/x"));
  CHECK(!params.contains("Dense_2"));
  CHECK(params.find("Dense_2") == nullptr);
  CHECK(params.find("Dense_0/bias") == &params["Dense_0"]["bias"]);
}

TEST_CASE("the empty tree, and a leaf") {
  const Tree empty;
  CHECK(empty.empty());
  CHECK(empty.size() == 0);
  CHECK(empty.leaves().empty());
  CHECK(empty.paths().empty());
  CHECK(!empty.is_leaf());
  CHECK(Tree::Dict().empty());
  CHECK(Tree(Tree::Dict()).empty());
  const Tree leaf = one;
  CHECK(leaf.is_leaf());
  CHECK(!leaf.empty());
  CHECK(leaf.size() == 0);
  CHECK(leaf.paths() == std::vector<std::string>{""});
  CHECK(leaf.leaves().size() == 1);
  CHECK(leaf.array().item<float>() == 1.0F);
  CHECK(tree::shapes(leaf) == "()");
  CHECK(tree::shapes(empty) == "{}");
}

TEST_CASE("lookups that fail name the path and what is there") {
  CHECK(error_of<StructureError>([] { return params["Dense_7"]; }) ==
        "[Tree] There is no entry 'Dense_7'.\n  got: keys Dense_0, Dense_1");
  CHECK(error_of<StructureError>([] { return params.at("Dense_0/weight"); }) ==
        "[Tree] There is no entry 'weight'.\n"
        "  at: Dense_0\n"
        "  got: keys bias, kernel\n"
        "  expected: the path Dense_0/weight");
  CHECK(error_of<StructureError>([] { return params.at("Dense_7/weight"); }) ==
        "[Tree] There is no entry 'Dense_7'.\n"
        "  at: the root\n"
        "  got: keys Dense_0, Dense_1\n"
        "  expected: the path Dense_7/weight");
  CHECK(error_of<StructureError>([] { return params.at("Dense_0/bias/x"); }) ==
        "[Tree] There is no entry 'x'.\n"
        "  at: Dense_0/bias\n"
        "  got: an Array float32[4]\n"
        "  expected: the path Dense_0/bias/x");
  CHECK(error_of<StructureError>([] { return Tree()["a"]; }) ==
        "[Tree] There is no entry 'a'.\n  got: an empty dictionary");
  CHECK(error_of<StructureError>([] { return Tree(row)["a"]; }) ==
        "[Tree] There is no entry 'a'.\n  got: an Array float32[3]");
  CHECK(error_of<StructureError>([] { return params.array(); }) ==
        "[Tree] A dictionary was used as an Array.\n"
        "  got: keys Dense_0, Dense_1\n"
        "  expected: a leaf\n"
        "  hint: index down to an Array first");
  CHECK(error_of<StructureError>([] { return Tree(row).entries(); }) ==
        "[Tree] A leaf has no entries.\n  got: an Array float32[3]\n  expected: a dictionary");
  CHECK(error_of<StructureError>([] { return Tree(Array()); }) == "[Tree] An empty Array cannot be a leaf.");
}

TEST_CASE("what is asked of a temporary outlives it") {
  const auto make = [] { return Tree{{"a", {{"b", Array{1.0, 2.0}}}}}; };
  const Tree& inner = make()["a"];
  const Array& leaf = make()["a"]["b"];
  const Tree& at = make().at("a/b");
  CHECK(inner.contains("b"));
  CHECK(identical(leaf, Array{1.0, 2.0}));
  CHECK(identical(at.array(), Array{1.0, 2.0}));
  int count = 0;
  for (const auto& [key, child] : make().entries()) count += key == "a" && child.contains("b") ? 1 : 0;
  CHECK(count == 1);
}

TEST_CASE("set makes a new tree that shares the rest") {
  const Tree changed = params.set("Dense_0/bias", ones({4}));
  CHECK(identical(params.at("Dense_0/bias").array(), zeros({4})));
  CHECK(identical(changed.at("Dense_0/bias").array(), ones({4})));
  CHECK(&changed["Dense_1"].entries() == &params["Dense_1"].entries());
  CHECK(changed.at("Dense_0/kernel").array().data<float>().data() ==
        params.at("Dense_0/kernel").array().data<float>().data());
  CHECK(tree::shapes(Tree().set("a/b/c", one).set("a/d", row)) == "{'a': {'b': {'c': ()}, 'd': (3,)}}");
  CHECK(tree::shapes(params.set("Dense_0", one)) == "{'Dense_0': (), 'Dense_1': {'kernel': (4, 1)}}");
  CHECK(identical(params.set("", one), Tree(one)));
  CHECK(error_of<StructureError>([] { return params.set("Dense_0/bias/x/y", one); }) ==
        "[Tree] The path runs through a leaf.\n"
        "  at: Dense_0/bias\n"
        "  got: an Array float32[4]\n"
        "  expected: a dictionary, for the path Dense_0/bias/x/y");
  CHECK(error_of<StructureError>([] { return Tree(row).set("a", one); }) ==
        "[Tree] The path runs through a leaf.\n"
        "  at: the root\n"
        "  got: an Array float32[3]\n"
        "  expected: a dictionary, for the path a");
}

TEST_CASE("erase takes away what is there") {
  CHECK(tree::shapes(params.erase("Dense_0")) == "{'Dense_1': {'kernel': (4, 1)}}");
  CHECK(tree::shapes(params.erase("Dense_0/kernel")) == "{'Dense_0': {'bias': (4,)}, 'Dense_1': {'kernel': (4, 1)}}");
  CHECK(tree::shapes(params.erase("Dense_1/kernel")) == "{'Dense_0': {'bias': (4,), 'kernel': (3, 4)}, 'Dense_1': {}}");
  CHECK(params.erase("").empty());
  CHECK(params.size() == 2);
  CHECK(error_of<StructureError>([] { return params.erase("Dense_0/weight"); }) ==
        "[Tree] There is no entry 'weight'.\n"
        "  at: Dense_0\n"
        "  got: keys bias, kernel\n"
        "  expected: the path Dense_0/weight");
}

TEST_CASE("merge lays one tree over another") {
  const Tree over = {{"Dense_1", {{"bias", row}}}, {"new", one}};
  CHECK(tree::shapes(params.merge(over), 1000) ==
        "{'Dense_0': {'bias': (4,), 'kernel': (3, 4)}, 'Dense_1': {'bias': (3,), 'kernel': (4, 1)}, 'new': ()}");
  CHECK(identical(params.merge(Tree()), params));
  CHECK(identical(Tree().merge(params), params));
  CHECK(identical(params.merge(one), Tree(one)));
  CHECK(identical(Tree{{"a", one}}.merge({{"a", two}})["a"].array(), two));
  CHECK(tree::shapes(Tree{{"a", one}}.merge({{"a", {{"b", two}}}})) == "{'a': {'b': ()}}");
}

TEST_CASE("map works on several trees of one structure") {
  const Tree a = {{"x", one}, {"y", {{"z", row}}}};
  const Tree b = {{"x", two}, {"y", {{"z", row}}}};
  const Tree sum = tree::map([](const Array& p, const Array& q) { return p + q; }, a, b);
  CHECK(identical(sum, Tree{{"x", Array(3.0)}, {"y", {{"z", Array{2.0, 4.0, 6.0}}}}}));
  CHECK(identical(tree::map([](const Array& p) { return p * 2; }, Tree(one)), Tree(two)));
  CHECK(tree::map([](const Array& p) { return p; }, Tree()).empty());
  std::vector<std::string> seen;
  (void)tree::map_with_path(
      [&](const std::string& path, const Array& p, const Array&, const Array&) {
        seen.push_back(path);
        return p;
      },
      a, b, a);
  CHECK(seen == std::vector<std::string>{"x", "y/z"});
}

TEST_CASE("map names the first place where structures differ") {
  const auto add = [](const Array& p, const Array& q) { return p + q; };
  const Tree a = {{"x", one}, {"y", {{"z", row}}}};
  CHECK(error_of<StructureError>([&] { return tree::map(add, a, Tree{{"x", one}}); }) ==
        "[Tree] The trees differ in structure.\n"
        "  at: the root\n"
        "  got: keys x\n"
        "  expected: keys x, y");
  CHECK(error_of<StructureError>([&] { return tree::map(add, a, Tree{{"x", one}, {"y", {{"w", row}}}}); }) ==
        "[Tree] The trees differ in structure.\n"
        "  at: y\n"
        "  got: keys w\n"
        "  expected: keys z");
  CHECK(error_of<StructureError>([&] { return tree::map(add, a, Tree{{"x", one}, {"y", row}}); }) ==
        "[Tree] The trees differ in structure.\n"
        "  at: y\n"
        "  got: an Array float32[3]\n"
        "  expected: keys z");
  CHECK(error_of<StructureError>([&] { return tree::map(add, a, Tree{{"x", Tree()}, {"y", {{"z", row}}}}); }) ==
        "[Tree] The trees differ in structure.\n"
        "  at: x\n"
        "  got: an empty dictionary\n"
        "  expected: an Array float32[]");
}

TEST_CASE("with_leaves puts other leaves into the structure") {
  const std::vector<Array> leaves = {one, two, row};
  const Tree filled = params.with_leaves(leaves);
  CHECK(tree::shapes(filled) == "{'Dense_0': {'bias': (), 'kernel': ()}, 'Dense_1': {'kernel': (3,)}}");
  CHECK(identical(filled.at("Dense_0/kernel").array(), two));
  CHECK(error_of<StructureError>([&] { return params.with_leaves(std::vector{one}); }) ==
        "[Tree] The number of leaves differs.\n  got: 1\n  expected: at least 2");
  CHECK(error_of<StructureError>([&] { return params.with_leaves(std::vector{one, one, one, one}); }) ==
        "[Tree] The number of leaves differs.\n  got: 4\n  expected: 3");
}

TEST_CASE("structures compare without their Arrays, identical with them") {
  CHECK(params.same_structure(params));
  CHECK(params.same_structure(tree::map([](const Array&) { return one; }, params)));
  CHECK(!params.same_structure(params.erase("Dense_1")));
  CHECK(!params.same_structure(Tree(one)));
  CHECK(Tree().same_structure(Tree()));
  CHECK(!Tree().same_structure(Tree(one)));
  CHECK(identical(params, tree::map([](const Array& p) { return p * 1; }, params)));
  CHECK(!identical(params, params.set("Dense_0/bias", ones({4}))));
}

TEST_CASE("difference says where, one line per path") {
  CHECK(!tree::difference(params, params).has_value());
  const Tree other = params.set("Dense_0/bias", ones({4}))
                         .set("Dense_0/kernel", zeros({4, 4}))
                         .set("Dense_2", {{"bias", row}})
                         .erase("Dense_1");
  CHECK(*tree::difference(params, other) ==
        "Dense_0/bias: float32[4] with other values\n"
        "Dense_0/kernel: float32[3,4] against float32[4,4]\n"
        "Dense_1: only in the first\n"
        "Dense_2: only in the second");
  CHECK(*tree::difference(params, other, /*values=*/false) ==
        "Dense_0/kernel: float32[3,4] against float32[4,4]\n"
        "Dense_1: only in the first\n"
        "Dense_2: only in the second");
  CHECK(*tree::difference(params, params.set("Dense_1", one)) == "Dense_1: keys kernel against an Array float32[]");
  CHECK(*tree::difference(one, two) == "the root: float32[] with other values");
  CHECK(*tree::difference(one, Array(1)) == "the root: float32[] against int32[]");
}

TEST_CASE("shapes print as in Flax's guides, broken where the width ends") {
  const Tree variables = {{"params", params},
                          {"batch_stats", {{"BatchNorm_0", {{"mean", zeros({4})}, {"var", zeros({4})}}}}}};
  CHECK(tree::shapes(variables, 1000) ==
        "{'batch_stats': {'BatchNorm_0': {'mean': (4,), 'var': (4,)}}, "
        "'params': {'Dense_0': {'bias': (4,), 'kernel': (3, 4)}, 'Dense_1': {'kernel': (4, 1)}}}");
  CHECK(tree::shapes(variables, 70) ==
        "{\n"
        "    'batch_stats': {'BatchNorm_0': {'mean': (4,), 'var': (4,)}},\n"
        "    'params': {\n"
        "        'Dense_0': {'bias': (4,), 'kernel': (3, 4)},\n"
        "        'Dense_1': {'kernel': (4, 1)},\n"
        "    },\n"
        "}");
  CHECK(tree::shapes(variables, 0) ==
        "{\n"
        "    'batch_stats': {\n"
        "        'BatchNorm_0': {\n"
        "            'mean': (4,),\n"
        "            'var': (4,),\n"
        "        },\n"
        "    },\n"
        "    'params': {\n"
        "        'Dense_0': {\n"
        "            'bias': (4,),\n"
        "            'kernel': (3, 4),\n"
        "        },\n"
        "        'Dense_1': {\n"
        "            'kernel': (4, 1),\n"
        "        },\n"
        "    },\n"
        "}");
  CHECK(tree::shapes(variables, tree::shapes(variables, 1000).size()) == tree::shapes(variables, 1000));
}

TEST_CASE("trees print with their elements") {
  const Tree tree = {{"a", {{"bias", row}, {"kernel", Array{{1, 2}, {3, 4}}}}}, {"empty", Tree()}, {"step", Array(7)}};
  const std::string text =
      "a:\n"
      "  bias: [1. 2. 3.]\n"
      "  kernel:\n"
      "    [[1 2]\n"
      "     [3 4]]\n"
      "empty: {}\n"
      "step: 7";
  CHECK(to_string(tree) == text);
  std::ostringstream stream;
  stream << tree;
  CHECK(stream.str() == text);
  CHECK(fmt::format("{}", tree) == text);
  CHECK(to_string(Tree()) == "{}");
  CHECK(to_string(Tree(one)) == "1.0");
}

TEST_CASE("printed trees keep within their width") {
  const Tree tree = {{"a", {{"b", {{"long", arange(30)}, {"short", arange(8)}, {"wide", ones({2, 2, 12})}}}}}};
  for (const std::size_t width : {20, 31, 40, 80}) {
    CAPTURE(width);
    std::istringstream lines(to_string(tree, width));
    std::size_t longest = 0;
    for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
    CHECK(longest <= width);
    CHECK(longest >= width - 10);
  }
  CHECK(fmt::format("{:26}", tree["a"]["b"].erase("wide")) ==
        "long:\n"
        "  [ 0  1  2  3  4  5  6\n"
        "    7  8  9 10 11 12 13\n"
        "   14 15 16 17 18 19 20\n"
        "   21 22 23 24 25 26 27\n"
        "   28 29]\n"
        "short: [0 1 2 3 4 5 6 7]");
  CHECK(to_string(Tree{{"key", Array{1.5, 2.5}}}, 1) == "key:\n  [1.5\n   2.5]");
  CHECK_THROWS_AS((void)fmt::format(fmt::runtime("{:x}"), tree), fmt::format_error);
}

TEST_CASE("a deep tree is no problem") {
  std::string path = "k";
  for (int i = 0; i < 500; ++i) path += "/k";
  const Tree deep = Tree().set(path, one);
  CHECK(deep.paths() == std::vector<std::string>{path});
  CHECK(identical(deep, tree::map([](const Array& p) { return p * 1; }, deep)));
}
