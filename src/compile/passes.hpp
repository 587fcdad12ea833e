#pragma once

#include <span>
#include <string_view>

#include <linseed/transform/program.hpp>

namespace linseed::compile {

/// A step from a program to one that computes the same with less work. Passes run in a fixed order; each may
/// be left out, which changes speed and, within rounding, nothing else.
struct Pass {
  std::string_view name;
  std::string_view purpose;
  Program (*run)(const Program&);
};

/// constant_folding, algebra, common_subexpressions, dead_code: what one simplifies lets another find more.
std::span<const Pass> simplifications() noexcept;
/// layout: runs once, on a program that is simple.
const Pass& layout_pass() noexcept;
/// winograd: runs once, after layout.
const Pass& winograd_pass() noexcept;

}  // namespace linseed::compile
