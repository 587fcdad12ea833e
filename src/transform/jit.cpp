#include <linseed/transform/jit.hpp>

#include <cctype>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/array_node.hpp"
#include "program/program.hpp"

namespace linseed::detail {

struct Recording::State {
  std::shared_ptr<ProgramTrace> trace = std::make_shared<ProgramTrace>();
};

Recording::Recording(std::span<const Array> like) : state_(std::make_unique<State>()) {
  for (const Array& array : like) inputs_.push_back(state_->trace->add_input(abstract(array)));
}

Recording::~Recording() { state_->trace->abandon(); }

Program Recording::finish(std::span<const Array> outputs) { return state_->trace->finish(outputs); }

std::vector<Array> run(const Program& program, std::span<const Array> inputs, const Executor& executor) {
  return interpret(program.data(), inputs, executor);
}

bool captured_tracers(const Program& program) { return program.data().captured_tracers; }

void throw_carry(const std::vector<std::string>& differences) {
  throw CarryError("jit", "The state comes out of the step with another structure, shape or dtype than it went in.",
                   {.got = fmt::format("\n    {}", fmt::join(differences, "\n    ")),
                    .hint = "a step must give back what it takes; .carry_check = false allows this one to differ"});
}

std::string snake_case(std::string_view name) {
  std::string result;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool upper = std::isupper(static_cast<unsigned char>(name[i])) != 0;
    if (upper && i > 0 && std::islower(static_cast<unsigned char>(name[i - 1])) != 0) result += '_';
    result += static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
  }
  return result;
}

}  // namespace linseed::detail
