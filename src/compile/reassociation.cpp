#include "compile/reassociation.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <linseed/ops/elementwise.hpp>

#include "compile/rewriter.hpp"
#include "ops/elementwise.hpp"

namespace linseed::compile {

using detail::ProgramData;

namespace {

class Reassociation {
 public:
  explicit Reassociation(const ProgramData& program) : program_(program), rewriter_(program) {}

  /// Nothing if there is nothing to do.
  std::optional<Program> run() {
    Program result = rewriter_.run([&](int, const Node& self) {
      std::optional<Array> value;
      if (self.op == &ops::add || self.op == &ops::sub) value = with_joined_offsets(self);
      if (!value && self.op == &ops::add) value = with_joined_products(self);
      changed_ = changed_ || value;
      return value ? *value : rewriter_.record(self, rewriter_.operands(self));
    });
    return changed_ ? std::optional(result) : std::nullopt;
  }

 private:
  [[nodiscard]] const Node& node(int index) const { return program_.nodes[static_cast<std::size_t>(index)]; }
  [[nodiscard]] bool is_full(const Node& self, int operand) const {
    return node(operand).result == self.result && is_floating(self.result.dtype);
  }
  [[nodiscard]] bool is_smaller(const Node& self, int operand) const {
    return node(operand).result.shape.elements() < self.result.shape.elements();
  }
  /// The two operands of `self`, the one of full size first, if the other one is smaller and `self` is an `op` of them.
  [[nodiscard]] std::optional<std::pair<int, int>> full_and_smaller(const Node& self, const Op& op,
                                                                    bool commutes) const {
    if (self.op != &op) return std::nullopt;
    const int a = self.operands[0], b = self.operands[1];
    if (is_full(self, a) && is_smaller(self, b)) return std::pair(a, b);
    return commutes && is_full(self, b) && is_smaller(self, a) ? std::optional(std::pair(b, a)) : std::nullopt;
  }

  std::optional<Array> with_joined_offsets(const Node& self) const {
    const bool subtracts = self.op == &ops::sub;
    const auto outer = full_and_smaller(self, *self.op, !subtracts);
    if (!outer) return std::nullopt;
    const Node& sum = node(outer->first);
    const auto inner = full_and_smaller(sum, ops::add, true);
    if (!inner) return std::nullopt;
    const Array &first = rewriter_.value(inner->second), &second = rewriter_.value(outer->second);
    const Array offset = subtracts ? first - second : first + second;
    if (offset.size() > std::max(first.size(), second.size())) return std::nullopt;
    return rewriter_.value(inner->first) + offset;
  }

  std::optional<Array> with_joined_products(const Node& self) const {
    for (const std::size_t side : {0U, 1U}) {
      const int term = self.operands[side], rest = self.operands[1 - side];
      const Node& sum = node(rest);
      const auto product = full_and_smaller(node(term), ops::mul, true);
      if (!product || !is_full(self, term) || !is_full(self, rest) || sum.op != &ops::add) continue;
      const auto place = std::find(sum.operands.begin(), sum.operands.end(), term);
      if (place == sum.operands.end()) continue;
      const Array& other = rewriter_.value(sum.operands[place == sum.operands.begin() ? 1 : 0]);
      const Array& factor = rewriter_.value(product->second);
      return other + (factor + factor) * rewriter_.value(product->first);
    }
    return std::nullopt;
  }

  const ProgramData& program_;
  Rewriter rewriter_;
  bool changed_ = false;
};

}  // namespace

Program reassociation(const Program& program) { return Reassociation(program.data()).run().value_or(program); }

}  // namespace linseed::compile
