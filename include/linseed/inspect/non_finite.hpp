#pragma once

#include <optional>
#include <string>

#include <linseed/core/array.hpp>
#include <linseed/nn/module.hpp>
#include <linseed/tree/pytree.hpp>

namespace linseed::inspect {

/// An element that is NaN or infinite. Prints as "params/Dense_0/kernel[2,0] is nan".
struct NonFinite {
  std::string path = {};
  Shape index = {};
  double value = 0.0;

  [[nodiscard]] std::string to_string() const;
};

namespace detail {

[[nodiscard]] std::optional<NonFinite> first_non_finite(pytree::View value, const std::string& root);

/// Looks at what each module of a call gives, in the order in which they return.
class NonFiniteWatch : public nn::CallObserver {
 public:
  void output(const nn::ModuleCall& call, pytree::View value) override;

  std::optional<NonFinite> found;
};

}  // namespace detail

/// The first element that is not finite, in the order of paths and of elements, of parameters, gradients or any pytree.
/// Throws TraceError for Arrays that have no values yet.
template <class T>
[[nodiscard]] std::optional<NonFinite> first_non_finite(const T& value) {
  return detail::first_non_finite(pytree::View::of(value), "");
}

/// The first module, in the order in which they return, whose output is not finite: runs `module` as nn::apply would
/// with all collections mutable, whose updates are dropped. The path is that of the module, with "__call__" behind it
/// and, where it gives a structure, the place in that. A module of yours that enters a scope takes part when it returns
/// through Scope::output.
template <class Module, class... Args>
[[nodiscard]] std::optional<NonFinite> first_non_finite_activation(const Module& module, const Tree& variables,
                                                                   const nn::Rngs& rngs, const Args&... args) {
  detail::NonFiniteWatch watch;
  nn::detail::Call call(variables, rngs, nn::Mutable(true), /*initializing=*/false, &watch);
  (void)nn::detail::run(call, module, args...);
  return watch.found;
}
template <class Module, class... Args>
  requires(!(nn::detail::is_option<Args> || ...))
[[nodiscard]] std::optional<NonFinite> first_non_finite_activation(const Module& module, const Tree& variables,
                                                                   const Args&... args) {
  return first_non_finite_activation(module, variables, nn::Rngs{}, args...);
}

}  // namespace linseed::inspect

template <>
struct fmt::formatter<linseed::inspect::NonFinite> : fmt::formatter<fmt::string_view> {
  fmt::format_context::iterator format(const linseed::inspect::NonFinite& found, fmt::format_context& context) const;
};
