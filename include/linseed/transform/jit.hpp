#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/core/error.hpp>
#include <linseed/core/executor.hpp>
#include <linseed/transform/program.hpp>
#include <linseed/tree/pytree.hpp>

namespace linseed {

struct JitOptions {
  /// Where the program runs.
  Executor executor = Executor(1);
  /// Check that a state that goes in first and comes out first keeps its structure, shapes and dtypes.
  bool carry_check = true;
  /// Called after a second or later trace with the reasons, one line each; throw to forbid it.
  std::function<void(const std::vector<std::string>&)> on_retrace = {};
};

namespace detail {

/// A trace for `jit` under way: its inputs have shapes and dtypes, no values.
class Recording {
 public:
  explicit Recording(std::span<const Array> like);
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  [[nodiscard]] const std::vector<Array>& inputs() const noexcept { return inputs_; }
  [[nodiscard]] Program finish(std::span<const Array> outputs);

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::vector<Array> inputs_;
};

std::vector<Array> run(const Program& program, std::span<const Array> inputs, const Executor& executor);
/// A program with such constants is good for one call only.
bool captured_tracers(const Program& program);
[[noreturn]] void throw_carry(const std::vector<std::string>& differences);
/// "TrainState" -> "train_state".
std::string snake_case(std::string_view name);

template <class T>
inline constexpr bool is_static_comparable = [] {
  if constexpr (std::is_empty_v<T>) {
    return true;
  } else if constexpr (requires(const T& a) {
                         { a == a } -> std::same_as<bool>;
                       }) {
    return true;
  } else {
    return reflect::Aggregate<T>;
  }
}();

/// How an argument is called in explanations: structs by their own name, others by their place.
template <class T>
std::string argument_name(std::size_t index) {
  if constexpr (reflect::Aggregate<T> && !pytree::detail::is_sequence<T>) {
    return snake_case(reflect::type_name<T>());
  } else {
    return "argument " + std::to_string(index);
  }
}

// The part of a result that a state passed first would come back as.
template <class T>
struct FirstOf {
  using type = T;
  static const T& get(const T& value) { return value; }
};
template <class A, class B>
struct FirstOf<std::pair<A, B>> {
  using type = A;
  static const A& get(const std::pair<A, B>& value) { return value.first; }
};
template <class A, class... Rest>
struct FirstOf<std::tuple<A, Rest...>> {
  using type = A;
  static const A& get(const std::tuple<A, Rest...>& value) { return std::get<0>(value); }
};

struct CacheEntryBase {
  explicit CacheEntryBase(const void* types_, Program program_) : types(types_), program(std::move(program_)) {}
  virtual ~CacheEntryBase() = default;
  const void* types;  ///< identifies the types of arguments and result
  Program program;
};
template <class Arguments, class Result>
struct CacheEntry : CacheEntryBase {
  CacheEntry(Program program_, Arguments signature_, Result result_)
      : CacheEntryBase(id(), std::move(program_)), signature(std::move(signature_)), result(std::move(result_)) {}
  static const void* id() noexcept {
    static const char unique = 0;
    return &unique;
  }
  Arguments signature;  ///< its Arrays are placeholders
  Result result;        ///< likewise
};

}  // namespace detail

/// A function that is traced once per signature (tree structure, shapes, dtypes and static arguments by value) and then
/// runs as a program. Made by `jit`. Copies share the cache. Calls from several threads are allowed.
template <class F>
class Jitted {
 public:
  explicit Jitted(F f, JitOptions options = {}) : shared_(std::make_shared<Shared>(std::move(f), std::move(options))) {}

  /// Runs the function. Arguments without Arrays are static: they are compared by value, and another value means
  /// another trace. An argument passed by std::move is consumed when the call succeeds; when it throws, arguments are
  /// as they were. Throws CarryError when a state (a struct) that goes in first comes out first with other structure,
  /// shapes or dtypes, and TraceError when the function asks for values of what is being traced.
  template <class... Args>
  auto operator()(Args&&... args) const {
    using Arguments = std::tuple<std::remove_cvref_t<Args>...>;
    using Result = std::remove_cvref_t<std::invoke_result_t<const F&, std::remove_cvref_t<Args>...>>;
    static_assert(pytree::is_dynamic<Result>, "linseed: a compiled function returns Arrays");
    static_assert(((pytree::is_dynamic<Args> || detail::is_static_comparable<std::remove_cvref_t<Args>>) && ...),
                  "linseed: a static argument of a compiled function needs operator==");
    const Arguments arguments(args...);
    const auto entry = entry_for<Arguments, Result>(arguments);
    Result result = pytree::with_leaves(
        entry->result, detail::run(entry->program, pytree::leaves(arguments), shared_->options.executor));
    (consume<Args>(args), ...);
    return result;
  }

  /// The program for arguments like these; does not run it.
  template <class... Args>
  [[nodiscard]] Program lower(const Args&... args) const {
    using Result = std::remove_cvref_t<std::invoke_result_t<const F&, Args...>>;
    return entry_for<std::tuple<Args...>, Result>(std::tuple<Args...>(args...))->program;
  }

