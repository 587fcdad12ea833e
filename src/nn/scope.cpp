#include <linseed/nn/scope.hpp>

#include <algorithm>
#include <exception>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>

#include "nn/sha1.hpp"

namespace linseed::nn {

namespace detail {

struct ScopeNode {
  ScopeNode* parent = nullptr;
  std::string name = {};
  std::string path = {};
  std::map<std::string, int, std::less<>> type_counters = {};    // for automatic names
  std::set<std::string, std::less<>> children_named = {};        // submodules in this call
  std::set<std::pair<std::string, std::string>> variables = {};  // (collection, name) in this call
  std::map<std::string, std::int64_t, std::less<>> rng_counters = {};
  std::map<std::string, std::unique_ptr<ScopeNode>, std::less<>> children = {};
};

struct ScopeRoot {
  Tree variables;
  Rngs rngs;
  Mutable filter;
  bool initializing;
  CallObserver* observer;
  ScopeNode node = {};
  std::string failed_at = {};

  Scope open(const std::type_info& module, std::string_view type_name) {
    return Scope(this, &node, &module, type_name);
  }
};

Call::Call(Tree variables, Rngs rngs, Mutable filter, bool initializing, CallObserver* observer)
    : root_(new ScopeRoot{std::move(variables), std::move(rngs), std::move(filter), initializing, observer}) {
  const Tree& given = root_->variables;
  if (given.is_leaf())
    throw StructureError("apply", "The variables must be a tree of collections.", {.got = describe(given.array())});
  for (const auto& [collection, content] : given.entries()) {
    if (content.is_leaf()) {
      throw StructureError("apply", fmt::format("The collection \"{}\" must be a tree.", collection),
                           {.got = describe(content.array()), .expected = R"({{"params", params}, ...})"});
    }
    if (content.contains(collection) && !content[collection].is_leaf()) {
      throw StructureError(
          "apply", fmt::format("The collection \"{0}\" holds itself: {0}/{0}.", collection),
          {.hint = fmt::format("pass variables[\"{0}\"] as {{\"{0}\", ...}}, not the whole tree", collection)});
    }
  }
}

Call::~Call() = default;

Scope Call::root(const std::type_info& module, std::string_view type_name) { return root_->open(module, type_name); }

Tree Call::mutable_collections() const {
  Tree result;
  for (const auto& [collection, content] : root_->variables.entries()) {
    if (root_->filter.contains(collection)) result = result.set(collection, content);
  }
  return result;
}

const std::string& Call::failed_at() const noexcept { return root_->failed_at; }

}  // namespace detail

using detail::ScopeNode;

bool Mutable::contains(std::string_view collection) const {
  return (std::find(names_.begin(), names_.end(), collection) != names_.end()) != complement_;
}

Mutable Mutable::capturing(CaptureFilter filter) const {
  Mutable result = *this;
  if (!result.contains("intermediates")) {
    if (complement_) {
      std::erase(result.names_, "intermediates");
    } else {
      result.names_.emplace_back("intermediates");
    }
  }
  result.capture_ = std::move(filter);
  return result;
}

Mutable capture_intermediates(CaptureFilter filter, std::vector<std::string> mutable_collections) {
  if (!filter) filter = [](const ModuleCall& call) { return call.method == "__call__"; };
  return Mutable(std::move(mutable_collections)).capturing(std::move(filter));
}

// ---- variables ----

namespace {

// A variable's name is one key, which may hold a '/' (WeightNorm's "Dense_0/kernel/scale"); a module's path is many.

const Tree* find_variable(const Tree& variables, const ScopeNode& owner, std::string_view collection,
                          std::string_view name) {
  const Tree* here = variables.find(linseed::detail::join_path(collection, owner.path));
  if (here == nullptr || here->is_leaf()) return nullptr;
  const auto found = here->entries().find(name);
  return found == here->entries().end() ? nullptr : &found->second;
}

void set_variable(Tree& variables, const ScopeNode& owner, std::string_view collection, std::string_view name,
                  Tree value) {
  const std::string place = linseed::detail::join_path(collection, owner.path);
  const Tree* here = variables.find(place);
  Tree::Dict entries = here == nullptr ? Tree::Dict() : here->entries();
  entries.insert_or_assign(std::string(name), std::move(value));
  variables = variables.set(place, Tree(std::move(entries)));
}

}  // namespace

const Array& Variable::value() const { return find_variable(root_->variables, *owner_, collection_, name_)->array(); }

void Variable::set(Array value) const {
  if (!root_->filter.contains(collection_)) {
    throw ImmutableCollectionError(
        "apply", fmt::format("Cannot update \"{}\": the collection \"{}\" is immutable.", name_, collection_),
        {.at = owner_->path,
         .hint = fmt::format(
             "pass nn::mutable_({{\"{}\"}}) and keep the updates that apply returns, or run the module in a mode that "
             "does not update (use_running_average = true for BatchNorm)",
             collection_)});
  }
  set_variable(root_->variables, *owner_, collection_, name_, std::move(value));
}

namespace {

[[noreturn]] void throw_missing(const Tree& variables, const ScopeNode& owner, std::string_view collection,
                                std::string_view name) {
  const std::string at = owner.path.empty() ? "the root module" : owner.path;
  if (variables.find(collection) == nullptr || variables[collection].empty()) {
    throw MissingVariableError(
        "apply", fmt::format("Cannot read \"{}\": the collection \"{}\" is empty.", name, collection),
        {.at = at,
         .got = variables.empty() ? "no collections" : fmt::format("collections {}", fmt::join(variables.keys(), ", ")),
         .expected = std::string(collection),
         .hint = fmt::format("pass {{\"{}\", ...}} among the variables", collection)});
  }
  const Tree* here = variables.find(linseed::detail::join_path(collection, owner.path));
  const bool is_dictionary = here != nullptr && !here->is_leaf();
  throw MissingVariableError(
      "apply", fmt::format("There is no \"{}\" in the collection \"{}\".", name, collection),
      {.at = at,
       .got = is_dictionary ? fmt::format("{}", fmt::join(here->keys(), ", ")) : "nothing under this module",
       .expected = std::string(name),
       .hint = "are these the variables of this model? Names follow the order in which submodules are called"});
}

void reserve_variable(ScopeNode& node, std::string_view collection, std::string_view name) {
  const bool fresh = node.variables.emplace(collection, name).second;
  if (!fresh || node.children_named.contains(name)) {
    throw NameInUseError("Scope", fmt::format("The name \"{}\" is in use.", name),
                         {.at = node.path, .hint = "every variable and submodule of a module needs a name of its own"});
  }
}

}  // namespace

// ---- scopes ----

Scope::Scope(detail::ScopeRoot* root, ScopeNode* node, const std::type_info* pending, std::string_view type_name)
    : root_(root), node_(node), pending_(pending), type_name_(type_name), exceptions_(std::uncaught_exceptions()) {
  if (root_->observer != nullptr) root_->observer->enter(node_->path);
}

Scope::Scope(Scope& outer, std::string_view type_name)
    : root_(outer.root_),
      node_(outer.node_),
      pending_(nullptr),
      outer_(&outer),
      type_name_(type_name),
      exceptions_(std::uncaught_exceptions()) {
  outer.pending_ = nullptr;
  if (outer.type_name_.empty()) outer.type_name_ = type_name;
}

Scope::~Scope() {
  const bool unwinding = std::uncaught_exceptions() > exceptions_;
  if (unwinding && root_->failed_at.empty()) root_->failed_at = node_->path;
  if (outer_ == nullptr && root_->observer != nullptr) root_->observer->leave(type_name_);
}

bool Scope::reports_output() const noexcept {
  return (root_->observer != nullptr || root_->filter.is_capturing()) && !reported_ &&
         (outer_ == nullptr || !outer_->reported_);
}

void Scope::report_output(std::string_view method, pytree::View value) {
  reported_ = true;
  if (outer_ != nullptr) outer_->reported_ = true;
  const ModuleCall call{.path = node_->path, .module = type_name_, .method = method};
  if (root_->observer != nullptr) root_->observer->output(call, value);
  if (root_->filter.captures(call)) sow("intermediates", method, pytree::to_tree(value));
}

ScopeNode* Scope::reserve_child(std::string_view type_name, std::string_view name) {
  std::string chosen(name);
  if (chosen.empty()) {
    int& counter = node_->type_counters.try_emplace(std::string(type_name), 0).first->second;
    chosen = fmt::format("{}_{}", type_name, counter++);
  }
  const bool clashes =
      std::any_of(node_->variables.begin(), node_->variables.end(), [&](const auto& v) { return v.second == chosen; });
  if (!node_->children_named.insert(chosen).second || clashes) {
    throw NameInUseError(
        "Scope", fmt::format("The name \"{}\" is in use.", chosen),
        {.at = node_->path,
         .hint = "to call one submodule several times with the same parameters, make it with scope.share"});
  }
  std::unique_ptr<ScopeNode>& child = node_->children[chosen];
  if (!child) {
    child = std::make_unique<ScopeNode>();
    child->parent = node_;
    child->name = chosen;
    child->path = linseed::detail::join_path(node_->path, chosen);
  }
  return child.get();
}

void Scope::reopen(ScopeNode* node) {
  node->type_counters.clear();
  node->children_named.clear();
  node->variables.clear();
}

Scope Scope::enter_as(const std::type_info& type, std::string_view type_name, std::string_view name) {
  if (pending_ != nullptr && *pending_ == type) {
    return Scope(*this, type_name);
  }
  ScopeNode* node = reserve_child(type_name, name);
  reopen(node);
  return Scope(root_, node, nullptr, type_name);
}

Scope Scope::child(std::string_view name, const std::type_info& module, std::string_view type_name) {
  ScopeNode* node = reserve_child({}, name);
  reopen(node);
  return Scope(root_, node, &module, type_name);
}

Array Scope::param(std::string_view name, const Initializer& init, const Shape& shape, DType dtype) {
  reserve_variable(*node_, "params", name);
  if (const Tree* existing = find_variable(root_->variables, *node_, "params", name)) {
    const Array& value = existing->array();
    if (!(value.shape() == shape)) {
      throw ParamShapeError(
          "apply", fmt::format("The parameter \"{}\" has the wrong shape.", name),
          {.at = linseed::detail::join_path(node_->path, name),
           .got = to_string(value.shape()),
           .expected = fmt::format("{}, from the module's settings and its input", to_string(shape))});
    }
    return value;
  }
  if (!root_->filter.contains("params")) throw_missing(root_->variables, *node_, "params", name);
  Array value = init(make_rng("params"), shape, dtype);
  set_variable(root_->variables, *node_, "params", name, value);
  return value;
}

Variable Scope::variable(std::string_view collection, std::string_view name, const std::function<Array()>& init) {
  reserve_variable(*node_, collection, name);
  if (find_variable(root_->variables, *node_, collection, name) == nullptr) {
    if (!root_->filter.contains(collection)) throw_missing(root_->variables, *node_, collection, name);
    set_variable(root_->variables, *node_, collection, name, init());
  }
  return Variable(root_, node_, std::string(collection), std::string(name));
}

bool Scope::has_variable(std::string_view collection, std::string_view name) const {
  return find_variable(root_->variables, *node_, collection, name) != nullptr;
}

bool Scope::sow(std::string_view collection, std::string_view name, const Tree& value,
                const std::function<Tree(const Tree&, const Tree&)>& reduce, const Tree& initial) {
  if (!root_->filter.contains(collection)) return false;
  const Tree* existing = find_variable(root_->variables, *node_, collection, name);
  if (existing == nullptr) reserve_variable(*node_, collection, name);
  set_variable(root_->variables, *node_, collection, name, reduce(existing == nullptr ? initial : *existing, value));
  return true;
}

bool Scope::sow(std::string_view collection, std::string_view name, Tree value) {
  const auto append = [&](const Tree& values, const Tree& next) {
    if (values.is_leaf()) {
      throw StructureError("sow", fmt::format("\"{}\" is a single Array, to which nothing can be appended.", name),
                           {.at = linseed::detail::join_path(node_->path, name),
                            .got = describe(values.array()),
                            .hint = "pass a function that joins both, or sow under another name"});
    }
    Tree::Dict entries = values.entries();
    entries.insert_or_assign(std::to_string(entries.size()), next);
    return Tree(std::move(entries));
  };
  return sow(collection, name, value, append, {});
}

Array Scope::perturb(std::string_view name, const Array& value, std::string_view collection) {
  if (is_mutable(collection) && !has_variable(collection, name)) {
    reserve_variable(*node_, collection, name);
    set_variable(root_->variables, *node_, collection, name, zeros_like(value));
  }
  if (!root_->variables.contains(collection)) return value;
  const Tree* stored = find_variable(root_->variables, *node_, collection, name);
  if (stored == nullptr) throw_missing(root_->variables, *node_, collection, name);
  return value + stored->array();
}

std::string Scope::node_name(const ScopeNode* node) { return node->name; }

Tree Scope::variables_of(const detail::ScopeRoot* root, const ScopeNode* node) {
  Tree result;
  for (const auto& [collection, content] : root->variables.entries()) {
    if (const Tree* own = content.find(node->path)) result = result.set(collection, *own);
  }
  return result;
}

void Scope::set_variables(detail::ScopeRoot* root, const ScopeNode* node, const Tree& collections) {
  for (const auto& [collection, content] : collections.entries())
    root->variables = root->variables.set(linseed::detail::join_path(collection, node->path), content);
}

Array Scope::make_rng(std::string_view stream) {
  const Tree& streams = root_->rngs.streams;
  const std::string name(streams.contains(stream) ? stream : "params");
  if (!streams.contains(name)) {
    throw MissingRngError("apply", fmt::format("A key of the stream \"{}\" is needed.", stream),
                          {.at = node_->path, .hint = fmt::format("pass nn::rngs({{{{\"{}\", key}}}})", stream)});
  }
  const std::int64_t count = ++node_->rng_counters.try_emplace(name, 0).first->second;
  // flax.core.scope: the key of the stream, folded with a hash of the names on the path and the counter.
  std::string message;
  for (const char c : node_->path) {
    if (c != '/') message += c;
  }
  int bytes = 1;
  while (count >> (8 * bytes) != 0) ++bytes;
  for (int i = bytes - 1; i >= 0; --i) message += static_cast<char>(count >> (8 * i) & 0xff);
  return random::fold_in(streams[name], Array(static_cast<std::int64_t>(detail::sha1_prefix(message)), DType::uint32));
}

bool Scope::has_rng(std::string_view stream) const { return root_->rngs.streams.contains(stream); }
bool Scope::is_initializing() const noexcept { return root_->initializing; }
bool Scope::is_mutable(std::string_view collection) const { return root_->filter.contains(collection); }
std::string Scope::path() const { return node_->path; }

}  // namespace linseed::nn
