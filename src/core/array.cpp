#include <linseed/core/array.hpp>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ostream>

#include <fmt/format.h>

#include <linseed/core/error.hpp>

#include "core/array_node.hpp"
#include "core/dispatch.hpp"
#include "core/large_pages.hpp"
#include "kernels/scalar_functions.hpp"
#include "program/trace.hpp"

namespace linseed {

namespace detail {

void throw_ragged_list(std::int64_t expected, std::int64_t got) {
  throw ShapeError("Array", "Nested braces are ragged.",
                   {.got = fmt::format("a row of {} elements", got), .expected = fmt::format("{} elements", expected)});
}

const ArrayNode& ArrayNode::of(const Array& array) {
  if (!array.node_) {
    throw ValueError(
        "Array", "An empty Array was used.",
        {.hint = "it was default-constructed or moved from; a moved-in state must be replaced by the result"});
  }
  return *array.node_;
}

Array ArrayNode::make(ArrayNode node) { return Array(std::make_shared<const ArrayNode>(std::move(node))); }

Array ArrayNode::concrete(std::shared_ptr<const void> buffer, const Shape& shape, DType dtype) {
  return make({.buffer = std::move(buffer), .dtype = dtype, .shape = shape});
}

Array ArrayNode::fresh(std::shared_ptr<void> buffer, const Shape& shape, DType dtype) {
  return make({.buffer = std::move(buffer), .writable = true, .dtype = dtype, .shape = shape});
}

Array ArrayNode::traced(std::shared_ptr<Trace> trace, int index, const Shape& shape, DType dtype, Array value) {
  return make({.dtype = dtype, .shape = shape, .trace = std::move(trace), .index = index, .value = std::move(value)});
}

Array settled(const Array& array) {
  Array current = array;
  for (const ArrayNode* node = &ArrayNode::of(current); node->trace && !node->trace->is_open();
       node = &ArrayNode::of(current)) {
    if (!node->value.defined()) {
      throw TraceError("jit", "An Array escaped from the function that was being traced.",
                       {.got = describe(array), .hint = "return it from the function instead of storing it elsewhere"});
    }
    current = Array(node->value);
  }
  return current;
}

Array concrete_value(const Array& array) {
  Array current = array;
  while (current.defined()) {
    const ArrayNode& node = ArrayNode::of(current);
    if (node.buffer) return current;
    current = Array(node.value);
  }
  return {};
}

std::size_t bytes_of(const Shape& shape, DType dtype, std::string_view op) {
  constexpr std::int64_t most = std::int64_t{1} << 48;
  std::int64_t bytes = static_cast<std::int64_t>(size_of(dtype));
  for (const std::int64_t extent : shape) {
    if (extent < 0) throw ShapeError(op, "An extent is negative.", {.got = to_string(shape)});
    if (__builtin_mul_overflow(bytes, extent, &bytes) || bytes > most)
      throw ShapeError(op, "The Array is too large to address.", {.got = to_string(shape)});
  }
  return static_cast<std::size_t>(bytes);
}

namespace {
constexpr std::size_t alignment = 64;
}

std::byte* allocate_bytes(std::size_t bytes, std::string_view op) {
  auto* const memory = static_cast<std::byte*>(std::aligned_alloc(alignment, (bytes / alignment + 1) * alignment));
  if (memory == nullptr) throw MemoryError(op, "Memory is short.", {.got = fmt::format("a need of {} bytes", bytes)});
  prefer_large_pages(memory, bytes);
  return memory;
}

std::shared_ptr<void> allocate(const Shape& shape, DType dtype) {
  constexpr std::size_t few = 512;  // bytes: here aligned memory would take longer to find than any is worth
  const std::size_t bytes = bytes_of(shape, dtype);
  std::shared_ptr<void> buffer;
  if (bytes <= few) {
    std::size_t room = (bytes / alignment + 2) * alignment;
    auto memory = std::make_shared_for_overwrite<std::byte[]>(room);
    void* begin = memory.get();
    std::align(alignment, bytes, begin, room);
    buffer = {std::move(memory), begin};
  } else {
    buffer = {allocate_bytes(bytes, "Array"), [](void* p) { std::free(p); }};
  }
  std::memset(static_cast<std::byte*>(buffer.get()) + bytes, 0, alignment - bytes % alignment);
  return buffer;
}

}  // namespace detail

using detail::ArrayNode;

Array::Array(const Array& other) noexcept = default;
Array& Array::operator=(const Array& other) noexcept = default;
Array& Array::operator=(Array&& other) noexcept = default;
Array::~Array() = default;

Array Array::adopt(std::shared_ptr<const void> buffer, const Shape& shape, DType dtype) {
  return ArrayNode::concrete(std::move(buffer), shape, dtype);
}

Array Array::copy_of(const void* values, std::int64_t count, const Shape& shape, DType dtype) {
  auto buffer = detail::allocate(shape, dtype);
  if (count != shape.elements()) {
    throw ShapeError("Array", "The number of values does not fit the shape.",
                     {.got = fmt::format("{} values", count),
                      .expected = fmt::format("{} for {}", shape.elements(), to_string(shape))});
  }
  if (count > 0) std::memcpy(buffer.get(), values, static_cast<std::size_t>(count) * size_of(dtype));
  return ArrayNode::fresh(std::move(buffer), shape, dtype);
}

namespace {
template <class From>
Array converted(const From* values, const Shape& shape, DType dtype) {
  auto buffer = detail::allocate(shape, dtype);
  detail::visit_dtype(dtype, [&]<class To>(std::type_identity<To>) {
    To* out = static_cast<To*>(buffer.get());
    for (std::int64_t i = 0; i < shape.elements(); ++i) out[i] = kernels::convert<To>(values[i]);
  });
  return ArrayNode::fresh(std::move(buffer), shape, dtype);
}
}  // namespace

Array Array::cast_of(const double* values, const Shape& shape, DType dtype) { return converted(values, shape, dtype); }
Array Array::cast_of(const std::int64_t* values, const Shape& shape, DType dtype) {
  return converted(values, shape, dtype);
}

const Shape& Array::shape() const { return ArrayNode::of(*this).shape; }
DType Array::dtype() const { return ArrayNode::of(*this).dtype; }
std::int64_t Array::extent(int axis) const {
  return shape()[static_cast<std::size_t>(normalize_axis(axis, rank(), "Array::extent"))];
}
bool Array::has_value() const noexcept { return detail::concrete_value(*this).defined(); }

const void* Array::raw(DType wanted) const {
  if (dtype() != wanted) {
    throw DTypeError("Array", "Elements are read as another type.",
                     {.got = fmt::format("an Array of {}", to_string(dtype())),
                      .expected = std::string(to_string(wanted)),
                      .hint = "convert with astype first"});
  }
  const Array concrete = detail::concrete_value(*this);
  if (!concrete.defined()) {
    throw TraceError("jit", "The value of a traced Array was asked for.",
                     {.got = describe(*this),
                      .hint = "inside jit only shapes and dtypes are known: use where instead of if, return what you "
                              "want to print, or pass what decides the control flow as a plain argument"});
  }
  return ArrayNode::of(concrete).buffer.get();
}

double Array::scalar_as_double() const {
  if (size() != 1) {
    throw ShapeError("Array::item", "Only an Array of one element converts to a number.", {.got = describe(*this)});
  }
  return detail::visit_dtype(dtype(), [&]<class T>(std::type_identity<T>) {
    return static_cast<double>(*static_cast<const T*>(raw(dtype_of<T>)));
  });
}

std::int64_t Array::scalar_as_int64() const {
  if (is_floating(dtype())) return static_cast<std::int64_t>(scalar_as_double());
  if (size() != 1) return static_cast<std::int64_t>(scalar_as_double());  // throws
  return detail::visit_dtype(dtype(), [&]<class T>(std::type_identity<T>) {
    return static_cast<std::int64_t>(*static_cast<const T*>(raw(dtype_of<T>)));
  });
}

DType ArrayLike::dtype_beside(DType other) const {
  if (!is_number()) return array_.dtype();
  const auto category = [](DType dtype) { return dtype == DType::bool_ ? 0 : is_floating(dtype) ? 2 : 1; };
  return category(kind_) <= category(other) ? other : kind_;
}

// Whole numbers go through int64, so that -1 becomes the largest uint32 as it does in C++ and NumPy.
Array ArrayLike::as(DType dtype) const {
  return is_floating(kind_) ? Array(number_, dtype) : Array(static_cast<std::int64_t>(number_), dtype);
}
Array ArrayLike::beside(DType other) const { return is_number() ? as(dtype_beside(other)) : array_; }

std::string describe(DType dtype, const Shape& shape) {
  return fmt::format("{}[{}]", to_string(dtype), fmt::join(shape.begin(), shape.end(), ","));
}
std::string describe(const Array& array) { return describe(array.dtype(), array.shape()); }

bool identical(const Array& a, const Array& b) {
  if (a.dtype() != b.dtype() || !(a.shape() == b.shape())) return false;
  return detail::visit_dtype(a.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto left = a.data<T>();
    const auto right = b.data<T>();
    return left.empty() || left.data() == right.data() ||
           std::memcmp(left.data(), right.data(), left.size_bytes()) == 0;
  });
}

std::ostream& operator<<(std::ostream& stream, const Array& array) { return stream << to_string(array); }

}  // namespace linseed
