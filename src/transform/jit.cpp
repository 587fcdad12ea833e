#include <linseed/transform/jit.hpp>

#include <algorithm>
#include <cctype>
#include <mutex>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/core/error.hpp>

#include "compile/compile.hpp"
#include "core/array_node.hpp"
#include "program/program.hpp"

namespace linseed::detail {

namespace {

/// "TrainState" -> "train_state".
std::string snake_case(std::string_view name) {
  std::string result;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool upper = std::isupper(static_cast<unsigned char>(name[i])) != 0;
    if (upper && i > 0 && std::islower(static_cast<unsigned char>(name[i - 1])) != 0) result += '_';
    result += static_cast<char>(std::tolower(static_cast<unsigned char>(name[i])));
  }
  return result;
}

/// How an argument is called in explanations: structs by their own name, others by their place.
std::string argument_name(const pytree::Type& type, std::size_t index) {
  return type.kind == pytree::Type::Kind::record ? snake_case(type.name) : fmt::format("argument {}", index);
}

/// Arguments one by one, wherever they are.
class Arguments {
 public:
  Arguments(const pytree::Type& tuple, const void* const* places)
      : parts_(tuple.parts), places_(places, places + tuple.parts.size()) {}
  explicit Arguments(const pytree::Any& tuple) : parts_(tuple.type().parts), places_(parts_.size()) {
    std::vector<void*> places(parts_.size());
    tuple.type().places(tuple.get(), places.data());
    places_.assign(places.begin(), places.end());
  }

  [[nodiscard]] std::size_t size() const noexcept { return parts_.size(); }
  [[nodiscard]] pytree::View operator[](std::size_t index) const { return {parts_[index].type, places_[index]}; }

  [[nodiscard]] std::vector<Array> leaves() const {
    std::vector<Array> result;
    for (std::size_t i = 0; i < size(); ++i) pytree::append_leaves((*this)[i], result);
    return result;
  }

 private:
  std::span<const pytree::Part> parts_;
  std::vector<const void*> places_;
};

bool same_signature(const Arguments& a, const Arguments& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!pytree::same_signature(a[i], b[i])) return false;
  }
  return true;
}

std::vector<std::string> differences(const Arguments& before, const Arguments& now) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < now.size(); ++i) {
    for (std::string& line : pytree::differences(before[i], now[i], argument_name(*now[i].type, i)))
      lines.push_back(std::move(line));
  }
  return lines;
}

/// A state that is the first argument must come back unchanged in structure when it is the result or its first part.
void check_carry(const Arguments& arguments, const pytree::Any& result) {
  if (arguments.size() == 0 || arguments[0].type->kind != pytree::Type::Kind::record) return;
  const pytree::View state = arguments[0];
  pytree::View carried = result.view();
  if (carried.type->kind == pytree::Type::Kind::tuple) carried = Arguments(result)[0];
  if (carried.type != state.type) return;
  const auto lines = pytree::differences(state, carried, argument_name(*state.type, 0));
  if (lines.empty()) return;
  throw CarryError("jit", "The state comes out of the step with another structure, shape or dtype than it went in.",
                   {.got = fmt::format("\n    {}", fmt::join(lines, "\n    ")),
                    .hint = "a step must give back what it takes; .carry_check = false allows this one to differ"});
}

/// A trace under way: its inputs have shapes and dtypes, no values.
class Recording {
 public:
  explicit Recording(std::span<const Array> like) {
    for (const Array& array : like) inputs_.push_back(trace_->add_input(abstract(array)));
  }
  ~Recording() { trace_->abandon(); }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  [[nodiscard]] const std::vector<Array>& inputs() const noexcept { return inputs_; }
  [[nodiscard]] Program finish(std::span<const Array> outputs) { return trace_->finish(outputs); }

 private:
  std::shared_ptr<ProgramTrace> trace_ = std::make_shared<ProgramTrace>();
  std::vector<Array> inputs_;
};

}  // namespace

struct JitCache::State {
  struct Found {
    std::shared_ptr<const Entry> match;   ///< with this signature, or null
    std::shared_ptr<const Entry> latest;  ///< of these types, or null
  };
  /// The mutex must be held.
  [[nodiscard]] Found find(const CallType& type, const Arguments& arguments) const {
    Found found;
    for (const auto& entry : entries) {
      if (entry->type != &type) continue;
      found.latest = entry;
      if (same_signature(Arguments(entry->arguments), arguments)) {
        found.match = entry;
        break;
      }
    }
    return found;
  }

  JitOptions options;
  std::mutex mutex = {};
  std::vector<std::shared_ptr<const Entry>> entries = {};
  std::vector<std::string> reasons = {};
};

