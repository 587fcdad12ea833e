#pragma once

#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <linseed/core/array.hpp>

namespace linseed {

/// Padding of the spatial axes: "SAME" (the result has ceil(extent / stride) places, the odd one padded at the end),
/// "SAME_LOWER", "VALID" (none), one number for all sides, or a (low, high) pair per axis. Convolutions, which are the
/// only ones to take them, know three more names, as flax.linen.Conv does: "CIRCULAR" (the input goes on periodically)
/// and "REFLECT" (it is mirrored, the border itself not repeated), both by (window - 1) / 2 places in front and
/// window / 2 behind, and "CAUSAL" (zeros in front alone, along one spatial axis).
class Padding {
 public:
  using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;
  enum class Kind { same, same_lower, valid, circular, reflect, causal, uniform, pairs };

  Padding(const char* name) : Padding(std::string_view(name)) {}          // NOLINT: .padding = "SAME"
  Padding(std::string_view name);                                         // NOLINT: throws ValueError for another name
  Padding(int width) : width_(width), kind_(Kind::uniform) {}             // NOLINT
  Padding(Pairs pairs) : pairs_(std::move(pairs)), kind_(Kind::pairs) {}  // NOLINT

  /// The pairs for spatial `extents` under windows of (dilated) extent `window`. Throws ShapeError naming `op` when the
  /// number of pairs differs from that of the axes, ValueError for "CIRCULAR", "REFLECT" and "CAUSAL".
  [[nodiscard]] Pairs resolve(const Shape& extents, const Shape& window, const Shape& strides,
                              std::string_view op) const;
  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  /// True for "SAME" and "SAME_LOWER".
  [[nodiscard]] bool is_same() const noexcept { return kind_ == Kind::same || kind_ == Kind::same_lower; }

  bool operator==(const Padding&) const = default;

 private:
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

/// Options of `conv_transpose`; empty shapes stand for ones.
struct ConvTransposeOptions {
  Shape strides = {};
  Padding padding = "SAME";
  Shape kernel_dilation = {};
  bool transpose_kernel = false;
};

/// The transpose of a strided convolution (jax.lax.conv_transpose): a convolution of x [N, spatial..., C_in], with
/// strides - 1 zeros between neighbours, with `kernel` [spatial..., C_in, C_out]. "SAME" gives extent * stride places,
/// "VALID" all that a window of the forward convolution touches; numbers and pairs pad the dilated input. "CIRCULAR"
/// adds what lies outside extent * stride places periodically (flax.linen.ConvTranspose). With `transpose_kernel` the
/// kernel is that of the forward convolution, [spatial..., C_out, C_in], and is turned round: then "SAME" and "VALID"
/// give the gradient of `conv` in its input. Throws ShapeError as `conv` does, ValueError for other paddings.
[[nodiscard]] Array conv_transpose(const Array& x, const Array& kernel, const ConvTransposeOptions& options = {});

}  // namespace linseed
