#include "kernels/cpu/dense_gemm.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <span>
#include <utility>

#include "kernels/cpu/scratch.hpp"
#include "kernels/cpu/simd.hpp"
#include "kernels/cpu/transpose.hpp"

namespace linseed::kernels::cpu {

namespace {

/// How the left factor of a tile lies: all rows of the tile side by side, with nothing between points of depth; or
/// where the caller has it, in rows whose points of depth are neighbours, or in columns of which rows are neighbours.
enum class LeftFactor { packed, in_rows, in_columns };

/// Lines of the cache that a tile fetches for later tiles, one in each turn of its loop over depth: many at a time
/// would keep its own loads waiting.
struct Fetch {
  const char* first;
  std::int64_t step;
};

/// Some rows and columns of a product, or the same ones of several products.
template <class T>
struct DenseTile {
  const T* left;           // of a product at place zero
  std::int64_t left_step;  // between the rows, or the columns, of a left factor that is not packed
  const T* right;          // columns are neighbours
  std::int64_t right_step;
  std::int64_t depth;
  T* result;
  std::int64_t result_step;
  std::int64_t columns;  // that exist: the last vector may have less than its lanes
  bool accumulate;
  Fetch fetch;
  std::span<const ProductPlace> places;
};

/// Where `valid` rows of a factor lie, and where they go side by side.
template <class T>
struct PackedTile {
  const T* from;
  T* to;
  std::int64_t width, valid;
};

constexpr int most_dense_rows = 16, most_dense_vectors = 3;
template <class T>
using DenseTiles = std::array<void (*)(const DenseTile<T>&) noexcept, most_dense_rows>;  // of 1, 2, ... rows

/// What an instruction set has for dense products.
template <class T>
struct DenseKernel {
  std::int64_t rows[most_dense_vectors];                   // of the largest tile of 1, 2, ... vectors
  std::int64_t vectors, lanes;                             // of the widest tile, the latter of a vector
  std::int64_t points;                                     // of depth that a turn of a tile's loop takes
  bool reads_part;                                         // whether the last columns need not be filled up
  std::array<DenseTiles<T>, most_dense_vectors> tiles[3];  // for each LeftFactor, of 1, 2, ... vectors
  void (*pack_neighbours)(const PackedTile<T>* tiles, std::int64_t count, std::int64_t step,
                          std::int64_t depth) noexcept;
  void (*pack_across)(const PackedTile<T>& tile, std::int64_t step, std::int64_t depth) noexcept;
};

namespace portable {
using simd::portable::Simd;
constexpr int dense_rows[] = {8, 6, 0}, dense_vectors = 2, points_together = 1;
constexpr bool fetches_ahead = true, reads_part = false;
#include "kernels/cpu/dense_gemm_tile.inc"
}  // namespace portable

#if LINSEED_X86_TILES

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
using simd::avx2::Simd;
constexpr int dense_rows[] = {12, 6, 0}, dense_vectors = 2, points_together = 2;
constexpr bool fetches_ahead = true, reads_part = false;
#include "kernels/cpu/dense_gemm_tile.inc"
}  // namespace avx2
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx512f,avx2,fma")
namespace avx512 {
using simd::avx512::Simd;
constexpr int dense_rows[] = {16, 13, 9}, dense_vectors = most_dense_vectors, points_together = 1;
constexpr bool fetches_ahead = false, reads_part = true;
#include "kernels/cpu/dense_gemm_tile.inc"
}  // namespace avx512
#pragma GCC pop_options

#endif

template <class T>
const DenseKernel<T>& dense_kernel(VectorSet set) noexcept {
#if LINSEED_X86_TILES
  if (set == VectorSet::avx512) return avx512::Dense<T>::kernel;
  if (set == VectorSet::avx2) return avx2::Dense<T>::kernel;
#endif
  static_cast<void>(set);
  return portable::Dense<T>::kernel;
}

/// Lines of the cache that are wanted soon: `lines` of them `step` bytes apart, and more such, `apart` bytes from each
/// other.
struct Wanted {
  const void* first;
  std::int64_t step, lines, apart, sequences;
};

Wanted wanted(std::span<const std::byte> bytes) noexcept {
  constexpr std::int64_t line = 64;
  const auto lines = static_cast<std::int64_t>(bytes.size()) / line;
  return {bytes.data(), line, lines, 0, lines > 0 ? 1 : 0};
}

/// What the tiles of a range fetch for those after them.
class Ahead {
 public:
  static constexpr int most = 8;

