#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <linseed/core/array.hpp>

namespace linseed::ops {

/// The labels of an equation's axes: letters, and numbers above those of letters for the axes behind "...".
struct Equation {
  std::vector<std::vector<int>> operands;
  std::vector<int> result;
};

/// Reads an equation for operands of these ranks. Throws ValueError or ShapeError naming "einsum".
Equation parse_einsum(std::string_view equation, const std::vector<Array>& operands);

}  // namespace linseed::ops
