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

/// Where a piece of the arguments is in a call.
const void* place_of(const JitCache::ArgumentPiece& piece, const void* const* places) noexcept {
  return static_cast<const std::byte*>(places[piece.argument]) + piece.offset;
}

bool is_for(const JitCache::Entry& entry, const void* const* places) {
  return std::all_of(entry.pieces.begin(), entry.pieces.end(), [&](const JitCache::ArgumentPiece& piece) {
    const void* const place = place_of(piece, places);
    switch (piece.type->kind) {
      case pytree::Type::Kind::constant: return piece.type->equal(piece.like, place);
      case pytree::Type::Kind::array:
        return pytree::same_abstract(*static_cast<const Array*>(piece.like), *static_cast<const Array*>(place));
      default: return pytree::same_signature({piece.type, piece.like}, {piece.type, place});
    }
  });
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
    const Entry* match = nullptr;   ///< with this signature, or null
    const Entry* latest = nullptr;  ///< of these types, or null
  };

  explicit State(JitOptions jit_options) : options(std::move(jit_options)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    for (const Link* link = newest.load(); link != nullptr;) delete std::exchange(link, link->older);
  }

  [[nodiscard]] Found find(const CallType& type, const void* const* places) const {
    Found found;
    for (const Link* link = newest.load(std::memory_order_acquire); link != nullptr; link = link->older) {
      if (link->entry->type != &type) continue;
      if (found.latest == nullptr) found.latest = link->entry.get();
      if (!is_for(*link->entry, places)) continue;
      found.match = link->entry.get();
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

/// Calls `visit(places)` with the places of a result's parts: those of a tuple, or its own.
template <class Visit>
void with_parts(const pytree::Type& type, void* result, const Visit& visit) {
  if (type.kind != pytree::Type::Kind::tuple) return visit(&result);
  const pytree::Places places(type, result);
  visit(places.data());
}

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
    for (std::size_t i = 0; i < arguments.size() && view.type->copy != nullptr; ++i) {
      if (taken[i] || arguments[i].type != view.type || !pytree::same_signature(arguments[i], view)) continue;
      parts.back().argument = static_cast<int>(i);
      taken[i] = 1;
      break;
    }
  }
  return parts;
}

/// `result` without what may come from arguments: copying and replacing it would cost more than a small program.
pytree::Any blank_of(const CallType& type, const pytree::Any& result, const std::vector<JitCache::ResultPart>& parts) {
  pytree::Any blank = type.copy_result(result.get()), taken = type.copy_result(result.get());
  with_parts(*type.result, blank.get(), [&](void* const* from) {
    with_parts(*type.result, taken.get(), [&](void* const* to) {
      for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i].argument >= 0) parts[i].type->move(to[i], from[i]);
      }
    });
  });
  return blank;
}

/// What the arguments of a signature are made of.
std::vector<JitCache::ArgumentPiece> pieces_of(const CallType& type, const pytree::Any& signature) {
  const pytree::Places places = places_in(signature);
  const Arguments arguments(*type.arguments, places.data());
  std::vector<JitCache::ArgumentPiece> pieces;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    for (const pytree::Piece& piece : pytree::pieces_of(arguments[i]))
      pieces.push_back({i, piece.type, piece.offset, static_cast<const std::byte*>(places[i]) + piece.offset});
  }
  return pieces;
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
  pytree::Any blank = blank_of(type, result, parts);
  auto pieces = pieces_of(type, signature);
  return {&type,
          std::move(program),
          std::move(signature),
          std::move(result),
          std::move(blank),
          std::move(pieces),
          std::move(first_inputs),
          std::move(parts),
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

}  // namespace

JitCache::JitCache(JitOptions options) : state_(std::make_shared<State>(std::move(options))) {}

std::shared_ptr<const JitCache::Entry> JitCache::entry_for(const CallType& type, const void* function,
                                                           const void* const* places) const {
  const State::Found found = state_->find(type, places);
  if (found.match) return {std::shared_ptr<void>(), found.match};  // nothing is counted: the cache keeps it
  const Arguments arguments(*type.arguments, places);
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
  if (const Entry* first = state_->find(type, places).match)
    return {std::shared_ptr<void>(), first};  // of a faster thread
  state_->add(entry);
  state_->reasons = std::move(reasons);
  return entry;
}

namespace {

/// One call of a compiled program: which arguments it may take apart, and how its result is put together.
class CompiledCall {
 public:
  using Part = JitCache::ResultPart;

  CompiledCall(const JitCache::Entry& entry, void* const* places, compile::Run& run)
      : entry_(entry), places_(places), run_(run) {
    for (const JitCache::ArgumentPiece& piece : entry_.pieces) {
      const void* const place = place_of(piece, places_);
      switch (piece.type->kind) {
        case pytree::Type::Kind::constant: break;
        case pytree::Type::Kind::array: run_.inputs().push_back({static_cast<const Array*>(place), true}); break;
        default: pytree::find_leaves({piece.type, place}, run_.inputs());
      }
    }
  }