  /// Number of traces kept.
  [[nodiscard]] std::size_t trace_count() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->entries.size();
  }
  /// The program of the latest trace. Throws ValueError before the first call.
  [[nodiscard]] Program program() const {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->entries.empty())
      throw ValueError("jit", "The function has not been traced yet.", {.hint = "call it first"});
    return shared_->entries.back()->program;
  }
  /// Why the latest trace was made though there was one already: "batch/image: float32[256,28,28,1] -> ...".
  [[nodiscard]] std::vector<std::string> retrace_reasons() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->reasons;
  }

 private:
  struct Shared {
    Shared(F f_, JitOptions options_) : f(std::move(f_)), options(std::move(options_)) {}
    F f;
    JitOptions options;
    std::mutex mutex;
    std::vector<std::shared_ptr<const detail::CacheEntryBase>> entries;
    std::vector<std::string> reasons;
  };

  template <class Arguments, class Result>
  using Entry = detail::CacheEntry<Arguments, Result>;

  /// The entry with this signature or null, and the latest one of these types. The mutex must be held.
  template <class Arguments, class Result>
  auto find(const Arguments& arguments) const {
    std::shared_ptr<const Entry<Arguments, Result>> latest;
    for (const auto& candidate : shared_->entries) {
      if (candidate->types != Entry<Arguments, Result>::id()) continue;
      latest = std::static_pointer_cast<const Entry<Arguments, Result>>(candidate);
      if (pytree::same_signature(latest->signature, arguments)) return std::pair(latest, latest);
    }
    return std::pair(decltype(latest)(), latest);
  }

  template <class Arguments, class Result>
  std::shared_ptr<const Entry<Arguments, Result>> entry_for(const Arguments& arguments) const {
    std::shared_ptr<const Entry<Arguments, Result>> latest;
    {
      const std::lock_guard lock(shared_->mutex);
      auto [match, newest] = find<Arguments, Result>(arguments);
      if (match) return match;
      latest = std::move(newest);
    }
    std::vector<std::string> reasons;
    if (latest) {
      reasons = explain(latest->signature, arguments);
      if (shared_->options.on_retrace) shared_->options.on_retrace(reasons);
    }
    auto entry = trace<Arguments, Result>(arguments);
    if (detail::captured_tracers(entry->program)) return entry;
    const std::lock_guard lock(shared_->mutex);
    if (auto first = find<Arguments, Result>(arguments).first) return first;  // another thread was faster
    shared_->entries.push_back(entry);
    shared_->reasons = std::move(reasons);
    return entry;
  }

  template <class Arguments, class Result>
  std::shared_ptr<const Entry<Arguments, Result>> trace(const Arguments& arguments) const {
    const std::vector<Array> leaves = pytree::leaves(arguments);
    detail::Recording recording(leaves);
    Arguments traced = pytree::with_leaves(arguments, recording.inputs());
    const Result result = std::apply(shared_->f, std::move(traced));
    if (shared_->options.carry_check) check_carry(arguments, result);
    const std::vector<Array> outputs = pytree::leaves(result);
    Program program = recording.finish(outputs);
    return std::make_shared<const Entry<Arguments, Result>>(
        std::move(program), pytree::with_leaves(arguments, detail::placeholders(leaves)),
        pytree::with_leaves(result, detail::placeholders(outputs)));
  }

  template <class Arguments, class Result>
  static void check_carry(const Arguments& arguments, const Result& result) {
    if constexpr (std::tuple_size_v<Arguments> > 0) {
      using State = std::tuple_element_t<0, Arguments>;
      using First = detail::FirstOf<Result>;
      if constexpr (reflect::Aggregate<State> && pytree::is_dynamic<State> &&
                    std::is_same_v<State, typename First::type>) {
        const auto differences =
            pytree::differences(std::get<0>(arguments), First::get(result), detail::argument_name<State>(0));
        if (!differences.empty()) detail::throw_carry(differences);
      }
    }
  }

  template <class Arguments>
  static std::vector<std::string> explain(const Arguments& before, const Arguments& now) {
    std::vector<std::string> reasons;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      [[maybe_unused]] const auto append = [&](const auto& a, const auto& b, const std::string& name) {
        for (std::string& line : pytree::differences(a, b, name)) reasons.push_back(std::move(line));
      };
      (append(std::get<I>(before), std::get<I>(now), detail::argument_name<std::tuple_element_t<I, Arguments>>(I)),
       ...);
    }(std::make_index_sequence<std::tuple_size_v<Arguments>>{});
    return reasons;
  }

  template <class Arg>
  static void consume(std::remove_reference_t<Arg>& argument) {
    if constexpr (!std::is_lvalue_reference_v<Arg> && !std::is_const_v<std::remove_reference_t<Arg>>) {
      [[maybe_unused]] const auto consumed = std::move(argument);
    }
  }

  std::shared_ptr<Shared> shared_;
};

/// Compiles a pure function of pytrees (jax.jit). The function must not depend on anything but its arguments: what it
/// captures is frozen at the first call.
template <class F>
[[nodiscard]] Jitted<F> jit(F f, JitOptions options = {}) {
  return Jitted<F>(std::move(f), std::move(options));
}

/// The program that `f` becomes on arguments like these (jax.make_jaxpr).
template <class F, class... Args>
[[nodiscard]] Program make_program(F f, const Args&... args) {
  return jit(std::move(f), {.carry_check = false}).lower(args...);
}

}  // namespace linseed
