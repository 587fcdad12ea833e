#pragma once

#include <any>
#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/nn/scope.hpp>
#include <linseed/tree/pytree.hpp>

namespace linseed::nn {

namespace detail {

[[noreturn]] void throw_argument(std::string_view model, std::size_t index, std::string_view expected);
[[noreturn]] void throw_argument_count(std::string_view model, std::size_t got, std::string_view expected);
/// The C++ number in `argument`, weakly typed; nothing for other things.
std::optional<ArrayLike> scalar_in(const std::any& argument);
/// The same as double.
std::optional<double> number_in(const std::any& argument);
/// Arguments of any types, for Model::call.
template <class... Args>
std::array<std::any, sizeof...(Args)> erased(const Args&... args) {
  return {std::any(args)...};
}
/// "2", or "1 to 2".
std::string count_text(std::size_t fewest, std::size_t most);

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// An argument as the parameter type that a module declares.
template <class Parameter>
std::optional<Parameter> argument_as(const std::any& argument) {
  if (const auto* exact = std::any_cast<Parameter>(&argument)) return *exact;
  if constexpr (std::is_same_v<Parameter, Array>) {
    if (const auto* tree = std::any_cast<Tree>(&argument); tree != nullptr && tree->is_leaf()) return tree->array();
    if (const auto number = scalar_in(argument)) return number->array();
  } else if constexpr (std::is_same_v<Parameter, Tree>) {
    if (const auto* array = std::any_cast<Array>(&argument)) return Tree(*array);
  } else if constexpr (std::is_same_v<Parameter, ArrayLike>) {
    if (const auto* array = std::any_cast<Array>(&argument)) return ArrayLike(*array);
    if (const auto number = scalar_in(argument)) return number;
  } else if constexpr (std::is_arithmetic_v<Parameter>) {
    if (const auto number = number_in(argument)) return static_cast<Parameter>(*number);
  } else if constexpr (is_optional<Parameter>) {
    if (auto inner = argument_as<typename Parameter::value_type>(argument)) return Parameter(std::move(*inner));
  }
  return std::nullopt;
}

/// The parameter types behind the Scope of a module's call operator; nothing when it is overloaded or a template.
template <class F>
struct Parameters {
  static constexpr bool known = false;
};
template <class R, class... P>
struct Parameters<R (*)(Scope&, P...)> {
  static constexpr bool known = true;
  using types = std::tuple<std::remove_cvref_t<P>...>;
};
template <class R, class M, class... P>
struct Parameters<R (M::*)(Scope&, P...) const> : Parameters<R (*)(Scope&, P...)> {};
template <class R, class M, class... P>
struct Parameters<R (M::*)(Scope&, P...) const noexcept> : Parameters<R (*)(Scope&, P...)> {};

template <class M>
consteval auto parameters_of() {
  if constexpr (std::is_pointer_v<M>) {
    return Parameters<M>{};
  } else if constexpr (requires { &M::operator(); }) {
    return Parameters<decltype(&M::operator())>{};
  } else {
    return Parameters<void>{};
  }
}

template <class M>
inline constexpr bool is_function_of_array = std::is_invocable_r_v<Array, const M&, const Array&>;
template <class M>
inline constexpr bool is_module =
    decltype(parameters_of<M>())::known || std::is_invocable_r_v<Array, const M&, Scope&, const Array&> ||
    std::is_invocable_r_v<Array, const M&, Scope&, const Array&, bool>;

/// An optional<bool>, as BatchNorm has it, means something else than a flag that must be given.
template <class M>
inline constexpr bool takes_flag = [] {
  constexpr auto parameters = parameters_of<M>();
  if constexpr (parameters.known) {
    if constexpr (std::tuple_size_v<typename decltype(parameters)::types> >= 2) {
      return std::is_same_v<std::tuple_element_t<1, typename decltype(parameters)::types>, bool> &&
             std::is_invocable_r_v<Array, const M&, Scope&, const Array&, bool>;
    } else {
      return false;
    }
  } else {
    return std::is_invocable_r_v<Array, const M&, Scope&, const Array&, bool>;
  }
}();

}  // namespace detail

/// Any module, held by value with its type erased: what TrainState and Sequential store. It is called like the module,
/// with (scope, arguments...), and gives an Array. Also holds plain functions of one Array (`nn::relu`). Two Models are
/// equal when their modules have the same type and equal fields; modules that cannot be compared are equal to their
/// copies.
class Model {
 public:
  Model() noexcept = default;
  Model(const Model& other) noexcept;
  Model(Model&& other) noexcept = default;
  Model& operator=(const Model& other) noexcept;
  Model& operator=(Model&& other) noexcept;
  ~Model();
  template <class M>
    requires(!std::is_same_v<std::remove_cvref_t<M>, Model> &&
             (detail::is_module<std::decay_t<M>> || detail::is_function_of_array<std::decay_t<M>>))
  Model(M&& module) : held_(std::make_shared<const Held<std::decay_t<M>>>(std::forward<M>(module))) {}  // NOLINT

