#include <linseed/train/train_state.hpp>

#include <cmath>

#include <doctest/doctest.h>

#include <linseed/nn/functions.hpp>
#include <linseed/nn/layers.hpp>
#include <linseed/nn/module.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>
#include <linseed/train/metrics.hpp>
#include <linseed/transform/jit.hpp>

#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {
const Tree params = {{"bias", Array{1.0}}, {"kernel", Array{{2.0}, {3.0}}}};
}

TEST_CASE("create begins at step 0 with the optimizer's first state") {
  const TrainState state =
      TrainState::create(nn::Dense{.features = 1}, params, {{"mean", Array(1.0)}}, optim::sgd(0.5, {.momentum = 0.9}));
  CHECK(describe(state.step) == "int32[]");
  CHECK(state.step.item<int>() == 0);
  CHECK(identical(state.params, params));
  CHECK(tree::shapes(state.opt_state, 1000) == "{'0': {'trace': {'bias': (1,), 'kernel': (2, 1)}}, '1': {}}");
  CHECK(tree::shapes(state.variables(), 1000) ==
        "{'batch_stats': {'mean': ()}, 'params': {'bias': (1,), 'kernel': (2, 1)}}");
  const TrainState plain = TrainState::create(nn::Dense{.features = 1}, params, optim::sgd(0.5));
  CHECK(plain.batch_stats.empty());
  CHECK(plain.variables().keys() == std::vector<std::string>{"params"});
  CHECK(nn::apply(plain.model, plain.variables(), Array{{1.0, 1.0}}).item<float>() == 6.0F);
}

TEST_CASE("apply_gradients moves the parameters and counts the step") {
  const TrainState state =
      TrainState::create(nn::Dense{.features = 1}, params, {{"mean", Array(1.0)}}, optim::sgd(0.5, {.momentum = 0.5}));
  const Tree grads = {{"bias", Array{2.0}}, {"kernel", Array{{4.0}, {0.0}}}};
  const TrainState next = state.apply_gradients(grads);
  CHECK(next.step.item<int>() == 1);
  CHECK(identical(next.params, Tree{{"bias", Array{0.0}}, {"kernel", Array{{0.0}, {3.0}}}}));
  CHECK(identical(next.opt_state.at("0/trace"), grads));
  CHECK(identical(next.batch_stats, state.batch_stats));
  // trace = 2 + 0.5 * 2 = 3; bias = 0 - 0.5 * 3
  const TrainState third = next.apply_gradients(grads);
  CHECK(third.step.item<int>() == 2);
  CHECK(identical(third.params["bias"].array(), Array{-1.5}));
  // Nothing that went in was changed.
  CHECK(state.step.item<int>() == 0);
  CHECK(identical(state.params, params));
  CHECK(error_of<StructureError>([&] { return state.apply_gradients({{"bias", Array{2.0}}}); }) ==
        "[GradientTransformation] The updates do not have the structure of the parameters.\n"
        "  got: kernel: only in the second\n"
        "  hint: the first are the updates, the second the parameters");
}

TEST_CASE("replace changes what it names") {
  const TrainState state =
      TrainState::create(nn::Dense{.features = 1}, params, {{"mean", Array(1.0)}}, optim::sgd(0.5));
  const TrainState other = state.replace({.step = Array(7), .batch_stats = Tree{{"mean", Array(2.0)}}});
  CHECK(other.step.item<int>() == 7);
  CHECK(other.batch_stats["mean"].array().item<float>() == 2.0F);
  CHECK(identical(other.params, params));
  CHECK(other.model == state.model);
  CHECK(other.tx == state.tx);
  CHECK(state.batch_stats["mean"].array().item<float>() == 1.0F);
  CHECK(state.replace({.batch_stats = Tree()}).batch_stats.empty());
  CHECK(identical(state.replace({.params = Tree{{"w", Array(1.0)}}, .opt_state = Tree()}).params,
                  Tree{{"w", Array(1.0)}}));
}

TEST_CASE("a compiled step keeps one program over many steps") {
  TrainState state = TrainState::create(nn::Dense{.features = 1}, params, optim::adam(0.1));
  const auto step = jit([](const TrainState& s) { return s.apply_gradients(s.params); });
  for (int i = 0; i < 5; ++i) state = step(std::move(state));
  CHECK(state.step.item<int>() == 5);
  CHECK(state.opt_state.at("0/count").array().item<int>() == 5);
  CHECK(step.trace_count() == 1);
}

// ---- metrics ----

TEST_CASE("accuracy counts rows whose largest logit is at the label") {
  const Array logits{{0.1, 0.9, 0.0}, {2.0, 1.0, 0.0}, {0.0, 0.0, 1.0}, {0.5, 0.5, 0.0}};
  const Array labels{1, 1, 2, 0};
  CHECK(accuracy(logits, labels).item<float>() == 0.75F);
  CHECK(describe(accuracy(logits, labels)) == "float32[]");
  CHECK(correct_predictions(logits, labels).item<int>() == 3);
  CHECK(describe(correct_predictions(logits, labels)) == "int32[]");
  CHECK(correct_predictions(reshape(logits, {2, 2, 3}), astype(reshape(labels, {2, 2}), uint8)).item<int>() == 3);
  const std::string text = "[accuracy] There must be one label per row of logits.\n  got: logits (4, 3), labels (3,)";
  CHECK(error_of<ShapeError>([&] { return accuracy(logits, zeros({3}, int32)); }) == text);
  CHECK(error_of<ShapeError>([&] { return correct_predictions(logits, zeros({3}, int32)); }) == text);
}

TEST_CASE("correct says which rows those are") {
  const Array logits{{0.1, 0.9, 0.0}, {2.0, 1.0, 0.0}, {0.0, 0.0, 1.0}};
  CHECK(identical(correct(logits, Array{1, 1, 2}), Array{1, 0, 1} != 0));
}

TEST_CASE("averages over uneven batches are those of the whole") {
  // 10 examples with losses 1 ... 10 in batches of 4, 4 and 2: the mean is 5.5, and not the mean of the means, 5.83.
  const auto batch = [](int first, int count) { return astype(iota({count}, 0) + first, float32); };
  Average means, sums;
  for (const auto& [first, count] : {std::pair(1, 4), std::pair(5, 4), std::pair(9, 2)}) {
    means = means.merge(Average::of_mean(mean(batch(first, count)), count));
    sums = sums.merge(Average::of_sum(sum(batch(first, count)), count));
  }
  CHECK(means.value() == 5.5);
  CHECK(sums.value() == 5.5);
  CHECK(means.count == 10);
  CHECK(std::isnan(Average().value()));
  CHECK(Average().merge(means).value() == 5.5);
  // Merging is associative on numbers that float64 holds exactly.
  const Average a = Average::of_sum(Array(3), 2), b = Average::of_sum(Array(4), 3), c = Average::of_sum(Array(5), 1);
  CHECK(a.merge(b).merge(c).value() == a.merge(b.merge(c)).value());
  CHECK(a.merge(b).merge(c).value() == 2.0);
}

TEST_CASE("correct predictions add up exactly where float32 means would not") {
  // 2^24 + 1 correct ones: a float32 sum could not hold it.
  Average total{.total = 16777216.0, .count = 16777216};
  total = total.merge(Average::of_sum(Array(1), 1));
  CHECK(total.total == 16777217.0);
}
