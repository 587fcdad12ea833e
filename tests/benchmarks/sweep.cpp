// A sweep over shapes, each timed beside oneDNN:
//   benchmark_sweep [THREADS [SECONDS [WORDS...]]]
// prints Markdown: quantiles of the ratio of both times, and all shapes, the worst first. WORDS leave only shapes whose
// names have one of them; SECONDS is what each library gets for a shape.
//
// linseed's time is that of a call of a compiled function of arguments in the ordinary layout (NHWC, HWIO), as a user
// writes it: `conv`, `matmul` or one of their gradients alone. The call itself is part of it, and so are the memory of
// the result, packed weights and every change of layout, which in a network would be shared with the neighbours.
// oneDNN's time is that of its primitive alone, with the layouts that it likes best for all operands ("any"): reorders
// are left out, and the result's memory is there already. The libraries take turns; times are the shortest of all
// turns, the ratio is the median of those of neighbouring turns, since a machine's speed changes. What oneDNN computes
// is compared with what linseed does, so that both do the same work.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include <fmt/format.h>
#include <omp.h>
#include <dnnl.hpp>

#include <linseed/linseed.hpp>

using namespace linseed;

namespace {

using Dims = dnnl::memory::dims;
using Clock = std::chrono::steady_clock;

/// A primitive of oneDNN with its operands in the layouts that it likes.
class Theirs {
 public:
  struct Operand {
    int role;  ///< DNNL_ARG_SRC ...
    dnnl::memory::desc wanted, plain;
    const float* values;  ///< in the plain layout; null for the result
  };

  Theirs(const dnnl::primitive& primitive, const std::vector<Operand>& operands) : primitive_(primitive) {
    for (const Operand& operand : operands) {
      dnnl::memory memory(operand.wanted, engine());
      if (operand.values == nullptr) {
        result_ = memory;
        plain_ = operand.plain;
      } else {
        dnnl::memory from(operand.plain, engine(), const_cast<float*>(operand.values));
        dnnl::reorder(from, memory).execute(stream_, from, memory);
      }
      arguments_[operand.role] = memory;
    }
    stream_.wait();
  }

  void run() {
    primitive_.execute(stream_, arguments_);
    stream_.wait();
  }

  /// The largest deviation of its result from `values`, over the largest of them.
  double deviation(std::span<const float> values) {
    std::vector<float> got(values.size());
    dnnl::memory to(plain_, engine(), got.data());
    dnnl::reorder(result_, to).execute(stream_, result_, to);
    stream_.wait();
    double difference = 0, largest = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      difference = std::max(difference, std::fabs(static_cast<double>(got[i]) - static_cast<double>(values[i])));
      largest = std::max(largest, std::fabs(static_cast<double>(values[i])));
    }
    return difference / largest;
  }

  static dnnl::engine& engine() {
    static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    return engine;
  }

 private:
  dnnl::primitive primitive_;
  dnnl::stream stream_{engine()};
  std::unordered_map<int, dnnl::memory> arguments_;
  dnnl::memory result_;
  dnnl::memory::desc plain_;
};

dnnl::memory::desc any(const Dims& dims) { return {dims, dnnl::memory::data_type::f32, dnnl::memory::format_tag::any}; }
dnnl::memory::desc strided(const Dims& dims, const Dims& strides) {
  return {dims, dnnl::memory::data_type::f32, strides};
}
const float* data(const Array& a) { return a.data<float>().data(); }

enum class Direction { forward, input_gradient, kernel_gradient };
constexpr Direction directions[] = {Direction::forward, Direction::input_gradient, Direction::kernel_gradient};
constexpr std::string_view direction_names[] = {"forward", "input gradient", "kernel gradient"};

struct Case {
  std::string kind, shape;
  double multiply_adds;
  std::function<Array()> ours;
  std::vector<std::function<std::unique_ptr<Theirs>()>> theirs;  ///< of which the fastest counts
};

