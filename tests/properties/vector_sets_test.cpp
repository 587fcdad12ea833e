// Whole training runs on every instruction set that the machine has: those with fused multiply-adds give the same bits.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

#include "nn/models.hpp"
#include "support.hpp"

using namespace linseed;

namespace {

constexpr VectorSet all_sets[] = {VectorSet::portable, VectorSet::avx2, VectorSet::avx512};

/// What a training run leaves, and the text of explain().
struct Trained {
  TrainState state;
  std::string kernels;
};

bool same_bits(const Trained& a, const Trained& b) {
  return identical(a.state.params, b.state.params) && identical(a.state.batch_stats, b.state.batch_stats) &&
         identical(a.state.opt_state, b.state.opt_state);
}

struct Data {
  Shape batch;
  int classes = 10;
  int steps = 20;
};

Trained train(const nn::Model& model, const optim::GradientTransformation& tx, const Data& data,
              const JitOptions& options) {
  const auto images = [&](int step) {
    return random::normal(random::key(static_cast<std::uint32_t>(step)), data.batch);
  };
  const auto labels = [&](int step) {
    return random::randint(random::key(static_cast<std::uint32_t>(1000 + step)), {data.batch[0]}, 0, data.classes);
  };
  const auto step = jit(
      [](const TrainState& state, const Array& x, const Array& label) {
        const auto loss = [&](const Tree& params) {
          const auto [logits, updates] =
              nn::apply(state.model, {{"params", params}, {"batch_stats", state.batch_stats}},
                        nn::mutable_({"batch_stats"}), x, /*train=*/true);
          return std::pair(mean(nn::softmax_cross_entropy_with_integer_labels(logits, label)), updates);
        };
        const auto [value, grads] = value_and_grad(loss)(state.params);
        return state.apply_gradients(grads).replace({.batch_stats = value.second["batch_stats"]});
      },
      options);
  const Tree variables = nn::init(model, random::key(7), images(0), /*train=*/false);
  TrainState state = TrainState::create(model, variables["params"], variables["batch_stats"], tx);
  for (int i = 0; i < data.steps; ++i) state = step(std::move(state), images(i), labels(i));
  return {std::move(state), step.explain()};
}

/// Trains on every set, with one thread and with two, and compares; what runs must say `routine`.
void check_sets(const nn::Model& model, const optim::GradientTransformation& tx, const Data& data,
                std::string_view routine) {
  std::vector<Trained> fused;
  for (const VectorSet set : all_sets) {
    if (set > best_vector_set()) {
      MESSAGE(std::string(to_string(set)), " is missing on this machine: nothing to compare with");
      continue;
    }
    CAPTURE(to_string(set));
    const JitOptions options{.executor = Executor(1, set), .portable_bits = true};
    REQUIRE(options.executor.vectors() == set);
    Trained trained = train(model, tx, data, options);
    CHECK_FALSE(inspect::first_non_finite(trained.state.params).has_value());
    CHECK(same_bits(trained, train(model, tx, data, {.executor = Executor(2, set), .portable_bits = true})));
    if (set == VectorSet::portable) {
      // The run is long enough for roundings to show, and the set that is asked for is the one that runs.
      if (best_vector_set() > VectorSet::portable)
        CHECK_FALSE(same_bits(trained, train(model, tx, data, {.executor = Executor(1)})));
      continue;
    }
    CHECK(trained.kernels.find(routine) != std::string::npos);
    fused.push_back(std::move(trained));
  }
  for (const Trained& other : fused) {
    CHECK(same_bits(other, fused.front()));
    CHECK(other.kernels.substr(other.kernels.find("kernels:")) ==
          fused.front().kernels.substr(fused.front().kernels.find("kernels:")));
  }
}

struct WideMLP {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    for (const int features : {150, 130}) {
      x = nn::Dense{.features = features}(scope, x);
      x = nn::tanh(nn::BatchNorm{.use_running_average = !train}(scope, x));
    }
    return nn::Dense{.features = 10}(scope, x);
  }
};

struct WideResNet {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Conv{.features = 32, .kernel_size = {3, 3}, .use_bias = false}(scope, x);
    x = nn::relu(nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, x));
    x = models::ResidualBlock{.features = 32}(scope, x, train);
    x = models::ResidualBlock{.features = 40, .strides = 2}(scope, x, train);
    return nn::Dense{.features = 10}(scope, mean(x, {1, 2}));
  }
};

