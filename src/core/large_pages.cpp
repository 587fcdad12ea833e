#include "core/large_pages.hpp"

#if defined(__linux__)
#include <cstdint>

#include <sys/mman.h>
#endif

namespace linseed::detail {

void prefer_large_pages([[maybe_unused]] void* memory, [[maybe_unused]] std::size_t bytes) noexcept {
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr std::uintptr_t page = 2 << 20, fewest = 2;
  const auto begin = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t first = (begin + page - 1) / page * page, last = (begin + bytes) / page * page;
  if (last < first + fewest * page) return;
  static_cast<void>(madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE));  // a hint: it may fail
#endif
}

}  // namespace linseed::detail
