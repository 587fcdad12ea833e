// Names, collections, keys, and what is said when they are wrong.
#include <linseed/nn/scope.hpp>

#include <doctest/doctest.h>

#include <linseed/random/random.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "models.hpp"
#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

const Array x23{{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}};

/// The structure of what `module` makes: {'params': ...}.
template <class Module>
std::string shapes_of(const Module& module, const Array& x = x23) {
  return tree::shapes(nn::init(module, random::key(0), x), 1000);
}

Array dense(nn::Scope& scope, const Array& x, std::string name = "") {
  return nn::Dense{.features = 1, .use_bias = false, .name = std::move(name)}(scope, x);
}

/// A module that enters a scope of its own.
struct Inner {
  std::string name = {};
  Array operator()(nn::Scope& parent, const Array& x) const {
    nn::Scope scope = parent.enter(*this);
    return dense(scope, x);
  }
};

/// One that does not: its variables are those of the module that calls it.
struct Loose {
  Array operator()(nn::Scope& scope, const Array& x) const { return dense(scope, dense(scope, x)); }
};

}  // namespace

// ---- names ----

TEST_CASE("automatic names count the modules of one type in one scope") {
  CHECK(shapes_of([](nn::Scope& scope, const Array& x) { return dense(scope, dense(scope, x)); }) ==
        "{'params': {'Dense_0': {'kernel': (3, 1)}, 'Dense_1': {'kernel': (1, 1)}}}");
  // A given name does not move the count.
  CHECK(shapes_of([](nn::Scope& scope, const Array& x) { return dense(scope, dense(scope, dense(scope, x), "a")); }) ==
        "{'params': {'Dense_0': {'kernel': (3, 1)}, 'Dense_1': {'kernel': (1, 1)}, 'a': {'kernel': (1, 1)}}}");
}

TEST_CASE("modules of the user are named by their type, or by their name") {
  CHECK(shapes_of([](nn::Scope& scope, const Array& x) {
          return Inner{}(scope, Inner{}(scope, Inner{.name = "first"}(scope, x)));
        }) ==
        "{'params': {'Inner_0': {'Dense_0': {'kernel': (1, 1)}}, 'Inner_1': {'Dense_0': {'kernel': (1, 1)}}, "
        "'first': {'Dense_0': {'kernel': (3, 1)}}}}");
}

TEST_CASE("the outermost module lives at the root, entered or not") {
  CHECK(shapes_of(Inner{}) == "{'params': {'Dense_0': {'kernel': (3, 1)}}}");
  CHECK(shapes_of(Inner{.name = "ignored"}) == "{'params': {'Dense_0': {'kernel': (3, 1)}}}");
  CHECK(shapes_of(Loose{}) == "{'params': {'Dense_0': {'kernel': (3, 1)}, 'Dense_1': {'kernel': (1, 1)}}}");
  CHECK(shapes_of(nn::Dense{.features = 2}) == "{'params': {'bias': (2,), 'kernel': (3, 2)}}");
}

TEST_CASE("a module that does not enter a scope uses its caller's names") {
  CHECK(shapes_of([](nn::Scope& scope, const Array& x) { return Loose{}(scope, dense(scope, x)); }) ==
        "{'params': {'Dense_0': {'kernel': (3, 1)}, 'Dense_1': {'kernel': (1, 1)}, 'Dense_2': {'kernel': (1, 1)}}}");
}

TEST_CASE("a module inside one of its own type gets a name of its own") {
  struct Nest {
    int depth;
    Array operator()(nn::Scope& parent, const Array& x) const {
      nn::Scope scope = parent.enter(*this);
      return depth == 0 ? dense(scope, x) : Nest{depth - 1}(scope, x);
    }
  };
  CHECK(shapes_of(Nest{2}) == "{'params': {'Nest_0': {'Nest_0': {'Dense_0': {'kernel': (3, 1)}}}}}");
}

