#pragma once

#include <string>
#include <string_view>

namespace linseed::training::detail {

/// Writes a file completely or not at all: a temporary file in the same folder takes its place when it is on the disk.
/// What `path` links to is replaced, not the link; what is no regular file, as /dev/stdout, is written to. Throws
/// FileError of the operation `op`.
void write_file(std::string_view op, const std::string& path, std::string_view content);

/// Writes all of it to a descriptor; false, with errno, when that failed.
[[nodiscard]] bool write_all(int file, std::string_view content) noexcept;

}  // namespace linseed::training::detail
