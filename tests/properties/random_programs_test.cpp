// Random programs: interpreted ones give the bytes of eager runs, compiled ones agree with them; forward and backward.
#include <cmath>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/ops/conv.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/pool.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

using namespace linseed;

namespace {

using Arrays = std::vector<Array>;
using Function = std::function<Array(const Arrays&)>;
using Gradient = std::function<Arrays(const Arrays&)>;

class Dice {
 public:
  explicit Dice(unsigned seed) : generator_(seed) {}
  int below(int limit) { return static_cast<int>(generator_() % static_cast<unsigned>(limit)); }
  const Array& one_of(const Arrays& arrays) {
    return arrays[static_cast<std::size_t>(below(static_cast<int>(arrays.size())))];
  }

 private:
  std::mt19937 generator_;
};

bool broadcast(const Shape& a, const Shape& b) {
  for (int k = 1; k <= std::min(a.rank(), b.rank()); ++k) {
    const std::int64_t x = a[static_cast<std::size_t>(a.rank() - k)];
    const std::int64_t y = b[static_cast<std::size_t>(b.rank() - k)];
    if (x != y && x != 1 && y != 1) return false;
  }
  return true;
}

Array unary(Dice& dice, const Array& x) {
  switch (dice.below(9)) {
    case 0: return tanh(x);
    case 1: return sigmoid(x);
    case 2: return sin(x);
    case 3: return -x;
    case 4: return relu(x);
    case 5: return abs(x);
    case 6: return exp(-square(x));
    case 7: return log1p(square(x));
    default: return x * 0.5 + 1;
  }
}

Array binary(Dice& dice, const Array& a, const Array& b) {
  switch (dice.below(7)) {
    case 0: return a + b;
    case 1: return a - b;
    case 2: return tanh(a) * b;
    case 3: return a / (1 + square(b));
    case 4: return maximum(a, b);
    case 5: return where(a < b, sin(a), b);
    default: return minimum(a * 2, b);
  }
}

Array reduction(Dice& dice, const Array& x) {
  const bool keepdims = dice.below(2) == 0;
  Axes axes;
  if (x.rank() > 0 && dice.below(3) > 0) axes = dice.below(x.rank());
  switch (dice.below(6)) {
    case 0: return sum(x, axes, keepdims) * 0.25;
    case 1: return mean(x, axes, keepdims);
    case 2: return var(x, axes, keepdims);
    case 3: return x.size() == 0 ? sum(x, axes, keepdims) : max(x, axes, keepdims);
    case 4: return prod(tanh(x), axes, keepdims);
    default: return x.size() == 0 ? sum(x, axes, keepdims) : logsumexp(x, axes, keepdims);
  }
}

Array product(Dice& dice, const Array& a, const Array& b) {
  for (int i = 0; i < a.rank(); ++i) {
    for (int k = 0; k < b.rank(); ++k) {
      if (a.extent(i) == b.extent(k) && a.rank() + b.rank() - 2 <= 4) {
        return tanh(dot_general(a, b, {.lhs_contract = {i}, .rhs_contract = {k}}));
      }
    }
  }
  return a.rank() > 0 && a.rank() <= 3 && dice.below(2) == 0
             ? tanh(dot_general(a, a, {.lhs_contract = {0}, .rhs_contract = {0}}))
             : a;
}

Array moved(Dice& dice, const Array& x) {
  switch (dice.below(7)) {
    case 0: return transpose(x);
    case 1: return ravel(x);
    case 2: return x.rank() < 4 ? expand_dims(x, dice.below(x.rank() + 1)) : squeeze(x);
    case 3: {
      if (x.rank() < 2) return x;
      return moveaxis(x, dice.below(x.rank()), dice.below(x.rank()));
    }
    case 4: return x.rank() == 0 ? x : slice_axis(x, dice.below(x.rank()), 0, 1 + dice.below(4), 1 + dice.below(2));
    case 5: return x.rank() == 0 || x.size() > 500 ? x : concatenate({x, x * 2}, dice.below(x.rank()));
    default: return x.rank() == 0 ? x : flip(x, dice.below(x.rank()));
  }
}

/// Every eighth program begins with images, a kernel and a number per feature; most batches fill lanes of 16 samples.
bool has_images(unsigned seed) { return seed % 8 == 5; }

Array windowed(Dice& dice, const Array& x, const Array& kernel) {
  if (x.rank() != 4 || x.size() == 0) return x;
  const bool large = x.extent(1) > 1 && x.extent(2) > 1;
  switch (dice.below(4)) {
    case 0: return large ? avg_pool(x, {2, 2}, {2, 2}) : x;
    case 1: return large ? max_pool(sin(x), {2, 2}, {1, 2}) : x;
    default:
      if (x.extent(3) != kernel.extent(2)) return sum(x, 3, true);
      return tanh(
          conv(x, kernel, {.strides = {1 + dice.below(2), 1}, .padding = dice.below(3) > 0 ? "SAME" : "VALID"}));
  }
}

/// A program that depends on the seed and on shapes alone: the first `length` of its steps.
Function program_of(unsigned seed, int length) {
  return [seed, length](const Arrays& inputs) {
    Dice dice(seed);
    Arrays values = inputs;
    for (int step = 0; step < length; ++step) {
      const Array a = dice.one_of(values);
      const Array b = dice.one_of(values);
      if (has_images(seed) && dice.below(2) == 0) {
        values.push_back(windowed(dice, values[dice.below(2) == 0 ? 0 : values.size() - 1], inputs[1]));
        continue;
      }
      switch (dice.below(6)) {
        case 0: values.push_back(unary(dice, a)); break;
        case 1:
        case 2:
          values.push_back(broadcast(a.shape(), b.shape()) ? binary(dice, a, b) : binary(dice, a, mean(b)));
          break;
        case 3: values.push_back(reduction(dice, a)); break;
        case 4: values.push_back(product(dice, a, b)); break;
        default: values.push_back(moved(dice, a));
      }
    }
    Array total = sum(values.back());
    for (std::size_t i = values.size() / 2; i + 1 < values.size(); ++i) total = total + sum(tanh(values[i]));
    return total;
  };
}
int length_of(unsigned seed) { return 3 + static_cast<int>(seed * 2654435761u >> 16) % 15; }

/// Small shapes, some of them empty; in every 40th program one axis is long enough for several tasks.
Arrays inputs_of(unsigned seed, DType dtype) {
  Dice dice(seed + 1000000);
  const std::int64_t extents[] = {1, 2, 3, 3, 5, 7};
  Arrays inputs;
  for (int i = 0; i < 3; ++i) {
    Shape shape;
    for (int rank = dice.below(4); rank > 0; --rank) shape.push_back(dice.below(40) == 0 ? 0 : extents[dice.below(6)]);
    if (has_images(seed)) {
      const std::int64_t samples[] = {16, 16, 32, 48, 20, 0}, features[] = {1, 2, 3, 6};
      const std::int64_t channels = features[seed / 8 % 4],
                         kernels = dice.below(2) == 0 ? channels : features[dice.below(4)];
      if (i == 0) shape = {samples[dice.below(6)], 1 + dice.below(6), 1 + dice.below(6), channels};
      if (i == 1) shape = {1 + dice.below(3), 1 + dice.below(3), channels, kernels};
      if (i == 2) shape = {channels};
    }
    if (seed % 40 == 7 && !shape.empty()) shape[0] = shape[0] == 7 ? 1301 : shape[0];
    std::vector<double> values;
    for (std::int64_t k = 0; k < shape.elements(); ++k) values.push_back((dice.below(4001) - 2000) / 1000.0);
    inputs.push_back(astype(Array::from(values, shape), dtype));
  }
  return inputs;
}

Gradient gradient_of(const Function& program) {
  return [program](const Arrays& x) { return grad(program)(x); };
}

bool identical(const Arrays& a, const Arrays& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!linseed::identical(a[i], b[i])) return false;
  }
  return a.size() == b.size();
}

