#include "compile/script.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "compile/call_order.hpp"
#include "compile/pack.hpp"
#include "compile/plan.hpp"
#include "kernels/cpu/permutation.hpp"
#include "kernels/linalg.hpp"
#include "ops/linalg.hpp"

namespace linseed::compile {

using kernels::Call;
using kernels::Tape;
using kernels::cpu::Permutation;
using kernels::cpu::PermutedProduct;
using kernels::cpu::SmallGemm;

namespace {

/// `count` up to whole vectors.
std::int64_t in_vectors(std::int64_t count) noexcept {
  constexpr std::int64_t lanes = alignment / sizeof(float);
  return (count + lanes - 1) / lanes * lanes;
}

/// Memory for a few elements at a time: whole vectors, zeros at first.
class Pieces {
 public:
  explicit Pieces(std::vector<std::unique_ptr<std::byte[]>>& owner) : owner_(owner) {}

  void* take(std::int64_t elements) {
    const std::size_t bytes = static_cast<std::size_t>(in_vectors(elements)) * sizeof(float);
    if (used_ + bytes > chunk_bytes) {
      ++current_;
      used_ = 0;
    }
    if (current_ == chunks_.size()) {
      owner_.push_back(std::make_unique<std::byte[]>(chunk_bytes + alignment));
      void* start = owner_.back().get();
      std::size_t room = chunk_bytes + alignment;
      chunks_.push_back(static_cast<std::byte*>(std::align(alignment, chunk_bytes, start, room)));
    }
    used_ += bytes;
    return chunks_[current_] + used_ - bytes;
  }
  [[nodiscard]] std::size_t used() const noexcept { return current_ * chunk_bytes + used_; }
  /// Hands the same memory out again.
  void rewind() noexcept { current_ = used_ = 0; }

 private:
  static constexpr std::size_t chunk_bytes = 1 << 15;
  static_assert(chunk_bytes >= std::max(Tape::longest_tile, SmallGemm::most + 1) * sizeof(float));

  std::vector<std::unique_ptr<std::byte[]>>& owner_;
  std::vector<std::byte*> chunks_;
  std::size_t current_ = 0, used_ = 0;
};

}  // namespace

/// Fills in a script.
class Script::Builder {
 public:
  Builder(Script& script, const Plan& plan, std::span<void* const> values)
      : script_(script), plan_(plan), values_(values), tiles_(script.memory_), lasting_(script.memory_) {}

  void add(const Step& step) {
    const std::size_t first = script_.calls_.size();
    if (tiles_.used() > most_apart) tiles_.rewind();
    if (suits(step)) {
      add_tape(step);
    } else if (step.node != nullptr && step.node->op == &ops::dot_general) {
      add_product(step);
    }
    script_.ranges_.push_back({first, script_.calls_.size()});
  }

  void finish() {
    std::size_t end = script_.ranges_.size();
    for (std::size_t s = script_.ranges_.size(); s-- > 0;) {
      Range& range = script_.ranges_[s];
      if (range.first == range.last) end = s;
      range.end = end;
    }
    mix();
    script_.values_.resize(values_.size());
    for (const Mention& mention : mentions_) {
      Call& call = script_.calls_[mention.call];
      Value& value = script_.values_[static_cast<std::size_t>(mention.value)];
      if (mention.operand < 0) {
        value.written.push_back(&call.result);
      } else {
        value.read.push_back(&call.operands[static_cast<std::size_t>(mention.operand)]);
      }
    }
    for (std::size_t i = 0; i < values_.size(); ++i) script_.move(static_cast<int>(i), values_[i]);
    for (const int input : plan_.program().inputs) may_be_copied(input);
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (plan_.location(static_cast<int>(i)).kind != Location::Kind::constant) continue;
      may_be_copied(static_cast<int>(i));
      script_.move(static_cast<int>(i), values_[i], /*padded=*/false);
    }
  }

 private:
  /// An address that a call has to do with: of a value, or of memory of the script. Details, which are never written,
  /// have no elements.
  struct Address {
    int value = -1;
    void* memory = nullptr;
    std::int64_t elements = 0;
  };
  struct Mention {
    int value;
    std::size_t call;
    int operand;  // -1: the result
  };
  /// Which elements of a value are at the places of a tile.
  struct Pattern {
    int value;
    Tape::Place::Kind kind;
    std::int64_t period, count;
    auto operator<=>(const Pattern&) const = default;
  };

  void add_call(Call call, Address result, std::initializer_list<Address> operands) {
    const auto mention = [&](Address address, int operand) {
      if (address.value >= 0) mentions_.push_back({address.value, script_.calls_.size(), operand});
      return address.memory;
    };
    call.result = mention(result, -1);
    CallBytes bytes{bytes_at(result), {}};
    int i = 0;
    for (const Address& operand : operands) {
      call.operands[static_cast<std::size_t>(i)] = mention(operand, i);
      bytes.read[static_cast<std::size_t>(i)] = bytes_at(operand);
      ++i;
    }
    script_.calls_.push_back(call);
    bytes_.push_back(bytes);
  }

