#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/tree/pytree.hpp>

// Reverse-mode differentiation (jax.grad, jax.vjp, jax.custom_vjp) of functions of pytrees. The function runs as usual,
// values and all, while its ops are recorded; transforms compose in any order.

namespace linseed {

/// Which arguments to differentiate by: `grad(f, argnums<0, 2>)`. The gradient is then a tuple.
template <std::size_t... I>
struct Argnums {};
template <std::size_t... I>
inline constexpr Argnums<I...> argnums{};

namespace detail {

/// One differentiation under way.
class Differentiation {
 public:
  /// By the Arrays of arguments number `positions`. Throws DTypeError naming the path of one that is not
  /// floating-point.
  Differentiation(std::span<const pytree::View> arguments, std::span<const std::size_t> positions);
  ~Differentiation();
  Differentiation(const Differentiation&) = delete;
  Differentiation& operator=(const Differentiation&) = delete;

  [[nodiscard]] const std::vector<Array>& inputs() const noexcept { return inputs_; }
  /// The gradients of a scalar. Throws ShapeError or DTypeError when it is none.
  [[nodiscard]] std::vector<Array> gradients_of(const Array& loss) const;
  /// The cotangents of the inputs; zeros where there is no dependence.
  [[nodiscard]] std::vector<Array> pull_back(std::span<const Array> outputs, std::span<const Array> cotangents) const;
  /// Ends the recording; `pull_back` still works.
  void end() noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::vector<Array> primals_, inputs_;
};

/// Replaces the Arrays inside `value` by what they stand for outside of the traces that have ended.
void take_outside(const pytree::Type& type, void* value);

template <class T>
struct LossAndAux {
  static constexpr bool has_aux = false;
};
template <class Aux>
struct LossAndAux<std::pair<Array, Aux>> {
  static constexpr bool has_aux = true;
};

template <std::size_t... I>
constexpr std::array<std::size_t, sizeof...(I)> counted(std::index_sequence<I...>) {
  return {I...};
}

template <class Tuple>
auto unwrap_single(Tuple values) {
  if constexpr (std::tuple_size_v<Tuple> == 1) {
    return std::get<0>(std::move(values));
  } else {
    return values;
  }
}

}  // namespace detail

/// A function that gives the value of `f` and its gradient: {value, gradient}. `f` returns a scalar Array (the loss),
/// or std::pair{loss, aux} with any pytree `aux`, which is passed on undifferentiated; `value` is what f returned. The
/// gradient has the structure of the argument (the first one unless `argnums` says otherwise).
/// Throws ShapeError when the loss is not a scalar, DTypeError when an Array to differentiate by is not floating-point.
template <class F, std::size_t... I>
[[nodiscard]] auto value_and_grad(F f, Argnums<I...>) {
  static_assert(sizeof...(I) > 0, "linseed: grad needs an argument to differentiate by");
  return [f = std::move(f)]<class... Args>(const Args&... args) {
    using Result = std::invoke_result_t<const F&, const Args&...>;
    static_assert(std::is_same_v<Result, Array> || detail::LossAndAux<Result>::has_aux,
                  "linseed: a function under grad returns a scalar Array, or std::pair of it and what else it found");
    std::tuple<Args...> arguments(args...);
    auto gradient = std::make_tuple(std::get<I>(arguments)...);  // of the same structure
    const std::array views = {pytree::View::of(std::get<I>(arguments))...};
    detail::Differentiation differentiation(views, std::array{I...});
    pytree::assign_leaves(pytree::type_of<decltype(gradient)>, &gradient, differentiation.inputs());
    std::tie(std::get<I>(arguments)...) = gradient;
    Result result = std::apply(f, std::as_const(arguments));
    std::vector<Array> gradients;
    if constexpr (detail::LossAndAux<Result>::has_aux) {
      gradients = differentiation.gradients_of(result.first);
    } else {
      gradients = differentiation.gradients_of(result);
    }
    detail::take_outside(pytree::type_of<Result>, &result);
    pytree::assign_leaves(pytree::type_of<decltype(gradient)>, &gradient, gradients);
    return std::pair(std::move(result), detail::unwrap_single(std::move(gradient)));
  };
}
template <class F>
[[nodiscard]] auto value_and_grad(F f) {
  return value_and_grad(std::move(f), argnums<0>);
}

/// A function that gives the gradient of `f`; with aux, {gradient, aux}. See value_and_grad.
template <class F, std::size_t... I>
[[nodiscard]] auto grad(F f, Argnums<I...> which) {
  return [both = value_and_grad(std::move(f), which)](const auto&... args) {
    auto [value, gradient] = both(args...);
    if constexpr (std::is_same_v<decltype(value), Array>) {
      return gradient;
    } else {
      return std::pair(std::move(gradient), std::move(value.second));
    }
  };
}
template <class F>
[[nodiscard]] auto grad(F f) {
  return grad(std::move(f), argnums<0>);
}

/// Runs f(args...) and gives {its result, pull_back}: `pull_back(cotangent)`, with a cotangent of the result's
/// structure, gives the cotangents of the arguments as a tuple. It may be called any number of times.
template <class F, class... Args>
[[nodiscard]] auto vjp(const F& f, const Args&... args) {
  const std::tuple<Args...> arguments(args...);
  const std::array<pytree::View, sizeof...(Args)> views = {pytree::View::of(args)...};
  constexpr auto positions = detail::counted(std::index_sequence_for<Args...>{});
  auto differentiation = std::make_shared<detail::Differentiation>(views, positions);
  auto result = std::apply(f, pytree::with_leaves(arguments, differentiation->inputs()));
  differentiation->end();
  const std::vector<Array> outputs = pytree::leaves(result);
  auto pull_back = [differentiation, outputs, arguments](const decltype(result)& cotangent) {
    return pytree::with_leaves(arguments, differentiation->pull_back(outputs, pytree::leaves(cotangent)));
  };
  detail::take_outside(pytree::type_of<decltype(result)>, &result);
  return std::pair(std::move(result), std::move(pull_back));
}

namespace detail {

/// See program/trace.hpp: the flat form of a function with a gradient rule of its own.
std::vector<Array> call_custom_vjp(
    std::function<std::vector<Array>(std::span<const Array>)> primal,
    std::function<std::pair<std::vector<Array>, std::vector<Array>>(std::span<const Array>)> forward,
    std::function<std::vector<Array>(std::span<const Array>, std::span<const Array>)> backward,
    std::span<const Array> operands);

/// The structures of result and residuals, which are known only once a rule has run. Set once, by whichever thread runs
/// a rule first.
template <class Result, class Residuals>
struct CustomStructure {
  std::mutex mutex;
  std::optional<Result> result;
  std::optional<Residuals> residuals;

