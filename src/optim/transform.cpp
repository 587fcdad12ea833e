#include <linseed/optim/transform.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>

#include "optim/common.hpp"

namespace linseed::optim {

using detail::Step;

namespace {

// Updates of another shape would broadcast, and turn up as parameters of another shape.
void require_fit(const Tree& updates, const Tree& params) {
  if (!updates.same_structure(params)) {
    throw StructureError("GradientTransformation", "The updates do not have the structure of the parameters.",
                         {.got = tree::difference(updates, params, /*values=*/false).value_or(""),
                          .hint = "the first are the updates, the second the parameters"});
  }
  const std::vector<Array> left = updates.leaves(), right = params.leaves();
  for (std::size_t i = 0; i < left.size(); ++i) {
    if (left[i].shape() == right[i].shape()) continue;
    throw ShapeError("GradientTransformation", "An update does not have the shape of its parameter.",
                     {.at = params.paths()[i], .got = describe(left[i]), .expected = describe(right[i])});
  }
}

void require_entries(std::string_view op, const Tree& state, std::size_t count) {
  if (!state.is_leaf() && state.size() == count) return;
  throw StructureError(op, "The state belongs to another transformation.",
                       {.got = state.is_leaf() ? "an Array" : fmt::format("{} entries", state.size()),
                        .expected = fmt::format("{} entries, one per member", count),
                        .hint = "make the state with init of the same transformation"});
}

GradientTransformation chain_of(Description description, std::string_view op,
                                std::vector<std::pair<std::string, GradientTransformation>> members) {
  const auto shared = std::make_shared<const decltype(members)>(std::move(members));
  auto init = [shared](const Tree& params) {
    Tree::Dict state;
    for (const auto& [name, member] : *shared) state.emplace(name, member.init(params));
    return Tree(std::move(state));
  };
  auto update = [shared, op](const Tree& updates, const Tree& state, const Tree& params) {
    require_entries(op, state, shared->size());
    Tree current = updates;
    Tree::Dict next;
    for (const auto& [name, member] : *shared) {
      auto [updated, next_state] = member.update(current, state[name], params);
      current = std::move(updated);
      next.emplace(name, std::move(next_state));
    }
    return Step{std::move(current), Tree(std::move(next))};
  };
  return {std::move(description), std::move(init), std::move(update)};
}

}  // namespace

GradientTransformation::GradientTransformation(const GradientTransformation& other) noexcept = default;
GradientTransformation& GradientTransformation::operator=(const GradientTransformation& other) noexcept = default;
GradientTransformation& GradientTransformation::operator=(GradientTransformation&& other) noexcept = default;
GradientTransformation::~GradientTransformation() = default;

GradientTransformation::GradientTransformation(Description description, Init init, Update update)
    : parts_(std::make_shared<const Parts>(Parts{std::move(description), std::move(init), std::move(update)})) {}

const GradientTransformation::Parts& GradientTransformation::parts() const {
  if (!parts_) {
    throw ValueError("GradientTransformation", "It is empty.", {.hint = "make one, with optim::sgd for example"});
  }
  return *parts_;
}

Tree GradientTransformation::init(const Tree& params) const { return parts().init(params); }

std::pair<Tree, Tree> GradientTransformation::update(const Tree& updates, const Tree& state, const Tree& params) const {
  require_fit(updates, params);
  return parts().update(updates, state, params);
}

bool operator==(const GradientTransformation& a, const GradientTransformation& b) noexcept {
  return a.parts_ == b.parts_ || (a.parts_ && b.parts_ && a.parts_->description == b.parts_->description);
}

std::string to_string(const GradientTransformation& transformation) {
  return transformation == GradientTransformation() ? "empty" : transformation.description().text();
}

GradientTransformation chain(const std::vector<GradientTransformation>& transformations) {
  std::vector<std::pair<std::string, GradientTransformation>> members;
  for (const GradientTransformation& member : transformations)
    members.emplace_back(std::to_string(members.size()), member);
  return chain_of(Description("chain", transformations), "chain", std::move(members));
}

GradientTransformation named_chain(const std::vector<std::pair<std::string, GradientTransformation>>& transformations) {
  for (auto member = transformations.begin(); member != transformations.end(); ++member) {
    if (std::none_of(transformations.begin(), member, [&](const auto& other) { return other.first == member->first; }))
      continue;
    throw ValueError("named_chain", "A name is given twice.", {.got = member->first});
  }
  return chain_of(Description("named_chain", transformations), "named_chain", transformations);
}

GradientTransformation identity() {
  return {Description("identity"), [](const Tree&) { return Tree(); },
          [](const Tree& updates, const Tree& state, const Tree&) { return Step{updates, state}; }};
}

GradientTransformation set_to_zero() {
  return detail::leafwise(Description("set_to_zero"), [](const Array& u, const Array&) { return zeros_like(u); });
}

GradientTransformation stateless(std::function<Tree(const Tree& updates, const Tree& params)> function) {
  return {[](const Tree&) { return Tree(); },
          [function = std::move(function)](const Tree& updates, const Tree& state, const Tree& params) {
            return Step{function(updates, params), state};
          }};
}

Tree apply_updates(const Tree& params, const Tree& updates) {
  return tree::map([](const Array& p, const Array& u) { return astype(p + u, p.dtype()); }, params, updates);
}

Tree incremental_update(const Tree& fresh, const Tree& old, const Scalar& step_size) {
  require_finite("incremental_update", "step_size", step_size);
  const Scalar rest = step_size.one_minus();
  return tree::map([&](const Array& a, const Array& b) { return step_size * a + rest * b; }, fresh, old);
}

Tree periodic_update(const Tree& fresh, const Tree& old, const ArrayLike& step, std::int64_t period) {
  if (period <= 0) throw ValueError("periodic_update", "The period must be positive.", {.got = std::to_string(period)});
  return detail::select(mod(step, period) == 0, fresh, old);
}

Array global_norm(const Tree& tree) {
  Array total(0.0);
  bool first = true;
  for (const Array& leaf : tree.leaves()) {
    const Array squares = sum(square(leaf));
    total = first ? squares : total + squares;
    first = false;
  }
  return sqrt(total);
}

}  // namespace linseed::optim