TEST_CASE("functions and lambdas are modules, and `named` gives them a scope") {
  const auto twice = [](nn::Scope& scope, const Array& x) { return dense(scope, dense(scope, x)); };
  CHECK(shapes_of([&](nn::Scope& scope, const Array& x) {
          return nn::named("other", Inner{})(scope, nn::named("encoder", twice)(scope, x));
        }) ==
        "{'params': {'encoder': {'Dense_0': {'kernel': (3, 1)}, 'Dense_1': {'kernel': (1, 1)}}, "
        "'other': {'Dense_0': {'kernel': (1, 1)}}}}");
  CHECK(shapes_of(static_cast<Array (*)(nn::Scope&, const Array&)>([](nn::Scope& scope, const Array& x) {
          return dense(scope, x);
        })) == "{'params': {'Dense_0': {'kernel': (3, 1)}}}");
}

TEST_CASE("share names a module once and calls it often") {
  const auto tied = [](nn::Scope& scope, const Array& x) {
    const auto layer = scope.share(nn::Dense{.features = 3});
    const auto block = scope.share(Inner{});
    return nn::Dense{.features = 3}(scope, layer(layer(x)) + block(x) + block(x));
  };
  CHECK(shapes_of(tied) ==
        "{'params': {'Dense_0': {'bias': (3,), 'kernel': (3, 3)}, 'Dense_1': {'bias': (3,), 'kernel': (3, 3)}, "
        "'Inner_0': {'Dense_0': {'kernel': (3, 1)}}}}");
  // The gradient of the shared kernel collects both uses: y = (x k) k at k = 3 gives 2 x k.
  const auto square_of = [](nn::Scope& scope, const Array& x) {
    const auto layer = scope.share(nn::Dense{.features = 1, .use_bias = false});
    return layer(layer(x));
  };
  const Tree params = {{"Dense_0", {{"kernel", Array{{3.0}}}}}};
  const auto [value, grads] =
      value_and_grad([&](const Tree& p) { return sum(nn::apply(square_of, {{"params", p}}, Array{{2.0}})); })(params);
  CHECK(value.item<float>() == 18.0F);
  CHECK(grads.at("Dense_0/kernel").array().item<float>() == 12.0F);
}

TEST_CASE("share takes a name, and a Model for the module that it holds") {
  const auto module = [](nn::Scope& scope, const Array& x) {
    const auto first = scope.share(nn::Dense{.features = 3, .name = "ignored"}, "given");
    const auto second = scope.share(nn::Model(nn::Dense{.features = 3}));
    const auto third = scope.share(nn::Model(nn::Dense{.features = 3, .name = "own"}));
    CHECK(first.name() == "given");
    CHECK(second.name() == "Dense_0");
    CHECK(third.name() == "own");
    return first(second(second(third(x))));
  };
  CHECK(nn::init(module, random::key(0), x23)["params"].keys() == std::vector<std::string>{"Dense_0", "given", "own"});
}

TEST_CASE("a shared module can be called by another method, and with other variables") {
  const auto tied = [](nn::Scope& scope, const Array& ids) {
    const auto embed = scope.share(nn::Embed{.num_embeddings = 4, .features = 2});
    return embed.call(&nn::Embed::attend, embed(ids));
  };
  const Array ids{0, 3};
  const Tree variables = nn::init(tied, random::key(0), ids);
  CHECK(tree::shapes(variables) == "{'params': {'Embed_0': {'embedding': (4, 2)}}}");
  CHECK(nn::apply(tied, variables, ids).shape() == Shape{2, 4});

  const auto doubled = [](nn::Scope& scope, const Array& x) {
    const auto layer = scope.share(nn::Dense{.features = 1, .use_bias = false});
    const Array before = layer(x);
    layer.set_variables(tree::map([](const Array& w) { return 2.0 * w; }, layer.variables()));
    return layer(x) - before;
  };
  const Tree one = {{"params", Tree{{"Dense_0", Tree{{"kernel", Array{{1.0}}}}}}}};
  CHECK(identical(nn::apply(doubled, one, Array{{3.0}}), Array{{3.0}}));
  // Who asks for the parameters gets those that were put in place.
  const auto [y, updates] = nn::apply(doubled, one, nn::mutable_({"params"}), Array{{3.0}});
  CHECK(updates.at("params/Dense_0/kernel").array().item<float>() == 2.0F);
  const auto untouched = [](nn::Scope& scope, const Array& x) {
    CHECK(scope.share(nn::Dense{.features = 1}).variables().empty());
    return x;
  };
  CHECK(nn::init(untouched, random::key(0), x23).empty());
}

