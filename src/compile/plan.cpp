#include "compile/plan.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>

#include <fmt/format.h>

#include "compile/pack.hpp"
#include "compile/phase.hpp"
#include "compile/phases.hpp"
#include "compile/rematerialization.hpp"
#include "compile/tape_builder.hpp"
#include "core/array_node.hpp"

namespace linseed::compile {

using detail::ArrayNode;
using detail::ProgramData;
using Node = ProgramData::Node;

namespace {

/// Memory as it is needed; what was in it is lost when it grows.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { std::free(bytes_); }

  /// Throws std::bad_alloc.
  void require(std::size_t size) {
    if (size <= size_) return;
    std::free(std::exchange(bytes_, nullptr));
    size_ = 0;
    bytes_ = static_cast<std::byte*>(std::aligned_alloc(alignment, aligned(size)));
    if (bytes_ == nullptr) throw std::bad_alloc();
    size_ = size;
  }
  [[nodiscard]] std::byte* get() const noexcept { return bytes_; }

 private:
  std::byte* bytes_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace

/// The memory of one run: an arena, and the addresses of all values.
struct Plan::Workplace {
  Memory arena, local;
  std::vector<void*> values;                          // per root value
  std::vector<std::vector<kernels::Input>> operands;  // per step that is a single op
  std::vector<std::vector<void*>> arrays;             // per step that is a tape
  std::vector<std::shared_ptr<void>> results;         // per computed output
};

/// Keeps the workplace of the latest run for the next one; runs at the same time have one each.
class Plan::Pool {
 public:
  ~Pool() { delete kept_.load(); }
  std::unique_ptr<Workplace> take() noexcept { return std::unique_ptr<Workplace>(kept_.exchange(nullptr)); }
  void keep(std::unique_ptr<Workplace> workplace) noexcept { delete kept_.exchange(workplace.release()); }

 private:
  std::atomic<Workplace*> kept_{nullptr};
};

Plan::Plan(Program program, const Options& options) : program_(std::move(program)), pool_(std::make_unique<Pool>()) {
  Schedule schedule = make_schedule(program_.data(), options.fuse);
  if (options.fuse && options.rematerialize)
    rematerialize(program_.data(), schedule, make_slots(program_.data(), schedule, options.block));
  drop_unused(program_.data(), schedule);
  root_ = schedule.root;
  make_steps(schedule, options.block);
  place_locals();
  place_values(schedule);
  find_takeovers();
}

Plan::Plan(Plan&&) noexcept = default;
Plan::~Plan() = default;

void Plan::make_steps(const Schedule& schedule, bool block) {
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
  for (const Slot& slot : make_slots(program(), schedule, block)) {
    std::vector<Step> steps;
    for (const int group : slot.groups) steps.push_back(step_of(schedule.groups[static_cast<std::size_t>(group)]));
    steps_.push_back(slot.blocks > 0 ? make_phase(program(), std::move(steps), slot.blocks) : std::move(steps.front()));
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
  std::vector<std::size_t*> places;  // where each block's offset goes
  std::vector<int> block_of(nodes.size(), -1);
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    const int now = static_cast<int>(s);
    for (const int operand : steps_[s].operands) {
      if (const int block = block_of[static_cast<std::size_t>(operand)]; block >= 0)
        blocks[static_cast<std::size_t>(block)].last = now;
    }
    for (const int result : steps_[s].results) {
      Location& location = locations_[static_cast<std::size_t>(result)];
      if (location.kind != Location::Kind::none || !schedule.stored[static_cast<std::size_t>(result)]) continue;
      location.kind = Location::Kind::arena;
      block_of[static_cast<std::size_t>(result)] = static_cast<int>(blocks.size());
      blocks.push_back({now, now, aligned(bytes_of(nodes[static_cast<std::size_t>(result)].result))});
      places.push_back(&location.index);
    }
    if (const std::size_t bytes = steps_[s].workspace_bytes; bytes > 0) {
      blocks.push_back({now, now, aligned(bytes)});
      places.push_back(&steps_[s].workspace);
    }
  }
  arena_bytes_ = pack(blocks);
  live_bytes_ = peak(blocks, steps_.size());
  for (std::size_t i = 0; i < blocks.size(); ++i) *places[i] = blocks[i].offset;
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
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    for (const int result : steps_[s].results) {
      const Location& location = locations_[static_cast<std::size_t>(result)];
      if (location.kind != Location::Kind::output) continue;
      // The input that is read last leaves the earlier ones to outputs that are written before.
      int best = -1;
      for (std::size_t i = 0; i < available.size(); ++i) {
        const int value = program().inputs[i];
        if (!available[i] || last_read[i] > static_cast<int>(s) || !same_buffer(value, result)) continue;
        if (last_read[i] == static_cast<int>(s) && !can_write_over(steps_[s], value, result)) continue;
        if (best < 0 || last_read[i] > last_read[static_cast<std::size_t>(best)]) best = static_cast<int>(i);
      }
      if (best < 0) continue;
      takeover_[location.index] = best;
      available[static_cast<std::size_t>(best)] = 0;
    }
  }
}

std::unique_ptr<Plan::Workplace> Plan::make_workplace() const {
  const auto& nodes = program().nodes;
  auto workplace = std::make_unique<Workplace>();
  workplace->arena.require(arena_bytes_);
  workplace->values.resize(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Location& location = locations_[i];
    if (location.kind == Location::Kind::arena) workplace->values[i] = workplace->arena.get() + location.index;
    if (location.kind == Location::Kind::constant)
      workplace->values[i] = const_cast<void*>(ArrayNode::of(nodes[i].constant).buffer.get());
  }
  workplace->operands.resize(steps_.size());
  workplace->arrays.resize(steps_.size());
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    const Step& step = steps_[s];
    if (step.tape) {
      workplace->arrays[s].resize(step.operands.size() + step.results.size());
      continue;
    }
    if (step.node == nullptr) continue;
    for (const int operand : step.node->operands) {
      const Abstract& type = nodes[static_cast<std::size_t>(operand)].result;
      workplace->operands[s].push_back({nullptr, type.shape, type.dtype});
    }
  }
  workplace->results.resize(computed_.size());
  return workplace;
}

