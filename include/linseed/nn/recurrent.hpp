#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/nn/activations.hpp>
#include <linseed/nn/initializers.hpp>
#include <linseed/nn/model.hpp>
#include <linseed/nn/scope.hpp>
#include <linseed/ops/conv.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>
#include <linseed/tree/pytree.hpp>

namespace linseed::nn {

// A cell (flax.linen.RNNCellBase) is a module (scope, carry, x) -> {new carry, output} for one step of x [batch...,
// features...], with two more methods: initialize_carry(key, shape of x), and num_feature_axes(). The carry may be any
// pytree. Those here have recurrent kernels orthogonal, biases zero and carries of zeros unless told otherwise; a
// carry's last extent, not `features`, decides about the shape of parameters. They throw what Dense and Conv throw.
//
//     const auto [carry, y] = nn::GRUCell{.features = 8}(scope, previous, x);

/// The carry of LSTM cells: {c, h}, the memory and the output.
using LSTMCarry = std::pair<Array, Array>;

/// Long short-term memory (flax.linen.LSTMCell; Hochreiter and Schmidhuber 1997):
///
///     i, f, o = gate_fn(x . W_ix + h . W_hx + b_hx)     g = activation_fn(x . W_ig + h . W_hg + b_hg)
///     c' = f * c + i * g                                h' = o * activation_fn(c')
///
/// Submodules: Dense ii, if, ig, io without bias, hi, hf, hg, ho with.
struct LSTMCell {
  std::int64_t features = 0;
  Model gate_fn = sigmoid;
  Model activation_fn = tanh;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer recurrent_kernel_init = initializers::orthogonal();
  Initializer bias_init = initializers::zeros();
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer carry_init = initializers::zeros();
  std::string name = {};

  [[nodiscard]] std::pair<LSTMCarry, Array> operator()(Scope& parent, const LSTMCarry& carry, const Array& x) const;
  [[nodiscard]] LSTMCarry initialize_carry(const Array& key, const Shape& input_shape) const;
  [[nodiscard]] int num_feature_axes() const { return 1; }
};

/// LSTMCell with its eight products made two (flax.linen.OptimizedLSTMCell): the same parameters under the same names.
struct OptimizedLSTMCell {
  std::int64_t features = 0;
  Model gate_fn = sigmoid;
  Model activation_fn = tanh;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer recurrent_kernel_init = initializers::orthogonal();
  Initializer bias_init = initializers::zeros();
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer carry_init = initializers::zeros();
  std::string name = {};

  [[nodiscard]] std::pair<LSTMCarry, Array> operator()(Scope& parent, const LSTMCarry& carry, const Array& x) const;
  [[nodiscard]] LSTMCarry initialize_carry(const Array& key, const Shape& input_shape) const;
  [[nodiscard]] int num_feature_axes() const { return 1; }
};

/// Gated recurrent unit (flax.linen.GRUCell; Cho et al. 2014):
///
///     r, z = gate_fn(x . W_ir + b_ir + h . W_hr)     n = activation_fn(x . W_in + b_in + r * (h . W_hn + b_hn))
///     h' = (1 - z) * n + z * h
///
/// Submodules: Dense ir, iz, in, hn with bias, hr, hz without.
struct GRUCell {
  std::int64_t features = 0;
  Model gate_fn = sigmoid;
  Model activation_fn = tanh;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer recurrent_kernel_init = initializers::orthogonal();
  Initializer bias_init = initializers::zeros();
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer carry_init = initializers::zeros();
  std::string name = {};

