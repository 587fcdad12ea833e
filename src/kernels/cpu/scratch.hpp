#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "core/large_pages.hpp"

namespace linseed::kernels::cpu {

/// What a kernel needs memory for; each purpose has its own, so that one kernel may use several.
enum class Scratch {
  conv_tile,
  conv_partials,
  conv_turned_kernel,
  lanes_input,
  lanes_cotangent,
  lanes_rows,
  lanes_weights,
  packed_factor,
  packed_strip,
  product_places,
  turned_product,
  winograd_zeros,
  winograd_shared,
  winograd_values,
  winograd_weights,
  winograd_sums,
  panels_weights,
  panels_rows,
  panels_cotangent,
  panels_sums
};

/// Memory that a thread keeps from call to call. Null when there is none to be had.
template <Scratch purpose>
void* scratch(std::int64_t bytes) noexcept {
  thread_local std::unique_ptr<std::byte[]> memory;
  thread_local std::int64_t capacity = 0;
  if (bytes > capacity) {
    memory.reset(new (std::nothrow) std::byte[static_cast<std::size_t>(bytes)]);
    capacity = memory ? bytes : 0;
    detail::prefer_large_pages(memory.get(), static_cast<std::size_t>(capacity));
  }
  return memory.get();
}

/// The same for elements of a type, at the start of a line of the cache.
template <Scratch purpose, class T>
T* scratch_elements(std::int64_t count) noexcept {
  constexpr std::uintptr_t line = 64;
  void* const memory = scratch<purpose>(count * static_cast<std::int64_t>(sizeof(T)) + 63);
  return memory == nullptr ? nullptr
                           : reinterpret_cast<T*>((reinterpret_cast<std::uintptr_t>(memory) + line - 1) / line * line);
}
template <Scratch purpose>
float* scratch_floats(std::int64_t count) noexcept {
  return scratch_elements<purpose, float>(count);
}

}  // namespace linseed::kernels::cpu