  void add(const Wanted& wanted) noexcept {
    if (count_ < most && wanted.sequences > 0) wanted_[count_++] = wanted;
  }
  /// For a tile that fetches so many lines; `near` is fetched where nothing is wanted.
  Fetch next(std::int64_t lines, const void* near) noexcept {
    if (at_ == count_) return {static_cast<const char*>(near), 0};
    const Wanted& w = wanted_[at_];
    const Fetch fetch{static_cast<const char*>(w.first) + sequence_ * w.apart + line_ * w.step, w.step};
    line_ += lines;
    if (line_ >= w.lines) {
      line_ = 0;
      if (++sequence_ == w.sequences) sequence_ = 0, ++at_;
    }
    return fetch;
  }

 private:
  Wanted wanted_[most];
  int count_ = 0, at_ = 0;
  std::int64_t sequence_ = 0, line_ = 0;
};

/// A factor of one tile.
template <class T>
struct Factor {
  const T* at;
  std::int64_t step;
};

/// Packed tiles of a side from row `first` and point `k` of depth on, each with room for `room` points.
template <class T>
struct Packed {
  T* at;
  std::int64_t first, k, room;
};

/// The rows of a factor, or its columns, in tiles.
template <class T>
class Side {
 public:
  static constexpr std::int64_t most_together = 16;  // tiles that are packed at a time

  /// Tiles of rows, as even as can be.
  static Side of_rows(const T* from, MatrixStrides strides, std::int64_t count, std::int64_t most,
                      const DenseKernel<T>& kernel) noexcept {
    return {from, strides, count, most, /*unit=*/1, kernel};
  }
  /// Tiles of vectors of columns, as even as can be; those of the last one are filled up.
  static Side of_columns(const T* from, MatrixStrides strides, std::int64_t count,
                         const DenseKernel<T>& kernel) noexcept {
    return {from, strides, count, kernel.vectors, kernel.lanes, kernel};
  }
  /// Leaves the tiles where they are, those that would be filled up excepted.
  void stay() noexcept { first_packed_ = padded_ == count_ || kernel_->reads_part ? tiles_ : tiles_ - 1; }

  [[nodiscard]] std::int64_t tiles() const noexcept { return tiles_; }
  /// The first row of a tile; of the one after the last, the number of rows with what fills up.
  [[nodiscard]] std::int64_t first(std::int64_t tile) const noexcept {
    return unit_ * (tile * units_ + std::min(tile, wider_));
  }
  [[nodiscard]] std::int64_t width(std::int64_t tile) const noexcept { return first(tile + 1) - first(tile); }
  /// How many rows of a tile there are.
  [[nodiscard]] std::int64_t valid(std::int64_t tile) const noexcept {
    return std::min(width(tile), count_ - first(tile));
  }
  [[nodiscard]] bool is_packed(std::int64_t tile) const noexcept { return tile >= first_packed_; }
  [[nodiscard]] bool needs_memory() const noexcept { return first_packed_ < tiles_; }
  /// The first row that is packed, and how many there are with what fills up.
  [[nodiscard]] std::int64_t first_packed() const noexcept { return first(first_packed_); }
  [[nodiscard]] std::int64_t packed_rows() const noexcept { return padded_ - first_packed(); }

