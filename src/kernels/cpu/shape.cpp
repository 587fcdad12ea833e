#include "kernels/shape.hpp"

#include <algorithm>
#include <array>
#include <type_traits>

#include "kernels/cpu/transpose.hpp"
#include "kernels/dtypes.hpp"

namespace linseed::kernels::cpu {

namespace {

constexpr std::int64_t block = 1 << 14;  // elements per task

/// Elements at `to[offset + sum(index * to_strides)] = from[offset + sum(index * from_strides)]` for every index of
/// `extents`: transposes, slices, broadcasts and pads are this with different strides.
struct StridedCopy {
  Shape extents, from, to;
  std::int64_t from_offset = 0, to_offset = 0;

  // Drops axes of extent 1 and merges neighbours that both sides walk through alike.
  void merge() noexcept {
    StridedCopy merged{{}, {}, {}, from_offset, to_offset};
    for (std::size_t axis = 0; axis < extents.size(); ++axis) {
      if (extents[axis] == 1) continue;
      if (!merged.extents.empty() && merged.from.back() == from[axis] * extents[axis] &&
          merged.to.back() == to[axis] * extents[axis]) {
        merged.extents.back() *= extents[axis];
        merged.from.back() = from[axis];
        merged.to.back() = to[axis];
      } else {
        merged.extents.push_back(extents[axis]);
        merged.from.push_back(from[axis]);
        merged.to.push_back(to[axis]);
      }
    }
    if (merged.extents.empty()) {
      merged.extents.push_back(1);
      merged.from.push_back(1);
      merged.to.push_back(1);
    }
    *this = merged;
  }

  template <class T>
  void run(const T* source, T* target, const Executor& executor) noexcept {
    if (extents.elements() == 0) return;
    merge();
    const std::size_t last = extents.size() - 1;
    if (const std::size_t axis = swapped_axis(); axis < last) return swap(axis, source, target, executor);
    const std::int64_t row = extents[last];
    const std::int64_t rows = extents.elements() / row;
    const std::int64_t group = std::max<std::int64_t>(1, block / row);
    executor.parallel_for((rows + group - 1) / group, [&](std::int64_t task) {
      const std::int64_t first = task * group, end = std::min(rows, first + group);
      Shape index = extents;
      std::int64_t read = from_offset, write = to_offset, rest = first;
      for (std::size_t axis = last; axis-- > 0; rest /= extents[axis]) {
        index[axis] = rest % extents[axis];
        read += index[axis] * from[axis];
        write += index[axis] * to[axis];
      }
      for (std::int64_t r = first; r < end; ++r) {
        copy_row(source + read, from[last], target + write, to[last], row);
        for (std::size_t axis = last; axis-- > 0;) {
          read += from[axis];
          write += to[axis];
          if (++index[axis] < extents[axis]) break;
          index[axis] = 0;
          read -= extents[axis] * from[axis];
          write -= extents[axis] * to[axis];
        }
      }
    });
  }

 private:
  /// The axis of neighbours in the source, where those in the target are others; else the last one.
  [[nodiscard]] std::size_t swapped_axis() const noexcept {
    const std::size_t last = extents.size() - 1;
    if (to[last] != 1) return last;
    for (std::size_t axis = last; axis-- > 0;) {
      if (from[axis] == 1) return axis;
    }
    return last;
  }

  /// Rows along `axis`, where the source has its neighbours, become columns along the last one: in strips of some rows,
  /// so that the lines of both stay in the cache.
  template <class T>
  void swap(std::size_t axis, const T* source, T* target, const Executor& executor) const noexcept {
    constexpr std::int64_t side = 32;
    const std::size_t last = extents.size() - 1;
    const std::int64_t rows = extents[axis], columns = extents[last];
    const std::int64_t strips = std::max<std::int64_t>(1, rows / side);  // the last one takes what is left
    const std::int64_t all = extents.elements() / (rows * columns) * strips;
    const std::int64_t group = std::max<std::int64_t>(1, block / (std::min(rows, side) * columns));
    executor.parallel_for((all + group - 1) / group, [&](std::int64_t task) {
      const std::int64_t end = std::min(all, (task + 1) * group);
      for (std::int64_t strip = task * group; strip < end; ++strip) {
        const std::int64_t first = strip % strips * side;
        std::int64_t read = from_offset + first, write = to_offset + first * to[axis];
        std::int64_t rest = strip / strips;
        for (std::size_t other = last; other-- > 0;) {
          if (other == axis) continue;
          read += rest % extents[other] * from[other];
          write += rest % extents[other] * to[other];
          rest /= extents[other];
        }
        const std::int64_t height = strip % strips + 1 < strips ? side : rows - first;
        copy_strip(source + read, from[last], target + write, to[axis], height, columns, executor.vectors());
      }
    });
  }

