#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <linseed/transform/program.hpp>

#include "compile/plan.hpp"

namespace linseed::compile {

/// A program made ready to run, and what was done to it.
struct Compiled {
  struct Report {
    std::string_view pass;
    std::size_t nodes_before, nodes_after;
    double milliseconds;
  };
  std::vector<Report> reports;
  Plan plan;
};

struct Options {
  std::vector<std::string> disabled_passes = {};
  std::vector<int> homes = {};  ///< as in Plan::Options
  VectorSet vectors = best_vector_set();
};

/// The names of everything that can be switched off: the passes, and the parts of planning.
std::vector<std::string_view> pass_names();

/// Runs the passes that are not disabled and plans the result. Throws ValueError for an unknown name.
std::shared_ptr<const Compiled> compile(Program program, Options options = {});

/// Passes, kernels, memory: for people. With inputs, the kernels are run and timed (medians of several runs).
std::string explain(const Compiled& compiled);
std::string explain(const Compiled& compiled, std::span<const Array> inputs, const Executor& executor);

}  // namespace linseed::compile