  [[nodiscard]] std::pair<Array, Array> operator()(Scope& parent, const Array& carry, const Array& x) const;
  [[nodiscard]] Array initialize_carry(const Array& key, const Shape& input_shape) const;
  [[nodiscard]] int num_feature_axes() const { return 1; }
};

/// Minimal gated unit (flax.linen.MGUCell; Zhou et al. 2016):
///
///     f = gate_fn(x . W_if + b_if + h . W_hf)     n = activation_fn(x . W_in + b_in + f * (h . W_hn + b_hn))
///     h' = (1 - f) * n + f * h
///
/// Without `reset_gate` n has neither the factor f nor b_hn. b_if starts at 1.
struct MGUCell {
  std::int64_t features = 0;
  Model gate_fn = sigmoid;
  Model activation_fn = tanh;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer recurrent_kernel_init = initializers::orthogonal();
  Initializer forget_bias_init = initializers::ones();
  Initializer activation_bias_init = initializers::zeros();
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer carry_init = initializers::zeros();
  bool reset_gate = true;
  std::string name = {};

  [[nodiscard]] std::pair<Array, Array> operator()(Scope& parent, const Array& carry, const Array& x) const;
  [[nodiscard]] Array initialize_carry(const Array& key, const Shape& input_shape) const;
  [[nodiscard]] int num_feature_axes() const { return 1; }
};

/// h' = activation_fn(x . W_i + b_i + h . W_h), plus h within the brackets with `residual` (flax.linen.SimpleCell).
/// Submodules: Dense i with bias, h without.
struct SimpleCell {
  std::int64_t features = 0;
  Model activation_fn = tanh;
  Initializer kernel_init = initializers::lecun_normal();
  Initializer recurrent_kernel_init = initializers::orthogonal();
  Initializer bias_init = initializers::zeros();
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer carry_init = initializers::zeros();
  bool residual = false;
  std::string name = {};

  [[nodiscard]] std::pair<Array, Array> operator()(Scope& parent, const Array& carry, const Array& x) const;
  [[nodiscard]] Array initialize_carry(const Array& key, const Shape& input_shape) const;
  [[nodiscard]] int num_feature_axes() const { return 1; }
};

/// An LSTM of convolutions on x [batch..., spatial..., in] (flax.linen.ConvLSTMCell; Shi et al. 2015), whose forget
/// gate is sigmoid(f + 1). Submodules: Conv ih and hh, to the four gates i, g, f, o.
struct ConvLSTMCell {
  std::int64_t features = 0;
  Shape kernel_size = {};
  Shape strides = {};
  Padding padding = "SAME";
  bool use_bias = true;
  std::optional<DType> dtype = {};
  DType param_dtype = DType::float32;
  Initializer carry_init = initializers::zeros();
  std::string name = {};

  [[nodiscard]] std::pair<LSTMCarry, Array> operator()(Scope& parent, const LSTMCarry& carry, const Array& x) const;
  [[nodiscard]] LSTMCarry initialize_carry(const Array& key, const Shape& input_shape) const;
  [[nodiscard]] int num_feature_axes() const { return kernel_size.rank() + 1; }
};

/// Reverses x [batch..., time, ...] along its time axis, which is behind `num_batch_dims` axes, or the first one with
/// `time_major` (flax.linen.recurrent.flip_sequences). With `seq_lengths` [batch...] each sequence is reversed within
/// its own length, and padding stays behind. Throws ShapeError when the lengths do not fit the batch, DTypeError when
/// they are not integers.
[[nodiscard]] Array flip_sequences(const Array& x, const Array& seq_lengths, int num_batch_dims, bool time_major);

/// The carry of a cell.
template <class Cell>
using CarryOf = decltype(std::declval<const Cell&>().initialize_carry(std::declval<const Array&>(), Shape()));

/// What a call of RNN may be told beside its input; what is left open is what the fields of RNN say. The initial carry
/// is initialize_carry(init_key), and init_key is key(0).
template <class Carry>
struct RNNArguments {
  std::optional<Carry> initial_carry = {};
  Array init_key = {};
  Array seq_lengths = {};  ///< integers [batch...]: steps at and beyond are padding
  std::optional<bool> time_major = {};
  std::optional<bool> reverse = {};
  std::optional<bool> keep_order = {};
};

namespace detail {

/// How RNN walks along its input.
struct Walk {
  int time_axis;
  int num_batch_dims;
  Shape step_shape;  ///< of one step
};
/// Throws ShapeError when x has too few axes or no steps, or the lengths do not fit.
Walk walk_along(const Array& x, int num_feature_axes, bool time_major, const Array& seq_lengths);
/// From stacked [time, batch..., ...] what stands at the last step of every sequence.
Array at_last_step(const Array& stacked, const Array& seq_lengths);

}  // namespace detail

/// Applies a cell along the time axis of x [batch..., time, features...] ([time, batch..., features...] with
/// `time_major`) and gives the outputs of all steps, laid out like x (flax.linen.RNN). `reverse` walks from the end and
/// gives the outputs in the order of the walk; `keep_order` puts them back into the order of x. Outputs at padding are
/// not cleared. A cell at the root is named "cell", otherwise it belongs to the caller ("LSTMCell_0" beside "RNN_0").
///
///     const Array y = nn::RNN{.cell = nn::LSTMCell{.features = 64}}(scope, x);
///     const auto [carry, y] = nn::RNN{.cell = nn::GRUCell{.features = 64}}.with_carry(scope, x);
///
/// Flax's `return_carry` is the method with_carry: in C++ a value does not change a return type. There is no scan op
/// yet: the steps are unrolled, so that a compiled function grows with the number of steps.
template <class Cell>
struct RNN {
  Cell cell;
  bool time_major = false;
  bool reverse = false;
  bool keep_order = false;
  std::string name = {};