/// The largest difference between elements, with the same infinities and NaNs on both sides; infinite otherwise.
double distance(const Array& a, const Array& b) {
  double largest = 0.0;
  const Array x = astype(a, float64), y = astype(b, float64);
  for (std::size_t i = 0; i < x.data<double>().size(); ++i) {
    const double u = x.data<double>()[i], v = y.data<double>()[i];
    if (u == v || (u != u && v != v)) continue;
    const double difference = std::abs(u - v);
    largest = difference <= largest ? largest : difference == difference ? difference : INFINITY;
  }
  return largest;
}

/// Whether `compiled` is as good an approximation as `eager` is: float32 runs are judged by the same program in
/// float64.
bool agree(const Array& compiled, const Array& eager, const Array& precise) {
  const Array size = precise.size() == 0 ? Array(0.0) : max(abs(astype(precise, float64)));
  const double scale = std::isfinite(size.item<double>()) ? size.item<double>() : 0.0;
  const double noise = distance(eager, precise);
  const double allowed = eager.dtype() == DType::float64 ? 1e-12 * (1.0 + scale) : 16.0 * noise + 1e-5 * (1.0 + scale);
  return distance(compiled, eager) <= allowed || noise > 1e-3 * (1.0 + scale);  // the program itself is unstable
}

