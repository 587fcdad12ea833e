#pragma once

#include "ops/common.hpp"

namespace linseed::ops {

/// `max_pool_grad` (x, cotangent) adds each cotangent to the first largest place under its window; `max_pool_gather`
/// (x, c) reads c at those places. `window_sum_transpose` is the adjoint of `window_sum`.
extern const Op max_pool, max_pool_grad, max_pool_gather, window_sum, window_sum_transpose;

Family pool_family();

}  // namespace linseed::ops
