// Counts every allocation of this thread, by standing in front of the C library's allocator. In steady state a compiled
// step allocates nothing but the Arrays that it hands out.
#include <doctest/doctest.h>

#include <linseed/linseed.hpp>

namespace {

thread_local long allocations = 0;

}  // namespace

extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) {
  ++allocations;
  return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
}

using namespace linseed;

namespace {

/// What an Array of its own takes: the elements, what counts their owners, and the handle's node. A small one has its
/// elements where their owners are counted.
constexpr long of_an_array = 3, of_a_small_array = 2;

struct Images {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    const nn::BatchNorm norm{.use_running_average = !train};
    x = nn::avg_pool(nn::sigmoid(norm(scope, nn::Conv{.features = 6, .kernel_size = {5, 5}}(scope, x))), {2, 2},
                     {2, 2});
    x = nn::relu(norm(scope, nn::Conv{.features = 16, .kernel_size = {3, 3}, .strides = {2, 2}}(scope, x)));
    return nn::Dense{.features = 10}(scope, reshape(x, {x.extent(0), -1}));
  }
};

struct Points {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Dense{.features = 4}(scope, x);
    x = nn::relu(nn::BatchNorm{.use_running_average = !train}(scope, x));
    return nn::Dense{.features = 10}(scope, x);
  }
};

std::pair<TrainState, Array> train_step(const TrainState& state, const Array& x, const Array& labels) {
  const auto loss_fn = [&](const Tree& params) {
    auto [logits, updates] = nn::apply(state.model, {{"params", params}, {"batch_stats", state.batch_stats}},
                                       nn::mutable_({"batch_stats"}), x, /*train=*/true);
    return std::pair{mean(nn::softmax_cross_entropy_with_integer_labels(logits, labels)), updates};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  return {state.apply_gradients(grads).replace({.batch_stats = value.second["batch_stats"]}), value.first};
}

template <class Model>
void check_training(const Model& model, const Array& x, int threads) {
  const Array labels = random::randint(random::key(2), {x.extent(0)}, 0, 10);
  const Tree variables = nn::init(model, random::key(0), x, false);
  TrainState state = TrainState::create(model, variables["params"], variables["batch_stats"], optim::adam(1e-3));
  const auto step = jit(train_step, {.executor = Executor(threads)});
  Array loss;
  for (int i = 0; i < 3; ++i) std::tie(state, loss) = step(std::move(state), x, labels);
  for (int i = 0; i < 3; ++i) {
    const long before = allocations;
    auto result = step(std::move(state), x, labels);
    CHECK(allocations - before == of_a_small_array);  // the loss
    std::tie(state, loss) = std::move(result);
  }
}

}  // namespace

TEST_CASE("the allocator is watched") {
  const long before = allocations;
  const Array x = full({3}, 1.0);
  CHECK(allocations - before >= of_a_small_array);
}

TEST_CASE("a compiled step allocates its new outputs and nothing else") {
  for (const int threads : {1, 2}) {
    CAPTURE(threads);
    check_training(Points{}, random::normal(random::key(1), {8, 3}), threads);
    check_training(Points{}, random::normal(random::key(1), {500, 40}), threads);
    check_training(Images{}, random::normal(random::key(1), {32, 12, 12, 1}), threads);
    check_training(Images{}, random::normal(random::key(1), {5, 12, 12, 1}), threads);
  }
}

TEST_CASE("evaluation allocates its outputs and nothing else") {
  const Array x = random::normal(random::key(1), {32, 12, 12, 1});
  const Tree variables = nn::init(Images{}, random::key(0), x, false);
  const auto logits = jit([](const Tree& v, const Array& images) { return nn::apply(Images{}, v, images, false); });
  for (int i = 0; i < 2; ++i) (void)logits(variables, x);
  const long before = allocations;
  const Array y = logits(variables, x);
  CHECK(allocations - before == of_an_array);
}
