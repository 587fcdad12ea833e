// A tiny character model: causal self-attention learns a few sentences and writes some of its own.
// usage: char_model [STEPS]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <linseed/linseed.hpp>

using namespace linseed;

constexpr std::int64_t context = 24;  // characters that the model sees

const std::string text =
    "a model is a pure function of its variables. a step is a pure function of its state. "
    "a state goes in and a state comes out. what goes in does not change. what comes out is new. "
    "a key gives the same numbers every time. a tree holds arrays and an array holds numbers. "
    "the loss goes down while the state goes round. the sum of two sums is a sum. "
    "the same steps from the same state give the same state. ";

/// Attention to what came before, then two dense layers, each around a residual.
struct Block {
  std::string name = {};

  Array operator()(nn::Scope& parent, Array x, const Array& mask) const {
    nn::Scope scope = parent.enter(*this);
    Array y = nn::LayerNorm{}(scope, x);
    x = x + nn::MultiHeadDotProductAttention{.num_heads = 4}(scope, y, nn::AttentionArguments{.mask = mask});
    y = nn::LayerNorm{}(scope, x);
    y = nn::gelu(nn::Dense{.features = 4 * x.extent(-1)}(scope, y));
    return scope.output(x + nn::Dense{.features = x.extent(-1)}(scope, y));
  }
};

/// Tokens [batch, context] -> logits of the character behind each of them [batch, context, vocabulary].
struct CharModel {
  std::int64_t vocabulary;
  std::int64_t features = 32;

  Array operator()(nn::Scope& scope, const Array& tokens) const {
    const auto embed = scope.share(nn::Embed{.num_embeddings = vocabulary, .features = features});
    const Array position = scope.param("position", nn::initializers::normal(0.1), {tokens.extent(1), features});
    Array x = embed(tokens) + position;
    const Array mask = nn::make_causal_mask(tokens);
    for (int i = 0; i < 2; ++i) x = Block{}(scope, x, mask);
    x = nn::LayerNorm{.name = "final"}(scope, x);
    return embed.call(&nn::Embed::attend, x);  // the embedding's weights once more
  }
};

std::pair<TrainState, Array> train_step(const TrainState& state, const Array& windows) {
  const Array tokens = slice(windows, {0, 0}, {windows.extent(0), context});
  const Array next = slice(windows, {0, 1}, {windows.extent(0), context + 1});
  const auto loss_fn = [&](const Tree& params) {
    const Array logits = nn::apply(state.model, {{"params", params}}, tokens);
    return mean(nn::softmax_cross_entropy_with_integer_labels(logits, next));
  };
  const auto [loss, grads] = value_and_grad(loss_fn)(state.params);
  return {state.apply_gradients(grads), loss};
}

/// A draw from what the model expects behind position `last`; the rest of the window does not count.
Array next_character(const TrainState& state, const Array& window, const Array& last, const Array& key) {
  const Array logits = nn::apply(state.model, state.variables(), window);
  return random::categorical(key, take(squeeze(logits, 0), last, 0) / 0.3);
}

int main(int argc, char** argv) {
  const int steps = argc > 1 ? std::atoi(argv[1]) : 300;
  if (steps < 1) {
    fmt::print(stderr, "usage: char_model [STEPS]\n");
    return 1;
  }
  std::string characters = text;
  std::sort(characters.begin(), characters.end());
  characters.erase(std::unique(characters.begin(), characters.end()), characters.end());
  std::vector<std::int32_t> codes;
  for (const char c : text) codes.push_back(static_cast<std::int32_t>(characters.find(c)));
  const auto length = static_cast<std::int64_t>(codes.size());
  const Array corpus = Array::from(codes, {length});

  const CharModel model{.vocabulary = static_cast<std::int64_t>(characters.size())};
  const Tree variables = nn::init(model, random::key(0), zeros({1, context}, int32));
  fmt::print("{} characters, {} different ones, {} parameters\n", length, characters.size(), variables.element_count());
  TrainState state = TrainState::create(model, variables["params"], optim::adamw(3e-3));
  const auto step = jit(train_step);
  for (int i = 1; i <= steps; ++i) {
    const Array start = random::randint(random::fold_in(random::key(1), i), {32, 1}, 0, length - context);
    Array loss;
    std::tie(state, loss) = step(std::move(state), take(corpus, start + arange(context + 1), 0));
    if (i % 50 == 0 || i == steps) fmt::print("step {:3}  loss {:.3f}\n", i, loss.item<float>());
  }

  const auto write = jit(next_character);
  std::string story = "a ";
  for (int i = 0; i < 120; ++i) {
    const std::string seen = story.substr(story.size() - std::min<std::size_t>(story.size(), context));
    std::vector<std::int32_t> window(context, 0);
    for (std::size_t k = 0; k < seen.size(); ++k) window[k] = static_cast<std::int32_t>(characters.find(seen[k]));
    const Array drawn = write(state, Array::from(window, {1, context}), Array(static_cast<int>(seen.size()) - 1),
                              random::fold_in(random::key(2), i));
    story += characters[static_cast<std::size_t>(drawn.item<int>())];
  }
  fmt::print("{}\n", story);
}
