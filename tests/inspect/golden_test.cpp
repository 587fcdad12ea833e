// Module tables, captured values and perturbations, as Flax has them.
#include <doctest/doctest.h>
#include <fmt/ranges.h>

#include <linseed/inspect/tabulate.hpp>
#include <linseed/random/random.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "nn/models.hpp"
#include "random/golden_arrays.hpp"
#include "support.hpp"

using namespace linseed;
using golden::json;

namespace {

/// Calls `use` with the model of this name.
template <class Use>
void with_model(const std::string& name, const Use& use) {
  if (name == "mlp") return use(models::MLP{});
  if (name == "bn_lenet") return use(models::BNLeNet{});
  if (name == "nested") return use(models::Nested{});
  if (name == "shared") return use(models::Shared{});
  if (name == "names") return use(models::Names{});
  if (name == "sequential_inside") return use(models::SequentialInside{});
  if (name == "resnet") return use(models::ResNet{});
  if (name == "encoder") return use(models::Encoder{});
  FAIL("no model " << name);
}

const auto& golden_file() { return golden::load("inspect.json"); }

std::vector<std::string> lines_of(const inspect::ModuleTable& table) {
  std::vector<std::string> lines;
  for (const inspect::ModuleRow& row : table.rows) {
    std::string line =
        fmt::format("{} {} {} -> {}", row.path, row.module, fmt::join(row.inputs, " "), fmt::join(row.outputs, " "));
    for (const auto& [collection, own] : row.variables.entries())
      if (own.element_count() > 0)
        line += fmt::format(" {} {} ({} bytes)", collection, own.element_count(), inspect::byte_count(own));
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> lines_of(const json& rows) {
  std::vector<std::string> lines;
  for (const json& row : rows) {
    std::string line =
        fmt::format("{} {} {} -> {}", row.at("path").get<std::string>(), row.at("module").get<std::string>(),
                    fmt::join(row.at("inputs").get<std::vector<std::string>>(), " "),
                    fmt::join(row.at("outputs").get<std::vector<std::string>>(), " "));
    for (const auto& [collection, size] : row.at("sizes").items())
      line += fmt::format(" {} {} ({} bytes)", collection, size.at(0).get<int>(), size.at(1).get<int>());
    lines.push_back(line);
  }
  return lines;
}

struct Stepped {
  Array operator()(nn::Scope& scope, const Array& tokens, bool) const {
    const auto embed = scope.share(nn::Embed{.num_embeddings = 5, .features = 3});
    const Array x = embed(tokens);
    const auto cell = scope.share(nn::LSTMCell{.features = 3});
    nn::LSTMCarry carry{zeros_like(x), zeros_like(x) + 1};
    Array y;
    for (int step = 0; step < 2; ++step) std::tie(carry, y) = cell(carry, x);
    return embed.call(&nn::Embed::attend, y);
  }
};

struct Perturbed {
  Array operator()(nn::Scope& scope, Array x, bool) const {
    const auto dense = scope.share(nn::Dense{.features = 4});
    x = scope.perturb("first", dense(x));
    scope.sow("intermediates", "hidden", x);
    x = scope.perturb("second", tanh(dense(x)));
    scope.sow("intermediates", "hidden", x);
    return nn::Dense{.features = 2}(scope, x);
  }
};

}  // namespace

TEST_CASE("module tables have Flax's rows") {
  for (const json& entry : golden_file().where("kind", "tabulate")) {
    CAPTURE(entry.at("name").get<std::string>());
    const inspect::TabulateOptions options{
        .depth = entry.contains("depth") ? std::optional(entry.at("depth").get<int>()) : std::nullopt,
        .show_repeated = entry.value("show_repeated", false)};
    with_model(entry.at("model"), [&](const auto& model) {
      const auto table =
          inspect::tabulate(options, model, nn::rngs({{"params", random::key(0)}, {"dropout", random::key(1)}}),
                            zeros(golden::extents(entry.at("shape"))), true);
      CHECK(lines_of(table) == lines_of(entry.at("rows")));
      CHECK(table.to_string().find("Total Parameters: " + entry.at("text").at("total").get<std::string>() + "\n") !=
            std::string::npos);
    });
  }
}

TEST_CASE("capture_intermediates keeps what Flax keeps") {
  const golden::Measured measured("flax.linen.Module.apply");
  for (const json& entry : golden_file().where("kind", "capture")) {
    CAPTURE(entry.at("name").get<std::string>());
    nn::CaptureFilter filter;
    if (entry.contains("only")) {
      filter = [only = entry.at("only").get<std::string>()](const nn::ModuleCall& call) {
        return call.method == "__call__" && call.module == only;
      };
    }
    with_model(entry.at("model"), [&](const auto& model) {
      const Tree variables = support::tree_of(entry.at("variables"));
      const Array x = support::array_of(entry.at("x"));
      const auto call = [&](const Tree& given, const Array& input) {
        return nn::apply(model, given, nn::capture_intermediates(filter), input, false);
      };
      const Tree expected = support::tree_of(entry.at("intermediates"));  // in float64
      const auto wide = [](const Array& a) { return astype(a, float64); };
      const auto exact = call(tree::map(wide, variables), wide(x)).second["intermediates"];
      support::check_near(exact, expected, 1e-12, 1e-12);
      const auto [y, updates] = call(variables, x);
      CHECK(updates.keys() == std::vector<std::string>{"intermediates"});
      CHECK(identical(y, nn::apply(model, variables, x, false)));
      // The encoder's norms of four features magnify rounding: Flax's own float32 is 2e-5 away from its float64.
      const double tolerance = entry.at("model") == "encoder" ? 1e-4 : 1e-5;
      const auto narrow = [](const Array& a) { return astype(a, float32); };
      const Tree rounded = tree::map(narrow, expected);
      support::check_near(updates["intermediates"], rounded, tolerance, tolerance / 10);
      support::check_near(jit(call)(variables, x).second["intermediates"], rounded, tolerance, tolerance / 10);
    });
  }
}

TEST_CASE("structures and methods are captured under Flax's names") {
  const json& entry = golden_file()["capture/methods"];
  const auto both = [](const nn::ModuleCall& call) { return call.method == "__call__" || call.method == "attend"; };
  const Tree variables = support::tree_of(entry.at("variables"));
  const Array tokens = support::array_of(entry.at("x"));
  const Tree expected = support::tree_of(entry.at("intermediates"));
  const auto captured = [&](const nn::CaptureFilter& filter) {
    return nn::apply(Stepped{}, variables, nn::capture_intermediates(filter), tokens, false).second["intermediates"];
  };
  support::check_near(captured(both), expected, 1e-5, 1e-6);
  support::check_near(captured({}), expected.erase("Embed_0/attend"), 1e-5, 1e-6);
}

TEST_CASE("gradients by perturbations are gradients by hidden values") {
  const golden::Measured measured("flax.linen.Module.perturb");
  const json& entry = golden_file()["perturb"];
  const Tree expected_variables = support::tree_of(entry.at("variables"));
  const Array x = support::array_of(entry.at("x"));
  support::check_near(nn::init(Perturbed{}, random::key(0), x, false), expected_variables, 1e-6);

  const auto loss = [&](const Tree& params, const Tree& perturbations) {
    auto [y, updates] = nn::apply(Perturbed{}, {{"params", params}, {"perturbations", perturbations}},
                                  nn::mutable_({"intermediates"}), x, true);
    return std::pair(sum(support::array_of(entry.at("weights")) * square(y)), updates["intermediates"]);
  };
  const auto step = value_and_grad(loss, argnums<0, 1>);
  const auto check = [&](const auto& result) {
    const auto& [value, grads] = result;
    support::check_near(value.first, support::array_of(entry.at("loss")), 1e-5);
    support::check_near(value.second, support::tree_of(entry.at("intermediates")), 1e-5);
    support::check_near(std::get<0>(grads), support::tree_of(entry.at("params_grad")), 1e-5, 4e-6);
    support::check_near(std::get<1>(grads), support::tree_of(entry.at("perturbations_grad")), 1e-5, 4e-6);
  };
  const Tree shifted = support::tree_of(entry.at("shifted"));
  check(step(expected_variables["params"], shifted));
  check(jit(step)(expected_variables["params"], shifted));
}

TEST_CASE("perturbations are all there or none") {
  const Array x = ones({3, 4});
  const Tree variables = nn::init(Perturbed{}, random::key(0), x, false);
  const Tree params = Tree{{"params", variables["params"]}};
  CHECK(identical(nn::apply(Perturbed{}, params, x, false), nn::apply(Perturbed{}, variables, x, false)));
  CHECK(support::error_of<nn::MissingVariableError>(
            [&] { return nn::apply(Perturbed{}, variables.erase("perturbations/second"), x, false); }) ==
        "[apply] There is no \"second\" in the collection \"perturbations\".\n  at: the root module\n  got: first\n"
        "  expected: second\n  hint: are these the variables of this model? Names follow the order in which submodules "
        "are called");
}
