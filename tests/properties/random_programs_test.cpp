// Random programs: compiled and eager runs, forward and backward, give the same bytes.
#include <functional>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
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

/// A program that depends on the seed and on shapes alone.
Function program_of(unsigned seed) {
  return [seed](const Arrays& inputs) {
    Dice dice(seed);
    Arrays values = inputs;
    const int length = 3 + dice.below(15);
    for (int step = 0; step < length; ++step) {
      const Array a = dice.one_of(values);
      const Array b = dice.one_of(values);
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

Arrays inputs_of(unsigned seed) {
  Dice dice(seed + 1000000);
  const std::int64_t extents[] = {1, 2, 3, 3, 5, 7};
  const DType dtype = dice.below(4) == 0 ? float64 : float32;
  Arrays inputs;
  for (int i = 0; i < 3; ++i) {
    Shape shape;
    for (int rank = dice.below(4); rank > 0; --rank) shape.push_back(dice.below(40) == 0 ? 0 : extents[dice.below(6)]);
    std::vector<double> values;
    for (std::int64_t k = 0; k < shape.elements(); ++k) values.push_back((dice.below(4001) - 2000) / 1000.0);
    inputs.push_back(astype(Array::from(values, shape), dtype));
  }
  return inputs;
}

}  // namespace

TEST_CASE("random programs: compiled equals eager, byte for byte") {
  const Executor three(3);
  std::size_t ops = 0;
  for (unsigned seed = 0; seed < 400; ++seed) {
    INFO("seed ", seed);
    const Function program = program_of(seed);
    const Arrays inputs = inputs_of(seed);

    const Array eager = program(inputs);
    const auto compiled = jit(program, {.executor = three});
    CHECK(identical(compiled(inputs), eager));
    CHECK(identical(compiled(inputs), eager));  // the second run is not a trace
    CHECK(compiled.trace_count() == 1);
    ops += compiled.program().size();

    const Gradient gradient = [&](const Arrays& x) { return grad(program)(x); };
    const Arrays eager_gradient = gradient(inputs);
    const Arrays compiled_gradient = jit(gradient, {.executor = three})(inputs);
    const Arrays inner_gradient = grad(Function([&](const Arrays& x) { return compiled(x); }))(inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      CHECK(describe(eager_gradient[i]) == describe(inputs[i]));
      CHECK(identical(compiled_gradient[i], eager_gradient[i]));
      CHECK(identical(inner_gradient[i], eager_gradient[i]));  // differentiation of the compiled function
    }
  }
  CHECK(ops > 4000);  // the programs are not trivial
}
