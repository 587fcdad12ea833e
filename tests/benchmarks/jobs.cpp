// One job, timed: `jobs NAME THREADS SECONDS` prints the milliseconds of every step after the first few, as JSON;
// `jobs fma_peak THREADS SECONDS` the GFLOP/s that the machine reaches with multiply-adds, again and again. A fourth
// argument limits the vectors of either: portable, avx2 or avx512. tests/benchmarks/run.sh runs it beside the same jobs
// in other libraries. Data is random: no time goes into reading it.
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/linseed.hpp>

#include "fma_peak.hpp"

using namespace linseed;

namespace {

struct LeNet {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    const nn::BatchNorm norm{.use_running_average = !train, .momentum = 0.9};
    x = nn::Conv{.features = 6, .kernel_size = {5, 5}}(scope, x);
    x = nn::avg_pool(nn::sigmoid(norm(scope, x)), {2, 2}, {2, 2});
    x = nn::Conv{.features = 16, .kernel_size = {5, 5}}(scope, x);
    x = nn::avg_pool(nn::sigmoid(norm(scope, x)), {2, 2}, {2, 2});
    x = reshape(x, {x.extent(0), -1});
    x = nn::sigmoid(norm(scope, nn::Dense{.features = 120}(scope, x)));
    x = nn::sigmoid(norm(scope, nn::Dense{.features = 84}(scope, x)));
    return nn::Dense{.features = 10}(scope, x);
  }
};

/// 784-1024-1024-10, as wide as dense layers on a CPU get.
struct Wide {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    const nn::BatchNorm norm{.use_running_average = !train, .momentum = 0.9};
    x = reshape(x, {x.extent(0), -1});
    x = nn::relu(norm(scope, nn::Dense{.features = 1024}(scope, x)));
    x = nn::relu(norm(scope, nn::Dense{.features = 1024}(scope, x)));
    return nn::Dense{.features = 10}(scope, x);
  }
};

/// The network of Flax's guide to batch normalization.
struct Guide {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Dense{.features = 4}(scope, x);
    x = nn::relu(nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, x));
    return nn::Dense{.features = 1}(scope, x);
  }
};

/// ResNet-18 for images of 32 x 32: a stem of 3 x 3 and four stages of two basic blocks each.
struct ResNet {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    const nn::BatchNorm norm{.use_running_average = !train, .momentum = 0.9};
    const auto conv = [&](const Array& from, std::int64_t features, std::int64_t taps, std::int64_t stride) {
      return norm(
          scope,
          nn::Conv{.features = features, .kernel_size = {taps, taps}, .strides = {stride, stride}, .use_bias = false}(
              scope, from));
    };
    x = nn::relu(conv(x, 64, 3, 1));
    for (const std::int64_t features : {64, 128, 256, 512}) {
      for (const bool first : {true, false}) {
        const std::int64_t stride = first && features > 64 ? 2 : 1;
        const Array y = conv(nn::relu(conv(x, features, 3, stride)), features, 3, 1);
        x = nn::relu(y + (stride > 1 ? conv(x, features, 1, stride) : x));
      }
    }
    return nn::Dense{.features = 10}(scope, mean(x, {1, 2}));
  }
};

using data::Batch;

