#include "core/large_pages.hpp"

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include <doctest/doctest.h>

#include "core/array_node.hpp"

using namespace linseed;

namespace {

/// What the system says of the mapping around an address: nothing where it does not say so.
std::string flags_of(const void* memory) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  std::ifstream maps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t begin = 0, end = 0;
    char dash = 0;
    if (std::istringstream range(line); range >> std::hex >> begin >> dash >> end && dash == '-') {
      here = begin <= address && address < end;
    } else if (here && line.starts_with("VmFlags:")) {
      return line + " ";
    }
  }
  return {};
}

bool on_request() {
  std::string modes;
  std::getline(std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled"), modes);
  return !modes.empty() && modes.find("[never]") == std::string::npos;
}

}  // namespace

TEST_CASE("arrays and arenas of several megabytes ask for large pages, small ones do not") {
  const auto free = [](std::byte* memory) { std::free(memory); };
  constexpr std::size_t megabyte = 1 << 20;
  const std::unique_ptr<std::byte, decltype(free)> large(detail::allocate_bytes(16 * megabyte, "test"), free);
  const std::unique_ptr<std::byte, decltype(free)> small(detail::allocate_bytes(megabyte, "test"), free);
  const std::string in_large = flags_of(large.get() + 8 * megabyte), in_small = flags_of(small.get() + megabyte / 2);
  if (on_request() && !in_large.empty()) {
    CHECK(in_large.find(" hg ") != std::string::npos);
    CHECK(in_small.find(" hg ") == std::string::npos);
  }
  detail::prefer_large_pages(nullptr, 0);
  for (std::size_t i = 0; i < 16 * megabyte; i += megabyte) large.get()[i] = std::byte{7};
  CHECK(large.get()[15 * megabyte] == std::byte{7});
}
