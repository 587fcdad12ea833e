#pragma once

#include <string>
#include <variant>

#include <linseed/core/dtype.hpp>
#include <linseed/core/shape.hpp>

namespace linseed {

// What an op needs to know beside its operands. Plain values: compared for common subexpressions, printed by
// reflection, handed to kernels as they are. Every axis here is normalized, every shape checked.
namespace attr {

struct None {
  bool operator==(const None&) const = default;
};
/// One axis: concatenate, take, argmax, argsort.
struct Axis {
  int axis = 0;
  bool operator==(const Axis&) const = default;
};
/// Sorted axes of a reduction (they disappear from the shape) or of a flip.
struct AxisSet {
  InlineVector<int, max_rank> axes;
  bool operator==(const AxisSet&) const = default;
};
/// Result axis i is operand axis permutation[i].
struct Transpose {
  InlineVector<int, max_rank> permutation;
  bool operator==(const Transpose&) const = default;
};
/// The shape of the result: reshape, broadcast_to.
struct NewShape {
  Shape shape;
  bool operator==(const NewShape&) const = default;
};
/// astype.
struct Cast {
  DType dtype = DType::float32;
  bool operator==(const Cast&) const = default;
};
/// Counts along one axis.
struct Iota {
  Shape shape;
  int axis = 0;
  DType dtype = DType::int32;
  bool operator==(const Iota&) const = default;
};
/// Elements starts, starts + strides, ... below limits; strides positive.
struct Slice {
  Shape starts, limits, strides;
  bool operator==(const Slice&) const = default;
};
/// lax.pad: `interior` elements between neighbours, then `low` and `high` at the ends (negative ones cut off).
struct Pad {
  Shape low, high, interior;
  bool operator==(const Pad&) const = default;
};
/// lax.dot_general. The product has the batch axes, then the free axes of the left, then those of the right operand;
/// axis i of the result is axis order[i] of the product, where there is an order.
struct Dot {
  InlineVector<int, max_rank> lhs_contract, rhs_contract, lhs_batch, rhs_batch, order = {};
  bool operator==(const Dot&) const = default;
};
/// The operand of a `take` whose cotangent is being put together.
struct Scatter {
  Shape shape;
  int axis = 0;
  bool operator==(const Scatter&) const = default;
};
/// A convolution of `input` [N, spatial..., C_in] with `kernel` [spatial..., C_in/groups, C_out]. The ops for its
/// gradients carry the same attributes, and the spatial extents that they must give back.
struct Conv {
  Shape strides, low, high, input_dilation, kernel_dilation;
  std::int64_t groups = 1;
  Shape input_shape, kernel_shape;
  bool operator==(const Conv&) const = default;
};
/// A window sliding over the axes of [N, spatial..., C]; the ops for its gradients carry the operand's shape.
struct Window {
  Shape window, strides, low, high;
  Shape input_shape;
  bool operator==(const Window&) const = default;
};
/// Draws of a counter-based generator. `low` and `high` bound a uniform draw.
struct Random {
  Shape shape;
  DType dtype = DType::uint32;
  double low = 0.0, high = 1.0;
  bool operator==(const Random&) const = default;
};

}  // namespace attr

using Attributes =
    std::variant<attr::None, attr::Axis, attr::AxisSet, attr::Transpose, attr::NewShape, attr::Cast, attr::Iota,
                 attr::Slice, attr::Pad, attr::Dot, attr::Scatter, attr::Conv, attr::Window, attr::Random>;

/// "{axes=(0, 1)}", or nothing for None.
std::string to_string(const Attributes& attributes);

}  // namespace linseed
