#include "kernels/tape.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <limits>
#include <type_traits>

#include "kernels/cpu/chain.hpp"
#include "kernels/cpu/vectors.hpp"
#include "kernels/scalar_functions.hpp"

namespace linseed::kernels {

namespace {

constexpr std::int64_t one_vector = 16;  // elements: of the widest vectors

namespace portable {
template <class Function>
constexpr bool has_vector_form = false;
#define LINSEED_ELEMENTS(n) n
#define LINSEED_ROWS
#include "kernels/cpu/tape_loops.inc"
#undef LINSEED_ROWS
#undef LINSEED_ELEMENTS
namespace of_one_vector {
#define LINSEED_ELEMENTS(n) (static_cast<void>(n), one_vector)
#include "kernels/cpu/tape_loops.inc"
#undef LINSEED_ELEMENTS
}  // namespace of_one_vector
}  // namespace portable

#if LINSEED_X86_TILES
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using namespace cpu::vectors::avx2;
#include "kernels/cpu/tape_vectors.inc"
#define LINSEED_ELEMENTS(n) n
#define LINSEED_ROWS
#include "kernels/cpu/tape_loops.inc"
#undef LINSEED_ROWS
#undef LINSEED_ELEMENTS
namespace of_one_vector {
#define LINSEED_ELEMENTS(n) (static_cast<void>(n), one_vector)
#include "kernels/cpu/tape_loops.inc"
#undef LINSEED_ELEMENTS
}  // namespace of_one_vector
}  // namespace avx2
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512bw,avx512vl,prefer-vector-width=512")
namespace avx512 {
using namespace cpu::vectors::avx512;
#include "kernels/cpu/tape_vectors.inc"
#define LINSEED_ELEMENTS(n) n
#define LINSEED_ROWS
#include "kernels/cpu/tape_loops.inc"
#undef LINSEED_ROWS
#undef LINSEED_ELEMENTS
namespace of_one_vector {
#define LINSEED_ELEMENTS(n) (static_cast<void>(n), one_vector)
#include "kernels/cpu/tape_loops.inc"
#undef LINSEED_ELEMENTS
}  // namespace of_one_vector
}  // namespace avx512
#pragma GCC pop_options
#else
namespace avx2 = portable;
namespace avx512 = portable;
#endif

struct Loops {
  const Loop* any;         // number of elements
  const Loop* one_vector;  // 16 elements
  const RowLoop* rows;     // by RowOp
  decltype(&portable::pool_pixels) pool_pixels;
  decltype(&portable::spread_pixels) spread_pixels;
  decltype(&portable::add_lanes) add_lanes;
};

Loops loops_of(VectorSet set) noexcept {
  switch (set) {
    case VectorSet::avx512:
      return {avx512::loops,       avx512::of_one_vector::loops, avx512::row_loops,
              avx512::pool_pixels, avx512::spread_pixels,        avx512::add_lanes};
    case VectorSet::avx2:
      return {avx2::loops,       avx2::of_one_vector::loops, avx2::row_loops,
              avx2::pool_pixels, avx2::spread_pixels,        avx2::add_lanes};
    default:
      return {portable::loops,       portable::of_one_vector::loops, portable::row_loops,
              portable::pool_pixels, portable::spread_pixels,        portable::add_lanes};
  }
}

constexpr MicroOp firsts[] = {
#define LINSEED_NAME(F) MicroOp::F,
    LINSEED_PAIR_FIRSTS(LINSEED_NAME)
#undef LINSEED_NAME
};
/// The second steps of pairs. Sub stands for a difference from which the first result is taken away, too.
constexpr MicroOp seconds[] = {MicroOp::Add,     MicroOp::Sub,  MicroOp::Mul, MicroOp::Maximum,
                               MicroOp::Minimum, MicroOp::Neg,  MicroOp::Exp, MicroOp::Tanh,
                               MicroOp::Sigmoid, MicroOp::Relu, MicroOp::Sub, MicroOp::Accumulate};
constexpr std::size_t subtract_from = 10;
constexpr std::size_t singles = static_cast<std::size_t>(MicroOp::Accumulate) + 1;
static_assert(std::size(portable::loops) == singles + std::size(firsts) * std::size(seconds));
static_assert(std::size(portable::loops) <= std::numeric_limits<LoopIndex>::max());

constexpr std::int64_t elements_per_task = 1 << 14;

std::int64_t tiles_per_task(const Tape& tape) noexcept {
  return std::max<std::int64_t>(1, elements_per_task / tape.tile);
}

/// y[i] = x[(begin + i) / repeat]
void spread(const float* x, std::int64_t repeat, std::int64_t begin, std::int64_t count, float* y) noexcept {
  std::int64_t at = begin / repeat;
  for (std::int64_t done = 0; done < count; ++at) {
    const std::int64_t run = std::min(count - done, (at + 1) * repeat - (begin + done));
    std::fill_n(y + done, run, x[at]);
    done += run;
  }
}

/// y[i] = x[i % period]
void repeat(const float* x, std::int64_t period, std::int64_t count, float* y) noexcept {
  if (period == 1) {
    std::fill_n(y, count, *x);
    return;
  }
  std::int64_t done = std::min(period, count);
  std::copy_n(x, done, y);
  for (; done < count; done *= 2) std::copy_n(y, std::min(done, count - done), y + done);
}

/// Where a tape that goes through the rows of pixels in their order is among windows.
struct WindowCursor {
  float* at;            // the window's pixel in the smaller array
  std::int64_t within;  // pixels of the window's row that are behind
  std::int64_t done;    // elements of the row that are behind
  std::int64_t row;     // of the window's