Array normal(std::uint32_t seed, const Shape& shape) { return random::normal(random::key(seed), shape); }

// ---- convolutions ----

struct Conv {
  std::int64_t batch, height, width, channels, features, taps;
  std::int64_t stride = 1, dilation = 1, groups = 1;
  bool transposed = false;
};

/// oneDNN's primitive for a convolution x -> y, or for its transpose, which takes "y" to "x".
std::unique_ptr<Theirs> their_conv(const Conv& c, Direction direction, const Array& x, const Array& kernel,
                                   const Array& y) {
  const auto image = [](const Shape& s) { return Dims{s[0], s[3], s[1], s[2]}; };
  const auto image_plain = [&](const Shape& s) {
    return strided(image(s), {s[1] * s[2] * s[3], 1, s[2] * s[3], s[3]});
  };
  // HWIO as oneDNN names axes: [groups,] features, channels, height, width. The kernel of a transpose is that of the
  // convolution which it transposes: there, its features are the channels.
  const Shape& k = kernel.shape();
  const std::int64_t inner = k[2], outer = k[3] / c.groups;
  Dims kernel_dims{outer, inner, k[0], k[1]}, kernel_strides{1, k[3], k[1] * k[2] * k[3], k[2] * k[3]};
  if (c.transposed) std::swap(kernel_dims[0], kernel_dims[1]), std::swap(kernel_strides[0], kernel_strides[1]);
  if (c.groups > 1) {
    kernel_dims.insert(kernel_dims.begin(), c.groups);
    kernel_strides.insert(kernel_strides.begin(), outer);
  }
  const dnnl::memory::desc kernel_plain = strided(kernel_dims, kernel_strides);

  const Dims strides{c.stride, c.stride}, dilates{c.dilation - 1, c.dilation - 1};
  Dims low, high;  // "SAME" of the convolution itself
  const Shape& big = c.transposed ? y.shape() : x.shape();
  for (std::size_t axis : {1, 2}) {
    const std::int64_t out = (big[axis] + c.stride - 1) / c.stride;
    const std::int64_t total =
        std::max<std::int64_t>((out - 1) * c.stride + (c.taps - 1) * c.dilation + 1 - big[axis], 0);
    low.push_back(total / 2);
    high.push_back(total - total / 2);
  }

  const auto make = [&](auto forward_tag, auto data_tag, auto weights_tag, auto algorithm) -> std::unique_ptr<Theirs> {
    using Forward = typename decltype(forward_tag)::type;
    using BackwardData = typename decltype(data_tag)::type;
    using BackwardWeights = typename decltype(weights_tag)::type;
    const typename Forward::desc forward(dnnl::prop_kind::forward_training, algorithm, any(image(x.shape())),
                                         any(kernel_dims), any(image(y.shape())), strides, dilates, low, high);
    const typename Forward::primitive_desc forward_desc(forward, Theirs::engine());
    if (direction == Direction::forward) {
      return std::make_unique<Theirs>(
          Forward(forward_desc),
          std::vector<Theirs::Operand>{{DNNL_ARG_SRC, forward_desc.src_desc(), image_plain(x.shape()), data(x)},
                                       {DNNL_ARG_WEIGHTS, forward_desc.weights_desc(), kernel_plain, data(kernel)},
                                       {DNNL_ARG_DST, forward_desc.dst_desc(), image_plain(y.shape()), nullptr}});
    }
    if (direction == Direction::input_gradient) {
      const typename BackwardData::desc backward(algorithm, any(image(x.shape())), any(kernel_dims),
                                                 any(image(y.shape())), strides, dilates, low, high);
      const typename BackwardData::primitive_desc desc(backward, Theirs::engine(), forward_desc);
      return std::make_unique<Theirs>(
          BackwardData(desc),
          std::vector<Theirs::Operand>{{DNNL_ARG_DIFF_DST, desc.diff_dst_desc(), image_plain(y.shape()), data(y)},
                                       {DNNL_ARG_WEIGHTS, desc.weights_desc(), kernel_plain, data(kernel)},
                                       {DNNL_ARG_DIFF_SRC, desc.diff_src_desc(), image_plain(x.shape()), nullptr}});
    }
    const typename BackwardWeights::desc backward(algorithm, any(image(x.shape())), any(kernel_dims),
                                                  any(image(y.shape())), strides, dilates, low, high);
    const typename BackwardWeights::primitive_desc desc(backward, Theirs::engine(), forward_desc);
    return std::make_unique<Theirs>(
        BackwardWeights(desc),
        std::vector<Theirs::Operand>{{DNNL_ARG_DIFF_DST, desc.diff_dst_desc(), image_plain(y.shape()), data(y)},
                                     {DNNL_ARG_SRC, desc.src_desc(), image_plain(x.shape()), data(x)},
                                     {DNNL_ARG_DIFF_WEIGHTS, desc.diff_weights_desc(), kernel_plain, nullptr}});
  };
  using std::type_identity;
  return c.transposed
             ? make(type_identity<dnnl::deconvolution_forward>{}, type_identity<dnnl::deconvolution_backward_data>{},
                    type_identity<dnnl::deconvolution_backward_weights>{}, dnnl::algorithm::deconvolution_direct)
             : make(type_identity<dnnl::convolution_forward>{}, type_identity<dnnl::convolution_backward_data>{},
                    type_identity<dnnl::convolution_backward_weights>{}, dnnl::algorithm::convolution_auto);
}

