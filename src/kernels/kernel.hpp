#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <linseed/core/dtype.hpp>
#include <linseed/core/executor.hpp>
#include <linseed/core/shape.hpp>

#include "program/attributes.hpp"

namespace linseed::kernels {

/// A contiguous row-major operand.
struct Input {
  const void* data;
  Shape shape;
  DType dtype;

  template <class T>
  [[nodiscard]] const T* as() const noexcept {
    return static_cast<const T*>(data);
  }
  template <class T>
  [[nodiscard]] std::span<const T> span() const noexcept {
    return {as<T>(), static_cast<std::size_t>(shape.elements())};
  }
};

/// A contiguous row-major result, not initialised.
struct Output {
  void* data;
  Shape shape;
  DType dtype;

  template <class T>
  [[nodiscard]] T* as() const noexcept {
    return static_cast<T*>(data);
  }
  template <class T>
  [[nodiscard]] std::span<T> span() const noexcept {
    return {as<T>(), static_cast<std::size_t>(shape.elements())};
  }
};

/// What every kernel looks like. It knows nothing of graphs, its operands have been checked by the op's shape rule, and
/// its work grid follows from shapes alone, so that its bits do not depend on the executor.
using Kernel = void (*)(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                        const Executor& executor) noexcept;

/// Which routine a kernel takes for its operands, and what it has to do.
struct Choice {
  std::string_view routine;
  std::int64_t flops = 0;  ///< additions and multiplications of products, those on padding included; 0 for other ops
};
/// Tells without looking at elements: it follows from shapes, dtypes and the set of vectors, so that the bits are the
/// same in every run. The kernel asks the same question.
using Choose = Choice (*)(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                          VectorSet set) noexcept;

}  // namespace linseed::kernels