  /// Calls `use(from, count)` for the parts of rows that a tile of `elements` elements has.
  template <class Use>
  void go_through(const Tape::Windows& windows, std::int64_t elements, const Use& use) noexcept {
    const std::int64_t length = windows.run * windows.width;
    for (std::int64_t from = 0; from < elements;) {
      const std::int64_t count = std::min(elements - from, length - done);
      use(from, count);
      from += count;
      done += count;
      if (done < length) continue;
      done = 0;
      if (++row == windows.down) {
        row = 0;
      } else {
        at -= length / windows.across;
      }
    }
  }
};

/// One task's view of the places: where a tile at linear index 0 would be, and how far each index moves it.
class Places {
 public:
  Places(const Tape& tape, std::span<void* const> arrays, float* scratch, const Loops& loops) noexcept
      : tape_(tape), loops_(loops) {
    for (std::size_t k = 0; k < tape.places.size(); ++k) {
      const Tape::Place& place = tape.places[k];
      step_[k] = row_step_[k] = tile_step_[k] = 0;
      auto* array = place.array < 0 ? nullptr : static_cast<std::byte*>(arrays[static_cast<std::size_t>(place.array)]);
      if (place.kind == Tape::Place::Kind::stream) {
        base_[k] = array;
        (place.of_rows ? row_step_ : step_)[k] = place.bytes;
        continue;
      }
      base_[k] = reinterpret_cast<std::byte*>(scratch);
      // Without rows, scratch tiles are used up before the next turn of the chain.
      if (place.kind != Tape::Place::Kind::scratch || tape.row > 0) tile_step_[k] = sizeof(float);
      if (place.kind == Tape::Place::Kind::periodic && place.period == tape.tile) {
        base_[k] = array;
        continue;
      }
      if (place.kind == Tape::Place::Kind::periodic) {
        const auto* x = reinterpret_cast<const float*>(array);
        repeat(x, place.period, tape.tile, scratch);
      } else if (place.kind == Tape::Place::Kind::repeated) {
        source_[k] = reinterpret_cast<const float*>(array);
        spreading_[spreads_++] = static_cast<std::uint16_t>(k);
      } else if (place.kind == Tape::Place::Kind::spread || place.kind == Tape::Place::Kind::pooled) {
        cursors_[k] = {reinterpret_cast<float*>(array), 0, 0, 0};
        const auto index = static_cast<std::uint16_t>(k);
        (place.kind == Tape::Place::Kind::spread ? spreading_[spreads_++] : pooling_[pools_++]) = index;
      }
      scratch += tape.tile;
    }
    for (const Tape::Fold& fold : tape.folds) {
      tile_step_[fold.accumulator] = sizeof(float);
      std::fill_n(lanes_of(fold), tape.tile, 0.0F);
    }
  }

