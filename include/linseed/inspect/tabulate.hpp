#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/nn/module.hpp>
#include <linseed/tree/pytree.hpp>

namespace linseed::inspect {

struct TabulateOptions {
  /// Rows for modules at most so deep in the tree, 0 being the root; the last ones take in what is below them.
  std::optional<int> depth = {};
  /// Rows for every call of a module, not only for the first one.
  bool show_repeated = false;
};

/// One call of a module.
struct ModuleRow {
  std::string path = {};    ///< "Encoder_0/Dense_1"; empty at the root
  std::string module = {};  ///< the name of its type; empty where only a scope was opened
  std::string method = {};  ///< empty for the call operator
  /// "float32[256,4]": what the call reads of the model's arguments and of what was computed from them.
  std::vector<std::string> inputs = {};
  std::vector<std::string> outputs = {};
  std::int64_t flops = 0;  ///< with the modules that it calls; see inspect::flops
  /// Collection -> the module's own variables, without those of its submodules: shapes and dtypes, no values. Has all
  /// collections of the model, {} where the module has none in it; is empty for a repeated call.
  Tree variables = {};
};

/// What a model consists of. `fmt::print("{}", inspect::tabulate(model, key, x))` prints the table of Flax's
/// nn.tabulate, with counts and bytes of the variables.
struct ModuleTable {
  std::string model;
  std::vector<ModuleRow> rows;           ///< in the order of the calls
  std::vector<std::string> collections;  ///< "params" first
  std::int64_t flops = 0;                ///< of the whole call
  Tree variables;                        ///< of the model: shapes and dtypes, no values

  [[nodiscard]] std::string to_string() const;
};

/// Bytes of all elements; Tree::element_count is their number.
[[nodiscard]] std::int64_t byte_count(const Tree& tree);

namespace detail {

/// A model's call being traced.
class Tabulation {
 public:
  Tabulation(TabulateOptions options, std::string_view model);
  ~Tabulation();
  Tabulation(const Tabulation&) = delete;
  Tabulation& operator=(const Tabulation&) = delete;

  /// Starts a trace for nn::init or nn::apply; gives Arrays without values in place of those of the arguments, and of
  /// `variables` and `streams`.
  std::vector<Array> begin(const std::vector<Array>& arguments, Tree& variables, Tree& streams);
  [[nodiscard]] nn::CallObserver& observer() noexcept;
  /// Ends it after nn::init: shapes and dtypes of the variables.
  [[nodiscard]] Tree variables(const Tree& made);
  /// Ends it after nn::apply.
  [[nodiscard]] ModuleTable table(const std::vector<Array>& outputs);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace detail

/// The module table of a model called with these arguments, by tracing its nn::init and nn::apply: nothing is computed.
/// Inputs, outputs and FLOPs are those of the traced program, so that modules need not cooperate; arguments that are
/// not Arrays do not show. Throws what the model throws, and TraceError when it asks for values.
template <class Module, class... Args>
[[nodiscard]] ModuleTable tabulate(const TabulateOptions& options, const Module& module, const nn::Rngs& rngs,
                                   const Args&... args) {
  detail::Tabulation tabulation(options, nn::detail::dynamic_name(module));
  const std::tuple<Args...> arguments(args...);
  const auto run = [&](Tree variables, bool initializing) {
    Tree streams = rngs.streams;
    const auto traced = pytree::with_leaves(arguments, tabulation.begin(pytree::leaves(arguments), variables, streams));
    nn::detail::Call call(variables, {streams}, nn::Mutable::all_except({"intermediates"}), initializing,
                          &tabulation.observer());
    const auto output =
        std::apply([&](const auto&... given) { return nn::detail::run(call, module, given...); }, traced);
    return std::pair(pytree::leaves(output), call.mutable_collections());
  };
  const Tree variables = tabulation.variables(run({}, /*initializing=*/true).second);
  return tabulation.table(run(variables, /*initializing=*/false).first);
}
template <class Module, class... Args>
[[nodiscard]] ModuleTable tabulate(const TabulateOptions& options, const Module& module, const Array& key,
                                   const Args&... args) {
  return tabulate(options, module, nn::Rngs{{{"params", key}}}, args...);
}
template <class Module, class... Args>
  requires(!std::is_same_v<Module, TabulateOptions>)
[[nodiscard]] ModuleTable tabulate(const Module& module, const nn::Rngs& rngs, const Args&... args) {
  return tabulate(TabulateOptions{}, module, rngs, args...);
}
template <class Module, class... Args>
  requires(!std::is_same_v<Module, TabulateOptions>)
[[nodiscard]] ModuleTable tabulate(const Module& module, const Array& key, const Args&... args) {
  return tabulate(TabulateOptions{}, module, nn::Rngs{{{"params", key}}}, args...);
}

}  // namespace linseed::inspect

template <>
struct fmt::formatter<linseed::inspect::ModuleTable> : fmt::formatter<fmt::string_view> {
  fmt::format_context::iterator format(const linseed::inspect::ModuleTable& table, fmt::format_context& context) const;
};
