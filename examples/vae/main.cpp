// A variational auto-encoder (Kingma and Welling 2014) on a thousand images of Fashion-MNIST.
// usage: vae [EPOCHS]

#include <cstdio>
#include <cstdlib>
#include <string>

#include <linseed/linseed.hpp>

using namespace linseed;

constexpr std::int64_t pixels = 28 * 28;

struct Encoder {
  std::int64_t latents;
  std::string name = {};

  /// Mean and logarithm of the variance of the latents.
  std::pair<Array, Array> operator()(nn::Scope& parent, Array x) const {
    nn::Scope scope = parent.enter(*this);
    x = nn::relu(nn::Dense{.features = 256, .name = "hidden"}(scope, x));
    const Array mean = nn::Dense{.features = latents, .name = "mean"}(scope, x);
    const Array log_variance = nn::Dense{.features = latents, .name = "log_variance"}(scope, x);
    return scope.output(std::pair{mean, log_variance});
  }
};

struct Decoder {
  std::string name = {};

  Array operator()(nn::Scope& parent, Array z) const {
    nn::Scope scope = parent.enter(*this);
    z = nn::relu(nn::Dense{.features = 256, .name = "hidden"}(scope, z));
    return scope.output(nn::Dense{.features = pixels, .name = "logits"}(scope, z));
  }
};

struct Reconstruction {
  Array logits, mean, log_variance;
};

struct VAE {
  std::int64_t latents = 8;

  Reconstruction operator()(nn::Scope& scope, const Array& x) const {
    const auto [mean, log_variance] = Encoder{.latents = latents, .name = "encoder"}(scope, x);
    const Array noise = random::normal(scope.make_rng("latents"), mean.shape());
    return {Decoder{.name = "decoder"}(scope, mean + exp(0.5 * log_variance) * noise), mean, log_variance};
  }
};

struct Losses {
  Array reconstruction, divergence;
};

/// What is to be trained, and the key from which each step draws its noise.
struct Run {
  Tree params, opt_state;
  Array key;
};

/// Both sums over an image, averaged over the batch: the negative evidence lower bound.
Losses losses_of(const Reconstruction& y, const Array& x) {
  const Array divergence = -0.5 * sum(1 + y.log_variance - square(y.mean) - exp(y.log_variance), -1);
  return {.reconstruction = mean(sum(nn::sigmoid_binary_cross_entropy(y.logits, x), -1)),
          .divergence = mean(divergence)};
}

/// An image as rows of characters.
void draw(const Array& images, std::int64_t index) {
  const std::string shades = " .:-=+*#%@";
  const auto elements = images.data<float>();
  for (std::int64_t row = 0; row < 28; row += 2) {
    std::string line;
    for (std::int64_t column = 0; column < 28; ++column) {
      const float level = elements[static_cast<std::size_t>(index * pixels + row * 28 + column)];
      line += shades[static_cast<std::size_t>(level * 9.99F)];
    }
    fmt::print("  {}\n", line.substr(0, line.find_last_not_of(' ') + 1));
  }
}

int main(int argc, char** argv) {
  const int epochs = argc > 1 ? std::atoi(argv[1]) : 30;
  if (epochs < 1) {
    fmt::print(stderr, "usage: vae [EPOCHS]\n");
    return 1;
  }
  const data::Dataset train = data::fashion_mnist_embedded().train;
  const VAE model;
  const auto tx = optim::adam(1e-3);

  const Tree variables =
      nn::init(model, nn::rngs({{"params", random::key(0)}, {"latents", random::key(1)}}), zeros({1, pixels}));
  Run run{.params = variables["params"], .opt_state = tx.init(variables["params"]), .key = random::key(2)};

  const auto step = jit([=](const Run& before, const Array& x) {
    const auto [now, later] = random::split<2>(before.key);
    const auto loss_fn = [&, key = now](const Tree& params) {
      const Losses losses = losses_of(nn::apply(model, {{"params", params}}, nn::rngs({{"latents", key}}), x), x);
      return std::pair{losses.reconstruction + losses.divergence, losses};
    };
    const auto [value, grads] = value_and_grad(loss_fn)(before.params);
    const auto [updates, opt_state] = tx.update(grads, before.opt_state, before.params);
    return std::pair{Run{optim::apply_updates(before.params, updates), opt_state, later}, value.second};
  });

  for (int epoch = 1; epoch <= epochs; ++epoch) {
    Average reconstruction, divergence;
    for (const data::Batch& batch : data::shuffled(train, 50, random::fold_in(random::key(3), epoch))) {
      Losses losses;
      std::tie(run, losses) = step(std::move(run), reshape(batch.image, {-1, pixels}));
      reconstruction = reconstruction.merge(Average::of_mean(losses.reconstruction, batch.label.size()));
      divergence = divergence.merge(Average::of_mean(losses.divergence, batch.label.size()));
    }
    if (epoch % 5 == 0 || epoch == epochs) {
      fmt::print("epoch {:2}  reconstruction {:.1f}  divergence {:.2f}\n", epoch, reconstruction.value(),
                 divergence.value());
    }
  }

  // New images: the decoder by itself, under its own parameters, from latents drawn at random.
  const Array z = random::normal(random::key(4), {2, model.latents});
  const Array images = nn::sigmoid(nn::apply(Decoder{}, {{"params", run.params["decoder"]}}, z));
  for (std::int64_t i = 0; i < z.extent(0); ++i) {
    fmt::print("drawn from the prior:\n");
    draw(images, i);
  }
}