void add(std::vector<Case>& cases, const Conv& c, int threads) {
  const auto apply = [c](const Array& x, const Array& kernel) {
    if (c.transposed) return conv_transpose(x, kernel, {.strides = {c.stride, c.stride}, .transpose_kernel = true});
    return conv(x, kernel,
                {.strides = {c.stride, c.stride}, .kernel_dilation = {c.dilation, c.dilation}, .groups = c.groups});
  };
  const auto places = [&](std::int64_t extent) {
    return c.transposed ? extent * c.stride : (extent + c.stride - 1) / c.stride;
  };
  const Shape x{c.batch, c.height, c.width, c.channels};
  const Shape y{c.batch, places(c.height), places(c.width), c.features};
  const Shape kernel{c.taps, c.taps, c.transposed ? c.features : c.channels / c.groups,
                     c.transposed ? c.channels : c.features};
  const Shape& small = c.transposed ? x : y;
  const bool depthwise = c.groups > 1 && c.groups == c.channels;
  const std::string kind = c.transposed ? "transposed conv" : depthwise ? "depthwise conv" : "conv";
  std::string shape =
      fmt::format("{}x{} {} to {}, {}x{}x{}", c.taps, c.taps, c.channels, c.features, c.batch, c.height, c.width);
  if (c.stride > 1) shape += fmt::format(", stride {}", c.stride);
  if (c.dilation > 1) shape += fmt::format(", dilation {}", c.dilation);
  if (c.groups > 1 && !depthwise) shape += fmt::format(", {} groups", c.groups);

  for (const Direction direction : directions) {
    const std::array<Array, 3> values{normal(1, x), normal(2, kernel), normal(3, y)};
    const auto step = jit(
        [=](const Array& input, const Array& weights, const Array& cotangent) {
          if (direction == Direction::forward) return apply(input, weights);
          const auto gradients = vjp(apply, input, weights).second(cotangent);
          return direction == Direction::input_gradient ? std::get<0>(gradients) : std::get<1>(gradients);
        },
        {.executor = Executor(threads)});
    cases.push_back({fmt::format("{}, {}", kind, direction_names[static_cast<int>(direction)]),
                     shape,
                     static_cast<double>(small.elements() * c.taps * c.taps * kernel[2]),
                     [=] { return step(values[0], values[1], values[2]); },
                     {[=] { return their_conv(c, direction, values[0], values[1], values[2]); }}});
  }
}

