#pragma once

// The layers of flax.linen. Layers are aggregates of hyper-parameters with Flax's names, defaults and formulas. Called
// with a scope they name themselves ("Dense_0", or `name`) and keep their variables there. `dtype` is that of the
// computation: when it is left open, what input and parameters promote to. `param_dtype` is that of the parameters.

// clang-format off: the order is that of reading
#include <linseed/nn/linear.hpp>
#include <linseed/nn/conv.hpp>
#include <linseed/nn/grouped_attention.hpp>
#include <linseed/nn/norm.hpp>
#include <linseed/nn/weight_norm.hpp>
#include <linseed/nn/stochastic.hpp>
#include <linseed/nn/attention.hpp>
#include <linseed/nn/recurrent.hpp>
#include <linseed/nn/combinators.hpp>
// clang-format on
