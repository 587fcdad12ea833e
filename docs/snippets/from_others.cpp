// docs/from_flax.md, docs/from_pytorch.md, docs/from_xtensor.md

#include <cstdio>
#include <cstdlib>
#include <filesystem>

// <bridge>
#include <linseed/linseed.hpp>
#include <linseed/xtensor.hpp>
// </bridge>
#include <xtensor/xmath.hpp>
#include <xtensor/xnpy.hpp>

using namespace linseed;

// <flax_module>
struct CNN {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Conv{.features = 8, .kernel_size = {3, 3}}(scope, x);
    x = nn::BatchNorm{.use_running_average = !train}(scope, x);
    x = nn::relu(x);
    x = nn::avg_pool(x, {2, 2}, {2, 2});
    x = reshape(x, {x.extent(0), -1});
    return nn::Dense{.features = 10}(scope, x);
  }
};
// </flax_module>

namespace {

void expect(bool condition, const char* what) {
  if (condition) return;
  fmt::print("not so: {}\n", what);
  std::exit(1);
}

void flax() {
  const Array x = zeros({2, 8, 8, 1});
  // <flax_init>
  const Tree variables = nn::init(CNN{}, random::key(0), x, /*train=*/false);
  const Tree both = nn::init(CNN{}, nn::rngs({{"params", random::key(0)}, {"dropout", random::key(1)}}), x, false);
  // </flax_init>
  expect(identical(variables, both), "another stream changes no parameter");
  // <flax_apply>
  const Array logits = nn::apply(CNN{}, variables, x, /*train=*/false);
  auto [y, updates] = nn::apply(CNN{}, variables, nn::mutable_({"batch_stats"}), x, /*train=*/true);
  // </flax_apply>
  expect(logits.shape() == Shape{2, 10} && y.shape() == logits.shape(), "shapes");
  expect(updates.keys() == std::vector<std::string>{"batch_stats"}, "updates");
  const Array label = zeros({2}, int32);
  // <flax_state>
  const auto tx = optim::chain({optim::clip_by_global_norm(1.0), optim::adamw(1e-3)});
  const TrainState state = TrainState::create(CNN{}, variables["params"], variables["batch_stats"], tx);
  const auto loss_fn = [&](const Tree& params) {
    auto [out, changed] = nn::apply(state.model, state.replace({.params = params}).variables(),
                                    nn::mutable_({"batch_stats"}), x, /*train=*/true);
    return std::pair{mean(nn::softmax_cross_entropy_with_integer_labels(out, label)), changed};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);
  const TrainState next = state.apply_gradients(grads).replace({.batch_stats = value.second["batch_stats"]});
  // </flax_state>
  expect(next.step.item<int>() == 1, "one step");
}

void pytorch_step() {
  const Array x = random::uniform(random::key(0), {4, 8, 8, 1});
  const Array y = zeros({4}, int32);
  const Tree variables = nn::init(CNN{}, random::key(0), x, /*train=*/false);
  TrainState state = TrainState::create(CNN{}, variables["params"], variables["batch_stats"], optim::sgd(0.1));
  // <torch_step>
  const auto loss_fn = [&](const Tree& params) {  // loss = criterion(model(x), y)
    auto [logits, updates] = nn::apply(state.model, state.replace({.params = params}).variables(),
                                       nn::mutable_({"batch_stats"}), x, /*train=*/true);
    return std::pair{mean(nn::softmax_cross_entropy_with_integer_labels(logits, y)), updates};
  };
  const auto [value, grads] = value_and_grad(loss_fn)(state.params);  // loss.backward()
  const auto& [loss, updates] = value;
  state = state.apply_gradients(grads).replace({.batch_stats = updates["batch_stats"]});  // optimizer.step()
  // </torch_step>
  expect(state.step.item<int>() == 1 && loss.item<float>() > 0, "a step");
}

void pytorch() {
  const Array image = random::uniform(random::key(0), {2, 3, 8, 8});
  // <channels>
  const Array x = transpose(image, {0, 2, 3, 1});  // [N,C,H,W] as in PyTorch -> [N,H,W,C]
  // or normalize channels-first data where it is:
  const nn::BatchNorm norm{.use_running_average = false, .axis = 1, .momentum = nn::momentum_from_pytorch(0.1)};
  // </channels>
  expect(x.shape() == Shape{2, 8, 8, 3}, "channels last");
  const Tree variables = nn::init(norm, random::key(0), image);
  expect(variables.at("batch_stats/mean").array().shape() == Shape{3}, "axis 1");

  // <torch_weights>
  const Array linear_weight = random::normal(random::key(1), {4, 3});      // torch.nn.Linear(3, 4).weight: [out, in]
  const Array conv_weight = random::normal(random::key(2), {5, 3, 2, 2});  // Conv2d.weight: [out, in, h, w]
  const Tree params = {{"Dense_0", {{"kernel", transpose(linear_weight)}, {"bias", zeros({4})}}},
                       {"Conv_0", {{"kernel", transpose(conv_weight, {2, 3, 1, 0})}, {"bias", zeros({5})}}}};
  // </torch_weights>
  expect(params.at("Dense_0/kernel").array().shape() == Shape{3, 4}, "dense kernels are [in, out]");
  expect(params.at("Conv_0/kernel").array().shape() == Shape{2, 2, 3, 5}, "conv kernels are [h, w, in, out]");
}

void xtensor() {
  // <to_array>
  xt::xarray<float> a = {{1.0F, 2.0F}, {3.0F, 4.0F}};
  const Array copied = xt::exp(a) + 1.0F;  // any expression, evaluated once
  const Array adopted = std::move(a);      // a container that is moved in is not copied
  const auto seen = view<float>(adopted);  // a const xtensor view of the elements, without a copy
  const float total = xt::sum(seen)();
  // </to_array>
  // <npy>
  const std::string path = std::filesystem::temp_directory_path() / "linseed-weights.npy";
  xt::dump_npy(path, view<float>(adopted));                                  // numpy.load reads it
  const Array weights = xt::load_npy<float>(path);                           // what numpy.save wrote
  const xt::xarray<double> result = xt::cast<double>(view<float>(weights));  // elements of one's own
  // </npy>
  std::filesystem::remove(path);
  expect(identical(weights, adopted) && result(1, 1) == 4.0, "files of NumPy");
  expect(total == 10.0F, "the view sees the elements");
  expect(copied.shape() == Shape{2, 2}, "shapes");
}

}  // namespace

int main() {
  flax();
  pytorch_step();
  pytorch();
  xtensor();
}