  /// Spreads what changes from tile to tile.
  void enter(std::int64_t begin, std::int64_t count) noexcept {
    for (const std::uint16_t k : std::span(spreading_).first(spreads_)) {
      const Tape::Place& place = tape_.places[k];
      auto* const tile = reinterpret_cast<float*>(base_[k]);
      if (place.kind == Tape::Place::Kind::repeated) {
        spread(source_[k], place.period, begin, count, tile);
        continue;
      }
      WindowCursor& cursor = cursors_[k];
      cursor.go_through(place.windows, count, [&](std::int64_t from, std::int64_t part) {
        loops_.spread_pixels(tile + from, cursor.within, cursor.at, place.windows, part);
      });
    }
  }

  /// Adds up what the tile has of windows.
  void leave(std::int64_t count) noexcept {
    for (const std::uint16_t k : std::span(pooling_).first(pools_)) {
      const Tape::Place& place = tape_.places[k];
      const auto* const tile = reinterpret_cast<const float*>(base_[k]);
      WindowCursor& cursor = cursors_[k];
      cursor.go_through(place.windows, count, [&](std::int64_t from, std::int64_t part) {
        loops_.pool_pixels(cursor.at, cursor.within, tile + from, place.windows, part, cursor.row);
      });
    }
  }

  /// The place of what is `within` elements behind a tile's begin, which has an index and a row.
  [[nodiscard]] float* at(std::uint16_t k, std::int64_t begin, std::int64_t within,
                          std::int64_t rows_before) const noexcept {
    return reinterpret_cast<float*>(base_[k] + (begin + within) * step_[k] + within * tile_step_[k] +
                                    rows_before * row_step_[k]);
  }
  [[nodiscard]] float* lanes_of(const Tape::Fold& fold) const noexcept { return at(fold.accumulator, 0, 0, 0); }

  /// Whether enter() and leave() do nothing.
  [[nodiscard]] bool stay() const noexcept { return spreads_ + pools_ == 0; }

  [[nodiscard]] cpu::BoundChains chains(VectorSet set) const noexcept {
    using Motion = cpu::BoundChains::Motion;
    std::array<cpu::BoundChains::Base, Tape::most_places> bases;
    for (std::size_t k = 0; k < tape_.places.size(); ++k) {
      Motion motion = tile_step_[k] > 0 ? Motion::in_tile : Motion::none;
      if (step_[k] > 0) motion = step_[k] == 1 ? Motion::bytes : Motion::floats;
      bases[k] = {base_[k], motion};
    }
    return {tape_.chains, {bases.data(), tape_.places.size()}, set};
  }

 private:
  const Tape& tape_;
  const Loops& loops_;
  std::array<std::byte*, Tape::most_places> base_;
  // Bytes from element to element of an array, from row to row, and from element to element of a tile.
  std::array<std::int64_t, Tape::most_places> step_, row_step_, tile_step_;
  std::array<const float*, Tape::most_places> source_;
  std::array<WindowCursor, Tape::most_places> cursors_;
  std::array<std::uint16_t, Tape::most_places> spreading_, pooling_;  // places that enter() and leave() take care of
  std::size_t spreads_ = 0, pools_ = 0;
};

}  // namespace

Loop loop_at(LoopIndex index, std::int64_t count, VectorSet set) noexcept {
  const Loops loops = loops_of(set);
  return (count == one_vector ? loops.one_vector : loops.any)[index];
}

RowLoop row_loop_of(RowOp op, VectorSet set) noexcept { return loops_of(set).rows[static_cast<std::size_t>(op)]; }

bool works_on_vectors(LoopIndex index) noexcept {
  constexpr MicroOp one_by_one[] = {MicroOp::Sin, MicroOp::Cos, MicroOp::Erfc, MicroOp::Pow, MicroOp::Mod};
  return std::none_of(std::begin(one_by_one), std::end(one_by_one), [&](MicroOp op) { return loop_of(op) == index; });
}

