// Counting, and modules that do not say what they give.
#include <linseed/inspect/tabulate.hpp>

#include <doctest/doctest.h>

#include <linseed/inspect/flops.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/random/random.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "nn/models.hpp"
#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

/// Does not return through Scope::output.
struct Silent {
  std::string name = {};

  Array operator()(nn::Scope& parent, const Array& x, const Array& y) const {
    nn::Scope scope = parent.enter(*this);
    return nn::Dense{.features = 4}(scope, x) + y;
  }
};

struct AroundSilent {
  Array operator()(nn::Scope& scope, const Array& x) const { return nn::relu(Silent{}(scope, x, sum(x))); }
};

const inspect::ModuleRow& row_at(const inspect::ModuleTable& table, const std::string& path) {
  for (const auto& row : table.rows) {
    if (row.path == path) return row;
  }
  throw std::runtime_error("no row " + path);
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("FLOPs are twice the terms of products") {
  const Array a = ones({5, 7}), b = ones({7, 3}), image = ones({2, 8, 9, 6}), kernel = ones({3, 5, 2, 12});
  const auto product = [](const Array& x, const Array& y) { return dot(x, y); };
  CHECK(inspect::flops(make_program(product, a, b)) == 2 * 5 * 7 * 3);
  // A gradient by each operand: two more products of the same size.
  const auto loss = [&](const Array& x, const Array& y) { return sum(square(dot(x, y))); };
  CHECK(inspect::flops(make_program(grad(loss, argnums<0, 1>), a, b)) == 3 * 2 * 5 * 7 * 3);

  // Three groups, so that each of the 12 features sees 2 of 6 channels; 4 x 3 places.
  const ConvOptions options{.strides = {2, 3}, .padding = "SAME", .groups = 3};
  const auto convolve = [&](const Array& x, const Array& k) { return conv(x, k, options); };
  const std::int64_t forward = 2 * (2 * 4 * 3 * 12) * (3 * 5 * 2);
  CHECK(inspect::flops(make_program(convolve, image, kernel)) == forward);
  const auto conv_loss = [&](const Array& x, const Array& k) { return sum(square(conv(x, k, options))); };
  CHECK(inspect::flops(make_program(grad(conv_loss, argnums<0, 1>), image, kernel)) == 3 * forward);
  CHECK(inspect::flops(make_program([](const Array& x) { return exp(x) + 1; }, a)) == 0);
}

TEST_CASE("rows count their own variables and the products of the modules in them") {
  const std::int64_t batch = 4;
  const auto table = inspect::tabulate(models::BNLeNet{}, random::key(0), zeros({batch, 28, 28, 1}), true);
  const std::int64_t conv_0 = 2 * batch * 28 * 28 * 6 * 25, conv_1 = 2 * batch * 14 * 14 * 16 * 25 * 6;
  const std::int64_t dense = 2 * batch * (784 * 120 + 120 * 84 + 84 * 10);
  CHECK(row_at(table, "Conv_0").flops == conv_0);
  CHECK(row_at(table, "Conv_1").flops == conv_1);
  CHECK(row_at(table, "Dense_0").flops == 2 * batch * 784 * 120);
  CHECK(row_at(table, "BatchNorm_0").flops == 0);
  CHECK(row_at(table, "").flops == conv_0 + conv_1 + dense);
  CHECK(table.flops == conv_0 + conv_1 + dense);
  CHECK(table.collections == Words{"params", "batch_stats"});
  CHECK(table.variables["params"].element_count() ==
        (25 * 6 + 6) + 12 + (25 * 6 * 16 + 16) + 32 + (784 * 120 + 120) + 240 + (120 * 84 + 84) + 168 + (84 * 10 + 10));
  CHECK(inspect::byte_count(table.variables["batch_stats"]) == 4 * 2 * (6 + 16 + 120 + 84));
  CHECK_FALSE(table.variables.leaves().front().has_value());
}

TEST_CASE("what a silent module reads and gives is seen from the program") {
  const auto table = inspect::tabulate(AroundSilent{}, random::key(0), zeros({3, 2}));
  const inspect::ModuleRow& row = row_at(table, "Silent_0");
  CHECK(row.module == "Silent");
  CHECK(row.inputs == Words{"float32[3,2]", "float32[]"});
  CHECK(row.outputs == Words{"float32[3,4]"});
  CHECK(row.flops == 2 * 3 * 2 * 4);
}

TEST_CASE("the table prints types, counts and bytes") {
  const auto table = inspect::tabulate(models::MLP{}, random::key(0), zeros({256, 3}), false);
  CHECK(fmt::format("{}", table) == R"(MLP Summary
╭─────────────┬───────────┬────────────────┬────────────────┬───────┬──────────────────────┬──────────────────╮
│ path        │ module    │ inputs         │ outputs        │ FLOPs │ params               │ batch_stats      │
├─────────────┼───────────┼────────────────┼────────────────┼───────┼──────────────────────┼──────────────────┤
│             │ MLP       │ float32[256,3] │ float32[256,1] │ 8,192 │                      │                  │
├─────────────┼───────────┼────────────────┼────────────────┼───────┼──────────────────────┼──────────────────┤
│ Dense_0     │ Dense     │ float32[256,3] │ float32[256,4] │ 6,144 │ bias: float32[4]     │                  │
│             │           │                │                │       │ kernel: float32[3,4] │                  │
│             │           │                │                │       │                      │                  │
│             │           │                │                │       │ 16 (64 B)            │                  │
├─────────────┼───────────┼────────────────┼────────────────┼───────┼──────────────────────┼──────────────────┤
│ BatchNorm_0 │ BatchNorm │ float32[256,4] │ float32[256,4] │       │ bias: float32[4]     │ mean: float32[4] │
│             │           │                │                │       │ scale: float32[4]    │ var: float32[4]  │
│             │           │                │                │       │                      │                  │
│             │           │                │                │       │ 8 (32 B)             │ 8 (32 B)         │
├─────────────┼───────────┼────────────────┼────────────────┼───────┼──────────────────────┼──────────────────┤
│ Dense_1     │ Dense     │ float32[256,4] │ float32[256,1] │ 2,048 │ bias: float32[1]     │                  │
│             │           │                │                │       │ kernel: float32[4,1] │                  │
│             │           │                │                │       │                      │                  │
│             │           │                │                │       │ 5 (20 B)             │                  │
├─────────────┼───────────┼────────────────┼────────────────┼───────┼──────────────────────┼──────────────────┤
│             │           │                │ Total          │ 8,192 │ 29 (116 B)           │ 8 (32 B)         │
╰─────────────┴───────────┴────────────────┴────────────────┴───────┴──────────────────────┴──────────────────╯
Total Parameters: 37 (148 B)
)");
}

TEST_CASE("large counts and bytes are grouped and scaled as in Flax") {
  struct Large {
    Array operator()(nn::Scope& scope, const Array& x) const {
      return nn::Dense{.features = 1000, .use_bias = false}(scope, x);
    }
  };
  const std::string text = inspect::tabulate(Large{}, random::key(0), zeros({1, 1234})).to_string();
  CHECK(text.find("1,234,000 (4.9 MB)") != std::string::npos);
  CHECK(text.find("2,468,000") != std::string::npos);
}

TEST_CASE("functions and models without variables have tables too") {
  const auto table = inspect::tabulate([](nn::Scope&, const Array& x) { return x * 2; }, random::key(0), ones({3}));
  REQUIRE(table.rows.size() == 1);
  CHECK(table.rows[0].outputs == Words{"float32[3]"});
  CHECK(table.to_string().find("Total Parameters: 0\n") != std::string::npos);
}

TEST_CASE("a model's errors come through, and ask for no values") {
  const auto mlp = [](const Array& x) { return inspect::tabulate(models::MLP{}, random::key(0), x, true); };
  CHECK(error_of<ShapeError>([&] { return mlp(Array(1.0)); }).find("at: Dense_0") != std::string::npos);
  const auto reads = [](nn::Scope&, const Array& x) { return x.item<float>() > 0 ? x : -x; };
  CHECK(error_of<TraceError>([&] { return inspect::tabulate(reads, random::key(0), Array(1.0)); }) != "no error");
}