  using Carry = CarryOf<Cell>;

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, const RNNArguments<Carry>& arguments = {}) const {
    return run(parent, x, arguments, /*want_carry=*/false).second;
  }
  /// {the last carry of every sequence, the outputs}. As in Flax a sequence of length 0 has that of the last step.
  [[nodiscard]] std::pair<Carry, Array> with_carry(Scope& parent, const Array& x,
                                                   const RNNArguments<Carry>& arguments = {}) const {
    return run(parent, x, arguments, /*want_carry=*/true);
  }

  [[nodiscard]] std::pair<Carry, Array> run(Scope& parent, const Array& x, const RNNArguments<Carry>& arguments,
                                            bool want_carry) const;
};

/// Joins along the last axis: what Bidirectional does with its two outputs.
[[nodiscard]] Array concatenate_features(const Array& forward, const Array& backward);

/// Applies one RNN forward and one backward, and merges their outputs, step by step (flax.linen.Bidirectional). At the
/// root they are named forward_rnn and backward_rnn. What the arguments leave open this layer decides, not the two
/// RNNs; their initial carries are a pair.
///
///     const nn::RNN rnn{.cell = nn::GRUCell{.features = 8}};
///     const Array y = nn::Bidirectional{.forward_rnn = rnn, .backward_rnn = rnn}(scope, x);
template <class Forward, class Backward>
struct Bidirectional {
  Forward forward_rnn;
  Backward backward_rnn;
  Array (*merge_fn)(const Array& forward, const Array& backward) = concatenate_features;
  bool time_major = false;
  std::string name = {};

  using Carry = std::pair<typename Forward::Carry, typename Backward::Carry>;

  [[nodiscard]] Array operator()(Scope& parent, const Array& x, const RNNArguments<Carry>& arguments = {}) const {
    return run(parent, x, arguments, /*want_carry=*/false).second;
  }
  [[nodiscard]] std::pair<Carry, Array> with_carry(Scope& parent, const Array& x,
                                                   const RNNArguments<Carry>& arguments = {}) const {
    return run(parent, x, arguments, /*want_carry=*/true);
  }

  [[nodiscard]] std::pair<Carry, Array> run(Scope& parent, const Array& x, const RNNArguments<Carry>& arguments,
                                            bool want_carry) const;
};

// ---- bodies ----

