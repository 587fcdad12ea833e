#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

#include <linseed/core/array.hpp>
#include <linseed/data/dataset.hpp>

namespace linseed::data {

/// What one training step sees.
struct Batch {
  Array image;  ///< float32 [b, ...]
  Array label;  ///< int32 [b]
};

struct BatchOptions {
  bool drop_last = false;    ///< leave out a last batch of fewer than `batch_size` examples
  float divide_by = 255.0f;  ///< pixels become float32 and are divided by this: [0, 1] unless told otherwise
};

/// A dataset cut into batches: a range whose batches are made when they are asked for.
///
///     for (const data::Batch& batch : data::shuffled(train, 256, random::fold_in(key, epoch))) ...
class Batches {
 public:
  /// In the order of the dataset. Throws ValueError unless `batch_size` is positive and `divide_by` is finite and not
  /// 0, ShapeError unless labels have one axis and images as many rows, DTypeError unless images are uint8 or float32
  /// and labels int32.
  Batches(Dataset dataset, std::int64_t batch_size, BatchOptions options = {});
  /// In the order of the indices `order` (int32, one axis), which may leave out or repeat examples. Throws what the
  /// other constructor throws, and ValueError for an index out of range.
  Batches(Dataset dataset, std::int64_t batch_size, Array order, BatchOptions options = {});

  /// The number of batches.
  [[nodiscard]] std::int64_t size() const noexcept { return count_; }
  [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
  /// The number of examples in all batches together.
  [[nodiscard]] std::int64_t examples() const noexcept;

  /// Batch `index`. Throws ValueError unless `index` is in [0, size()).
  [[nodiscard]] Batch operator[](std::int64_t index) const;

  class Iterator {
   public:
    using value_type = Batch;
    using difference_type = std::ptrdiff_t;
    using reference = Batch;
    using pointer = void;
    using iterator_category = std::input_iterator_tag;

    Iterator() = default;
    Iterator(const Batches* batches, std::int64_t index) : batches_(batches), index_(index) {}
    [[nodiscard]] Batch operator*() const { return (*batches_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    Iterator operator++(int) {
      const Iterator before = *this;
      ++index_;
      return before;
    }
    friend bool operator==(const Iterator&, const Iterator&) = default;

   private:
    const Batches* batches_ = nullptr;
    std::int64_t index_ = 0;
  };
  /// The iterators refer to this object.
  [[nodiscard]] Iterator begin() const noexcept { return {this, 0}; }
  [[nodiscard]] Iterator end() const noexcept { return {this, count_}; }

 private:
  Dataset dataset_;
  Array order_;  // empty: the order of the dataset
  std::int64_t batch_size_ = 0;
  std::int64_t chosen_ = 0;  // examples before any are dropped
  std::int64_t count_ = 0;
  BatchOptions options_;
};

/// Batches in the order of `random::permutation(key, dataset.size())`. Throws what `Batches` throws.
[[nodiscard]] Batches shuffled(const Dataset& dataset, std::int64_t batch_size, const Array& key,
                               BatchOptions options = {});

}  // namespace linseed::data
