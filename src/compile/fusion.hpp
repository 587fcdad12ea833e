#pragma once

#include <optional>
#include <vector>

#include "kernels/micro_op.hpp"
#include "program/program.hpp"

namespace linseed::compile {

/// How an operand's elements are found from the linear index of what is computed with it.
struct Access {
  enum class Kind : std::uint8_t {
    linear,    ///< at the index
    periodic,  ///< at index % period
    repeated,  ///< at index / period
  };
  Kind kind = Kind::linear;
  std::int64_t period = 0;
  bool operator==(const Access&) const = default;
};

/// The access to an operand of shape `operand` that is broadcast to `result`; nothing when it is none of these.
std::optional<Access> access_of(const Shape& operand, const Shape& result) noexcept;

/// Nodes that run as one kernel: a single one, or the element-wise ops and sums of a fused group, in program order. A
/// cheap node may stand in several groups: recomputing it there costs less than storing its value.
struct Group {
  std::vector<int> nodes;
  bool fused = false;
  std::int64_t elements = 0;  ///< of a fused group's iteration space
  std::int64_t tile = 0;      ///< length of its tiles
  std::int64_t row = 0;       ///< neighbouring elements that it reduces to one; 0: none
};

/// A program as kernels.
struct Schedule {
  std::vector<Group> groups;  ///< in an order in which they can run
  std::vector<int> root;      ///< per value: the one whose elements it shares (itself, or what it reshapes)
  std::vector<char> stored;   ///< per root value: whether some other group or the caller reads it; see drop_unused
};

/// Puts every node into a group. With `fuse` false each is a group of its own.
Schedule make_schedule(const detail::ProgramData& program, bool fuse);

/// The length of tiles for a fused group, unless it has too many values for the tiles of one tape, or nodes over rows
/// that need more than rows.
std::optional<std::int64_t> tile_of(const detail::ProgramData& program, const std::vector<int>& root,
                                    const Group& group);

/// Whether a node of a fused group has one element per row.
bool is_of_rows(const detail::ProgramData& program, const Group& group, const detail::ProgramData::Node& node) noexcept;

/// The step that a node is in a tape, if it can be one. Reductions are none.
std::optional<kernels::MicroOp> micro_op_of(const detail::ProgramData& program,
                                            const detail::ProgramData::Node& node) noexcept;
/// Operand `index` of a node in a fused group: its root and the access to it.
std::optional<Access> operand_access(const detail::ProgramData& program, const detail::ProgramData::Node& node,
                                     std::size_t index) noexcept;
/// The period of the columns that a sum keeps: nothing for nodes that are no sums over leading axes.
std::optional<std::int64_t> fold_period(const detail::ProgramData& program,
                                        const detail::ProgramData::Node& node) noexcept;
/// The length of the rows of which a sum or maximum over trailing axes makes one element each: nothing for other nodes.
std::optional<std::int64_t> row_length(const detail::ProgramData& program,
                                       const detail::ProgramData::Node& node) noexcept;

}  // namespace linseed::compile