template <class Loss>
std::pair<TrainState, Array> train_step(const TrainState& state, const Batch& batch, const Loss& loss) {
  const auto loss_fn = [&](const Tree& params) {
    auto [outputs, updates] = nn::apply(state.model, {{"params", params}, {"batch_stats", state.batch_stats}},
                                        nn::mutable_({"batch_stats"}), batch.image, /*train=*/true);
    return std::pair{loss(outputs, batch.label), updates};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  return {state.apply_gradients(grads).replace({.batch_stats = value.second["batch_stats"]}), value.first};
}

Array classification(const Array& logits, const Array& labels) {
  return mean(nn::softmax_cross_entropy_with_integer_labels(logits, labels));
}
Array regression(const Array& outputs, const Array& targets) { return mean(square(squeeze(outputs, {1}) - targets)); }

Array logits_of(const TrainState& state, const Array& image) {
  return nn::apply(state.model, {{"params", state.params}, {"batch_stats", state.batch_stats}}, image, /*train=*/false);
}

template <class Model>
TrainState state_of(const Model& model, const Shape& shape, const optim::GradientTransformation& tx) {
  const Tree variables = nn::init(model, random::key(0), zeros(shape), false);
  return TrainState::create(model, variables["params"], variables["batch_stats"], tx);
}

Batch images(std::int64_t count, const Shape& shape = {28, 28, 1}) {
  return {random::uniform(random::key(1), {count, shape[0], shape[1], shape[2]}),
          random::randint(random::key(2), {count}, 0, 10)};
}

using Step = std::function<void()>;

template <class Loss>
Step training(TrainState first, const Batch& batch, const Loss& loss, const Executor& executor) {
  auto step = jit([loss](const TrainState& state, const Batch& data) { return train_step(state, data, loss); },
                  {.executor = executor});
  return [state = std::move(first), batch, step = std::move(step)]() mutable {
    state = step(std::move(state), batch).first;
  };
}

Step lenet_train(const Executor& executor) {
  return training(state_of(LeNet{}, {1, 28, 28, 1}, optim::sgd(0.1, {.momentum = 0.9})), images(256), classification,
                  executor);
}
/// Sixty thousand images of bytes, in another order in every epoch.
Step lenet_fed(const Executor& executor) {
  constexpr std::int64_t count = 60'000, pixels = 28 * 28;
  std::vector<std::uint8_t> bytes(count * pixels);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 2654435761U >> 24);
  const data::Dataset dataset{Array::from(bytes, {count, 28, 28, 1}), random::randint(random::key(2), {count}, 0, 10)};
  auto step = jit([](const TrainState& state, const Batch& batch) { return train_step(state, batch, classification); },
                  {.executor = executor});
  return [state = state_of(LeNet{}, {1, 28, 28, 1}, optim::sgd(0.1, {.momentum = 0.9})), dataset, step,
          epoch = std::uint64_t{0}, batches = data::shuffled(dataset, 256, random::key(0), {.drop_last = true}),
          next = std::int64_t{0}]() mutable {
    if (next == batches.size()) {
      batches = data::shuffled(dataset, 256, random::key(++epoch), {.drop_last = true});
      next = 0;
    }
    state = step(std::move(state), batches[next++]).first;
  };
}
Step lenet_eval(const Executor& executor) {
  const TrainState state = state_of(LeNet{}, {1, 28, 28, 1}, optim::sgd(0.1));
  return [state, batch = images(256), step = jit(logits_of, {.executor = executor})] {
    const Array logits = step(state, batch.image);
  };
}
Step wide_train(const Executor& executor) {
  return training(state_of(Wide{}, {1, 28, 28, 1}, optim::sgd(0.1, {.momentum = 0.9})), images(256), classification,
                  executor);
}
Step guide_train(const Executor& executor) {
  const Batch batch{random::normal(random::key(1), {8, 3}), random::normal(random::key(2), {8})};
  return training(state_of(Guide{}, {1, 3}, optim::adam(1e-3)), batch, regression, executor);
}

template <int batch>
Step resnet_train(const Executor& executor) {
  return training(state_of(ResNet{}, {1, 32, 32, 3}, optim::sgd(0.1, {.momentum = 0.9})), images(batch, {32, 32, 3}),
                  classification, executor);
}
template <int batch>
Step resnet_eval(const Executor& executor) {
  const TrainState state = state_of(ResNet{}, {1, 32, 32, 3}, optim::sgd(0.1));
  return [state, data = images(batch, {32, 32, 3}), step = jit(logits_of, {.executor = executor})] {
    const Array logits = step(state, data.image);
  };
}

std::optional<VectorSet> vector_set(std::string_view name) {
  for (const VectorSet set : {VectorSet::portable, VectorSet::avx2, VectorSet::avx512})
    if (name == to_string(set)) return set;
  return std::nullopt;
}

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string_view, Step (*)(const Executor&)> jobs{{"lenet_train", lenet_train},
                                                                   {"lenet_fed", lenet_fed},
                                                                   {"lenet_eval", lenet_eval},
                                                                   {"wide_train", wide_train},
                                                                   {"guide_train", guide_train},
                                                                   {"resnet_train", resnet_train<32>},
                                                                   {"resnet_train_128", resnet_train<128>},
                                                                   {"resnet_eval", resnet_eval<32>},
                                                                   {"resnet_eval_128", resnet_eval<128>}};
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  const auto job = argc > 1 ? jobs.find(argv[1]) : jobs.end();
  const bool peak = argc > 1 && argv[1] == std::string_view("fma_peak");
  const std::optional<VectorSet> vectors = argc == 5 ? vector_set(argv[4]) : best_vector_set();
  if ((argc != 4 && argc != 5) || (job == jobs.end() && !peak) || !vectors) {
    fmt::print(stderr,
               "usage: jobs NAME THREADS SECONDS [portable | avx2 | avx512], where NAME is fma_peak or one of\n");
    for (const auto& [name, step] : jobs) fmt::print(stderr, "  {}\n", name);
    return 2;
  }
  const int threads = std::atoi(argv[2]);
  const double seconds = std::atof(argv[3]);
  if (peak) {
    const auto start = Clock::now();
    std::vector<double> rates;
    do rates.push_back(fma_peak(threads, *vectors));
    while (seconds_since(start) < seconds);
    fmt::print("[{:.5f}]\n", fmt::join(rates, ", "));
    return 0;
  }
  const Step step = job->second(Executor(threads, *vectors));
  constexpr int warm_up = 3;
  step();
  for (int i = 1; seconds > 0 && i < warm_up; ++i) step();
  std::vector<double> milliseconds;
  for (const auto start = Clock::now(); seconds_since(start) < seconds;) {
    const auto before = Clock::now();
    step();
    milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
  }
  fmt::print("[{:.5f}]\n", fmt::join(milliseconds, ", "));
}
