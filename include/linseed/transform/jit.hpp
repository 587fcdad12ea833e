#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/core/executor.hpp>
#include <linseed/transform/program.hpp>
#include <linseed/tree/pytree.hpp>

namespace linseed {

/// A compiled function that is called while another one is being traced becomes part of that one, whose executor and
/// passes count. So does its `portable_bits`, if what is called captures values of the trace.
struct JitOptions {
  /// Where the program runs.
  Executor executor = Executor(1);
  /// Check that a state that goes in first and comes out first keeps its structure, shapes and dtypes.
  bool carry_check = true;
  /// Called after a second or later trace with the reasons, one line each; throw to forbid it.
  std::function<void(const std::vector<std::string>&)> on_retrace = {};
  /// Passes of the compiler to leave out, by the names that `explain` prints; "all" leaves the program as it was traced
  /// and runs it op by op.
  std::vector<std::string> disabled_passes = {};
  /// Give the same bits on every machine with AVX2 or AVX-512: no product goes to the BLAS, which adds up in another
  /// order on each. See docs/performance.md for what that costs.
  bool portable_bits = false;
};

namespace compile {
struct Compiled;
}

namespace detail {

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

/// One way of calling a compiled function: the types of its arguments (a tuple) and of its result, and the call itself.
/// The address of the table identifies the types.
struct CallType {
  const pytree::Type* arguments;
  const pytree::Type* result;
  pytree::Any (*copy)(const void* const* arguments);                   ///< gives the tuple
  pytree::Any (*invoke)(const void* function, void* arguments_tuple);  ///< consumes the tuple
  pytree::Any (*copy_result)(const void* result);
};

template <class F, class Result, class... Args>
inline constexpr CallType call_type = {
    .arguments = &pytree::type_of<std::tuple<Args...>>,
    .result = &pytree::type_of<Result>,
    .copy =
        [](const void* const* arguments) {
          return [&]<std::size_t... I>(std::index_sequence<I...>) {
            return pytree::Any::of(std::tuple<Args...>(*static_cast<const Args*>(arguments[I])...));
          }(std::index_sequence_for<Args...>{});
        },
    .invoke =
        [](const void* function, void* arguments) {
          return pytree::Any::of<Result>(
              std::apply(*static_cast<const F*>(function), std::move(*static_cast<std::tuple<Args...>*>(arguments))));
        },
    .copy_result = [](const void* result) { return pytree::Any::of(*static_cast<const Result*>(result)); }};

/// What `jit` remembers of a function: a program per signature. A handle; copies share the memory.
class JitCache {
 public:
  /// The result, or a part of it when it is a tuple.
  struct ResultPart {
    const pytree::Type* type;
    std::size_t first_output, outputs;  ///< its leaves among those of the result
    int argument;                       ///< with the same structure, shapes and dtypes, or -1
  };
  /// What is at the same place of an argument in each call.
  struct ArgumentPiece {
    std::size_t argument;
    const pytree::Type* type;
    std::size_t offset;  ///< in the argument
    const void* like;    ///< what the entry is for, in `Entry::arguments`
  };
  /// A trace. Its Arrays are placeholders.
  struct Entry {
    const CallType* type;
    Program program;
    pytree::Any arguments;
    pytree::Any result;
    pytree::Any blank;                      ///< the same, with nothing in the parts that may be arguments
    std::vector<ArgumentPiece> pieces;      ///< of all arguments, in order
    std::vector<std::size_t> first_inputs;  ///< per argument: where its leaves begin among those of all
    std::vector<ResultPart> parts;
    std::shared_ptr<const compile::Compiled> compiled;  ///< null for programs that are interpreted
  };

  explicit JitCache(JitOptions options);

  /// The entry for arguments like these; traces `function` when there is none. Good as long as the cache is.
  [[nodiscard]] std::shared_ptr<const Entry> entry_for(const CallType& type, const void* function,
                                                       const void* const* arguments) const;
  /// Runs an entry and completes `result`, a copy of the entry's blank one. `moved[i]`: argument i is given up when
  /// this succeeds, so that what it alone holds may be overwritten, and it may become part of the result.
  void run(const Entry& entry, void* const* arguments, const bool* moved, void* result) const;

  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] Program latest() const;
  [[nodiscard]] std::string explain() const;
  [[nodiscard]] std::string profile(const Entry& entry, const void* const* arguments) const;
  [[nodiscard]] std::vector<std::string> retrace_reasons() const;