  /// Packs those of the tiles [begin, end), at most `most_together`, that do not stay, for the points [k, k + depth).
  void pack(std::int64_t begin, std::int64_t end, std::int64_t k, std::int64_t depth, const Packed<T>& to,
            std::int64_t offset = 0) const noexcept {
    begin = std::max(begin, first_packed_);
    if (begin >= end) return;
    PackedTile<T> packed[most_together];
    for (std::int64_t tile = begin; tile < end; ++tile) {
      packed[tile - begin] = {from_ + offset + first(tile) * strides_.row + k * strides_.depth, place(tile, k, to),
                              width(tile), valid(tile)};
    }
    if (strides_.row == 1) return kernel_->pack_neighbours(packed, end - begin, strides_.depth, depth);
    for (const PackedTile<T>* tile = packed; tile < packed + (end - begin); ++tile) {
      if (strides_.depth == 1) {
        kernel_->pack_across(*tile, strides_.row, depth);
      } else {
        pack_strided(*tile, depth);
      }
    }
  }
  /// All that do not stay, of a product of a stack.
  void pack_product(std::int64_t offset, std::int64_t depth, T* to) const noexcept {
    for (std::int64_t begin = first_packed_; begin < tiles_; begin += most_together)
      pack(begin, std::min(tiles_, begin + most_together), 0, depth, {to, first_packed(), 0, depth}, offset);
  }
  /// What `pack` reads of these tiles, or what is read of them where they stay.
  [[nodiscard]] Wanted wanted(std::int64_t begin, std::int64_t end, std::int64_t k, std::int64_t depth,
                              std::int64_t offset = 0) const noexcept {
    if (std::min(strides_.row, strides_.depth) != 1) return {};
    constexpr std::int64_t line = 64 / sizeof(T);
    const std::int64_t rows = std::min(first(end), count_) - first(begin);
    const T* const from = from_ + offset + first(begin) * strides_.row + k * strides_.depth;
    const auto [count, step, length] =
        strides_.row == 1 ? std::array{depth, strides_.depth, rows} : std::array{rows, strides_.row, depth};
    return {from, step * std::int64_t{sizeof(T)}, count, 64, (length + line - 1) / line};
  }
  /// Where a tile lies from point k on.
  [[nodiscard]] Factor<T> factor(std::int64_t tile, std::int64_t k, const Packed<T>& packed) const noexcept {
    if (is_packed(tile)) return {place(tile, k, packed), width(tile)};
    return {from_ + first(tile) * strides_.row + k * strides_.depth, strides_.row == 1 ? strides_.depth : strides_.row};
  }

 private:
  Side(const T* from, MatrixStrides strides, std::int64_t count, std::int64_t most_units, std::int64_t unit,
       const DenseKernel<T>& kernel) noexcept
      : from_(from), strides_(strides), count_(count), unit_(unit), kernel_(&kernel) {
    const std::int64_t units = (count + unit - 1) / unit;
    tiles_ = (units + most_units - 1) / most_units;
    units_ = units / tiles_;
    wider_ = units % tiles_;
    padded_ = units * unit;
  }

  [[nodiscard]] T* place(std::int64_t tile, std::int64_t k, const Packed<T>& packed) const noexcept {
    return packed.at + (first(tile) - packed.first) * packed.room + (k - packed.k) * width(tile);
  }
  void pack_strided(const PackedTile<T>& tile, std::int64_t depth) const noexcept {
    for (std::int64_t k = 0; k < depth; ++k) {
      for (std::int64_t i = 0; i < tile.width; ++i)
        tile.to[k * tile.width + i] = i < tile.valid ? tile.from[i * strides_.row + k * strides_.depth] : T{};
    }
  }

  const T* from_;
  MatrixStrides strides_;
  std::int64_t count_, unit_, tiles_;
  const DenseKernel<T>* kernel_;
  std::int64_t units_, wider_;  // of a tile; how many of the first ones have one more
  std::int64_t padded_, first_packed_ = 0;
};

/// Both sides of a product, which know whether they are packed.
template <class T>
struct Sides {
  Side<T> columns;
  std::int64_t most_rows;  // of a tile
  Side<T> rows;
  LeftFactor left = LeftFactor::packed;

  Sides(const MatrixProduct& p, const T* left_factor, const T* right_factor, const DenseKernel<T>& kernel) noexcept
      : columns(Side<T>::of_columns(right_factor, p.right, p.columns, kernel)),
        most_rows(most_rows_of(p, kernel, columns.width(0) / kernel.lanes)),
        rows(Side<T>::of_rows(left_factor, p.left, p.rows, most_rows, kernel)) {
    const DensePlaces places = dense_places(p, rows.tiles(), columns.tiles(), sizeof(T) == sizeof(float));
    if (places.left_stays) {
      left = p.left.depth == 1 ? LeftFactor::in_rows : LeftFactor::in_columns;
      rows.stay();
    }
    if (places.right_stays) columns.stay();
  }

