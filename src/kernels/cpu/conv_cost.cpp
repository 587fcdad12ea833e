#include "kernels/cpu/conv_cost.hpp"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <limits>

#include "kernels/cpu/conv_depthwise.hpp"
#include "kernels/cpu/conv_direct.hpp"
#include "kernels/cpu/conv_grid.hpp"
#include "kernels/cpu/conv_lanes.hpp"
#include "kernels/cpu/conv_panels.hpp"
#include "kernels/cpu/offset_gemm.hpp"
#include "kernels/cpu/product_cost.hpp"
#include "kernels/cpu/winograd_rows.hpp"

namespace linseed::kernels::cpu {

namespace {

// Each estimate is a sum of counts that follow from the shape, times the cycles that one of each takes. The latter were
// fitted to the least times of each routine, forced on the shapes of a sweep, with AVX-512 on a core with 32 KB of
// nearest cache and 1 MB of the second. That core's tiles and caches are counted on every machine, so that the choice,
// and with it the bits, are the same everywhere. Those of `direct` and of outputs by lanes were fitted on a faster core,
// which takes 0.74 of the others' estimates, and stretched by that.

constexpr double never = std::numeric_limits<double>::infinity();
constexpr double latency = 4;       // of a multiply-add: fewer sums than this many cycles hold leave it waiting
constexpr std::int64_t width = 16;  // floats of a vector

struct Term {
  double count, cycles;
};
double total(std::initializer_list<Term> terms) noexcept {
  double sum = 0;
  for (const Term& term : terms) sum += term.count * term.cycles;
  return sum;
}

double number(std::int64_t count) noexcept { return static_cast<double>(count); }
double up(std::int64_t count, std::int64_t block) noexcept { return number(ceil_divide(count, block)); }

/// Pairs of an output place and a tap on an axis that meet the input.
double meetings(const Axis& axis) noexcept {
  const double out = number(axis.out), taps = number(axis.taps), stride = number(axis.stride),
               dilation = number(axis.kernel_dilation), spread = number(axis.input_dilation);
  // Beside the input, on either side, lie the pairs under a triangle.
  const auto beside = [&](double beyond) {
    return beyond <= 0 ? 0 : std::min(beyond * (beyond + stride) / (2 * stride * dilation), 0.5 * out * taps);
  };
  const double high = (out - 1) * stride - number(axis.low) + (taps - 1) * dilation - (number(axis.in) - 1) * spread;
  return std::max((out * taps - beside(number(axis.low)) - beside(high)) / number(axis.phases()), 1.0);
}

/// Vectors that a routine goes over, if they are more than the second cache holds.
double far(double vectors) noexcept {
  constexpr double most_near = 12'000;
  return vectors > most_near ? vectors : 0;
}
/// The input and the output.
double operands(const Problem& p) noexcept {
  double in = number(p.samples * p.groups * p.channels), out = number(p.samples * p.groups * p.features);
  for (const Axis& axis : p.axis) in *= number(axis.in), out *= number(axis.out);
  return (in + out) / width;
}

// ---- lanes ----

/// What lanes do for one block of samples or strips of rows.
struct LanesBlock {
  double blocks, rows;
  double row_taps;  // pairs of a row and a row of taps that meet the input
  double in_vectors, out_vectors, kernel;

