#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cpu/chain.hpp"

namespace linseed::kernels::cpu {

namespace {

#define LINSEED_NAME(F) MicroOp::F,
constexpr MicroOp functions_of_two[] = {LINSEED_CHAIN_FUNCTIONS(LINSEED_NAME)};
constexpr MicroOp functions_of_pairs[] = {LINSEED_CHAIN_PAIR_FUNCTIONS(LINSEED_NAME)};
#undef LINSEED_NAME

bool has(std::span<const MicroOp> ops, MicroOp op) noexcept {
  return std::find(ops.begin(), ops.end(), op) != ops.end();
}

bool is_unary(MicroOp op) noexcept { return op < MicroOp::Add && works_on_vectors(loop_of(op)); }
bool commutes(MicroOp op) noexcept { return op == MicroOp::Add || op == MicroOp::Mul; }

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

  /// Adds the steps; in the first chain of a tape also those that fetch what all of them will need.
  void build(std::vector<ChainStep>& chains) {
    for (std::size_t k = 0; k < actions_.size(); ++k) add(k);
    join_steps();
    if (chains.empty()) add_fetching();
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
    if (op == MicroOp::Copy || op == MicroOp::Select || is_unary(op) || has(functions_of_two, op))
      kind = Action::Kind::value;
    return {kind, op, arity(op), result, operands};
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
    if (running_ == b) return emit(commutes(action.op) ? Form::running_first : Form::running_second, action.op, {a});
    emit(Form::running_none, action.op, {a, b});
  }

  /// Makes one step of neighbours wherever there is a form for both: half of a simple step is getting to it.
  void join_steps() {
    std::vector<ChainStep> all = std::move(steps_);
    steps_.clear();
    for (std::size_t k = 0; k < all.size(); ++k) {
      if (k + 2 < all.size() && joins_to_times_difference(all, k)) {
        if (is_read_from(all, k + 3, all[k].places[0])) steps_.push_back(all[k]);
        steps_.push_back({Form::times_difference, MicroOp::Mul, 1, {all[k + 1].places[0]}});
        k += 2;
      } else if (const auto both = k + 1 < all.size() ? joined(all[k], all[k + 1]) : std::nullopt) {
        steps_.push_back(*both);
        ++k;
      } else {
        steps_.push_back(all[k]);
      }
    }
  }
  static std::optional<ChainStep> joined(const ChainStep& a, const ChainStep& b) noexcept {
    if (b.form == Form::accumulate) return joined_sums(b, a);
    if (a.form == Form::accumulate) return joined_sums(a, b);
    const std::uint16_t m = a.places[0], n = a.places[1], other = b.places[0];
    if (b.form == Form::running_first && has(functions_of_pairs, a.op) && has(functions_of_pairs, b.op)) {
      if (a.form == Form::running_first) return ChainStep{Form::running_first_pair, a.op, 2, {m, other}, b.op};
      if (a.form == Form::running_none) return ChainStep{Form::running_none_pair, a.op, 3, {m, n, other}, b.op};
    }
    return std::nullopt;
  }
  /// A sum of the running values and another one, next to each other in either order.
  static std::optional<ChainStep> joined_sums(const ChainStep& sum, const ChainStep& other) noexcept {
    const std::uint16_t m = sum.places[0], n = other.places[0];
    if (m == n) return std::nullopt;
    if (other.form == Form::accumulate_square) return ChainStep{Form::accumulate_powers, sum.op, 2, {m, n}};
    if (other.form != Form::accumulate_product) return std::nullopt;
    return ChainStep{Form::accumulate_both, sum.op, 3, {m, n, other.places[1]}};
  }
  /// The steps of s * (m - s), where s was stored to be read again: as in the derivatives of sigmoid.
  [[nodiscard]] bool joins_to_times_difference(const std::vector<ChainStep>& all, std::size_t k) const noexcept {
    const ChainStep &kept = all[k], &difference = all[k + 1], &product = all[k + 2];
    return kept.form == Form::store && difference.form == Form::running_second && difference.op == MicroOp::Sub &&
           product.form == Form::running_first && product.op == MicroOp::Mul && product.places[0] == kept.places[0] &&
           difference.places[0] != kept.places[0];
  }
  /// Whether a step from `first` on, or an instruction behind the chain, reads what a place has before.
  [[nodiscard]] bool is_read_from(const std::vector<ChainStep>& all, std::size_t first, std::uint16_t place) const {
    if (!is_scratch(place)) return true;
    for (std::size_t k = first; k < all.size(); ++k) {
      const bool writes = all[k].form == Form::store || all[k].form == Form::loop;
      const auto reads = std::span(all[k].places).first(all[k].count).subspan(writes ? 1 : 0);
      if (std::find(reads.begin(), reads.end(), place) != reads.end()) return true;
      if (writes && all[k].places[0] == place) return false;
    }
    return is_read_later(place);
  }

  static bool takes_long(const ChainStep& step) noexcept {
    constexpr MicroOp simple[] = {MicroOp::Copy, MicroOp::Neg, MicroOp::Abs, MicroOp::Relu};
    return step.form == Form::loop || (step.form == Form::unary && !has(simple, step.op));
  }
  /// Fetches ahead of what takes long, so that memory works meanwhile, or else one stream behind each other step, since
  /// few lines can be on their way.
  void add_fetching() {
    const std::vector<std::uint16_t> streams = streams_of_floats();
    const std::vector<ChainStep> all = std::move(steps_);
    steps_.clear();
    std::size_t fetched = 0;
    const auto fetch = [&](std::size_t count) {
      for (; fetched < std::min(count, streams.size()); ++fetched) emit(Form::fetch, MicroOp::Copy, {streams[fetched]});
    };
    const auto first_long = std::find_if(all.begin(), all.end(), takes_long);
    for (auto step = all.begin(); step != all.end(); ++step) {
      if (step == first_long) fetch(streams.size());
      steps_.push_back(*step);
      if (first_long == all.end()) fetch(static_cast<std::size_t>(step - all.begin()) + 1);
    }
    fetch(streams.size());
  }

  static constexpr int nobody = -1;

  const Tape& tape_;
  std::span<const Tape::Instruction> later_;
  std::vector<Action> actions_;
  std::vector<ChainStep> steps_;
  int running_ = nobody;  // the place whose values the registers have
};

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

}  // namespace linseed::kernels::cpu
