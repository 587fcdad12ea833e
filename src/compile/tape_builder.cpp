#include "compile/tape_builder.hpp"

#include <algorithm>
#include <map>

#include "ops/elementwise.hpp"
#include "ops/reduce.hpp"
#include "ops/shape.hpp"

namespace linseed::compile {

using detail::ProgramData;
using kernels::MicroOp;
using kernels::RowOp;
using kernels::Tape;
using Node = ProgramData::Node;

namespace {

using Place = std::uint16_t;

class TapeBuilder {
 public:
  TapeBuilder(const ProgramData& program, const Schedule& schedule, const Group& group,
              const std::vector<char>& written)
      : program_(program), schedule_(schedule), group_(group), written_(written) {
    tape_.elements = group.elements;
    tape_.tile = group.tile;
    tape_.row = group.row;
  }

  Step build() {
    find_last_uses();
    collect_operands();
    tape_.inputs = step_.operands.size();
    for (const int index : group_.nodes) {
      if (stores(index)) step_.results.push_back(index);
    }
    for (std::size_t k = 0; k < group_.nodes.size(); ++k) {
      add(group_.nodes[k]);
      release(k);
    }
    tape_.finish();
    step_.tape = std::make_unique<const Tape>(std::move(tape_));
    step_.workspace_bytes = step_.tape->workspace_bytes();
    return std::move(step_);
  }

 private:
  [[nodiscard]] const Node& node(int index) const { return program_.nodes[static_cast<std::size_t>(index)]; }
  [[nodiscard]] int root(int value) const { return schedule_.root[static_cast<std::size_t>(value)]; }
  [[nodiscard]] bool inside(int value) const {
    return std::binary_search(group_.nodes.begin(), group_.nodes.end(), value);
  }
  [[nodiscard]] bool stores(int index) const {
    return schedule_.stored[static_cast<std::size_t>(index)] && !written_[static_cast<std::size_t>(index)];
  }

  void find_last_uses() {
    for (std::size_t k = 0; k < group_.nodes.size(); ++k) {
      for (const int operand : node(group_.nodes[k]).operands) last_use_[root(operand)] = k;
    }
  }

  void collect_operands() {
    for (const int index : group_.nodes) {
      for (const int operand : node(index).operands) {
        const int value = root(operand);
        if (!inside(value) && std::find(step_.operands.begin(), step_.operands.end(), value) == step_.operands.end())
          step_.operands.push_back(value);
      }
    }
  }

  [[nodiscard]] int array_of_operand(int value) const {
    return static_cast<int>(std::find(step_.operands.begin(), step_.operands.end(), value) - step_.operands.begin());
  }
  [[nodiscard]] int array_of_result(int value) const {
    const auto place = std::find(step_.results.begin(), step_.results.end(), value);
    return static_cast<int>(step_.operands.size()) + static_cast<int>(place - step_.results.begin());
  }

  Place add_place(const Tape::Place& place) {
    tape_.places.push_back(place);
    return static_cast<Place>(tape_.places.size() - 1);
  }
  Place scratch() {
    if (free_.empty()) return add_place({.kind = Tape::Place::Kind::scratch});
    const Place place = free_.back();
    free_.pop_back();
    return place;
  }
  [[nodiscard]] bool is_of_rows(const Node& self) const { return compile::is_of_rows(program_, group_, self); }
  void emit(MicroOp op, Place result, std::array<Place, 3> operands = {}, bool of_rows = false) {
    tape_.instructions.push_back(
        {kernels::loop_of(op), static_cast<std::uint8_t>(kernels::arity(op)), result, operands, of_rows});
  }
  void emit(RowOp op, Place result, Place operand) {
    tape_.instructions.push_back({.count = 1, .result = result, .operands = {operand}, .row_op = op});
  }

  /// Where an operand's tile is; loads it when it comes from outside.
  Place operand_place(const Node& self, std::size_t i) {
    const int value = root(self.operands[i]);
    const Access access = *operand_access(program_, self, i);
    if (inside(value)) return access == Access{} ? place_of_.at(value) : spread(value);
    const auto key = std::pair(value, std::pair(access.kind, access.period));
    if (const auto known = outside_.find(key); known != outside_.end()) return known->second;
    const bool is_bool = node(value).result.dtype == DType::bool_;
    Tape::Place place{.bytes = static_cast<std::uint8_t>(is_bool ? 1 : 4),
                      .of_rows = access == Access{} && is_of_rows(self) && !row_length(program_, self),
                      .array = array_of_operand(value)};
    switch (access.kind) {
      case Access::Kind::linear: place.kind = Tape::Place::Kind::stream; break;
      case Access::Kind::periodic: place.kind = Tape::Place::Kind::periodic; break;
      case Access::Kind::repeated: place.kind = Tape::Place::Kind::repeated; break;
    }
    place.period = access.period;
    Place result = add_place(place);
    if (is_bool && access.kind == Access::Kind::linear) {
      // Its own tile, never freed: the value may be read again later in the tape.
      const Place loaded = add_place({.kind = Tape::Place::Kind::scratch});
      emit(MicroOp::LoadBool, loaded, {result}, place.of_rows);
      result = loaded;
    }
    outside_.emplace(key, result);
    return result;
  }

  /// The values of rows in each of their elements. The tile is not freed: other steps may need it later.
  Place spread(int value) {
    const auto [known, is_new] = spread_.try_emplace(value);
    if (is_new) {
      known->second = add_place({.kind = Tape::Place::Kind::scratch});
      emit(RowOp::spread, known->second, place_of_.at(value));
    }
    return known->second;
  }

