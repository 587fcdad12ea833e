#include "ops/einsum.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

namespace linseed {

namespace ops {

namespace {

using Labels = std::vector<int>;

constexpr int first_ellipsis_label = 256;

[[noreturn]] void refuse(std::string_view equation, std::string_view sentence) {
  throw ValueError("einsum", sentence, {.got = fmt::format("\"{}\"", equation)});
}

/// The labels of one term; `ellipsis` axes stand behind "...", labelled so that the last ones of all terms agree.
Labels labels_of(std::string_view equation, std::string_view term, int ellipsis) {
  Labels labels;
  bool seen = false;
  for (std::size_t i = 0; i < term.size(); ++i) {
    if (std::isalpha(static_cast<unsigned char>(term[i]))) {
      labels.push_back(static_cast<unsigned char>(term[i]));
    } else if (!seen && term.substr(i, 3) == "...") {
      seen = true;
      for (int axis = ellipsis; axis > 0; --axis) labels.push_back(first_ellipsis_label + axis);
      i += 2;
    } else {
      refuse(equation, "The equation cannot be read: a term has letters and at most one \"...\".");
    }
  }
  return labels;
}

bool has_ellipsis(std::string_view term) { return term.find("...") != std::string_view::npos; }

}  // namespace

Equation parse_einsum(std::string_view given, const std::vector<Array>& operands) {
  std::string equation(given);
  std::erase(equation, ' ');
  const std::size_t arrow = equation.find("->");
  const std::string_view text = equation;
  const std::string_view inputs = text.substr(0, arrow);

  std::vector<std::string_view> terms;
  for (std::size_t begin = 0; begin <= inputs.size();) {
    const std::size_t comma = std::min(inputs.find(',', begin), inputs.size());
    terms.push_back(inputs.substr(begin, comma - begin));
    begin = comma + 1;
  }
  if (terms.size() != operands.size()) {
    throw ValueError("einsum", "The equation has another number of terms than there are operands.",
                     {.got = fmt::format("\"{}\" and {} operands", given, operands.size())});
  }
  Equation result;
  int widest = 0;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const int letters = static_cast<int>(labels_of(given, terms[i], 0).size());
    const int ellipsis = operands[i].rank() - letters;
    if (ellipsis < 0 || (ellipsis > 0 && !has_ellipsis(terms[i]))) {
      throw ShapeError("einsum", fmt::format("Operand {} does not have the axes of its term.", i),
                       {.got = fmt::format("{} for \"{}\"", to_string(operands[i].shape()), terms[i])});
    }
    result.operands.push_back(labels_of(given, terms[i], ellipsis));
    widest = std::max(widest, ellipsis);
  }

  std::map<int, int> uses;
  for (const Labels& labels : result.operands) {
    for (const int label : labels) ++uses[label];
  }
  if (arrow == std::string::npos) {
    for (int axis = widest; axis > 0; --axis) result.result.push_back(first_ellipsis_label + axis);
    for (const auto& [label, count] : uses) {
      if (label < first_ellipsis_label && count == 1) result.result.push_back(label);
    }
    return result;
  }
  const std::string_view output = text.substr(arrow + 2);
  result.result = labels_of(given, output, widest);
  std::set<int> distinct;
  for (const int label : result.result) {
    if (!distinct.insert(label).second) refuse(given, "A letter of the result occurs twice.");
    if (!uses.contains(label)) refuse(given, "A letter of the result is in no operand.");
  }
  return result;
}

}  // namespace ops

namespace {

using ops::Labels;

struct Term {
  Array array;
  Labels labels;