  /// to[row * to_step + column] = from[column * from_step + row].
  template <class T>
  static void copy_strip(const T* source, std::int64_t from_step, T* target, std::int64_t to_step, std::int64_t rows,
                         std::int64_t columns, VectorSet set) noexcept {
    if constexpr (sizeof(T) == 4) {
      copy_transposed(source, from_step, target, to_step, rows, columns, set);
    } else {
      constexpr std::int64_t side = 16;
      for (std::int64_t first = 0; first < columns; first += side) {
        const std::int64_t end = std::min(columns, first + side);
        for (std::int64_t row = 0; row < rows; ++row) {
          for (std::int64_t column = first; column < end; ++column)
            target[row * to_step + column] = source[column * from_step + row];
        }
      }
    }
  }

  template <class T>
  static void copy_row(const T* source, std::int64_t from_step, T* target, std::int64_t to_step,
                       std::int64_t count) noexcept {
    if (from_step == 1 && to_step == 1) {
      std::copy_n(source, count, target);
    } else if (from_step == 0 && to_step == 1) {
      std::fill_n(target, count, *source);
    } else {
      for (std::int64_t i = 0; i < count; ++i) target[i * to_step] = source[i * from_step];
    }
  }
};

void run(StridedCopy copy, const Input& input, const Output& output, const Executor& executor) noexcept {
  visit_size(output.dtype, [&]<class T>(std::type_identity<T>) { copy.run(input.as<T>(), output.as<T>(), executor); });
}

}  // namespace

void transpose(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
               const Executor& executor) noexcept {
  const Shape strides = strides_of(inputs[0].shape);
  StridedCopy copy{output.shape, {}, strides_of(output.shape)};
  for (const int axis : std::get<attr::Transpose>(attributes).permutation)
    copy.from.push_back(strides[static_cast<std::size_t>(axis)]);
  run(copy, inputs[0], output, executor);
}

void broadcast_to(const Attributes&, std::span<const Input> inputs, const Output& output,
                  const Executor& executor) noexcept {
  const Shape& shape = inputs[0].shape;
  const Shape strides = strides_of(shape);
  StridedCopy copy{output.shape, Shape::filled(output.shape.rank(), 0), strides_of(output.shape)};
  const std::size_t leading = output.shape.size() - shape.size();
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] != 1) copy.from[leading + axis] = strides[axis];
  }
  run(copy, inputs[0], output, executor);
}

void slice(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
           const Executor& executor) noexcept {
  const auto& [starts, limits, steps] = std::get<attr::Slice>(attributes);
  StridedCopy copy{output.shape, strides_of(inputs[0].shape), strides_of(output.shape)};
  for (std::size_t axis = 0; axis < starts.size(); ++axis) {
    copy.from_offset += starts[axis] * copy.from[axis];
    copy.from[axis] *= steps[axis];
  }
  run(copy, inputs[0], output, executor);
}

void pad(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
         const Executor& executor) noexcept {
  const auto& [low, high, interior] = std::get<attr::Pad>(attributes);
  if (std::any_of(low.begin(), low.end(), [](std::int64_t n) { return n < 0; }) ||
      std::any_of(high.begin(), high.end(), [](std::int64_t n) { return n < 0; })) {
    return reference::pad(attributes, inputs, output, executor);
  }
  StridedCopy copy{inputs[0].shape, strides_of(inputs[0].shape), strides_of(output.shape)};
  for (std::size_t axis = 0; axis < low.size(); ++axis) {
    copy.to_offset += low[axis] * copy.to[axis];
    copy.to[axis] *= interior[axis] + 1;
  }
  visit_size(output.dtype, [&]<class T>(std::type_identity<T>) {
    std::fill_n(output.as<T>(), output.shape.elements(), *inputs[1].as<T>());
  });
  run(copy, inputs[0], output, executor);
}

void flip(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
          const Executor& executor) noexcept {
  StridedCopy copy{output.shape, strides_of(output.shape), strides_of(output.shape)};
  for (const int axis : std::get<attr::AxisSet>(attributes).axes) {
    const auto i = static_cast<std::size_t>(axis);
    copy.from_offset += (output.shape[i] - 1) * copy.from[i];
    copy.from[i] = -copy.from[i];
  }
  run(copy, inputs[0], output, executor);
}

}  // namespace linseed::kernels::cpu
