#pragma once

#include <linseed/core/array.hpp>
#include <linseed/ops/conv.hpp>

namespace linseed {

// Windows over the spatial axes of x [batch..., spatial..., C], as flax.linen.pooling: any number of batch axes, also
// none. The window has one number per spatial axis. Empty `strides` stand for ones, not for the window. Throws
// ShapeError when window, strides or padding do not have one number per spatial axis, ValueError for windows or strides
// below 1.

/// The largest element under the window; padding never wins. The gradient goes to the first largest in row-major order.
[[nodiscard]] Array max_pool(const Array& x, const Shape& window, const Shape& strides = {},
                             const Padding& padding = "VALID");
/// The smallest element under the window.
[[nodiscard]] Array min_pool(const Array& x, const Shape& window, const Shape& strides = {},
                             const Padding& padding = "VALID");
/// The mean under the window. Padding counts as zeros, unless `count_include_pad` is false: then it does not count.
[[nodiscard]] Array avg_pool(const Array& x, const Shape& window, const Shape& strides = {},
                             const Padding& padding = "VALID", bool count_include_pad = true);

}  // namespace linseed
