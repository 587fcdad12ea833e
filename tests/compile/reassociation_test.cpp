#include "compile/reassociation.hpp"

#include <vector>

#include <doctest/doctest.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/jit.hpp>

#include "program/program.hpp"
#include "support.hpp"

using namespace linseed;

namespace {

/// Elements that the ops of a program compute, beside what no output needs.
std::int64_t work(const Program& program) {
  const auto& nodes = program.data().nodes;
  std::vector<char> needed(nodes.size(), 0);
  for (const int output : program.data().outputs) needed[static_cast<std::size_t>(output)] = 1;
  std::int64_t elements = 0;
  for (std::size_t i = nodes.size(); i-- > 0;) {
    if (!needed[i] || nodes[i].op == nullptr) continue;
    elements += nodes[i].result.shape.elements();
    for (const int operand : nodes[i].operands) needed[static_cast<std::size_t>(operand)] = 1;
  }
  return elements;
}

const Array x{{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}, row{10.0, 20.0, 30.0}, other{0.5, 0.25, 0.125};
const Array column{{2.0}, {4.0}}, same{{1.5, 2.5, 3.5}, {4.5, 5.5, 6.5}};

/// A program of two Arrays like x and three rows, before and after: all numbers are exact in either order.
template <class Function>
std::int64_t work_saved(const Function& function, const std::vector<Array>& inputs = {x, row, other}) {
  const Program before = make_program(function, inputs[0], inputs[1], inputs[2]);
  const Program after = compile::reassociation(before);
  const Array expected = interpret(before.data(), inputs, Executor(1))[0];
  CHECK(identical(interpret(after.data(), inputs, Executor(1))[0], expected));
  return work(before) - work(after);
}

}  // namespace

TEST_CASE("offsets of all rows are added to each other first") {
  constexpr std::int64_t saved = 6 - 3;  // one op on elements, for one on a row
  CHECK(work_saved([](const Array& a, const Array& b, const Array& c) { return (a + b) - c; }) == saved);
  CHECK(work_saved([](const Array& a, const Array& b, const Array& c) { return (b + a) + c; }) == saved);
  CHECK(work_saved([](const Array& a, const Array& b, const Array& c) { return c + (a + b); }) == saved);
  CHECK(work_saved([](const Array& a, const Array& b, const Array& c) { return (a + b) - reshape(c, {1, 3}); }) ==
        saved);
}

TEST_CASE("what does not save work stays as it is") {
  CHECK(work_saved([](const Array& a, const Array& b, const Array& c) { return c - (a + b); }) == 0);
  CHECK(work_saved([](const Array& a, const Array& b, const Array& c) { return (a * b) + c; }) == 0);
  // An offset of rows and one of columns make one of elements.
  CHECK(work_saved([](const Array& a, const Array& b, const Array& c) { return (a + b) - c; }, {x, row, column}) == 0);
  CHECK(work_saved([](const Array& a, const Array& b, const Array& c) { return (a + b) - c; }, {x, same, row}) == 0);
  CHECK(work_saved([](const Array& a, const Array& b, const Array& c) { return (a + b) + c; }, {row, x, same}) == 0);
}

TEST_CASE("integers keep their order of operations") {
  const auto ints = [](const Array& a) { return astype(a * 8, int32); };
  CHECK(work_saved([](const Array& a, const Array& b, const Array& c) { return (a + b) - c; },
                   {ints(x), ints(row), ints(other)}) == 0);
}

TEST_CASE("a product that is added twice is added once, with twice the factor") {
  constexpr std::int64_t saved = 6 - 3;
  const auto twice = [](const Array& a, const Array& b, const Array& c) {
    const Array term = c * (a - b);
    return (a + term) + term;
  };
  CHECK(work_saved(twice) == saved);
  const auto from_left = [](const Array& a, const Array& b, const Array& c) {
    const Array term = (a - b) * c;
    return term + (term + a);
  };
  CHECK(work_saved(from_left) == saved);
  const auto of_elements = [](const Array& a, const Array& b, const Array&) {
    const Array term = b * a;
    return (a + term) + term;
  };
  CHECK(work_saved(of_elements, {x, same, row}) == 0);
}
