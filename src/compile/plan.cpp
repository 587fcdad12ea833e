#include "compile/plan.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "compile/launch.hpp"
#include "compile/pack.hpp"
#include "compile/phase.hpp"
#include "compile/phases.hpp"
#include "compile/product.hpp"
#include "compile/rematerialization.hpp"
#include "compile/tape_builder.hpp"
#include "compile/windows.hpp"

namespace linseed::compile {

using detail::ProgramData;
using Node = ProgramData::Node;

Plan::Plan(Program program, const Options& options)
    : program_(std::move(program)),
      vectors_(options.vectors),
      homes_(options.homes),
      workplaces_(std::make_unique<Workplaces>()) {
  homes_.resize(this->program().outputs.size(), -1);
  Schedule schedule = make_schedule(program_.data(), options.fuse);
  if (options.fuse && options.rematerialize)
    rematerialize(program_.data(), schedule, make_slots(program_.data(), schedule, options.block));
  drop_unused(program_.data(), schedule);
  if (options.fuse && options.rematerialize) {
    derive_stored(program_.data(), schedule, make_slots(program_.data(), schedule, options.block));
    drop_unused(program_.data(), schedule);
  }
  root_ = schedule.root;
  make_steps(schedule, options);
  if (options.fuse) {
    std::vector<char> outputs(this->program().nodes.size(), 0);
    for (const int output : this->program().outputs)
      outputs[static_cast<std::size_t>(root_[static_cast<std::size_t>(output)])] = 1;
    join_products(this->program(), outputs, steps_);
    join_launches(this->program(), outputs, steps_);
  }
  place_locals();
  place_values(schedule);
  find_takeovers();
}

Plan::Plan(Plan&&) noexcept = default;
Plan::~Plan() = default;

void Plan::make_steps(const Schedule& schedule, const Options& options) {
  std::vector<char> written(program().nodes.size(), 0);
  const auto step_of = [&](const Group& group) {
    Step step;
    if (group.fused) {
      step = build_tape(program(), schedule, group, written);
    } else {
      const int index = group.nodes.front();
      step.node = &program().nodes[static_cast<std::size_t>(index)];
      for (const int operand : step.node->operands) step.operands.push_back(root_[static_cast<std::size_t>(operand)]);
      step.results = {index};
    }
    for (const int result : step.results) written[static_cast<std::size_t>(result)] = 1;
    return step;
  };
  const std::vector<int> readers = count_readers(program(), schedule);
  bool backwards = false;
  for (const Slot& slot : make_slots(program(), schedule, options.block)) {
    std::vector<Step> steps;
    for (const int group : slot.groups) steps.push_back(step_of(schedule.groups[static_cast<std::size_t>(group)]));
    if (slot.blocks == 0) {
      steps_.push_back(std::move(steps.front()));
      continue;
    }
    if (options.join_windows) join_windows(program(), readers, steps);
    steps_.push_back(make_phase(program(), std::move(steps), slot.blocks));
    steps_.back().backwards = std::exchange(backwards, !backwards);
  }
}

void Plan::place_locals() {
  constexpr int nobody = -1, several = -2;
  std::vector<int> reader(program().nodes.size(), nobody);  // the step that reads a value
  const auto note = [&](int value, int who) {
    int& known = reader[static_cast<std::size_t>(value)];
    known = known == nobody || known == who ? who : several;
  };
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    for (const int operand : steps_[s].operands) note(operand, static_cast<int>(s));
    for (const Step& member : steps_[s].members) {
      for (const int operand : member.operands) note(operand, static_cast<int>(s));
    }
  }
  for (const int output : program().outputs) note(root_[static_cast<std::size_t>(output)], several);
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    local_bytes_ = std::max(local_bytes_, steps_[s].local_bytes);
    if (steps_[s].blocks == 0) continue;
    std::vector<char> elsewhere(reader.size());
    for (std::size_t value = 0; value < reader.size(); ++value)
      elsewhere[value] = reader[value] != nobody && reader[value] != static_cast<int>(s);
    compile::place_locals(steps_[s], elsewhere);
    local_bytes_ = std::max(local_bytes_, steps_[s].local_bytes);
  }
}

