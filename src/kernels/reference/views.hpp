#pragma once

// xtensor views of kernel operands: the reference kernels are written in them.

#include <vector>

#include <xtensor/xadapt.hpp>
#include <xtensor/xarray.hpp>
#include <xtensor/xbroadcast.hpp>
#include <xtensor/xtensor.hpp>

#include "kernels/kernel.hpp"

namespace linseed::kernels::reference {

using Extents = std::vector<std::size_t>;

inline Extents extents(const Shape& shape) { return {shape.begin(), shape.end()}; }

/// A const view of an operand, shaped.
template <class T>
auto view(const Input& input) {
  return xt::adapt(input.as<T>(), static_cast<std::size_t>(input.shape.elements()), xt::no_ownership(),
                   extents(input.shape));
}
/// A view to write the result into.
template <class T>
auto view(const Output& output) {
  return xt::adapt(output.as<T>(), static_cast<std::size_t>(output.shape.elements()), xt::no_ownership(),
                   extents(output.shape));
}

/// An operand repeated to `shape` by NumPy's rules.
template <class T>
auto broadcast(const Input& input, const Shape& shape) {
  return xt::broadcast(view<T>(input), extents(shape));
}

}  // namespace linseed::kernels::reference
