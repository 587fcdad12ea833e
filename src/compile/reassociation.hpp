#pragma once

#include "program/program.hpp"

namespace linseed::compile {

/// Adds what is the same along some axes before it is added to every element: (x + a) - b becomes x + (a - b), as where
/// a bias is in front of a normalization, and (x + a y) + a y, as in the gradient of a variance, x + (a + a) y. Rounds
/// once less.
Program reassociation(const Program& program);

}  // namespace linseed::compile
