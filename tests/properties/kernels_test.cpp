// Every fast kernel against the reference kernel, and against itself with other numbers of threads and vectors. The
// kernels of convolution, pooling and random draws have such tests of their own (ops/conv_test, ops/pool_test,
// random/kernels_test).
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <linseed/core/array.hpp>

#include "core/dispatch.hpp"
#include "ops/elementwise.hpp"
#include "ops/linalg.hpp"
#include "ops/reduce.hpp"
#include "ops/shape.hpp"
#include "program/op.hpp"

using namespace linseed;

namespace {

using Arrays = std::vector<Array>;
const std::vector<DType> all_dtypes{bool_, uint8, int32, uint32, int64, float32, float64};
const std::vector<DType> wide_and_narrow{uint8, float32, float64};

enum class Values { special, tame, near_one };

/// Elements of any dtype: `special` ones with zeros, NaN, infinities and extreme integers among them.
Array random_array(const Shape& shape, DType dtype, unsigned seed, Values values = Values::special) {
  std::mt19937 generator(seed);
  return detail::visit_dtype(dtype, [&]<class T>(std::type_identity<T>) {
    const auto count = static_cast<std::size_t>(shape.elements());
    const auto elements = std::make_unique<T[]>(count);
    for (std::size_t i = 0; i < count; ++i) {
      const unsigned draw = generator();
      if constexpr (std::is_same_v<T, bool>) {
        elements[i] = draw % 2 == 1;
      } else if constexpr (std::is_floating_point_v<T>) {
        const T unit = static_cast<T>(draw >> 8) / T{1 << 24};
        elements[i] = values == Values::near_one ? T{1} + (unit - T(0.5)) / T{64} : T{6} * unit - T{3};
        if (values == Values::special && draw % 32 == 0) {
          const T specials[] = {T{0},
                                -T{0},
                                std::numeric_limits<T>::quiet_NaN(),
                                std::numeric_limits<T>::infinity(),
                                -std::numeric_limits<T>::infinity(),
                                T{1},
                                T{100},
                                -T{100}};
          elements[i] = specials[draw / 32 % 8];
        }
      } else {
        elements[i] = static_cast<T>(static_cast<T>(draw % 13) - static_cast<T>(6));
        if (values == Values::special && draw % 8 == 0) elements[i] = static_cast<T>(draw);
        if (values == Values::special && draw % 64 == 1) elements[i] = std::numeric_limits<T>::min();
      }
    }
    return Array::from(std::span<const T>(elements.get(), count), shape);
  });
}

/// The allowed difference of one element; empty asks for the same bits (any NaN for a NaN).
using Tolerance = std::function<double(std::size_t element, double reference)>;

std::string difference(const Array& fast, const Array& reference, const Tolerance& tolerance) {
  return detail::visit_dtype(fast.dtype(), [&]<class T>(std::type_identity<T>) -> std::string {
    const auto a = fast.data<T>();
    const auto b = reference.data<T>();
    for (std::size_t i = 0; i < a.size(); ++i) {
      if (std::memcmp(&a[i], &b[i], sizeof(T)) == 0 || (a[i] != a[i] && b[i] != b[i])) continue;
      const double got = static_cast<double>(a[i]);
      const double expected = static_cast<double>(b[i]);
      if (tolerance && std::abs(got - expected) <= tolerance(i, expected)) continue;
      return fmt::format("element {}: {} instead of {}", i, got, expected);
    }
    return {};
  });
}

Array run_reference(const Op& op, const Arrays& operands, const Attributes& attributes) {
  std::vector<Abstract> abstracts;
  for (const Array& operand : operands) abstracts.push_back(abstract(operand));
  Op slow = op;
  slow.fast = nullptr;
  return execute(slow, operands, attributes, op.shape_rule(abstracts, attributes), Executor());
}

class Checker {
 public:
  void operator()(const Op& op, const Arrays& operands, const Attributes& attributes, const Tolerance& tolerance = {}) {
    if (op.fast == nullptr) return;
    seen_.insert(op.name);
    const Array reference = run_reference(op, operands, attributes);
    std::string what(op.name);
    for (const Array& operand : operands) what.append(" ").append(describe(operand));
    what.append(" ").append(to_string(attributes));
    const Abstract result = abstract(reference);
    const Array fast = execute(op, operands, attributes, result, executors_[0]);
    const std::string wrong = difference(fast, reference, tolerance);
    CHECK_MESSAGE(wrong.empty(), what, ": ", wrong);
    for (const Executor& executor : executors_) {
      const Array again = execute(op, operands, attributes, result, executor);
      CHECK_MESSAGE(identical(again, fast), what, " depends on the number of threads: ", executor.threads());
    }
    const Array by_avx2 = execute(op, operands, attributes, result, Executor(2, VectorSet::avx2));
    CHECK_MESSAGE(identical(by_avx2, fast), what, " depends on the vectors");
    const Array portable = execute(op, operands, attributes, result, Executor(2, VectorSet::portable));
    const std::string wrong_portable = difference(portable, reference, tolerance);
    CHECK_MESSAGE(wrong_portable.empty(), what, " with portable vectors: ", wrong_portable);
  }

