#pragma once

#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <linseed/core/array.hpp>

namespace linseed {

/// Padding of the spatial axes: "SAME" (the result has ceil(extent / stride) places, the odd one padded at the end),
/// "SAME_LOWER", "VALID" (none), one number for all sides, or a (low, high) pair per axis.
class Padding {
 public:
  using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;

  Padding(const char* name) : Padding(std::string_view(name)) {}          // NOLINT: .padding = "SAME"
  Padding(std::string_view name);                                         // NOLINT: throws ValueError for another name
  Padding(int width) : width_(width), kind_(Kind::uniform) {}             // NOLINT
  Padding(Pairs pairs) : pairs_(std::move(pairs)), kind_(Kind::pairs) {}  // NOLINT

  /// The pairs for spatial `extents` under windows of (dilated) extent `window`. Throws ShapeError naming `op` when the
  /// number of pairs differs from that of the axes.
  [[nodiscard]] Pairs resolve(const Shape& extents, const Shape& window, const Shape& strides,
                              std::string_view op) const;
  /// True for "SAME" and "SAME_LOWER".
  [[nodiscard]] bool is_same() const noexcept { return kind_ == Kind::same || kind_ == Kind::same_lower; }

  bool operator==(const Padding&) const = default;

 private:
  enum class Kind { same, same_lower, valid, uniform, pairs };
  Pairs pairs_;
  std::int64_t width_ = 0;
  Kind kind_ = Kind::same;
};

/// Options of `conv`; empty shapes stand for ones.
struct ConvOptions {
  Shape strides = {};
  Padding padding = "SAME";
  Shape input_dilation = {};
  Shape kernel_dilation = {};
  std::int64_t groups = 1;
};

/// Cross-correlation of x [N, spatial..., C_in] with `kernel` [spatial..., C_in / groups, C_out] in 1 to 3 spatial
/// axes, giving [N, spatial..., C_out] (jax.lax.conv_general_dilated, NHWC and HWIO). Per axis the result has
/// floor((dilated input + low + high - dilated kernel) / stride) + 1 places, none if that is negative. Dtypes promote.
/// Throws ShapeError when ranks, channels or groups do not fit.
[[nodiscard]] Array conv(const Array& x, const Array& kernel, const ConvOptions& options = {});

}  // namespace linseed
