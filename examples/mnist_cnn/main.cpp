// The convolutional classifier for MNIST that introduces batch normalization in PyTorch tutorials, on Fashion-MNIST,
// with what their BatchNorm calls affine=False (neither scale nor bias) and track_running_stats=False (no running
// statistics: the batch's own, in evaluation too). It is trained with and without running statistics.
//
//     mnist_cnn [DATA]     a folder with the four IDX files, or "embedded"; MAX_EPOCH and DATASET_LIMIT are honoured

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <thread>

#include <linseed/linseed.hpp>

using namespace linseed;

struct CNN {
  bool running_statistics = false;

  Array normalize(nn::Scope& scope, const Array& x, bool train) const {
    if (running_statistics) {
      return nn::BatchNorm{.use_running_average = !train,
                           .momentum = nn::momentum_from_pytorch(0.1),
                           .use_bias = false,
                           .use_scale = false}(scope, x);
    }
    // Statistics over all axes but the channels, as BatchNorm takes them, and nothing that would have to be carried.
    const Axes axes = x.rank() == 4 ? Axes{0, 1, 2} : Axes{0};
    return nn::LayerNorm{.epsilon = 1e-5, .use_bias = false, .use_scale = false, .reduction_axes = axes}(scope, x);
  }

  Array operator()(nn::Scope& scope, Array x, bool train) const {
    // A bias before a normalization is taken away again by its mean: there is none.
    x = nn::Conv{.features = 20, .kernel_size = {5, 5}, .padding = "VALID", .use_bias = false}(scope, x);
    x = nn::max_pool(nn::relu(normalize(scope, x, train)), {2, 2}, {2, 2});
    x = nn::Conv{.features = 50, .kernel_size = {5, 5}, .padding = "VALID", .use_bias = false}(scope, x);
    x = nn::max_pool(nn::relu(normalize(scope, x, train)), {2, 2}, {2, 2});
    x = reshape(x, {x.extent(0), -1});
    x = nn::Dense{.features = 500, .use_bias = false}(scope, x);
    x = nn::relu(normalize(scope, x, train));
    return nn::Dense{.features = 10}(scope, x);
  }
};

int main(int argc, char** argv) {
  try {
    const std::string source = argc > 1 ? argv[1] : data::fashion_mnist_default_directory();
    const data::FashionMnist mnist =
        source == "embedded" ? data::fashion_mnist_embedded() : data::fashion_mnist(source);
    const auto cross_entropy = [](const Array& logits, const Array& labels) {
      return nn::softmax_cross_entropy_with_integer_labels(logits, labels);
    };
    for (const bool running : {true, false}) {
      fmt::print("{} running statistics\n", running ? "with" : "without");
      const auto [state, history, reason, partial] = training::fit(
          CNN{.running_statistics = running}, optim::adam(1e-3), {.train = mnist.train, .validation = mnist.test},
          {.loss = cross_entropy,
           .metrics = {{"accuracy", correct}},
           .epochs = 3,
           .batch_size = 64,
           .listeners = {training::console({.plot = false})},
           .executor = Executor(std::max(1, static_cast<int>(std::thread::hardware_concurrency())))});
      fmt::print("params {}\nbatch_stats {}\n\n", tree::shapes(state.params), tree::shapes(state.batch_stats));
      if (reason == training::StopReason::interrupt) break;
    }
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "mnist_cnn: {}\n", error.what());
    return 1;
  }
}
