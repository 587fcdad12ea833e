#pragma once

#include <vector>

#include "compile/step.hpp"

namespace linseed::compile {

/// Has a fused group use up the rows of a product as they are made, where nothing else needs the product: the update of
/// a kernel from its gradient. The product then has no place in memory. `outputs` marks the root values
/// that the caller gets.
void join_products(const detail::ProgramData& program, const std::vector<char>& outputs, std::vector<Step>& steps);

/// Runs such a step; `values` holds the address of each root value, `operands` those of the product.
void run_product(const Step& step, std::span<void* const> values, std::span<const kernels::Input> operands,
                 std::byte* local, const Executor& executor) noexcept;

}  // namespace linseed::compile
