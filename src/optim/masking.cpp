#include <linseed/optim/masking.hpp>

#include <algorithm>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>

#include "optim/common.hpp"

namespace linseed::optim {

using detail::Step;

namespace {

std::string shown(const std::string& path) { return path.empty() ? "the root" : path; }

// True when `path` is `prefix` or lies below it.
bool is_below(std::string_view path, std::string_view prefix) {
  return prefix.empty() || (path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/'));
}

}  // namespace

std::map<std::string, bool, std::less<>> detail::mask_entries(const Tree& tree) {
  std::map<std::string, bool, std::less<>> result;
  const std::vector<std::string> paths = tree.paths();
  const std::vector<Array> leaves = tree.leaves();
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const ErrorContext context{.at = shown(paths[i]), .got = describe(leaves[i]), .expected = "bool[]"};
    if (leaves[i].dtype() != DType::bool_) throw DTypeError("mask", "A mask holds bool scalars.", context);
    if (leaves[i].rank() != 0) throw ShapeError("mask", "A mask holds bool scalars.", context);
    result.emplace(paths[i], static_cast<bool>(leaves[i]));
  }
  return result;
}

template <class Value>
typename PerLeaf<Value>::Entries PerLeaf<Value>::resolve(const Tree& tree) const {
  const std::vector<std::string> paths = tree.paths();
  if (function_) {
    const std::vector<Array> leaves = tree.leaves();
    Entries result;
    for (std::size_t i = 0; i < paths.size(); ++i) result.emplace(paths[i], function_(paths[i], leaves[i]));
    return result;
  }
  for (const auto& [path, value] : entries_) {
    if (!tree.contains(path)) {
      throw StructureError("mask", "The tree has nothing at a path of the mask or labels.",
                           {.at = path, .expected = fmt::format("one of {}", fmt::join(paths, ", "))});
    }
    for (const auto& [other, other_value] : entries_) {
      if (other == path || !is_below(path, other)) continue;
      throw StructureError("mask", "A path of the mask or labels lies inside another.",
                           {.at = path, .got = fmt::format("a value for {} too", shown(other))});
    }
  }
  for (const std::string& path : paths) {
    const bool covered =
        std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) { return is_below(path, entry.first); });
    if (!covered) throw StructureError("mask", "A leaf has no value in the mask or labels.", {.at = shown(path)});
  }
  return entries_;
}

template class PerLeaf<bool>;
template class PerLeaf<std::string>;

namespace {

using Entries = Mask::Entries;

// `tree` with empty dictionaries where the mask is false (optax.MaskedNode).
Tree kept(const Tree& tree, const Entries& mask, const std::string& path = "") {
  if (const auto found = mask.find(path); found != mask.end()) return found->second ? tree : Tree();
  if (tree.is_leaf()) return tree;
  Tree::Dict result;
  for (const auto& [key, child] : tree.entries())
    result.emplace(key, kept(child, mask, linseed::detail::join_path(path, key)));
  return Tree(std::move(result));
}

// `fresh` where the mask is true, `old` where it is false.
Tree merged(const Tree& fresh, const Tree& old, const Entries& mask, const std::string& path = "") {
  if (const auto found = mask.find(path); found != mask.end()) return found->second ? fresh : old;
  if (old.is_leaf()) return fresh;
  Tree::Dict result;
  for (const auto& [key, child] : old.entries())
    result.emplace(key, merged(fresh[key], child, mask, linseed::detail::join_path(path, key)));
  return Tree(std::move(result));
}

Tree masked_init(const GradientTransformation& inner, const Entries& mask, const Tree& params) {
  return {{"inner_state", inner.init(kept(params, mask))}};
}

Step masked_update(const GradientTransformation& inner, const Entries& mask, const Tree& updates, const Tree& state,
                   const Tree& params) {
  auto [fresh, next] = inner.update(kept(updates, mask), state["inner_state"], kept(params, mask));
  return {merged(fresh, updates, mask), Tree{{"inner_state", std::move(next)}}};
}

}  // namespace

