#include <linseed/transform/jit.hpp>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstdint>
#include <mutex>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/core/error.hpp>

#include "compile/compile.hpp"
#include "compile/portable_bits.hpp"
#include "core/array_node.hpp"
#include "program/program.hpp"
#include "tree/places.hpp"

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
  Arguments(const pytree::Type& tuple, const void* const* places) noexcept : parts_(tuple.parts), places_(places) {}

  [[nodiscard]] std::size_t size() const noexcept { return parts_.size(); }
  [[nodiscard]] pytree::View operator[](std::size_t index) const { return {parts_[index].type, places_[index]}; }

  [[nodiscard]] std::vector<Array> leaves() const {
    std::vector<Array> result;
    for (std::size_t i = 0; i < size(); ++i) {
      for (Array& leaf : pytree::leaves((*this)[i])) result.push_back(std::move(leaf));
    }
    return result;
  }

 private:
  std::span<const pytree::Part> parts_;
  const void* const* places_;
};

pytree::Places places_in(const pytree::Any& tuple) { return {tuple.type(), tuple.get()}; }

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
  const bool is_tuple = carried.type->kind == pytree::Type::Kind::tuple;
  if (is_tuple) carried = {carried.type->parts[0].type, places_in(result)[0]};
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

/// Entries are added and never taken away, so that a call finds its own without a lock.
struct JitCache::State {
  struct Link {
    std::shared_ptr<const Entry> entry;
    const Link* older;
  };
  struct Found {
    std::shared_ptr<const Entry> match;  ///< with this signature, or null
    const Entry* latest = nullptr;       ///< of these types, or null
  };

  explicit State(JitOptions jit_options) : options(std::move(jit_options)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (const Link* link = newest.load(); link != nullptr;) delete std::exchange(link, link->older);
  }

  [[nodiscard]] Found find(const CallType& type, const Arguments& arguments) const {
    Found found;
    for (const Link* link = newest.load(std::memory_order_acquire); link != nullptr; link = link->older) {
      if (link->entry->type != &type) continue;
      if (found.latest == nullptr) found.latest = link->entry.get();
      if (!same_signature(Arguments(*type.arguments, places_in(link->entry->arguments).data()), arguments)) continue;
      found.match = link->entry;
      break;
    }
    return found;
  }
  /// The mutex must be held.
  void add(std::shared_ptr<const Entry> entry) {
    newest.store(new Link{std::move(entry), newest.load(std::memory_order_relaxed)}, std::memory_order_release);
    ++count;
  }

  const JitOptions options;
  std::atomic<const Link*> newest{nullptr};
  std::mutex mutex = {};  ///< for those who add
  std::atomic<std::size_t> count{0};
  std::vector<std::string> reasons = {};  ///< guarded by the mutex
};

namespace {

/// The parts of a result, each beside the argument that it can take the place of.
std::vector<JitCache::ResultPart> parts_of(const pytree::Any& result, const Arguments& arguments) {
  std::vector<pytree::View> views{result.view()};
  if (result.type().kind == pytree::Type::Kind::tuple) {
    const auto places = places_in(result);
    views.clear();
    for (std::size_t i = 0; i < result.type().parts.size(); ++i)
      views.push_back({result.type().parts[i].type, places[i]});
  }
  std::vector<JitCache::ResultPart> parts;
  std::vector<char> taken(arguments.size(), 0);
  std::size_t outputs = 0;
  for (const pytree::View& view : views) {
    parts.push_back({view.type, outputs, pytree::leaves(view).size(), -1});
    outputs += parts.back().outputs;
    for (std::size_t i = 0; i < arguments.size() && view.type->move != nullptr; ++i) {
      if (taken[i] || arguments[i].type != view.type || !pytree::same_signature(arguments[i], view)) continue;
      parts.back().argument = static_cast<int>(i);
      taken[i] = 1;
      break;
    }
  }
  return parts;
}

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
  std::vector<std::size_t> first_inputs{0};
  for (std::size_t i = 0; i < arguments.size(); ++i)
    first_inputs.push_back(first_inputs.back() + pytree::leaves(arguments[i]).size());
  auto parts = parts_of(result, arguments);
  return {&type, std::move(program), std::move(signature), std::move(result), std::move(first_inputs), std::move(parts),
          {}};
}

