#pragma once

// What the transformations share.

#include <optional>
#include <string_view>
#include <utility>

#include <linseed/optim/hyperparameter.hpp>
#include <linseed/optim/transform.hpp>

namespace linseed::optim::detail {

using Step = std::pair<Tree, Tree>;

Tree zeros_like(const Tree& tree);
/// Arrays of the shapes and dtypes of `tree`, filled with one number.
Tree full_like(const Tree& tree, const Scalar& value);

/// count + 1, which stops at the largest int32 instead of starting anew (optax.safe_increment).
Array next_count(const Array& count);

/// (1 - decay) * g + decay * m (optax.tree.update_moment, order 1).
Tree first_moment(const Tree& updates, const Tree& moment, const Scalar& decay);
/// (1 - decay) * g^2 + decay * v (the same, order 2).
Tree second_moment(const Tree& updates, const Tree& moment, const Scalar& decay);
/// moment / (1 - decay^count) (optax.tree.bias_correction). The power is computed in float32, for float64 moments in
/// float64, as Optax does without and with 64-bit mode.
Tree debiased(const Tree& moment, const Scalar& decay, const Array& count);

/// `a` where the scalar `condition` holds, else `b`, leaf by leaf; keeps the dtypes of `b`.
Tree select(const Array& condition, const Tree& a, const Tree& b);

/// A state of {} and updates by function(update, parameter), leaf by leaf.
template <class Function>
GradientTransformation leafwise(Description description, Function function) {
  return {std::move(description), [](const Tree&) { return Tree(); },
          [function](const Tree& updates, const Tree& state, const Tree& params) {
            return Step{tree::map(function, updates, params), state};
          }};
}

/// Requires every number to be finite: require_all_finite("scale_by_adam", {{"b1", b1}, {"eps", eps}}).
void require_all_finite(std::string_view op,
                        std::initializer_list<std::pair<std::string_view, const Scalar&>> hyperparameters);

}  // namespace linseed::optim::detail
