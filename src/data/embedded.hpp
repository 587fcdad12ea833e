#pragma once

#include <span>

/// The files of src/data/embedded, as cmake/embed.cmake compiles them in. Defined in a generated source.
namespace linseed::data::embedded {

std::span<const unsigned char> train_images() noexcept;
std::span<const unsigned char> train_labels() noexcept;
std::span<const unsigned char> t10k_images() noexcept;
std::span<const unsigned char> t10k_labels() noexcept;

}  // namespace linseed::data::embedded
