#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <linseed/optim/hyperparameter.hpp>
#include <linseed/tree/tree.hpp>

namespace linseed::optim {

/// A pair of pure functions (optax.GradientTransformation): `init` gives a state for parameters, `update` turns
/// gradients into updates to be added to the parameters, and gives the next state. States are Trees laid out as
/// flax.serialization.to_state_dict gives them, counts are int32. Everything works on traced Arrays.
///
/// A value to copy and compare, since it takes part in the cache key of `jit`: two that were made by the same functions
/// with the same hyper-parameters are equal; one made of a caller's functions is equal to its copies only, unless it
/// has a description.
class GradientTransformation {
 public:
  using Init = std::function<Tree(const Tree& params)>;
  using Update = std::function<std::pair<Tree, Tree>(const Tree& updates, const Tree& state, const Tree& params)>;

  GradientTransformation() noexcept = default;
  GradientTransformation(const GradientTransformation& other) noexcept;
  GradientTransformation(GradientTransformation&& other) noexcept = default;
  GradientTransformation& operator=(const GradientTransformation& other) noexcept;
  GradientTransformation& operator=(GradientTransformation&& other) noexcept;
  ~GradientTransformation();
  GradientTransformation(Init init, Update update)
      : GradientTransformation(Description::unique("custom"), std::move(init), std::move(update)) {}
  /// One equal to every other of the same description, which must therefore say all that decides what it does.
  GradientTransformation(Description description, Init init, Update update);

  /// Throws ValueError when this is empty.
  [[nodiscard]] Tree init(const Tree& params) const;
  /// {updates, next state}. Throws StructureError or ShapeError, with the path, when `updates` do not fit `params`.
  [[nodiscard]] std::pair<Tree, Tree> update(const Tree& updates, const Tree& state, const Tree& params) const;

  /// Throws ValueError when this is empty.
  [[nodiscard]] const Description& description() const { return parts().description; }
  friend bool operator==(const GradientTransformation& a, const GradientTransformation& b) noexcept;

 private:
  struct Parts {
    Description description;
    Init init;
    Update update;
  };
  const Parts& parts() const;

  std::shared_ptr<const Parts> parts_;
};

/// "chain(scale_by_adam(...), scale(-0.001))"; "empty" without functions.
[[nodiscard]] std::string to_string(const GradientTransformation& transformation);

/// One after the other; the state is {"0": ..., "1": ...} (optax.chain). Updating throws StructureError for a state of
/// another length.
[[nodiscard]] GradientTransformation chain(const std::vector<GradientTransformation>& transformations);
/// The same with a state of {name: ...} (optax.named_chain). Throws ValueError for a name given twice.
[[nodiscard]] GradientTransformation named_chain(
    const std::vector<std::pair<std::string, GradientTransformation>>& transformations);

/// Nothing; the state is {} (optax.identity).
[[nodiscard]] GradientTransformation identity();
/// Zeros; the state is {} (optax.set_to_zero).
[[nodiscard]] GradientTransformation set_to_zero();
/// function(updates, params), without a state (optax.stateless).
[[nodiscard]] GradientTransformation stateless(std::function<Tree(const Tree& updates, const Tree& params)> function);

/// params + updates, in the dtype of the parameters (optax.apply_updates). Throws StructureError when the trees differ.
[[nodiscard]] Tree apply_updates(const Tree& params, const Tree& updates);
/// step_size * fresh + (1 - step_size) * old, leaf by leaf (optax.incremental_update): an exponential moving average of
/// parameters. Throws StructureError when the trees differ.
[[nodiscard]] Tree incremental_update(const Tree& fresh, const Tree& old, const Scalar& step_size);
/// `fresh` when `step` is a multiple of `period`, else `old` (optax.periodic_update). Throws StructureError when the
/// trees differ, ValueError for a period that is not positive.
[[nodiscard]] Tree periodic_update(const Tree& fresh, const Tree& old, const ArrayLike& step, std::int64_t period);

/// The Euclidean norm of all leaves together, float32 0 for a tree without (optax.tree.norm, optax.global_norm).
[[nodiscard]] Array global_norm(const Tree& tree);

}  // namespace linseed::optim