/// Per output the input at the same place of the argument that the output's part can replace, or -1.
std::vector<int> homes_of(const JitCache::Entry& entry) {
  std::vector<int> homes;
  for (const auto& part : entry.parts) {
    for (std::size_t k = 0; k < part.outputs; ++k) {
      homes.push_back(
          part.argument < 0 ? -1 : static_cast<int>(entry.first_inputs[static_cast<std::size_t>(part.argument)] + k));
    }
  }
  return homes;
}

std::shared_ptr<const compile::Compiled> compiled(const JitCache::Entry& entry, const JitOptions& options) {
  const auto& disabled = options.disabled_passes;
  if (std::find(disabled.begin(), disabled.end(), "all") != disabled.end()) return nullptr;
  return compile::compile(
      entry.program, {.disabled_passes = disabled, .homes = homes_of(entry), .vectors = options.executor.vectors()});
}

/// Whether one handle is all that refers to the elements.
bool is_sole_holder(const Array& leaf) noexcept {
  const ArrayNode* node = ArrayNode::peek(leaf);
  return node->writable && ArrayNode::holders(leaf) == 1 && node->buffer.use_count() == 1;
}

bool is_concrete(const Tree::LeafPlace& leaf) { return ArrayNode::of(*leaf.array).buffer != nullptr; }

}  // namespace

JitCache::JitCache(JitOptions options) : state_(std::make_shared<State>(std::move(options))) {}

std::shared_ptr<const JitCache::Entry> JitCache::entry_for(const CallType& type, const void* function,
                                                           const void* const* places) const {
  const Arguments arguments(*type.arguments, places);
  State::Found found = state_->find(type, arguments);
  if (found.match) return std::move(found.match);
  std::vector<std::string> reasons;
  if (found.latest) {
    reasons = differences(Arguments(*type.arguments, places_in(found.latest->arguments).data()), arguments);
    if (state_->options.on_retrace) state_->options.on_retrace(reasons);
  }
  Entry traced = trace(type, function, places, state_->options.carry_check);
  // A program with constants of an enclosing trace is good for one call only.
  if (traced.program.data().captured_tracers) return std::make_shared<const Entry>(std::move(traced));
  if (state_->options.portable_bits) traced.program = compile::portable_bits(traced.program);
  traced.compiled = compiled(traced, state_->options);
  const auto entry = std::make_shared<const Entry>(std::move(traced));
  const std::lock_guard lock(state_->mutex);
  if (auto first = state_->find(type, arguments).match) return first;  // another thread was faster
  state_->add(entry);
  state_->reasons = std::move(reasons);
  return entry;
}

namespace {

/// One call of a compiled program: which arguments it may take apart, and how its result is put together.
class CompiledCall {
 public:
  using Part = JitCache::ResultPart;

  CompiledCall(const JitCache::Entry& entry, void* const* places, const bool* moved, compile::Run& run)
      : entry_(entry), places_(places), run_(run) {
    for (std::size_t i = 0; i < std::min(arguments(), most_given_up); ++i) {
      if (moved[i] && !overlaps_others(i)) given_up_ |= std::uint64_t{1} << i;
    }
    const auto uses = run_.uses();
    for (std::size_t i = 0; i < arguments(); ++i) {
      std::size_t input = entry_.first_inputs[i];
      for (const Tree::LeafPlace& leaf : leaves_of(i))
        uses[input++].donated = is_given_up(i) && leaf.unshared && is_sole_holder(*leaf.array);
    }
    for (const Part& part : entry_.parts) {
      if (!may_be_taken_over(part)) continue;
      taken_over_ |= std::uint64_t{1} << part.argument;
      const std::size_t first = entry_.first_inputs[static_cast<std::size_t>(part.argument)];
      for (std::size_t k = 0; k < part.outputs; ++k) uses[first + k].kept = true;
    }
  }