// ---- products of matrices ----

/// A factor [batch, rows, columns] or, transposed, [batch, columns, rows] in memory.
struct Factor {
  std::int64_t batch, rows, columns;
  bool is_transposed = false;

  [[nodiscard]] dnnl::memory::desc plain() const {
    Dims strides{rows * columns, is_transposed ? 1 : columns, is_transposed ? rows : 1};
    Dims dims = wanted();
    if (batch == 1) strides.erase(strides.begin());
    return strided(dims, strides);
  }
  [[nodiscard]] Dims wanted() const { return batch == 1 ? Dims{rows, columns} : Dims{batch, rows, columns}; }
};

std::unique_ptr<Theirs> their_product(const Factor& left, const Factor& right, const Array& a, const Array& b) {
  const Factor result{left.batch, left.rows, right.columns};
  const dnnl::matmul::primitive_desc desc({any(left.wanted()), any(right.wanted()), any(result.wanted())},
                                          Theirs::engine());
  return std::make_unique<Theirs>(
      dnnl::matmul(desc), std::vector<Theirs::Operand>{{DNNL_ARG_SRC, desc.src_desc(), left.plain(), data(a)},
                                                       {DNNL_ARG_WEIGHTS, desc.weights_desc(), right.plain(), data(b)},
                                                       {DNNL_ARG_DST, desc.dst_desc(), result.plain(), nullptr}});
}

/// x [rows, inputs] times kernel [inputs, outputs], which oneDNN calls [outputs, inputs].
std::unique_ptr<Theirs> their_layer(Direction direction, const Array& x, const Array& kernel, const Array& y) {
  const std::int64_t rows = x.extent(0), inputs = x.extent(1), outputs = y.extent(1);
  const dnnl::memory::desc x_plain = strided({rows, inputs}, {inputs, 1}),
                           y_plain = strided({rows, outputs}, {outputs, 1}),
                           kernel_plain = strided({outputs, inputs}, {1, outputs});
  const auto x_any = any({rows, inputs}), y_any = any({rows, outputs}), kernel_any = any({outputs, inputs});
  const dnnl::inner_product_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, x_any, kernel_any, y_any}, Theirs::engine());
  if (direction == Direction::forward) {
    return std::make_unique<Theirs>(
        dnnl::inner_product_forward(forward),
        std::vector<Theirs::Operand>{{DNNL_ARG_SRC, forward.src_desc(), x_plain, data(x)},
                                     {DNNL_ARG_WEIGHTS, forward.weights_desc(), kernel_plain, data(kernel)},
                                     {DNNL_ARG_DST, forward.dst_desc(), y_plain, nullptr}});
  }
  if (direction == Direction::input_gradient) {
    const dnnl::inner_product_backward_data::primitive_desc desc({x_any, kernel_any, y_any}, Theirs::engine(), forward);
    return std::make_unique<Theirs>(
        dnnl::inner_product_backward_data(desc),
        std::vector<Theirs::Operand>{{DNNL_ARG_DIFF_DST, desc.diff_dst_desc(), y_plain, data(y)},
                                     {DNNL_ARG_WEIGHTS, desc.weights_desc(), kernel_plain, data(kernel)},
                                     {DNNL_ARG_DIFF_SRC, desc.diff_src_desc(), x_plain, nullptr}});
  }
  const dnnl::inner_product_backward_weights::primitive_desc desc({x_any, kernel_any, y_any}, Theirs::engine(),
                                                                  forward);
  return std::make_unique<Theirs>(
      dnnl::inner_product_backward_weights(desc),
      std::vector<Theirs::Operand>{{DNNL_ARG_DIFF_DST, desc.diff_dst_desc(), y_plain, data(y)},
                                   {DNNL_ARG_SRC, desc.src_desc(), x_plain, data(x)},
                                   {DNNL_ARG_DIFF_WEIGHTS, desc.diff_weights_desc(), kernel_plain, nullptr}});
}