TEST_CASE("the name of a variable is one key, whatever it holds") {
  const auto module = [](nn::Scope& scope, const Array& x) {
    const Array a = scope.param("a", nn::initializers::ones(), {});
    const Array b = scope.param("a/b", nn::initializers::zeros(), {});
    const nn::Variable count = scope.variable("state", "a/count", [] { return Array(0); });
    CHECK(scope.has_variable("state", "a/count"));
    count.set(count.value() + 1);
    return x * a + b;
  };
  const Tree variables = nn::init(module, random::key(0), x23);
  CHECK(variables["params"].keys() == std::vector<std::string>{"a", "a/b"});
  const auto [y, updates] = nn::apply(module, variables, nn::mutable_({"state"}), x23);
  CHECK(updates["state"]["a/count"].array().item<int>() == 2);
  CHECK(identical(y, x23));
}

TEST_CASE("names clash loudly") {
  const auto clash = [](auto&& body) {
    return error_of<nn::NameInUseError>([&] { return nn::init(body, random::key(0), x23); });
  };
  const std::string shared_hint =
      "\n  hint: to call one submodule several times with the same parameters, make it with scope.share";
  CHECK(clash([](nn::Scope& scope, const Array& x) { return dense(scope, dense(scope, x, "a"), "a"); }) ==
        "[Scope] The name \"a\" is in use." + shared_hint);
  CHECK(clash([](nn::Scope& scope, const Array& x) { return dense(scope, dense(scope, x, "Dense_0")); }) ==
        "[Scope] The name \"Dense_0\" is in use." + shared_hint);
  CHECK(clash([](nn::Scope& scope, const Array& x) { return dense(scope, dense(scope, x), "Dense_0"); }) ==
        "[Scope] The name \"Dense_0\" is in use." + shared_hint);
  CHECK(clash([](nn::Scope& parent, const Array& x) {
          nn::Scope scope = parent.child("outer");
          return dense(scope, dense(scope, x, "a"), "a");
        }) == "[Scope] The name \"a\" is in use.\n  at: outer" + shared_hint);
  const std::string variable_hint = "\n  hint: every variable and submodule of a module needs a name of its own";
  CHECK(clash([](nn::Scope& scope, const Array& x) {
          (void)scope.param("w", nn::initializers::zeros(), {1});
          return x + scope.param("w", nn::initializers::zeros(), {1});
        }) == "[Scope] The name \"w\" is in use." + variable_hint);
  CHECK(clash([](nn::Scope& scope, const Array& x) {
          const Array y = dense(scope, x, "w");
          return y + scope.param("w", nn::initializers::zeros(), {1});
        }) == "[Scope] The name \"w\" is in use." + variable_hint);
  CHECK(clash([](nn::Scope& scope, const Array& x) {
          const Array w = scope.param("w", nn::initializers::zeros(), {1});
          return dense(scope, x, "w") + w;
        }) == "[Scope] The name \"w\" is in use." + shared_hint);
}

TEST_CASE("one name may stand in several collections") {
  const auto module = [](nn::Scope& scope, const Array& x) {
    const nn::Variable state = scope.variable("state", "w", [] { return Array(1.0); });
    return x + scope.param("w", nn::initializers::zeros(), {1}) + state.value();
  };
  CHECK(shapes_of(module) == "{'params': {'w': (1,)}, 'state': {'w': ()}}");
}

