#include "kernels/cpu/chain.hpp"

#include <algorithm>
#include <iterator>
#include <type_traits>
#include <vector>

#include "kernels/cpu/vectors.hpp"
#include "kernels/scalar_functions.hpp"

namespace linseed::kernels {

// The functions of two operands that chains know.
#define LINSEED_CHAIN_FUNCTIONS(X) \
  X(Add)                           \
  X(Sub)                           \
  X(Mul) X(Div) X(Maximum) X(Minimum) X(Equal) X(NotEqual) X(Less) X(LessEqual) X(LogicalAnd) X(LogicalOr)

namespace {

constexpr MicroOp functions_of_two[] = {
#define LINSEED_NAME(F) MicroOp::F,
    LINSEED_CHAIN_FUNCTIONS(LINSEED_NAME)
#undef LINSEED_NAME
};

bool is_unary(MicroOp op) noexcept { return op < MicroOp::Add && works_on_vectors(loop_of(op)); }
bool is_binary(MicroOp op) noexcept {
  return std::find(std::begin(functions_of_two), std::end(functions_of_two), op) != std::end(functions_of_two);
}

/// What a stretch does, each micro-op by itself, but for products that are only added to a sum.
struct Action {
  enum class Kind : std::uint8_t { value, accumulate, accumulate_product, loop };
  Kind kind;
  MicroOp op;
  std::size_t count;  // of operands
  std::uint16_t result;
  std::array<std::uint16_t, 3> operands;

  [[nodiscard]] bool reads(std::uint16_t place) const noexcept {
    return std::find(operands.begin(), operands.begin() + count, place) != operands.begin() + count;
  }
};

class ChainBuilder {
 public:
  ChainBuilder(const Tape& tape, const Tape::Stretch& stretch)
      : tape_(tape), later_(std::span(tape.instructions).subspan(stretch.last)) {
    for (std::size_t k = stretch.first; k < stretch.last; ++k) add_actions(tape.instructions[k]);
    join_products();
    hasten_sums();
  }

  /// Adds the steps, in the first chain of a tape with those that fetch what all of them will need: ahead of what takes
  /// long, so that memory works meanwhile, or else one behind each other step, since few lines can be on their way.
  void build(std::vector<ChainStep>& chains) {
    const std::vector<std::uint16_t> streams = chains.empty() ? streams_of_floats() : std::vector<std::uint16_t>();
    std::size_t fetched = 0;
    const auto fetch = [&](std::size_t count) {
      for (; fetched < std::min(count, streams.size()); ++fetched) emit(Form::fetch, MicroOp::Copy, {streams[fetched]});
    };
    const auto first_long = std::find_if(actions_.begin(), actions_.end(), takes_long) - actions_.begin();
    const auto long_one = static_cast<std::size_t>(first_long);
    for (std::size_t k = 0; k < actions_.size(); ++k) {
      if (long_one == actions_.size()) fetch(k);
      if (long_one == k) fetch(streams.size());
      add(k);
    }
    fetch(streams.size());
    emit(Form::end, MicroOp::Copy, {});
    chains.insert(chains.end(), steps_.begin(), steps_.end());
  }

 private:
  using Form = ChainStep::Form;

  void add_actions(const Tape::Instruction& step) {
    const auto [first, second, place] = micro_ops_of(step.loop);
    if (!second) return actions_.push_back(action_of(first, step.result, step.operands));
    // What passes between the two never has a place in memory.
    const auto between = static_cast<std::uint16_t>(tape_.places.size() + actions_.size());
    const std::uint16_t other = step.operands[2];
    actions_.push_back(action_of(first, between, step.operands));
    actions_.push_back(action_of(*second, step.result, {place == 0 ? between : other, place == 0 ? other : between}));
  }

  static Action action_of(MicroOp op, std::uint16_t result, const std::array<std::uint16_t, 3>& operands) noexcept {
    Action::Kind kind = Action::Kind::loop;
    if (op == MicroOp::Accumulate) kind = Action::Kind::accumulate;
    if (op == MicroOp::Copy || op == MicroOp::Select || is_unary(op) || is_binary(op)) kind = Action::Kind::value;
    return {kind, op, arity(op), result, operands};
  }

  static bool takes_long(const Action& action) noexcept {
    constexpr MicroOp simple[] = {MicroOp::Copy, MicroOp::Neg, MicroOp::Abs, MicroOp::Relu};
    return action.kind == Action::Kind::loop ||
           (action.kind == Action::Kind::value && action.count == 1 &&
            std::find(std::begin(simple), std::end(simple), action.op) == std::end(simple));
  }