  explicit LanesBlock(const Problem& p) noexcept {
    const std::int64_t strip = lanes::strip_height(p, lanes::Layout::ordinary);
    const auto& [depth, height, columns] = p.axis;
    const bool whole = strip == height.out;
    blocks = up(p.samples * ceil_divide(height.out, strip), kernels::lanes);
    rows = number(strip);
    row_taps = whole ? meetings(height) : rows * number(height.taps);
    in_vectors = number(whole ? height.in : height.reach(strip)) * number(columns.in * p.channels);
    out_vectors = rows * number(columns.out * p.features);
    kernel = number(height.taps * columns.taps * p.channels * p.features);
  }
};

/// Few blocks of much work leave threads without any: that is to be worth it.
double with_few_tasks(double cost, double tasks) noexcept {
  constexpr double much = 100'000, fewest = 4, disadvantage = 1.2;
  return tasks < fewest && cost > much ? disadvantage * cost : cost;
}

/// `laid` is the share of the input and the output that has to be laid in lanes.
double lanes_cost(const Problem& p, double laid) noexcept {
  const LanesBlock n(p);
  const Axis& columns = p.axis[2];
  // Tiles of features and pixels, about as the routine has them for the widest vectors.
  constexpr std::int64_t most_pixels[] = {0, 8, 8, 7, 5, 5, 4, 4, 3};
  double steps = 0, tiles = 0, feature_tiles = 0;
  for (std::int64_t left = p.features; left > 0;) {
    const std::int64_t features = left == 12 || left == 6 || left == 7 ? 6
                                  : left == 5                          ? 4
                                                                       : std::min<std::int64_t>(left, 8);
    const std::int64_t count = left >= 24 ? (left - 16) / 8 : 1, pixels = most_pixels[features];
    const auto step = [&](std::int64_t of_pixels) {
      return std::max({latency, 0.5 * number(features * of_pixels), 0.5 * number(features + of_pixels)});
    };
    const std::int64_t full = columns.out / pixels, pairs = columns.out % pixels / 2, single = columns.out % pixels % 2;
    steps += number(count) * (number(full) * step(pixels) + number(pairs) * step(2) + number(single) * step(1));
    tiles += number(count * (full + pairs + single));
    feature_tiles += number(count);
    left -= count * features;
  }
  const double channels = number(p.channels), seen = meetings(columns) / number(columns.out);  // taps of a row
  constexpr double most_nearest = 400;  // vectors that stay in the nearest cache beside all else
  const bool tile_far = (8 + number(columns.taps * columns.kernel_dilation)) * channels > most_nearest;
  const bool rows_far = number(p.axis[1].taps * columns.in) * channels > most_nearest;
  const double reads = n.blocks * n.row_taps * feature_tiles * channels;
  return with_few_tasks(total({{n.blocks * n.row_taps * steps * seen * channels, 1.46},  // products
                               {n.blocks * n.rows * tiles, 230},
                               {n.blocks * n.row_taps * tiles, 8},
                               {n.blocks * n.rows, 175},
                               {laid * n.blocks * n.in_vectors, 7.4},                       // laid in lanes
                               {tile_far ? reads * seen * number(columns.out) : 0.0, 0.1},  // from the second cache
                               {rows_far ? reads * number(columns.in) : 0.0, 0.3},
                               {laid * n.blocks * far(n.in_vectors), 5.8},
                               {far(operands(p)), 1.8},
                               {n.kernel, 1.7}}),
                        n.blocks);
}

double lanes_sums_cost(const Problem& p, double laid) noexcept {
  const LanesBlock n(p);
  const Axis& columns = p.axis[2];
  const bool plain = columns.stride == 1 && columns.kernel_dilation == 1;
  const double row = number(columns.out), seen = meetings(columns) / number(columns.taps);
  const std::int64_t fives = columns.taps == 5 ? 1 : columns.taps >= 8 ? (columns.taps - 3) / 5 : 0;
  double steps = 0, reads = 0, tiles = 0, sums = 0;
  // Tiles of taps and features, about as the routine has them for the widest vectors.
  for (std::int64_t left = p.features; left > 0;) {
    const std::int64_t features = left >= 8 && fives == 0 ? 8
                                  : left >= 4             ? 4
                                  : left >= 2             ? 2
                                                          : 1,
                       count = left / features;
    std::int64_t taps = columns.taps;
    const auto take = [&](std::int64_t of_taps, std::int64_t tap_tiles) {
      steps += number(count * tap_tiles) *
               std::max({latency, 0.5 * number(of_taps * features), 0.5 * number(features + (plain ? 1 : of_taps))});
      reads += number(count * tap_tiles * (plain ? 1 : of_taps));
      tiles += number(count * tap_tiles);
      taps -= of_taps * tap_tiles;
    };
    if (features <= 4) take(5, fives);
    take(3, taps / 3);
    take(1, taps);
    const double strip_rows =
        std::max(1.0, std::floor(6144 / (row * number((p.features > 8 ? features : p.features) * kernels::lanes))));
    sums += number(count * features) / number(p.features) * std::ceil(n.rows / strip_rows);
    left -= count * features;
  }
  const double channels = number(p.channels), pairs = n.blocks * n.row_taps * (plain ? seen : row);
  return with_few_tasks(total({{pairs * steps * channels, 1.7},  // products
                               {columns.stride == 1 ? 0 : pairs * reads * channels, 1.4},
                               {n.blocks * n.row_taps * tiles * channels, 13},
                               {n.blocks * sums * n.kernel, 7.1},  // sums taken up and put down
                               {n.blocks * sums * far(n.kernel), 14.5},
                               {laid * n.blocks * n.in_vectors, 7},  // laid in lanes
                               {laid * n.blocks * n.out_vectors, 4.8},
                               {p.features > 8 ? n.blocks * n.out_vectors : 0.0, 2.8},
                               {laid * n.blocks * far(n.out_vectors), 15.5},
                               {far(operands(p)), 8.2},
                               {1, 2000}}),
                        n.blocks);
}

// ---- panels ----

constexpr std::int64_t panel = 2 * width;  // features

double panels_cost(const Problem& p, bool turned) noexcept {
  const std::int64_t chunks = ceil_divide(p.channels, width), panels = ceil_divide(p.features, panel);
  const bool narrow = p.features - (panels - 1) * panel <= width;  // the last panel
  const double groups = number(p.groups);
  Extents periods;
  for (std::size_t i = 0; i < axes; ++i) periods[i] = std::min(p.axis[i].phases(), p.axis[i].out);
  double steps = 0, laid = 0, runs = 0, located = 0, carried = 0, tasks = 0, taps = 0;
  for (std::int64_t index = 0; index < product(periods); ++index) {
    std::int64_t rest = index, part_taps = 1, rows = p.samples, lines = p.samples;
    for (std::size_t i = axes; i-- > 0; rest /= periods[i]) {
      const Phase phase = phase_of(p.axis[i], rest % periods[i], 0, p.axis[i].out);
      part_taps *= phase.tap_count;
      rows *= phase.out_count;
      if (i + 1 < axes) lines *= phase.out_count;
    }
    // The cut into blocks is that of the routine.
    const std::int64_t depth = part_taps * chunks * width, fitting = (48 << 10) / std::max<std::int64_t>(depth, 1);
    const std::int64_t at_once =
        std::clamp<std::int64_t>(std::min(fitting / 14, ceil_divide(ceil_divide(rows, 16), 14)) * 14, 28, 252);
    const std::int64_t blocks = ceil_divide(rows, at_once);
    const double tiles = number(blocks) * up(ceil_divide(rows, blocks), 14), height = number(rows) / tiles;
    steps += number(depth) * tiles *
             (number(panels) * std::max(latency, height) -
              (narrow ? std::max(latency, height) - std::max(latency, 0.5 * (height + 1)) : 0));
    carried += number(rows * panels) * std::max(1.0, up(part_taps * chunks, 8));
    const double repeated = std::clamp(std::floor(16 / (number(blocks) * groups)), 1.0, number(panels));
    laid += repeated * number(rows * part_taps * chunks);
    runs += repeated * number((lines + blocks) * part_taps);
    located += repeated * number(rows);
    tasks += repeated * number(blocks);
    taps += number(part_taps);
  }
  const double weights = 2 * groups * taps * number(chunks * width * panels);  // vectors
  return total({{groups * steps, 1.05},                                        // products
                {groups * laid, 4},                                            // pixels side by side
                {groups * runs, 51},
                {groups * located, 9.2},
                {groups * carried, 29},      // sums taken up and put down
                {turned ? 0 : weights, 12},  // packed
                {turned ? weights : 0, 15.5},
                {far(weights), 3.8},
                {far(operands(p)), 2.7},
                {groups * tasks, 720}});
}

double panels_sums_cost(const Problem& p) noexcept {
  const std::int64_t chunks = ceil_divide(p.channels, width), panels = ceil_divide(p.features, panel);
  const bool narrow = p.features - (panels - 1) * panel <= width;
  const double groups = number(p.groups), taps = number(p.axis[0].taps * p.axis[1].taps * p.axis[2].taps);
  const double lines = number(p.samples * p.axis[0].out * p.axis[1].out), rows = lines * number(p.axis[2].out);
  // The cut into tasks is about that of the routine.
  const double task_panels = std::min(number(panels), 4.0);
  const double task_chunks =
      std::clamp(std::floor(96 * 1024 / (taps * width * panel * task_panels)), 1.0, number(chunks));
  const double chunk_groups = std::ceil(number(chunks) / task_chunks), panel_groups = up(panels, 4);
  const double places = groups * chunk_groups * panel_groups;
  const double shares = std::clamp(std::floor(std::min(std::ceil(16 / places), rows / 252)), 1.0, 16.0);
  const double blocks = std::max(std::ceil(rows / 252), shares);
  const double sums = 2 * groups * taps * number(chunks * width * panels);                                 // vectors
  return total({{groups * rows * taps * number(chunks) * (16 * number(panels) - (narrow ? 8 : 0)), 1.42},  // products
                {groups * rows * taps * number(chunks) * panel_groups, 3.5},  // pixels side by side
                {groups * (lines + blocks) * taps * chunk_groups * panel_groups, 42},
                {groups * rows * chunk_groups * panel_groups, 35},
                {blocks * sums, 4.4},   // taken up and put down
                {shares * sums, 20.5},  // added up
                {groups * taps * number(p.channels), 84},
                {far(operands(p)), 3.5}});
}

// ---- direct ----

/// Tiles of so many neighbours at most, which are as even as can be, each with its own least time.
double in_tiles(std::int64_t count, std::int64_t most, double each) noexcept {
  if (count == 0) return 0;
  const double tiles = up(count, most);
  return tiles * std::max(latency, each * number(count) / tiles);
}

double direct_cost(const Problem& whole) noexcept {
  const Problem p = direct::with_long_rows(whole);
  constexpr std::int64_t pixels = 14, narrow_pixels = 16;
  const auto& [depth, height, columns] = p.axis;
  const std::int64_t panels = ceil_divide(p.features, panel);
  const bool narrow = p.features - (panels - 1) * panel <= width;  // the last panel
  const double wide = number(panels - narrow), half = number(narrow);
  const double channels = number(p.channels), rows = number(p.samples * depth.out * height.out);
  const double tap_rows = meetings(depth) * meetings(height) / number(depth.out * height.out);  // that a row sees
  // Two rows at a time, where these have a chain each.
  const bool pairs = height.taps > 1 && height.stride == 1 && height.kernel_dilation == 1 &&
                     height.input_dilation == 1 &&
                     number(depth.taps * height.taps) * number(columns.taps) * channels <= chain_depth;
  double steps = 0, tiles = 0, taps = 0;
  for (std::int64_t q = 0; q < std::min(columns.phases(), columns.out); ++q) {
    const Phase phase = phase_of(columns, q, 0, columns.out);
    const double of_half =
        pairs ? 0.52 * in_tiles(phase.out_count, pixels, 1.0) : in_tiles(phase.out_count, narrow_pixels, 0.53);
    steps += number(phase.tap_count) * (wide * in_tiles(phase.out_count, pixels, 1.0) + half * of_half);
    tiles += wide * up(phase.out_count, pixels) +
             half * (pairs ? 0.5 * up(phase.out_count, pixels) : up(phase.out_count, narrow_pixels));
    taps += number(phase.tap_count);
  }
  const double all_taps = number(depth.taps * height.taps) * taps,
               chains = std::ceil(all_taps * channels / chain_depth);
  const double weights = all_taps * channels * number(2 * panels);  // vectors
  const std::int64_t band = direct::band_of(p), bands = ceil_divide(height.out, band);
  const double halo = number(height.reach(band) * bands * depth.taps * depth.out);
  const bool is_padded = columns.low > 0 || columns.last_input(columns.out) >= columns.in;
  return total({{rows * tap_rows * channels * steps, 1.37},  // products
                {rows * tap_rows * tiles, 8.3},              // runs of neighbouring elements
                {rows * tiles * chains, 40},
                {rows * number(panels) * chains, 42},
                {is_padded ? number(p.samples) * halo * up(columns.in * p.channels, width) : 0.0, 5.1},
                {weights, 7.7},  // packed
                {far(rows / number(band) * weights), 0.68},
                {far(operands(p)), 0.5}});
}

double direct_sums_cost(const Problem& p) noexcept {
  constexpr std::int64_t most_wide = 14, most_narrow = 27, most_together = 3;
  const auto& [depth, height, columns] = p.axis;
  const std::int64_t panels = ceil_divide(p.features, panel);
  const bool narrow = p.features - (panels - 1) * panel <= width;
  const direct::Blocks blocks = direct::blocks_of(p);
  const bool joined = columns.kernel_dilation == 1;
  const std::int64_t runs = joined ? 1 : columns.taps, length = joined ? columns.taps * p.channels : p.channels;
  double steps = 0, tiles = 0;  // of a pixel that sees all taps
  const auto add = [&](std::int64_t most, double each, double count) {
    const std::int64_t together = std::clamp<std::int64_t>(most / length, 1, std::min(height.taps, most_together));
    const double groups = up(height.taps, together), pieces = up(length, most);
    const double of_tile = number(height.taps * length) / (groups * pieces);
    steps += count * number(runs) * groups * pieces * std::max(latency, each * of_tile);
    tiles += count * number(runs) * groups * pieces;
  };
  add(most_wide, 1.0, number(panels - narrow));
  if (narrow) add(most_narrow, 0.53, 1);
  const double seen = meetings(depth) / number(depth.out) * meetings(height) / number(height.out * height.taps);
  const double rows = number(p.samples * depth.out * height.out), pixels = rows * number(columns.out);
  const double sums = number(depth.taps * height.taps * columns.taps * p.channels) * number(2 * panels);
  const double copied = number(blocks.count * blocks.samples * height.reach(blocks.rows) * depth.taps);
  const bool is_padded = columns.low > 0 || columns.last_input(columns.out) >= columns.in || height.low > 0 ||
                         height.last_input(height.out) >= height.in;
  const bool is_packed = p.features % width != 0 || depth.taps * height.taps * columns.taps * p.channels >= 84;
  return total({{pixels * seen * steps, 1.44},  // products
                {rows * seen * tiles, 9},
                {number(blocks.count) * tiles * number(depth.taps), 105},
                {number(blocks.count) * sums, 6.2},  // taken up and put down
                {is_padded ? copied * up(columns.in * p.channels, width) : 0.0, 5.9},
                {is_packed ? pixels * number(2 * panels - narrow) : 0.0, 3.2},
                {number(blocks.shares) * sums, 1},  // added up
                {far(operands(p)), 1},
                {1, 680}});
}

// ---- depthwise ----

/// Places of an axis with some taps beside the input.
double at_edges(const Axis& axis) noexcept {
  const std::int64_t beyond = (axis.out - 1) * axis.stride - axis.low + (axis.taps - 1) * axis.kernel_dilation -
                              (axis.in - 1) * axis.input_dilation;
  return std::min(number(axis.out), up(std::max<std::int64_t>(axis.low, 0), axis.stride) +
                                        up(std::max<std::int64_t>(beyond, 0), axis.stride));
}
double rows_of(const Problem& p) noexcept { return number(p.samples * p.axis[0].out * p.axis[1].out); }

double depthwise_cost(const Problem& p) noexcept {
  const double vectors = up(p.groups, width), rows = rows_of(p), edges = at_edges(p.axis[2]);
  double taps = 1;  // that a pixel sees
  for (const Axis& axis : p.axis) taps *= meetings(axis) / number(axis.out);
  const double stretches = rows * (edges + number(std::min(p.axis[2].phases(), p.axis[2].out)));
  return total({{rows * (number(p.axis[2].out) - edges) * taps * vectors, 2.9},  // products
                {rows * edges * taps * vectors, 3.8},
                {stretches * taps, 4.1},
                {stretches, 24},
                {rows, 250}});
}

double depthwise_sums_cost(const Problem& p) noexcept {
  const auto& [depth, height, columns] = p.axis;
  const double vectors = up(p.groups, width), rows = rows_of(p), edges = at_edges(columns);
  const double taps = number(columns.taps), row_taps = number(depth.taps * height.taps);
  const double seen = meetings(depth) / number(depth.out) * meetings(height) / number(height.out);  // rows of taps
  return total({{rows * (number(columns.out) - edges) * seen * (taps + 1) * vectors, 2.1},          // products
                {rows * edges * seen * taps * vectors, 2.2},
                {rows * row_taps, 110},
                {number(p.samples) * row_taps * taps * vectors, 65}});
}

// ---- tiles ----

/// Of all calls of offset_gemm, each a product of these extents.
struct Products {
  double count;
  std::int64_t rows, columns, depth;
  bool packs;  // columns of the right factor, which are apart there

