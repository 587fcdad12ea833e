#include "kernels/cpu/product_cost.hpp"

#include <algorithm>
#include <limits>

#include "kernels/cpu/dense_gemm.hpp"

namespace linseed::kernels::cpu {

namespace {

// Each estimate is a sum of counts that follow from the shape, times what one of each takes. The latter were fitted to
// the least times of each routine, forced on the shapes of a sweep, with AVX-512 on a core with 32 KB of nearest cache.
// That core's tiles are counted on every machine, so that the choice, and with it the bits, are the same everywhere.

constexpr double never = std::numeric_limits<double>::infinity();

double up(std::int64_t count, std::int64_t block) noexcept { return static_cast<double>((count + block - 1) / block); }

/// A product's extents as the estimates use them.
struct Counts {
  double rows, columns, depth, vectors, chains;
  std::int64_t lanes;

  explicit Counts(const ProductStack& stack) noexcept
      : rows(static_cast<double>(stack.each.rows)),
        columns(static_cast<double>(stack.each.columns)),
        depth(static_cast<double>(stack.each.depth)),
        vectors(up(stack.each.columns, stack.is_float32 ? 16 : 8)),
        chains(up(stack.each.depth, chain_depth)),
        lanes(stack.is_float32 ? 16 : 8) {}
};

/// Whether offset_gemm reads the right factor where it lies.
bool is_thin(const MatrixProduct& p) noexcept { return p.right.row == 1 && (p.rows <= 4 || p.depth <= 4); }
/// Whether it writes the result row by row.
bool is_shallow(const MatrixProduct& p) noexcept {
  return p.right.row == 1 && p.right.depth != 1 && (p.depth <= 4 || (p.depth <= 8 && p.columns >= 64));
}
double cost_of_rows(const Counts& n) noexcept { return n.rows * (24 + 0.65 * n.depth * n.vectors); }

}  // namespace

// Without packing for a few rows or little depth, else in panels of columns against eight rows at a time.
double cost_of_panels(const ProductStack& stack) noexcept {
  const Counts n(stack);
  const MatrixProduct& p = stack.each;
  if (is_thin(p))
    return n.depth * n.vectors * (2.5 * up(p.rows, 4) + 0.42 * n.rows) + 3.7 * n.rows * n.vectors * n.chains;
  const double passes = up(p.rows, 256);
  const double packing = p.right.row == 1 ? 3.0 * n.vectors : 0.65 * n.columns;
  const double pairs = up(p.columns, 2 * n.lanes), single = 2 * pairs - n.vectors;  // which half fills its panel
  const double point = (p.left.depth == 1 ? 12.5 : 14.5) * pairs - 3.5 * single;    // of depth, of eight rows
  return n.depth * (up(p.rows, 8) * point + packing * passes) + 3.7 * n.rows * n.vectors * n.chains;
}

namespace {

double cost_of_offsets(const ProductStack& stack) noexcept {
  const Counts n(stack);
  const MatrixProduct& p = stack.each;
  const double tasks = up(p.rows, 256) * up(p.columns, 128);
  const double places = tasks * n.depth + n.rows * up(p.columns, 128);
  const double by_panels = 245 * tasks + 10 * places + cost_of_panels(stack);
  return is_shallow(p) ? std::min(by_panels, 245 + cost_of_rows(n)) : by_panels;
}

bool may_be_row_dots(const ProductStack& stack) noexcept {
  return stack.is_plain && stack.is_float32 && stack.each.left.depth == 1 && stack.each.right.depth == 1;
}

double cost_of_tiles(const ProductStack& stack) noexcept {
  const Counts n(stack);
  const MatrixProduct& p = stack.each;
  constexpr std::int64_t tile_rows = 9, tile_vectors = 3, wanted_tasks = 16;
  constexpr double latency = 4;  // of a multiply-add: fewer sums than this many cycles hold leave it waiting
  const double row_tiles = up(p.rows, tile_rows), column_tiles = up(p.columns, tile_vectors * n.lanes);
  const double rows = n.rows / row_tiles, last = n.vectors - tile_vectors * (column_tiles - 1);
  const double point = (column_tiles - 1) * std::max(latency, rows * tile_vectors / 2) +
                       std::max(latency, rows * last / 2);  // of depth, along a row of tiles
  const DensePlaces places =
      dense_places(p, static_cast<std::int64_t>(row_tiles), static_cast<std::int64_t>(column_tiles), stack.is_float32);
  const double tasks = std::min<double>(p.columns >= p.rows ? column_tiles : row_tiles, wanted_tasks);
  const double right = n.vectors * static_cast<double>(n.lanes) * n.depth;
  double moved = 0;
  if (!places.left_stays) moved += (p.left.row == 1 ? 3.9 : 0.72) * n.rows * n.depth;
  if (places.left_stays && p.left.row == 1) moved += 0.2 * n.rows * n.depth;
  if (!places.right_stays) moved += (p.right.row == 1 ? 0.4 : 0.43) * right;
  if (places.right_stays && row_tiles == 1) moved += (p.rows <= 4 ? 0.25 : 0.09) * right;
  const double work = n.depth * row_tiles * (1.03 * point + 2.5 * column_tiles) + moved;
  const double alone = 363 + 89 * tasks + 168 * row_tiles * column_tiles * n.chains + work;
  // row_dots adds in another order: where it may serve, what is said of the others stays as it was first fitted. Tiles
  // have become faster since: they take over what panels had.
  const bool is_stack = fits_dense_stack(stack.batches, p) && !may_be_row_dots(stack);
  const double cost = is_stack ? 30 + 80 * row_tiles * column_tiles + work : alone;
  return is_thin(p) || is_shallow(p) ? cost : std::min(cost, cost_of_offsets(stack));
}

/// Four rows by four columns at a time, or one by four, 16 points of depth in a vector.
double cost_of_row_dots(const ProductStack& stack) noexcept {
  const Counts n(stack);
  const double steps = up(stack.each.depth, 16);
  const auto fours = static_cast<double>(stack.each.rows / 4), rest = static_cast<double>(stack.each.rows % 4);
  return 317 + n.columns * (steps * (4.2 * fours + 3.2 * rest) + 7.6 * n.rows);
}

/// It takes less per multiply-add than dense_gemm where factors are beyond the second cache.
double cost_of_blas(const ProductStack& stack) noexcept {
  const Counts n(stack);
  return 15'000 + 1.2 * n.rows * n.columns * n.depth / (2.0 * static_cast<double>(n.lanes));
}

// While one thread is in the serial OpenBLAS all others wait: it is for products so large that it wins all the same.
constexpr std::int64_t large_product = std::int64_t{1} << 28;  // multiply-adds

}  // namespace

std::string_view to_string(ProductRoutine routine) noexcept {
  switch (routine) {
    case ProductRoutine::small_gemm: return "small_gemm";
    case ProductRoutine::dense_gemm: return "dense_gemm";
    case ProductRoutine::row_dots: return "row_dots";
    case ProductRoutine::blas: return "blas";
    default: return "offset_gemm";
  }
}

double product_cost(ProductRoutine routine, const ProductStack& stack) noexcept {
  const MatrixProduct& p = stack.each;
  const auto batches = static_cast<double>(stack.batches);
  const auto has_neighbours = [](MatrixStrides factor) { return std::min(factor.row, factor.depth) == 1; };
  switch (routine) {
    case ProductRoutine::small_gemm:
      if (!stack.is_small) return never;
      return is_shallow(p) ? std::min(cost_of_panels(stack), cost_of_rows(Counts(stack))) : cost_of_panels(stack);
    case ProductRoutine::offset_gemm: return batches * cost_of_offsets(stack);
    case ProductRoutine::dense_gemm: return stack.is_plain ? batches * cost_of_tiles(stack) : never;
    case ProductRoutine::row_dots: return may_be_row_dots(stack) ? batches * cost_of_row_dots(stack) : never;
    case ProductRoutine::blas:
      return stack.blas_allowed && stack.is_plain && has_neighbours(p.left) && has_neighbours(p.right) &&
                     p.rows * p.columns * p.depth > large_product
                 ? batches * cost_of_blas(stack)
                 : never;
  }
  return never;
}

ProductRoutine choose_product(const ProductStack& stack) noexcept {
  ProductRoutine best = product_routines[0];
  double least = never;
  for (const ProductRoutine routine : product_routines) {
    const double cost = product_cost(routine, stack);
    if (cost < least) best = routine, least = cost;
  }
  return best;
}

}  // namespace linseed::kernels::cpu
