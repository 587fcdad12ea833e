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

/// What a tape does, in the steps of chains: a product that is only added to a sum is one step.
struct Task {
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
  explicit ChainBuilder(const Tape& tape) : tape_(tape) {
    for (const Tape::Instruction& step : tape.instructions) tasks_.push_back(task_of(step));
    join_products();
    hasten_sums();
  }

  std::vector<ChainStep> build() {
    for (std::size_t k = 0; k < tasks_.size(); ++k) add(k);
    for (std::uint16_t k = 0; k < tape_.places.size(); ++k) {
      const Tape::Place& place = tape_.places[k];
      if (place.kind == Tape::Place::Kind::stream && place.bytes == sizeof(float))
        emit(Form::fetch, MicroOp::Copy, {k});
    }
    return std::move(steps_);
  }

 private:
  using Form = ChainStep::Form;

  static Task task_of(const Tape::Instruction& step) noexcept {
    const auto op = static_cast<MicroOp>(step.loop);
    Task::Kind kind = Task::Kind::loop;
    if (op == MicroOp::Accumulate) kind = Task::Kind::accumulate;
    if (op == MicroOp::Copy || op == MicroOp::Select || is_unary(op) || is_binary(op)) kind = Task::Kind::value;
    return {kind, op, step.count, step.result, step.operands};
  }

  [[nodiscard]] bool is_scratch(std::uint16_t place) const noexcept {
    return tape_.places[place].kind == Tape::Place::Kind::scratch;
  }

  /// Whether a task after `k` reads what k has left in a place.
  [[nodiscard]] bool is_read_after(std::size_t k, std::uint16_t place) const noexcept {
    for (std::size_t j = k + 1; j < tasks_.size(); ++j) {
      if (tasks_[j].reads(place)) return true;
      if (tasks_[j].result == place) return false;
    }
    return false;
  }

  void join_products() {
    for (std::size_t k = 0; k + 1 < tasks_.size(); ++k) {
      const Task& product = tasks_[k];
      Task& sum = tasks_[k + 1];
      if (product.kind != Task::Kind::value || product.op != MicroOp::Mul || sum.kind != Task::Kind::accumulate)
        continue;
      if (sum.operands[0] != product.result || !is_scratch(product.result) || is_read_after(k + 1, product.result))
        continue;
      sum = {Task::Kind::accumulate_product, MicroOp::Mul, 2, sum.result, product.operands};
      tasks_.erase(tasks_.begin() + static_cast<std::ptrdiff_t>(k));
    }
  }

  /// Puts sums directly behind what they are of, while it is at hand.
  void hasten_sums() {
    for (std::size_t k = 1; k < tasks_.size(); ++k) {
      const Task sum = tasks_[k];
      if (sum.kind != Task::Kind::accumulate && sum.kind != Task::Kind::accumulate_product) continue;
      std::size_t to = k;
      while (to > 0 && !sum.reads(tasks_[to - 1].result)) --to;
      if (to == 0) continue;  // of nothing that the tape computes
      const auto begin = tasks_.begin();
      std::rotate(begin + static_cast<std::ptrdiff_t>(to), begin + static_cast<std::ptrdiff_t>(k),
                  begin + static_cast<std::ptrdiff_t>(k) + 1);
    }
  }

  /// Whether the result of task k must be in memory, since not everybody finds it in the registers.
  [[nodiscard]] bool must_store(std::size_t k) const noexcept {
    const std::uint16_t place = tasks_[k].result;
    if (!is_scratch(place)) return true;
    bool running = true;
    for (std::size_t j = k + 1; j < tasks_.size(); ++j) {
      const Task& task = tasks_[j];
      if (task.reads(place) && (!running || wants_memory(task, place))) return true;
      if (task.result == place) return false;
      running = running && leaves_running(task, place);
    }
    return false;
  }
  [[nodiscard]] static bool wants_memory(const Task& task, std::uint16_t place) noexcept {
    return task.kind == Task::Kind::loop ||
           (task.op == MicroOp::Select && std::count(task.operands.begin(), task.operands.end(), place) > 1);
  }
  [[nodiscard]] static bool leaves_running(const Task& task, std::uint16_t place) noexcept {
    return task.kind == Task::Kind::loop || (task.kind != Task::Kind::value && task.reads(place));
  }