void add_dense(std::vector<Case>& cases, std::int64_t rows, std::int64_t inputs, std::int64_t outputs, int threads) {
  for (const Direction direction : directions) {
    const std::array<Array, 3> values{normal(1, {rows, inputs}), normal(2, {inputs, outputs}),
                                      normal(3, {rows, outputs})};
    const auto step = jit(
        [=](const Array& x, const Array& kernel, const Array& cotangent) {
          const auto apply = [](const Array& a, const Array& b) { return matmul(a, b); };
          if (direction == Direction::forward) return apply(x, kernel);
          const auto gradients = vjp(apply, x, kernel).second(cotangent);
          return direction == Direction::input_gradient ? std::get<0>(gradients) : std::get<1>(gradients);
        },
        {.executor = Executor(threads)});
    const auto product = [=]() -> std::unique_ptr<Theirs> {
      switch (direction) {
        case Direction::forward: return their_product({1, rows, inputs}, {1, inputs, outputs}, values[0], values[1]);
        case Direction::input_gradient:
          return their_product({1, rows, outputs}, {1, outputs, inputs, true}, values[2], values[1]);
        default: return their_product({1, inputs, rows, true}, {1, rows, outputs}, values[0], values[2]);
      }
    };
    cases.push_back({fmt::format("dense, {}", direction_names[static_cast<int>(direction)]),
                     fmt::format("{}x{}x{}", rows, inputs, outputs),
                     static_cast<double>(rows * inputs * outputs),
                     [=] { return step(values[0], values[1], values[2]); },
                     {product, [=] { return their_layer(direction, values[0], values[1], values[2]); }}});
  }
}

/// The two products of attention, of queries and keys [batch, places, heads, features] as nn::dot_product_attention has
/// them.
void add_attention(std::vector<Case>& cases, std::int64_t batch, std::int64_t heads, std::int64_t queries,
                   std::int64_t keys, std::int64_t features, int threads) {
  const std::string shape = fmt::format("{}x{} heads, {}x{}x{}", batch, heads, queries, keys, features);
  const auto multiply_adds = static_cast<double>(batch * heads * queries * keys * features);
  const Array query = normal(1, {batch, queries, heads, features}), key = normal(2, {batch, keys, heads, features}),
              weights = normal(3, {batch, heads, queries, keys});
  const auto scores = jit([](const Array& a, const Array& b) { return einsum("bqhd,bkhd->bhqk", a, b); },
                          {.executor = Executor(threads)});
  const auto values = jit([](const Array& a, const Array& b) { return einsum("bhqk,bkhd->bqhd", a, b); },
                          {.executor = Executor(threads)});
  const auto by_heads = [=](std::int64_t places) {
    return strided({batch, heads, places, features}, {places * heads * features, features, heads * features, 1});
  };
  const Dims all{batch, heads, queries, keys}, of_queries{batch, heads, queries, features};
  const dnnl::memory::desc all_plain = strided(all, {heads * queries * keys, queries * keys, keys, 1});
  cases.push_back({"attention, scores", shape, multiply_adds, [=] { return scores(query, key); }, {[=] {
                     const dnnl::matmul::primitive_desc desc(
                         {any(of_queries), any({batch, heads, features, keys}), any(all)}, Theirs::engine());
                     const auto turned = strided({batch, heads, features, keys},
                                                 {keys * heads * features, features, 1, heads * features});
                     return std::make_unique<Theirs>(
                         dnnl::matmul(desc),
                         std::vector<Theirs::Operand>{{DNNL_ARG_SRC, desc.src_desc(), by_heads(queries), data(query)},
                                                      {DNNL_ARG_WEIGHTS, desc.weights_desc(), turned, data(key)},
                                                      {DNNL_ARG_DST, desc.dst_desc(), all_plain, nullptr}});
                   }}});
  cases.push_back({"attention, values", shape, multiply_adds, [=] { return values(weights, key); }, {[=] {
                     const dnnl::matmul::primitive_desc desc(
                         {any(all), any({batch, heads, keys, features}), any(of_queries)}, Theirs::engine());
                     return std::make_unique<Theirs>(
                         dnnl::matmul(desc), std::vector<Theirs::Operand>{
                                                 {DNNL_ARG_SRC, desc.src_desc(), all_plain, data(weights)},
                                                 {DNNL_ARG_WEIGHTS, desc.weights_desc(), by_heads(keys), data(key)},
                                                 {DNNL_ARG_DST, desc.dst_desc(), by_heads(queries), nullptr}});
                   }}});
}