  [[nodiscard]] Bytes bytes_at(Address address) const {
    const auto from = [](const void* memory, std::size_t count, int whose = -1) {
      const auto first = reinterpret_cast<std::uintptr_t>(memory);
      return Bytes{whose, first, first + aligned(count)};
    };
    if (address.value < 0) return from(address.memory, static_cast<std::size_t>(address.elements) * sizeof(float));
    const auto index = static_cast<std::size_t>(address.value);
    const std::size_t count = bytes_of(plan_.program().nodes[index].result);
    const Location location = plan_.location(address.value);
    if (location.kind == Location::Kind::arena || location.kind == Location::Kind::constant)
      return from(values_[index], count);
    // A result may be written into the input whose place it takes.
    const auto inputs = static_cast<int>(plan_.program().inputs.size());
    const int at = static_cast<int>(location.index);
    if (location.kind == Location::Kind::input) return from(nullptr, count, at);
    const int source = plan_.takeovers()[location.index];
    return from(nullptr, count, source >= 0 ? source : inputs + at);
  }

  /// Puts the calls of steps that run in a row into an order of their own.
  void mix() {
    std::vector<Call> calls;
    std::vector<std::size_t>& places = script_.places_;
    places.resize(script_.calls_.size());
    for (std::size_t s = 0; s < script_.ranges_.size(); s = std::max(s + 1, script_.ranges_[s].end)) {
      const std::size_t end = script_.ranges_[s].end;
      if (end == s) continue;
      for (std::size_t k = s; k < end; ++k) script_.ranges_[k].begin = s;
      const std::size_t first = script_.ranges_[s].first, last = script_.ranges_[end - 1].last;
      for (const std::size_t i : call_order(std::span(bytes_).subspan(first, last - first))) {
        places[first + i] = calls.size();
        calls.push_back(script_.calls_[first + i]);
      }
    }
    script_.calls_ = std::move(calls);
    for (Mention& mention : mentions_) mention.call = places[mention.call];
  }

  void may_be_copied(int index) {
    Value& value = script_.values_[static_cast<std::size_t>(index)];
    if (value.read.empty()) return;
    value.bytes = bytes_of(plan_.program().nodes[static_cast<std::size_t>(index)].result);
    value.copy = lasting_.take(static_cast<std::int64_t>(value.bytes / sizeof(float)) + 1);
  }

  void add_tape(const Step& step) {
    const Tape& tape = *step.tape;
    const auto value_of = [&](int array) {
      const auto index = static_cast<std::size_t>(array);
      return index < tape.inputs ? step.operands[index] : step.results[index - tape.inputs];
    };
    std::vector<Address> places;
    for (const Tape::Place& place : tape.places) {
      using Kind = Tape::Place::Kind;
      if (place.kind == Kind::stream) {
        places.push_back({.value = value_of(place.array)});
        continue;
      }
      if (place.kind == Kind::scratch) {
        places.push_back({.memory = tiles_.take(tape.elements), .elements = tape.elements});
        continue;
      }
      void* const memory = spread(value_of(place.array), place.kind, place.period, tape.elements);
      places.push_back({.memory = memory, .elements = tape.elements});
    }
    std::vector<char> begun(tape.places.size(), 0);
    const std::int64_t rows = tape.row > 0 ? tape.elements / tape.row : 0;
    for (const Tape::Instruction& step_of_tape : tape.instructions) {
      if (step_of_tape.row_op != kernels::RowOp::none) {
        const kernels::RowLoop loop = kernels::row_loop_of(step_of_tape.row_op, plan_.vectors());
        add_call({.loop = kernels::run_rows, .count = rows}, places[step_of_tape.result],
                 {places[step_of_tape.operands[0]], {}, kept(kernels::Rows{loop, tape.row})});
        continue;
      }
      kernels::LoopIndex loop = step_of_tape.loop;
      if (!begun[step_of_tape.result]) loop = kernels::without_accumulation(loop);
      begun[step_of_tape.result] = 1;
      const auto& [a, b, c] = step_of_tape.operands;
      const std::int64_t elements = step_of_tape.of_rows ? rows : tape.elements;
      const std::int64_t count = kernels::works_on_vectors(loop) ? in_vectors(elements) : elements;
      add_call({.loop = kernels::loop_at(loop, count, plan_.vectors()), .count = count}, places[step_of_tape.result],
               {places[a], places[b], places[c]});
    }
    for (const Tape::Fold& fold : tape.folds) {
      add_call({.loop = kernels::fold_of(fold.period, plan_.vectors()), .count = tape.elements},
               {.value = value_of(fold.array)},
               {places[fold.accumulator], {}, kept(kernels::Period{fold.period, tape.elements})});
    }
  }

