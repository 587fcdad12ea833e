#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <linseed/core/executor.hpp>

#include "kernels/chain.hpp"
#include "kernels/micro_op.hpp"

namespace linseed::kernels {

/// A step over `count` elements; operands that it does not have are ignored.
using Loop = void (*)(float* result, const float* a, const float* b, const float* c, std::int64_t count) noexcept;
/// A step from elements to the rows that they form, or back; `row` is the length of one.
using RowLoop = void (*)(float* result, const float* a, std::int64_t row, std::int64_t rows) noexcept;

/// The loop of a number for `count` elements.
Loop loop_at(LoopIndex index, std::int64_t count, VectorSet set) noexcept;
/// The loop of a step between elements and rows.
RowLoop row_loop_of(RowOp op, VectorSet set) noexcept;
/// Whether a loop works on whole vectors, so that lanes beyond the last element cost nothing.
bool works_on_vectors(LoopIndex index) noexcept;
/// The loop that stores what this one adds to its result; the same one when it adds nothing.
LoopIndex without_accumulation(LoopIndex index) noexcept;

/// A fused group of element-wise ops and sums: short loops that run one after the other over tiles that stay in the
/// nearest cache. Every operand is addressed by the linear index of one iteration space of `elements` elements, which
/// is cut into tasks of whole tiles; the cut follows from the space alone. Neighbouring elements may form rows of equal
/// length: then some values have one element per row.
struct Tape {
  /// Windows that lie side by side over rows of pixels, each pixel `run` neighbouring elements: `down` rows of
  /// `across` pixels make one pixel of a smaller array.
  struct Windows {
    std::int64_t run = 1, width = 1;  ///< elements of a pixel, pixels of a row
    std::int64_t across = 1, down = 1;
    float scale = 1.0F;  ///< of the sums, or of what is spread
  };

  static constexpr std::int64_t longest_tile = 1024;  ///< but for a single row, or one period of an operand
  static constexpr std::int64_t longest_row = 4096;
  static constexpr std::size_t most_places = 128;
  static constexpr std::int64_t scratch = 1 << 17;  ///< elements of all places together

  /// Where a tile's elements are.
  struct Place {
    enum class Kind : std::uint8_t {
      stream,    ///< array `array` at the linear index
      scratch,   ///< a tile that lives until it is written again
      periodic,  ///< array `array` at index % period, spread over a tile once per task; `period` divides `tile`
      repeated,  ///< array `array` at index / period, spread over each tile
      spread,    ///< array `array`, which has one pixel per window, spread over each tile
      pooled,    ///< a tile that is added up by windows, in their order, into array `array`
    };
    Kind kind = Kind::scratch;
    std::uint8_t bytes = 4;  ///< per element of a stream: 4, or 1 for bool
    bool of_rows = false;    ///< a stream of one element per row
    int array = -1;          ///< inputs first, then outputs
    std::int64_t period = 0;
    Windows windows = {};
  };
  struct Instruction {
    LoopIndex loop = 0;
    std::uint8_t count = 0;  ///< of operands
    std::uint16_t result = 0;
    std::array<std::uint16_t, 3> operands = {};
    bool of_rows = false;        ///< the loop runs over rows
    RowOp row_op = RowOp::none;  ///< what it does instead of the loop
  };
  /// output[j] = sum over all i with i % period == j of the tile at `place`.
  struct Fold {
    std::uint16_t accumulator;  ///< a scratch place
    int array;                  ///< an output
    std::int64_t period;        ///< divides `tile`
  };

  /// Instructions that run over the whole tile before others do.
  struct Stretch {
    std::size_t first, last;           ///< the last one not included
    std::optional<std::size_t> chain;  ///< the first step of a chain that does the same
  };

  std::int64_t elements = 0;
  std::int64_t tile = longest_tile;
  std::int64_t row = 0;    ///< elements of a row, which divide the tile; 0: there are no rows
  std::size_t inputs = 0;  ///< the number of input arrays
  std::vector<Place> places = {};
  std::vector<Instruction> instructions = {};
  std::vector<Fold> folds = {};
  std::vector<Stretch> stretches = {};  ///< all instructions
  std::vector<ChainStep> chains = {};   ///< one after the other

  [[nodiscard]] std::int64_t tasks() const noexcept;
  /// The sums of all folds together.
  [[nodiscard]] std::int64_t columns() const noexcept;
  /// Completes a tape of single micro-ops: makes one loop of two steps wherever the first one's result is needed by the
  /// second one alone, and then chains of those that lie between steps of rows, unless one loop is all there is.
  void finish();
  /// What `run` needs beside operands and results: one partial sum per task and column.
  [[nodiscard]] std::size_t workspace_bytes() const noexcept;
};

/// Runs a tape. `arrays` holds inputs and outputs; an output may be the very array of a stream input. The sums of a
/// task are float32 in as many lanes as the tile has elements, partial sums are added in double in the order of the
/// tasks.
void run(const Tape& tape, std::span<void* const> arrays, std::byte* workspace, const Executor& executor) noexcept;

/// One task of those that `run` does, which leaves its sums in the workspace; `finish_folds` completes them.
void run_task(const Tape& tape, std::span<void* const> arrays, std::int64_t task, std::byte* workspace,
              VectorSet set) noexcept;

/// Runs a tape over its first `elements` elements only, on the calling thread, and leaves its folds' sums, one after
/// the other, in `sums`. With the arrays moved on, this computes any piece of the whole that starts at a multiple of
/// every period and of what one row of windows covers. Only this knows windows.
void run_piece(const Tape& tape, std::span<void* const> arrays, std::int64_t elements, double* sums,
               VectorSet set) noexcept;
/// Completes the folds whose sums over `pieces` pieces lie one after the other in `sums`, in their order.
void finish_folds(const Tape& tape, std::span<void* const> arrays, std::int64_t pieces, const double* sums) noexcept;

}  // namespace linseed::kernels