  void emit(Form form, MicroOp op, std::initializer_list<std::uint16_t> places) {
    ChainStep step{form, op, static_cast<std::uint8_t>(places.size()), {}};
    std::copy(places.begin(), places.end(), step.places.begin());
    steps_.push_back(step);
  }

  void make_running(std::uint16_t place) {
    if (running_ == place) return;
    emit(Form::load, MicroOp::Copy, {place});
    running_ = place;
  }

  void add(std::size_t k) {
    const Task& task = tasks_[k];
    const auto& [a, b, c] = task.operands;
    switch (task.kind) {
      case Task::Kind::accumulate: make_running(a); return emit(Form::accumulate, task.op, {task.result});
      case Task::Kind::accumulate_product:
        if (running_ != b) make_running(a);
        if (a == b) return emit(Form::accumulate_square, task.op, {task.result});
        return emit(Form::accumulate_product, task.op, {task.result, running_ == a ? b : a});
      case Task::Kind::loop:
        emit(Form::loop, task.op, {task.result, a, b, c});
        if (running_ == task.result) running_ = nobody;
        return;
      case Task::Kind::value: break;
    }
    compute(task);
    running_ = task.result;
    if (must_store(k)) emit(Form::store, MicroOp::Copy, {task.result});
  }

  void compute(const Task& task) {
    const auto& [a, b, c] = task.operands;
    if (task.op == MicroOp::Copy) return make_running(a);
    if (task.op == MicroOp::Select) {
      if (running_ == b && running_ != a && running_ != c) return emit(Form::select_running, task.op, {a, c});
      if (running_ == c && running_ != a && running_ != b) return emit(Form::select_other, task.op, {a, b});
      make_running(a);
      return emit(Form::select_by_running, task.op, {b, c});
    }
    if (task.count == 1) {
      make_running(a);
      return emit(Form::unary, task.op, {});
    }
    if (running_ == a && running_ == b) return emit(Form::running_both, task.op, {});
    if (running_ == a) return emit(Form::running_first, task.op, {b});
    if (running_ == b) return emit(Form::running_second, task.op, {a});
    emit(Form::running_none, task.op, {a, b});
  }

  static constexpr int nobody = -1;

  const Tape& tape_;
  std::vector<Task> tasks_;
  std::vector<ChainStep> steps_;
  int running_ = nobody;  // the place whose values the registers have
};

}  // namespace

void Tape::make_chain() {
  constexpr std::size_t fewest_instructions = 2;
  if (row > 0 || tile % chain_elements != 0 || instructions.size() < fewest_instructions) return;
  chain = ChainBuilder(*this).build();
  if (chain.size() > cpu::BoundChain::most_steps) chain.clear();
}

namespace cpu {

namespace {

template <class T>
constexpr float as_float(T value) noexcept {
  if constexpr (std::is_same_v<T, bool>) return value ? 1.0F : 0.0F;
  return static_cast<float>(value);
}

#if LINSEED_X86_TILES
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
template <class Function>
constexpr bool has_vector_form = false;
using namespace vectors::avx2;
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

}  // namespace

BoundChain::BoundChain(std::span<const ChainStep> steps, std::span<const Base> places, VectorSet set) noexcept
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
  bound->run = wide ? avx512::address_of(avx512::end) : avx2::address_of(avx2::end);
#else
  static_cast<void>(steps);
  static_cast<void>(places);
#endif
}

void BoundChain::operator()(std::int64_t begin, std::int64_t count) const noexcept {
#if LINSEED_X86_TILES
  (set_ == VectorSet::avx512 ? avx512::run : avx2::run)(steps_.data(), begin, count);
#else
  static_cast<void>(begin);
  static_cast<void>(count);
#endif
}

}  // namespace cpu

}  // namespace linseed::kernels