/// The first difference between the compiled and the eager program, in words; empty when there is none.
std::string disagreement(unsigned seed, int length, DType dtype) {
  static const Executor one(1), three(3);
  static const std::vector<std::string> passes = {
      "constant_folding", "algebra", "common_subexpressions", "dead_code", "layout",
      "winograd",         "fusion",  "rematerialization",     "phases",    "windows"};
  const Function program = program_of(seed, length);
  const Gradient gradient = gradient_of(program);
  const Arrays inputs = inputs_of(seed, dtype), precise = inputs_of(seed, float64);
  const Array eager = program(inputs), judge = program(precise);
  const Arrays eager_gradient = gradient(inputs), gradient_judge = gradient(precise);

  const auto wrong = [&](const JitOptions& options) -> std::string {
    const auto forward = jit(program, options);
    const auto backward = jit(gradient, options);
    const Array value = forward(inputs);
    if (!agree(value, eager, judge)) {
      return "the value is " + to_string(value) + " instead of " + to_string(eager) + ", in float64 " +
             to_string(judge) + "\n" + forward.explain();
    }
    const Arrays compiled = backward(inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (describe(compiled[i]) != describe(inputs[i])) return "a gradient has another type\n";
      if (!agree(compiled[i], eager_gradient[i], gradient_judge[i]))
        return "gradient " + std::to_string(i) + " differs\n" + backward.explain();
    }
    return {};
  };
  if (const std::string text = wrong({.executor = one}); !text.empty()) return text;
  const std::string& left_out = passes[seed % passes.size()];
  if (const std::string text = wrong({.executor = one, .disabled_passes = {left_out}}); !text.empty())
    return "without " + left_out + ": " + text;

  const auto compiled = jit(gradient, {.executor = one});
  const Arrays first = compiled(inputs);
  if (!identical(first, compiled(inputs))) return "a second run gives other bits";
  if (!identical(first, jit(gradient, {.executor = three})(inputs))) return "three threads give other bits";
  return {};
}

}  // namespace

TEST_CASE("random programs: interpreted equals eager, byte for byte") {
  std::size_t ops = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    INFO("seed ", seed);
    const Function program = program_of(seed, length_of(seed));
    const Arrays inputs = inputs_of(seed, seed % 4 == 0 ? float64 : float32);

    const Array eager = program(inputs);
    const auto interpreted = jit(program, {.executor = Executor(3), .disabled_passes = {"all"}});
    CHECK(linseed::identical(interpreted(inputs), eager));
    CHECK(linseed::identical(interpreted(inputs), eager));  // the second run is not a trace
    CHECK(interpreted.trace_count() == 1);
    ops += interpreted.program().size();

    const Gradient gradient = gradient_of(program);
    const Arrays eager_gradient = gradient(inputs);
    CHECK(identical(jit(gradient, {.disabled_passes = {"all"}})(inputs), eager_gradient));
    // Differentiation of the compiled function.
    CHECK(identical(grad(Function([&](const Arrays& x) { return interpreted(x); }))(inputs), eager_gradient));
  }
  CHECK(ops > 4000);  // the programs are not trivial
}

TEST_CASE("random programs: the same bits on AVX2 and AVX-512") {
  if (best_vector_set() < VectorSet::avx512) MESSAGE("AVX-512 is missing on this machine: nothing to compare with");
  const Executor portable(1, VectorSet::portable), avx2(1, VectorSet::avx2), avx512(1, VectorSet::avx512);
  int others = 0;
  for (unsigned seed = 0; seed < 600; ++seed) {
    INFO("seed ", seed);
    const Gradient gradient = gradient_of(program_of(seed, length_of(seed)));
    const Arrays inputs = inputs_of(seed, seed % 4 == 0 ? float64 : float32);
    const auto on = [&](const Executor& executor) {
      return jit(gradient, {.executor = executor, .portable_bits = true})(inputs);
    };
    const Arrays wide = on(avx512);
    CHECK(identical(on(avx2), wide));
    others += identical(on(portable), wide) ? 0 : 1;
  }
  // Products without fused multiply-adds show, so the sets that are asked for are those that run.
  if (best_vector_set() > VectorSet::portable) CHECK(others > 0);
}

// LINSEED_RANDOM_PROGRAMS sets how many; LINSEED_RANDOM_SEED where to begin.
TEST_CASE("random programs: compiled agrees with eager, whatever passes run, on any number of threads") {
  const auto setting = [](const char* name, unsigned otherwise) {
    const char* text = std::getenv(name);
    return text != nullptr ? static_cast<unsigned>(std::strtoul(text, nullptr, 10)) : otherwise;
  };
  const unsigned first = setting("LINSEED_RANDOM_SEED", 0);
  const unsigned count = setting("LINSEED_RANDOM_PROGRAMS", 1500);
  for (unsigned seed = first; seed < first + count; ++seed) {
    const DType dtype = seed % 4 == 0 ? float64 : float32;
    INFO("seed ", seed);
    std::string text = disagreement(seed, length_of(seed), dtype);
    if (text.empty()) continue;
    int shortest = length_of(seed);
    for (int length = 0; length < shortest; ++length) {
      const std::string smaller = disagreement(seed, length, dtype);
      if (smaller.empty()) continue;
      shortest = length;
      text = smaller;
    }
    FAIL_CHECK("seed " << seed << ", shrunk to " << shortest << " steps: " << text);
  }
}
