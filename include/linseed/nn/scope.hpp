#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include <linseed/core/array.hpp>
#include <linseed/core/error.hpp>
#include <linseed/core/reflect.hpp>
#include <linseed/nn/initializers.hpp>
#include <linseed/tree/pytree.hpp>
#include <linseed/tree/tree.hpp>

namespace linseed::nn {

/// A variable that a module reads is not there.
struct MissingVariableError : Error {
  using Error::Error;
};
/// A module writes to a collection that `apply` was not told to return.
struct ImmutableCollectionError : Error {
  using Error::Error;
};
/// Two things of one name in one module.
struct NameInUseError : Error {
  using Error::Error;
};
/// A parameter of another shape than the module would make.
struct ParamShapeError : ShapeError {
  using ShapeError::ShapeError;
};
/// A module draws from a stream of keys that was not passed.
struct MissingRngError : Error {
  using Error::Error;
};

/// A call of a module, as filters and observers see it.
struct ModuleCall {
  std::string_view path;                 ///< "Encoder_0/Dense_1"; empty at the root
  std::string_view module;               ///< the name of its type
  std::string_view method = "__call__";  ///< Flax's name of the call operator, or that of another method
};

/// Which calls to capture.
using CaptureFilter = std::function<bool(const ModuleCall&)>;

/// Is told of the calls of modules during one `init` or `apply`.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void enter(std::string_view /*path*/) {}
  /// What the call entered last and not left yet gives; only for modules that say so, see Scope::output.
  virtual void output(const ModuleCall& /*call*/, pytree::View /*value*/) {}
  virtual void leave(std::string_view /*module*/) {}
};

/// Which collections a call of `apply` may change and gives back, and which intermediate values it keeps.
class Mutable {
 public:
  /// All of them, or none.
  explicit Mutable(bool all) : complement_(all) {}
  explicit Mutable(std::vector<std::string> collections) : names_(std::move(collections)) {}
  /// All but these.
  [[nodiscard]] static Mutable all_except(std::vector<std::string> collections) {
    Mutable result(std::move(collections));
    result.complement_ = true;
    return result;
  }
  /// The same with "intermediates", in which the outputs of modules are kept.
  [[nodiscard]] Mutable capturing(CaptureFilter filter) const;

  [[nodiscard]] bool contains(std::string_view collection) const;
  [[nodiscard]] bool is_capturing() const noexcept { return static_cast<bool>(capture_); }
  [[nodiscard]] bool captures(const ModuleCall& call) const { return capture_ && capture_(call); }

 private:
  std::vector<std::string> names_;
  bool complement_ = false;
  CaptureFilter capture_ = {};
};

/// `nn::apply(model, variables, nn::mutable_({"batch_stats"}), x)`
[[nodiscard]] inline Mutable mutable_(std::initializer_list<std::string> collections) {
  return Mutable(std::vector<std::string>(collections));
}
[[nodiscard]] inline Mutable mutable_(bool all) { return Mutable(all); }

/// For apply: keeps what each module gives, as Flax's `capture_intermediates=True` does: in the collection
/// "intermediates", below the module's path, a tuple (a dictionary "0", "1", ... with an entry per call) named
/// "__call__". `filter` chooses among calls, and among other methods; `mutable_collections` are given back as well.
///
///     auto [y, updates] = nn::apply(model, variables, nn::capture_intermediates(), x);
///     updates.at("intermediates/Dense_0/__call__/0")
///
/// A module of yours that enters a scope takes part when it returns through Scope::output; the layers of linseed, the
/// root and what is called by nn::named or Scope::share do so by themselves.
[[nodiscard]] Mutable capture_intermediates(CaptureFilter filter = {},
                                            std::vector<std::string> mutable_collections = {});

/// Keys by stream: `nn::rngs({{"dropout", key}})`.
struct Rngs {
  Tree streams;
};
[[nodiscard]] inline Rngs rngs(std::initializer_list<std::pair<const std::string, Tree>> streams) {
  return {Tree(streams)};
}

namespace detail {

struct ScopeNode;
struct ScopeRoot;

/// What holds a module of any type, and answers for it: Model.
template <class M>
concept ErasedModule = requires(const M& module) {
  { module.type() } -> std::same_as<const std::type_info&>;
  { module.name() } -> std::same_as<std::string_view>;
  { module.given_name() } -> std::same_as<std::string_view>;
};

/// The name of a module's type; what a template says of itself (`class_name`), where it does.
template <class Module>
constexpr std::string_view class_name() {
  if constexpr (requires { std::string_view(Module::class_name); }) {
    return Module::class_name;
  } else {
    return reflect::type_name<Module>();
  }
}

/// The type of a module, and its name: of the module inside, when the type is erased.
template <class Module>
const std::type_info& dynamic_type(const Module& module) {
  if constexpr (ErasedModule<Module>) {
    return module.type();
  } else {
    return typeid(Module);
  }
}
template <class Module>
std::string_view dynamic_name(const Module& module) {
  if constexpr (ErasedModule<Module>) {
    return module.name();
  } else {
    return class_name<Module>();
  }
}

}  // namespace detail

