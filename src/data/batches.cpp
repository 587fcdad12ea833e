#include <linseed/data/batches.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/random/random.hpp>

#include "core/array_node.hpp"

namespace linseed::data {

namespace {

constexpr std::string_view op = "Batches";

void check(const Dataset& dataset, std::int64_t batch_size, const BatchOptions& options) {
  if (batch_size <= 0) {
    throw ValueError(op, "The batch size is not positive.",
                     {.got = fmt::to_string(batch_size), .expected = "at least 1"});
  }
  if (!std::isfinite(options.divide_by) || options.divide_by == 0.0f) {
    throw ValueError(
        op, "Pixels cannot be divided by this number.",
        {.at = "divide_by", .got = fmt::to_string(options.divide_by), .expected = "a finite number other than 0"});
  }
  const Array& images = dataset.images;
  const Array& labels = dataset.labels;
  if (images.dtype() != DType::uint8 && images.dtype() != DType::float32) {
    throw DTypeError(op, "Images have a dtype that is not batched.",
                     {.got = describe(images), .expected = "uint8 or float32"});
  }
  if (labels.dtype() != DType::int32) {
    throw DTypeError(op, "Labels have a dtype that is not batched.", {.got = describe(labels), .expected = "int32"});
  }
  if (labels.rank() != 1 || images.rank() < 1 || images.extent(0) != labels.extent(0)) {
    throw ShapeError(op, "There is not one label per image.",
                     {.got = fmt::format("images {}, labels {}", describe(images), describe(labels)),
                      .expected = "images [n, ...] and labels [n]"});
  }
}

void check_order(const Array& order, std::int64_t examples) {
  if (order.dtype() != DType::int32) {
    throw DTypeError(op, "The order of the examples has a dtype that does not count.",
                     {.got = describe(order), .expected = "int32"});
  }
  if (order.rank() != 1) {
    throw ShapeError(op, "The order of the examples is not a list.", {.got = describe(order), .expected = "one axis"});
  }
  for (const std::int32_t index : order.data<std::int32_t>()) {
    if (index < 0 || index >= examples) {
      throw ValueError(op, "The order of the examples names one that does not exist.",
                       {.got = fmt::to_string(index), .expected = fmt::format("0 to {}", examples - 1)});
    }
  }
}

/// Divides the elements of rows.
template <class T>
class Divide {
 public:
  explicit Divide(float by) : by_(by) {}
  void operator()(const T* in, std::size_t count, float* out) const {
    for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(in[i]) / by_;
  }

 private:
  float by_;
};
/// A byte has few values: their quotients are looked up.
template <>
class Divide<std::uint8_t> {
 public:
  explicit Divide(float by) {
    for (std::size_t i = 0; i < quotients_.size(); ++i) quotients_[i] = static_cast<float>(i) / by;
  }
  void operator()(const std::uint8_t* in, std::size_t count, float* out) const {
    for (std::size_t i = 0; i < count; ++i) out[i] = quotients_[in[i]];
  }

 private:
  std::array<float, 256> quotients_;
};

/// Fetches a row, which may be anywhere in the dataset, while the one before it is read.
void fetch(const void* row, std::size_t bytes) {
  constexpr std::size_t line = 64, most = 4096;
  for (std::size_t i = 0; i < std::min(bytes, most); i += line)
    __builtin_prefetch(static_cast<const std::byte*>(row) + i);
}

}  // namespace

Batches::Batches(Dataset dataset, std::int64_t batch_size, BatchOptions options)
    : dataset_(std::move(dataset)), batch_size_(batch_size), options_(options) {
  check(dataset_, batch_size, options);
  chosen_ = dataset_.size();
  count_ = chosen_ / batch_size + (!options.drop_last && chosen_ % batch_size != 0 ? 1 : 0);
}

Batches::Batches(Dataset dataset, std::int64_t batch_size, Array order, BatchOptions options)
    : Batches(std::move(dataset), batch_size, options) {
  check_order(order, chosen_);
  order_ = std::move(order);
  chosen_ = order_.size();
  count_ = chosen_ / batch_size + (!options.drop_last && chosen_ % batch_size != 0 ? 1 : 0);
}

std::int64_t Batches::examples() const noexcept { return std::min(chosen_, count_ * batch_size_); }

Batch Batches::operator[](std::int64_t index) const {
  if (index < 0 || index >= count_) {
    throw ValueError(op, "There is no such batch.",
                     {.got = fmt::to_string(index), .expected = fmt::format("0 to {}", count_ - 1)});
  }
  const std::int64_t begin = index * batch_size_;
  const std::int64_t rows = std::min(batch_size_, chosen_ - begin);
  Shape shape = dataset_.images.shape();
  const std::int64_t examples = shape[0];
  const auto row_size = static_cast<std::size_t>(examples == 0 ? 0 : shape.elements() / examples);
  shape[0] = rows;

  const std::span<const std::int32_t> all_labels = dataset_.labels.data<std::int32_t>();
  std::span<const std::int32_t> order;
  if (order_.defined()) order = order_.data<std::int32_t>();
  auto images = detail::allocate(shape, DType::float32);
  auto labels = detail::allocate(Shape{rows}, DType::int32);
  const auto example = [&](std::int64_t row) {
    const auto place = static_cast<std::size_t>(begin + row);
    return order_.defined() ? static_cast<std::size_t>(order[place]) : place;
  };
  const auto gather = [&]<class T>(std::span<const T> all_images) {
    const Divide<T> divide(options_.divide_by);
    for (std::int64_t row = 0; row < rows; ++row) {
      if (row + 1 < rows) fetch(all_images.data() + example(row + 1) * row_size, row_size * sizeof(T));
      const auto to = static_cast<std::size_t>(row);
      divide(all_images.data() + example(row) * row_size, row_size, static_cast<float*>(images.get()) + to * row_size);
      static_cast<std::int32_t*>(labels.get())[to] = all_labels[example(row)];
    }
  };
  if (dataset_.images.dtype() == DType::uint8) {
    gather(dataset_.images.data<std::uint8_t>());
  } else {
    gather(dataset_.images.data<float>());
  }
  return {.image = Array::adopt(std::move(images), shape, DType::float32),
          .label = Array::adopt(std::move(labels), Shape{rows}, DType::int32)};
}

Batches shuffled(const Dataset& dataset, std::int64_t batch_size, const Array& key, BatchOptions options) {
  check(dataset, batch_size, options);
  return {dataset, batch_size, random::permutation(key, dataset.size()), options};
}

}  // namespace linseed::data