namespace {

JitCache::Entry trace(const CallType& type, const void* function, const void* const* places, bool carry_check) {
  const Arguments arguments(*type.arguments, places);
  const std::vector<Array> leaves = arguments.leaves();
  Recording recording(leaves);
  pytree::Any traced = type.copy(places);
  pytree::assign_leaves(*type.arguments, traced.get(), recording.inputs());
  pytree::Any result = type.invoke(function, traced.get());
  if (carry_check) check_carry(arguments, result);
  const std::vector<Array> outputs = pytree::leaves(result.view());
  Program program = recording.finish(outputs);
  pytree::Any signature = type.copy(places);
  pytree::assign_leaves(*type.arguments, signature.get(), pytree::placeholders(leaves));
  pytree::assign_leaves(*type.result, result.get(), pytree::placeholders(outputs));
  return {&type, std::move(program), std::move(signature), std::move(result), {}};
}

std::shared_ptr<const compile::Compiled> compiled(const Program& program, const JitOptions& options) {
  const auto& disabled = options.disabled_passes;
  if (std::find(disabled.begin(), disabled.end(), "all") != disabled.end()) return nullptr;
  return compile::compile(program, disabled);
}

/// Whether an argument and `leaf`, a copy of its handle, are all that refers to the elements.
bool is_sole_holder(const Array& leaf) noexcept {
  const ArrayNode* node = ArrayNode::peek(leaf);
  return node != nullptr && node->writable && ArrayNode::holders(leaf) == 2 && node->buffer.use_count() == 1;
}

}  // namespace

JitCache::JitCache(JitOptions options) : state_(std::make_shared<State>(std::move(options))) {}

std::shared_ptr<const JitCache::Entry> JitCache::entry_for(const CallType& type, const void* function,
                                                           const void* const* places) const {
  const Arguments arguments(*type.arguments, places);
  State::Found found;
  {
    const std::lock_guard lock(state_->mutex);
    found = state_->find(type, arguments);
  }
  if (found.match) return found.match;
  std::vector<std::string> reasons;
  if (found.latest) {
    reasons = differences(Arguments(found.latest->arguments), arguments);
    if (state_->options.on_retrace) state_->options.on_retrace(reasons);
  }
  Entry traced = trace(type, function, places, state_->options.carry_check);
  // A program with constants of an enclosing trace is good for one call only.
  if (traced.program.data().captured_tracers) return std::make_shared<const Entry>(std::move(traced));
  traced.compiled = compiled(traced.program, state_->options);
  const auto entry = std::make_shared<const Entry>(std::move(traced));
  const std::lock_guard lock(state_->mutex);
  if (auto first = state_->find(type, arguments).match) return first;  // another thread was faster
  state_->entries.push_back(entry);
  state_->reasons = std::move(reasons);
  return entry;
}

std::vector<Array> JitCache::run(const Entry& entry, const void* const* places, const bool* moved) const {
  const Arguments arguments(*entry.type->arguments, places);
  std::vector<Array> leaves;
  std::vector<char> donated;  // for now: belongs to its argument alone
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto before = static_cast<std::ptrdiff_t>(donated.size());
    pytree::append_leaves(arguments[i], leaves, donated);
    if (!moved[i]) std::fill(donated.begin() + before, donated.end(), 0);
  }
  bool concrete = entry.compiled != nullptr;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    donated[i] = donated[i] && is_sole_holder(leaves[i]);
    leaves[i] = settled(leaves[i]);
    concrete = concrete && ArrayNode::of(leaves[i]).trace == nullptr;
  }
  if (!concrete) return interpret(entry.program.data(), leaves, state_->options.executor);
  return entry.compiled->plan.run(leaves, donated, state_->options.executor);
}

std::size_t JitCache::size() const {
  const std::lock_guard lock(state_->mutex);
  return state_->entries.size();
}

Program JitCache::latest() const {
  const std::lock_guard lock(state_->mutex);
  if (state_->entries.empty())
    throw ValueError("jit", "The function has not been traced yet.", {.hint = "call it first"});
  return state_->entries.back()->program;
}

std::string JitCache::explain() const {
  std::shared_ptr<const Entry> entry;
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->entries.empty()) entry = state_->entries.back();
  }
  if (!entry) throw ValueError("jit", "The function has not been traced yet.", {.hint = "call it first"});
  return entry->compiled ? compile::explain(*entry->compiled) : "interpreted op by op\n";
}

std::string JitCache::profile(const Entry& entry, const void* const* places) const {
  if (!entry.compiled) return "interpreted op by op\n";
  std::vector<Array> leaves = Arguments(*entry.type->arguments, places).leaves();
  for (Array& leaf : leaves) leaf = concrete_value(leaf);
  return compile::explain(*entry.compiled, leaves, state_->options.executor);
}

std::vector<std::string> JitCache::retrace_reasons() const {
  const std::lock_guard lock(state_->mutex);
  return state_->reasons;
}

}  // namespace linseed::detail
