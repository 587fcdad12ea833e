#pragma once

#include "ops/common.hpp"

namespace linseed::ops {

extern const Op reshape, transpose, broadcast_to, slice, pad, concatenate, flip, iota;
extern const Op take, take_add, take_along, take_along_add;

Family shape_family();
Family index_family();

}  // namespace linseed::ops
