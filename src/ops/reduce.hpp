#pragma once

#include "ops/common.hpp"

namespace linseed::ops {

extern const Op reduce_sum, reduce_prod, reduce_max, reduce_min, argmax, argmin, argsort;

Family reduce_family();

}  // namespace linseed::ops
