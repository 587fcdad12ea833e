#pragma once

#include <cstdint>
#include <string_view>

namespace linseed::training::detail {

/// CRC-32C (Castagnoli polynomial, reflected), as RFC 3720 describes it.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes) noexcept;
/// As TFRecord files hold it: rotated right by 15 bits, plus a constant.
[[nodiscard]] std::uint32_t masked_crc32c(std::string_view bytes) noexcept;

}  // namespace linseed::training::detail
