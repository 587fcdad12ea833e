#pragma once

#include <span>
#include <string_view>

#include <linseed/transform/program.hpp>

namespace linseed::compile {

/// A step from a program to one that computes the same with less work. Passes run in the order of `passes()`; each may
/// be left out, which changes speed and, within rounding, nothing else.
struct Pass {
  std::string_view name;
  std::string_view purpose;
  Program (*run)(const Program&);
};

/// constant_folding, algebra, common_subexpressions, dead_code.
std::span<const Pass> passes() noexcept;

}  // namespace linseed::compile