/// A stack of products, [batch, rows, depth] by [batch, depth, columns].
void add_batched(std::vector<Case>& cases, std::int64_t batch, std::int64_t rows, std::int64_t depth,
                 std::int64_t columns, int threads) {
  const Array a = normal(1, {batch, rows, depth}), b = normal(2, {batch, depth, columns});
  const auto step =
      jit([](const Array& left, const Array& right) { return matmul(left, right); }, {.executor = Executor(threads)});
  cases.push_back({"batched product",
                   fmt::format("{} of {}x{}x{}", batch, rows, depth, columns),
                   static_cast<double>(batch * rows * depth * columns),
                   [=] { return step(a, b); },
                   {[=] { return their_product({batch, rows, depth}, {batch, depth, columns}, a, b); }}});
}

std::vector<Case> all_cases(int threads) {
  std::vector<Case> cases;
  const Conv convolutions[] = {
      // few channels, many sizes of batch
      {1, 28, 28, 1, 6, 5},
      {2, 28, 28, 1, 6, 5},
      {3, 28, 28, 1, 32, 3},
      {8, 28, 28, 1, 6, 5},
      {17, 28, 28, 1, 6, 5},
      {64, 28, 28, 1, 6, 5},
      {64, 28, 28, 1, 32, 3},
      {1, 14, 14, 6, 16, 5},
      {8, 14, 14, 6, 16, 5},
      {16, 14, 14, 6, 16, 5},
      {32, 14, 14, 6, 16, 5},
      {64, 14, 14, 6, 16, 5},
      {1, 32, 32, 3, 16, 3},
      {2, 32, 32, 3, 64, 3},
      {16, 32, 32, 3, 16, 3},
      {32, 32, 32, 3, 64, 3},
      {1, 64, 64, 3, 32, 7, 2},
      {8, 33, 31, 3, 8, 3},
      {16, 30, 30, 4, 8, 3},
      {17, 30, 30, 8, 8, 3},
      {2, 56, 56, 8, 16, 3},
      {1, 56, 56, 8, 8, 3},
      {3, 17, 23, 8, 24, 3},
      {32, 16, 16, 8, 8, 1},
      {8, 16, 16, 4, 32, 1},
      {1, 224, 224, 3, 64, 7, 2},
      {2, 20, 20, 12, 20, 3},
      {1, 40, 40, 3, 10, 5},
      // sixteen channels and more
      {1, 28, 28, 16, 16, 3},
      {2, 28, 28, 16, 32, 3, 2},
      {8, 28, 28, 16, 32, 3},
      {64, 14, 14, 16, 32, 3},
      {16, 7, 7, 32, 32, 3},
      {1, 28, 28, 32, 64, 3},
      {3, 19, 21, 24, 40, 3},
      {1, 14, 14, 64, 64, 3},
      {8, 14, 14, 64, 64, 3},
      {2, 28, 28, 64, 64, 3, 2},
      {8, 15, 15, 64, 128, 3, 2},
      {16, 8, 8, 128, 128, 3, 2},
      {1, 7, 7, 256, 256, 3},
      {2, 14, 14, 128, 128, 3, 1, 2},
      {8, 14, 14, 32, 32, 5},
      {1, 14, 14, 32, 48, 7},
      // 1x1
      {1, 28, 28, 64, 128, 1},
      {8, 14, 14, 256, 64, 1},
      {8, 14, 14, 64, 256, 1},
      {32, 8, 8, 128, 128, 1},
      {2, 28, 28, 64, 128, 1, 2},
      {1, 7, 7, 256, 256, 1},
      {17, 13, 13, 24, 40, 1},
      // groups and depthwise
      {2, 28, 28, 32, 32, 3, 1, 1, 4},
      {8, 14, 14, 64, 64, 3, 1, 1, 2},
      {1, 14, 14, 128, 128, 3, 1, 1, 32},
      {1, 56, 56, 32, 32, 3, 1, 1, 32},
      {8, 28, 28, 32, 32, 3, 1, 1, 32},
      {32, 14, 14, 64, 64, 3, 1, 1, 64},
      {1, 28, 28, 128, 128, 3, 2, 1, 128},
      {16, 14, 14, 64, 64, 5, 1, 1, 64},
      {2, 7, 7, 256, 256, 7, 1, 1, 256},
      {3, 15, 17, 24, 24, 3, 1, 1, 24},
      // transposed
      {8, 7, 7, 32, 16, 5, 2, 1, 1, true},
      {1, 14, 14, 64, 32, 3, 2, 1, 1, true},
      {16, 14, 14, 16, 1, 5, 2, 1, 1, true},
      {16, 7, 7, 64, 64, 3, 1, 1, 1, true},
      {2, 8, 8, 128, 64, 3, 2, 1, 1, true},
  };
  for (const Conv& c : convolutions) add(cases, c, threads);

  const std::int64_t layers[][3] = {
      {1, 784, 128},   {1, 1024, 1024}, {1, 256, 10},    {2, 512, 512}, {3, 100, 300},  {8, 784, 256},  {8, 1024, 512},
      {16, 400, 120},  {17, 333, 77},   {32, 256, 1024}, {32, 64, 64},  {64, 784, 100}, {64, 512, 512}, {100, 100, 100},
      {128, 256, 256}, {256, 784, 120}, {256, 120, 84},  {256, 84, 10}, {256, 64, 1},   {255, 129, 65},
  };
  for (const auto& [rows, inputs, outputs] : layers) add_dense(cases, rows, inputs, outputs, threads);

  add_attention(cases, 8, 12, 64, 64, 64, threads);
  add_attention(cases, 1, 8, 128, 128, 32, threads);
  add_attention(cases, 4, 4, 33, 47, 24, threads);
  add_attention(cases, 32, 2, 16, 16, 16, threads);
  add_batched(cases, 96, 64, 64, 64, threads);
  add_batched(cases, 96, 64, 64, 16, threads);
  add_batched(cases, 16, 17, 33, 65, threads);
  add_batched(cases, 256, 8, 16, 8, threads);
  add_batched(cases, 12, 1, 64, 128, threads);
  return cases;
}

