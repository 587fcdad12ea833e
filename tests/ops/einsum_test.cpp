// einsum against the sum that its equation spells out, and what it refuses.
#include <map>
#include <string>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>

#include "ops/expect.hpp"

using namespace linseed;
using tests::error_text;
using tests::expect;

namespace {

Array counting(const Shape& shape) { return reshape(arange(shape.elements(), float64) - 5, shape); }

/// The element of x at the indices that `term` names; an axis of extent 1 has only one.
double element(const Array& x, const std::string& term, const std::map<char, std::int64_t>& index) {
  std::int64_t offset = 0;
  for (std::size_t axis = 0; axis < term.size(); ++axis) {
    const std::int64_t extent = x.shape()[axis];
    offset = offset * extent + (extent == 1 ? 0 : index.at(term[axis]));
  }
  return x.data<double>()[static_cast<std::size_t>(offset)];
}

/// The definition: for each index of the result, the sum over all other letters of the products. Letters only.
Array by_definition(const std::vector<std::string>& terms, const std::string& result,
                    const std::vector<Array>& operands) {
  std::map<char, std::int64_t> extents;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    for (std::size_t axis = 0; axis < terms[i].size(); ++axis) {
      std::int64_t& extent = extents.try_emplace(terms[i][axis], 1).first->second;
      if (const std::int64_t own = operands[i].shape()[axis]; own != 1) extent = own;
    }
  }
  Shape shape;
  for (const char letter : result) shape.push_back(extents.at(letter));
  std::vector<double> sums(static_cast<std::size_t>(shape.elements()), 0.0);
  std::map<char, std::int64_t> index;
  bool more = true;  // there is an index to go on with: none at all when an extent is 0
  for (const auto& [letter, extent] : extents) {
    index[letter] = 0;
    more = more && extent > 0;
  }
  while (more) {
    double product = 1.0;
    for (std::size_t i = 0; i < terms.size(); ++i) product *= element(operands[i], terms[i], index);
    std::int64_t offset = 0;
    for (const char letter : result) offset = offset * extents.at(letter) + index.at(letter);
    sums[static_cast<std::size_t>(offset)] += product;
    more = false;
    for (auto& [letter, value] : index) {
      if (++value < extents.at(letter)) {
        more = true;
        break;
      }
      value = 0;
    }
  }
  return Array::from(sums, shape);
}

}  // namespace

TEST_CASE("einsum is the sum that its equation spells out") {
  struct Case {
    std::vector<std::string> terms;
    std::string result;
    std::vector<Shape> shapes;
  };
  for (const auto& [terms, result, shapes] : {
           Case{{"ij", "jk"}, "ik", {{2, 3}, {3, 4}}},
           Case{{"ij", "jk"}, "ki", {{2, 3}, {3, 4}}},
           Case{{"ij", "kj"}, "ik", {{2, 3}, {4, 3}}},
           Case{{"i", "j"}, "ji", {{2}, {3}}},
           Case{{"i", "i"}, "", {{3}, {3}}},
           Case{{"i", "i"}, "i", {{3}, {3}}},
           Case{{"bqhd", "bkhd"}, "bhqk", {{2, 3, 2, 4}, {2, 5, 2, 4}}},
           Case{{"bhqk", "bkhd"}, "bqhd", {{2, 2, 3, 5}, {2, 5, 2, 4}}},
           Case{{"ijk"}, "kij", {{2, 3, 4}}},
           Case{{"ijk"}, "j", {{2, 3, 4}}},
           Case{{"ii"}, "i", {{3, 3}}},
           Case{{"ii"}, "", {{3, 3}}},
           Case{{"iji", "jk"}, "ik", {{2, 3, 2}, {3, 2}}},
           Case{{"ij", "k"}, "i", {{2, 3}, {4}}},       // letters of one operand alone
           Case{{"ij", "jk"}, "ik", {{2, 1}, {3, 4}}},  // an extent of 1 broadcasts
           Case{{"ij", "ij"}, "ij", {{1, 3}, {2, 1}}},
           Case{{"ij", "jk", "kl"}, "il", {{2, 3}, {3, 4}, {4, 2}}},
           Case{{"i", "ij", "j"}, "", {{2}, {2, 3}, {3}}},
           Case{{"bi", "bj", "bk"}, "bijk", {{2, 2}, {2, 3}, {2, 2}}},
           Case{{"ij", "jk"}, "ik", {{2, 0}, {0, 3}}},  // an empty sum
       }) {
    std::string equation;
    std::vector<Array> operands;
    for (std::size_t i = 0; i < terms.size(); ++i) {
      equation += (i == 0 ? "" : ",") + terms[i];
      operands.push_back(counting(shapes[i]));
    }
    equation += "->" + result;
    CAPTURE(equation);
    const Array expected = by_definition(terms, result, operands);
    expect(einsum(equation, operands), expected);
    expect(jit([&](const std::vector<Array>& given) { return einsum(equation, given); })(operands), expected);
  }
}