std::size_t Plan::lines() const noexcept {
  std::size_t result = steps_.size();
  for (const Step& step : steps_) result += step.members.size();
  return result;
}

std::string Plan::to_string(std::span<const double> milliseconds) const {
  const auto& nodes = program().nodes;
  std::string text;
  const auto list = [&](const std::vector<int>& values) {
    std::string result;
    for (const int value : values) {
      const Abstract& type = nodes[static_cast<std::size_t>(value)].result;
      result += fmt::format(" %{}:{}", value, describe(type.dtype, type.shape));
    }
    return result;
  };
  const auto describe_step = [&](const Step& step) {
    std::string what;
    if (step.blocks > 0) {
      what = fmt::format("phase of {} blocks, {} bytes per worker:", step.blocks, step.local_bytes);
    } else if (step.tape) {
      what = fmt::format("fused over {} in tiles of {}: {} steps, {} sums", step.tape->elements, step.tape->tile,
                         step.tape->instructions.size(), step.tape->folds.size());
    } else {
      what = step.node->op->name;
    }
    return fmt::format(" {} <-{}   {}\n", list(step.results), list(step.operands), what);
  };
  std::size_t line = 0;
  const auto add_line = [&](const Step& step, std::string_view mark) {
    if (!milliseconds.empty()) text += fmt::format("{:9.4f} ms", milliseconds[line++]);
    text += mark;
    text += describe_step(step);
  };
  for (const Step& step : steps_) {
    add_line(step, "");
    for (const Step& member : step.members) add_line(member, " |");
  }
  return text;
}

std::vector<Array> Plan::run(std::span<const Array> inputs, std::span<const char> donated, const Executor& executor,
                             std::span<double> seconds) const {
  using Clock = std::chrono::steady_clock;
  const auto& nodes = program().nodes;
  std::unique_ptr<Workplace> place = pool_->take();
  if (!place) place = make_workplace();

  // Everything that can fail comes first.
  place->local.require(local_bytes_ * static_cast<std::size_t>(executor.threads()));
  std::vector<Array> outputs;
  outputs.reserve(program().outputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    place->values[static_cast<std::size_t>(program().inputs[i])] =
        const_cast<void*>(ArrayNode::of(inputs[i]).buffer.get());
  }
  for (std::size_t k = 0; k < computed_.size(); ++k) {
    const auto value = static_cast<std::size_t>(computed_[k]);
    const int source = takeover_[k];
    place->results[k] =
        source >= 0 && donated[static_cast<std::size_t>(source)]
            ? std::const_pointer_cast<void>(ArrayNode::of(inputs[static_cast<std::size_t>(source)]).buffer)
            : detail::allocate(nodes[value].result.shape, nodes[value].result.dtype);
    place->values[value] = place->results[k].get();
  }
  for (const int output : program().outputs) {
    const Abstract& type = nodes[static_cast<std::size_t>(output)].result;
    const auto value = static_cast<std::size_t>(root_[static_cast<std::size_t>(output)]);
    const Location& location = locations_[value];
    switch (location.kind) {
      case Location::Kind::input: outputs.push_back(inputs[location.index]); break;
      case Location::Kind::constant: outputs.push_back(nodes[value].constant); break;
      default: outputs.push_back(ArrayNode::fresh(place->results[location.index], type.shape, type.dtype));
    }
    if (outputs.back().shape() != type.shape)
      outputs.back() = ArrayNode::concrete(ArrayNode::of(outputs.back()).buffer, type.shape, type.dtype);
  }

  std::size_t line = 0;
  for (std::size_t s = 0; s < steps_.size(); line += 1 + steps_[s].members.size(), ++s) {
    const Step& step = steps_[s];
    const auto start = seconds.empty() ? Clock::time_point() : Clock::now();
    if (step.blocks > 0) {
      run_phase(step, place->values, place->arena.get() + step.workspace, place->local.get(), executor,
                seconds.empty() ? seconds : seconds.subspan(line + 1, step.members.size()));
    } else if (step.tape) {
      std::vector<void*>& arrays = place->arrays[s];
      std::size_t k = 0;
      for (const int value : step.operands) arrays[k++] = place->values[static_cast<std::size_t>(value)];
      for (const int value : step.results) arrays[k++] = place->values[static_cast<std::size_t>(value)];
      kernels::run(*step.tape, arrays, place->arena.get() + step.workspace, executor);
    } else {
      std::vector<kernels::Input>& operands = place->operands[s];
      for (std::size_t k = 0; k < operands.size(); ++k)
        operands[k].data = place->values[static_cast<std::size_t>(step.operands[k])];
      const Op& op = *step.node->op;
      const kernels::Kernel kernel = op.fast != nullptr ? op.fast : op.reference;
      kernel(
          step.node->attributes, operands,
          {place->values[static_cast<std::size_t>(step.results[0])], step.node->result.shape, step.node->result.dtype},
          executor);
    }
    if (!seconds.empty()) seconds[line] += std::chrono::duration<double>(Clock::now() - start).count();
  }
  for (auto& result : place->results) result.reset();
  pool_->keep(std::move(place));
  return outputs;
}

}  // namespace linseed::compile