  /// Decides what becomes of the arguments. False if some leaf is no concrete Array.
  [[nodiscard]] bool bind(const bool* moved) {
    for (std::size_t i = 0; i < arguments(); ++i) {
      const std::size_t first = entry_.first_inputs[i], last = entry_.first_inputs[i + 1];
      const bool given_up = moved[i] && !overlaps_others(i);
      const auto [concrete, unshared] = run_.bind(first, last, given_up);
      if (!concrete) return false;
      const bool taken_over = given_up && unshared && i < most_taken_over && becomes_part(i);
      if (taken_over) taken_over_ |= std::uint64_t{1} << i;
      run_.keep(first, last, taken_over);
    }
    return true;
  }

  void operator()(void* result, const Executor& executor) {
    const std::span<Array> outputs = run_.prepare(executor);
    with_parts(*entry_.type->result, result, [&](void* const* parts) {
      for (std::size_t p = 0; p < entry_.parts.size(); ++p) {
        if (!is_taken_over(entry_.parts[p])) hand_out(p, parts[p], outputs);
      }
      run_.execute(executor);  // from here on, nothing fails
      for (std::size_t p = 0; p < entry_.parts.size(); ++p) {
        if (is_taken_over(entry_.parts[p])) take_over(entry_.parts[p], parts[p], outputs);
      }
    });
  }

 private:
  static constexpr std::size_t most_taken_over = 64;  // arguments

  [[nodiscard]] std::size_t arguments() const noexcept { return entry_.first_inputs.size() - 1; }
  [[nodiscard]] std::span<const Tree::LeafPlace> leaves_of(std::size_t argument) const noexcept {
    const std::size_t first = entry_.first_inputs[argument];
    return std::span(run_.inputs()).subspan(first, entry_.first_inputs[argument + 1] - first);
  }
  /// Whether an argument is part of another one, as in step(std::move(state), state.params), or the same. Then all
  /// leaves of the one are among those of the other.
  [[nodiscard]] bool overlaps_others(std::size_t argument) const noexcept {
    const auto own = leaves_of(argument);
    const auto has = [](std::span<const Tree::LeafPlace> leaves, const Array* place) {
      return std::any_of(leaves.begin(), leaves.end(),
                         [&](const Tree::LeafPlace& leaf) { return leaf.array == place; });
    };
    for (std::size_t other = 0; other < arguments(); ++other) {
      const auto others = leaves_of(other);
      if (other == argument || own.empty() || others.empty()) continue;
      if (has(own, others.front().array) || has(others, own.front().array)) return true;
    }
    return false;
  }
  /// Whether a part of the result can be made of an argument.
  [[nodiscard]] bool becomes_part(std::size_t argument) const noexcept {
    return std::any_of(entry_.parts.begin(), entry_.parts.end(),
                       [&](const Part& part) { return part.argument == static_cast<int>(argument); });
  }
  /// Whether an argument becomes a part of the result: then only what changes in it is replaced.
  [[nodiscard]] bool is_taken_over(const Part& part) const noexcept {
    return part.argument >= 0 && part.argument < static_cast<int>(most_taken_over) &&
           (taken_over_ >> part.argument & 1) != 0;
  }

  void hand_out(std::size_t index, void* place, std::span<Array> outputs) const {
    const Part& part = entry_.parts[index];
    const auto own = outputs.subspan(part.first_output, part.outputs);
    if (part.type->kind == pytree::Type::Kind::array) {
      *static_cast<Array*>(place) = std::move(own.front());
      return;
    }
    if (part.argument >= 0) {  // the blank result has nothing here
      with_parts(*entry_.type->result, entry_.result.get(),
                 [&](void* const* parts) { part.type->copy(place, parts[index]); });
    }
    pytree::assign_leaves(*part.type, place, own);
  }

  void take_over(const Part& part, void* place, std::span<Array> outputs) const noexcept {
    const auto argument = static_cast<std::size_t>(part.argument);
    const auto leaves = leaves_of(argument);
    for (const std::size_t k : run_.handed()) {
      if (k < part.first_output || k >= part.first_output + part.outputs) continue;
      const_cast<Array&>(*leaves[k - part.first_output].array) = std::move(outputs[k]);
    }
    part.type->move(place, places_[argument]);
  }

  const JitCache::Entry& entry_;
  void* const* places_;
  compile::Run& run_;
  std::uint64_t taken_over_ = 0;  // one bit per argument
};

}  // namespace

void JitCache::run(const Entry& entry, void* const* places, const bool* moved, void* result) const {
  const Executor& executor = state_->options.executor;
  if (entry.compiled) {
    compile::Run run(entry.compiled->plan);
    CompiledCall call(entry, places, run);
    if (call.bind(moved)) return call(result, executor);
  }
  std::vector<Array> leaves = Arguments(*entry.type->arguments, places).leaves();
  for (Array& leaf : leaves) leaf = settled(leaf);
  with_parts(*entry.type->result, result, [&](void* const* to) {
    with_parts(*entry.type->result, entry.result.get(), [&](void* const* from) {
      for (std::size_t p = 0; p < entry.parts.size(); ++p) {
        if (entry.parts[p].argument >= 0) entry.parts[p].type->copy(to[p], from[p]);
      }
    });
  });
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
  for (Array& leaf : leaves) {
    leaf = concrete_value(leaf);
    if (!leaf.defined()) throw TraceError("jit", "Only a function of Arrays with values can be profiled.");
  }
  return compile::explain(*entry.compiled, leaves, state_->options.executor);
}

std::vector<std::string> JitCache::retrace_reasons() const {
  const std::lock_guard lock(state_->mutex);
  return state_->reasons;
}

}  // namespace linseed::detail
