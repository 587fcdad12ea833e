#pragma once

#include "ops/common.hpp"

namespace linseed::ops {

// Draws are ops, so that keys can be traced. Each takes a key, uint32[2]; attr::Random gives the result's shape and
// dtype.

extern const Op random_bits;        // uint32
extern const Op random_uniform;     // floating, in [low, high)
extern const Op random_randint;     // int32, in [low, high)
extern const Op random_split;       // shape {n}: uint32[n, 2]
extern const Op random_fold_in;     // key, uint32 scalar: a key
extern const Op random_orthogonal;  // of a floating matrix with rows >= columns: the orthogonal factor, signs fixed
extern const Op random_gamma;       // of a key and a floating Array: a draw for each element
extern const Op random_loggamma;    // the logarithms of those draws

Family random_family();

/// Throws DTypeError or ShapeError unless `key` is a key, uint32[2].
void require_key(const Abstract& key);

}  // namespace linseed::ops