  [[nodiscard]] int place(int label) const {
    return static_cast<int>(std::find(labels.begin(), labels.end(), label) - labels.begin());
  }
  [[nodiscard]] bool has(int label) const { return place(label) < static_cast<int>(labels.size()); }
};

/// One axis per label: of a letter that occurs twice the diagonal remains.
void take_diagonals(Term& term) {
  for (std::size_t second = 0; second < term.labels.size();) {
    const auto first = static_cast<std::size_t>(term.place(term.labels[second]));
    if (first == second) {
      ++second;
      continue;
    }
    const Shape& shape = term.array.shape();
    if (shape[first] != shape[second]) {
      throw ShapeError("einsum", "The axes of a diagonal differ in extent.", {.got = to_string(shape)});
    }
    const Array diagonal = iota(shape, static_cast<int>(first)) == iota(shape, static_cast<int>(second));
    term.array = sum(where(diagonal, term.array, 0), static_cast<int>(second));
    term.labels.erase(term.labels.begin() + static_cast<std::ptrdiff_t>(second));
  }
}

/// Drops axes of extent 1 whose letter is longer elsewhere: the product with the other operand broadcasts them.
void drop_broadcast_axes(std::vector<Term>& terms) {
  std::map<int, std::int64_t> extents;
  for (const Term& term : terms) {
    for (std::size_t axis = 0; axis < term.labels.size(); ++axis) {
      const std::int64_t extent = term.array.shape()[axis];
      std::int64_t& known = extents.try_emplace(term.labels[axis], extent).first->second;
      if (known != extent && known != 1 && extent != 1) {
        throw ShapeError("einsum", "The axes of a letter differ in extent.",
                         {.got = fmt::format("{} and {}", known, extent)});
      }
      if (known == 1) known = extent;
    }
  }
  for (Term& term : terms) {
    for (std::size_t axis = term.labels.size(); axis-- > 0;) {
      if (term.array.shape()[axis] == extents[term.labels[axis]]) continue;
      term.array = squeeze(term.array, static_cast<int>(axis));
      term.labels.erase(term.labels.begin() + static_cast<std::ptrdiff_t>(axis));
    }
  }
}

/// Sums over the letters for which `needed` is false.
template <class Needed>
void sum_out(Term& term, const Needed& needed) {
  std::vector<int> axes;
  Labels kept;
  for (std::size_t axis = 0; axis < term.labels.size(); ++axis) {
    if (needed(term.labels[axis])) {
      kept.push_back(term.labels[axis]);
    } else {
      axes.push_back(static_cast<int>(axis));
    }
  }
  if (axes.empty()) return;
  term.array = sum(term.array, axes);
  term.labels = std::move(kept);
}

template <class Needed>
Term contracted(const Term& left, const Term& right, const Needed& needed) {
  DotAxes axes;
  Term result;
  for (const int label : left.labels) {
    if (!right.has(label)) continue;
    (needed(label) ? axes.lhs_batch : axes.lhs_contract).push_back(left.place(label));
    (needed(label) ? axes.rhs_batch : axes.rhs_contract).push_back(right.place(label));
    if (needed(label)) result.labels.push_back(label);
  }
  for (const Term* term : {&left, &right}) {
    for (const int label : term->labels) {
      if (!(left.has(label) && right.has(label))) result.labels.push_back(label);
    }
  }
  result.array = dot_general(left.array, right.array, axes);
  return result;
}

}  // namespace

Array einsum(std::string_view equation, const std::vector<Array>& operands) {
  if (operands.empty()) throw ValueError("einsum", "There are no operands.");
  const ops::Equation parsed = ops::parse_einsum(equation, operands);
  DType dtype = operands[0].dtype();
  for (const Array& operand : operands) dtype = promote(dtype, operand.dtype());

  std::vector<Term> terms;
  for (std::size_t i = 0; i < operands.size(); ++i) terms.push_back({astype(operands[i], dtype), parsed.operands[i]});
  for (Term& term : terms) take_diagonals(term);
  drop_broadcast_axes(terms);

  const auto in_result = [&](int label) {
    return std::find(parsed.result.begin(), parsed.result.end(), label) != parsed.result.end();
  };
  const auto needed_outside = [&](std::size_t first,
                                  std::size_t last) {  // by the result, or terms not in [first, last)
    return [&, first, last](int label) {
      if (in_result(label)) return true;
      for (std::size_t i = 0; i < terms.size(); ++i) {
        if ((i < first || i >= last) && terms[i].has(label)) return true;
      }
      return false;
    };
  };
  for (std::size_t i = 0; i < terms.size(); ++i) sum_out(terms[i], needed_outside(i, i + 1));
  Term total = terms[0];
  for (std::size_t next = 1; next < terms.size(); ++next) {
    total = contracted(total, terms[next], needed_outside(0, next + 1));
  }
  std::vector<int> order;
  for (const int label : parsed.result) order.push_back(total.place(label));
  return transpose(total.array, order);
}

}  // namespace linseed
