#pragma once

#include <cstddef>

namespace linseed::detail {

/// Asks for large pages behind memory of several megabytes, where the system gives them on request: arrays that are
/// streamed through then take fewer translations of addresses. Best before the memory is first touched.
void prefer_large_pages(void* memory, std::size_t bytes) noexcept;

}  // namespace linseed::detail
