#pragma once

#include <string>

#include <linseed/core/array.hpp>

namespace linseed::data {

/// Reads an IDX file of unsigned bytes, the format of MNIST and its successors: uint8, shape from the file's header.
/// Plain or gzip-compressed is decided by the content, not by the name. Memory grows with the data that the file really
/// holds, whatever its header promises.
///
/// Throws FileError, with the path as its place, for a file that is missing, cannot be read, is neither IDX nor gzip,
/// has another element type, has no axes or more than `max_rank`, ends early, goes on after the last element, or is
/// damaged.
[[nodiscard]] Array read_idx(const std::string& path);

}  // namespace linseed::data