  template <class T>
  void keep(std::optional<T>& place, const T& value) {
    const std::lock_guard lock(mutex);
    if (!place) place = pytree::structure_of(value);
  }
};

}  // namespace detail

/// `f` with a gradient rule of its own (jax.custom_vjp): `forward(args...)` gives std::pair{result, residuals};
/// `backward(residuals, cotangent)` gives the cotangents of the arguments: a tuple, or the bare value for one argument.
/// Residuals are any pytree.
template <class F, class Forward, class Backward>
[[nodiscard]] auto custom_vjp(F f, Forward forward, Backward backward) {
  return [=]<class... Args>(const Args&... args) {
    using Result = std::invoke_result_t<const F&, const Args&...>;
    using Residuals = typename std::invoke_result_t<const Forward&, const Args&...>::second_type;
    const std::vector<Array> operands = pytree::leaves(std::tuple<Args...>(args...));
    const auto arguments = pytree::structure_of(std::tuple<Args...>(args...));
    const auto structure = std::make_shared<detail::CustomStructure<Result, Residuals>>();

    auto flat_primal = [=](std::span<const Array> inputs) {
      const Result value = std::apply(f, pytree::with_leaves(arguments, inputs));
      structure->keep(structure->result, value);
      return pytree::leaves(value);
    };
    auto flat_forward = [=](std::span<const Array> inputs) {
      const auto [value, saved] = std::apply(forward, pytree::with_leaves(arguments, inputs));
      structure->keep(structure->result, Result(value));
      structure->keep(structure->residuals, saved);
      return std::pair(pytree::leaves(value), pytree::leaves(saved));
    };
    auto flat_backward = [=](std::span<const Array> saved, std::span<const Array> cotangents) {
      return pytree::leaves(backward(pytree::with_leaves(*structure->residuals, saved),
                                     pytree::with_leaves(*structure->result, cotangents)));
    };
    const std::vector<Array> outputs = detail::call_custom_vjp(flat_primal, flat_forward, flat_backward, operands);
    return pytree::with_leaves(*structure->result, outputs);
  };
}

}  // namespace linseed
