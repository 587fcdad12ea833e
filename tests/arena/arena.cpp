// Part of the programs arena_EXAMPLE: the objects of an example, linked so that what it compiles passes through here.
// They fail when an arena is larger than it must be, or when nothing was compiled.
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

#include "compile/compile.hpp"

namespace linseed::compile {

/// compile() itself. With --wrap the linker gives its name to the function below.
std::shared_ptr<const Compiled> compile_as_before(Program program,
                                                  Options options) asm("__real_" LINSEED_COMPILE_SYMBOL);
std::shared_ptr<const Compiled> compile_and_look(Program program,
                                                 Options options) asm("__wrap_" LINSEED_COMPILE_SYMBOL);

namespace {

/// The most bytes that any plan with these steps has to hold at once: a value is there from the step that writes it to
/// the step that reads it last; of one written over an operand in the same place, they are the same bytes.
std::size_t bytes_at_once(const Plan& plan) {
  constexpr std::size_t line = 64;  // of a cache: every value begins on one
  const auto rounded = [](std::size_t bytes) { return (bytes + line - 1) / line * line; };
  const auto& nodes = plan.program().nodes;
  std::vector<std::size_t> written(nodes.size(), 0), last_read(nodes.size(), 0);
  std::vector<int> stored;
  for (std::size_t s = 0; s < plan.steps().size(); ++s) {
    for (const int operand : plan.steps()[s].operands) last_read[static_cast<std::size_t>(operand)] = s;
    for (const int result : plan.steps()[s].results) {
      if (plan.location(result).kind != Location::Kind::arena) continue;
      stored.push_back(result);
      written[static_cast<std::size_t>(result)] = last_read[static_cast<std::size_t>(result)] = s;
    }
  }
  std::size_t most = 0;
  for (std::size_t s = 0; s < plan.steps().size(); ++s) {
    std::map<std::size_t, std::size_t> there;  // bytes by place
    for (const int value : stored) {
      const auto index = static_cast<std::size_t>(value);
      if (written[index] <= s && s <= last_read[index])
        there[plan.location(value).index] = rounded(bytes_of(nodes[index].result));
    }
    std::size_t bytes = rounded(plan.steps()[s].workspace_bytes);
    for (const auto& [place, size] : there) bytes += size;
    most = std::max(most, bytes);
  }
  return most;
}

class Watch {
 public:
  ~Watch() {
    if (plans_ == 0) std::puts("arena: FAILED: nothing was compiled, or --wrap does not name compile()");
    if (largest_ == 0) std::puts("arena: FAILED: no step has an arena");
    std::fflush(stdout);
    if (failed_ || plans_ == 0 || largest_ == 0) std::_Exit(1);
  }

  void see(const Plan& plan) {
    const std::size_t arena = plan.arena_bytes(), needed = plan.live_bytes(), counted = bytes_at_once(plan);
    const bool good = needed == counted && arena >= needed && arena * 10 <= needed * 11;
    std::printf("arena: %zu bytes, of which %zu are needed at once (counted again: %zu)%s\n", arena, needed, counted,
                good ? "" : ": FAILED");
    failed_ = failed_ || !good;
    largest_ = std::max(largest_, arena);
    ++plans_;
  }

 private:
  int plans_ = 0;
  std::size_t largest_ = 0;
  bool failed_ = false;
};

Watch& watch() {
  static Watch result;
  return result;
}

[[maybe_unused]] const Watch& made_before_main = watch();

}  // namespace

std::shared_ptr<const Compiled> compile_and_look(Program program, Options options) {
  auto compiled = compile_as_before(std::move(program), std::move(options));
  watch().see(compiled->plan);
  return compiled;
}

}  // namespace linseed::compile