TEST_CASE("scopes know where they are and what they may do") {
  std::string path;
  bool initializing = false, params_mutable = true, state_mutable = false, has_w = true, has_dropout = true;
  const auto module = [&](nn::Scope& scope, const Array& x) {
    CHECK(scope.path() == "");
    nn::Scope outer = scope.child("outer");
    const auto inner = [&](nn::Scope& inside) {
      nn::Scope own = inside.child("inner");
      path = own.path();
      return 0;
    };
    inner(outer);
    initializing = scope.is_initializing();
    params_mutable = scope.is_mutable("params");
    state_mutable = scope.is_mutable("state");
    has_w = scope.has_variable("params", "w");
    has_dropout = scope.has_rng("dropout");
    return x;
  };
  CHECK(identical(nn::apply(module, {{"params", {{"w", x23}}}}, nn::mutable_({"state"}), x23).first, x23));
  CHECK(path == "outer/inner");
  CHECK(!initializing);
  CHECK(!params_mutable);
  CHECK(state_mutable);
  CHECK(has_w);
  CHECK(!has_dropout);
  CHECK(nn::init(module, nn::rngs({{"dropout", random::key(0)}}), x23).empty());
  CHECK(initializing);
  CHECK(params_mutable);
  CHECK(!has_w);
  CHECK(has_dropout);
}

// ---- collections ----

namespace {

/// Counts its calls in the collection "counts".
Array counter(nn::Scope& scope, const Array& x) {
  const nn::Variable calls = scope.variable("counts", "calls", [] { return Array(0); });
  if (!scope.is_initializing()) calls.set(calls.value() + 1);
  return x * calls.value();
}

}  // namespace

TEST_CASE("apply changes nothing and gives back what the module changed") {
  const Tree variables = nn::init(counter, random::key(0), Array(1.0));
  CHECK(tree::shapes(variables) == "{'counts': {'calls': ()}}");
  const auto [y, updates] = nn::apply(counter, variables, nn::mutable_({"counts"}), Array(2.0));
  CHECK(y.item<float>() == 2.0F);
  CHECK(updates.at("counts/calls").array().item<int>() == 1);
  CHECK(variables.at("counts/calls").array().item<int>() == 0);
  const auto [z, later] = nn::apply(counter, variables.merge(updates), nn::mutable_({"counts"}), Array(2.0));
  CHECK(z.item<float>() == 4.0F);
  CHECK(later.at("counts/calls").array().item<int>() == 2);
}

TEST_CASE("mutable names the collections that come back, whole") {
  const Tree variables = {{"counts", {{"calls", Array(5)}, {"untouched", Array(7)}}}, {"params", {{"w", Array(1.0)}}}};
  const auto updates_of = [&](const nn::Mutable& filter) {
    return tree::shapes(nn::apply(counter, variables, filter, Array(1.0)).second);
  };
  CHECK(updates_of(nn::mutable_({"counts"})) == "{'counts': {'calls': (), 'untouched': ()}}");
  CHECK(updates_of(nn::mutable_({"counts", "absent"})) == "{'counts': {'calls': (), 'untouched': ()}}");
  CHECK(updates_of(nn::mutable_(true)) == "{'counts': {'calls': (), 'untouched': ()}, 'params': {'w': ()}}");
  CHECK(updates_of(nn::Mutable::all_except({"params"})) == "{'counts': {'calls': (), 'untouched': ()}}");
  // Nothing mutable still gives a pair.
  const auto reader = [](nn::Scope& scope, const Array& x) {
    return x + scope.variable("counts", "calls", [] { return Array(0); }).value();
  };
  const auto [y, updates] = nn::apply(reader, variables, nn::mutable_({}), Array(1.0));
  CHECK(y.item<float>() == 6.0F);
  CHECK(updates.empty());
  CHECK(!updates.is_leaf());
}