// ---- times ----

/// The shortest of `run`'s times within `seconds`, at least two.
template <class Run>
double shortest(const Run& run, double seconds) {
  double best = std::numeric_limits<double>::infinity();
  const auto begin = Clock::now();
  int runs = 0;
  for (auto before = begin; runs < 2 || std::chrono::duration<double>(before - begin).count() < seconds; ++runs) {
    run();
    const auto after = Clock::now();
    best = std::min(best, std::chrono::duration<double>(after - before).count());
    before = after;
  }
  return best;
}

struct Row {
  std::string name;
  double multiply_adds;
  double ours = std::numeric_limits<double>::infinity(), theirs = ours, ratio = 0;
};

Row measure(const Case& self, double seconds) {
  constexpr int rounds = 5;
  constexpr double tolerance = 1e-4;  // Winograd's tiles on either side included
  const Array result = self.ours();
  std::vector<std::unique_ptr<Theirs>> theirs;
  for (const auto& make : self.theirs) {
    theirs.push_back(make());
    theirs.back()->run();
    if (const double deviation = theirs.back()->deviation(result.data<float>()); !(deviation < tolerance))
      fmt::print(stderr, "{} {}: the results deviate by {:.2g}\n", self.kind, self.shape, deviation);
  }
  Row row{self.kind + " " + self.shape, self.multiply_adds};
  // Whichever has run last still keeps its threads waiting in a loop; they fall asleep meanwhile.
  const auto rest = [] { std::this_thread::sleep_for(std::chrono::milliseconds(4)); };
  std::array<double, rounds> ratios;
  for (double& ratio : ratios) {
    const double ours = shortest([&] { static_cast<void>(self.ours()); }, seconds / rounds);
    rest();
    double best = std::numeric_limits<double>::infinity();
    for (const auto& primitive : theirs)
      best = std::min(best, shortest([&] { primitive->run(); }, seconds / rounds / static_cast<double>(theirs.size())));
    rest();
    ratio = ours / best;
    row.ours = std::min(row.ours, ours);
    row.theirs = std::min(row.theirs, best);
  }
  std::nth_element(ratios.begin(), ratios.begin() + rounds / 2, ratios.end());
  row.ratio = ratios[rounds / 2];
  return row;
}

