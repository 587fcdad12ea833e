#include "compile/script.hpp"

#include <algorithm>
#include <cstring>

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
    tiles_.rewind();
    if (suits(step)) {
      add_tape(step);
    } else if (step.node != nullptr && step.node->op == &ops::dot_general) {
      add_product(step);
    }
    script_.ranges_.push_back({first, script_.calls_.size()});
  }

  void finish() {
    script_.values_.resize(values_.size());
    for (const Mention& mention : mentions_) {
      Call& call = script_.calls_[mention.call];
      void*& place = mention.operand < 0 ? call.result : call.operands[static_cast<std::size_t>(mention.operand)];
      const auto value = static_cast<std::size_t>(mention.value);
      script_.values_[value].places.push_back(&place);
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
  /// An address that a call has to do with: of a value, or of memory of the script.
  struct Address {
    int value = -1;
    void* memory = nullptr;
  };
  struct Mention {
    int value;
    std::size_t call;
    int operand;  // -1: the result
  };

  void add_call(Call call, Address result, std::initializer_list<Address> operands) {
    const auto mention = [&](Address address, int operand) {
      if (address.value >= 0) mentions_.push_back({address.value, script_.calls_.size(), operand});
      return address.memory;
    };
    call.result = mention(result, -1);
    int i = 0;
    for (const Address& operand : operands) {
      call.operands[static_cast<std::size_t>(i)] = mention(operand, i);
      ++i;
    }
    script_.calls_.push_back(call);
  }

  void may_be_copied(int index) {
    Value& value = script_.values_[static_cast<std::size_t>(index)];
    if (value.places.empty()) return;
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
        places.push_back({.memory = tiles_.take(tape.elements)});
        continue;
      }
      const int value = value_of(place.array);
      Call call{.function = place.kind == Kind::periodic ? kernels::repeat : kernels::spread,
                .count = tape.elements,
                .period = place.period};
      if (plan_.location(value).kind == Location::Kind::constant) {  // once and for all
        places.push_back({.memory = lasting_.take(tape.elements)});
        call.result = places.back().memory;
        call.operands[0] = values_[static_cast<std::size_t>(value)];
        call();
      } else {
        places.push_back({.memory = tiles_.take(tape.elements)});
        const std::int64_t source = plan_.program().nodes[static_cast<std::size_t>(value)].result.shape.elements();
        if (Permutation::fits(source, tape.elements, plan_.vectors())) {
          std::vector<std::int64_t> chosen;
          for (std::int64_t i = 0; i < tape.elements; ++i)
            chosen.push_back(place.kind == Kind::periodic ? i % place.period : i / place.period);
          call = {.function = kernels::permute, .details = kept<Permutation>(chosen, source)};
        }
        add_call(call, places.back(), {{.value = value}});
      }
    }
    std::vector<char> begun(tape.places.size(), 0);
    const std::int64_t rows = tape.row > 0 ? tape.elements / tape.row : 0;
    for (const Tape::Instruction& step_of_tape : tape.instructions) {
      if (step_of_tape.row_op != kernels::RowOp::none) {
        add_call(
            {.row_loop = kernels::row_loop_of(step_of_tape.row_op, plan_.vectors()), .count = rows, .period = tape.row},
            places[step_of_tape.result], {places[step_of_tape.operands[0]]});
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
      add_call({.function = kernels::fold, .count = tape.elements, .period = fold.period},
               {.value = value_of(fold.array)}, {places[fold.accumulator]});
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
    Call call;
    if (PermutedProduct::fits(*product, plan_.vectors())) {
      call = {.function = kernels::multiply_few, .details = kept<PermutedProduct>(*product)};
    } else {
      call = {.function = kernels::multiply, .details = kept<SmallGemm>(*product, plan_.vectors())};
    }
    add_call(call, {.value = step.results[0]}, {{.value = step.operands[0]}, {.value = step.operands[1]}});
  }

  /// Makes details of a call, which live as long as the script.
  template <class T>
  const void* kept(const auto&... arguments) {
    script_.details_.push_back(std::make_shared<const T>(arguments...));
    return script_.details_.back().get();
  }

  Script& script_;
  const Plan& plan_;
  std::span<void* const> values_;
  std::vector<Mention> mentions_;
  Pieces tiles_, lasting_;  // for one step, for all of them
};

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
  for (void** place : moved.places) *place = address;
}

Script::Script(const Plan& plan, std::span<void* const> values) {
  Builder builder(*this, plan, values);
  for (const Step& step : plan.steps()) builder.add(step);
  builder.finish();
}

}  // namespace linseed::compile
