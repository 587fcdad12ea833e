#include <linseed/nn/recurrent.hpp>

#include <array>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/nn/conv.hpp>
#include <linseed/nn/linear.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/shape.hpp>

#include "nn/layer_support.hpp"

namespace linseed::nn {

namespace {

/// The dense layers of one cell: all as wide as the hidden state.
template <class Cell>
struct Gates {
  const Cell& cell;
  Scope& scope;
  std::int64_t width;

  [[nodiscard]] Array input(const char* name, const Array& x, const Initializer& bias_init) const {
    return dense(name, x, cell.kernel_init, true, bias_init);
  }
  [[nodiscard]] Array input(const char* name, const Array& x) const {
    return dense(name, x, cell.kernel_init, false, initializers::zeros());
  }
  [[nodiscard]] Array hidden(const char* name, const Array& h, const Initializer& bias_init) const {
    return dense(name, h, cell.recurrent_kernel_init, true, bias_init);
  }
  [[nodiscard]] Array hidden(const char* name, const Array& h) const {
    return dense(name, h, cell.recurrent_kernel_init, false, initializers::zeros());
  }
  [[nodiscard]] Array gate(const Array& x) const { return cell.gate_fn(scope, x); }
  [[nodiscard]] Array activation(const Array& x) const { return cell.activation_fn(scope, x); }