TEST_CASE("a mutable collection that was not passed begins anew") {
  const auto [y, updates] = nn::apply(counter, {}, nn::mutable_({"counts"}), Array(1.0));
  CHECK(updates.at("counts/calls").array().item<int>() == 1);
}

TEST_CASE("apply({}, all mutable) differs from init for modules that ask which it is") {
  const nn::BatchNorm norm{.use_running_average = false};
  const Tree made = nn::init(norm, random::key(0), x23);
  support::check_near(made.at("batch_stats/mean").array(), zeros({3}));
  const auto [y, applied] = nn::apply(norm, {}, nn::mutable_(true), nn::rngs({{"params", random::key(0)}}), x23);
  CHECK(made.same_structure(applied));
  support::check_near(applied.at("batch_stats/mean").array(), Array{0.025, 0.035, 0.045});
  support::check_near(applied.at("batch_stats/var").array(), Array{1.0125, 1.0125, 1.0125});
}

TEST_CASE("init keeps no intermediates") {
  const auto module = [](nn::Scope& scope, const Array& x) {
    if (scope.is_mutable("intermediates")) (void)scope.variable("intermediates", "x", [&] { return x; });
    return x;
  };
  CHECK(nn::init(module, random::key(0), x23).empty());
  CHECK(nn::apply(module, {}, nn::mutable_({"intermediates"}), x23).second.contains("intermediates/x"));
}

TEST_CASE("sown values are appended, and only for a call that asks for them") {
  const auto module = [](nn::Scope& scope, const Array& x) {
    const auto twice = scope.share(
        [](nn::Scope& inner, const Array& y) { return inner.sow("intermediates", "y", y) ? 2 * y : y; }, "twice");
    const Array y = twice(x);
    return twice(y);
  };
  CHECK(nn::init(module, random::key(0), x23).empty());
  CHECK(identical(nn::apply(module, {}, x23), x23));
  const auto [y, kept] = nn::apply(module, {}, nn::mutable_({"intermediates"}), x23);
  CHECK(identical(y, 4 * x23));
  CHECK(identical(kept, {{"intermediates", {{"twice", {{"y", {{"0", x23}, {"1", 2 * x23}}}}}}}}));
  // As in Flax, what was passed stays in front.
  const Tree more = nn::apply(module, kept, nn::mutable_({"intermediates"}), x23).second;
  CHECK(more.at("intermediates/twice/y").keys() == std::vector<std::string>{"0", "1", "2", "3"});
  CHECK(identical(more.at("intermediates/twice/y/3").array(), 2 * x23));
  const auto gradient = jit(grad([&](const Array& x) {
    return sum(nn::apply(module, {}, nn::mutable_({"intermediates"}), x).second.at("intermediates/twice/y/1").array());
  }));
  CHECK(identical(gradient(x23), full({2, 3}, 2.0)));
}

TEST_CASE("sown values may be joined otherwise, and be trees") {
  const auto module = [](nn::Scope& scope, const Array& x) {
    const auto add = [](const Tree& a, const Tree& b) {
      return tree::map([](const Array& p, const Array& q) { return p + q; }, a, b);
    };
    for (int i = 0; i < 3; ++i) scope.sow("sums", "x", Tree{{"a", x}}, add, Tree{{"a", zeros_like(x)}});
    scope.sow("sums", "last", x, [](const Tree&, const Tree& value) { return value; }, {});
    return x;
  };
  CHECK(identical(nn::init(module, random::key(0), x23), {{"sums", {{"last", x23}, {"x", {{"a", 3 * x23}}}}}}));
}

