#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/kernel.hpp"
#include "kernels/tape.hpp"
#include "program/program.hpp"

namespace linseed::compile {

inline std::size_t bytes_of(const Abstract& value) noexcept {
  return static_cast<std::size_t>(value.shape.elements()) * size_of(value.dtype);
}

/// What a kernel call in a phase sees of a value.
struct Piece {
  int value;              ///< a root value
  std::size_t bytes = 0;  ///< from block to block; 0: every block sees all of it
  static constexpr std::size_t shared = static_cast<std::size_t>(-1);
  std::size_t local = shared;  ///< offset in the memory of a worker, if nobody outside the phase reads the value
};

/// A kernel call, a phase of them, or a launch: fused groups that do not depend on each other, all tasks together.
struct Step {
  std::vector<int> operands = {};                   ///< root values
  std::vector<int> results = {};                    ///< root values
  std::size_t workspace = 0, workspace_bytes = 0;   ///< offset in the arena, size
  const detail::ProgramData::Node* node = nullptr;  ///< of a single op
  /// Of a fused group; its arrays are operands, then results. With a node as well, the group uses up the rows of that
  /// product: see product.hpp. The last operands are then those of the node.
  std::unique_ptr<const kernels::Tape> tape = {};

  // Of a phase: every block passes through all members before the next one does.
  std::int64_t blocks = 0;
  bool backwards = false;          ///< the last block first: what the phase before has used last is still in a cache
  std::vector<Step> members = {};  ///< of a launch, too
  std::size_t local_bytes = 0;     ///< what each worker needs; of a product that is used up, too

  std::int64_t tasks = 0;       ///< of a launch
  std::int64_t first_task = 0;  ///< of a member of a launch: among all tasks
  std::size_t first_array = 0;  ///< of a member of a launch: among the arrays of all

  // Of a member of a phase.
  std::vector<Piece> pieces = {};           ///< of operands, then results; of a product that is used up, per row
  std::vector<kernels::Input> inputs = {};  ///< of a single op: the pieces' shapes
  Shape output = {};                        ///< of a single op: the shape of the result's piece
  std::size_t sums = 0, bytes_of_sums = 0;  ///< what a block contributes to sums: offset in the workspace, size
};

}  // namespace linseed::compile