class Scope;

/// A variable of some collection, seen from the module that owns it.
class Variable {
 public:
  [[nodiscard]] const Array& value() const;
  /// Replaces the value in what `apply` returns. Throws ImmutableCollectionError when the collection is not mutable.
  void set(Array value) const;

 private:
  friend class Scope;
  Variable(detail::ScopeRoot* root, detail::ScopeNode* owner, std::string collection, std::string name)
      : root_(root), owner_(owner), collection_(std::move(collection)), name_(std::move(name)) {}

  detail::ScopeRoot* root_;
  detail::ScopeNode* owner_;
  std::string collection_, name_;
};

/// A submodule that may be called several times with the same parameters. Made by Scope::share.
template <class Module>
class Shared;

/// A cursor into the variables during one `init` or `apply` (flax.core.Scope). A module gets its caller's scope and, to
/// have variables under a name of its own, enters it first:
///
///     struct Block {
///       int features;
///       std::string name = {};                                  // optional; "Block_0", "Block_1", ... without
///       Array operator()(nn::Scope& parent, const Array& x) const {
///         nn::Scope scope = parent.enter(*this);
///         return nn::relu(nn::Dense{.features = features}(scope, x));
///       }
///     };
///
/// The module that `init` and `apply` are called with lives at the root: entering it changes nothing. Names count
/// calls, and C++ leaves open which operand of an expression is evaluated first: call one submodule per statement. A
/// scope is valid only during the call that made it.
class Scope {
 public:
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope();

  /// The scope of a module called here. Names follow Flax: the module's `name` if it has that field and it is not
  /// empty, else its type's name and a counter. Throws NameInUseError.
  template <class Module>
  [[nodiscard]] Scope enter(const Module& module) {
    return enter_as(typeid(Module), detail::class_name<Module>(), name_of(module));
  }
  /// The scope of a child with this name, opened for a module of the given type. Throws NameInUseError.
  [[nodiscard]] Scope child(std::string_view name, const std::type_info& module = typeid(void),
                            std::string_view type_name = {});

  /// Names a submodule here, by `name` or else as enter() does; every call of what this returns uses the same
  /// parameters.
  template <class Module>
  [[nodiscard]] Shared<Module> share(Module module, std::string_view name = {});

  /// The parameter `name` of this module: made by `init(key, shape, dtype)` during nn::init, read and checked during
  /// apply. Throws MissingVariableError or ParamShapeError.
  [[nodiscard]] Array param(std::string_view name, const Initializer& init, const Shape& shape,
                            DType dtype = DType::float32);

  /// The variable `name` of any collection, made by `init()` when it does not exist and the collection is mutable.
  /// Throws MissingVariableError.
  [[nodiscard]] Variable variable(std::string_view collection, std::string_view name,
                                  const std::function<Array()>& init);
  [[nodiscard]] bool has_variable(std::string_view collection, std::string_view name) const;

  /// Keeps a value that nothing in the model needs, for whoever asks `apply` for the collection
  /// (flax.linen.Module.sow): the values that a module sows under one name, call after call, become the entries "0",
  /// "1", ... of a dictionary, behind those that `apply` was given; Flax has a tuple there, and saves it so. Does
  /// nothing and returns false where the collection is not mutable, as "intermediates" is not in nn::init. Throws
  /// NameInUseError when a submodule has the name, StructureError when the entry is a single Array.
  bool sow(std::string_view collection, std::string_view name, Tree value);
  /// The same, keeping reduce(what is there, value); at first `initial` is there.
  bool sow(std::string_view collection, std::string_view name, const Tree& value,
           const std::function<Tree(const Tree&, const Tree&)>& reduce, const Tree& initial);

  /// Adds a variable of zeros to `value` (flax.linen.Module.perturb), made when the collection is mutable and has none:
  /// the gradient by it is the gradient by `value`. Gives `value` when the collection is not among the variables.
  /// Throws MissingVariableError when it is, without this variable.
  [[nodiscard]] Array perturb(std::string_view name, const Array& value, std::string_view collection = "perturbations");

  /// A fresh key of a stream, derived from the module's path and a counter exactly as Flax does. Streams that were not
  /// passed fall back to "params"; throws MissingRngError when that is missing too.
  [[nodiscard]] Array make_rng(std::string_view stream = "params");
  [[nodiscard]] bool has_rng(std::string_view stream) const;

  /// Says what this module gives, for nn::capture_intermediates and inspect, and gives it back:
  ///
  ///     return scope.output(nn::relu(y));
  ///
  /// The first call counts. `method` is the name of a method other than the call operator.
  template <class T>
  [[nodiscard]] T output(T value, std::string_view method = "__call__") {
    if (reports_output()) report_output(method, pytree::View::of(value));
    return value;
  }