 private:
  /// Rows that share a place of the nearest cache are taken fewer at a time than it has lines for one.
  static std::int64_t most_rows_of(const MatrixProduct& p, const DenseKernel<T>& kernel,
                                   std::int64_t vectors) noexcept {
    constexpr std::int64_t few = 9, way_bytes = 4096;
    const std::int64_t most = kernel.rows[vectors - 1];
    const bool share = p.left.depth == 1 && p.left.row * static_cast<std::int64_t>(sizeof(T)) % way_bytes == 0;
    return share ? std::min(few, most) : most;
  }
};

/// The tiles in some rows and columns, for the points [k, k + depth) of depth.
struct TileRange {
  std::int64_t row_begin, row_end, column_begin, column_end, k, depth;

  [[nodiscard]] std::int64_t tiles() const noexcept { return (row_end - row_begin) * (column_end - column_begin); }
};
constexpr ProductPlace one_place[] = {{0, 0, 0}};

template <class T>
void multiply_tiles(const Sides<T>& sides, const DenseKernel<T>& kernel, const TileRange& range,
                    const Packed<T>& packed_rows, const Packed<T>& packed_columns, T* result, std::int64_t result_row,
                    Ahead& ahead, std::span<const ProductPlace> in_place = one_place,
                    std::span<const ProductPlace> packed = one_place) noexcept {
  const auto& of_left = kernel.tiles[static_cast<int>(sides.left)];
  const std::int64_t lines = range.depth / kernel.points * static_cast<std::int64_t>(packed.size());
  for (std::int64_t m = range.row_begin; m < range.row_end; ++m) {
    const Factor<T> left = sides.rows.factor(m, range.k, packed_rows);
    const std::int64_t row = sides.rows.first(m), count = sides.rows.width(m);
    for (std::int64_t n = range.column_begin; n < range.column_end; ++n) {
      const Factor<T> right = sides.columns.factor(n, range.k, packed_columns);
      const auto vectors = static_cast<std::size_t>(sides.columns.width(n) / kernel.lanes);
      of_left[vectors - 1][static_cast<std::size_t>(count - 1)](
          {.left = left.at,
           .left_step = left.step,
           .right = right.at,
           .right_step = right.step,
           .depth = range.depth,
           .result = result + row * result_row + sides.columns.first(n),
           .result_step = result_row,
           .columns = sides.columns.valid(n),
           .accumulate = range.k > 0,
           .fetch = ahead.next(lines, left.at),
           .places = sides.columns.is_packed(n) ? packed : in_place});
    }
  }
}

constexpr std::int64_t tiles_together = 4;

/// Into how many strips a side is cut for threads to share: one per tile where these are few; else four tiles or so
/// together use what the second cache has of the other side. Eight strips, or a multiple of it, go evenly into most
/// numbers of threads.
std::int64_t strips_of(std::int64_t tiles) noexcept {
  constexpr std::int64_t few = 16, even = 8;
  return tiles < few ? tiles
                     : std::max<std::int64_t>(1, (tiles + even * tiles_together / 2) / (even * tiles_together)) * even;
}

/// A whole side, packed where it does not stay.
template <class T>
void pack_all(const Side<T>& side, std::int64_t depth, const Packed<T>& to, const Executor& executor) noexcept {
  if (!side.needs_memory()) return;
  constexpr std::int64_t together = 8;
  static_assert(together <= Side<T>::most_together);
  executor.parallel_for((side.tiles() + together - 1) / together, [&](std::int64_t task) {
    side.pack(task * together, std::min(side.tiles(), (task + 1) * together), 0, depth, to);
  });
}

template <Scratch purpose, class T>
T* memory_for(const Side<T>& side, std::int64_t elements) noexcept {
  return scratch_elements<purpose, T>(side.needs_memory() ? elements : 0);
}

}  // namespace

DensePlaces dense_places(const MatrixProduct& p, std::int64_t row_tiles, std::int64_t column_tiles,
                         bool is_float32) noexcept {
  // What is used a few times only is not worth packing. But rows of the left factor that lie a power of two apart share
  // a few places of the nearest cache; the right one is read from the second cache as fast.
  constexpr std::int64_t few_row_tiles = 8, few_column_tiles = 4;
  const auto apart = [&](std::int64_t step, std::int64_t bytes) { return step * (is_float32 ? 4 : 8) % bytes != 0; };
  const bool rows_stay = p.left.depth == 1 && (apart(p.left.row, 2048) || column_tiles == 1);
  const bool columns_stay = p.left.depth != 1 && p.left.row == 1 && column_tiles <= few_column_tiles;
  return {rows_stay || columns_stay, p.right.row == 1 && row_tiles <= few_row_tiles};
}

