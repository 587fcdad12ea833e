// The models of tests/golden/maker/models.py, in linseed.
#pragma once

#include <string>

#include <linseed/nn/functions.hpp>
#include <linseed/nn/layers.hpp>
#include <linseed/nn/module.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/pool.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

namespace models {

using namespace linseed;

/// The model of the Flax BatchNorm guide.
struct MLP {
  bool batch_norm = true;

  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Dense{.features = 4}(scope, x);
    if (batch_norm) x = nn::BatchNorm{.use_running_average = !train}(scope, x);
    x = nn::relu(x);
    return nn::Dense{.features = 1}(scope, x);
  }
};

struct CNN {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Conv{.features = 4, .kernel_size = {3, 3}}(scope, x);
    x = nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, x);
    x = nn::relu(x);
    x = nn::avg_pool(x, {2, 2}, {2, 2});
    x = reshape(x, {x.extent(0), -1});
    return nn::Dense{.features = 3}(scope, x);
  }
};

struct BNLeNet {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    const auto norm = [&](const Array& y) {
      return nn::sigmoid(nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, y));
    };
    for (const int features : {6, 16}) {
      x = norm(nn::Conv{.features = features, .kernel_size = {5, 5}, .padding = "SAME"}(scope, x));
      x = nn::avg_pool(x, {2, 2}, {2, 2});
    }
    x = reshape(x, {x.extent(0), -1});
    for (const int features : {120, 84}) x = norm(nn::Dense{.features = features}(scope, x));
    return nn::Dense{.features = 10}(scope, x);
  }
};

struct Block {
  int features;
  double rate = 0.5;
  std::string name = {};

  Array operator()(nn::Scope& parent, Array x, bool train) const {
    nn::Scope scope = parent.enter(*this);
    x = nn::Dense{.features = features}(scope, x);
    return scope.output(nn::Dropout{.rate = rate, .deterministic = !train}(scope, x));
  }
};

struct Nested {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = Block{.features = 5}(scope, x, train);
    x = Block{.features = 4, .rate = 0.25}(scope, x, train);
    return nn::Dense{.features = 2, .name = "head"}(scope, x);
  }
};

struct Shared {
  Array operator()(nn::Scope& scope, const Array& x, bool) const {
    const auto dense = scope.share(nn::Dense{.features = 4});
    return dense(nn::relu(dense(x)));
  }
};

/// One BatchNorm called twice: its statistics move twice in one apply.
struct SharedStatistics {
  Array operator()(nn::Scope& scope, const Array& x, bool train) const {
    const auto norm = scope.share(nn::BatchNorm{.use_running_average = !train, .momentum = 0.5});
    return norm(norm(x) * 3.0 + 1.0);
  }
};

/// Dense_0, a, Dense_1; then Dropout_0, called twice.
struct Names {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Dense{.features = 3}(scope, x);
    x = nn::Dense{.features = 3, .name = "a"}(scope, x);
    x = nn::Dense{.features = 3}(scope, x);
    const auto dropout = scope.share(nn::Dropout{.rate = 0.5, .deterministic = !train});
    const Array first = dropout(x);  // the order of the draws decides the masks
    return first + 2.0 * dropout(x);
  }
};

/// The layers belong to the module that calls them: Dense_0, BatchNorm_0, Dense_1.
struct SequentialInside {
  Array operator()(nn::Scope& scope, const Array& x, bool train) const {
    return nn::Sequential{{nn::Dense{.features = 4}, nn::BatchNorm{.use_running_average = !train}, nn::relu,
                           nn::Dense{.features = 2}}}(scope, x);
  }
};

struct ResidualBlock {
  int features;
  int strides = 1;
  std::string name = {};

  Array operator()(nn::Scope& parent, Array x, bool train) const {
    nn::Scope scope = parent.enter(*this);
    const auto norm = [&](const Array& y) {
      return nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, y);
    };
    const auto conv = [&](const Array& y, std::int64_t size, std::int64_t step) {
      return nn::Conv{.features = features, .kernel_size = {size, size}, .strides = {step, step}, .use_bias = false}(
          scope, y);
    };
    Array y = nn::relu(norm(conv(x, 3, strides)));
    y = norm(conv(y, 3, 1));
    if (!(x.shape() == y.shape())) x = norm(conv(x, 1, strides));
    return scope.output(nn::relu(x + y));
  }
};

