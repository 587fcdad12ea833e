#include "compile/launch.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "compile/pack.hpp"
#include "compile/script.hpp"
#include "compile/tape_builder.hpp"

namespace linseed::compile {

using detail::ProgramData;
using kernels::Tape;

namespace {

constexpr std::int64_t fewest_elements = 1 << 14;  // of all members: less is not worth waking anybody
constexpr std::size_t few_bytes = 4096;            // that a member may add to what is needed at the time of the first

bool has(const std::vector<int>& values, int value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

bool meet(const std::vector<int>& a, const std::vector<int>& b) {
  return std::any_of(a.begin(), a.end(), [&](int value) { return has(b, value); });
}

/// Decides which steps come together.
class Launches {
 public:
  Launches(const ProgramData& program, const std::vector<char>& outputs, std::vector<Step>& steps)
      : program_(program), outputs_(outputs), steps_(steps) {}

  void form() {
    std::vector<std::vector<std::size_t>> launches;
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      if (!suits(steps_[s])) continue;
      if (!launches.empty() && can_move(s, launches.back().front())) {
        launches.back().push_back(s);
      } else {
        launches.push_back({s});
      }
    }
    for (const auto& members : launches) {
      std::int64_t elements = 0;
      for (const std::size_t s : members) elements += steps_[s].tape->elements;
      if (members.size() > 1 && elements >= fewest_elements) join(members);
    }
    std::erase_if(steps_, [](const Step& step) { return step.results.empty(); });
  }

 private:
  [[nodiscard]] std::size_t bytes(int value) const {
    return bytes_of(program_.nodes[static_cast<std::size_t>(value)].result);
  }

  /// A fused group that is no script, and whose results take no room in the arena.
  [[nodiscard]] bool suits(const Step& step) const {
    if (!step.tape || step.node != nullptr || Script::suits(step)) return false;
    std::size_t needed = step.workspace_bytes;
    for (const int result : step.results) needed += outputs_[static_cast<std::size_t>(result)] ? 0 : bytes(result);
    return needed <= few_bytes;
  }

  /// Whether a step can run at an earlier one's time: its operands are there, and those that it may be writing over are
  /// read by nobody in between.
  [[nodiscard]] bool can_move(std::size_t from, std::size_t to) const {
    const Step& moved = steps_[from];
    std::vector<int> written_over;
    for (const int operand : moved.operands) {
      if (std::any_of(moved.results.begin(), moved.results.end(),
                      [&](int result) { return bytes(result) == bytes(operand); }))
        written_over.push_back(operand);
    }
    return std::none_of(steps_.begin() + static_cast<std::ptrdiff_t>(to),
                        steps_.begin() + static_cast<std::ptrdiff_t>(from), [&](const Step& between) {
                          return meet(between.results, moved.operands) || meet(between.operands, written_over);
                        });
  }

  void join(const std::vector<std::size_t>& members) {
    Step launch;
    std::size_t arrays = 0;
    for (const std::size_t s : members) {
      Step& member = steps_[s];
      for (const int operand : member.operands) {
        if (!has(launch.operands, operand)) launch.operands.push_back(operand);
      }
      launch.results.insert(launch.results.end(), member.results.begin(), member.results.end());
      member.workspace = launch.workspace_bytes;
      member.first_task = launch.tasks;
      member.first_array = arrays;
      launch.workspace_bytes += aligned(member.workspace_bytes);
      launch.tasks += member.tape->tasks();
      arrays += member.operands.size() + member.results.size();
      launch.members.push_back(std::move(member));
      member.results.clear();
    }
    steps_[members.front()] = std::move(launch);
  }

  const ProgramData& program_;
  const std::vector<char>& outputs_;
  std::vector<Step>& steps_;
};

}  // namespace

void join_launches(const ProgramData& program, const std::vector<char>& outputs, std::vector<Step>& steps) {
  Launches(program, outputs, steps).form();
}

bool may_write_over(const Step& step, int operand, int result) {
  if (step.tasks == 0) return can_write_over(step, operand, result);
  return std::all_of(step.members.begin(), step.members.end(), [&](const Step& member) {
    return !has(member.operands, operand) || (has(member.results, result) && can_write_over(member, operand, result));
  });
}

std::size_t arrays_of(const Step& launch) noexcept {
  const Step& last = launch.members.back();
  return last.first_array + last.operands.size() + last.results.size();
}

void run_launch(const Step& launch, std::span<void* const> arrays, std::byte* workspace, const Executor& executor,
                std::span<double> seconds) noexcept {
  using Clock = std::chrono::steady_clock;
  const auto own_arrays = [&](const Step& member) {
    return arrays.subspan(member.first_array, member.operands.size() + member.results.size());
  };
  executor.parallel_for(launch.tasks, [&](std::int64_t task) {
    const auto after = std::upper_bound(launch.members.begin(), launch.members.end(), task,
                                        [](std::int64_t t, const Step& member) { return t < member.first_task; });
    const Step& member = *(after - 1);
    const auto start = seconds.empty() ? Clock::time_point() : Clock::now();
    kernels::run_task(*member.tape, own_arrays(member), task - member.first_task, workspace + member.workspace,
                      executor.vectors());
    if (!seconds.empty()) {
      std::atomic_ref<double>(seconds[static_cast<std::size_t>(&member - launch.members.data())])
          .fetch_add(std::chrono::duration<double>(Clock::now() - start).count(), std::memory_order_relaxed);
    }
  });
  for (const Step& member : launch.members) {
    kernels::finish_folds(*member.tape, own_arrays(member), member.tape->tasks(),
                          reinterpret_cast<const double*>(workspace + member.workspace));
  }
}

}  // namespace linseed::compile
