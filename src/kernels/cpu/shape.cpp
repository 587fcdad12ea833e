#include "kernels/shape.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>

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
    if (last > 0 && from[last - 1] == 1 && to[last] == 1) return swap_last(source, target, executor);
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
  /// Neighbours in the source are rows apart in the target: squares, so that the lines of both stay in the cache.
  template <class T>
  void swap_last(const T* source, T* target, const Executor& executor) const noexcept {
    constexpr std::int64_t side = 16;
    const std::size_t last = extents.size() - 1;
    const std::int64_t rows = extents[last - 1], columns = extents[last];
    const std::int64_t strips = (rows + side - 1) / side;
    const std::int64_t matrices = extents.elements() / (rows * columns);
    const std::int64_t group = std::max<std::int64_t>(1, block / (side * columns));
    executor.parallel_for((matrices * strips + group - 1) / group, [&](std::int64_t task) {
      const std::int64_t end = std::min(matrices * strips, (task + 1) * group);
      for (std::int64_t strip = task * group; strip < end; ++strip) {
        std::int64_t read = from_offset, write = to_offset;
        std::int64_t rest = strip / strips;
        for (std::size_t axis = last - 1; axis-- > 0;) {
          read += rest % extents[axis] * from[axis];
          write += rest % extents[axis] * to[axis];
          rest /= extents[axis];
        }
        const std::int64_t first_row = strip % strips * side, last_row = std::min(rows, first_row + side);
        for (std::int64_t column = 0; column < columns; column += side) {
          const std::int64_t last_column = std::min(columns, column + side);
          std::int64_t row = first_row;
          for (; row + 4 <= last_row; row += 4) {
            std::int64_t i = column;
            for (; i + 4 <= last_column; i += 4) {
              transpose_4x4(source + read + row + i * from[last], from[last], target + write + row * to[last - 1] + i,
                            to[last - 1]);
            }
            for (; i < last_column; ++i) {
              for (std::int64_t k = 0; k < 4; ++k)
                target[write + (row + k) * to[last - 1] + i] = source[read + row + k + i * from[last]];
            }
          }
          for (; row < last_row; ++row) {
            for (std::int64_t i = column; i < last_column; ++i)
              target[write + row * to[last - 1] + i] = source[read + row + i * from[last]];
          }
        }
      }
    });
  }

  /// to[k * to_step + i] = from[i * from_step + k] for i and k below 4.
  template <class T>
  static void transpose_4x4(const T* source, std::int64_t from_step, T* target, std::int64_t to_step) noexcept {
    if constexpr (sizeof(T) == 4) {
      using Vector [[gnu::vector_size(16)]] = std::uint32_t;
      Vector x[4], y[4];
      for (int i = 0; i < 4; ++i) std::memcpy(&x[i], source + i * from_step, sizeof(Vector));
      const Vector low02 = __builtin_shufflevector(x[0], x[2], 0, 4, 1, 5);
      const Vector high02 = __builtin_shufflevector(x[0], x[2], 2, 6, 3, 7);
      const Vector low13 = __builtin_shufflevector(x[1], x[3], 0, 4, 1, 5);
      const Vector high13 = __builtin_shufflevector(x[1], x[3], 2, 6, 3, 7);
      y[0] = __builtin_shufflevector(low02, low13, 0, 4, 1, 5);
      y[1] = __builtin_shufflevector(low02, low13, 2, 6, 3, 7);
      y[2] = __builtin_shufflevector(high02, high13, 0, 4, 1, 5);
      y[3] = __builtin_shufflevector(high02, high13, 2, 6, 3, 7);
      for (int k = 0; k < 4; ++k) std::memcpy(target + k * to_step, &y[k], sizeof(Vector));
    } else {
      for (std::int64_t k = 0; k < 4; ++k) {
        for (std::int64_t i = 0; i < 4; ++i) target[k * to_step + i] = source[i * from_step + k];
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