/// A small residual network (He et al. 2016).
struct FashionResNet {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Conv{.features = 4, .kernel_size = {3, 3}, .strides = {2, 2}, .use_bias = false}(scope, x);
    x = nn::relu(nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, x));
    x = ResidualBlock{.features = 4}(scope, x, train);
    x = ResidualBlock{.features = 8, .strides = 2}(scope, x, train);
    return nn::Dense{.features = 10}(scope, mean(x, {1, 2}));
  }
};

struct DropoutMLP {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = reshape(x, {x.extent(0), -1});
    x = nn::relu(nn::Dense{.features = 32}(scope, x));
    x = nn::Dropout{.rate = 0.5, .deterministic = !train}(scope, x);
    return nn::Dense{.features = 10}(scope, x);
  }
};

struct ResNetBlock {
  int features;
  Shape strides = {1, 1};
  std::string name = {};

  Array operator()(nn::Scope& parent, Array x, bool train) const {
    nn::Scope scope = parent.enter(*this);
    nn::BatchNorm norm{.use_running_average = !train, .momentum = 0.9};
    Array y = nn::Conv{.features = features, .kernel_size = {3, 3}, .strides = strides, .use_bias = false}(scope, x);
    y = nn::relu(norm(scope, y));
    y = nn::Conv{.features = features, .kernel_size = {3, 3}, .use_bias = false}(scope, y);
    norm.scale_init = nn::initializers::zeros();
    y = norm(scope, y);
    if (!(x.shape() == y.shape())) {
      x =
          nn::Conv{
              .features = features, .kernel_size = {1, 1}, .strides = strides, .use_bias = false, .name = "conv_proj"}(
              scope, x);
      x = nn::BatchNorm{.use_running_average = !train, .momentum = 0.9, .name = "norm_proj"}(scope, x);
    }
    return scope.output(nn::relu(x + y));
  }
};

/// A residual network in small: a stem, two stages, and the mean over places.
struct ResNet {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Conv{.features = 4, .kernel_size = {3, 3}, .use_bias = false, .name = "conv_init"}(scope, x);
    x = nn::BatchNorm{.use_running_average = !train, .momentum = 0.9, .name = "bn_init"}(scope, x);
    x = nn::max_pool(nn::relu(x), {3, 3}, {2, 2}, "SAME");
    x = ResNetBlock{.features = 4}(scope, x, train);
    x = ResNetBlock{.features = 6, .strides = {2, 2}}(scope, x, train);
    return nn::Dense{.features = 3}(scope, mean(x, {1, 2}));
  }
};

/// Pre-norm attention and a feed-forward part, each with dropout and a residual.
struct EncoderBlock {
  std::string name = {};

  Array operator()(nn::Scope& parent, Array x, bool train) const {
    nn::Scope scope = parent.enter(*this);
    Array y = nn::LayerNorm{}(scope, x);
    y = nn::MultiHeadDotProductAttention{.num_heads = 2, .dropout_rate = 0.1, .deterministic = !train}(scope, y);
    x = x + nn::Dropout{.rate = 0.1, .deterministic = !train}(scope, y);
    y = nn::LayerNorm{}(scope, x);
    y = nn::gelu(nn::Dense{.features = 8}(scope, y));
    y = nn::Dropout{.rate = 0.1, .deterministic = !train}(scope, y);
    return scope.output(x + nn::Dense{.features = x.extent(-1)}(scope, y));
  }
};

struct Encoder {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = x + scope.param("position", nn::initializers::normal(0.02), {1, x.extent(1), x.extent(2)});
    for (int block = 0; block < 2; ++block) x = EncoderBlock{}(scope, x, train);
    x = nn::LayerNorm{.name = "final"}(scope, x);
    return nn::Dense{.features = 2, .name = "head"}(scope, x);
  }
};

}  // namespace models
