#pragma once

#include "kernels/kernel.hpp"

namespace linseed::kernels {

namespace reference {
void dot_general(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}
namespace cpu {
void dot_general(const Attributes&, std::span<const Input>, const Output&, const Executor&) noexcept;
}

}  // namespace linseed::kernels
