#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <linseed/core/shape.hpp>

namespace linseed::data {

/// The elements of an IDX file and their shape.
struct IdxBytes {
  std::shared_ptr<const void> buffer;
  Shape shape;
};

/// Does the work of `read_idx`.
IdxBytes read_idx_file(const std::string& path);
/// The same for a file in memory; `name` stands for the path in errors.
IdxBytes read_idx_memory(std::span<const unsigned char> file, std::string_view name);

}  // namespace linseed::data
