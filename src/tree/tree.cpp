#include <linseed/tree/tree.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <ostream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/core/error.hpp>

namespace linseed {

namespace {

const Tree::Dict& no_entries() {
  static const Tree::Dict empty;
  return empty;
}

// Splits the first key off a path.
std::pair<std::string_view, std::string_view> split_path(std::string_view path) {
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {path, {}};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string describe_node(const Tree& tree) {
  if (tree.is_leaf()) return fmt::format("an Array {}", describe(tree.array()));
  if (tree.size() == 0) return "an empty dictionary";
  return fmt::format("keys {}", fmt::join(tree.keys(), ", "));
}

void collect(const Tree& tree, const std::string& path, std::vector<std::string>& paths) {
  if (tree.is_leaf()) {
    paths.push_back(path);
    return;
  }
  for (const auto& [key, child] : tree.entries()) collect(child, detail::join_path(path, key), paths);
}

}  // namespace

namespace detail {

std::string join_path(std::string_view parent, std::string_view key) {
  if (parent.empty() || key.empty()) return std::string(parent.empty() ? key : parent);
  return fmt::format("{}/{}", parent, key);
}

void throw_structures_differ(const std::string& path, const Tree& a, const Tree& b) {
  throw StructureError("Tree", "The trees differ in structure.",
                       {.at = path.empty() ? "the root" : path, .got = describe_node(b), .expected = describe_node(a)});
}

void throw_leaf_count(std::size_t got, std::size_t expected) {
  throw StructureError(
      "Tree", "The number of leaves differs.",
      {.got = std::to_string(got), .expected = fmt::format("{}{}", got < expected ? "at least " : "", expected)});
}

}  // namespace detail

/// A dictionary. What it holds never changes, but for a compiled function that was given it for good: that may put
/// Arrays of the same shapes and dtypes in the place of others.
struct Tree::Node {
  /// All that is below a dictionary.
  struct Contents {
    std::vector<LeafPlace> leaves;  // as they are when no dictionary is shared
    std::vector<const std::shared_ptr<Node>*> dictionaries;
  };

  explicit Node(Dict dict) : entries(std::move(dict)) {}
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node() { delete contents.load(std::memory_order_relaxed); }

  /// The contents, which are listed at the second request, or null: a tree that is asked once is walked.
  const Contents* listed() const {
    if (const Contents* known = contents.load(std::memory_order_acquire)) return known;
    if (!asked.exchange(true, std::memory_order_relaxed)) return nullptr;
    auto list = std::make_unique<Contents>();
    append_to(*list);
    const Contents* first = nullptr;
    return contents.compare_exchange_strong(first, list.get(), std::memory_order_acq_rel) ? list.release() : first;
  }

  Dict entries;
  mutable std::atomic<std::uint64_t> signature{0};  // equal and not 0: known to have the same signature

 private:
  void append_to(Contents& list) const {
    for (const auto& [key, child] : entries) {
      if (child.is_leaf()) list.leaves.push_back({&child.leaf_, true});
      if (!child.node_) continue;
      list.dictionaries.push_back(&child.node_);
      child.node_->append_to(list);
    }
  }