TEST_CASE("what is sown needs a name of its own, and a place that can grow") {
  const auto clash = [](nn::Scope& scope, const Array& x) {
    scope.sow("intermediates", "w", x);
    return dense(scope, x, "w");
  };
  CHECK(nn::init(clash, random::key(0), x23).contains("params/w"));
  CHECK(error_of<nn::NameInUseError>([&] {
          (void)nn::apply(clash, {}, nn::mutable_(true), nn::rngs({{"params", random::key(0)}}), x23);
        }).starts_with("[Scope] The name \"w\" is in use."));
  const auto grows = [](nn::Scope& scope, const Array& x) {
    scope.sow("intermediates", "x", x);
    return x;
  };
  CHECK(error_of<StructureError>([&] {
          return nn::apply(grows, {{"intermediates", {{"x", Array(1.0)}}}}, nn::mutable_({"intermediates"}), x23);
        }) ==
        "[sow] \"x\" is a single Array, to which nothing can be appended.\n"
        "  at: x\n"
        "  got: float32[]\n"
        "  hint: pass a function that joins both, or sow under another name");
}

TEST_CASE("writing to a collection that apply does not return is refused") {
  const Tree variables = {{"counts", {{"calls", Array(0)}}}};
  CHECK(error_of<nn::ImmutableCollectionError>([&] { return nn::apply(counter, variables, Array(1.0)); }) ==
        "[apply] Cannot update \"calls\": the collection \"counts\" is immutable.\n"
        "  hint: pass nn::mutable_({\"counts\"}) and keep the updates that apply returns, or run the module in a mode "
        "that does "
        "not update (use_running_average = true for BatchNorm)");
  const models::MLP mlp;
  const Tree made = nn::init(mlp, random::key(0), x23, true);
  CHECK(error_of<nn::ImmutableCollectionError>([&] { return nn::apply(mlp, made, x23, true); }) ==
        "[apply] Cannot update \"mean\": the collection \"batch_stats\" is immutable.\n"
        "  at: BatchNorm_0\n"
        "  hint: pass nn::mutable_({\"batch_stats\"}) and keep the updates that apply returns, or run the module in a "
        "mode that "
        "does not update (use_running_average = true for BatchNorm)");
  CHECK(nn::apply(mlp, made, x23, false).shape() == Shape{2, 1});
}

TEST_CASE("missing variables are named with their place") {
  const models::MLP mlp;
  const Tree made = nn::init(mlp, random::key(0), x23, true);
  CHECK(error_of<nn::MissingVariableError>([&] { return nn::apply(mlp, {{"params", made["params"]}}, x23, false); }) ==
        "[apply] Cannot read \"mean\": the collection \"batch_stats\" is empty.\n"
        "  at: BatchNorm_0\n"
        "  got: collections params\n"
        "  expected: batch_stats\n"
        "  hint: pass {\"batch_stats\", ...} among the variables");
  CHECK(error_of<nn::MissingVariableError>(
            [&] { return nn::apply(mlp, made.erase("params/Dense_1/kernel"), x23, false); }) ==
        "[apply] There is no \"kernel\" in the collection \"params\".\n"
        "  at: Dense_1\n"
        "  got: bias\n"
        "  expected: kernel\n"
        "  hint: are these the variables of this model? Names follow the order in which submodules are called");
  CHECK(error_of<nn::MissingVariableError>([&] { return nn::apply(mlp, made.erase("params/Dense_0"), x23, false); }) ==
        "[apply] There is no \"kernel\" in the collection \"params\".\n"
        "  at: Dense_0\n"
        "  got: nothing under this module\n"
        "  expected: kernel\n"
        "  hint: are these the variables of this model? Names follow the order in which submodules are called");
  CHECK(error_of<nn::MissingVariableError>([&] { return nn::apply(nn::Dense{.features = 1}, {}, x23); }) ==
        "[apply] Cannot read \"kernel\": the collection \"params\" is empty.\n"
        "  at: the root module\n"
        "  got: no collections\n"
        "  expected: params\n"
        "  hint: pass {\"params\", ...} among the variables");
}