  /// True when each op of the family that has a fast kernel has been checked.
  void expect_all(std::span<const Op* const> family) const {
    for (const Op* op : family) {
      if (op->fast != nullptr) CHECK_MESSAGE(seen_.contains(op->name), std::string(op->name), " was not checked");
    }
  }

 private:
  std::vector<Executor> executors_{Executor(1), Executor(2), Executor(3), Executor(8)};
  std::set<std::string_view> seen_;
};

bool takes(const Op& op, DType dtype) {
  static const std::set<std::string_view> numeric{"sub", "neg", "sign", "abs", "relu", "pow", "mod"};
  if (op.name == "div") return is_floating(dtype);
  if (numeric.contains(op.name)) return dtype != bool_;
  try {
    const std::vector<Abstract> operands(2, Abstract{{}, dtype});
    static_cast<void>(op.shape_rule(operands, {}));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

std::vector<Shape> large() { return {{50001}, {127, 401}}; }

}  // namespace

TEST_CASE("fast elementwise kernels give the bits of the reference") {
  Checker check;
  const std::vector<Shape> singles{{}, {1}, {7}, {0}, {3, 5}, {2, 0, 3}};
  const std::vector<std::vector<Shape>> pairs{{{}, {}},
                                              {{1}, {1}},
                                              {{7}, {7}},
                                              {{7}, {}},
                                              {{}, {7}},
                                              {{1}, {5}},
                                              {{3, 5}, {5}},
                                              {{5}, {3, 5}},
                                              {{3, 5}, {3, 1}},
                                              {{3, 1}, {1, 5}},
                                              {{2, 1, 3}, {4, 1}},
                                              {{2, 3, 4}, {2, 1, 4}},
                                              {{4, 1, 3}, {1, 2, 1}},
                                              {{0, 3}, {3}},
                                              {{5, 1}, {1, 0}},
                                              {{0}, {1}},
                                              {{33, 64}, {64}},
                                              {{33, 65}, {65}}};
  const std::vector<std::vector<Shape>> large_pairs{{{50001}, {50001}},     {{50001}, {}},
                                                    {{1}, {50001}},         {{20003, 3}, {3}},
                                                    {{64}, {700, 64}},      {{300, 257}, {257}},
                                                    {{300, 257}, {300, 1}}, {{40, 1, 50}, {30, 1}},
                                                    {{2, 17000}, {17000}},  {{3, 1, 1}, {1, 20000, 1}}};

  for (const Op* op : ops::elementwise_family()) {
    if (op->fast == nullptr || op == &ops::select) continue;
    bool binary = true;  // an op of one operand ignores the second
    try {
      const std::vector<Abstract> clash{{{2}, float32}, {{3}, float32}};
      static_cast<void>(op->shape_rule(clash, {}));
      binary = false;
    } catch (const std::exception&) {
    }
    const auto run = [&](const std::vector<Shape>& shapes, DType dtype) {
      Arrays operands;
      for (const Shape& shape : shapes)
        operands.push_back(random_array(shape, dtype, static_cast<unsigned>(operands.size())));
      check(*op, operands, {});
    };
    for (const DType dtype : all_dtypes) {
      if (!takes(*op, dtype)) continue;
      if (binary) {
        for (const auto& shapes : pairs) run(shapes, dtype);
      } else {
        for (const Shape& shape : singles) run({shape}, dtype);
      }
    }
    for (const DType dtype : wide_and_narrow) {
      if (!takes(*op, dtype)) continue;
      if (binary) {
        for (const auto& shapes : large_pairs) run(shapes, dtype);
      } else {
        for (const Shape& shape : large()) run({shape}, dtype);
      }
    }
  }
  for (const DType dtype : all_dtypes) {
    for (const auto& shapes : std::vector<std::vector<Shape>>{{{}, {}, {}},
                                                              {{3, 5}, {3, 5}, {3, 5}},
                                                              {{3, 1}, {5}, {}},
                                                              {{5}, {3, 1}, {3, 5}},
                                                              {{2, 1, 3}, {4, 1}, {1}},
                                                              {{0, 3}, {3}, {}},
                                                              {{50001}, {50001}, {}},
                                                              {{300, 1}, {257}, {300, 257}}}) {
      check(ops::select,
            {random_array(shapes[0], bool_, 1), random_array(shapes[1], dtype, 2), random_array(shapes[2], dtype, 3)},
            {});
    }
  }
  check.expect_all(ops::elementwise_family());
}

TEST_CASE("fast reductions agree with the reference") {
  Checker check;
  struct Trial {
    Shape shape;
    std::vector<InlineVector<int, max_rank>> axes;
    bool large = false;
  };
  const std::vector<Trial> trials{
      {{7}, {{0}}},
      {{1}, {{0}}},
      {{2, 3, 4}, {{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}}},
      {{1, 5, 1}, {{0}, {1}, {2}, {0, 2}, {0, 1, 2}}},
      {{3, 0, 2}, {{0}, {1}, {2}, {0, 1, 2}}},
      {{33, 65}, {{0}, {1}, {0, 1}}},
      {{2, 3, 2, 3}, {{1, 3}, {0, 2}, {1, 2}, {0, 3}}},
      {{70001}, {{0}}, true},
      {{300, 301}, {{0}, {1}, {0, 1}}, true},
      {{5, 40001}, {{0}, {1}}, true},
      {{40001, 5}, {{0}, {1}}, true},
      {{17000, 1, 2}, {{0, 1}, {0}}, true},
      {{3, 200, 129}, {{1}, {0, 2}, {0, 1}}, true},
      {{4, 20, 300}, {{1}, {0}, {0, 1}}, true},
  };
  for (const Op* op : {&ops::reduce_sum, &ops::reduce_prod, &ops::reduce_max, &ops::reduce_min}) {
    const bool extremum = op == &ops::reduce_max || op == &ops::reduce_min;
    for (const auto& [shape, axes, is_large] : trials) {
      for (const DType dtype : is_large ? wide_and_narrow : all_dtypes) {
        for (const auto& list : axes) {
          const attr::AxisSet attributes{list};
          const Values values = extremum ? Values::special : op == &ops::reduce_prod ? Values::near_one : Values::tame;
          const Array x = random_array(shape, dtype, 5, values);
          if (extremum && shape.elements() == 0) continue;
          if (extremum || !is_floating(dtype)) {
            check(*op, {x}, attributes);
            continue;
          }
          // Another association: n roundings, in double, relative to the sum of magnitudes (to the product itself), and
          // for float32 one rounding of the result, that may fall to the other side.
          const auto count = static_cast<double>(shape.elements());
          const Array magnitude =
              run_reference(*op, {execute(ops::abs, Arrays{x}, {}, abstract(x), Executor())}, attributes);
          check(*op, {x}, attributes, [&, dtype = dtype](std::size_t i, double reference) {
            const double scale = dtype == float32 ? magnitude.data<float>()[i] : magnitude.data<double>()[i];
            return count * 0x1p-52 * scale + (dtype == float32 ? 0x1p-23 * std::abs(reference) : 0.0);
          });
        }
      }
    }
  }
  check.expect_all(ops::reduce_family());
}

TEST_CASE("fast products agree with the reference") {
  Checker check;
  struct Trial {
    Shape lhs, rhs;
    attr::Dot dot;
    bool large = false;
  };
  const std::vector<Trial> trials{
      {{2, 3}, {3, 4}, {{1}, {0}, {}, {}}},
      {{3, 2}, {3, 4}, {{0}, {0}, {}, {}}},
      {{3, 2}, {4, 3}, {{0}, {1}, {}, {}}},
      {{2, 3}, {4, 3}, {{1}, {1}, {}, {}}},
      {{5}, {5}, {{0}, {0}, {}, {}}},
      {{5}, {4}, {{}, {}, {}, {}}},
      {{}, {4}, {{}, {}, {}, {}}},
      {{1, 1}, {1, 1}, {{1}, {0}, {}, {}}},
      {{1, 7}, {7, 1}, {{1}, {0}, {}, {}}},
      {{2, 0}, {0, 3}, {{1}, {0}, {}, {}}},
      {{0, 2}, {2, 3}, {{1}, {0}, {}, {}}},
      {{2, 3}, {3, 0}, {{1}, {0}, {}, {}}},
      {{6, 2, 3}, {6, 3, 4}, {{2}, {1}, {0}, {0}}},
      {{6, 3, 2}, {6, 4, 3}, {{1}, {2}, {0}, {0}}},
      {{0, 3, 2}, {0, 4, 3}, {{1}, {2}, {0}, {0}}},
      {{2, 3, 4}, {3, 4, 5}, {{1, 2}, {0, 1}, {}, {}}},
      {{2, 3, 4}, {4, 3, 5}, {{1, 2}, {1, 0}, {}, {}}},
      {{2, 3, 4}, {4, 2, 5}, {{0, 2}, {1, 0}, {}, {}}},
      {{2, 3, 4}, {4, 3}, {{2}, {0}, {1}, {1}}},
      {{2, 3, 4, 5}, {2, 3, 5, 2}, {{3}, {2}, {0, 1}, {0, 1}}},
      {{3, 2}, {2, 3}, {{}, {}, {0, 1}, {1, 0}}},
      {{129, 65}, {65, 33}, {{1}, {0}, {}, {}}, true},
      {{1100, 40}, {40, 31}, {{1}, {0}, {}, {}}, true},
      {{300, 1100}, {300, 17}, {{0}, {0}, {}, {}}, true},
      {{200, 300}, {10, 300}, {{1}, {1}, {}, {}}, true},
      {{4, 600, 21}, {4, 21, 60}, {{2}, {1}, {0}, {0}}, true},
      // Few rows or columns, by factors in either order.
      {{1, 300}, {300, 270}, {{1}, {0}, {}, {}}, true},
      {{1, 300}, {270, 300}, {{1}, {1}, {}, {}}, true},
      {{300, 70}, {70, 1}, {{1}, {0}, {}, {}}, true},
      {{70, 300}, {70}, {{0}, {0}, {}, {}}, true},
      {{7, 100}, {1000, 100}, {{1}, {1}, {}, {}}, true},
      {{500, 37}, {3, 37}, {{1}, {1}, {}, {}}, true},
      // As in attention: pairs of axes inside, and free axes that do not lie together.
      {{3, 17, 4, 40}, {3, 19, 4, 40}, {{3}, {3}, {0, 2}, {0, 2}}, true},
      {{3, 5, 4, 40}, {3, 19, 4, 40}, {{3}, {3}, {0, 2}, {0, 2}}, true},
      {{3, 4, 17, 19}, {3, 19, 4, 40}, {{3}, {1}, {0, 1}, {0, 2}}, true},
      {{3, 17, 4, 40}, {3, 4, 17, 19}, {{1}, {2}, {0, 2}, {0, 1}}, true},
      {{6, 3, 7, 5}, {5, 3, 9, 2}, {{1, 3}, {1, 0}, {}, {}}, true},
      // Axes of the result in another order.
      {{2, 3, 2, 4}, {2, 4, 3, 2}, {{3}, {1}, {0, 1}, {0, 2}, {0, 2, 1, 3}}},
      {{2, 3, 2, 4}, {2, 4, 3, 2}, {{3}, {1}, {0, 1}, {0, 2}, {3, 0, 2, 1}}},
      {{2, 3, 2, 4}, {2, 4, 3, 2}, {{3}, {1}, {0, 1}, {0, 2}, {1, 0, 3, 2}}},
      {{2, 3}, {3, 4}, {{1}, {0}, {}, {}, {1, 0}}},
      {{3, 4, 17, 19}, {3, 19, 4, 40}, {{3}, {1}, {0, 1}, {0, 2}, {0, 2, 1, 3}}, true},
      {{1, 2, 17, 300}, {1, 300, 2, 40}, {{3}, {1}, {0, 1}, {0, 2}, {0, 2, 1, 3}}, true},
      {{3, 4, 17, 19}, {3, 19, 4, 1}, {{3}, {1}, {0, 1}, {0, 2}, {2, 0, 1, 3}}, true},
      {{3, 4, 1, 19}, {3, 19, 4, 40}, {{3}, {1}, {0, 1}, {0, 2}, {2, 1, 0, 3}}, true},
      {{5, 300, 7}, {300, 40}, {{1}, {0}, {}, {}, {1, 0, 2}}, true},
      // Whose factors are read the other way round.
      {{16, 300}, {70, 300}, {{1}, {1}, {}, {}}, true},
      {{45, 70}, {200, 70}, {{1}, {1}, {}, {}}, true},
      {{300, 170}, {300, 10}, {{0}, {0}, {}, {}}, true},
      {{2, 3, 2, 3, 2, 3, 2, 3}, {3, 2}, {{1}, {0}, {}, {}}, true},
      {{2, 3, 2, 3, 2, 3, 2, 3}, {3, 3, 3, 3, 4}, {{7, 5, 3, 1}, {0, 1, 2, 3}, {}, {}}, true},
      {{3, 2}, {2, 3, 2, 3, 2, 3, 2, 3}, {{0}, {3}, {}, {}}, true},
      {{2, 3, 2, 3, 2, 3, 2, 3}, {3, 2, 3, 2, 3, 2, 3, 2}, {{0, 2, 4, 6, 1}, {1, 3, 5, 7, 6}, {3}, {0}}, true},
  };
  for (const auto& [lhs, rhs, dot, is_large] : trials) {
    for (const DType dtype : is_large ? std::vector<DType>{float32, float64} : all_dtypes) {
      const Arrays operands{random_array(lhs, dtype, 6, Values::tame), random_array(rhs, dtype, 7, Values::tame)};
      if (!is_floating(dtype)) {
        check(ops::dot_general, operands, dot);
        check(ops::dot_general_portable, operands, dot);
        continue;
      }
      // The classical bound: (n + 1) roundings, relative to the product of magnitudes.
      Arrays magnitudes;
      for (const Array& operand : operands)
        magnitudes.push_back(execute(ops::abs, Arrays{operand}, {}, abstract(operand), Executor()));
      const Array bound = run_reference(ops::dot_general, magnitudes, dot);
      double depth = 1;
      for (const int axis : dot.lhs_contract) depth *= static_cast<double>(lhs[static_cast<std::size_t>(axis)]);
      for (const Op* op : {&ops::dot_general, &ops::dot_general_portable}) {
        check(*op, operands, dot, [&, dtype = dtype](std::size_t i, double) {
          return dtype == float32 ? (depth + 1) * 0x1p-24 * bound.data<float>()[i]
                                  : 2 * (depth + 1) * 0x1p-53 * bound.data<double>()[i];
        });
      }
    }
  }
  check.expect_all(ops::linalg_family());
}

TEST_CASE("fast shape kernels move the same bytes as the reference") {
  Checker check;
  for (const DType dtype : {bool_, float32, int64}) {
    const auto x = [&](const Shape& shape) { return random_array(shape, dtype, 8); };
    const auto filler = random_array({}, dtype, 9);
    const std::vector<std::pair<Shape, InlineVector<int, max_rank>>> transposes{{{2, 3}, {1, 0}},
                                                                                {{1, 5}, {1, 0}},
                                                                                {{2, 3, 4}, {2, 0, 1}},
                                                                                {{2, 3, 4}, {0, 2, 1}},
                                                                                {{2, 1, 3, 2}, {3, 1, 0, 2}},
                                                                                {{0, 3}, {1, 0}},
                                                                                {{2, 3, 4}, {1, 0, 2}},
                                                                                {{1, 1, 1}, {2, 1, 0}},
                                                                                {{301, 207}, {1, 0}},
                                                                                {{33, 40, 51}, {2, 0, 1}},
                                                                                {{3, 16, 37}, {0, 2, 1}},
                                                                                {{5, 21, 16}, {0, 2, 1}},
                                                                                {{20, 3, 40, 13}, {0, 2, 1, 3}},
                                                                                // squares that stick out, and none
                                                                                {{67, 19}, {1, 0}},
                                                                                {{17, 35}, {1, 0}},
                                                                                {{9, 6}, {1, 0}},
                                                                                {{5, 131}, {1, 0}},
                                                                                {{3, 70}, {1, 0}},
                                                                                {{70, 3}, {1, 0}},
                                                                                // columns that are not beside the rows
                                                                                {{7, 23, 66}, {2, 1, 0}},
                                                                                {{5, 4, 3, 70}, {3, 1, 2, 0}},
                                                                                {{18, 3, 5, 33}, {1, 3, 2, 0}}};
    for (const auto& [shape, permutation] : transposes) check(ops::transpose, {x(shape)}, attr::Transpose{permutation});

    const std::vector<std::pair<Shape, Shape>> broadcasts{{{}, {}},
                                                          {{}, {3}},
                                                          {{1}, {5}},
                                                          {{3}, {2, 3}},
                                                          {{2, 1}, {2, 3}},
                                                          {{2, 1, 3}, {4, 2, 5, 3}},
                                                          {{1}, {0}},
                                                          {{1, 2}, {0, 2}},
                                                          {{}, {50001}},
                                                          {{257}, {200, 257}},
                                                          {{200, 1}, {200, 257}},
                                                          {{3, 1, 50}, {3, 400, 50}}};
    for (const auto& [from, to] : broadcasts) check(ops::broadcast_to, {x(from)}, attr::NewShape{to});

    struct Cut {
      Shape shape, starts, limits, strides;
    };
    for (const auto& [shape, starts, limits, strides] : std::vector<Cut>{{{7}, {1}, {6}, {2}},
                                                                         {{4, 5}, {0, 0}, {4, 5}, {1, 1}},
                                                                         {{4, 5}, {1, 2}, {3, 5}, {1, 1}},
                                                                         {{4, 5}, {0, 1}, {4, 5}, {3, 2}},
                                                                         {{4, 5}, {2, 1}, {2, 4}, {1, 1}},
                                                                         {{0, 5}, {0, 1}, {0, 4}, {1, 1}},
                                                                         {{1, 1}, {0, 0}, {1, 1}, {5, 1}},
                                                                         {{2, 3, 4}, {0, 1, 0}, {2, 3, 4}, {1, 1, 3}},
                                                                         {{300, 257}, {1, 3}, {299, 250}, {1, 2}},
                                                                         {{50001}, {1}, {50001}, {1}}}) {
      check(ops::slice, {x(shape)}, attr::Slice{starts, limits, strides});
    }

    struct Margin {
      Shape shape, low, high, interior;
    };
    for (const auto& [shape, low, high, interior] : std::vector<Margin>{{{3}, {1}, {2}, {0}},
                                                                        {{3}, {0}, {0}, {2}},
                                                                        {{1}, {0}, {0}, {3}},
                                                                        {{0}, {2}, {1}, {3}},
                                                                        {{}, {}, {}, {}},
                                                                        {{4, 5}, {1, 0}, {0, 2}, {0, 1}},
                                                                        {{4, 5}, {-1, 2}, {0, -3}, {1, 2}},
                                                                        {{4, 5}, {-2, 0}, {-2, 0}, {0, 0}},
                                                                        {{2, 3, 4}, {0, 1, 0}, {0, 1, 0}, {0, 0, 0}},
                                                                        {{200, 257}, {1, 1}, {1, 1}, {0, 0}},
                                                                        {{100, 101}, {0, 3}, {2, 0}, {1, 2}}}) {
      check(ops::pad, {x(shape), filler}, attr::Pad{low, high, interior});
    }

    const std::vector<std::pair<Shape, InlineVector<int, max_rank>>> flips{
        {{5}, {0}},       {{4, 5}, {}},     {{4, 5}, {1}},       {{4, 5}, {0, 1}},
        {{0, 5}, {0, 1}}, {{1, 1}, {0, 1}}, {{2, 3, 4}, {0, 2}}, {{3, 3, 60, 70}, {0, 1}},
        {{257, 200}, {1}}};
    for (const auto& [shape, flipped] : flips) check(ops::flip, {x(shape)}, attr::AxisSet{flipped});
  }
  check.expect_all(ops::shape_family());
  check.expect_all(ops::index_family());
}

TEST_CASE("an op that shares its operand's buffer has the bytes of its reference kernel") {
  for (const auto& family : op_families()) {
    for (const Op* op : family) {
      if (!op->shares_operand) continue;
      INFO(std::string(op->name));
      const Array x = random_array({2, 3}, float32, 10);
      Op copying = *op;
      copying.shares_operand = false;
      const Abstract result{{6}, float32};
      CHECK(identical(execute(copying, Arrays{x}, {}, result, Executor()),
                      execute(*op, Arrays{x}, {}, result, Executor())));
    }
  }
}