  /// Calls the module. Throws ValueError when the arguments are not what it takes, or when the Model is empty.
  template <class... Args>
  [[nodiscard]] Array operator()(Scope& scope, const Args&... args) const {
    return call(scope, detail::erased(args...));
  }
  /// The same with arguments whose types are erased.
  [[nodiscard]] Array call(Scope& scope, std::span<const std::any> arguments) const;

  [[nodiscard]] const std::type_info& type() const noexcept { return held_ ? held_->type() : typeid(void); }
  /// The module's type name.
  [[nodiscard]] std::string_view name() const noexcept { return held_ ? held_->name() : "empty Model"; }
  /// False for plain functions, which have no variables.
  [[nodiscard]] bool is_module() const noexcept { return held_ && held_->is_module(); }
  /// Whether the module can be called with (scope, Array, bool), as one that has a `train` argument.
  [[nodiscard]] bool takes_flag() const noexcept { return held_ && held_->takes_flag(); }
  /// The `name` field of the module, where there is one.
  [[nodiscard]] std::string_view given_name() const noexcept { return held_ ? held_->given_name() : ""; }

  friend bool operator==(const Model& a, const Model& b) {
    return a.held_ == b.held_ || (a.held_ && b.held_ && a.type() == b.type() && a.held_->equals(*b.held_));
  }

 private:
  struct Holder {
    virtual ~Holder() = default;
    virtual Array call(Scope& scope, std::span<const std::any> arguments) const = 0;
    virtual bool equals(const Holder& other) const = 0;
    virtual const std::type_info& type() const noexcept = 0;
    virtual std::string_view name() const noexcept = 0;
    virtual std::string_view given_name() const noexcept = 0;
    virtual bool is_module() const noexcept = 0;
    virtual bool takes_flag() const noexcept = 0;
  };

  template <class M>
  struct Held final : Holder {
    template <class... A>
    explicit Held(A&&... args) : module(std::forward<A>(args)...) {}

    Array call(Scope& scope, std::span<const std::any> arguments) const override {
      constexpr auto parameters = detail::parameters_of<M>();
      if constexpr (parameters.known) {
        using Types = typename decltype(parameters)::types;
        return call_prefix<Types, std::tuple_size_v<Types>>(scope, arguments);
      } else if constexpr (detail::is_module<M>) {
        return call_overloaded(scope, arguments);
      } else {
        if (arguments.size() != 1) detail::throw_argument_count(name(), arguments.size(), "1");
        return module(required<Array>(arguments, 0));
      }
    }

    // Trailing parameters may have defaults, so that the first N of them are enough.
    template <class Types, std::size_t N>
    static constexpr bool takes_first = []<std::size_t... I>(std::index_sequence<I...>) {
      return std::is_invocable_r_v<Array, const M&, Scope&, std::tuple_element_t<I, Types>...>;
    }(std::make_index_sequence<N>{});

    template <class Types, std::size_t N>
    Array call_prefix(Scope& scope, std::span<const std::any> arguments) const {
      if constexpr (takes_first<Types, N>) {
        if (arguments.size() == N) {
          return [&]<std::size_t... I>(std::index_sequence<I...>) -> Array {
            return module(scope, required<std::tuple_element_t<I, Types>>(arguments, I)...);
          }(std::make_index_sequence<N>{});
        }
        if constexpr (N > 0) return call_prefix<Types, N - 1>(scope, arguments);
      }
      constexpr std::size_t fewest = takes_first<Types, N> ? N : N + 1;
      detail::throw_argument_count(name(), arguments.size(), detail::count_text(fewest, std::tuple_size_v<Types>));
    }

    Array call_overloaded(Scope& scope, std::span<const std::any> arguments) const {
      if constexpr (std::is_invocable_r_v<Array, const M&, Scope&, const Array&>) {
        if (arguments.size() == 1) return module(scope, required<Array>(arguments, 0));
      }
      if constexpr (std::is_invocable_r_v<Array, const M&, Scope&, const Array&, bool>) {
        if (arguments.size() == 2) return module(scope, required<Array>(arguments, 0), required<bool>(arguments, 1));
      }
      detail::throw_argument_count(name(), arguments.size(), "(Array) or (Array, bool)");
    }

    template <class Parameter>
    Parameter required(std::span<const std::any> arguments, std::size_t index) const {
      auto value = detail::argument_as<Parameter>(arguments[index]);
      if (!value) detail::throw_argument(name(), index, reflect::type_name<Parameter>());
      return std::move(*value);
    }

    bool equals(const Holder& other) const override {
      if constexpr (std::is_pointer_v<M>) {
        return module == static_cast<const Held&>(other).module;
      } else if constexpr (pytree::is_dynamic<M> || !std::is_class_v<M>) {
        return false;
      } else {
        return pytree::static_equal(module, static_cast<const Held&>(other).module);
      }
    }
    const std::type_info& type() const noexcept override { return typeid(M); }
    std::string_view name() const noexcept override { return detail::class_name<M>(); }
    std::string_view given_name() const noexcept override {
      if constexpr (requires { std::string_view(module.name); }) {
        return module.name;
      } else {
        return {};
      }
    }
    bool is_module() const noexcept override { return detail::is_module<M>; }
    bool takes_flag() const noexcept override { return detail::takes_flag<M>; }

    M module;
  };

  std::shared_ptr<const Holder> held_;
};

}  // namespace linseed::nn