LoopIndex without_accumulation(LoopIndex index) noexcept {
  if (index == loop_of(MicroOp::Accumulate)) return loop_of(MicroOp::Copy);
  if (index < singles) return index;
  const std::size_t pair = index - singles;
  const bool accumulates = seconds[pair % std::size(seconds)] == MicroOp::Accumulate;
  return accumulates ? loop_of(firsts[pair / std::size(seconds)]) : index;
}

std::optional<LoopIndex> pair_of(MicroOp first, MicroOp second, std::size_t place) noexcept {
  const auto* const f = std::find(std::begin(firsts), std::end(firsts), first);
  const auto* s = std::find(std::begin(seconds), std::end(seconds), second);
  if (f == std::end(firsts) || s == std::end(seconds)) return std::nullopt;
  if (place == 1) {
    if (second == MicroOp::Sub) {
      s = seconds + subtract_from;
    } else if (second != MicroOp::Add && second != MicroOp::Mul) {
      return std::nullopt;  // the order of the operands may show in the bits
    }
  }
  return static_cast<LoopIndex>(singles + static_cast<std::size_t>(f - firsts) * std::size(seconds) +
                                static_cast<std::size_t>(s - seconds));
}

Pair micro_ops_of(LoopIndex index) noexcept {
  if (index < singles) return {static_cast<MicroOp>(index), std::nullopt};
  const std::size_t pair = index - singles, second = pair % std::size(seconds);
  return {firsts[pair / std::size(seconds)], seconds[second], second == subtract_from ? 1U : 0U};
}

namespace {

bool reads(const Tape::Instruction& step, std::uint16_t place) noexcept {
  return std::find(step.operands.begin(), step.operands.begin() + step.count, place) !=
         step.operands.begin() + step.count;
}

void join_pairs(Tape& tape) {
  std::vector<Tape::Instruction>& instructions = tape.instructions;
  const auto is_sum = [&](std::uint16_t place) {
    return std::any_of(tape.folds.begin(), tape.folds.end(),
                       [&](const Tape::Fold& fold) { return fold.accumulator == place; });
  };
  for (std::size_t k = 0; k < instructions.size();) {
    const Tape::Instruction first = instructions[k];
    const std::uint16_t between = first.result;
    const auto next =
        std::find_if(instructions.begin() + static_cast<std::ptrdiff_t>(k) + 1, instructions.end(),
                     [&](const Tape::Instruction& step) { return reads(step, between) || step.result == between; });
    ++k;
    if (first.loop >= singles || tape.places[between].kind != Tape::Place::Kind::scratch || is_sum(between)) continue;
    if (next == instructions.end() || next->loop >= singles || !reads(*next, between)) continue;
    if (first.row_op != RowOp::none || next->row_op != RowOp::none || first.of_rows != next->of_rows) continue;
    if (std::count(next->operands.begin(), next->operands.begin() + next->count, between) != 1) continue;
    // Nobody else reads it, and what it is made of is still there.
    const auto after = std::find_if(next + 1, instructions.end(), [&](const Tape::Instruction& step) {
      return reads(step, between) || step.result == between;
    });
    if (next->result != between && after != instructions.end() && reads(*after, between)) continue;
    const auto own = instructions.begin() + static_cast<std::ptrdiff_t>(k) - 1;
    if (std::any_of(own + 1, next, [&](const Tape::Instruction& step) { return reads(first, step.result); })) continue;
    const bool in_front = next->operands[0] == between;
    const auto pair = pair_of(static_cast<MicroOp>(first.loop), static_cast<MicroOp>(next->loop), in_front ? 0 : 1);
    if (!pair) continue;
    const std::uint16_t other = next->operands[in_front ? 1 : 0];
    *next = {*pair,
             static_cast<std::uint8_t>(1 + next->count),
             next->result,
             {first.operands[0], first.operands[1], other},
             next->of_rows};
    instructions.erase(own);
    --k;
  }
}

}  // namespace

void Tape::finish() {
  join_pairs(*this);
  cpu::make_chains(*this);
}

std::int64_t Tape::tasks() const noexcept {
  const std::int64_t together = tiles_per_task(*this) * tile;
  return (elements + together - 1) / together;
}

