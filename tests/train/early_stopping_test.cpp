#include <linseed/train/early_stopping.hpp>

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

using linseed::training::EarlyStopping;

namespace {

struct Step {
  double metric, best_metric;
  int patience_count;
  bool should_stop, has_improved;
};

void check(EarlyStopping state, const std::vector<Step>& steps) {
  for (const Step& step : steps) {
    CAPTURE(step.metric);
    state = state.update(step.metric);
    CHECK(state.best_metric == step.best_metric);
    CHECK(state.patience_count == step.patience_count);
    CHECK(state.should_stop == step.should_stop);
    CHECK(state.has_improved == step.has_improved);
  }
}

}  // namespace

// What flax.training.early_stopping of Flax 0.12.8 gives.
TEST_CASE("EarlyStopping stops where Flax's does") {
  check({}, {{3, 3, 0, false, true}, {2, 2, 0, false, true}, {2.5, 2, 1, true, false}, {1, 1, 0, true, true}});
  check({.min_delta = 1e-3, .patience = 2}, {{4, 4, 0, false, true},
                                             {3, 3, 0, false, true},
                                             {3, 3, 1, false, false},
                                             {3, 3, 2, false, false},
                                             {2, 2, 0, false, true},
                                             {2, 2, 1, false, false},
                                             {2, 2, 2, false, false},
                                             {2, 2, 3, true, false},
                                             {1, 1, 0, true, true},
                                             {1, 1, 1, true, false}});
  check({.min_delta = 0.5, .patience = 1}, {{1, 1, 0, false, true},
                                            {0.6, 1, 1, false, false},
                                            {0.5, 1, 2, true, false},
                                            {0.4, 0.4, 0, true, true},
                                            {0.45, 0.4, 1, true, false},
                                            {0.0, 0.4, 2, true, false}});
}

TEST_CASE("reset keeps the bounds and forgets the rest") {
  const EarlyStopping used = EarlyStopping{.min_delta = 0.5, .patience = 1}.update(1).update(1).update(1);
  CHECK(used.should_stop);
  const EarlyStopping fresh = used.reset();
  CHECK(fresh.min_delta == 0.5);
  CHECK(fresh.patience == 1);
  CHECK(std::isinf(fresh.best_metric));
  CHECK(fresh.patience_count == 0);
  CHECK_FALSE(fresh.should_stop);
  CHECK_FALSE(fresh.has_improved);
}
