#pragma once

#include "ops/common.hpp"

namespace linseed::ops {

extern const Op dot_general;
/// The same without the BLAS: what JitOptions::portable_bits puts in its place.
extern const Op dot_general_portable;

Family linalg_family();

}  // namespace linseed::ops
