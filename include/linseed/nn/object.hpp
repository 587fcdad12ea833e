#pragma once

#include <concepts>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <linseed/core/error.hpp>
#include <linseed/nn/model.hpp>
#include <linseed/nn/module.hpp>

// For people who like `model(x)` (treex, Equinox): a module, its variables and its mode in one immutable value. Every
// method gives another object and leaves this one as it is; the variables are those of nn::init and nn::apply.
//
//     const auto fresh = object::make(nn::BatchNorm{.momentum = 0.9}).init(random::key(0), x);
//     auto [y, next] = fresh(x);             // next has moved running statistics, fresh has not
//     auto [z, same] = next.eval()(x);       // by the running statistics

namespace linseed::object {

namespace detail {

/// Stands for a bool where a call is tried out: converts to bool alone, not to numbers.
struct Flag {
  template <std::same_as<bool> T>
  operator T() const;  // NOLINT: never defined, only asked for
};

template <class... Args>
inline constexpr bool ends_with_flag = false;
template <class First, class... Rest>
inline constexpr bool ends_with_flag<First, Rest...> = [] {
  using Last = std::tuple_element_t<sizeof...(Rest), std::tuple<First, Rest...>>;
  return std::is_same_v<Last, bool> || std::is_same_v<Last, std::optional<bool>>;
}();

/// Whether the mode is the last argument of such a call.
template <class Module, class... Args>
inline constexpr bool takes_mode = !nn::detail::ErasedModule<Module> && !ends_with_flag<Args...> &&
                                   std::is_invocable_v<const Module&, nn::Scope&, const Args&..., Flag>;

template <class T>
inline constexpr bool is_open_field = std::is_same_v<T, std::optional<bool>>;

/// Calls `run(module, args...)`, or `run(module, args..., mode)` for modules that take one and were not given it.
template <class Run, class Module, class... Args>
auto with_mode(const Run& run, const Module& module, bool training, const Args&... args) {
  if constexpr (std::is_same_v<Module, nn::Model> && std::is_same_v<std::tuple<Args...>, std::tuple<Array>>) {
    return module.takes_flag() ? run(module, args..., training) : run(module, args...);
  } else if constexpr (!takes_mode<Module, Args...>) {
    return run(module, args...);
  } else if constexpr (requires { requires is_open_field<decltype(module.use_running_average)>; }) {
    return module.use_running_average ? run(module, args...) : run(module, args..., !training);
  } else if constexpr (requires { requires is_open_field<decltype(module.deterministic)>; }) {
    return module.deterministic ? run(module, args...) : run(module, args..., !training);
  } else {
    return run(module, args..., training);
  }
}

[[noreturn]] void throw_not_initialized(std::string_view module);

}  // namespace detail

/// See above. Also a pytree, whose leaves are the variables: it goes through jit as it is.
///
/// The mode reaches the module by its call: as last argument `bool train`, or, for modules with an optional field
/// `use_running_average` or `deterministic` that is empty (nn::BatchNorm, nn::Dropout), as the argument of that name.
/// Who gives that argument, or fills that field, overrides the mode. An nn::Model that is called with one Array passes
/// the mode on to a module that takes a bool behind it.
template <class Module>
struct Object {
  Module module;
  std::optional<Tree> state = {};  ///< the variables, once there are some
  bool training = true;
  bool frozen = false;

  /// With variables made by nn::init for such arguments, called as in evaluation.
  template <class... Args>
  [[nodiscard]] Object init(const nn::Rngs& rngs, const Args&... args) const {
    const auto run = [&](const Module& m, const auto&... all) { return nn::init(m, rngs, all...); };
    return with_variables(detail::with_mode(run, module, /*training=*/false, args...));
  }
  template <class... Args>
  [[nodiscard]] Object init(const Array& key, const Args&... args) const {
    return init(nn::Rngs{{{"params", key}}}, args...);
  }
  [[nodiscard]] bool initialized() const noexcept { return state.has_value(); }

  /// {output, next}: `next` holds what the call updated, all collections but the parameters. Throws ValueError before
  /// init, and what the module throws.
  template <class... Args>
  [[nodiscard]] auto operator()(const Args&... args) const {
    return call(nn::Rngs{}, args...);
  }
  /// The same with keys, for modules that draw.
  template <class... Args>
  [[nodiscard]] auto operator()(const nn::Rngs& rngs, const Args&... args) const {
    return call(rngs, args...);
  }

  /// In training, the mode of new objects, normalization is by the batch, whose statistics move the running ones, and
  /// dropout drops; in evaluation neither.
  [[nodiscard]] Object train() const { return with(&Object::training, true); }
  [[nodiscard]] Object eval() const { return with(&Object::training, false); }
  /// As in evaluation, in either mode, until unfreeze().
  [[nodiscard]] Object freeze() const { return with(&Object::frozen, true); }
  [[nodiscard]] Object unfreeze() const { return with(&Object::frozen, false); }

  /// The variables, as nn::apply takes them. Throws ValueError before init.
  [[nodiscard]] const Tree& variables() const {
    if (!state) detail::throw_not_initialized(nn::detail::dynamic_name(module));
    return *state;
  }
  [[nodiscard]] Tree params() const { return variables().contains("params") ? variables()["params"] : Tree(); }
  [[nodiscard]] Object with_variables(Tree variables) const { return with(&Object::state, std::move(variables)); }
  [[nodiscard]] Object with_params(Tree params) const {
    return with_variables(variables().set("params", std::move(params)));
  }

 private:
  template <class Field, class Value>
  Object with(Field Object::*field, Value value) const {
    Object result = *this;
    result.*field = std::move(value);
    return result;
  }
  template <class... Args>
  auto call(const nn::Rngs& rngs, const Args&... args) const {
    const auto run = [&](const Module& m, const auto&... all) {
      auto [output, updates] =
          nn::apply(m, variables(), nn::Mutable::all_except({"params", "intermediates"}), rngs, all...);
      return std::pair(std::move(output), with_variables(variables().merge(updates)));
    };
    return detail::with_mode(run, module, training && !frozen, args...);
  }
};

/// The module as an object without variables.
template <class Module>
[[nodiscard]] Object<Module> make(Module module) {
  return {.module = std::move(module)};
}

}  // namespace linseed::object
