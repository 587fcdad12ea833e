#include <linseed/core/executor.hpp>

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/core/error.hpp>

#include "support.hpp"

using namespace linseed;
using support::error_of;

TEST_CASE("every task runs exactly once, on any number of threads") {
  for (int threads = 1; threads <= 8; ++threads) {
    const Executor executor(threads);
    CHECK(executor.threads() == threads);
    for (const std::int64_t count : {0, 1, 2, 7, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
      executor.parallel_for(count, [&](std::int64_t i) { ++runs[static_cast<std::size_t>(i)]; });
      int wrong = 0;
      for (const auto& n : runs) wrong += n == 1 ? 0 : 1;
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("tasks that run at the same time have different workers, in either direction") {
  for (int threads = 1; threads <= 5; ++threads) {
    const Executor executor(threads);
    for (const bool backwards : {false, true}) {
      for (const std::int64_t count : {1, 3, 4, 100}) {
        std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count)), busy(static_cast<std::size_t>(threads));
        std::atomic<int> wrong = 0;
        const auto task = [&](std::int64_t i, int worker) {
          if (worker < 0 || worker >= threads || busy[static_cast<std::size_t>(worker)]++ != 0) {
            ++wrong;
            return;
          }
          ++runs[static_cast<std::size_t>(i)];
          std::this_thread::yield();
          --busy[static_cast<std::size_t>(worker)];
        };
        executor.parallel_for(count, task, backwards);
        for (const auto& n : runs) wrong += n == 1 ? 0 : 1;
        CHECK(wrong == 0);
      }
    }
  }
}

TEST_CASE("one thread goes through its tasks in order, or backwards") {
  const Executor executor;
  std::vector<std::int64_t> order;
  const auto note = [&](std::int64_t i) { order.push_back(i); };
  executor.parallel_for(4, note);
  executor.parallel_for(4, note, /*backwards=*/true);
  CHECK(order == std::vector<std::int64_t>{0, 1, 2, 3, 3, 2, 1, 0});
}

TEST_CASE("an executor uses the vectors that it is given, as far as the machine has them") {
  CHECK(Executor(1).vectors() == best_vector_set());
  for (const VectorSet set : {VectorSet::portable, VectorSet::avx2, VectorSet::avx512}) {
    CHECK(Executor(3, set).vectors() == std::min(set, best_vector_set()));
    CHECK((std::set<std::string_view>{"portable", "avx2", "avx512"}).contains(to_string(set)));
  }
  CHECK(to_string(VectorSet::avx512) == "avx512");
  MESSAGE("this machine has ", std::string(to_string(best_vector_set())));
}

TEST_CASE("one executor serves concurrent callers and nested calls") {
  const Executor executor(3);
  const Executor copy = executor;
  std::atomic<std::int64_t> total = 0;
  std::vector<std::thread> callers;
  for (int c = 0; c < 4; ++c) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        copy.parallel_for(
            10, [&](std::int64_t i) { executor.parallel_for(3, [&](std::int64_t j) { total += 10 * i + j; }); });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  // Sum over i < 10, j < 3 of 10 i + j is 10 * 45 * 3 + 10 * 3.
  CHECK(total == 4 * 50 * 1380);
}

TEST_CASE("what a task wrote is seen by the caller") {
  const Executor executor(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> values(64, 0);
    executor.parallel_for(64, [&](std::int64_t i) { values[static_cast<std::size_t>(i)] = static_cast<int>(i); });
    int sum = 0;
    for (const int value : values) sum += value;
    REQUIRE(sum == 63 * 32);
  }
}

TEST_CASE("an executor needs a thread") {
  CHECK(error_of<ValueError>([] { return Executor(0); }) ==
        "[Executor] The number of threads must be positive.\n  got: 0");
  CHECK(error_of<ValueError>([] { return Executor(-3); }) ==
        "[Executor] The number of threads must be positive.\n  got: -3");
}
