#pragma once

#include <cstdint>
#include <string_view>

namespace linseed::nn::detail {

/// The first four bytes, big-endian, of the SHA-1 digest of `message` (FIPS 180-4): Flax folds them into keys.
std::uint32_t sha1_prefix(std::string_view message);

}  // namespace linseed::nn::detail