  void operator()(void* result, const Executor& executor) {
    const std::span<Array> outputs = run_.prepare(executor);
    const pytree::Type& type = *entry_.type->result;
    std::optional<pytree::Places> part_places;
    if (type.kind == pytree::Type::Kind::tuple) part_places.emplace(type, result);
    const auto place_of = [&](const Part& part) {
      return part_places ? (*part_places)[static_cast<std::size_t>(&part - entry_.parts.data())] : result;
    };
    for (const Part& part : entry_.parts) {
      if (!is_taken_over(part))
        pytree::assign_leaves(*part.type, place_of(part), outputs.subspan(part.first_output, part.outputs));
    }
    run_.execute(executor);  // from here on, nothing fails
    for (const Part& part : entry_.parts) {
      if (!is_taken_over(part)) continue;
      const auto argument = static_cast<std::size_t>(part.argument);
      const auto leaves = leaves_of(argument);
      for (const std::size_t k : run_.handed()) {
        if (k < part.first_output || k >= part.first_output + part.outputs) continue;
        const_cast<Array&>(*leaves[k - part.first_output].array) = std::move(outputs[k]);
      }
      part.type->move(place_of(part), places_[argument]);
    }
  }

 private:
  static constexpr std::size_t most_given_up = 64;  // arguments

  [[nodiscard]] std::size_t arguments() const noexcept { return entry_.first_inputs.size() - 1; }
  [[nodiscard]] std::span<const Tree::LeafPlace> leaves_of(std::size_t argument) const noexcept {
    const std::size_t first = entry_.first_inputs[argument];
    return std::span(run_.inputs()).subspan(first, entry_.first_inputs[argument + 1] - first);
  }
  /// Whether an argument is part of another one, as in step(std::move(state), state.params), or the same.
  [[nodiscard]] bool overlaps_others(std::size_t argument) const noexcept {
    const auto own = leaves_of(argument);
    for (std::size_t other = 0; other < arguments(); ++other) {
      if (other == argument) continue;
      for (const Tree::LeafPlace& leaf : leaves_of(other)) {
        for (const Tree::LeafPlace& mine : own) {
          if (leaf.array == mine.array) return true;
        }
      }
    }
    return false;
  }
  [[nodiscard]] static bool has(std::uint64_t bits, std::size_t argument) noexcept {
    return argument < most_given_up && (bits >> argument & 1) != 0;
  }
  [[nodiscard]] bool is_given_up(std::size_t argument) const noexcept { return has(given_up_, argument); }
  [[nodiscard]] bool may_be_taken_over(const Part& part) const noexcept {
    if (part.argument < 0 || !is_given_up(static_cast<std::size_t>(part.argument))) return false;
    const auto leaves = leaves_of(static_cast<std::size_t>(part.argument));
    return std::all_of(leaves.begin(), leaves.end(), [](const Tree::LeafPlace& leaf) { return leaf.unshared; });
  }
  /// Whether an argument becomes a part of the result: then only what changes in it is replaced.
  [[nodiscard]] bool is_taken_over(const Part& part) const noexcept {
    return part.argument >= 0 && has(taken_over_, static_cast<std::size_t>(part.argument));
  }

  const JitCache::Entry& entry_;
  void* const* places_;
  compile::Run& run_;
  std::uint64_t given_up_ = 0, taken_over_ = 0;  // one bit per argument
};

}  // namespace

void JitCache::run(const Entry& entry, void* const* places, const bool* moved, void* result) const {
  const Executor& executor = state_->options.executor;
  const Arguments arguments(*entry.type->arguments, places);
  if (entry.compiled) {
    compile::Run run(entry.compiled->plan);
    for (std::size_t i = 0; i < arguments.size(); ++i) pytree::find_leaves(arguments[i], run.inputs());
    if (std::all_of(run.inputs().begin(), run.inputs().end(), is_concrete))
      return CompiledCall(entry, places, moved, run)(result, executor);
  }
  std::vector<Array> leaves = arguments.leaves();
  for (Array& leaf : leaves) leaf = settled(leaf);
  pytree::assign_leaves(*entry.type->result, result, interpret(entry.program.data(), leaves, executor));
}

std::size_t JitCache::size() const { return state_->count.load(); }

const JitCache::Entry& JitCache::newest() const {
  const State::Link* link = state_->newest.load(std::memory_order_acquire);
  if (link == nullptr) throw ValueError("jit", "The function has not been traced yet.", {.hint = "call it first"});
  return *link->entry;
}

Program JitCache::latest() const { return newest().program; }

std::string JitCache::explain() const {
  const Entry& entry = newest();
  return entry.compiled ? compile::explain(*entry.compiled) : "interpreted op by op\n";
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
