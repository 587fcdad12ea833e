#include "compile/phase.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>

#include "compile/pack.hpp"
#include "compile/phases.hpp"

namespace linseed::compile {

using detail::ProgramData;
using kernels::Tape;
using Node = ProgramData::Node;

namespace {

bool has(const std::vector<int>& values, int value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

/// Whether a block sees its own piece of an array of a tape.
bool tape_moves(const Tape& tape, std::size_t array) {
  return std::any_of(tape.places.begin(), tape.places.end(), [&](const Tape::Place& place) {
    return place.array == static_cast<int>(array) && place.kind != Tape::Place::Kind::periodic;
  });
}

/// Says which pieces a member sees.
void cut(const ProgramData& program, Step& member, std::int64_t blocks) {
  const auto type_of = [&](int value) { return program.nodes[static_cast<std::size_t>(value)].result; };
  const auto add = [&](int value, bool moves) {
    member.pieces.push_back({value, moves ? bytes_of(type_of(value)) / static_cast<std::size_t>(blocks) : 0});
  };
  if (member.tape) {
    std::size_t array = 0;
    for (const int operand : member.operands) add(operand, tape_moves(*member.tape, array++));
    for (const int result : member.results) add(result, tape_moves(*member.tape, array++));
    member.bytes_of_sums = static_cast<std::size_t>(member.tape->columns()) * sizeof(double);
    return;
  }
  const Node& node = *member.node;
  const auto piece_of = [&](Shape shape, bool moves) {
    if (moves) shape[0] /= blocks;
    return shape;
  };
  for (std::size_t i = 0; i < member.operands.size(); ++i) {
    const bool moves = is_read_in_blocks(program, node, i);
    const Abstract type = type_of(node.operands[i]);  // as this node sees it: the root may have another shape
    add(member.operands[i], moves);
    member.inputs.push_back({nullptr, piece_of(type.shape, moves), type.dtype});
  }
  const bool sum = is_sum_over_blocks(node);
  add(member.results[0], !sum);
  member.output = piece_of(node.result.shape, !sum);
  if (sum) member.bytes_of_sums = aligned(bytes_of(node.result));
}

/// The sums of a single op's blocks, which lie one after the other.
void finish_sums(const Step& member, std::int64_t blocks, const std::byte* sums, float* result) noexcept {
  constexpr std::int64_t together = 64;  // elements
  const std::int64_t elements = member.output.elements();
  for (std::int64_t first = 0; first < elements; first += together) {
    const std::int64_t count = std::min(together, elements - first);
    double totals[together] = {};
    for (std::int64_t block = 0; block < blocks; ++block) {
      const std::byte* const of_block = sums + static_cast<std::size_t>(block) * member.bytes_of_sums;
      const float* const from = reinterpret_cast<const float*>(of_block) + first;
      for (std::int64_t i = 0; i < count; ++i) totals[i] += static_cast<double>(from[i]);
    }
    for (std::int64_t i = 0; i < count; ++i) result[first + i] = static_cast<float>(totals[i]);
  }
}

}  // namespace

Step make_phase(const ProgramData& program, std::vector<Step> members, std::int64_t blocks) {
  Step phase{.blocks = blocks};
  for (Step& member : members) {
    for (const int operand : member.operands) {
      if (!has(phase.results, operand) && !has(phase.operands, operand)) phase.operands.push_back(operand);
    }
    phase.results.insert(phase.results.end(), member.results.begin(), member.results.end());
    cut(program, member, blocks);
    member.sums = phase.workspace_bytes;
    phase.workspace_bytes += aligned(member.bytes_of_sums * static_cast<std::size_t>(blocks));
  }
  phase.members = std::move(members);
  return phase;
}

void place_locals(Step& phase, const std::vector<char>& read_elsewhere) {
  std::vector<Block> blocks;
  std::vector<int> values;
  for (std::size_t m = 0; m < phase.members.size(); ++m) {
    const Step& member = phase.members[m];
    for (std::size_t k = 0; k < member.pieces.size(); ++k) {
      const Piece& piece = member.pieces[k];
      const auto known = std::find(values.begin(), values.end(), piece.value);
      if (known != values.end()) {
        blocks[static_cast<std::size_t>(known - values.begin())].last = static_cast<int>(m);
      } else if (k >= member.operands.size() && piece.bytes > 0 &&
                 !read_elsewhere[static_cast<std::size_t>(piece.value)]) {
        values.push_back(piece.value);
        blocks.push_back({static_cast<int>(m), static_cast<int>(m), aligned(piece.bytes)});
      }
    }
  }
  phase.local_bytes = pack(blocks);
  for (Step& member : phase.members) {
    for (Piece& piece : member.pieces) {
      const auto known = std::find(values.begin(), values.end(), piece.value);
      if (known != values.end()) piece.local = blocks[static_cast<std::size_t>(known - values.begin())].offset;
    }
  }
  std::erase_if(phase.results, [&](int value) { return has(values, value); });
}

void run_phase(const Step& phase, std::span<void* const> values, std::byte* workspace, std::byte* local,
               const Executor& executor, std::span<double> seconds) noexcept {
  using Clock = std::chrono::steady_clock;
  const Executor serial(1, executor.vectors());
  const auto whole = [&](const Piece& piece) {
    return static_cast<std::byte*>(values[static_cast<std::size_t>(piece.value)]);
  };
  const auto run_block = [&](std::int64_t block, int worker) {
    const auto index = static_cast<std::size_t>(block);
    std::byte* const own = local + static_cast<std::size_t>(worker) * phase.local_bytes;
    for (std::size_t m = 0; m < phase.members.size(); ++m) {
      const Step& member = phase.members[m];
      const auto start = seconds.empty() ? Clock::time_point() : Clock::now();
      std::array<void*, Tape::most_places> arrays;
      for (std::size_t k = 0; k < member.pieces.size(); ++k) {
        const Piece& piece = member.pieces[k];
        arrays[k] = piece.local != Piece::shared ? own + piece.local : whole(piece) + index * piece.bytes;
      }
      std::byte* const sums = workspace + member.sums + index * member.bytes_of_sums;
      if (member.tape) {
        kernels::run_piece(*member.tape, arrays, member.tape->elements / phase.blocks, reinterpret_cast<double*>(sums),
                           executor.vectors());
      } else {
        const Op& op = *member.node->op;
        constexpr std::size_t most_operands = 4;
        std::array<kernels::Input, most_operands> inputs{};
        for (std::size_t i = 0; i < member.inputs.size(); ++i) {
          inputs[i] = member.inputs[i];
          inputs[i].data = arrays[i];
        }
        void* const result = member.bytes_of_sums > 0 ? sums : arrays[member.inputs.size()];
        (op.fast != nullptr ? op.fast : op.reference)(member.node->attributes, {inputs.data(), member.inputs.size()},
                                                      {result, member.output, member.node->result.dtype}, serial);
      }
      if (!seconds.empty()) {
        std::atomic_ref<double>(seconds[m])
            .fetch_add(std::chrono::duration<double>(Clock::now() - start).count(), std::memory_order_relaxed);
      }
    }
  };
  executor.parallel_for(phase.blocks, run_block, phase.backwards);
  for (const Step& member : phase.members) {
    if (member.bytes_of_sums == 0) continue;
    const std::byte* const sums = workspace + member.sums;
    if (!member.tape) {
      finish_sums(member, phase.blocks, sums, reinterpret_cast<float*>(whole(member.pieces.back())));
      continue;
    }
    std::array<void*, Tape::most_places> arrays;
    for (std::size_t k = 0; k < member.pieces.size(); ++k) arrays[k] = whole(member.pieces[k]);
    kernels::finish_folds(*member.tape, arrays, phase.blocks, reinterpret_cast<const double*>(sums));
  }
}

}  // namespace linseed::compile