TEST_CASE("parameters of another shape than the module would make are refused") {
  const Tree made = nn::init(models::MLP{}, random::key(0), x23, true);
  CHECK(error_of<nn::ParamShapeError>([&] { return nn::apply(models::MLP{}, made, zeros({2, 5}), false); }) ==
        "[apply] The parameter \"kernel\" has the wrong shape.\n"
        "  at: Dense_0/kernel\n"
        "  got: (3, 4)\n"
        "  expected: (5, 4), from the module's settings and its input");
  CHECK_THROWS_AS((void)nn::apply(models::MLP{}, made, zeros({2, 5}), false), ShapeError);
  CHECK(error_of<nn::ParamShapeError>(
            [&] { return nn::apply(models::MLP{}, made.set("batch_stats/BatchNorm_0/var", ones({1})), x23, false); }) ==
        "[BatchNorm] The running statistics have the wrong shape.\n"
        "  at: BatchNorm_0\n"
        "  got: (1,)\n"
        "  expected: (4,)");
}

TEST_CASE("variables must be a tree of collections, given once") {
  const nn::Dense layer{.features = 1};
  const Tree made = nn::init(layer, random::key(0), x23);
  CHECK(error_of<StructureError>([&] { return nn::apply(layer, {{"params", made}}, x23); }) ==
        "[apply] The collection \"params\" holds itself: params/params.\n"
        "  hint: pass variables[\"params\"] as {\"params\", ...}, not the whole tree");
  const Tree with_statistics = nn::init(models::MLP{}, random::key(0), x23, true);
  CHECK(error_of<StructureError>([&] { return nn::apply(models::MLP{}, {{"params", with_statistics}}, x23, false); }) ==
        "[apply] The collection \"params\" holds itself: params/params.\n"
        "  hint: pass variables[\"params\"] as {\"params\", ...}, not the whole tree");
  CHECK(error_of<StructureError>([&] { return nn::apply(layer, Tree(x23), x23); }) ==
        "[apply] The variables must be a tree of collections.\n"
        "  got: float32[2,3]");
  CHECK(error_of<StructureError>([&] { return nn::apply(layer, {{"params", x23}}, x23); }) ==
        "[apply] The collection \"params\" must be a tree.\n"
        "  got: float32[2,3]\n"
        "  expected: {{\"params\", params}, ...}");
  // Whatever else is passed is ignored.
  CHECK(nn::apply(layer, made.set("params/other", x23).set("cache/x", x23), x23).shape() == Shape{2, 1});
}

TEST_CASE("a dictionary where a parameter should be is refused") {
  const nn::Dense layer{.features = 1};
  const Tree made = nn::init(layer, random::key(0), x23);
  CHECK_THROWS_AS((void)nn::apply(layer, made.set("params/kernel", Tree{{"a", x23}}), x23), StructureError);
}

// ---- keys ----

TEST_CASE("a stream that was not passed falls back to params, or is missed") {
  const nn::Dropout dropout{.rate = 0.5, .deterministic = false};
  const auto inside = [&](nn::Scope& scope, const Array& x) { return dropout(scope, x); };
  CHECK(error_of<nn::MissingRngError>([&] { return nn::apply(inside, {}, x23); }) ==
        "[apply] A key of the stream \"dropout\" is needed.\n"
        "  at: Dropout_0\n"
        "  hint: pass nn::rngs({{\"dropout\", key}})");
  const Array key = random::key(3);
  const Array x = ones({100});
  CHECK(identical(nn::apply(inside, {}, nn::rngs({{"params", key}}), x),
                  nn::apply(inside, {}, nn::rngs({{"dropout", key}}), x)));
  CHECK(!identical(nn::apply(inside, {}, nn::rngs({{"dropout", random::key(4)}}), x),
                   nn::apply(inside, {}, nn::rngs({{"dropout", key}}), x)));
  // The same call draws the same numbers.
  CHECK(identical(nn::apply(inside, {}, nn::rngs({{"dropout", key}}), x),
                  nn::apply(inside, {}, nn::rngs({{"dropout", key}}), x)));
}

