#include "compile/run.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "compile/launch.hpp"
#include "compile/pack.hpp"
#include "compile/phase.hpp"
#include "compile/plan.hpp"
#include "compile/product.hpp"
#include "core/array_node.hpp"

namespace linseed::compile {

using detail::ArrayNode;

Memory::~Memory() { std::free(bytes_); }

void Memory::require(std::size_t size) {
  if (size <= size_) return;
  std::free(std::exchange(bytes_, nullptr));
  size_ = 0;
  bytes_ = detail::allocate_bytes(size, "jit");
  size_ = size;
}

Workplaces::~Workplaces() { delete kept_.load(); }
void Workplaces::keep(std::unique_ptr<Workplace> workplace) noexcept { delete kept_.exchange(workplace.release()); }

namespace {

std::unique_ptr<Workplace> make_workplace(const Plan& plan) {
  const auto& nodes = plan.program().nodes;
  auto place = std::make_unique<Workplace>();
  place->arena.require(plan.arena_bytes());
  place->values.resize(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Location location = plan.location(static_cast<int>(i));
    if (location.kind == Location::Kind::arena) place->values[i] = place->arena.get() + location.index;
    if (location.kind == Location::Kind::constant)
      place->values[i] = const_cast<void*>(ArrayNode::of(nodes[i].constant).buffer.get());
  }
  place->operands.resize(plan.steps().size());
  place->arrays.resize(plan.steps().size());
  for (std::size_t s = 0; s < plan.steps().size(); ++s) {
    const Step& step = plan.steps()[s];
    if (step.tape) place->arrays[s].resize(step.operands.size() + step.results.size());
    if (step.tasks > 0) place->arrays[s].resize(arrays_of(step));
    if (step.node == nullptr) continue;
    for (const int operand : step.node->operands) {
      const Abstract& type = nodes[static_cast<std::size_t>(operand)].result;
      place->operands[s].push_back({nullptr, type.shape, type.dtype});
    }
  }
  place->script = Script(plan, place->values);
  place->made.resize(plan.computed().size());
  place->outputs.resize(plan.program().outputs.size());
  place->uses.resize(plan.program().inputs.size());
  place->bound.resize(plan.program().inputs.size());
  return place;
}

/// `array`, seen in another shape of as many elements.
Array reshaped(const Array& array, const Abstract& type) {
  if (array.shape() == type.shape) return array;
  return ArrayNode::concrete(ArrayNode::of(array).buffer, type.shape, type.dtype);
}

}  // namespace

Run::Run(const Plan& plan) : plan_(plan), place_(plan.workplaces().take()) {
  if (!place_) place_ = make_workplace(plan);
}

Run::~Run() {
  place_->inputs.clear();
  if (place_->arrangement) {
    for (const std::size_t c : place_->arrangement->made) place_->made[c].reset();
    for (const std::size_t k : place_->arrangement->handed) place_->outputs[k] = Array();
  }
  plan_.workplaces().keep(std::move(place_));
}

Run::Bound Run::bind(std::size_t first, std::size_t last, bool given_up) noexcept {
  // Small steps wait for this, hence all at once instead of one condition after the other.
  Workplace& place = *place_;
  bool concrete = true, unshared = true, other = false, moved = false;
  for (std::size_t i = first; i < last; ++i) {
    const Tree::LeafPlace& leaf = place.inputs[i];
    const ArrayNode& node = *ArrayNode::peek(*leaf.array);
    const void* const elements = node.buffer.get();
    const bool sole = (ArrayNode::holders(*leaf.array) == 1) & (node.buffer.use_count() == 1);
    const bool donated = given_up & leaf.unshared & node.writable & sole;  // one handle is all that refers to them
    concrete &= elements != nullptr;
    unshared &= leaf.unshared;
    other |= donated != place.uses[i].donated;
    moved |= (elements != place.bound[i]) | !node.writable;
    place.uses[i].donated = donated;
  }
  place.other_uses |= other;
  place.moved |= moved;
  return {.concrete = concrete, .unshared = unshared};
}

void Run::keep(std::size_t first, std::size_t last, bool kept) noexcept {
  Workplace& place = *place_;
  if (first == last || place.uses[first].kept == kept) return;
  for (std::size_t i = first; i < last; ++i) place.uses[i].kept = kept;
  place.other_uses = true;
}

/// Finds what follows from the uses.
void Run::arrange() {
  const auto& program = plan_.program();
  Workplace::Arrangement found;
  found.written_over_by.assign(place_->inputs.size(), -1);
  const auto use_of = [&](int input) { return place_->uses[static_cast<std::size_t>(input)]; };
  for (std::size_t c = 0; c < plan_.computed().size(); ++c) {
    const int source = plan_.takeovers()[c];
    if (source >= 0 && use_of(source).donated) {
      found.written_over_by[static_cast<std::size_t>(source)] = plan_.computed()[c];
    } else {
      found.made.push_back(c);
    }
  }
  for (std::size_t k = 0; k < program.outputs.size(); ++k) {
    const int home = plan_.homes()[k];
    const Location location = plan_.location(plan_.root(program.outputs[k]));
    const bool stays = home >= 0 && use_of(home).kept &&
                       ((location.kind == Location::Kind::input && static_cast<int>(location.index) == home) ||
                        (location.kind == Location::Kind::output && use_of(home).donated &&
                         plan_.takeovers()[location.index] == home));
    if (!stays) found.handed.push_back(k);
  }
  place_->arrangement = std::move(found);
  place_->other_uses = false;
  std::fill(place_->bound.begin(), place_->bound.end(), nullptr);
  place_->moved = true;
}

/// Tells the steps where the inputs are.
void Run::follow_inputs() noexcept {
  Workplace& place = *place_;
  for (std::size_t i = 0; i < place.inputs.size(); ++i) {
    const ArrayNode& node = *ArrayNode::peek(*place.inputs[i].array);
    auto* const address = const_cast<void*>(node.buffer.get());
    if (place.bound[i] == address) continue;
    place.bound[i] = node.writable ? address : nullptr;
    move(plan_.program().inputs[i], address, node.writable);
    if (const int value = place.arrangement->written_over_by[i]; value >= 0) move(value, address, true);
  }
  place.moved = false;
}

void Run::move(int value, void* address, bool padded) noexcept {
  place_->values[static_cast<std::size_t>(value)] = address;
  place_->script.move(value, address, padded);
}

std::span<Array> Run::prepare(const Executor& executor) {
  const auto& program = plan_.program();
  const auto input = [&](int index) -> const Array& { return *place_->inputs[static_cast<std::size_t>(index)].array; };
  place_->local.require(plan_.local_bytes() * static_cast<std::size_t>(executor.threads()));
  if (place_->other_uses) arrange();
  if (place_->moved) follow_inputs();
  Workplace::Arrangement& arrangement = *place_->arrangement;
  for (const std::size_t c : arrangement.made) {
    const int value = plan_.computed()[c];
    const Abstract& type = program.nodes[static_cast<std::size_t>(value)].result;
    place_->made[c] = detail::allocate(type.shape, type.dtype);
    move(value, place_->made[c].get(), true);
  }
  for (const std::size_t k : arrangement.handed) {
    const int value = program.outputs[k];
    const Abstract& type = program.nodes[static_cast<std::size_t>(value)].result;
    const Location location = plan_.location(plan_.root(value));
    Array& output = place_->outputs[k];
    if (location.kind == Location::Kind::output) {
      const std::shared_ptr<void>& made = place_->made[location.index];
      const int source = plan_.takeovers()[location.index];
      output = ArrayNode::fresh(made ? made : std::const_pointer_cast<void>(ArrayNode::of(input(source)).buffer),
                                type.shape, type.dtype);
    } else if (location.kind == Location::Kind::input) {
      output = reshaped(input(static_cast<int>(location.index)), type);
    } else {
      output = reshaped(program.nodes[static_cast<std::size_t>(plan_.root(value))].constant, type);
    }
  }
  return place_->outputs;
}

void Run::execute(const Executor& executor, std::span<double> seconds) noexcept {
  using Clock = std::chrono::steady_clock;
  const auto address = [&](int value) { return place_->values[static_cast<std::size_t>(value)]; };
  const auto steps = plan_.steps();
  std::size_t line = 0;
  for (std::size_t s = 0; s < steps.size(); line += 1 + steps[s].members.size(), ++s) {
    if (seconds.empty()) {
      s += place_->script.run(s, steps.size());
      if (s == steps.size()) return;
    }
    const Step& step = steps[s];
    const auto of_members = seconds.empty() ? seconds : seconds.subspan(line + 1, step.members.size());
    const auto start = seconds.empty() ? Clock::time_point() : Clock::now();
    if (place_->script.run(s, 1) == 1) {
      // a small step: done
    } else if (step.blocks > 0) {
      run_phase(step, place_->values, place_->arena.get() + step.workspace, place_->local.get(), executor, of_members);
    } else if (step.tape && step.node != nullptr) {
      std::vector<kernels::Input>& operands = place_->operands[s];
      const std::size_t first = step.operands.size() - operands.size();
      for (std::size_t k = 0; k < operands.size(); ++k) operands[k].data = address(step.operands[first + k]);
      run_product(step, place_->values, operands, place_->local.get(), executor);
    } else if (step.tasks > 0) {
      std::size_t k = 0;
      for (const Step& member : step.members) {
        for (const auto* values : {&member.operands, &member.results}) {
          for (const int value : *values) place_->arrays[s][k++] = address(value);
        }
      }
      run_launch(step, place_->arrays[s], place_->arena.get() + step.workspace, executor, of_members);
    } else if (step.tape) {
      std::vector<void*>& arrays = place_->arrays[s];
      std::size_t k = 0;
      for (const int value : step.operands) arrays[k++] = address(value);
      for (const int value : step.results) arrays[k++] = address(value);
      kernels::run(*step.tape, arrays, place_->arena.get() + step.workspace, executor);
    } else {
      std::vector<kernels::Input>& operands = place_->operands[s];
      for (std::size_t k = 0; k < operands.size(); ++k) operands[k].data = address(step.operands[k]);
      const Op& op = *step.node->op;
      (op.fast != nullptr ? op.fast : op.reference)(
          step.node->attributes, operands, {address(step.results[0]), step.node->result.shape, step.node->result.dtype},
          executor);
    }
    if (!seconds.empty()) seconds[line] += std::chrono::duration<double>(Clock::now() - start).count();
  }
}

}  // namespace linseed::compile
