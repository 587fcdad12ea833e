#include "compile/call_order.hpp"

#include <algorithm>

namespace linseed::compile {

namespace {

// In units of the time between the starts of two calls that do not wait for each other.
constexpr int latency = 2;  // until what a call has stored can be loaded

// As many calls as are looked at together: the work grows with their square, the gain does not.
constexpr std::size_t window = 256;

/// The first of two calls must come first; `delay` from its start on, the second one can begin.
struct Dependency {
  std::size_t first, second;
  int delay;
};

std::vector<Dependency> dependencies(std::span<const CallBytes> calls) {
  const auto reads = [](const CallBytes& call, const Bytes& bytes) {
    return std::any_of(call.read.begin(), call.read.end(), [&](const Bytes& read) { return read.meets(bytes); });
  };
  std::vector<Dependency> found;
  for (std::size_t second = 0; second < calls.size(); ++second) {
    for (std::size_t first = 0; first < second; ++first) {
      const CallBytes &a = calls[first], &b = calls[second];
      // What is written twice may be an accumulation.
      if (a.written.meets(b.written) || reads(b, a.written)) {
        found.push_back({first, second, latency});
      } else if (reads(a, b.written)) {
        found.push_back({first, second, 0});
      }
    }
  }
  return found;  // ordered by `second`
}

/// Appends the order of one window.
void schedule(std::span<const CallBytes> calls, std::size_t offset, std::vector<std::size_t>& order) {
  struct State {
    int behind = 0;   // the longest chain of delays that begins here
    int ready = 0;    // when all operands are there
    int waiting = 0;  // calls that must come first
    bool done = false;
  };
  const auto all = dependencies(calls);
  std::vector<State> states(calls.size());
  for (auto d = all.rbegin(); d != all.rend(); ++d)
    states[d->first].behind = std::max(states[d->first].behind, d->delay + states[d->second].behind);
  for (const Dependency& d : all) ++states[d.second].waiting;

  for (int now = 0; order.size() < offset + calls.size(); ++now) {
    std::size_t next = calls.size();
    const auto begins = [&](std::size_t i) { return std::max(now, states[i].ready); };
    for (std::size_t i = 0; i < calls.size(); ++i) {
      if (states[i].done || states[i].waiting > 0) continue;
      if (next == calls.size() || begins(i) < begins(next) ||
          (begins(i) == begins(next) && states[i].behind > states[next].behind))
        next = i;
    }
    now = begins(next);
    states[next].done = true;
    order.push_back(offset + next);
    for (const Dependency& d : all) {
      if (d.first != next) continue;
      --states[d.second].waiting;
      states[d.second].ready = std::max(states[d.second].ready, now + d.delay);
    }
  }
}

}  // namespace

std::vector<std::size_t> call_order(std::span<const CallBytes> calls) {
  std::vector<std::size_t> order;
  order.reserve(calls.size());
  for (std::size_t first = 0; first < calls.size(); first += window)
    schedule(calls.subspan(first, std::min(window, calls.size() - first)), first, order);
  return order;
}

}  // namespace linseed::compile