TEST_CASE("a stream passed with params keeps counters of its own") {
  const auto draws = [](nn::Scope& scope) {
    return stack({scope.make_rng("params"), scope.make_rng("noise"), scope.make_rng("params")});
  };
  const Array key = random::key(0);
  const Array separate = nn::apply(draws, {}, nn::rngs({{"params", key}, {"noise", key}}));
  const Array together = nn::apply(draws, {}, nn::rngs({{"params", key}}));
  const auto row = [](const Array& rows, int i) { return slice_axis(rows, 0, i, i + 1); };
  CHECK(identical(row(separate, 0), row(separate, 1)));  // both are draw 1 of the same key
  CHECK(!identical(row(together, 0), row(together, 1)));
  CHECK(identical(row(together, 1), row(separate, 2)));  // draw 2
}

TEST_CASE("init without a key is possible only without parameters") {
  CHECK(error_of<nn::MissingRngError>([] { return nn::init(nn::Dense{.features = 1}, nn::Rngs{}, x23); }) ==
        "[apply] A key of the stream \"params\" is needed.\n"
        "  hint: pass nn::rngs({{\"params\", key}})");
}

// ---- errors on the way ----

TEST_CASE("errors of ops learn the module in which they happened") {
  struct Wrong {
    std::string name = {};
    Array operator()(nn::Scope& parent, const Array& x) const {
      nn::Scope scope = parent.enter(*this);
      return x + zeros({7});
    }
  };
  const auto module = [](nn::Scope& scope, const Array& x) {
    (void)dense(scope, x);
    nn::Scope outer = scope.child("outer");
    return Wrong{}(outer, x);
  };
  CHECK(error_of<ShapeError>([&] { return nn::init(module, random::key(0), x23); }) ==
        "[add] Shapes do not broadcast.\n"
        "  at: outer/Wrong_0\n"
        "  got: (2, 3) and (7,)\n"
        "  expected: equal extents, or 1, counted from the last axis");
}

TEST_CASE("init_with_output gives both") {
  const auto [y, variables] = nn::init_with_output(nn::Dense{.features = 2}, random::key(0), x23);
  CHECK(identical(variables, nn::init(nn::Dense{.features = 2}, random::key(0), x23)));
  CHECK(identical(y, nn::apply(nn::Dense{.features = 2}, variables, x23)));
}

TEST_CASE("modules take and give any pytree") {
  struct Pair {
    Array left, right;
  };
  const auto module = [](nn::Scope& scope, const Pair& pair) {
    return std::tuple{dense(scope, pair.left), Tree{{"right", dense(scope, pair.right)}}};
  };
  const auto [output, variables] = nn::init_with_output(module, random::key(0), Pair{x23, zeros({1, 4})});
  CHECK(std::get<0>(output).shape() == Shape{2, 1});
  CHECK(std::get<1>(output)["right"].array().shape() == Shape{1, 1});
  CHECK(tree::shapes(variables, 1000) == "{'params': {'Dense_0': {'kernel': (3, 1)}, 'Dense_1': {'kernel': (4, 1)}}}");
}

TEST_CASE("init and apply run under jit, where no collection is lost") {
  const Tree variables = nn::init(models::MLP{}, random::key(0), x23, true);
  const auto step = jit([](const Tree& all, const Array& x) {
    return nn::apply(models::MLP{}, all, nn::mutable_({"batch_stats"}), x, true);
  });
  const auto [y, updates] = step(variables, x23);
  const auto [y_eager, updates_eager] = nn::apply(models::MLP{}, variables, nn::mutable_({"batch_stats"}), x23, true);
  CHECK(identical(y, y_eager));
  CHECK(identical(updates, updates_eager));
}
