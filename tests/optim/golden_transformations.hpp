// The gradient transformations of optimizers.json, built from {"fn": name, "args": {...}}.
#pragma once

#include <string>

#include <linseed/ops/elementwise.hpp>
#include <linseed/optim/clipping.hpp>
#include <linseed/optim/optimizers.hpp>
#include <linseed/optim/wrappers.hpp>

#include "optim/golden_schedules.hpp"

namespace golden_optim {

linseed::optim::GradientTransformation transformation_of(const json& spec);

}  // namespace golden_optim
