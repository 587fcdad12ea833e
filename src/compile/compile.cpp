#include "compile/compile.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/core/error.hpp>

#include "compile/passes.hpp"
#include "core/array_node.hpp"

namespace linseed::compile {

namespace {

constexpr std::string_view fusion = "fusion", rematerialization = "rematerialization", phases = "phases",
                           windows = "windows";

double milliseconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::vector<std::string_view> pass_names() {
  std::vector<std::string_view> names;
  for (const Pass& pass : simplifications()) names.push_back(pass.name);
  names.push_back(reassociation_pass().name);
  names.push_back(layout_pass(best_vector_set()).name);
  names.push_back(winograd_pass().name);
  names.push_back(fusion);
  names.push_back(rematerialization);
  names.push_back(phases);
  names.push_back(windows);
  return names;
}

std::shared_ptr<const Compiled> compile(Program program, Options options) {
  const auto& disabled = options.disabled_passes;
  const auto names = pass_names();
  for (const std::string& name : disabled) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      throw ValueError("jit", "There is no such pass.",
                       {.got = name, .expected = fmt::format("{}", fmt::join(names, ", "))});
  }
  const auto enabled = [&](std::string_view name) {
    return std::find(disabled.begin(), disabled.end(), name) == disabled.end();
  };

  std::vector<Compiled::Report> reports;
  const auto run = [&](const Pass& pass) {
    if (!enabled(pass.name)) return;
    const auto start = std::chrono::steady_clock::now();
    const std::size_t before = program.size();
    program = pass.run(program);
    reports.push_back({pass.name, before, program.size(), milliseconds_since(start)});
  };
  const auto simplify = [&] {
    for (const Pass& pass : simplifications()) run(pass);
  };
  const auto run_and_simplify = [&](const Pass& pass) {
    const auto* before = &program.data();
    run(pass);
    if (&program.data() != before) simplify();
  };
  simplify();
  simplify();
  run_and_simplify(reassociation_pass());
  run_and_simplify(layout_pass(options.vectors));
  run(winograd_pass());
  const auto start = std::chrono::steady_clock::now();
  const std::size_t nodes = program.size();
  Plan plan(std::move(program), {.fuse = enabled(fusion),
                                 .rematerialize = enabled(rematerialization),
                                 .block = enabled(phases),
                                 .join_windows = enabled(windows),
                                 .vectors = options.vectors,
                                 .homes = std::move(options.homes)});
  reports.push_back({"plan", nodes, plan.steps().size(), milliseconds_since(start)});
  return std::make_shared<const Compiled>(Compiled{std::move(reports), std::move(plan)});
}

namespace {

std::string describe(const Compiled& compiled, std::span<const double> milliseconds) {
  std::string text = "passes:\n";
  for (const auto& report : compiled.reports) {
    text += fmt::format("  {:<22} {:5} -> {:5}   {:7.2f} ms\n", report.pass, report.nodes_before, report.nodes_after,
                        report.milliseconds);
  }
  const Plan& plan = compiled.plan;
  text +=
      fmt::format("arena: {} bytes, of which {} are needed at once\nkernels:\n", plan.arena_bytes(), plan.live_bytes());
  return text + plan.to_string(milliseconds);
}

}  // namespace

std::string explain(const Compiled& compiled) { return describe(compiled, {}); }

namespace {

/// The same elements in a buffer of its own.
Array copy_of(const Array& array) {
  using detail::ArrayNode;
  auto buffer = detail::allocate(array.shape(), array.dtype());
  std::memcpy(buffer.get(), ArrayNode::of(array).buffer.get(), detail::bytes_of(array.shape(), array.dtype()));
  return ArrayNode::fresh(std::move(buffer), array.shape(), array.dtype());
}

}  // namespace

std::string explain(const Compiled& compiled, std::span<const Array> inputs, const Executor& executor) {
  constexpr std::size_t runs = 9;
  const std::size_t lines = compiled.plan.lines();
  std::vector<std::vector<double>> samples(lines);
  // What comes back in the place where it went in is given up, as a training loop does: here copies of it.
  std::vector<char> carried(inputs.size(), 0);
  for (const int home : compiled.plan.homes()) {
    if (home >= 0) carried[static_cast<std::size_t>(home)] = 1;
  }
  std::vector<Array> copies(inputs.size());
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (carried[k]) copies[k] = copy_of(inputs[k]);
  }
  for (std::size_t i = 0; i < runs; ++i) {
    std::vector<double> seconds(lines, 0.0);
    Run run(compiled.plan);
    for (std::size_t k = 0; k < inputs.size(); ++k)
      run.inputs().push_back({carried[k] ? &copies[k] : &inputs[k], true});
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      (void)run.bind(k, k + 1, /*given_up=*/carried[k] != 0);
      run.keep(k, k + 1, carried[k] != 0);
    }
    (void)run.prepare(executor);
    run.execute(executor, seconds);
    for (std::size_t s = 0; s < lines; ++s) samples[s].push_back(seconds[s] * 1e3);
  }
  std::vector<double> medians;
  for (auto& sample : samples) {
    std::nth_element(sample.begin(), sample.begin() + runs / 2, sample.end());
    medians.push_back(sample[runs / 2]);
  }
  double total = 0.0;
  std::size_t line = 0;
  for (const Step& step : compiled.plan.steps()) {
    total += medians[line];
    line += 1 + step.members.size();
  }
  return describe(compiled, medians) + fmt::format("{:9.4f} ms in all\n", total);
}

}  // namespace linseed::compile