void Plan::place_values(const Schedule& schedule) {
  const auto& nodes = program().nodes;
  locations_.resize(nodes.size());
  for (std::size_t i = 0; i < program().inputs.size(); ++i)
    locations_[static_cast<std::size_t>(program().inputs[i])] = {Location::Kind::input, i};
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].constant.defined()) locations_[i] = {Location::Kind::constant, i};
  }
  for (const int output : program().outputs) {
    const int value = root_[static_cast<std::size_t>(output)];
    Location& location = locations_[static_cast<std::size_t>(value)];
    if (location.kind != Location::Kind::none) continue;
    location = {Location::Kind::output, computed_.size()};
    computed_.push_back(value);
  }

  std::vector<Block> blocks;
  std::vector<std::vector<std::size_t*>> places;  // per block: where its offset goes
  std::vector<int> block_of(nodes.size(), -1), last_read(nodes.size(), -1);
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    for (const int operand : steps_[s].operands) last_read[static_cast<std::size_t>(operand)] = static_cast<int>(s);
  }
  // The block of an operand that nobody reads after the step, if the result may be written over it.
  const auto block_to_take_over = [&](std::size_t s, int result, const std::vector<int>& taken) {
    for (const int operand : steps_[s].operands) {
      const int block = block_of[static_cast<std::size_t>(operand)];
      if (block < 0 || last_read[static_cast<std::size_t>(operand)] != static_cast<int>(s)) continue;
      if (std::find(taken.begin(), taken.end(), block) != taken.end()) continue;
      if (bytes_of(nodes[static_cast<std::size_t>(operand)].result) ==
              bytes_of(nodes[static_cast<std::size_t>(result)].result) &&
          may_write_over(steps_[s], operand, result))
        return block;
    }
    return -1;
  };
  const auto add_block = [&](int now, std::size_t bytes) {
    blocks.push_back({now, now, aligned(bytes)});
    places.emplace_back();
    return static_cast<int>(blocks.size()) - 1;
  };
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    const int now = static_cast<int>(s);
    for (const int operand : steps_[s].operands) {
      if (const int block = block_of[static_cast<std::size_t>(operand)]; block >= 0)
        blocks[static_cast<std::size_t>(block)].last = now;
    }
    std::vector<int> taken;
    for (const int result : steps_[s].results) {
      Location& location = locations_[static_cast<std::size_t>(result)];
      if (location.kind != Location::Kind::none || !schedule.stored[static_cast<std::size_t>(result)]) continue;
      location.kind = Location::Kind::arena;
      int block = block_to_take_over(s, result, taken);
      if (block < 0) {
        block = add_block(now, bytes_of(nodes[static_cast<std::size_t>(result)].result));
      } else {
        taken.push_back(block);
      }
      block_of[static_cast<std::size_t>(result)] = block;
      places[static_cast<std::size_t>(block)].push_back(&location.index);
    }
    if (const std::size_t bytes = steps_[s].workspace_bytes; bytes > 0)
      places[static_cast<std::size_t>(add_block(now, bytes))].push_back(&steps_[s].workspace);
  }
  arena_bytes_ = pack(blocks);
  live_bytes_ = peak(blocks, steps_.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    for (std::size_t* const place : places[i]) *place = blocks[i].offset;
  }
}

void Plan::find_takeovers() {
  const auto& nodes = program().nodes;
  const auto same_buffer = [&](int a, int b) {  // would hold either value
    const Abstract& left = nodes[static_cast<std::size_t>(a)].result;
    const Abstract& right = nodes[static_cast<std::size_t>(b)].result;
    return left.dtype == right.dtype && bytes_of(left) == bytes_of(right);
  };
  takeover_.assign(computed_.size(), -1);
  std::vector<int> last_read(program().inputs.size(), -1);
  std::vector<char> available(program().inputs.size(), 1);
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    for (const int operand : steps_[s].operands) {
      const Location& location = locations_[static_cast<std::size_t>(operand)];
      if (location.kind == Location::Kind::input) last_read[location.index] = static_cast<int>(s);
    }
  }
  for (const int output : program().outputs) {
    const Location& location = locations_[static_cast<std::size_t>(root_[static_cast<std::size_t>(output)])];
    if (location.kind == Location::Kind::input) available[location.index] = 0;  // it is handed out itself
  }
  std::vector<std::vector<int>> homes(computed_.size());
  for (std::size_t k = 0; k < homes_.size(); ++k) {
    const Location& location =
        locations_[static_cast<std::size_t>(root_[static_cast<std::size_t>(program().outputs[k])])];
    if (homes_[k] >= 0 && location.kind == Location::Kind::output) homes[location.index].push_back(homes_[k]);
  }
  const auto can_take = [&](std::size_t step, int result, std::size_t input) {
    const int value = program().inputs[input];
    if (!available[input] || last_read[input] > static_cast<int>(step) || !same_buffer(value, result)) return false;
    return last_read[input] < static_cast<int>(step) || may_write_over(steps_[step], value, result);
  };
  const auto take = [&](std::size_t computed, int input) {
    takeover_[computed] = input;
    available[static_cast<std::size_t>(input)] = 0;
  };
  const auto each_computed = [&](const auto& visit) {
    for (std::size_t s = 0; s < steps_.size(); ++s) {
      for (const int result : steps_[s].results) {
        const Location& location = locations_[static_cast<std::size_t>(result)];
        if (location.kind == Location::Kind::output) visit(s, result, location.index);
      }
    }
  };
  each_computed([&](std::size_t step, int result, std::size_t computed) {
    for (const int home : homes[computed]) {
      if (takeover_[computed] < 0 && can_take(step, result, static_cast<std::size_t>(home))) take(computed, home);
    }
  });
  each_computed([&](std::size_t step, int result, std::size_t computed) {
    if (takeover_[computed] >= 0) return;
    // The input that is read last leaves the earlier ones to outputs that are written before.
    int best = -1;
    for (std::size_t i = 0; i < available.size(); ++i) {
      if (!can_take(step, result, i)) continue;
      if (best < 0 || last_read[i] > last_read[static_cast<std::size_t>(best)]) best = static_cast<int>(i);
    }
    if (best >= 0) take(computed, best);
  });
}

