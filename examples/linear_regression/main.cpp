// A line through noisy points, in thirty lines: y = 2 x0 - 3.4 x1 + 4.2, as in Dive into Deep Learning (section 3.4).

#include <linseed/linseed.hpp>

using namespace linseed;

int main() {
  const auto [x_key, noise_key] = random::split<2>(random::key(0));
  const Array x = random::normal(x_key, {1000, 2});
  const Array y = matmul(x, Array{{2.0}, {-3.4}}) + 4.2 + 0.01 * random::normal(noise_key, {1000, 1});

  const auto [state, history, reason, partial] =
      training::fit(nn::Dense{.features = 1}, optim::sgd(0.03), {.train = {x, y}},
                    {.loss = nn::l2_loss, .epochs = 5, .batch_size = 10});

  for (const training::EpochRecord& record : history.epochs) {
    fmt::print("epoch {}  loss {:.4f}\n", record.epoch, record.score("train_loss"));
  }
  const Array w = ravel(state.params["kernel"].array()), b = state.params["bias"].array();
  fmt::print("w0 {:5.2f}   true  2.00\n", w.data<float>()[0]);
  fmt::print("w1 {:5.2f}   true -3.40\n", w.data<float>()[1]);
  fmt::print("b  {:5.2f}   true  4.20\n", b.item<float>());
}