 private:
  [[nodiscard]] Array dense(const char* name, const Array& x, const Initializer& kernel_init, bool use_bias,
                            const Initializer& bias_init) const {
    return Dense{.features = width,
                 .use_bias = use_bias,
                 .dtype = cell.dtype,
                 .param_dtype = cell.param_dtype,
                 .kernel_init = kernel_init,
                 .bias_init = bias_init,
                 .name = name}(scope, x);
  }
};

std::int64_t width_of(std::string_view cell, const Array& carry) {
  if (carry.rank() == 0) throw ShapeError(cell, "The carry must have at least one axis.", {.got = describe(carry)});
  return carry.extent(-1);
}

/// [batch..., features], for x [batch..., in].
Shape state_shape(std::string_view cell, Shape input, std::int64_t features) {
  require_positive(cell, "features", features);
  if (input.empty()) throw ShapeError(cell, "The input must have at least one axis.", {.got = to_string(input)});
  input.back() = features;
  return input;
}

template <class Cell>
LSTMCarry lstm_carry(const Cell& cell, const Array& key, const Shape& shape) {
  const auto [first, second] = random::split<2>(key);
  return {cell.carry_init(first, shape, cell.param_dtype), cell.carry_init(second, shape, cell.param_dtype)};
}

constexpr std::array<const char*, 4> components{"i", "f", "g", "o"};

/// The next carry from what goes into the four gates.
template <class Cell>
std::pair<LSTMCarry, Array> lstm_step(const Gates<Cell>& gates, const Array& c, const std::array<Array, 4>& into) {
  const Array i = gates.gate(into[0]);
  const Array f = gates.gate(into[1]);
  const Array g = gates.activation(into[2]);
  const Array o = gates.gate(into[3]);
  const Array new_c = f * c + i * g;
  const Array new_h = o * gates.activation(new_c);
  return {{new_c, new_h}, new_h};
}

}  // namespace

// ---- LSTM ----

std::pair<LSTMCarry, Array> LSTMCell::operator()(Scope& parent, const LSTMCarry& carry, const Array& x) const {
  Scope scope = parent.enter(*this);
  const auto& [c, h] = carry;
  const Gates<LSTMCell> gates{*this, scope, width_of("LSTMCell", h)};
  std::array<Array, 4> into;
  for (std::size_t k = 0; k < into.size(); ++k) {
    const std::string from_x = fmt::format("i{}", components[k]), from_h = fmt::format("h{}", components[k]);
    into[k] = gates.input(from_x.c_str(), x) + gates.hidden(from_h.c_str(), h, bias_init);
  }
  return scope.output(lstm_step(gates, c, into));
}

LSTMCarry LSTMCell::initialize_carry(const Array& key, const Shape& input_shape) const {
  return lstm_carry(*this, key, state_shape("LSTMCell", input_shape, features));
}

std::pair<LSTMCarry, Array> OptimizedLSTMCell::operator()(Scope& parent, const LSTMCarry& carry, const Array& x) const {
  Scope scope = parent.enter(*this);
  const auto& [c, h] = carry;
  const std::int64_t width = width_of("OptimizedLSTMCell", h);
  if (x.rank() == 0)
    throw ShapeError("OptimizedLSTMCell", "The input must have at least one axis.", {.got = describe(x)});
  std::vector<Array> input_kernels, hidden_kernels, biases;
  for (const char* component : components) {
    Scope from_x = scope.child(fmt::format("i{}", component));
    input_kernels.push_back(from_x.param("kernel", kernel_init, {x.extent(-1), width}, param_dtype));
    Scope from_h = scope.child(fmt::format("h{}", component));
    hidden_kernels.push_back(from_h.param("kernel", recurrent_kernel_init, {width, width}, param_dtype));
    biases.push_back(from_h.param("bias", bias_init, {width}, param_dtype));
  }
  const auto product = [&](const Array& operand, const std::vector<Array>& kernels, const Array& bias) {
    const Array kernel = concatenate(kernels, -1);
    const DType common = computation_dtype(dtype, {operand, kernel, bias});
    const Array y = dot(astype(operand, common), astype(kernel, common));
    return bias.defined() ? y + astype(bias, common) : y;
  };
  const Array all = product(h, hidden_kernels, concatenate(biases, -1)) + product(x, input_kernels, Array());
  const std::vector<Array> into = split(all, 4, -1);
  return scope.output(
      lstm_step(Gates<OptimizedLSTMCell>{*this, scope, width}, c, {into[0], into[1], into[2], into[3]}));
}

LSTMCarry OptimizedLSTMCell::initialize_carry(const Array& key, const Shape& input_shape) const {
  return lstm_carry(*this, key, state_shape("OptimizedLSTMCell", input_shape, features));
}

std::pair<LSTMCarry, Array> ConvLSTMCell::operator()(Scope& parent, const LSTMCarry& carry, const Array& x) const {
  Scope scope = parent.enter(*this);
  require_positive("ConvLSTMCell", "features", features);
  const auto& [c, h] = carry;
  const auto convolve = [&](const char* as, const Array& operand) {
    return Conv{.features = 4 * features,
                .kernel_size = kernel_size,
                .strides = strides,
                .padding = padding,
                .use_bias = use_bias,
                .dtype = dtype,
                .param_dtype = param_dtype,
                .name = as}(scope, operand);
  };
  const Array from_x = convolve("ih", x);
  const std::vector<Array> gates = split(from_x + convolve("hh", h), 4, -1);  // i, g, f, o
  const Array new_c = sigmoid(gates[2] + 1) * c + sigmoid(gates[0]) * tanh(gates[1]);
  const Array new_h = sigmoid(gates[3]) * tanh(new_c);
  return scope.output(std::pair<LSTMCarry, Array>({new_c, new_h}, new_h));
}

LSTMCarry ConvLSTMCell::initialize_carry(const Array& key, const Shape& input_shape) const {
  return lstm_carry(*this, key, state_shape("ConvLSTMCell", input_shape, features));
}

// ---- the others ----

std::pair<Array, Array> GRUCell::operator()(Scope& parent, const Array& h, const Array& x) const {
  Scope scope = parent.enter(*this);
  const Gates<GRUCell> gates{*this, scope, width_of("GRUCell", h)};
  const Array r = gates.gate(gates.input("ir", x, bias_init) + gates.hidden("hr", h));
  const Array z = gates.gate(gates.input("iz", x, bias_init) + gates.hidden("hz", h));
  const Array n = gates.activation(gates.input("in", x, bias_init) + r * gates.hidden("hn", h, bias_init));
  const Array new_h = (1.0 - z) * n + z * h;
  return scope.output(std::pair(new_h, new_h));
}

Array GRUCell::initialize_carry(const Array& key, const Shape& input_shape) const {
  return carry_init(key, state_shape("GRUCell", input_shape, features), param_dtype);
}

std::pair<Array, Array> MGUCell::operator()(Scope& parent, const Array& h, const Array& x) const {
  Scope scope = parent.enter(*this);
  const Gates<MGUCell> gates{*this, scope, width_of("MGUCell", h)};
  const Array f = gates.gate(gates.input("if", x, forget_bias_init) + gates.hidden("hf", h));
  const Array recurrent = reset_gate ? gates.hidden("hn", h, activation_bias_init) * f : gates.hidden("hn", h);
  const Array n = gates.activation(gates.input("in", x, activation_bias_init) + recurrent);
  const Array new_h = (1.0 - f) * n + f * h;
  return scope.output(std::pair(new_h, new_h));
}

Array MGUCell::initialize_carry(const Array& key, const Shape& input_shape) const {
  return carry_init(key, state_shape("MGUCell", input_shape, features), param_dtype);
}

std::pair<Array, Array> SimpleCell::operator()(Scope& parent, const Array& h, const Array& x) const {
  Scope scope = parent.enter(*this);
  const Gates<SimpleCell> gates{*this, scope, width_of("SimpleCell", h)};
  Array next = gates.input("i", x, bias_init) + gates.hidden("h", h);
  if (residual) next = next + h;
  next = gates.activation(next);
  return scope.output(std::pair(next, next));
}

Array SimpleCell::initialize_carry(const Array& key, const Shape& input_shape) const {
  return carry_init(key, state_shape("SimpleCell", input_shape, features), param_dtype);
}

// ---- sequences ----

namespace {

void require_lengths(const Array& seq_lengths, const Shape& batch) {
  if (!is_integer(seq_lengths.dtype())) {
    throw DTypeError("RNN", "seq_lengths must be integers.", {.got = describe(seq_lengths)});
  }
  if (seq_lengths.shape() == batch) return;
  throw ShapeError("RNN", "There must be one length per sequence.",
                   {.got = describe(seq_lengths), .expected = to_string(batch)});
}

/// `index` with axes of extent 1 behind, as large as x.
Array along(Array index, const Shape& shape) {
  while (index.rank() < shape.rank()) index = expand_dims(index, -1);
  return index;
}

}  // namespace

Array flip_sequences(const Array& x, const Array& seq_lengths, int num_batch_dims, bool time_major) {
  if (num_batch_dims < 0 || x.rank() <= num_batch_dims) {
    throw ShapeError("flip_sequences", "The input has no time axis.",
                     {.got = fmt::format("{}, {} batch axes", describe(x), num_batch_dims)});
  }
  const int time_axis = time_major ? 0 : num_batch_dims;
  if (!seq_lengths.defined()) return flip(x, time_axis);
  const auto first = x.shape().begin() + (time_major ? 1 : 0);
  require_lengths(seq_lengths, Shape(first, first + num_batch_dims));
  const std::int64_t steps = x.extent(time_axis);
  Shape walk = Shape::filled(num_batch_dims + 1, 1);
  walk[static_cast<std::size_t>(time_axis)] = steps;
  const Array backward = reshape(steps - 1 - arange(steps), walk);
  const Array source = mod(backward + astype(expand_dims(seq_lengths, time_axis), DType::int32), steps);
  return take_along_axis(x, broadcast_to(along(source, x.shape()), x.shape()), time_axis);
}

detail::Walk detail::walk_along(const Array& x, int num_feature_axes, bool time_major, const Array& seq_lengths) {
  const int batch_dims = x.rank() - num_feature_axes - 1;
  if (batch_dims < 0) {
    throw ShapeError(
        "RNN", "The input has too few axes.",
        {.got = describe(x),
         .expected = fmt::format("(batch..., time, features...) with {} axes of features", num_feature_axes)});
  }
  Walk walk{.time_axis = time_major ? 0 : batch_dims, .num_batch_dims = batch_dims, .step_shape = {}};
  if (x.extent(walk.time_axis) == 0) throw ShapeError("RNN", "The input has no steps.", {.got = describe(x)});
  for (int axis = 0; axis < x.rank(); ++axis) {
    if (axis != walk.time_axis) walk.step_shape.push_back(x.extent(axis));
  }
  if (seq_lengths.defined()) {
    require_lengths(seq_lengths, Shape(walk.step_shape.begin(), walk.step_shape.begin() + batch_dims));
  }
  return walk;
}

Array detail::at_last_step(const Array& stacked, const Array& seq_lengths) {
  Shape wanted = stacked.shape();
  wanted[0] = 1;
  const Array last = expand_dims(astype(seq_lengths, DType::int32) - 1, 0);
  return squeeze(take_along_axis(stacked, broadcast_to(along(last, wanted), wanted), 0), 0);
}

Array concatenate_features(const Array& forward, const Array& backward) { return concatenate({forward, backward}, -1); }

}  // namespace linseed::nn