  [[nodiscard]] bool is_initializing() const noexcept;
  [[nodiscard]] bool is_mutable(std::string_view collection) const;
  /// "Encoder_0/Dense_1"; empty at the root.
  [[nodiscard]] std::string path() const;

  /// True while the module of this type was not entered yet in the scope that was opened for it.
  template <class Module>
  [[nodiscard]] bool is_for(const Module&) const noexcept {
    return pending_ != nullptr && *pending_ == typeid(Module);
  }

 private:
  template <class Module>
  friend class Shared;
  friend struct detail::ScopeRoot;

  Scope(detail::ScopeRoot* root, detail::ScopeNode* node, const std::type_info* pending, std::string_view type_name);
  /// The same module, entered: its caller had opened `outer` for it.
  Scope(Scope& outer, std::string_view type_name);

  [[nodiscard]] bool reports_output() const noexcept;
  void report_output(std::string_view method, pytree::View value);

  template <class Module>
  static std::string_view name_of(const Module& module) {
    if constexpr (detail::ErasedModule<Module>) {
      return module.given_name();
    } else if constexpr (requires { std::string_view(module.name); }) {
      return module.name;
    } else {
      return {};
    }
  }
  Scope enter_as(const std::type_info& type, std::string_view type_name, std::string_view name);
  detail::ScopeNode* reserve_child(std::string_view type_name, std::string_view name);
  /// Opens a node anew: names may be given again, counters of keys go on.
  static void reopen(detail::ScopeNode* node);
  static std::string node_name(const detail::ScopeNode* node);
  static Tree variables_of(const detail::ScopeRoot* root, const detail::ScopeNode* node);
  static void set_variables(detail::ScopeRoot* root, const detail::ScopeNode* node, const Tree& collections);

  detail::ScopeRoot* root_;
  detail::ScopeNode* node_;
  const std::type_info* pending_;  ///< the module for which this scope was opened, until it enters
  Scope* outer_ = nullptr;         ///< the scope that was opened for the same call
  std::string_view type_name_;
  bool reported_ = false;  ///< its output is known
  int exceptions_;
};

template <class Module>
class Shared {
 public:
  template <class... Args>
  auto operator()(const Args&... args) const {
    Scope::reopen(node_);
    Scope scope(root_, node_, &detail::dynamic_type(module_), detail::dynamic_name(module_));
    return scope.output(module_(scope, args...));
  }

  /// Another method of the module, under the same parameters: `embed.call(&nn::Embed::attend, x)`.
  template <class Method, class... Args>
  auto call(Method method, const Args&... args) const {
    Scope::reopen(node_);
    Scope scope(root_, node_, &detail::dynamic_type(module_), detail::dynamic_name(module_));
    return (module_.*method)(scope, args...);
  }

  /// The name under which the module that shares it knows it.
  [[nodiscard]] std::string name() const { return Scope::node_name(node_); }
  /// The submodule's variables as they are now, {collection: {...}}; an empty Tree before the first call of nn::init.
  [[nodiscard]] Tree variables() const { return Scope::variables_of(root_, node_); }
  /// Puts others in place of whole collections of it, which later calls see; nn::init and an apply to which the
  /// collection is mutable give them back (flax.linen.map_variables).
  void set_variables(const Tree& collections) const { Scope::set_variables(root_, node_, collections); }

 private:
  friend class Scope;
  Shared(Module module, detail::ScopeRoot* root, detail::ScopeNode* node)
      : module_(std::move(module)), root_(root), node_(node) {}

  Module module_;
  detail::ScopeRoot* root_;
  detail::ScopeNode* node_;
};

template <class Module>
Shared<Module> Scope::share(Module module, std::string_view name) {
  detail::ScopeNode* node = reserve_child(detail::dynamic_name(module), name.empty() ? name_of(module) : name);
  return Shared<Module>(std::move(module), root_, node);
}

/// Any module, function or lambda under a name: `nn::named("encoder", Encoder{})(scope, x)`.
template <class Module>
[[nodiscard]] auto named(std::string name, Module module) {
  return [name = std::move(name), module = std::move(module)](Scope& parent, const auto&... args) {
    Scope scope = parent.child(name, typeid(Module), reflect::type_name<Module>());
    return scope.output(module(scope, args...));
  };
}

namespace detail {

/// One `init` or `apply` under way.
class Call {
 public:
  Call(Tree variables, Rngs rngs, Mutable filter, bool initializing, CallObserver* observer = nullptr);
  ~Call();
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  /// The scope at the root, opened for a module of this type.
  [[nodiscard]] Scope root(const std::type_info& module, std::string_view type_name);
  /// The collections that the call may change, as they are now.
  [[nodiscard]] Tree mutable_collections() const;
  /// Where the exception now in flight left the innermost module.
  [[nodiscard]] const std::string& failed_at() const noexcept;

 private:
  std::unique_ptr<ScopeRoot> root_;
};

}  // namespace detail

}  // namespace linseed::nn