  /// A place for a result that is not to be read as bytes.
  Place place_for(int index) {
    if (!stores(index) || node(index).result.dtype == DType::bool_) return scratch();
    return add_place(
        {.kind = Tape::Place::Kind::stream, .of_rows = is_of_rows(node(index)), .array = array_of_result(index)});
  }

  void add(int index) {
    const Node& self = node(index);
    std::array<Place, 3> operands{};
    for (std::size_t i = 0; i < self.operands.size(); ++i) operands[i] = operand_place(self, i);
    if (row_length(program_, self)) {
      place_of_[index] = place_for(index);
      return emit(self.op == &ops::reduce_sum ? RowOp::sum : RowOp::maximum, place_of_[index], operands[0]);
    }
    if (self.op == &ops::reduce_sum) {
      const Place accumulator = add_place({.kind = Tape::Place::Kind::scratch});
      emit(MicroOp::Accumulate, accumulator, operands);
      tape_.folds.push_back({accumulator, array_of_result(index), *fold_period(program_, self)});
      return;
    }
    const MicroOp op = *micro_op_of(program_, self);
    const bool is_copy = op == MicroOp::Copy;
    const bool is_bool = self.result.dtype == DType::bool_;
    if (is_copy && !stores(index)) {
      place_of_[index] = operands[0];
      shared_.push_back(operands[0]);  // two values, one tile: it is not freed
      return;
    }
    const Place result = place_for(index);
    const bool of_rows = is_of_rows(self);
    emit(op, result, operands, of_rows);
    if (stores(index) && is_bool) {
      const Place bytes = add_place(
          {.kind = Tape::Place::Kind::stream, .bytes = 1, .of_rows = of_rows, .array = array_of_result(index)});
      emit(MicroOp::StoreBool, bytes, {result}, of_rows);
    }
    place_of_[index] = result;
  }

  /// Scratch tiles of values that step k read last are free again.
  void release(std::size_t k) {
    const auto drop = [&](int value) {
      const auto known = place_of_.find(value);
      if (known == place_of_.end()) return;
      const Place place = known->second;
      if (tape_.places[place].kind != Tape::Place::Kind::scratch) return;
      if (std::find(shared_.begin(), shared_.end(), place) != shared_.end()) return;
      if (std::find(free_.begin(), free_.end(), place) == free_.end()) free_.push_back(place);
    };
    for (const int operand : node(group_.nodes[k]).operands) {
      const int value = root(operand);
      if (inside(value) && last_use_.at(value) == k) drop(value);
    }
    if (last_use_.find(group_.nodes[k]) == last_use_.end()) drop(group_.nodes[k]);
  }

  const ProgramData& program_;
  const Schedule& schedule_;
  const Group& group_;
  const std::vector<char>& written_;
  Step step_;
  Tape tape_;
  std::map<int, std::size_t> last_use_;  // of a value inside: the position of the node that reads it last
  std::map<int, Place> place_of_;        // of values inside
  std::map<int, Place> spread_;          // of those of rows: where each element has its row's value
  std::map<std::pair<int, std::pair<Access::Kind, std::int64_t>>, Place> outside_;
  std::vector<Place> free_, shared_;
};

}  // namespace

Step build_tape(const ProgramData& program, const Schedule& schedule, const Group& group,
                const std::vector<char>& written) {
  return TapeBuilder(program, schedule, group, written).build();
}

namespace {

/// In a phase every block reads and writes pieces of its own.
bool can_write_over_in_blocks(const Step& phase, int operand, int result) {
  bool written = false;
  for (const Step& member : phase.members) {
    bool reads = false, writes = false;
    for (std::size_t k = 0; k < member.pieces.size(); ++k) {
      const Piece& piece = member.pieces[k];
      const bool is_result = k >= member.operands.size();
      if (piece.value != (is_result ? result : operand)) continue;
      if (piece.bytes == 0) return false;  // all blocks share it
      (is_result ? writes : reads) = true;
    }
    if (reads && (written || (writes && !can_write_over(member, operand, result)))) return false;
    written = written || writes;
  }
  return true;
}

}  // namespace

bool can_write_over(const Step& step, int operand, int result) {
  if (step.blocks > 0) return can_write_over_in_blocks(step, operand, result);
  if (!step.tape) return false;
  if (step.node != nullptr &&  // rows of a product are made while others are used
      std::count(step.operands.end() - static_cast<std::ptrdiff_t>(step.node->operands.size()), step.operands.end(),
                 operand) > 0)
    return false;
  const Tape& tape = *step.tape;
  const auto position = [](const std::vector<int>& values, int value) {
    return static_cast<int>(std::find(values.begin(), values.end(), value) - values.begin());
  };
  const int from = position(step.operands, operand);
  const int to = static_cast<int>(step.operands.size()) + position(step.results, result);
  for (const Tape::Place& place : tape.places) {
    if (place.array == from && place.kind != Tape::Place::Kind::stream) return false;
  }
  for (const Tape::Fold& fold : tape.folds) {
    if (fold.array == to) return false;
  }
  for (const Tape::Place& place : tape.places) {
    if (place.array == to && place.kind == Tape::Place::Kind::pooled) return false;
  }
  bool written = false;
  for (const Tape::Instruction& instruction : tape.instructions) {
    for (std::size_t i = 0; i < instruction.count; ++i) {
      if (tape.places[instruction.operands[i]].array == from && written) return false;
    }
    written = written || tape.places[instruction.result].array == to;
  }
  return true;
}

}  // namespace linseed::compile
