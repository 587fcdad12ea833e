#pragma once

#include <functional>
#include <span>
#include <string_view>

#include <linseed/core/executor.hpp>
#include <linseed/transform/program.hpp>

namespace linseed::compile {

/// A step from a program to one that computes the same with less work. Passes run in a fixed order; each may
/// be left out, which changes speed and, within rounding, nothing else.
struct Pass {
  std::string_view name;
  std::string_view purpose;
  std::function<Program(const Program&)> run;
};

/// constant_folding, algebra, common_subexpressions, dead_code: what one simplifies lets another find more.
std::span<const Pass> simplifications();
/// reassociation: runs once, on a program that is simple, since it hides what algebra looks for.
Pass reassociation_pass();
/// layout: runs once, after it.
Pass layout_pass(VectorSet vectors);
/// winograd: runs once, after layout.
Pass winograd_pass();

}  // namespace linseed::compile
