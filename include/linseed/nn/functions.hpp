#pragma once

// Activations and losses.

#include <linseed/nn/activations.hpp>
#include <linseed/nn/losses.hpp>