std::size_t Plan::lines() const noexcept {
  std::size_t result = steps_.size();
  for (const Step& step : steps_) result += step.members.size();
  return result;
}

namespace {

/// "1.21 GFLOP"
std::string in_flops(std::int64_t count) {
  constexpr std::string_view units[] = {"", "k", "M", "G", "T"};
  double value = static_cast<double>(count);
  std::size_t unit = 0;
  for (; value >= 999.5 && unit + 1 < std::size(units); value /= 1000) ++unit;
  return fmt::format("{:.3g} {}FLOP", value, units[unit]);
}

/// " 3x3" for a convolution.
std::string window_of(const Attributes& attributes) {
  const auto* conv = std::get_if<attr::Conv>(&attributes);
  if (conv == nullptr) return "";
  const auto& kernel = conv->kernel_shape;
  return fmt::format(" {}", fmt::join(kernel.begin(), kernel.end() - 2, "x"));
}

}  // namespace

/// What serves a single op, or a member of a phase of so many blocks.
std::string Plan::describe(const Step& step, std::int64_t blocks) const {
  const Node& node = *step.node;
  if (node.op->fast == nullptr) return fmt::format("{}  [reference]", node.op->name);
  if (node.op->choice == nullptr) return std::string(node.op->name);
  std::vector<kernels::Input> inputs = step.inputs;
  if (inputs.empty()) {
    for (const int operand : node.operands) {
      const Abstract& type = program().nodes[static_cast<std::size_t>(operand)].result;
      inputs.push_back({nullptr, type.shape, type.dtype});
    }
  }
  const bool in_phase = !step.inputs.empty();
  const kernels::Choice choice = node.op->choice(
      node.attributes, inputs, {nullptr, in_phase ? step.output : node.result.shape, node.result.dtype}, vectors_);
  std::string text = fmt::format("{}  [{}{}", node.op->name, choice.routine, window_of(node.attributes));
  if (choice.flops > 0) text += fmt::format(", {}", in_flops(choice.flops * blocks));
  return text + "]";
}

std::string Plan::to_string(std::span<const double> milliseconds) const {
  const auto& nodes = program().nodes;
  std::string text;
  const auto list = [&](const std::vector<int>& values) {
    std::string result;
    for (const int value : values) {
      const Abstract& type = nodes[static_cast<std::size_t>(value)].result;
      result += fmt::format(" %{}:{}", value, linseed::describe(type.dtype, type.shape));
    }
    return result;
  };
  const auto describe_step = [&](const Step& step, std::int64_t blocks) {
    std::string what;
    if (step.blocks > 0) {
      what = fmt::format("phase of {} blocks, {} bytes per worker:", step.blocks, step.local_bytes);
    } else if (step.tasks > 0) {
      what = fmt::format("launch of {} tasks:", step.tasks);
    } else if (step.tape) {
      if (step.node != nullptr) what = describe(step, blocks) + ", its rows used up: ";
      what += fmt::format("fused over {} in tiles of {}: {} steps, {} sums", step.tape->elements, step.tape->tile,
                          step.tape->instructions.size(), step.tape->folds.size());
      const auto count = [&](kernels::Tape::Place::Kind kind) {
        const auto is_one = [&](const kernels::Tape::Place& place) { return place.kind == kind; };
        return std::count_if(step.tape->places.begin(), step.tape->places.end(), is_one);
      };
      if (const auto spread = count(kernels::Tape::Place::Kind::spread)) what += fmt::format(", {} spread", spread);
      if (const auto pooled = count(kernels::Tape::Place::Kind::pooled)) what += fmt::format(", {} pooled", pooled);
      if (blocks == 1 && Script::suits(step)) what += "  [script]";
    } else {
      what = describe(step, blocks);
    }
    return fmt::format(" {} <-{}   {}\n", list(step.results), list(step.operands), what);
  };
  std::size_t line = 0;
  const auto add_line = [&](const Step& step, std::string_view mark, std::int64_t blocks) {
    if (!milliseconds.empty()) text += fmt::format("{:9.4f} ms", milliseconds[line++]);
    text += mark;
    text += describe_step(step, blocks);
  };
  for (const Step& step : steps_) {
    add_line(step, "", 1);
    for (const Step& member : step.members) add_line(member, " |", std::max<std::int64_t>(step.blocks, 1));
  }
  return text;
}

}  // namespace linseed::compile