std::int64_t Tape::columns() const noexcept {
  std::int64_t result = 0;
  for (const Fold& fold : folds) result += fold.period;
  return result;
}

std::size_t Tape::workspace_bytes() const noexcept {
  return static_cast<std::size_t>(tasks() * columns()) * sizeof(double);
}

namespace {

void run_range(const Tape& tape, VectorSet set, std::span<void* const> arrays, std::int64_t first, std::int64_t last,
               double* sums) noexcept {
  alignas(64) std::array<float, Tape::scratch> scratch;
  const Loops loops = loops_of(set);
  Places places(tape, arrays, scratch.data(), loops);
  const bool has_chains = !tape.chains.empty() && set != VectorSet::portable && last - first >= chain_elements;
  const cpu::BoundChains chains = has_chains ? places.chains(set) : cpu::BoundChains();
  std::int64_t begin = first;
  if (has_chains && tape.stretches.size() == 1 && places.stay() && tape.tile % chain_elements == 0) {
    const std::int64_t whole_tiles = (last - first) / tape.tile * tape.tile;
    if (whole_tiles > 0) chains.run(0, first, whole_tiles, tape.tile);
    begin += whole_tiles;
  }
  for (; begin < last; begin += tape.tile) {
    const std::int64_t count = std::min(tape.tile, last - begin);
    places.enter(begin, count);
    const std::int64_t rows = tape.row > 0 ? count / tape.row : 0, rows_before = tape.row > 0 ? begin / tape.row : 0;
    for (const Tape::Stretch& stretch : tape.stretches) {
      const std::int64_t chained = has_chains && stretch.chain ? count - count % chain_elements : 0;
      if (chained > 0) chains.run(*stretch.chain, begin, chained, tape.tile);
      if (chained == count) continue;
      const auto at = [&](std::uint16_t place) { return places.at(place, begin, chained, rows_before); };
      for (std::size_t k = stretch.first; k < stretch.last; ++k) {
        const Tape::Instruction& step = tape.instructions[k];
        const auto& [a, b, c] = step.operands;
        if (step.row_op != RowOp::none) {
          loops.rows[static_cast<std::size_t>(step.row_op)](at(step.result), at(a), tape.row, rows);
        } else {
          loops.any[step.loop](at(step.result), at(a), at(b), at(c), step.of_rows ? rows : count - chained);
        }
      }
    }
    places.leave(count);
  }
  for (const Tape::Fold& fold : tape.folds) {
    loops.add_lanes(sums, places.lanes_of(fold), fold.period, tape.tile);
    sums += fold.period;
  }
}

}  // namespace

void run_piece(const Tape& tape, std::span<void* const> arrays, std::int64_t elements, double* sums,
               VectorSet set) noexcept {
  run_range(tape, set, arrays, 0, elements, sums);
}

void finish_folds(const Tape& tape, std::span<void* const> arrays, std::int64_t pieces, const double* sums) noexcept {
  const std::int64_t columns = tape.columns();
  for (const Tape::Fold& fold : tape.folds) {
    auto* const result = static_cast<float*>(arrays[static_cast<std::size_t>(fold.array)]);
    for (std::int64_t j = 0; j < fold.period; ++j, ++sums) {
      double total = 0.0;
      for (std::int64_t piece = 0; piece < pieces; ++piece) total += sums[piece * columns];
      result[j] = static_cast<float>(total);
    }
  }
}

void run_task(const Tape& tape, std::span<void* const> arrays, std::int64_t task, std::byte* workspace,
              VectorSet set) noexcept {
  const std::int64_t together = tiles_per_task(tape) * tape.tile;
  run_range(tape, set, arrays, task * together, std::min(tape.elements, (task + 1) * together),
            reinterpret_cast<double*>(workspace) + task * tape.columns());
}

void run(const Tape& tape, std::span<void* const> arrays, std::byte* workspace, const Executor& executor) noexcept {
  const std::int64_t tasks = tape.tasks();
  executor.parallel_for(tasks, [&](std::int64_t task) { run_task(tape, arrays, task, workspace, executor.vectors()); });
  finish_folds(tape, arrays, tasks, reinterpret_cast<const double*>(workspace));
}

}  // namespace linseed::kernels