  [[nodiscard]] double cost(bool is_float32) const noexcept {
    const MatrixProduct each{.rows = std::max<std::int64_t>(rows, 1),
                             .columns = columns,
                             .depth = std::max<std::int64_t>(depth, 1),
                             .left = {columns, 1},
                             .right = {packs ? 2 : 1, 1}};
    return count * cost_of_panels(
                       {.batches = 1, .each = each, .is_float32 = is_float32, .is_plain = true, .blas_allowed = false});
  }
  [[nodiscard]] double places() const noexcept { return count * (number(rows) + up(rows, 1024) * number(depth)); }
};

double tiles_cost(const ConvWork& work) noexcept {
  const Problem& p = work.problem;
  const std::int64_t size = work.is_float32 ? sizeof(float) : sizeof(double);
  const Grid grid = grid_of(p, size);
  if (grid.tile == 0) return never;
  double phases = 1, seeing = 1, mean_taps = 1;  // all, those with taps, and how many these have
  std::int64_t pixels = grid.samples, taps = 1;
  bool is_padded = false;
  for (std::size_t i = 0; i < axes; ++i) {
    const Axis& axis = p.axis[i];
    const std::int64_t of_axis = std::min(axis.phases(), grid.out[i]);
    phases *= number(of_axis);
    pixels *= ceil_divide(grid.out[i], of_axis);
    taps *= ceil_divide(axis.taps, axis.phases());
    seeing *= number(std::min(of_axis, axis.taps));
    mean_taps *= number(axis.taps) / number(std::min(axis.phases(), axis.taps));
    is_padded = is_padded || axis.low > 0 || axis.last_input(axis.out) >= axis.in;
  }
  const bool sums = work.result == ConvResult::kernel_grad;
  const std::int64_t kernel = p.axis[0].taps * p.axis[1].taps * p.axis[2].taps * p.channels * p.features * p.groups;
  const std::int64_t partials = sums ? partial_sums(grid, kernel, size) : 0;
  const std::int64_t columns = std::min(p.features, column_chunk(p, sums ? partials * grid.tiles : grid.blocks));
  const double chunks = up(p.features, columns), visits = number(grid.blocks * grid.tiles) * chunks;
  const std::int64_t channels = std::min(grid.channels, p.channels);
  const double groups = up(grid.channels, p.channels), calls = visits * phases * groups;
  const Products products = sums ? Products{visits * seeing * groups, taps * channels, columns, pixels, false}
                                 : Products{visits * seeing * groups, pixels, columns, taps * channels,
                                            work.result == ConvResult::input_grad};
  const double multiplied = products.cost(work.is_float32) * mean_taps / number(taps);
  const double copied = is_padded ? visits * number(grid.tile) : 0, beyond = far(operands(p));
  if (sums) {
    return total({{multiplied, 1.0},
                  {products.places(), 3.6},
                  {calls, 330},
                  {copied, 0.44},
                  {visits, 890},
                  {number(partials * kernel), 0.68},
                  {beyond, 4.2}});
  }
  return total({{multiplied, 0.82},
                {products.places(), 9.3},
                {calls, 610},
                {copied, 0.17},
                {visits, 990},
                {visits * (phases - seeing) * groups * number(pixels), 15},  // without a tap
                {far(number(kernel) / width), 7},
                {beyond, 3},
                {products.depth <= 4 ? products.count * up(products.rows, 4) : 0, 5.7}});
}

}  // namespace

std::string_view to_string(ConvRoutine routine) noexcept {
  switch (routine) {
    case ConvRoutine::zeros: return "zeros";
    case ConvRoutine::lanes: return "lanes";
    case ConvRoutine::panels: return "panels";
    case ConvRoutine::direct: return "direct";
    case ConvRoutine::depthwise: return "depthwise";
    case ConvRoutine::tiles: return "offset_gemm";
    default: return "reference";
  }
}

namespace {

/// The same for operands in the ordinary layout, if the routine is not that for lanes.
double cost_of(ConvRoutine routine, const ConvWork& work) noexcept {
  const Problem& p = work.problem;
  const bool sums = work.result == ConvResult::kernel_grad;
  if (routine == ConvRoutine::tiles) return tiles_cost(work);
  if (!work.is_float32) return never;
  switch (routine) {
    case ConvRoutine::lanes: {
      if (!lanes::suits(p, work.vectors)) return never;
      const auto cost = sums ? lanes_sums_cost : lanes_cost;
      const double plain = cost(p, 0), laid = work.in_lanes ? 0 : cost(p, 1) - plain;
      const bool by_rows = work.by_rows && winograd_rows::fits(p, work.vectors) && winograd_rows::pays(p, sums);
      return (by_rows ? winograd_rows::relative_cost(p, sums) : 1) * plain + laid;
    }
    case ConvRoutine::panels:
      if (!(sums ? panels::suits_correlate(p) : panels::suits(p))) return never;
      return sums ? panels_sums_cost(p) : panels_cost(p, work.result == ConvResult::input_grad);
    case ConvRoutine::direct:
      if (!(sums ? direct::suits_correlate(p) : direct::suits(p))) return never;
      return sums ? direct_sums_cost(p) : direct_cost(p);
    case ConvRoutine::depthwise:
      if (!(sums ? depthwise::suits_correlate(p) : depthwise::suits(p))) return never;
      return sums ? depthwise_sums_cost(p) : depthwise_cost(p);
    default: return never;
  }
}

}  // namespace

double conv_cost(ConvRoutine routine, const ConvWork& work) noexcept {
  const double cost = cost_of(routine, work);
  if (!work.in_lanes || routine == ConvRoutine::lanes) return cost;
  const double vectors = operands(work.problem);  // taken from lanes, or put there
  return cost + total({{vectors, 7}, {far(vectors), 10}});
}

ConvRoutine choose_conv_routine(const ConvWork& work) noexcept {
  const Problem& p = work.problem;
  if (p.is_empty() || p.samples == 0 || p.features == 0 ||
      std::any_of(p.axis.begin(), p.axis.end(), [](const Axis& axis) { return axis.out == 0; }))
    return ConvRoutine::zeros;
  ConvRoutine best = ConvRoutine::reference;
  double least = never;
  for (const ConvRoutine routine : conv_routines) {
    const double cost = conv_cost(routine, work);
    if (cost < least) least = cost, best = routine;
  }
  return best;
}

}  // namespace linseed::kernels::cpu