  [[nodiscard]] bool is_scratch(std::uint16_t place) const noexcept {
    return place >= tape_.places.size() || tape_.places[place].kind == Tape::Place::Kind::scratch;
  }

  /// Whether an action after `k` reads what k has left in a place.
  [[nodiscard]] bool is_read_after(std::size_t k, std::uint16_t place) const noexcept {
    for (std::size_t j = k + 1; j < actions_.size(); ++j) {
      if (actions_[j].reads(place)) return true;
      if (actions_[j].result == place) return false;
    }
    return is_read_later(place);
  }
  /// The same for instructions behind the stretch.
  [[nodiscard]] bool is_read_later(std::uint16_t place) const noexcept {
    for (const Tape::Instruction& step : later_) {
      const auto* const end = step.operands.begin() + step.count;
      if (std::find(step.operands.begin(), end, place) != end) return true;
      if (step.result == place) return false;
    }
    return false;
  }

  void join_products() {
    for (std::size_t k = 0; k + 1 < actions_.size(); ++k) {
      const Action& product = actions_[k];
      Action& sum = actions_[k + 1];
      if (product.kind != Action::Kind::value || product.op != MicroOp::Mul || sum.kind != Action::Kind::accumulate)
        continue;
      if (sum.operands[0] != product.result || !is_scratch(product.result) || is_read_after(k + 1, product.result))
        continue;
      sum = {Action::Kind::accumulate_product, MicroOp::Mul, 2, sum.result, product.operands};
      actions_.erase(actions_.begin() + static_cast<std::ptrdiff_t>(k));
    }
  }

  /// Puts sums directly behind what they are of, while it is at hand.
  void hasten_sums() {
    for (std::size_t k = 1; k < actions_.size(); ++k) {
      const Action sum = actions_[k];
      if (sum.kind != Action::Kind::accumulate && sum.kind != Action::Kind::accumulate_product) continue;
      std::size_t to = k;
      while (to > 0 && !sum.reads(actions_[to - 1].result)) --to;
      if (to == 0) continue;  // of nothing that the tape computes
      const auto begin = actions_.begin();
      std::rotate(begin + static_cast<std::ptrdiff_t>(to), begin + static_cast<std::ptrdiff_t>(k),
                  begin + static_cast<std::ptrdiff_t>(k) + 1);
    }
  }

  /// Whether the result of action k must be in memory, since not everybody finds it in the registers.
  [[nodiscard]] bool must_store(std::size_t k) const noexcept {
    const std::uint16_t place = actions_[k].result;
    if (!is_scratch(place)) return true;
    bool running = true;
    for (std::size_t j = k + 1; j < actions_.size(); ++j) {
      const Action& action = actions_[j];
      if (action.reads(place) && (!running || wants_memory(action, place))) return true;
      if (action.result == place) return false;
      running = running && leaves_running(action, place);
    }
    return is_read_later(place);
  }
  [[nodiscard]] static bool wants_memory(const Action& action, std::uint16_t place) noexcept {
    return action.kind == Action::Kind::loop ||
           (action.op == MicroOp::Select && std::count(action.operands.begin(), action.operands.end(), place) > 1);
  }
  [[nodiscard]] static bool leaves_running(const Action& action, std::uint16_t place) noexcept {
    return action.kind == Action::Kind::loop || (action.kind != Action::Kind::value && action.reads(place));
  }

  void emit(Form form, MicroOp op, std::initializer_list<std::uint16_t> places) {
    ChainStep step{form, op, static_cast<std::uint8_t>(places.size()), {}};
    std::copy(places.begin(), places.end(), step.places.begin());
    steps_.push_back(step);
  }

  [[nodiscard]] std::vector<std::uint16_t> streams_of_floats() const {
    std::vector<std::uint16_t> result;
    for (std::uint16_t k = 0; k < tape_.places.size(); ++k) {
      const Tape::Place& place = tape_.places[k];
      if (place.kind == Tape::Place::Kind::stream && place.bytes == sizeof(float) && !place.of_rows)
        result.push_back(k);
    }
    return result;
  }

  void make_running(std::uint16_t place) {
    if (running_ == place) return;
    emit(Form::load, MicroOp::Copy, {place});
    running_ = place;
  }

