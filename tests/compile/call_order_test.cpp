#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "compile/call_order.hpp"

using namespace linseed::compile;

namespace {

constexpr std::uintptr_t cells = 24, memories = 3;

/// What is in memory after these calls in this order, where each stores a number made of its own and of all that it
/// reads and overwrites.
std::vector<std::uint64_t> after(const std::vector<CallBytes>& calls, const std::vector<std::size_t>& order) {
  std::vector<std::uint64_t> memory(cells * memories);
  std::iota(memory.begin(), memory.end(), 1);
  const auto at = [](const Bytes& bytes, std::uintptr_t i) {
    return static_cast<std::size_t>(bytes.memory + 1) * cells + i;
  };
  for (const std::size_t call : order) {
    std::uint64_t number = call;
    const auto take = [&](const Bytes& bytes) {
      for (std::uintptr_t i = bytes.first; i < bytes.last; ++i)
        number = number * 6364136223846793005U + memory[at(bytes, i)];
    };
    for (const Bytes& read : calls[call].read) take(read);
    take(calls[call].written);
    const Bytes& written = calls[call].written;
    for (std::uintptr_t i = written.first; i < written.last; ++i) memory[at(written, i)] = number + i;
  }
  return memory;
}

std::vector<std::size_t> as_given(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace

TEST_CASE("calls in their new order leave in memory what they left in the old one") {
  std::mt19937 generator(1);
  const auto below = [&](std::uintptr_t most) {
    return std::uniform_int_distribution<std::uintptr_t>(0, most - 1)(generator);
  };
  std::size_t moved = 0;
  for (int round = 0; round < 200; ++round) {
    CAPTURE(round);
    std::vector<CallBytes> calls(below(round % 50 == 0 ? 700 : 60));
    for (CallBytes& call : calls) {
      const auto some = [&] {
        const std::uintptr_t first = below(cells);
        return Bytes{static_cast<int>(below(memories)) - 1, first,
                     first + below(std::min<std::uintptr_t>(cells - first, 3) + 1)};
      };
      call = {some(), {some(), some(), {}}};
    }
    const auto order = call_order(calls);
    auto sorted = order;
    std::sort(sorted.begin(), sorted.end());
    REQUIRE(sorted == as_given(calls.size()));
    CHECK(after(calls, order) == after(calls, sorted));
    CHECK(order == call_order(calls));
    moved += order != sorted;
  }
  CHECK(moved > 100);  // else nothing was tested
}

TEST_CASE("chains of calls that do not depend on each other take turns, the longest first") {
  const auto chain = [](std::uintptr_t cell) {
    return CallBytes{{-1, cell, cell + 1}, {Bytes{-1, cell, cell + 1}, {}, {}}};
  };
  std::vector<CallBytes> calls;
  for (const std::uintptr_t cell : {0, 0, 0, 1, 1, 2, 2, 2}) calls.push_back(chain(cell));
  const auto order = call_order(calls);
  for (std::size_t k = 0; k + 1 < order.size(); ++k)
    CHECK(calls[order[k]].written.first != calls[order[k + 1]].written.first);
  CHECK(order.front() == 0);  // of the two longest the first one
  CHECK(call_order({}).empty());
}
