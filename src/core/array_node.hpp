#pragma once

#include <memory>

#include <linseed/core/array.hpp>

namespace linseed {

class Trace;

namespace detail {

/// What an Array handle points at. Exactly one of these holds:
/// - `buffer`: concrete elements;
/// - `trace`: the result of node `index` of that trace; `value` is what it stands for one trace further out, and is
///   empty while `jit` traces.
struct ArrayNode {
  std::shared_ptr<const void> buffer = {};  // in front: what each call of a compiled function looks at
  bool writable = false;  ///< the buffer was allocated by linseed: a compiled step may reuse it when it is donated
  DType dtype = DType::float32;
  Shape shape = {};
  std::shared_ptr<Trace> trace = {};
  int index = -1;
  Array value = {};

  /// Throws ValueError for an empty handle.
  static const ArrayNode& of(const Array& array);
  static const ArrayNode* peek(const Array& array) noexcept { return array.node_.get(); }
  static Array make(ArrayNode node);
  static Array concrete(std::shared_ptr<const void> buffer, const Shape& shape, DType dtype);
  /// Around a buffer of `allocate`.
  static Array fresh(std::shared_ptr<void> buffer, const Shape& shape, DType dtype);
  /// How many handles there are.
  static long holders(const Array& array) noexcept { return array.node_.use_count(); }
  static Array traced(std::shared_ptr<Trace> trace, int index, const Shape& shape, DType dtype, Array value = {});
};

/// The handle whose trace is still open, seen from inside out: values recorded by a trace that has ended stand for
/// what they were computed to. Throws TraceError when there is no such value.
Array settled(const Array& array);

/// The concrete Array underneath all traces, or an empty one.
Array concrete_value(const Array& array);

/// The bytes of so many elements. Throws ShapeError, naming `op`, for a negative extent or more than any machine
/// addresses (2^48).
std::size_t bytes_of(const Shape& shape, DType dtype, std::string_view op = "Array");

/// Uninitialised memory that begins at and goes on to a multiple of 64 bytes; for std::free. Throws MemoryError, naming
/// `op`.
std::byte* allocate_bytes(std::size_t bytes, std::string_view op);

/// An uninitialised buffer for `shape`, in such memory, with zeros behind the elements: whole vectors may be read and
/// written. Throws what these throw.
std::shared_ptr<void> allocate(const Shape& shape, DType dtype);

}  // namespace detail
}  // namespace linseed
