// Which outputs capture_intermediates keeps, and beside what. Values are compared with Flax in tests/inspect.
#include <doctest/doctest.h>

#include <linseed/nn/module.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/random/random.hpp>

#include "models.hpp"
#include "support.hpp"

using namespace linseed;

namespace {

using Words = std::vector<std::string>;

struct Silent {
  std::string name = {};

  Array operator()(nn::Scope& parent, const Array& x) const {
    nn::Scope scope = parent.enter(*this);
    return nn::Dense{.features = 2}(scope, x);
  }
};

struct Outspoken {
  std::string name = {};

  Array operator()(nn::Scope& parent, const Array& x) const {
    nn::Scope scope = parent.enter(*this);
    return scope.output(scope.output(x + 1) * 2);  // the first one counts
  }
};

const Array x = Array{{1.0, 2.0}, {3.0, 4.0}};

Words captured(const auto& model, const Array& input) {
  const Tree variables = nn::init(model, random::key(0), input);
  return nn::apply(model, variables, nn::capture_intermediates(), input).second["intermediates"].paths();
}

}  // namespace

TEST_CASE("modules take part by output, at the root, shared or named") {
  CHECK(captured(Silent{}, x) == Words{"Dense_0/__call__/0", "__call__/0"});  // the root is seen anyway
  const auto calls_all = [](nn::Scope& scope, const Array& input) {
    Array y = Silent{}(scope, input);
    y = Outspoken{}(scope, y);
    y = scope.share(Silent{}, "shared")(y);
    return nn::named("named", Silent{})(scope, y);
  };
  CHECK(captured(calls_all, x) == Words{"Outspoken_0/__call__/0", "Silent_0/Dense_0/__call__/0", "__call__/0",
                                        "named/Dense_0/__call__/0", "named/__call__/0", "shared/Dense_0/__call__/0",
                                        "shared/__call__/0"});
}

TEST_CASE("a module's first output is its output, once") {
  const auto [y, updates] = nn::apply(Outspoken{}, {}, nn::capture_intermediates(), x);
  CHECK(identical(y, (x + 1) * 2));
  CHECK(updates.paths() == Words{"intermediates/__call__/0"});
  CHECK(identical(updates.at("intermediates/__call__/0").array(), x + 1));
}

TEST_CASE("captured values come beside other mutable collections, and not without being asked for") {
  const Tree variables = nn::init(models::MLP{}, random::key(0), x, false);
  CHECK_FALSE(variables.contains("intermediates"));
  const auto keys = [&](const nn::Mutable& filter) {
    return nn::apply(models::MLP{}, variables, filter, x, true).second.keys();
  };
  CHECK(keys(nn::mutable_({"batch_stats"})) == Words{"batch_stats"});
  CHECK(keys(nn::capture_intermediates({}, {"batch_stats"})) == Words{"batch_stats", "intermediates"});
  const auto all = [](const nn::ModuleCall&) { return true; };
  CHECK(keys(nn::mutable_(true).capturing(all)) == Words{"batch_stats", "intermediates", "params"});
  CHECK(keys(nn::Mutable::all_except({"params", "intermediates"}).capturing(all)) ==
        Words{"batch_stats", "intermediates"});
  CHECK(support::error_of<nn::ImmutableCollectionError>([&] { return keys(nn::capture_intermediates()); }) !=
        "no error");
}

TEST_CASE("what was captured before is continued") {
  const Tree once = nn::apply(Outspoken{}, {}, nn::capture_intermediates(), x).second;
  const Tree twice = nn::apply(Outspoken{}, once, nn::capture_intermediates(), 2 * x).second;
  CHECK(twice.paths() == Words{"intermediates/__call__/0", "intermediates/__call__/1"});
  CHECK(identical(twice.at("intermediates/__call__/1").array(), 2 * x + 1));
}

TEST_CASE("filters see path, type and method") {
  Words seen;
  const auto note = [&](const nn::ModuleCall& call) {
    seen.push_back(fmt::format("{}:{}:{}", call.path, call.module, call.method));
    return false;
  };
  const Tree variables = nn::init(models::Nested{}, random::key(0), x, false);
  const auto [y, updates] = nn::apply(models::Nested{}, variables, nn::capture_intermediates(note), x, false);
  CHECK(updates.empty());
  CHECK(seen == Words{"Block_0/Dense_0:Dense:__call__", "Block_0/Dropout_0:Dropout:__call__", "Block_0:Block:__call__",
                      "Block_1/Dense_0:Dense:__call__", "Block_1/Dropout_0:Dropout:__call__", "Block_1:Block:__call__",
                      "head:Dense:__call__", ":Nested:__call__"});
}
