#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace linseed::compile {

/// Bytes that a call reads or writes.
struct Bytes {
  int memory = -1;  ///< tells memories apart whose addresses change from run to run; all others are -1
  std::uintptr_t first = 0, last = 0;

  [[nodiscard]] bool meets(const Bytes& other) const noexcept {
    return memory == other.memory && first < other.last && other.first < last;
  }
};

struct CallBytes {
  Bytes written;
  std::array<Bytes, 3> read;
};

/// An order of calls, as their indices, in which each still finds in memory what it finds in the order given, and waits
/// less for those before it: calls that do not depend on each other stand side by side, so that the processor, which
/// sees a dozen of them at once, has something to do between two that do. (List scheduling: among the calls whose
/// operands are there, the one with the longest chain of others behind it.)
std::vector<std::size_t> call_order(std::span<const CallBytes> calls);

}  // namespace linseed::compile