  void add(std::size_t k) {
    const Action& action = actions_[k];
    const auto& [a, b, c] = action.operands;
    switch (action.kind) {
      case Action::Kind::accumulate: make_running(a); return emit(Form::accumulate, action.op, {action.result});
      case Action::Kind::accumulate_product:
        if (running_ != b) make_running(a);
        if (a == b) return emit(Form::accumulate_square, action.op, {action.result});
        return emit(Form::accumulate_product, action.op, {action.result, running_ == a ? b : a});
      case Action::Kind::loop:
        emit(Form::loop, action.op, {action.result, a, b, c});
        if (running_ == action.result) running_ = nobody;
        return;
      case Action::Kind::value: break;
    }
    compute(action);
    running_ = action.result;
    if (must_store(k)) emit(Form::store, MicroOp::Copy, {action.result});
  }

  void compute(const Action& action) {
    const auto& [a, b, c] = action.operands;
    if (action.op == MicroOp::Copy) return make_running(a);
    if (action.op == MicroOp::Select) {
      if (running_ == b && running_ != a && running_ != c) return emit(Form::select_running, action.op, {a, c});
      if (running_ == c && running_ != a && running_ != b) return emit(Form::select_other, action.op, {a, b});
      make_running(a);
      return emit(Form::select_by_running, action.op, {b, c});
    }
    if (action.count == 1) {
      make_running(a);
      return emit(Form::unary, action.op, {});
    }
    if (running_ == a && running_ == b) return emit(Form::running_both, action.op, {});
    if (running_ == a) return emit(Form::running_first, action.op, {b});
    if (running_ == b) return emit(Form::running_second, action.op, {a});
    emit(Form::running_none, action.op, {a, b});
  }

  static constexpr int nobody = -1;

  const Tape& tape_;
  std::span<const Tape::Instruction> later_;
  std::vector<Action> actions_;
  std::vector<ChainStep> steps_;
  int running_ = nobody;  // the place whose values the registers have
};

}  // namespace

namespace cpu {

namespace {

#if LINSEED_X86_TILES
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace vectors::avx2;
#include "kernels/cpu/tape_vectors.inc"

#include "kernels/cpu/chain_steps.inc"
}  // namespace avx2
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")
namespace avx512 {
using namespace vectors::avx512;
#include "kernels/cpu/tape_vectors.inc"

#include "kernels/cpu/chain_steps.inc"
}  // namespace avx512
#pragma GCC pop_options
#endif

/// Whether an instruction is about elements, one by one.
bool is_of_elements(const Tape::Instruction& step) noexcept { return step.row_op == RowOp::none && !step.of_rows; }

}  // namespace

void make_chains(Tape& tape) {
  const auto& instructions = tape.instructions;
  for (std::size_t k = 0; k < instructions.size();) {
    Tape::Stretch stretch{k, k + 1, std::nullopt};
    const bool of_elements = is_of_elements(instructions[k]);
    while (stretch.last < instructions.size() && is_of_elements(instructions[stretch.last]) == of_elements)
      ++stretch.last;
    if (of_elements && stretch.last > stretch.first + 1 && tape.tile >= chain_elements) {
      stretch.chain = tape.chains.size();
      ChainBuilder(tape, stretch).build(tape.chains);
    }
    tape.stretches.push_back(stretch);
    k = stretch.last;
  }
  if (tape.chains.size() <= BoundChains::most_steps) return;
  tape.chains.clear();
  for (Tape::Stretch& stretch : tape.stretches) stretch.chain.reset();
}

BoundChains::BoundChains(std::span<const ChainStep> steps, std::span<const Base> places, VectorSet set) noexcept
    : set_(set) {
#if LINSEED_X86_TILES
  const bool wide = set == VectorSet::avx512;
  Step* bound = steps_.data();
  for (const ChainStep& step : steps) {
    bound->run = wide ? avx512::address_of(avx512::function_of(step)) : avx2::address_of(avx2::function_of(step));
    if (step.form == ChainStep::Form::loop) bound->loop = loop_at(loop_of(step.op), chain_elements, set);
    for (std::size_t k = 0; k < step.count; ++k) {
      const auto& [address, motion] = places[step.places[k]];
      bound->places[k] = address;
      bound->motions[k] = motion;
    }
    ++bound;
  }
#else
  static_cast<void>(steps);
  static_cast<void>(places);
#endif
}

void BoundChains::run(std::size_t step, std::int64_t begin, std::int64_t count, std::int64_t tile) const noexcept {
#if LINSEED_X86_TILES
  (set_ == VectorSet::avx512 ? avx512::run : avx2::run)(steps_.data() + step, begin, count, tile);
#else
  static_cast<void>(step);
  static_cast<void>(begin);
  static_cast<void>(count);
  static_cast<void>(tile);
#endif
}

}  // namespace cpu

}  // namespace linseed::kernels
