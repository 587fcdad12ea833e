#include "compile/product.hpp"

#include <algorithm>
#include <array>

#include "compile/plan.hpp"
#include "kernels/linalg.hpp"
#include "ops/linalg.hpp"

namespace linseed::compile {

using detail::ProgramData;
using kernels::Tape;

namespace {

std::ptrdiff_t uses_of(const Step& step, int value) {
  std::ptrdiff_t uses = std::count(step.operands.begin(), step.operands.end(), value);
  for (const Step& member : step.members) uses += uses_of(member, value);
  return uses;
}

/// Whether the tape can run over some rows of `columns` elements when its arrays are moved on.
bool runs_on_rows(const Tape& tape, std::int64_t columns) {
  using Kind = Tape::Place::Kind;
  return tape.folds.empty() && tape.row == 0 && tape.elements > tape.tile &&
         std::all_of(tape.places.begin(), tape.places.end(), [&](const Tape::Place& place) {
           return place.kind == Kind::stream || place.kind == Kind::scratch ||
                  (place.kind == Kind::periodic && columns % place.period == 0);
         });
}

bool is_stream(const Tape& tape, int array) {
  return std::all_of(tape.places.begin(), tape.places.end(), [&](const Tape::Place& place) {
    return place.array != array || place.kind == Tape::Place::Kind::stream;
  });
}

/// Puts the product into the step of the fused group that reads it.
void join(const ProgramData& program, const Step& product, std::int64_t columns, Step& step) {
  // Arrays are operands, then results: the product's operands come between.
  Tape tape = *step.tape;
  const auto own = static_cast<int>(tape.inputs), more = static_cast<int>(product.operands.size());
  for (Tape::Place& place : tape.places) place.array += place.array >= own ? more : 0;
  tape.inputs += product.operands.size();
  step.operands.insert(step.operands.end(), product.operands.begin(), product.operands.end());
  step.node = product.node;
  for (const auto* values : {&step.operands, &step.results}) {
    for (const int value : *values) {
      const auto array = static_cast<int>(step.pieces.size());
      const bool moves = array < own || array >= own + more;
      const auto size = static_cast<std::size_t>(
          moves && is_stream(tape, array)
              ? columns *
                    static_cast<std::int64_t>(size_of(program.nodes[static_cast<std::size_t>(value)].result.dtype))
              : 0);
      step.pieces.push_back({value, size, value == product.results[0] ? 0 : Piece::shared});
    }
  }
  step.local_bytes = static_cast<std::size_t>(kernels::cpu::most_rows_used * columns) * sizeof(float);
  step.tape = std::make_unique<const Tape>(std::move(tape));
}

class Update final : public kernels::cpu::RowUser {
 public:
  Update(const Step& step, std::span<void* const> values, std::int64_t columns, VectorSet vectors) noexcept
      : step_(step), values_(values), columns_(columns), vectors_(vectors) {}
  void use(std::int64_t first, std::int64_t count, float* rows) const noexcept override {
    std::array<void*, Tape::most_places> arrays;
    for (std::size_t k = 0; k < step_.pieces.size(); ++k) {
      const Piece& piece = step_.pieces[k];
      auto* const whole = static_cast<std::byte*>(values_[static_cast<std::size_t>(piece.value)]);
      arrays[k] = whole + static_cast<std::size_t>(first) * piece.bytes;
      if (piece.local != Piece::shared) arrays[k] = rows;
    }
    kernels::run_piece(*step_.tape, arrays, count * columns_, nullptr, vectors_);
  }
  std::span<const std::byte> reads(std::int64_t first, std::int64_t count, std::size_t i) const noexcept override {
    for (std::size_t k = 0; k < step_.operands.size(); ++k) {
      const Piece& piece = step_.pieces[k];
      if (piece.local != Piece::shared || piece.bytes == 0 || i-- > 0) continue;
      const auto* const whole = static_cast<const std::byte*>(values_[static_cast<std::size_t>(piece.value)]);
      return {whole + static_cast<std::size_t>(first) * piece.bytes, static_cast<std::size_t>(count) * piece.bytes};
    }
    return {};
  }

 private:
  const Step& step_;
  std::span<void* const> values_;
  std::int64_t columns_;
  VectorSet vectors_;
};

}  // namespace

void join_products(const ProgramData& program, const std::vector<char>& outputs, std::vector<Step>& steps) {
  for (Step& product : steps) {
    if (product.node == nullptr || product.tape || product.node->op != &ops::dot_general) continue;
    const int value = product.results[0];
    if (product.node->result.dtype != DType::float32 || outputs[static_cast<std::size_t>(value)]) continue;
    const auto type_of = [&](std::size_t i) {
      return program.nodes[static_cast<std::size_t>(product.node->operands[i])].result;
    };
    const auto columns = kernels::cpu::columns_of_rows(product.node->attributes, type_of(0).shape, type_of(1).shape);
    if (!columns) continue;
    const auto reads = [&](const Step& step) { return uses_of(step, value) > 0; };
    const auto reader = std::find_if(steps.begin(), steps.end(), reads);
    if (reader == steps.end() || !reader->tape || reader->node != nullptr) continue;
    if (std::find_if(reader + 1, steps.end(), reads) != steps.end()) continue;
    const auto place = std::find(reader->operands.begin(), reader->operands.end(), value) - reader->operands.begin();
    const Tape& tape = *reader->tape;
    if (tape.elements != product.node->result.shape.elements() || !runs_on_rows(tape, *columns) ||
        !is_stream(tape, static_cast<int>(place)))
      continue;
    join(program, product, *columns, *reader);
    product.results.clear();
  }
  std::erase_if(steps, [](const Step& step) { return step.results.empty(); });
}

void run_product(const Step& step, std::span<void* const> values, std::span<const kernels::Input> operands,
                 std::byte* local, const Executor& executor) noexcept {
  const auto columns = static_cast<std::int64_t>(step.local_bytes / sizeof(float)) / kernels::cpu::most_rows_used;
  kernels::cpu::dot_general_rows(step.node->attributes, operands, reinterpret_cast<float*>(local),
                                 Update(step, values, columns, executor.vectors()), executor);
}

}  // namespace linseed::compile
