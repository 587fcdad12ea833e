#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <linseed/core/inline_vector.hpp>

namespace linseed {

/// Largest number of axes an Array can have.
inline constexpr std::size_t max_rank = 8;

/// The extents of an Array, slowest axis first (row-major). At most `max_rank` axes; a scalar has none.
class Shape : public InlineVector<std::int64_t, max_rank> {
 public:
  using InlineVector::InlineVector;

  /// `rank` extents, all equal to `extent`.
  [[nodiscard]] static Shape filled(int rank, std::int64_t extent) {
    Shape shape;
    for (int axis = 0; axis < rank; ++axis) shape.push_back(extent);
    return shape;
  }
  /// Number of axes.
  [[nodiscard]] int rank() const noexcept { return static_cast<int>(size()); }
  /// Number of elements: the product of the extents, 1 for a scalar.
  [[nodiscard]] std::int64_t elements() const noexcept {
    std::int64_t product = 1;
    for (const std::int64_t extent : *this) product *= extent;
    return product;
  }
};

/// Row-major strides of `shape`, in elements.
[[nodiscard]] Shape strides_of(const Shape& shape) noexcept;

/// "(2, 3)", "(4,)" and "()", as NumPy prints shapes.
[[nodiscard]] std::string to_string(const Shape& shape);

/// The shape to which `a` and `b` broadcast by NumPy's rules. Throws ShapeError naming `op` when they do not.
[[nodiscard]] Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view op = "broadcast_shapes");

/// Turns `axis` in [-rank, rank) into [0, rank). Throws ShapeError naming `op` when it is out of range.
[[nodiscard]] int normalize_axis(int axis, int rank, std::string_view op);

/// The axes that a reduction or a transpose works on: nothing (all axes), one number, or a list; negative
/// numbers count from the end.
class Axes {
 public:
  /// All axes.
  Axes() = default;
  Axes(int axis) : axes_{axis}, all_(false) {}                                          // NOLINT: sum(x, 0)
  Axes(std::initializer_list<int> axes) : axes_(axes), all_(false) {}                   // NOLINT: sum(x, {0, 1})
  Axes(const std::vector<int>& axes) : axes_(axes.begin(), axes.end()), all_(false) {}  // NOLINT

  [[nodiscard]] bool all() const noexcept { return all_; }
  [[nodiscard]] const InlineVector<int, max_rank>& list() const noexcept { return axes_; }

  /// The axes sorted and counted from the front. Throws ShapeError naming `op` for one out of range or given twice.
  [[nodiscard]] InlineVector<int, max_rank> normalized(int rank, std::string_view op) const;

  bool operator==(const Axes&) const = default;

 private:
  InlineVector<int, max_rank> axes_;
  bool all_ = true;
};

}  // namespace linseed
