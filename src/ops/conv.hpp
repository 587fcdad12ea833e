#pragma once

#include <linseed/ops/conv.hpp>

#include "ops/common.hpp"

namespace linseed::ops {

extern const Op conv, conv_input_grad, conv_kernel_grad;
/// The same of inputs and outputs in lanes; kernels::in_lanes() says how these lie. Attributes are those of the
/// ordinary convolution.
extern const Op conv_in_lanes, conv_input_grad_in_lanes, conv_kernel_grad_in_lanes;
/// The same of ordinary arrays by Winograd's F(4x4, 3x3): fewer products, slightly larger rounding errors.
extern const Op conv_winograd, conv_input_grad_winograd, conv_kernel_grad_winograd;
/// The same in lanes, by Winograd's F(4, 3) and F(4, 5) along rows.
extern const Op conv_winograd_in_lanes, conv_input_grad_winograd_in_lanes, conv_kernel_grad_winograd_in_lanes;

Family conv_family();

// Shared with pooling.

/// Checks that `values` are one positive number per spatial axis. An empty Shape stands for ones. Throws ShapeError or
/// ValueError naming `op` and `what`.
Shape positive_per_axis(const Shape& values, int spatial_rank, std::string_view what, std::string_view op);

/// Places of a window that slides over a padded extent: none when it does not fit. Throws ShapeError for sizes whose
/// sums might leave the range of 64 bits.
std::int64_t window_places(std::int64_t extent, std::int64_t low, std::int64_t high, std::int64_t window,
                           std::int64_t stride, std::string_view op);

/// An extent with `dilation - 1` gaps between neighbours. Throws ShapeError when it is too large.
std::int64_t dilated_extent(std::int64_t extent, std::int64_t dilation, std::string_view op);

/// Splits resolved padding into the two sides.
std::pair<Shape, Shape> sides(const Padding::Pairs& pairs);

}  // namespace linseed::ops