namespace {

/// Whether a product is better computed as that of its transposed factors, which is transposed in turn. Few rows times
/// a transposed matrix: its rows are read where they lie then, instead of being turned first. A transposed matrix times
/// few columns: they fill vectors badly.
bool is_better_turned(const MatrixProduct& p, std::int64_t lanes, std::int64_t widest) noexcept {
  constexpr std::int64_t least_depth = 64;
  if (p.depth < least_depth) return false;
  const auto wasted = [&](std::int64_t count) { return (count + lanes - 1) / lanes * lanes - count; };
  if (p.left.depth == 1 && p.right.depth == 1 && p.right.row != 1)
    return p.rows <= widest && p.rows * 2 <= p.columns && 2 * wasted(p.rows) <= lanes;
  return p.left.row == 1 && p.right.row == 1 && p.columns <= widest && p.columns * 4 <= p.rows &&
         3 * wasted(p.columns) >= p.columns;
}

template <class T>
bool multiply_dense(const MatrixProduct& product, const T* left, const T* right, T* result, std::int64_t result_row,
                    const DenseKernel<T>& kernel, const Executor& executor) noexcept {
  const Sides<T> sides(product, left, right, kernel);
  const std::int64_t depth = product.depth;

  // The longer side is cut into strips. A task has one of them and a block of the other side; it packs its strip, a
  // piece of depth at a time, which then stays in the second cache, and fetches the next piece, or the next strip's
  // first, meanwhile. The other side is packed before, for all. What is too small to be shared by threads has few
  // tasks, and rather packs nothing before.
  constexpr std::int64_t small = 1 << 18;  // multiply-adds
  const bool rows_stay =
      product.rows * product.columns * depth <= small && !sides.rows.needs_memory() && sides.columns.needs_memory();
  const bool cut_columns = product.columns >= product.rows || rows_stay;
  const Side<T>& own = cut_columns ? sides.columns : sides.rows;
  const Side<T>& shared = cut_columns ? sides.rows : sides.columns;
  constexpr std::int64_t longest_block = 512;
  const std::int64_t strips = rows_stay ? (own.tiles() + tiles_together - 1) / tiles_together : strips_of(own.tiles());
  const std::int64_t blocks = rows_stay ? 1 : (shared.first(shared.tiles()) + longest_block - 1) / longest_block;

  constexpr std::int64_t near_bytes = 1 << 17;  // a side of so much is likely to be in the second cache
  const bool is_far = own.first(own.tiles()) * depth * static_cast<std::int64_t>(sizeof(T)) > near_bytes;

  const Packed<T> packed_shared{memory_for<Scratch::packed_factor>(shared, shared.first(shared.tiles()) * depth), 0, 0,
                                depth};
  if (packed_shared.at == nullptr) return false;
  pack_all(shared, depth, packed_shared, executor);

  std::atomic<bool> complete = true;
  executor.parallel_for(strips * blocks, [&](std::int64_t task) {
    const std::int64_t strip = task % strips, block = task / strips;
    const std::int64_t later = (task + 1) % strips;  // what this thread is likely to have next
    const std::int64_t own_begin = strip * own.tiles() / strips, own_end = (strip + 1) * own.tiles() / strips;
    const std::int64_t shared_begin = block * shared.tiles() / blocks,
                       shared_end = (block + 1) * shared.tiles() / blocks;
    T* const memory = memory_for<Scratch::packed_strip>(
        own, (own.first(own_end) - own.first(own_begin)) * std::min(depth, chain_depth));
    if (memory == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    for (std::int64_t k = 0; k < depth; k += chain_depth) {
      const std::int64_t length = std::min(chain_depth, depth - k), next = std::min(chain_depth, depth - k - length);
      const Packed<T> packed_own{memory, own.first(own_begin), k, length};
      own.pack(own_begin, own_end, k, length, packed_own);
      Ahead ahead;
      if (next > 0) {
        ahead.add(own.wanted(own_begin, own_end, k + length, next));
      } else if (is_far && later != strip) {
        ahead.add(own.wanted(later * own.tiles() / strips, (later + 1) * own.tiles() / strips, 0,
                             std::min(depth, chain_depth)));
      }
      const TileRange range = cut_columns ? TileRange{shared_begin, shared_end, own_begin, own_end, k, length}
                                          : TileRange{own_begin, own_end, shared_begin, shared_end, k, length};
      multiply_tiles(sides, kernel, range, cut_columns ? packed_shared : packed_own,
                     cut_columns ? packed_own : packed_shared, result, result_row, ahead);
    }
  });
  return complete.load(std::memory_order_relaxed);
}

}  // namespace

template <class T>
bool dense_gemm(const MatrixProduct& p, const T* left, const T* right, T* result, std::int64_t result_row,
                const Executor& executor) noexcept {
  const DenseKernel<T>& kernel = dense_kernel<T>(executor.vectors());
  if constexpr (std::is_same_v<T, float>) {
    if (is_better_turned(p, kernel.lanes, kernel.vectors * kernel.lanes)) {
      float* const turned = scratch_floats<Scratch::turned_product>(p.rows * p.columns);
      if (turned == nullptr ||
          !multiply_dense({p.columns, p.rows, p.depth, p.right, p.left}, right, left, turned, p.rows, kernel, executor))
        return false;
      copy_transposed(reinterpret_cast<const std::uint32_t*>(turned), p.rows, reinterpret_cast<std::uint32_t*>(result),
                      result_row, p.rows, p.columns, executor.vectors());
      return true;
    }
  }
  return multiply_dense(p, left, right, result, result_row, kernel, executor);
}

template bool dense_gemm(const MatrixProduct&, const float*, const float*, float*, std::int64_t,
                         const Executor&) noexcept;
template bool dense_gemm(const MatrixProduct&, const double*, const double*, double*, std::int64_t,
                         const Executor&) noexcept;

template <class T>
bool dense_gemm_stack(const MatrixProduct& each, std::span<const ProductPlace> places, const T* left, const T* right,
                      T* result, std::int64_t result_row, const Executor& executor) noexcept {
  const DenseKernel<T>& kernel = dense_kernel<T>(executor.vectors());
  const Sides<T> sides(each, left, right, kernel);
  const std::int64_t depth = each.depth, count = static_cast<std::int64_t>(places.size());

  // Tiles of several small products take turns, so that what is the same for all is done once.
  constexpr std::int64_t most_together = 32, enough = 1 << 15;  // multiply-adds
  const std::int64_t together = std::clamp<std::int64_t>(enough / (each.rows * each.columns * depth), 1, most_together);
  const std::int64_t packed_rows = sides.rows.needs_memory() ? each.rows * depth : 0;
  const std::int64_t packed_columns = sides.columns.packed_rows() * depth;

  std::atomic<bool> complete = true;
  executor.parallel_for((count + together - 1) / together, [&](std::int64_t task) {
    const std::int64_t begin = task * together, some = std::min(together, count - begin);
    T* const memory = scratch_elements<Scratch::packed_strip, T>(some * (packed_rows + packed_columns));
    if (memory == nullptr) {
      complete.store(false, std::memory_order_relaxed);
      return;
    }
    T* const columns_memory = memory + some * packed_rows;
    std::array<ProductPlace, most_together> in_place, packed;
    for (std::int64_t i = 0; i < some; ++i) {
      const ProductPlace& at = places[static_cast<std::size_t>(begin + i)];
      sides.rows.pack_product(at.left, depth, memory + i * packed_rows);
      sides.columns.pack_product(at.right, depth, columns_memory + i * packed_columns);
      const auto index = static_cast<std::size_t>(i);
      in_place[index] = packed[index] = {packed_rows > 0 ? i * packed_rows : at.left, at.right, at.result};
      packed[index].right = i * packed_columns;
    }
    Ahead ahead;
    if (together == 1 && begin + 1 < count) {
      const ProductPlace& later = places[static_cast<std::size_t>(begin + 1)];
      ahead.add(sides.columns.wanted(0, sides.columns.tiles(), 0, depth, later.right));
      ahead.add(sides.rows.wanted(0, sides.rows.tiles(), 0, depth, later.left));
    }
    multiply_tiles(sides, kernel, {0, sides.rows.tiles(), 0, sides.columns.tiles(), 0, depth}, {memory, 0, 0, depth},
                   {columns_memory, sides.columns.first_packed(), 0, depth}, result, result_row, ahead,
                   {in_place.data(), static_cast<std::size_t>(some)}, {packed.data(), static_cast<std::size_t>(some)});
  });
  return complete.load(std::memory_order_relaxed);
}

template bool dense_gemm_stack(const MatrixProduct&, std::span<const ProductPlace>, const float*, const float*, float*,
                               std::int64_t, const Executor&) noexcept;
template bool dense_gemm_stack(const MatrixProduct&, std::span<const ProductPlace>, const double*, const double*,
                               double*, std::int64_t, const Executor&) noexcept;

void dense_gemm_rows(const MatrixProduct& product, const float* left, const float* right, float* memory,
                     const RowUser& user, const Executor& executor) noexcept {
  const DenseKernel<float>& kernel = dense_kernel<float>(executor.vectors());
  const auto& [rows, columns, depth, left_strides, right_strides] = product;
  const Sides<float> whole(product, left, right, kernel);
  const Packed<float> packed_columns{
      memory_for<Scratch::packed_factor>(whole.columns, whole.columns.first(whole.columns.tiles()) * depth), 0, 0,
      depth};
  if (packed_columns.at != nullptr) pack_all(whole.columns, depth, packed_columns, executor);

  const auto rows_of = [&](std::int64_t first, std::int64_t count) {
    return Side<float>::of_rows(left + first * left_strides.row, left_strides, count, whole.most_rows, kernel);
  };
  const std::int64_t strips = (rows + most_rows_used - 1) / most_rows_used;
  executor.parallel_for(strips, [&](std::int64_t strip, int worker) {
    float* const result = memory + worker * most_rows_used * columns;
    float* const packed_left =
        memory_for<Scratch::packed_strip>(whole.rows, most_rows_used * std::min(depth, chain_depth));
    const std::int64_t first = strip * rows / strips, count = (strip + 1) * rows / strips - first;
    const float* const from = left + first * left_strides.row;
    if (packed_left == nullptr || packed_columns.at == nullptr) {
      Lattice row_places, depth_places;
      row_places.extent[3] = count;
      row_places.stride[0][3] = left_strides.row;
      row_places.stride[1][3] = columns;
      depth_places.extent[3] = depth;
      depth_places.stride[0][3] = left_strides.depth;
      depth_places.stride[1][3] = right_strides.depth;
      offset_gemm(from, row_places, depth_places, right, {columns, right_strides.row}, result, /*accumulate=*/false,
                  executor.vectors());
      user.use(first, count, result);
      return;
    }
    Sides<float> sides = whole;
    sides.rows = rows_of(first, count);
    if (sides.left != LeftFactor::packed) sides.rows.stay();
    Ahead ahead;
    for (std::size_t i = 0; i < Ahead::most - 1; ++i) ahead.add(wanted(user.reads(first, count, i)));
    if (strip + 1 < strips) {
      const std::int64_t later = (strip + 1) * rows / strips;
      const Side<float> side = rows_of(later, (strip + 2) * rows / strips - later);
      ahead.add(side.wanted(0, side.tiles(), 0, std::min(depth, chain_depth)));
    }
    for (std::int64_t k = 0; k < depth; k += chain_depth) {
      const std::int64_t length = std::min(chain_depth, depth - k);
      const Packed<float> packed_rows{packed_left, 0, k, length};
      sides.rows.pack(0, sides.rows.tiles(), k, length, packed_rows);
      const std::int64_t block = 256 / (kernel.vectors * kernel.lanes);  // columns that stay in the second cache
      for (std::int64_t begin = 0; begin < sides.columns.tiles(); begin += block) {
        const std::int64_t end = std::min(sides.columns.tiles(), begin + block);
        multiply_tiles(sides, kernel, {0, sides.rows.tiles(), begin, end, k, length}, packed_rows, packed_columns,
                       result, columns, ahead);
      }
    }
    user.use(first, count, result);
  });
}

}  // namespace linseed::kernels::cpu