  mutable std::atomic<bool> asked{false};
  mutable std::atomic<const Contents*> contents{nullptr};
};

Tree::Tree() = default;
Tree::Tree(const Tree& other) noexcept = default;
Tree& Tree::operator=(const Tree& other) noexcept = default;
Tree& Tree::operator=(Tree&& other) noexcept = default;
Tree::~Tree() = default;

Tree::Tree(Array leaf) : leaf_(std::move(leaf)) {
  if (!leaf_.defined()) throw StructureError("Tree", "An empty Array cannot be a leaf.");
}

Tree::Tree(std::initializer_list<std::pair<const std::string, Tree>> entries) : Tree(Dict(entries)) {}

Tree::Tree(Dict entries) : node_(entries.empty() ? nullptr : std::make_shared<Node>(std::move(entries))) {}

std::size_t Tree::size() const noexcept { return node_ ? node_->entries.size() : 0; }

const Tree::Dict& Tree::entries() const& {
  if (is_leaf()) {
    throw StructureError("Tree", "A leaf has no entries.", {.got = describe_node(*this), .expected = "a dictionary"});
  }
  return node_ ? node_->entries : no_entries();
}

std::vector<std::string> Tree::keys() const {
  std::vector<std::string> result;
  for (const auto& [key, child] : entries()) result.push_back(key);
  return result;
}

const Tree& Tree::operator[](std::string_view key) const& {
  if (!is_leaf()) {
    if (const auto found = entries().find(key); found != entries().end()) return found->second;
  }
  throw StructureError("Tree", fmt::format("There is no entry '{}'.", key), {.got = describe_node(*this)});
}

const Tree* Tree::find(std::string_view path) const noexcept {
  const Tree* node = this;
  while (!path.empty()) {
    const auto [key, rest] = split_path(path);
    if (!node->node_) return nullptr;
    const auto found = node->node_->entries.find(key);
    if (found == node->node_->entries.end()) return nullptr;
    node = &found->second;
    path = rest;
  }
  return node;
}

const Tree& Tree::at(std::string_view path) const& {
  const Tree* node = this;
  std::string walked;
  for (std::string_view rest = path; !rest.empty();) {
    const auto [key, remaining] = split_path(rest);
    const Tree* child = node->find(key);
    if (child == nullptr) {
      throw StructureError("Tree", fmt::format("There is no entry '{}'.", key),
                           {.at = walked.empty() ? "the root" : walked,
                            .got = describe_node(*node),
                            .expected = fmt::format("the path {}", path)});
    }
    walked = detail::join_path(walked, key);
    node = child;
    rest = remaining;
  }
  return *node;
}

const Array& Tree::array() const& {
  if (!is_leaf()) {
    throw StructureError("Tree", "A dictionary was used as an Array.",
                         {.got = describe_node(*this), .expected = "a leaf", .hint = "index down to an Array first"});
  }
  return leaf_;
}

namespace {

// `whole` without its end `rest`: the keys that have been walked.
Tree set_at(const Tree& tree, std::string_view whole, std::string_view rest, Tree value) {
  if (rest.empty()) return value;
  if (tree.is_leaf()) {
    const std::size_t walked = whole.size() - rest.size();
    throw StructureError("Tree", "The path runs through a leaf.",
                         {.at = walked == 0 ? "the root" : std::string(whole.substr(0, walked - 1)),
                          .got = describe_node(tree),
                          .expected = fmt::format("a dictionary, for the path {}", whole)});
  }
  const auto [key, remaining] = split_path(rest);
  Tree::Dict result = tree.entries();
  Tree& place = result[std::string(key)];
  place = set_at(place, whole, remaining, std::move(value));
  return Tree(std::move(result));
}

}  // namespace

Tree Tree::set(std::string_view path, Tree value) const { return set_at(*this, path, path, std::move(value)); }

Tree Tree::erase(std::string_view path) const {
  (void)at(path);
  if (path.empty()) return Tree();
  const auto [key, rest] = split_path(path);
  Dict result = entries();
  const auto place = result.find(key);
  if (rest.empty()) {
    result.erase(place);
  } else {
    place->second = place->second.erase(rest);
  }
  return Tree(std::move(result));
}

Tree Tree::merge(const Tree& other) const {
  if (is_leaf() || other.is_leaf()) return other;
  Dict result = entries();
  for (const auto& [key, child] : other.entries()) {
    const auto [place, inserted] = result.try_emplace(key, child);
    if (!inserted) place->second = place->second.merge(child);
  }
  return Tree(std::move(result));
}

std::vector<Array> Tree::leaves() const {
  std::vector<LeafPlace> places;
  find_leaves(places);
  std::vector<Array> result;
  for (const LeafPlace& place : places) result.push_back(*place.array);
  return result;
}

void Tree::find_leaves(bool unshared, std::vector<LeafPlace>& result) const {
  if (is_leaf()) {
    result.push_back({&leaf_, unshared});
    return;
  }
  if (!node_) return;
  const auto is_unshared = [](const std::shared_ptr<Node>* dictionary) { return dictionary->use_count() == 1; };
  const bool here = unshared && is_unshared(&node_);
  const Node::Contents* const contents = here ? node_->listed() : nullptr;
  if (contents != nullptr && std::all_of(contents->dictionaries.begin(), contents->dictionaries.end(), is_unshared)) {
    result.insert(result.end(), contents->leaves.begin(), contents->leaves.end());
  } else {
    for (const auto& [key, child] : node_->entries) child.find_leaves(here, result);
  }
}

std::vector<std::string> Tree::paths() const {
  std::vector<std::string> result;
  collect(*this, "", result);
  return result;
}

std::int64_t Tree::element_count() const {
  std::int64_t total = 0;
  for (const Array& leaf : leaves()) total += leaf.size();
  return total;
}

Tree Tree::with_leaves(std::span<const Array> leaves) const {
  std::size_t next = 0;
  Tree result = with_leaves(leaves, next);
  if (next != leaves.size()) detail::throw_leaf_count(leaves.size(), next);
  return result;
}

Tree Tree::with_leaves(std::span<const Array> leaves, std::size_t& next) const {
  if (is_leaf()) {
    if (next >= leaves.size()) detail::throw_leaf_count(leaves.size(), next + 1);
    return Tree(leaves[next++]);
  }
  Dict result;
  for (const auto& [key, child] : entries()) result.emplace_hint(result.end(), key, child.with_leaves(leaves, next));
  return Tree(std::move(result));
}

bool Tree::same_structure(const Tree& other) const noexcept {
  if (is_leaf() || other.is_leaf()) return is_leaf() && other.is_leaf();
  if (node_ == other.node_) return true;
  if (size() != other.size()) return false;
  return std::equal(
      node_->entries.begin(), node_->entries.end(), other.node_->entries.begin(),
      [](const auto& a, const auto& b) { return a.first == b.first && a.second.same_structure(b.second); });
}

bool Tree::same_signature(const Tree& other) const noexcept {
  if (is_leaf() || other.is_leaf()) {
    return is_leaf() && other.is_leaf() && leaf_.dtype() == other.leaf_.dtype() && leaf_.shape() == other.leaf_.shape();
  }
  if (node_ == other.node_) return true;
  if (size() != other.size()) return false;
  const std::uint64_t mine = node_->signature.load(std::memory_order_relaxed);
  const std::uint64_t theirs = other.node_->signature.load(std::memory_order_relaxed);
  if (mine == theirs && mine != 0) return true;
  const bool same =
      std::equal(node_->entries.begin(), node_->entries.end(), other.node_->entries.begin(),
                 [](const auto& a, const auto& b) { return a.first == b.first && a.second.same_signature(b.second); });
  if (same) {
    static std::atomic<std::uint64_t> last{0};
    const std::uint64_t known = mine == 0 || theirs == 0 ? std::max(mine, theirs) : std::min(mine, theirs);
    const std::uint64_t common = known != 0 ? known : ++last;
    node_->signature.store(common, std::memory_order_relaxed);
    other.node_->signature.store(common, std::memory_order_relaxed);
  }
  return same;
}

bool identical(const Tree& a, const Tree& b) { return !tree::difference(a, b).has_value(); }

namespace {

void compare(const Tree& a, const Tree& b, const std::string& path, bool values, std::string& report) {
  const auto line = [&](const std::string& at, std::string_view text) {
    report += fmt::format("{}{}: {}", report.empty() ? "" : "\n", at.empty() ? "the root" : at, text);
  };
  if (a.is_leaf() && b.is_leaf()) {
    const Array& left = a.array();
    const Array& right = b.array();
    if (left.dtype() != right.dtype() || !(left.shape() == right.shape())) {
      line(path, fmt::format("{} against {}", describe(left), describe(right)));
    } else if (values && !identical(left, right)) {
      line(path, fmt::format("{} with other values", describe(left)));
    }
    return;
  }
  if (a.is_leaf() || b.is_leaf()) {
    line(path, fmt::format("{} against {}", describe_node(a), describe_node(b)));
    return;
  }
  for (const auto& [key, child] : a.entries()) {
    const auto other = b.entries().find(key);  // one key, slashes or not
    if (other == b.entries().end()) {
      line(detail::join_path(path, key), "only in the first");
    } else {
      compare(child, other->second, detail::join_path(path, key), values, report);
    }
  }
  for (const auto& [key, child] : b.entries()) {
    if (!a.entries().contains(key)) line(detail::join_path(path, key), "only in the second");
  }
}

}  // namespace

std::optional<std::string> tree::difference(const Tree& a, const Tree& b, bool values) {
  std::string report;
  compare(a, b, "", values, report);
  if (report.empty()) return std::nullopt;
  return report;
}

}  // namespace linseed
