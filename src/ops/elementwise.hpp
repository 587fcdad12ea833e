#pragma once

#include "ops/common.hpp"

namespace linseed::ops {

extern const Op add, sub, mul, div, pow, mod, maximum, minimum;
extern const Op equal, not_equal, less, less_equal, logical_and, logical_or, logical_not, is_finite;
extern const Op neg, sign, abs, exp, expm1, log, log1p, sqrt, rsqrt, sin, cos, tanh, sigmoid, relu, erf, erfc, erf_inv;
extern const Op floor, ceil, round;
extern const Op select, cast, stop_gradient;

Family elementwise_family();

}  // namespace linseed::ops