/// Convolutions that no fast path takes: groups, dilations, a transposed one, and all kinds of functions.
struct Odd {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::gelu(nn::Conv{.features = 6, .kernel_size = {3, 2}, .kernel_dilation = {2, 1}}(scope, x));
    x = nn::softplus(nn::Conv{.features = 4, .kernel_size = {3, 3}, .feature_group_count = 2}(scope, x));
    x = nn::ConvTranspose{.features = 3, .kernel_size = {3, 3}, .strides = {2, 2}}(scope, x);
    x = nn::GroupNorm{.num_groups = 3}(scope, x);
    x = nn::max_pool(sin(x), {2, 2}, {2, 2});
    x = erf(x) + exp(-square(x)) + log1p(abs(x));
    x = nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, x);
    return nn::Dense{.features = 3}(scope, reshape(x, {x.extent(0), -1}));
  }
};

struct Attention {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = x + nn::MultiHeadDotProductAttention{.num_heads = 2}(scope, nn::LayerNorm{}(scope, x));
    x = x + nn::Dense{.features = x.extent(-1)}(scope, nn::silu(nn::LayerNorm{}(scope, x)));
    x = nn::BatchNorm{.use_running_average = !train}(scope, mean(x, 1));
    return nn::Dense{.features = 3}(scope, x);
  }
};

}  // namespace

TEST_CASE("batch-norm LeNet, its samples in lanes, has the same bits on AVX2 and AVX-512") {
  check_sets(models::BNLeNet{}, optim::sgd(0.5), {.batch = {48, 14, 14, 1}, .steps = 40},
             "conv_in_lanes  [lanes 5x5, ");
  check_sets(models::BNLeNet{}, optim::sgd(0.5), {.batch = {16, 28, 28, 1}},
             "conv_kernel_grad_winograd_in_lanes  [winograd_rows 5x5, ");
}

TEST_CASE("a residual network by Winograd's tiles has the same bits on AVX2 and AVX-512") {
  check_sets(WideResNet{}, optim::sgd(0.05, {.momentum = 0.9}), {.batch = {6, 12, 12, 3}},
             "conv_kernel_grad_winograd  [winograd 3x3, ");
}

TEST_CASE("an MLP with adam has the same bits on AVX2 and AVX-512") {
  check_sets(WideMLP{}, optim::adam(1e-2), {.batch = {96, 100}, .steps = 40}, "dot_general  [dense_gemm, ");
}

TEST_CASE("what no fast path takes has the same bits on AVX2 and AVX-512") {
  check_sets(Odd{}, optim::adam(1e-2), {.batch = {5, 9, 7, 2}, .classes = 3}, "  [offset_gemm 3x3, ");
}

TEST_CASE("attention has the same bits on AVX2 and AVX-512") {
  check_sets(Attention{}, optim::adamw(1e-2), {.batch = {7, 9, 12}, .classes = 3}, "dot_general  [dense_gemm, ");
}

TEST_CASE("large products have the same bits on AVX2 and AVX-512 where these are asked for") {
  const auto product = [](const Array& a, const Array& b) { return matmul(a, b); };
  for (const DType dtype : {float32, float64}) {
    const Array a = astype(random::normal(random::key(1), {513, 1031}), dtype);
    const Array b = astype(random::normal(random::key(2), {1031, 517}), dtype);
    // The sum of a column of products is the product with the sum of a column, in double to the last digits.
    const Array sums = matmul(sum(astype(a, float64), 0), astype(b, float64));

    const auto fast = jit(product);
    support::check_near(sum(astype(fast(a, b), float64), 0), sums, 1e-4);
    CHECK(fast.explain().find("dot_general  [blas, 547 MFLOP]") != std::string::npos);

    std::vector<Array> fused;
    for (const VectorSet set : {VectorSet::avx2, VectorSet::avx512}) {
      if (set > best_vector_set()) {
        MESSAGE(std::string(to_string(set)), " is missing on this machine: nothing to compare with");
        continue;
      }
      const auto portable = jit(product, {.executor = Executor(2, set), .portable_bits = true});
      fused.push_back(portable(a, b));
      CHECK(portable.explain().find("dot_general_portable  [dense_gemm, 547 MFLOP]") != std::string::npos);
      CHECK(portable.explain().find("blas") == std::string::npos);
      CHECK(inspect::flops(portable.program()) == 2 * 513 * 1031 * 517);
      support::check_near(sum(astype(fused.back(), float64), 0), sums, 1e-4);
      const auto by_op =
          jit(product, {.executor = Executor(1, set), .disabled_passes = {"all"}, .portable_bits = true});
      CHECK(identical(by_op(a, b), fused.front()));
    }
    for (const Array& other : fused) CHECK(identical(other, fused.front()));
  }
}