void print(std::vector<Row> rows, int threads) {
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.ratio > b.ratio; });
  double logarithms = 0;
  for (const Row& row : rows) logarithms += std::log(row.ratio);
  const auto count = static_cast<double>(rows.size());
  const auto above = [&](double ratio) {
    return std::count_if(rows.begin(), rows.end(), [&](const Row& row) { return row.ratio > ratio; });
  };
  fmt::print("{} shapes, {} threads; time of linseed over that of oneDNN {}.{}.{}:\n\n", rows.size(), threads,
             dnnl_version()->major, dnnl_version()->minor, dnnl_version()->patch);
  fmt::print("| geometric mean | best | 10 % | median | 90 % | worst | above 1 | above 1.5 | above 2.5 |\n");
  fmt::print("|---|---|---|---|---|---|---|---|---|\n| {:.2f}", std::exp(logarithms / count));
  for (const double share : {0.0, 0.1, 0.5, 0.9, 1.0})
    fmt::print(" | {:.2f}", rows[static_cast<std::size_t>((1 - share) * (count - 1) + 0.5)].ratio);
  fmt::print(" | {} | {} | {} |\n\n", above(1), above(1.5), above(2.5));
  fmt::print(
      "| shape | linseed, us | oneDNN, us | linseed, GFLOP/s | oneDNN, GFLOP/s | ratio |\n|---|---|---|---|---|---|\n");
  for (const Row& row : rows) {
    const auto speed = [&](double seconds) { return 2e-9 * row.multiply_adds / seconds; };
    fmt::print("| {} | {:.1f} | {:.1f} | {:.1f} | {:.1f} | {:.2f} |\n", row.name, row.ours * 1e6, row.theirs * 1e6,
               speed(row.ours), speed(row.theirs), row.ratio);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const double seconds = argc > 2 ? std::atof(argv[2]) : 0.1;
  if (threads < 1 || !(seconds > 0)) {
    fmt::print(stderr, "usage: benchmark_sweep [THREADS [SECONDS [WORDS...]]]\n");
    return 2;
  }
  omp_set_num_threads(threads);
  std::vector<Row> rows;
  for (const Case& self : all_cases(threads)) {
    const std::string name = self.kind + " " + self.shape;
    const bool wanted =
        argc < 4 || std::any_of(argv + 3, argv + argc, [&](const char* word) { return name.find(word) != name.npos; });
    if (wanted) rows.push_back(measure(self, seconds));
  }
  if (!rows.empty()) print(std::move(rows), threads);
}
