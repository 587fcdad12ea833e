#include <linseed/core/shape.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/core/error.hpp>

namespace linseed {

Shape strides_of(const Shape& shape) noexcept {
  Shape strides = shape;
  std::int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

std::string to_string(const Shape& shape) {
  return fmt::format("({}{})", fmt::join(shape.begin(), shape.end(), ", "), shape.rank() == 1 ? "," : "");
}

Shape broadcast_shapes(const Shape& a, const Shape& b, std::string_view op) {
  const Shape& longer = a.rank() >= b.rank() ? a : b;
  const Shape& shorter = a.rank() >= b.rank() ? b : a;
  const int offset = longer.rank() - shorter.rank();
  Shape result = longer;
  for (int axis = 0; axis < shorter.rank(); ++axis) {
    std::int64_t& extent = result[offset + axis];
    if (shorter[axis] == extent || shorter[axis] == 1) continue;
    if (extent != 1) {
      throw ShapeError(op, "Shapes do not broadcast.",
                       {.got = fmt::format("{} and {}", to_string(a), to_string(b)),
                        .expected = "equal extents, or 1, counted from the last axis"});
    }
    extent = shorter[axis];
  }
  return result;
}

int normalize_axis(int axis, int rank, std::string_view op) {
  if (axis < -rank || axis >= rank) {
    throw ShapeError(op, "Axis is out of range.",
                     {.got = fmt::format("axis {} of an Array with {} axes", axis, rank),
                      .expected = rank == 0 ? "no axis" : fmt::format("{} to {}", -rank, rank - 1)});
  }
  return axis < 0 ? axis + rank : axis;
}

InlineVector<int, max_rank> Axes::normalized(int rank, std::string_view op) const {
  InlineVector<int, max_rank> result;
  if (all_) {
    for (int axis = 0; axis < rank; ++axis) result.push_back(axis);
    return result;
  }
  for (const int axis : axes_) result.push_back(normalize_axis(axis, rank, op));
  std::sort(result.begin(), result.end());
  if (const auto twice = std::adjacent_find(result.begin(), result.end()); twice != result.end()) {
    throw ShapeError(op, fmt::format("Axis {} is given twice.", *twice));
  }
  return result;
}

}  // namespace linseed