template <class Cell>
std::pair<CarryOf<Cell>, Array> RNN<Cell>::run(Scope& parent, const Array& input, const RNNArguments<Carry>& arguments,
                                               bool want_carry) const {
  const bool at_own_root = parent.is_for(*this);
  Scope scope = parent.enter(*this);
  const auto step = at_own_root ? scope.share(cell, "cell") : parent.share(cell);

  const bool backward = arguments.reverse.value_or(reverse);
  const bool by_time = arguments.time_major.value_or(time_major);
  const Array& lengths = arguments.seq_lengths;
  const detail::Walk walk = detail::walk_along(input, cell.num_feature_axes(), by_time, lengths);
  const auto flipped = [&](const Array& x) { return flip_sequences(x, lengths, walk.num_batch_dims, by_time); };

  Carry carry =
      arguments.initial_carry
          ? *arguments.initial_carry
          : cell.initialize_carry(arguments.init_key.defined() ? arguments.init_key : random::key(0), walk.step_shape);
  const bool select = want_carry && lengths.defined();
  std::vector<Array> outputs;
  std::vector<std::vector<Array>> carries;  // of every step, leaf by leaf, when the last ones differ by sequence
  for (const Array& x : unstack(backward ? flipped(input) : input, walk.time_axis)) {
    auto [next, y] = step(carry, x);
    carry = std::move(next);
    outputs.push_back(std::move(y));
    if (!select) continue;
    const std::vector<Array> leaves = pytree::leaves(carry);
    carries.resize(leaves.size());
    for (std::size_t i = 0; i < leaves.size(); ++i) carries[i].push_back(leaves[i]);
  }
  if (select) {
    std::vector<Array> last;
    for (const std::vector<Array>& steps : carries) last.push_back(detail::at_last_step(stack(steps), lengths));
    carry = pytree::with_leaves(std::move(carry), last);
  }
  Array stacked = stack(outputs, walk.time_axis);
  if (backward && arguments.keep_order.value_or(keep_order)) stacked = flipped(stacked);
  std::pair<CarryOf<Cell>, Array> result(std::move(carry), std::move(stacked));
  if (want_carry) return scope.output(std::move(result));
  result.second = scope.output(std::move(result.second));
  return result;
}

template <class Forward, class Backward>
auto Bidirectional<Forward, Backward>::run(Scope& parent, const Array& x, const RNNArguments<Carry>& arguments,
                                           bool want_carry) const -> std::pair<Carry, Array> {
  const bool at_own_root = parent.is_for(*this);
  Scope scope = parent.enter(*this);
  RNNArguments<typename Forward::Carry> forward{
      .seq_lengths = arguments.seq_lengths, .time_major = arguments.time_major.value_or(time_major), .reverse = false};
  RNNArguments<typename Backward::Carry> backward{.seq_lengths = arguments.seq_lengths,
                                                  .time_major = arguments.time_major.value_or(time_major),
                                                  .reverse = true,
                                                  .keep_order = true};
  if (arguments.init_key.defined()) {
    const auto keys = random::split<2>(arguments.init_key);
    forward.init_key = keys[0];
    backward.init_key = keys[1];
  }
  if (arguments.initial_carry) {
    forward.initial_carry = arguments.initial_carry->first;
    backward.initial_carry = arguments.initial_carry->second;
  }
  const auto run_one = [&](const char* field, const auto& rnn, const auto& told) {
    if (!at_own_root) return rnn.run(parent, x, told, want_carry);
    Scope own = scope.child(field, typeid(rnn), detail::dynamic_name(rnn));
    return rnn.run(own, x, told, want_carry);
  };
  auto [forward_carry, forward_outputs] = run_one("forward_rnn", forward_rnn, forward);
  auto [backward_carry, backward_outputs] = run_one("backward_rnn", backward_rnn, backward);
  std::pair<Carry, Array> result(Carry(std::move(forward_carry), std::move(backward_carry)),
                                 merge_fn(forward_outputs, backward_outputs));
  if (want_carry) return scope.output(std::move(result));
  result.second = scope.output(std::move(result.second));
  return result;
}

}  // namespace linseed::nn