 private:
  struct State;
  /// Throws ValueError when there is none.
  [[nodiscard]] const Entry& newest() const;

  std::shared_ptr<State> state_;
};

}  // namespace detail

/// A function that is traced once per signature (tree structure, shapes, dtypes and static arguments by value) and then
/// runs as a program. Made by `jit`. Copies share the cache. Calls from several threads are allowed.
template <class F>
class Jitted {
 public:
  explicit Jitted(F f, JitOptions options = {})
      : f_(std::make_shared<const F>(std::move(f))), cache_(std::move(options)) {}

  /// Runs the function. Static arguments, without Arrays, are compared by value: another value means another trace. An
  /// argument passed by std::move is consumed (what it alone holds, overwritten) unless the call throws: then it stays
  /// as it was. Throws CarryError when a state (a struct) that goes in and comes out first has another structure,
  /// shapes or dtypes, and TraceError when the function asks for values of what is being traced.
  template <class... Args>
  auto operator()(Args&&... args) const {
    const auto& type = call_type<std::remove_cvref_t<Args>...>();
    void* const addresses[] = {const_cast<void*>(static_cast<const void*>(std::addressof(args)))..., nullptr};
    const auto entry = cache_.entry_for(type, f_.get(), addresses);
    auto result = entry->blank.template as<const Result<std::remove_cvref_t<Args>...>>();
    const bool moved[] = {is_moved<Args>..., false};
    cache_.run(*entry, addresses, moved, &result);
    (consume<Args>(args), ...);
    return result;
  }

  /// The program for arguments like these; does not run it.
  template <class... Args>
  [[nodiscard]] Program lower(const Args&... args) const {
    const void* const addresses[] = {std::addressof(args)..., nullptr};
    return cache_.entry_for(call_type<Args...>(), f_.get(), addresses)->program;
  }

  /// Number of traces kept.
  [[nodiscard]] std::size_t trace_count() const { return cache_.size(); }
  /// The program of the latest trace. Throws ValueError before the first call.
  [[nodiscard]] Program program() const { return cache_.latest(); }
  /// What the latest trace was compiled to: passes, kernels, bytes. Throws ValueError before the first call.
  [[nodiscard]] std::string explain() const { return cache_.explain(); }
  /// The same for arguments like these, with the time that each kernel takes (medians of several runs).
  template <class... Args>
  [[nodiscard]] std::string profile(const Args&... args) const {
    const void* const addresses[] = {std::addressof(args)..., nullptr};
    return cache_.profile(*cache_.entry_for(call_type<Args...>(), f_.get(), addresses), addresses);
  }
  /// Why the latest trace was made though there was one already: "batch/image: float32[256,28,28,1] -> ...".
  [[nodiscard]] std::vector<std::string> retrace_reasons() const { return cache_.retrace_reasons(); }

 private:
  template <class... Args>
  using Result = std::remove_cvref_t<std::invoke_result_t<const F&, Args...>>;

  template <class... Args>
  static constexpr const detail::CallType& call_type() {
    static_assert(pytree::is_dynamic<Result<Args...>>, "linseed: a compiled function returns Arrays");
    static_assert(((pytree::is_dynamic<Args> || detail::is_static_comparable<Args>) && ...),
                  "linseed: a static argument of a compiled function needs operator==");
    return detail::call_type<F, Result<Args...>, Args...>;
  }

  template <class Arg>
  static constexpr bool is_moved = !std::is_lvalue_reference_v<Arg> && !std::is_const_v<std::remove_reference_t<Arg>>;

  template <class Arg>
  static void consume(std::remove_reference_t<Arg>& argument) {
    if constexpr (is_moved<Arg>) {
      [[maybe_unused]] const auto consumed = std::move(argument);
    }
  }

  std::shared_ptr<const F> f_;
  detail::JitCache cache_;
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
