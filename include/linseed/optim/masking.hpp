#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <linseed/optim/schedules.hpp>
#include <linseed/optim/transform.hpp>
#include <linseed/tree/tree.hpp>

namespace linseed::optim {

namespace detail {
[[nodiscard]] std::map<std::string, bool, std::less<>> mask_entries(const Tree& tree);
}  // namespace detail

/// One value for every leaf of a tree: the same for all; by paths, each of a leaf or of a sub-tree; or by a function of
/// a leaf's path and its Array.
///
///     optim::Mask{{"encoder", false}, {"head/kernel", true}, {"head/bias", false}}
///     optim::Mask([](std::string_view path, const Array& p) { return p.rank() > 1; })
///
/// Paths are those of a prefix tree: together they must cover every leaf once. That is checked when a tree is at hand:
/// StructureError for a path that it does not have, that lies inside another, or for a leaf without a value.
template <class Value>
class PerLeaf {
 public:
  using Entries = std::map<std::string, Value, std::less<>>;
  using Function = std::function<Value(std::string_view path, const Array& leaf)>;

  template <class T>
    requires(std::is_same_v<T, Value> || (!std::is_same_v<Value, bool> && std::is_convertible_v<const T&, Value>))
  PerLeaf(const T& value) : PerLeaf(Entries{{"", Value(value)}}) {}  // NOLINT: a mask may be just true
  PerLeaf(std::initializer_list<std::pair<const std::string, Value>> entries) : PerLeaf(Entries(entries)) {}
  explicit PerLeaf(Entries entries) : description_("", entries), entries_(std::move(entries)) {}
  /// From a tree of bool scalars, with values. Throws DTypeError or ShapeError for other leaves.
  PerLeaf(const Tree& tree)  // NOLINT
    requires std::is_same_v<Value, bool>
      : PerLeaf(detail::mask_entries(tree)) {}
  template <class F>
    requires std::is_invocable_r_v<Value, const F&, std::string_view, const Array&>
  PerLeaf(F function)  // NOLINT: .mask = [](...) { ... }
      : description_(Description::of_callable<F>("function")), function_(std::move(function)) {}

  /// The value of every leaf or sub-tree of `tree`, by path; the path of the whole tree is "". Throws StructureError.
  [[nodiscard]] Entries resolve(const Tree& tree) const;

  [[nodiscard]] const Description& description() const noexcept { return description_; }
  friend bool operator==(const PerLeaf& a, const PerLeaf& b) noexcept { return a.description_ == b.description_; }

 private:
  Description description_;
  Entries entries_;
  Function function_;
};

/// Which leaves take part.
using Mask = PerLeaf<bool>;
/// To which group each leaf belongs.
using Labels = PerLeaf<std::string>;

/// `inner` for the leaves where the mask is true; the others pass unchanged. To `inner` they are empty dictionaries,
/// and so they are in the state, {"inner_state": ...} (optax.masked).
[[nodiscard]] GradientTransformation masked(const GradientTransformation& inner, const Mask& mask);
/// Zero updates where the mask is true (optax.freeze).
[[nodiscard]] GradientTransformation freeze(const Mask& mask);
/// `inner` where the mask is false, zeros where it is true (optax.selective_transform).
[[nodiscard]] GradientTransformation selective_transform(const GradientTransformation& inner, const Mask& freeze_mask);

/// Every group of leaves has its own transformation. State {"inner_states": {label: {"inner_state": ...}}}
/// (optax.multi_transform, optax.partition). Throws ValueError, at init or update, for a label without a
/// transformation.
[[nodiscard]] GradientTransformation multi_transform(
    const std::map<std::string, GradientTransformation>& transformations, const Labels& labels);

/// u = g + weight_decay * p. State {}, {"count"} for a schedule, or {"inner_state": ...} with a mask
/// (optax.add_decayed_weights). Before the momentum this is a penalty of weight_decay / 2 |p|^2, after Adam's scaling
/// the decoupled decay of Loshchilov and Hutter 2019. A plain 0 does nothing.
[[nodiscard]] GradientTransformation add_decayed_weights(const Schedule& weight_decay,
                                                         const std::optional<Mask>& mask = {});

}  // namespace linseed::optim
