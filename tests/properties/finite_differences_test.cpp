// Every gradient rule against central differences in float64, and again after the rule itself has been differentiated.
#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <set>
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

#include "ops/conv.hpp"
#include "ops/linalg.hpp"
#include "program/op.hpp"
#include "program/program.hpp"

using namespace linseed;

namespace {

using Arrays = std::vector<Array>;
using Function = std::function<Array(const Arrays&)>;

struct Case {
  std::string op;  // the one that is meant; the function's program must hold it
  std::vector<Shape> shapes;
  Function function;
  double low = -2, high = 2;
};

// ---- checking ----

// Distinct multiples of 2^-12 in (low, high), none in the middle: away from ties and from kinks at 0, and exact in
// float32 even when a step is added.
Arrays points(const std::vector<Shape>& shapes, double low, double high, unsigned seed) {
  std::int64_t count = 0;
  for (const Shape& shape : shapes) count += shape.elements();
  std::vector<double> values;
  for (std::int64_t k = 0; k < count; ++k) {
    const double place = low + (high - low) * (static_cast<double>(k) + 0.3) / static_cast<double>(count);
    values.push_back(std::round(place * 4096) / 4096);
  }
  std::shuffle(values.begin(), values.end(), std::mt19937(seed));
  Arrays result;
  auto next = values.begin();
  for (const Shape& shape : shapes) {
    result.push_back(Array::from(std::vector<double>(next, next + shape.elements()), shape));
    next += shape.elements();
  }
  return result;
}

Array shifted(const Array& x, std::size_t element, double by) {
  const auto data = x.data<double>();
  std::vector<double> values(data.begin(), data.end());
  values[element] += by;
  return Array::from(values, x.shape());
}

// The tolerance leaves room for rounding (values of 100 at 2^-53 over a step of 2^-17) and third derivatives of 1e4.
void check_gradient(const Function& loss, const Arrays& x, const std::string& what) {
  constexpr double step = 0x1p-17;
  constexpr double tolerance = 1e-6;
  const Arrays gradients = grad(loss)(x);
  REQUIRE(gradients.size() == x.size());
  Arrays varied = x;
  for (std::size_t i = 0; i < x.size(); ++i) {
    REQUIRE(describe(gradients[i]) == describe(x[i]));
    const auto gradient = gradients[i].data<double>();
    for (std::size_t k = 0; k < gradient.size(); ++k) {
      varied[i] = shifted(x[i], k, step);
      const double above = loss(varied).item<double>();
      varied[i] = shifted(x[i], k, -step);
      const double below = loss(varied).item<double>();
      const double numeric = (above - below) / (2 * step);
      const bool agrees = std::abs(gradient[k] - numeric) <= tolerance * std::max(1.0, std::abs(numeric));
      CHECK_MESSAGE(agrees, what, ", input ", i, ", element ", k, ": ", gradient[k], " against ", numeric);
    }
    varied[i] = x[i];
  }
}

Function weighted(const Function& f, const Array& weights) {
  return [f, weights](const Arrays& x) { return sum(f(x) * weights); };
}

/// (inputs..., cotangent) -> the cotangent of input `which`.
Function pull_back_of(const Function& f, std::size_t which) {
  return [f, which](const Arrays& all) {
    return grad(weighted(f, all.back()))(Arrays(all.begin(), all.end() - 1))[which];
  };
}

std::string title(const Case& test) {
  std::string text = test.op;
  for (const Shape& shape : test.shapes) text.append(" ").append(to_string(shape));
  return text;
}

void check(const Case& test) {
  const std::string name = title(test);
  const Arrays x = points(test.shapes, test.low, test.high, 1);
  const Array output = test.function(x);
  REQUIRE_MESSAGE(output.dtype() == float64, name);
  const Array cotangent = points({output.shape()}, -1, 1, 2)[0];
  check_gradient(weighted(test.function, cotangent), x, name);

  // The vector-Jacobian product as a function of inputs and cotangent.
  const Arrays directions = points(test.shapes, -1, 1, 3);
  const Function pulled = [&](const Arrays& all) {
    const Arrays gradients = grad(weighted(test.function, all.back()))(Arrays(all.begin(), all.end() - 1));
    Array total = zeros({}, float64);
    for (std::size_t i = 0; i < gradients.size(); ++i) total = total + sum(gradients[i] * directions[i]);
    return total;
  };
  Arrays all = x;
  all.push_back(cotangent);
  check_gradient(pulled, all, "second derivative of " + name);
}

// ---- cases ----

const std::vector<Shape> single_shapes{{}, {1}, {7}, {3, 5}, {1, 1, 2}, {0}, {2, 0, 3}};
const std::vector<std::vector<Shape>> paired_shapes{
    {{2, 3}, {2, 3}}, {{2, 3}, {3}}, {{3}, {2, 3}},       {{2, 1}, {1, 3}}, {{}, {5}},        {{7}, {1}},
    {{}, {}},         {{1}, {1, 1}}, {{2, 1, 3}, {4, 1}}, {{0, 3}, {3}},    {{5, 1}, {1, 0}}, {{1}, {0}}};

void add_elementwise(std::vector<Case>& cases) {
  struct Binary {
    std::string op;
    Array (*function)(const ArrayLike&, const ArrayLike&);
    double low = -2, high = 2;
  };
  const auto minus = static_cast<Array (*)(const ArrayLike&, const ArrayLike&)>(&operator-);
  for (const Binary& binary : {Binary{"add", &operator+}, Binary{"sub", minus}, Binary{"mul", &operator*},
                               Binary{"div", &operator/, 0.5, 3}, Binary{"pow", &linseed::pow, 0.5, 2.5},
                               Binary{"maximum", &maximum}, Binary{"minimum", &minimum}, Binary{"mod", &mod, 1, 5}}) {
    for (const auto& shapes : paired_shapes) {
      cases.push_back({binary.op, shapes, [f = binary.function](const Arrays& x) { return f(x[0], x[1]); }, binary.low,
                       binary.high});
    }
  }
  cases.push_back({"div", {{3}, {3}}, [](const Arrays& x) { return x[0] / (x[1] - 3); }});
  cases.push_back({"pow", {{3}, {3}}, [](const Arrays& x) { return pow(x[0], x[1] - 2); }, 0.5, 2.5});
  cases.push_back({"mod", {{5}, {5}}, [](const Arrays& x) { return mod(-x[0], x[1]) + mod(x[0], -x[1]); }, 1, 5});

  struct Unary {
    std::string op;
    Array (*function)(const ArrayLike&);
    double low = -2, high = 2;
  };
  for (const Unary& unary :
       {Unary{"neg", [](const ArrayLike& x) { return -x.array(); }}, Unary{"abs", &linseed::abs}, Unary{"relu", &relu},
        Unary{"exp", &linseed::exp}, Unary{"expm1", &linseed::expm1}, Unary{"log", &linseed::log, 0.5, 3},
        Unary{"log1p", &linseed::log1p, -0.5, 2}, Unary{"sqrt", &linseed::sqrt, 0.5, 3}, Unary{"rsqrt", &rsqrt, 0.5, 3},
        Unary{"sin", &linseed::sin}, Unary{"cos", &linseed::cos}, Unary{"tanh", &linseed::tanh},
        Unary{"sigmoid", &sigmoid}, Unary{"erf", &linseed::erf}, Unary{"erfc", &linseed::erfc},
        Unary{"erf_inv", &erf_inv, -0.8, 0.8}}) {
    for (const Shape& shape : single_shapes) {
      cases.push_back(
          {unary.op, {shape}, [f = unary.function](const Arrays& x) { return f(x[0]); }, unary.low, unary.high});
    }
  }
  for (const Shape& shape : single_shapes) {
    cases.push_back({"cast", {shape}, [](const Arrays& x) { return astype(astype(x[0], float32), float64); }});
    cases.push_back({"mul", {shape}, [](const Arrays& x) { return pow(x[0], 5) * pow(square(x[0]) + 1, -2); }});
  }
  for (const auto& shapes : paired_shapes) {
    const Function choose = [](const Arrays& x) { return where(iota({3}) == 1, x[0], x[1]); };
    if (shapes[0].empty() || shapes[0].back() != 0) {
      if (broadcast_shapes(shapes[0], shapes[1]).empty() || broadcast_shapes(shapes[0], shapes[1]).back() == 3) {
        cases.push_back({"select", shapes, choose});
      }
    }
    cases.push_back({"select", shapes, [](const Arrays& x) { return where(x[0] > x[1], sin(x[0]), x[0] * x[1]); }});
  }
}

void add_reductions(std::vector<Case>& cases) {
  struct Trial {
    Shape shape;
    Axes axes;
    bool keepdims;
  };
  const std::vector<Trial> trials{{{}, {}, false},
                                  {{1}, 0, true},
                                  {{5}, 0, false},
                                  {{2, 3}, {}, false},
                                  {{3, 4}, 0, false},
                                  {{3, 4}, -1, true},
                                  {{2, 3, 2}, {0, 2}, false},
                                  {{2, 3, 2}, 1, true},
                                  {{3, 1, 2}, {1, 2}, false},
                                  {{0, 3}, 1, false},
                                  {{3, 0}, 0, false}};
  for (const auto& [shape, axes, keepdims] : trials) {
    const auto add = [&, s = shape, a = axes, k = keepdims](const std::string& op,
                                                            Array (*f)(const Array&, const Axes&, bool)) {
      if (op != "reduce_sum" && s.empty()) return;  // nothing is reduced
      cases.push_back({s.empty() ? "mul" : op, {s}, [=](const Arrays& x) { return f(x[0] * x[0] * x[0], a, k); }});
    };
    add("reduce_sum", &sum);
    add("reduce_sum", &mean);
    add("reduce_sum", &var);
    add("reduce_prod", &prod);
    add("reduce_max", &linseed::max);
    add("reduce_min", &linseed::min);
    add("reduce_max", &logsumexp);
  }
  cases.push_back({"reduce_sum", {{0, 3}}, [](const Arrays& x) { return sum(x[0], 0); }});
  cases.push_back({"reduce_prod", {{0, 3}}, [](const Arrays& x) { return prod(x[0], 0); }});
  // Zeros among the factors, at which a rule that divides would fail.
  cases.push_back({"reduce_prod", {{2, 5}}, [](const Arrays& x) { return prod(x[0] * (iota({5}) > 1), 1); }});
}

void add_products(std::vector<Case>& cases) {
  const Function product = [](const Arrays& x) { return matmul(x[0], x[1]); };
  for (const auto& shapes : std::vector<std::vector<Shape>>{{{2, 3}, {3, 4}},
                                                            {{3}, {3}},
                                                            {{3}, {3, 2}},
                                                            {{2, 3}, {3}},
                                                            {{1, 1}, {1, 1}},
                                                            {{2, 2, 3}, {3, 2}},
                                                            {{2, 1, 2, 3}, {2, 3, 1}},
                                                            {{2, 0}, {0, 3}},
                                                            {{0, 2}, {2, 3}},
                                                            {{2, 3}, {4, 3, 1}}}) {
    cases.push_back({"dot_general", shapes, product});
  }
  cases.push_back({"dot_general", {{2, 3, 4}, {4, 2}}, [](const Arrays& x) {
                     return dot_general(x[0], x[1], {.lhs_contract = {0, 2}, .rhs_contract = {1, 0}});
                   }});
  cases.push_back({"dot_general", {{2, 3, 4}, {3, 2, 3}}, [](const Arrays& x) {
                     return dot_general(x[0], x[1],
                                        {.lhs_contract = {0}, .rhs_contract = {1}, .lhs_batch = {1}, .rhs_batch = {2}});
                   }});
  cases.push_back({"dot_general", {{2, 3}, {3, 2}}, [](const Arrays& x) {
                     return dot_general(
                         x[0], x[1],
                         {.lhs_contract = {}, .rhs_contract = {}, .lhs_batch = {1, 0}, .rhs_batch = {0, 1}});
                   }});
  cases.push_back({"dot_general", {{2}, {3}}, [](const Arrays& x) {
                     return dot_general(x[0], x[1], {.lhs_contract = {}, .rhs_contract = {}});
                   }});
  cases.push_back({"dot_general", {{3, 3}}, [](const Arrays& x) { return matmul(x[0], x[0]); }});
  cases.push_back({"dot_general_portable", {{2, 3, 4}, {4, 3, 2}}, [](const Arrays& x) {
                     return apply_op(ops::dot_general_portable, {x[0], x[1]}, attr::Dot{{2}, {0}, {1}, {1}});
                   }});
}

void add_shapes(std::vector<Case>& cases) {
  const auto add = [&](const std::string& op, std::vector<Shape> shapes, Function f) {
    cases.push_back({op, std::move(shapes), [f = std::move(f)](const Arrays& x) {
                       Arrays bent;  // so that second derivatives are not zero
                       for (const Array& a : x) bent.push_back(sin(a));
                       return f(bent);
                     }});
  };
  add("reshape", {{2, 3}}, [](const Arrays& x) { return reshape(x[0], {3, 2}); });
  add("reshape", {{0, 3}}, [](const Arrays& x) { return reshape(x[0], {2, 0}); });
  add("reshape", {{}}, [](const Arrays& x) { return expand_dims(x[0], {0, 1}); });
  add("reshape", {{1, 3, 1}}, [](const Arrays& x) { return squeeze(x[0]); });
  add("transpose", {{2, 3}}, [](const Arrays& x) { return transpose(x[0]); });
  add("transpose", {{2, 1, 3, 2}}, [](const Arrays& x) { return transpose(x[0], {2, 0, 3, 1}); });
  add("transpose", {{2, 0, 3}}, [](const Arrays& x) { return moveaxis(x[0], 0, 2); });
  add("broadcast_to", {{2, 1}}, [](const Arrays& x) { return broadcast_to(x[0], {3, 2, 4}); });
  add("broadcast_to", {{}}, [](const Arrays& x) { return broadcast_to(x[0], {2, 3}); });
  add("broadcast_to", {{1}}, [](const Arrays& x) { return broadcast_to(x[0], {2, 0}); });
  add("slice", {{4, 5}}, [](const Arrays& x) { return slice(x[0], {1, 0}, {4, 5}, {2, 3}); });
  add("slice", {{4, 5}}, [](const Arrays& x) { return slice(x[0], {0, 1}, {4, 4}, {3, 1}); });
  add("slice", {{4, 5}}, [](const Arrays& x) { return slice(x[0], {2, 1}, {2, 4}); });
  add("slice", {{7}}, [](const Arrays& x) { return slice_axis(x[0], 0, -5, -1, 2); });
  add("pad", {{2, 3}, {}}, [](const Arrays& x) { return pad(x[0], {{1, 0}, {0, 2}}, x[1]); });
  add("pad", {{4, 5}, {}}, [](const Arrays& x) { return pad_interior(x[0], {-1, 2}, {0, -3}, {1, 2}, x[1]); });
  add("pad", {{0, 2}, {}}, [](const Arrays& x) { return pad(x[0], {{1, 1}, {0, 0}}, x[1]); });
  add("pad", {{1}, {}}, [](const Arrays& x) { return pad_interior(x[0], {1}, {1}, {3}, x[1]); });
  add("pad", {{3}, {}}, [](const Arrays& x) { return pad(x[0], {{-2, -1}}, x[1]); });
  add("concatenate", {{2, 3}, {1, 3}, {0, 3}}, [](const Arrays& x) { return concatenate(x); });
  add("concatenate", {{2, 1}, {2, 3}}, [](const Arrays& x) { return concatenate(x, -1); });
  add("concatenate", {{2}, {2}}, [](const Arrays& x) { return stack({x[0], x[1], x[0]}, 1); });
  add("flip", {{2, 3}}, [](const Arrays& x) { return flip(x[0]); });
  add("flip", {{2, 3, 1}}, [](const Arrays& x) { return flip(x[0], 1); });
  add("flip", {{0, 3}}, [](const Arrays& x) { return flip(x[0], 0); });

  // Indices repeat, count from the end, and some name nothing: those give NaN, which is kept out of the result.
  const Function taken = [](const Arrays& x) { return take(x[0], Array{{0, 2}, {-1, 2}}, 1); };
  const Function with_gaps = [](const Arrays& x) {
    const Array rows = take(x[0], Array{0, 9, -7, 1});
    return where(isnan(rows), 0, rows);
  };
  const Function small = [](const Arrays& x) { return take(x[0], Array({1, 1}, uint8), 0); };
  const Function along = [](const Arrays& x) { return take_along_axis(x[0], Array{{0, 0}, {2, -3}}, 1); };
  const Function none = [](const Arrays& x) { return take(x[0], zeros({0}, int32)); };
  add("take", {{2, 3}}, taken);
  add("take", {{3, 2}}, with_gaps);
  add("take", {{3, 1}}, small);
  add("take", {{4}}, none);
  add("take_along", {{2, 3}}, along);
  add("take_add", {{2, 3}, {2, 2, 2}}, pull_back_of(taken, 0));
  add("take_add", {{3, 2}, {4, 2}}, pull_back_of(with_gaps, 0));
  add("take_add", {{3, 1}, {2, 1}}, pull_back_of(small, 0));
  add("take_add", {{4}, {0}}, pull_back_of(none, 0));
  add("take_along_add", {{2, 3}, {2, 2}}, pull_back_of(along, 0));
}

void add_windows(std::vector<Case>& cases) {
  struct Trial {
    Shape x, kernel, output;
    ConvOptions options;
  };
  const std::vector<Trial> trials{
      {{2, 5, 2}, {3, 2, 2}, {2, 5, 2}, {}},
      {{1, 6, 1}, {2, 1, 1}, {1, 3, 1}, {.strides = {2}, .padding = "VALID"}},
      {{1, 4, 3, 2}, {3, 2, 2, 2}, {1, 4, 3, 2}, {}},
      {{1, 5, 4, 1}, {3, 3, 1, 2}, {1, 3, 2, 2}, {.strides = {2, 2}}},
      {{1, 3, 4, 4}, {2, 2, 2, 2}, {1, 2, 3, 2}, {.padding = "VALID", .groups = 2}},
      {{1, 3, 3, 1},
       {2, 2, 1, 1},
       {1, 6, 3, 1},
       {.padding = Padding::Pairs{{1, 1}, {-1, 2}}, .input_dilation = {2, 1}}},
      {{1, 5, 4, 1}, {2, 2, 1, 1}, {1, 3, 2, 1}, {.padding = "VALID", .kernel_dilation = {2, 2}}},
      {{1, 2, 3, 2, 1}, {2, 2, 1, 1, 2}, {1, 1, 2, 2, 2}, {.padding = "VALID"}},
      {{0, 3, 3, 1}, {2, 2, 1, 1}, {0, 2, 2, 1}, {.padding = "VALID"}},
      {{1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}, {}},
  };
  for (const auto& [x, kernel, output, options] : trials) {
    const Function f = [o = options](const Arrays& a) { return conv(a[0], a[1], o); };
    cases.push_back({"conv", {x, kernel}, f});
    cases.push_back({"conv_input_grad", {x, kernel, output}, pull_back_of(f, 0)});
    cases.push_back({"conv_kernel_grad", {x, kernel, output}, pull_back_of(f, 1)});
  }

  const attr::Conv lanes{.strides = {1, 2},
                         .low = {1, 0},
                         .high = {1, 0},
                         .input_dilation = {1, 1},
                         .kernel_dilation = {1, 1},
                         .groups = 1,
                         .input_shape = {16, 2, 3, 1},
                         .kernel_shape = {3, 2, 1, 2}};
  const Shape lanes_x{1, 2, 3, 16}, lanes_output{1, 2, 1, 32};
  const auto push_in_lanes = [&](const std::string& name, const Op& op) {
    const Function in_lanes = [lanes, &op](const Arrays& a) { return apply_op(op, {a[0], a[1]}, lanes); };
    cases.push_back({"conv" + name, {lanes_x, lanes.kernel_shape}, in_lanes});
    cases.push_back({"conv_input_grad" + name, {lanes_x, lanes.kernel_shape, lanes_output}, pull_back_of(in_lanes, 0)});
    cases.push_back(
        {"conv_kernel_grad" + name, {lanes_x, lanes.kernel_shape, lanes_output}, pull_back_of(in_lanes, 1)});
  };
  push_in_lanes("_in_lanes", ops::conv_in_lanes);
  push_in_lanes("_winograd_in_lanes", ops::conv_winograd_in_lanes);

  const attr::Conv tiles{.strides = {1, 1},
                         .low = {1, 0},
                         .high = {1, 0},
                         .input_dilation = {1, 1},
                         .kernel_dilation = {1, 1},
                         .groups = 1,
                         .input_shape = {2, 2, 4, 1},
                         .kernel_shape = {3, 3, 1, 2}};
  const Function by_tiles = [tiles](const Arrays& a) { return apply_op(ops::conv_winograd, {a[0], a[1]}, tiles); };
  const Shape tiles_output{2, 2, 2, 2};
  cases.push_back({"conv_winograd", {tiles.input_shape, tiles.kernel_shape}, by_tiles});
  cases.push_back(
      {"conv_input_grad_winograd", {tiles.input_shape, tiles.kernel_shape, tiles_output}, pull_back_of(by_tiles, 0)});
  cases.push_back(
      {"conv_kernel_grad_winograd", {tiles.input_shape, tiles.kernel_shape, tiles_output}, pull_back_of(by_tiles, 1)});

  struct Pool {
    Shape x, output, window, strides;
    Padding padding;
  };
  const std::vector<Pool> pools{
      {{1, 5, 2}, {1, 4, 2}, {2}, {}, "VALID"},
      {{1, 4, 5, 1}, {1, 2, 3, 1}, {2, 3}, {2, 2}, "SAME"},
      {{2, 3, 2, 1}, {2, 1, 1, 1}, {3, 2}, {}, "VALID"},
      {{1, 2, 3, 2, 1}, {1, 3, 3, 1, 1}, {2, 2, 2}, {1, 1, 1}, Padding::Pairs{{1, 1}, {1, 0}, {0, 0}}},
      {{0, 3, 1}, {0, 2, 1}, {2}, {}, "VALID"}};
  for (const auto& [x, output, window, strides, padding] : pools) {
    const Function largest = [w = window, s = strides, p = padding](const Arrays& a) {
      return max_pool(sin(a[0]), w, s, p);
    };
    const Function smallest = [w = window, s = strides, p = padding](const Arrays& a) {
      return min_pool(a[0], w, s, p);
    };
    const Function average = [w = window, s = strides, p = padding](const Arrays& a) {
      return avg_pool(a[0], w, s, p);
    };
    const Function inner = [w = window, s = strides, p = padding](const Arrays& a) {
      return avg_pool(sin(a[0]), w, s, p, false);
    };
    cases.push_back({"max_pool", {x}, largest, -1.5, 1.5});
    cases.push_back({"max_pool", {x}, smallest});
    cases.push_back({"max_pool_grad", {x, output}, pull_back_of(largest, 0), -1.5, 1.5});
    cases.push_back({"max_pool_gather", {x, output, x}, pull_back_of(pull_back_of(smallest, 0), 1)});
    cases.push_back({"window_sum", {x}, average});
    cases.push_back({"window_sum", {x}, inner});
    cases.push_back({"window_sum_transpose", {x, output}, pull_back_of(inner, 0)});
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_elementwise(cases);
  add_reductions(cases);
  add_products(cases);
  add_shapes(cases);
  add_windows(cases);
  return cases;
}

}  // namespace

TEST_CASE("gradients and their gradients agree with finite differences") {
  for (const Case& test : all_cases()) check(test);
}

TEST_CASE("every differentiable op has a case, and its case records it") {
  std::set<std::string, std::less<>> covered;
  for (const Case& test : all_cases()) {
    const Program program = make_program(test.function, points(test.shapes, test.low, test.high, 1));
    if (program.count(test.op) > 0) covered.insert(test.op);
    CHECK_MESSAGE(program.count(test.op) > 0, title(test), " does not record it");
  }
  for (const auto& family : op_families()) {
    for (const Op* op : family) {
      if (op->gradient != not_differentiable)
        CHECK_MESSAGE(covered.contains(op->name), std::string(op->name), " has no case");
    }
  }
}