TEST_CASE("einsum without an arrow, with spaces, and with an ellipsis") {
  const Array a = counting({2, 3}), b = counting({3, 4}), stack = counting({5, 2, 3});
  expect(einsum("ij,jk", a, b), matmul(a, b));
  expect(einsum("kj , ji", a, b), transpose(matmul(a, b)));  // the result's letters are sorted
  expect(einsum("ba", a), transpose(a));
  expect(einsum(" ... ij , jk -> ... ik ", stack, b), matmul(stack, b));
  expect(einsum("...ij,...jk", stack, b), matmul(stack, b));
  expect(einsum("...i->...", stack), sum(stack, -1));
  expect(einsum("i...->...i", stack), moveaxis(stack, 0, -1));
  expect(einsum("...,...->...", counting({2, 1, 3}), counting({4, 1})), counting({2, 1, 3}) * counting({4, 1}));
  expect(einsum("...i,i...->...", counting({2, 3}), counting({3, 2})),
         sum(counting({2, 3}) * transpose(counting({3, 2})), 1));
  CHECK(einsum("ij,jk->ik", astype(a, int32), astype(b, float32)).dtype() == float32);
}

TEST_CASE("the gradient of einsum is an einsum") {
  const Array a = counting({2, 3, 4}), b = counting({4, 5}), cotangent = counting({2, 5});
  const auto [da, db] = grad(
      [&](const Array& x, const Array& y) { return sum(einsum("ijk,kl->il", x, y) * cotangent); }, argnums<0, 1>)(a, b);
  expect(da, broadcast_to(expand_dims(einsum("il,kl->ik", cotangent, b), 1), {2, 3, 4}));
  expect(db, einsum("ijk,il->kl", a, cotangent));
}

TEST_CASE("einsum refuses equations and operands that do not fit") {
  const Array a = ones({2, 3});
  const std::vector<Array> none;
  CHECK(error_text<ValueError>([&] { return einsum("->", none); }) == "[einsum] There are no operands.");
  CHECK(error_text<ValueError>([&] { return einsum("ij,jk->ik", a); }) ==
        "[einsum] The equation has another number of terms than there are operands.\n"
        "  got: \"ij,jk->ik\" and 1 operands");
  for (const char* equation : {"i2->i", "i-j->i", "......ij->i", "..i->i", "ij->i->j"}) {
    CHECK(error_text<ValueError>([&] { return einsum(equation, a); }) ==
          "[einsum] The equation cannot be read: a term has letters and at most one \"...\".\n  got: \"" +
              std::string(equation) + "\"");
  }
  CHECK(error_text<ValueError>([&] { return einsum("ij->ii", a); }) ==
        "[einsum] A letter of the result occurs twice.\n  got: \"ij->ii\"");
  CHECK(error_text<ValueError>([&] { return einsum("ij->ik", a); }) ==
        "[einsum] A letter of the result is in no operand.\n  got: \"ij->ik\"");
  CHECK(error_text<ShapeError>([&] { return einsum("ijk->i", a); }) ==
        "[einsum] Operand 0 does not have the axes of its term.\n  got: (2, 3) for \"ijk\"");
  CHECK(error_text<ShapeError>([&] { return einsum("i->i", a); }) ==
        "[einsum] Operand 0 does not have the axes of its term.\n  got: (2, 3) for \"i\"");
  CHECK(error_text<ShapeError>([&] { return einsum("ii->i", a); }) ==
        "[einsum] The axes of a diagonal differ in extent.\n  got: (2, 3)");
  CHECK(error_text<ShapeError>([&] { return einsum("ij,jk->ik", a, a); }) ==
        "[einsum] The axes of a letter differ in extent.\n  got: 3 and 2");
}