GradientTransformation masked(const GradientTransformation& inner, const Mask& mask) {
  return {Description("masked", inner, mask),
          [=](const Tree& params) { return masked_init(inner, mask.resolve(params), params); },
          [=](const Tree& updates, const Tree& state, const Tree& params) {
            return masked_update(inner, mask.resolve(updates), updates, state, params);
          }};
}

GradientTransformation freeze(const Mask& mask) { return masked(set_to_zero(), mask); }

namespace {

using Transformations = std::map<std::string, GradientTransformation>;
using LabelsOf = std::function<Labels::Entries(const Tree& tree)>;

// For every label, which leaves carry it.
std::map<std::string, Entries> groups(const Transformations& transformations, const Labels::Entries& labels) {
  std::map<std::string, Entries> result;
  std::set<std::string> used;
  for (const auto& [path, label] : labels) used.insert(label);
  for (const auto& [label, unused] : transformations) {
    for (const auto& [path, own] : labels) result[label].emplace(path, own == label);
  }
  for (const std::string& label : used) {
    if (transformations.contains(label)) continue;
    std::vector<std::string> known;
    for (const auto& [name, unused] : transformations) known.push_back(name);
    throw ValueError("multi_transform", fmt::format("There is no transformation for the label '{}'.", label),
                     {.got = fmt::format("labels {}", fmt::join(used, ", ")),
                      .expected = fmt::format("transformations {}", fmt::join(known, ", "))});
  }
  return result;
}

GradientTransformation partition(Description description, const Transformations& transformations,
                                 const LabelsOf& labels_of) {
  auto init = [=](const Tree& params) {
    auto masks = groups(transformations, labels_of(params));
    Tree::Dict states;
    for (const auto& [label, inner] : transformations) states.emplace(label, masked_init(inner, masks[label], params));
    return Tree{{"inner_states", Tree(std::move(states))}};
  };
  auto update = [=](const Tree& updates, const Tree& state, const Tree& params) {
    auto masks = groups(transformations, labels_of(updates));
    Tree current = updates;
    Tree::Dict states;
    for (const auto& [label, inner] : transformations) {
      auto [fresh, next] = masked_update(inner, masks[label], current, state["inner_states"][label], params);
      current = std::move(fresh);
      states.emplace(label, std::move(next));
    }
    return Step{std::move(current), Tree{{"inner_states", Tree(std::move(states))}}};
  };
  return {std::move(description), std::move(init), std::move(update)};
}

}  // namespace

GradientTransformation selective_transform(const GradientTransformation& inner, const Mask& freeze_mask) {
  return partition(Description("selective_transform", inner, freeze_mask),
                   {{"freeze", set_to_zero()}, {"train", inner}}, [=](const Tree& tree) {
                     Labels::Entries labels;
                     for (const auto& [path, frozen] : freeze_mask.resolve(tree))
                       labels.emplace(path, frozen ? "freeze" : "train");
                     return labels;
                   });
}

GradientTransformation multi_transform(const std::map<std::string, GradientTransformation>& transformations,
                                       const Labels& labels) {
  return partition(Description("multi_transform", transformations, labels), transformations,
                   [=](const Tree& tree) { return labels.resolve(tree); });
}

GradientTransformation add_decayed_weights(const Schedule& weight_decay, const std::optional<Mask>& mask) {
  if (mask) return masked(add_decayed_weights(weight_decay), *mask);
  if (weight_decay.is_constant()) {
    const Scalar decay = weight_decay.value();
    return detail::leafwise(Description("add_decayed_weights", decay),
                            [=](const Array& g, const Array& p) { return decay.is(0.0) ? g : g + decay * p; });
  }
  return {Description("add_decayed_weights", weight_decay), [](const Tree&) { return Tree{{"count", Array(0)}}; },
          [=](const Tree& updates, const Tree& state, const Tree& params) {
            const Array& count = state["count"].array();
            const Array decay = weight_decay(count);
            const auto decayed = [&](const Array& g, const Array& p) { return g + astype(decay, p.dtype()) * p; };
            return Step{tree::map(decayed, updates, params), Tree{{"count", detail::next_count(count)}}};
          }};
}

}  // namespace linseed::optim
