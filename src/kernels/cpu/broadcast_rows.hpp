#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include <linseed/core/executor.hpp>
#include <linseed/core/shape.hpp>

namespace linseed::kernels::cpu {

/// The loops of an element-wise op over broadcast operands: axes along which every operand advances alike are merged,
/// then the last one becomes a row along which each operand has step 1 or 0.
template <std::size_t Operands>
class BroadcastRows {
 public:
  using Offsets = std::array<std::int64_t, Operands>;

  BroadcastRows(const Shape& shape, const std::array<Shape, Operands>& operands) noexcept {
    std::array<Shape, Operands> strides;
    for (std::size_t k = 0; k < Operands; ++k) strides[k] = strides_of(operands[k]);
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (shape[axis] == 1) continue;
      Offsets stride{};
      for (std::size_t k = 0; k < Operands; ++k) {
        const int own = axis - (shape.rank() - operands[k].rank());
        if (own >= 0 && operands[k][own] != 1) stride[k] = strides[k][own];
      }
      if (rank_ > 0 && mergeable(stride, shape[axis])) {
        extents_[rank_ - 1] *= shape[axis];
        strides_[rank_ - 1] = stride;
      } else {
        extents_[rank_] = shape[axis];
        strides_[rank_] = stride;
        ++rank_;
      }
    }
    if (rank_ == 0) extents_[rank_++] = 1;
    row_ = extents_[rank_ - 1];
    for (int axis = 0; axis < rank_ - 1; ++axis) rows_ *= extents_[axis];
    if (row_ == 0) rows_ = 0;
  }

  /// 1 when operand k advances along a row, 0 when it stays.
  [[nodiscard]] std::int64_t step(std::size_t k) const noexcept { return strides_[rank_ - 1][k]; }

  /// True when short rows all meet the same few elements of operand k while the other operands run on: [rows, row]
  /// against [row], the per-channel pattern. Then `for_each_stretch` is the better loop.
  [[nodiscard]] bool repeats_row_of(std::size_t k) const noexcept {
    if (rank_ != 2 || row_ > longest_short_row) return false;
    for (std::size_t i = 0; i < Operands; ++i) {
      if (strides_[1][i] != 1 || strides_[0][i] != (i == k ? 0 : row_)) return false;
    }
    return true;
  }
  static constexpr std::int64_t longest_short_row = 64;
  [[nodiscard]] std::int64_t row() const noexcept { return row_; }

  /// Calls `body(offset, count)` for stretches of whole rows that together cover the output; `longest` bounds a
  /// stretch.
  template <class Body>
  void for_each_stretch(const Executor& executor, std::int64_t longest, const Body& body) const noexcept {
    const std::int64_t stretch = longest / row_ * row_;
    const std::int64_t total = rows_ * row_;
    const std::int64_t together = piece / stretch;
    executor.parallel_for((total + stretch * together - 1) / (stretch * together), [&](std::int64_t task) {
      const std::int64_t end = std::min(total, (task + 1) * stretch * together);
      for (std::int64_t at = task * stretch * together; at < end; at += stretch) body(at, std::min(stretch, end - at));
    });
  }

  /// Calls `body(output offset, operand offsets, count)` for pieces of rows that together cover the output.
  template <class Body>
  void for_each(const Executor& executor, const Body& body) const noexcept {
    if (rows_ == 0) return;
    const std::int64_t pieces = (row_ + piece - 1) / piece;              // of one row
    const std::int64_t group = std::max<std::int64_t>(1, piece / row_);  // short rows, done together
    const std::int64_t groups = (rows_ + group - 1) / group;
    executor.parallel_for(groups * pieces, [&](std::int64_t task) {
      const std::int64_t begin = task % pieces * piece;
      const std::int64_t count = std::min(piece, row_ - begin);
      const std::int64_t last = std::min(rows_, (task / pieces + 1) * group);
      for (std::int64_t row = task / pieces * group; row < last; ++row) {
        Offsets offset{};
        std::int64_t rest = row;
        for (int axis = rank_ - 2; axis >= 0; --axis) {
          const std::int64_t index = rest % extents_[axis];
          rest /= extents_[axis];
          for (std::size_t k = 0; k < Operands; ++k) offset[k] += index * strides_[axis][k];
        }
        for (std::size_t k = 0; k < Operands; ++k) offset[k] += begin * step(k);
        body(row * row_ + begin, offset, count);
      }
    });
  }

 private:
  static constexpr std::int64_t piece = 1 << 14;  // elements per task

  bool mergeable(const Offsets& inner, std::int64_t extent) const noexcept {
    for (std::size_t k = 0; k < Operands; ++k) {
      if (strides_[rank_ - 1][k] != inner[k] * extent) return false;
    }
    return true;
  }

  std::array<std::int64_t, max_rank> extents_{};
  std::array<Offsets, max_rank> strides_{};
  int rank_ = 0;
  std::int64_t row_ = 1, rows_ = 1;
};

}  // namespace linseed::kernels::cpu
