#pragma once

#include <concepts>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>

namespace linseed::nn {

class Initializer;

/// What can serve as an initializer: a callable of a key, a shape and a dtype that gives an Array.
template <class F>
concept InitializerFunction = !std::same_as<std::remove_cvref_t<F>, Initializer> &&
                              std::is_invocable_r_v<Array, std::remove_cvref_t<F>&, const Array&, const Shape&, DType>;

/// Makes the first value of a variable from a key, a shape and a dtype (Flax's initializers have the same signature).
/// Any callable of that signature converts:
///
///     nn::Dense{.features = 4, .kernel_init = nn::initializers::he_normal()}
///     const auto tenths = [](const Array&, const Shape& shape, DType dtype) { return full(shape, 0.1, dtype); };
///     nn::Dense{.features = 4, .bias_init = tenths}
///
/// A value to copy and compare, since it takes part in the cache key of `jit`: two that were made by the same function
/// of nn::initializers with the same arguments are equal; a callable of the user's is equal to its copies only.
class Initializer {
 public:
  using Function = std::function<Array(const Array& key, const Shape& shape, DType dtype)>;

  template <InitializerFunction F>
  Initializer(F&& function)  // NOLINT: .kernel_init = [](...) { ... }
      : Initializer(std::string(), Function(std::forward<F>(function))) {}

  // Never empty: moving copies.
  Initializer(const Initializer&) noexcept;
  Initializer& operator=(const Initializer&) noexcept;
  ~Initializer();

  /// An initializer equal to every other of the same description, which must therefore say all that decides its values:
  /// "shifted_normal(0.5)".
  template <InitializerFunction F>
  [[nodiscard]] static Initializer described(std::string description, F&& function) {
    return Initializer(std::move(description), Function(std::forward<F>(function)));
  }

  /// The values. Throws ShapeError or DTypeError when the callable gave another shape or dtype than it was asked for,
  /// and whatever it throws.
  [[nodiscard]] Array operator()(const Array& key, const Shape& shape, DType dtype = DType::float32) const;

  friend bool operator==(const Initializer& a, const Initializer& b) noexcept;
  friend std::string to_string(const Initializer& initializer);

 private:
  struct State {
    std::string description;
    Function function;
  };
  Initializer(std::string description, Function function);

  std::shared_ptr<const State> state_;
};

/// "lecun_normal", "constant(0.5)"; "custom" for a callable without a description.
[[nodiscard]] std::string to_string(const Initializer& initializer);
std::ostream& operator<<(std::ostream& stream, const Initializer& initializer);

/// What variance_scaling divides by: the inputs or outputs of one unit, or their arithmetic or geometric mean.
enum class Fan { in, out, average, geometric_average };
/// Which axes count inputs and which outputs; those of `batch_axis` count nothing, and all others multiply both.
struct FanAxes {
  std::vector<int> in_axis = {-2};
  std::vector<int> out_axis = {-1};
  std::vector<int> batch_axis = {};
};
/// What variance_scaling draws from.
enum class Distribution { truncated_normal, normal, uniform };

/// Those of flax.linen.initializers, with their names and defaults. Bit for bit those of Flax on a CPU, run eagerly,
/// for float32 and float64; orthogonal within 1e-6. Those that draw throw DTypeError for a dtype that is not floating.
namespace initializers {

[[nodiscard]] Initializer zeros();
[[nodiscard]] Initializer ones();
/// Every element is `value`.
[[nodiscard]] Initializer constant(double value);
/// Uniform in [0, scale).
[[nodiscard]] Initializer uniform(double scale = 1e-2);
[[nodiscard]] Initializer normal(double stddev = 1e-2);
/// stddev times a standard normal conditioned on (lower, upper); the variance lost by that is not made up for. Throws
/// ValueError unless lower < upper.
[[nodiscard]] Initializer truncated_normal(double stddev = 1e-2, double lower = -2.0, double upper = 2.0);

/// Numbers of variance scale / n, where n counts what `fan` says. The last axis counts outputs, the one before inputs,
/// and all others multiply both (a convolution's window), so Dense and Conv kernels fit as they are; `axes` may say
/// otherwise. The truncated normal is cut at two standard deviations and scaled up to keep the variance. Throws
/// ValueError for a scale that is negative or not finite; when called, ValueError for a shape of fewer than two axes or
/// without elements, ShapeError for axes that it does not have.
[[nodiscard]] Initializer variance_scaling(double scale, Fan fan, Distribution distribution, const FanAxes& axes = {});

// variance_scaling(1, Fan::in, ...): the default of Dense and Conv kernels.
[[nodiscard]] Initializer lecun_normal();
[[nodiscard]] Initializer lecun_uniform();
// variance_scaling(1, Fan::average, ...)
[[nodiscard]] Initializer glorot_normal();
[[nodiscard]] Initializer glorot_uniform();
// variance_scaling(2, Fan::in, ...)
[[nodiscard]] Initializer he_normal();
[[nodiscard]] Initializer he_uniform();
// Other names of the same.
[[nodiscard]] inline Initializer xavier_normal() { return glorot_normal(); }
[[nodiscard]] inline Initializer xavier_uniform() { return glorot_uniform(); }
[[nodiscard]] inline Initializer kaiming_normal() { return he_normal(); }
[[nodiscard]] inline Initializer kaiming_uniform() { return he_uniform(); }

/// scale times a random matrix with orthonormal rows or columns, whichever are fewer; the last axis counts columns, all
/// others together rows. When called, throws ValueError for a shape of fewer than two axes.
[[nodiscard]] Initializer orthogonal(double scale = 1.0);

/// Zeros, but for an orthogonal matrix [in, out] at the centre of a convolution's window [spatial..., in, out] in 1 to
/// 3 axes, which keeps the norm of its input. When called, throws ValueError for another rank or more inputs than
/// outputs.
[[nodiscard]] Initializer delta_orthogonal(double scale = 1.0);

}  // namespace initializers
}  // namespace linseed::nn
