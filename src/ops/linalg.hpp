#pragma once

#include "ops/common.hpp"

namespace linseed::ops {

extern const Op dot_general;

Family linalg_family();

}  // namespace linseed::ops
