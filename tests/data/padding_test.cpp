#include <linseed/data/padding.hpp>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

struct Model {
  Array operator()(nn::Scope& scope, const Array& x, const Array& mask) const {
    const nn::BatchNorm norm{.use_running_average = false};
    Array y = nn::Conv{.features = 3, .kernel_size = {3, 3}}(scope, x);
    y = relu(norm(scope, y, std::nullopt, mask.defined() ? reshape(mask, {-1, 1, 1, 1}) : mask));
    return nn::Dense{.features = 5}(scope, mean(y, {1, 2}));
  }
};

/// Loss, gradients and new statistics of a batch, whose mask may be undefined.
std::tuple<Array, Tree, Tree> step(const Tree& variables, const data::Batch& batch, const Array& mask) {
  const auto loss_fn = [&](const Tree& params) {
    auto [logits, updates] =
        nn::apply(Model{}, variables.set("params", params), nn::mutable_({"batch_stats"}), batch.image, mask);
    const Array losses = nn::softmax_cross_entropy_with_integer_labels(logits, batch.label);
    const Array loss = mask.defined() ? sum(where(mask, losses, 0)) / sum(astype(mask, float32)) : mean(losses);
    return std::pair{loss, updates};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(variables["params"]);
  return {value.first, grads, value.second["batch_stats"]};
}

data::Batch images(std::int64_t count) {
  return {random::normal(random::key(1), {count, 6, 5, 2}) + 3.0, random::randint(random::key(2), {count}, 0, 5)};
}

}  // namespace

TEST_CASE("padded fills every Array of a batch and says which examples are real") {
  const auto [batch, mask] = data::padded(std::pair{Array{{1.0, 2.0}, {3.0, 4.0}}, Array{5, 6}}, 3);
  CHECK(identical(batch.first, Array{{1.0, 2.0}, {3.0, 4.0}, {0.0, 0.0}}));
  CHECK(identical(batch.second, Array{5, 6, 0}));
  CHECK(identical(mask, Array{true, true, false}));
  CHECK(identical(data::padded(Array{7, 8}, 2).batch, Array{7, 8}));
  CHECK(identical(data::padded(zeros({0, 2}), 1).mask, Array{false}));
}

TEST_CASE("a padded batch gives the loss, gradients and statistics of the batch itself") {
  const Tree variables = nn::init(Model{}, random::key(0), zeros({1, 6, 5, 2}), Array());
  const data::Batch batch = images(11);
  const auto [loss, grads, stats] = step(variables, batch, Array());
  for (const std::int64_t size : {11, 16, 40}) {
    const auto [filled, mask] = data::padded(batch, size);
    for (const auto& function :
         {std::function(step),
          std::function([&](const Tree& v, const data::Batch& b, const Array& m) { return jit(step)(v, b, m); })}) {
      const auto [padded_loss, padded_grads, padded_stats] = function(variables, filled, mask);
      support::check_near(padded_loss, loss, 1e-6);
      for (const auto& [module, name] :
           {std::pair{"Conv_0", "kernel"}, {"BatchNorm_0", "scale"}, {"Dense_0", "kernel"}})
        support::check_near(padded_grads[module][name], grads[module][name], 1e-5, 1e-6);
      for (const char* name : {"mean", "var"})
        support::check_near(padded_stats["BatchNorm_0"][name], stats["BatchNorm_0"][name], 1e-6);
    }
  }
}

TEST_CASE("batches that are padded to one size are traced once") {
  const Tree variables = nn::init(Model{}, random::key(0), zeros({1, 6, 5, 2}), Array());
  const auto compiled = jit(step);
  for (const std::int64_t count : {16, 16, 7}) {
    const auto [batch, mask] = data::padded(images(count), 16);
    (void)compiled(variables, batch, mask);
  }
  CHECK(compiled.trace_count() == 1);
}

TEST_CASE("padded says what is wrong with a batch") {
  CHECK(error_of<ValueError>([] { return data::padded(zeros({4, 2}), 3); }) ==
        "[padded] The batch is larger than what it is to be filled up to.\n  got: 4 examples\n  expected: at most 3");
  CHECK(error_of<ShapeError>([] {
          return data::padded(std::pair{zeros({4, 2}), zeros({3})}, 8);
        }).find("got: float32[4,2] and float32[3]") != std::string::npos);
  CHECK(error_of<ShapeError>([] { return data::padded(Array(1.0), 8); }).find("float32[]") != std::string::npos);
  CHECK(error_of<ValueError>([] { return data::padded(3, 8); }).find("holds no Array") != std::string::npos);
}
