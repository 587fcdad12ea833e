#pragma once

#include <type_traits>
#include <utility>

#include <linseed/nn/model.hpp>
#include <linseed/nn/scope.hpp>
#include <linseed/tree/tree.hpp>

// `init` and `apply` of flax.linen: a module is any callable (nn::Scope&, arguments...) -> pytree; both are pure.

namespace linseed::nn {

namespace detail {

/// Runs `module` at the root of a call; errors learn the path of the module that they came from.
template <class Module, class... Args>
auto run(Call& call, const Module& module, const Args&... args) {
  try {
    Scope scope = call.root(dynamic_type(module), dynamic_name(module));
    return scope.output(module(scope, args...));
  } catch (Error& error) {
    error.locate(call.failed_at());
    throw;
  }
}

template <class T>
inline constexpr bool is_option = std::is_same_v<T, Mutable> || std::is_same_v<T, Rngs>;

}  // namespace detail

/// Runs the module once and gives {its output, its variables}: collection -> module names -> variable name. `rngs`
/// holds the key of the stream "params" and others that the module draws from.
template <class Module, class... Args>
[[nodiscard]] auto init_with_output(const Module& module, Rngs rngs, const Args&... args) {
  detail::Call call({}, std::move(rngs), Mutable::all_except({"intermediates"}), /*initializing=*/true);
  auto output = detail::run(call, module, args...);
  return std::pair(std::move(output), call.mutable_collections());
}
template <class Module, class... Args>
[[nodiscard]] auto init_with_output(const Module& module, const Array& key, const Args&... args) {
  return init_with_output(module, Rngs{{{"params", key}}}, args...);
}

/// The variables of the module: the same key gives the same values as Flax does.
template <class Module, class... Args>
[[nodiscard]] Tree init(const Module& module, Rngs rngs, const Args&... args) {
  return init_with_output(module, std::move(rngs), args...).second;
}
template <class Module, class... Args>
[[nodiscard]] Tree init(const Module& module, const Array& key, const Args&... args) {
  return init_with_output(module, key, args...).second;
}

/// The output of the module under these variables. Throws ImmutableCollectionError when the module updates one.
template <class Module, class... Args>
  requires(!(detail::is_option<Args> || ...))
[[nodiscard]] auto apply(const Module& module, const Tree& variables, const Args&... args) {
  detail::Call call(variables, {}, Mutable(false), /*initializing=*/false);
  return detail::run(call, module, args...);
}
/// The same with keys, for Dropout and others that draw.
template <class Module, class... Args>
  requires(!(detail::is_option<Args> || ...))
[[nodiscard]] auto apply(const Module& module, const Tree& variables, const Rngs& rngs, const Args&... args) {
  detail::Call call(variables, rngs, Mutable(false), /*initializing=*/false);
  return detail::run(call, module, args...);
}

/// {output, updates}: `updates` holds the collections that `filter` names, whole, with what the module changed. Keep
/// it:
///
///     auto [logits, updates] = nn::apply(model, variables, nn::mutable_({"batch_stats"}), x, /*train=*/true);
template <class Module, class... Args>
  requires(!(detail::is_option<Args> || ...))
[[nodiscard]] auto apply(const Module& module, const Tree& variables, const Mutable& filter, const Rngs& rngs,
                         const Args&... args) {
  detail::Call call(variables, rngs, filter, /*initializing=*/false);
  auto output = detail::run(call, module, args...);
  return std::pair(std::move(output), call.mutable_collections());
}
template <class Module, class... Args>
  requires(!(detail::is_option<Args> || ...))
[[nodiscard]] auto apply(const Module& module, const Tree& variables, const Mutable& filter, const Args&... args) {
  return apply(module, variables, filter, Rngs{}, args...);
}

}  // namespace linseed::nn