  void add_product(const Step& step) {
    const auto& nodes = plan_.program().nodes;
    const auto shape = [&](std::size_t i) {
      return nodes[static_cast<std::size_t>(step.node->operands[i])].result.shape;
    };
    const auto product =
        kernels::cpu::small_product(step.node->attributes, shape(0), shape(1), step.node->result.dtype);
    if (!product) return;
    const Address left{.value = step.operands[0]}, right{.value = step.operands[1]}, result{.value = step.results[0]};
    if (PermutedProduct::fits(*product, plan_.vectors())) {
      add_call({.loop = kernels::multiply_few}, result, {left, right, kept(PermutedProduct(*product))});
    } else {
      add_call({.loop = kernels::multiply}, result, {left, right, kept(SmallGemm(*product, plan_.vectors()))});
    }
  }

  /// Memory with so many elements of a value repeated or spread. That of a few elements serves all steps: it is filled
  /// once in a run, a constant's once and for all.
  void* spread(int value, Tape::Place::Kind kind, std::int64_t period, std::int64_t elements) {
    const bool repeats = kind == Tape::Place::Kind::periodic;
    const std::int64_t source = plan_.program().nodes[static_cast<std::size_t>(value)].result.shape.elements();
    const bool constant = plan_.location(value).kind == Location::Kind::constant;
    const std::int64_t count = in_vectors(elements);
    void* fresh = nullptr;
    void*& memory = constant || count <= most_shared ? spread_[{value, kind, source == 1 ? 1 : period, count}] : fresh;
    if (memory != nullptr) return memory;
    memory = (&memory == &fresh ? tiles_ : lasting_).take(count);
    Call call{.count = count};
    Address details;
    if (source == 1) {
      call.loop = kernels::fill;
    } else {
      call.loop = repeats ? kernels::repeat : kernels::spread;
      details = kept(kernels::Period{period, source});
    }
    if (constant) {
      call.result = memory;
      call.operands = {values_[static_cast<std::size_t>(value)], nullptr, details.memory};
      call();
      return memory;
    }
    if (Permutation::fits(source, count, plan_.vectors())) {
      std::vector<std::int64_t> chosen;
      for (std::int64_t i = 0; i < count; ++i)
        chosen.push_back(repeats ? i % period : std::min(i / period, source - 1));
      call.loop = kernels::permute;
      details = kept(Permutation(chosen, source));
    }
    add_call(call, {.memory = memory, .elements = count}, {{.value = value}, {}, details});
    return memory;
  }

  /// Keeps details of a call as long as the script lives.
  template <class T>
  Address kept(T details) {
    script_.details_.push_back(std::make_shared<T>(std::move(details)));
    return {.memory = script_.details_.back().get()};
  }

  static constexpr std::int64_t most_shared = 256;    // elements
  static constexpr std::size_t most_apart = 1 << 12;  // bytes of tiles of steps that may be mixed

  Script& script_;
  const Plan& plan_;
  std::span<void* const> values_;
  std::vector<Mention> mentions_;
  std::vector<CallBytes> bytes_;  // per call
  std::map<Pattern, void*> spread_;
  Pieces tiles_, lasting_;  // for one step, for all of them
};

std::size_t Script::run(std::size_t step, std::size_t most) const noexcept {
  const Range& range = ranges_[step];
  const std::size_t steps = std::min(range.end - step, most);
  if (steps == 0) return 0;
  const std::size_t last = ranges_[step + steps - 1].last;
  if (step == range.begin && step + steps == range.end) {
    const Call* const end = calls_.data() + last;
    for (const Call* call = calls_.data() + range.first; call != end; ++call) (*call)();
  } else {
    for (std::size_t k = range.first; k < last; ++k) calls_[places_[k]]();
  }
  return steps;
}

bool Script::suits(const Step& step) noexcept {
  return step.tape && step.tape->elements <= std::min(step.tape->tile, Tape::longest_tile);
}

void Script::move(int value, void* address, bool padded) noexcept {
  Value& moved = values_[static_cast<std::size_t>(value)];
  if (!padded && moved.copy != nullptr) {
    std::memcpy(moved.copy, address, moved.bytes);
    address = moved.copy;
  }
  if (moved.address == address) return;
  moved.address = address;
  for (void** place : moved.written) *place = address;
  for (const void** place : moved.read) *place = address;
}

Script::Script(const Plan& plan, std::span<void* const> values) {
  Builder builder(*this, plan, values);
  for (const Step& step : plan.steps()) builder.add(step);
  builder.finish();
}

}  // namespace linseed::compile
