#include <linseed/transform/jit.hpp>

#include <atomic>
#include <thread>

#include <doctest/doctest.h>

#include <linseed/nn/layers.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>
#include <linseed/train/train_state.hpp>
#include <linseed/transform/grad.hpp>

#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

float number(const Array& x) { return x.item<float>(); }

struct State {
  Array w, step;
};
struct Batch {
  Array image, label;
};

}  // namespace

TEST_CASE("a compiled function computes what the function does, and runs it once") {
  int runs = 0;
  const auto f = jit([&](const Array& x, const Array& y) {
    ++runs;
    return sum(square(x) * y, 0);
  });
  const Array x{{1.0, 2.0}, {3.0, 4.0}}, y{10.0, 20.0};
  const Array expected = sum(square(x) * y, 0);
  CHECK(identical(f(x, y), expected));
  CHECK(identical(f(x, y), expected));
  CHECK(identical(f(x + 1, y), sum(square(x + 1) * y, 0)));
  CHECK(runs == 1);
  CHECK(f.trace_count() == 1);
  const auto copy = f;  // shares the cache
  CHECK(identical(copy(x, y), expected));
  CHECK(runs == 1);
}

TEST_CASE("shapes, dtypes, structure and static values make another program each") {
  const auto f =
      jit([](const Tree& tree, const std::vector<Array>& list, const std::optional<Array>& maybe, int k, bool flag) {
        Array total = flag ? Array(1.0) : Array(2.0);
        for (const Array& leaf : tree.leaves()) total = total + sum(leaf) * k;
        for (const Array& element : list) total = total + sum(element);
        return maybe ? total + *maybe : total;
      });
  const Tree tree = {{"a", Array{1.0, 2.0}}};
  const std::vector<Array> list = {Array(1.0)};
  std::size_t traces = 0;
  const auto traced_anew = [&](const Tree& t, const std::vector<Array>& l, const std::optional<Array>& m, int k,
                               bool flag) {
    (void)f(t, l, m, k, flag);
    return f.trace_count() != std::exchange(traces, f.trace_count());
  };
  CHECK(traced_anew(tree, list, {}, 1, true));
  CHECK(!traced_anew(tree, list, {}, 1, true));
  CHECK(!traced_anew(Tree{{"a", Array{7.0, 8.0}}}, {Array(3.0)}, {}, 1, true));  // other values
  CHECK(traced_anew(Tree{{"a", Array{1.0, 2.0, 3.0}}}, list, {}, 1, true));
  CHECK(f.retrace_reasons() == std::vector<std::string>{"argument 0/a: float32[2] -> float32[3]"});
  CHECK(traced_anew(Tree{{"a", Array({1.0, 2.0}, float64)}}, list, {}, 1, true));
  CHECK(f.retrace_reasons() == std::vector<std::string>{"argument 0/a: float32[3] -> float64[2]"});
  CHECK(traced_anew(Tree{{"b", Array{1.0, 2.0}}}, list, {}, 1, true));
  CHECK(f.retrace_reasons() ==
        std::vector<std::string>{"argument 0/a: present -> absent", "argument 0/b: absent -> present"});
  CHECK(traced_anew(Tree{{"b", {{"c", Array{1.0, 2.0}}}}}, list, {}, 1, true));
  CHECK(f.retrace_reasons() == std::vector<std::string>{"argument 0/b: an Array -> a dictionary"});
  CHECK(traced_anew(Tree{{"b", {{"c", Array{1.0, 2.0}}}}}, {Array(1.0), Array(2.0)}, {}, 1, true));
  CHECK(f.retrace_reasons() == std::vector<std::string>{"argument 1: 1 -> 2 elements"});
  CHECK(traced_anew(Tree{{"b", {{"c", Array{1.0, 2.0}}}}}, {Array(1.0), Array(2.0)}, Array(1.0), 1, true));
  CHECK(f.retrace_reasons() == std::vector<std::string>{"argument 2: absent -> present"});
  CHECK(traced_anew(Tree{{"b", {{"c", Array{1.0, 2.0}}}}}, {Array(1.0), Array(2.0)}, Array(1.0), 2, false));
  CHECK(f.retrace_reasons() ==
        std::vector<std::string>{"argument 3: a static value changed", "argument 4: a static value changed"});
  // Everything that was seen before is still there.
  CHECK(!traced_anew(tree, list, {}, 1, true));
  CHECK(traces == 8);
  // Static values do reach the function.
  CHECK(number(f(tree, list, std::optional<Array>(), 2, true)) == 8.0F);
  CHECK(number(f(tree, list, std::optional<Array>(), 3, false)) == 12.0F);
}

TEST_CASE("a struct's static fields are part of the signature, by value") {
  struct Settings {
    Array x;
    double scale = 1.0;
    nn::Model model = nn::Dense{.features = 1};
  };
  const auto f = jit([](const Settings& s) { return s.x * s.scale; });
  CHECK(number(f(Settings{.x = Array(2.0)})) == 2.0F);
  CHECK(number(f(Settings{.x = Array(3.0), .model = nn::Dense{.features = 1}})) == 3.0F);
  CHECK(f.trace_count() == 1);
  CHECK(number(f(Settings{.x = Array(2.0), .scale = 5.0})) == 10.0F);
  CHECK(f.trace_count() == 2);
  CHECK(f.retrace_reasons() == std::vector<std::string>{"settings/scale: a static value changed"});
  CHECK(number(f(Settings{.x = Array(2.0), .scale = 5.0, .model = nn::Dense{.features = 2}})) == 10.0F);
  CHECK(f.retrace_reasons() == std::vector<std::string>{"settings/model: a static value changed"});
}

TEST_CASE("a struct that comes back keeps its static fields, whether it was moved in or not") {
  struct Named {
    std::string name;
    Array x;
    Tree tree;
    std::vector<int> sizes;
  };
  const auto named = [](double value) {
    return Named{.name = "a name of more than sixteen letters",
                 .x = Array(value),
                 .tree = {{"a", Array(1.0)}, {"b", Array(2.0)}},
                 .sizes = {1, 2, 3}};
  };
  const auto next = [](const Named& s) {
    return std::pair(Named{s.name, s.x + 1, {{"a", s.tree["a"] * 2}, {"b", s.tree["b"]}}, s.sizes}, s.x * 2);
  };
  for (const std::vector<std::string>& disabled : {std::vector<std::string>{}, {"all"}}) {
    const auto step = jit(next, {.disabled_passes = disabled});
    Named state = named(1.0);
    for (int call = 0; call < 6; ++call) {
      CAPTURE(call);
      const Tree held = call == 3 ? state.tree : Tree();  // then the Tree is not the state's alone
      auto [after, twice] = call % 2 == 0 ? step(std::move(state)) : step(state);
      CHECK(after.name == "a name of more than sixteen letters");
      CHECK(after.sizes == std::vector<int>{1, 2, 3});
      CHECK(number(after.x) == 2.0F + static_cast<float>(call));
      CHECK(number(after.tree["a"]) == static_cast<float>(2 << call));
      CHECK(number(after.tree["b"]) == 2.0F);
      CHECK(number(twice) == 2.0F * (1.0F + static_cast<float>(call)));
      state = std::move(after);
    }
    CHECK(step.trace_count() == 1);
  }
}

TEST_CASE("arguments may all be static, or none at all") {
  const auto filled = jit([](int rows, std::pair<std::string, double> value) {
    return full({rows}, value.first == "twice" ? 2 * value.second : value.second, float32);
  });
  CHECK(identical(filled(2, std::pair{std::string("once"), 1.5}), Array{1.5, 1.5}));
  CHECK(identical(filled(2, std::pair{std::string("twice"), 1.5}), Array{3.0, 3.0}));
  CHECK(identical(filled(2, std::pair{std::string("once"), 1.5}), Array{1.5, 1.5}));
  CHECK(filled.trace_count() == 2);
  CHECK(filled.retrace_reasons() == std::vector<std::string>{"argument 1/0: a static value changed"});
  const auto constant = jit([] { return Array(3.0); });
  CHECK(constant().item<float>() == 3.0F);
  CHECK(constant().item<float>() == 3.0F);
  CHECK(constant.trace_count() == 1);
}

TEST_CASE("a retrace names the argument as the type of a struct, and tells its listener") {
  std::vector<std::vector<std::string>> heard;
  const auto step =
      jit([](const State& s, const Batch& b) { return State{.w = s.w + sum(b.image), .step = s.step + 1}; },
          {.on_retrace = [&](const std::vector<std::string>& reasons) { heard.push_back(reasons); }});
  const State state{.w = Array(0.0), .step = Array(0)};
  (void)step(state, Batch{.image = zeros({256, 28, 28, 1}), .label = zeros({256}, int32)});
  CHECK(heard.empty());
  (void)step(state, Batch{.image = zeros({96, 28, 28, 1}), .label = zeros({96}, int32)});
  REQUIRE(heard.size() == 1);
  CHECK(heard[0] == std::vector<std::string>{"batch/image: float32[256,28,28,1] -> float32[96,28,28,1]",
                                             "batch/label: int32[256] -> int32[96]"});
  CHECK(step.retrace_reasons() == heard[0]);
}

TEST_CASE("a listener may forbid the retrace") {
  const auto f =
      jit([](const Array& x) { return x * 2; },
          {.on_retrace = [](const std::vector<std::string>& reasons) { throw std::runtime_error(reasons[0]); }});
  CHECK(number(f(Array(1.0))) == 2.0F);
  CHECK_THROWS_WITH_AS((void)f(zeros({2})), "argument 0: float32[] -> float32[2]", std::runtime_error);
  CHECK(f.trace_count() == 1);
  CHECK(number(f(Array(2.0))) == 4.0F);
}

// ---- the carry check ----

TEST_CASE("a state must come back as it went in") {
  const State state{.w = zeros({2}), .step = Array(0)};
  const std::string head =
      "[jit] The state comes out of the step with another structure, shape or dtype than it went in.\n  got:\n";
  const std::string hint =
      "\n  hint: a step must give back what it takes; .carry_check = false allows this one to differ";
  const auto broken = [](State s, const Array& x) {
    s.w = concatenate({s.w, s.w});
    s.step = s.step + 1.0;
    return std::pair{s, x};
  };
  CHECK(error_of<CarryError>([&] { return jit(broken)(state, Array(1.0)); }) ==
        head + "    state/w: float32[2] -> float32[4]\n    state/step: int32[] -> float32[]" + hint);
  CHECK_THROWS_AS((void)jit(broken)(state, Array(1.0)), StructureError);
  CHECK(jit(broken, {.carry_check = false})(state, Array(1.0)).first.w.shape() == Shape{4});
  CHECK(error_of<CarryError>([&] { return jit([](State s) { return State{.w = s.w, .step = s.w}; })(state); }) ==
        head + "    state/step: int32[] -> float32[2]" + hint);
  CHECK(error_of<CarryError>([&] {
          return jit([](State s) {
            s.w = ravel(expand_dims(s.w, 0) + expand_dims(s.w, 1));
            return std::tuple{s, 1};
          })(state);
        }) == head + "    state/w: float32[2] -> float32[4]" + hint);
}

TEST_CASE("the carry check looks into Trees and static fields") {
  const TrainState state = TrainState::create(nn::Dense{.features = 1}, {{"kernel", zeros({2, 1})}},
                                              {{"mean", zeros({3})}}, optim::sgd(0.1));
  const auto text = error_of<CarryError>([&] {
    return jit([](TrainState s) {
      s.batch_stats = Tree{{"mean", zeros({1, 3})}, {"var", zeros({3})}};
      s.model = nn::Dense{.features = 2};
      return s;
    })(state);
  });
  CHECK(text ==
        "[jit] The state comes out of the step with another structure, shape or dtype than it went in.\n"
        "  got:\n"
        "    train_state/batch_stats/mean: float32[3] -> float32[1,3]\n"
        "    train_state/batch_stats/var: absent -> present\n"
        "    train_state/model: a static value changed\n"
        "  hint: a step must give back what it takes; .carry_check = false allows this one to differ");
}

// ---- what jit refuses ----

TEST_CASE("control flow on traced values is a clear error") {
  const std::string hint =
      "\n  hint: inside jit only shapes and dtypes are known: use where instead of if, return what you want to print, "
      "or pass "
      "what decides the control flow as a plain argument";
  CHECK(error_of<TraceError>([&] { return jit([](const Array& x) { return sum(x) > 0 ? x : -x; })(zeros({2})); }) ==
        "[jit] The value of a traced Array was asked for.\n  got: bool[]" + hint);
  CHECK(error_of<TraceError>([&] { return jit([](const Array& x) { return x * x.item<float>(); })(Array(1.0)); }) ==
        "[jit] The value of a traced Array was asked for.\n  got: float32[]" + hint);
  CHECK(error_of<TraceError>([&] { return jit([](const Array& x) { return x * x.data<float>()[0]; })(zeros({2})); }) ==
        "[jit] The value of a traced Array was asked for.\n  got: float32[2]" + hint);
  CHECK(error_of<TraceError>([&] { return grad(jit([](const Array& x) { return x > 0 ? x : -x; }))(Array(1.0)); }) ==
        "[jit] The value of a traced Array was asked for.\n  got: bool[]" + hint);
  // Shapes are known, and printing shows them.
  std::string printed;
  (void)jit([&](const Array& x) {
    printed = to_string(x);
    CHECK(!x.has_value());
    return x.extent(0) == 2 ? x : -x;
  })(zeros({2}));
  CHECK(printed == "float32[2]");
}

TEST_CASE("a tracer that escapes says so") {
  Array escaped;
  const auto f = jit([&](const Array& x) {
    escaped = x * 2;
    return x;
  });
  (void)f(zeros({3}));
  CHECK(error_of<TraceError>([&] { return escaped + 1; }) ==
        "[jit] An Array escaped from the function that was being traced.\n"
        "  got: float32[3]\n"
        "  hint: return it from the function instead of storing it elsewhere");
  CHECK(error_of<TraceError>([&] { return jit([&](const Array& x) { return x + escaped; })(zeros({3})); }) ==
        "[jit] An Array escaped from the function that was being traced.\n"
        "  got: float32[3]\n"
        "  hint: return it from the function instead of storing it elsewhere");
  CHECK(escaped.shape() == Shape{3});
}

TEST_CASE("a throwing trace leaves no entry, and the next call works") {
  int calls = 0;
  const auto f = jit([&](const Array& x) {
    if (++calls == 1) throw std::runtime_error("once");
    return x * 2;
  });
  CHECK_THROWS_WITH_AS((void)f(Array(3.0)), "once", std::runtime_error);
  CHECK(f.trace_count() == 0);
  CHECK(error_of<ValueError>([&] { return f.program(); }) ==
        "[jit] The function has not been traced yet.\n  hint: call it first");
  CHECK(number(f(Array(3.0))) == 6.0F);
  CHECK(f.trace_count() == 1);
}

TEST_CASE("arguments that are moved in are consumed on success only") {
  const auto step = jit([](State s, const Array& x) {
    if (x.extent(0) == 3) throw std::runtime_error("three");
    return State{.w = s.w + sum(x), .step = s.step + 1};
  });
  State state{.w = Array(1.0), .step = Array(0)};
  CHECK_THROWS_AS((void)step(std::move(state), zeros({3})), std::runtime_error);
  REQUIRE(state.w.defined());
  CHECK(number(state.w) == 1.0F);
  state = step(std::move(state), ones({2}));
  CHECK(number(state.w) == 3.0F);
  const State next = step(std::move(state), ones({2}));
  CHECK(number(next.w) == 5.0F);
  CHECK(!state.w.defined());
  CHECK(error_of<ValueError>([&] { return state.w + 1; }) ==
        "[Array] An empty Array was used.\n"
        "  hint: it was default-constructed or moved from; a moved-in state must be replaced by the result");
  const State constant = next;
  (void)step(std::move(constant), ones({2}));  // NOLINT: a const object is never consumed
  CHECK(constant.w.defined());
}

// ---- composition ----

TEST_CASE("jit inside jit is inlined") {
  const auto inner = jit([](const Array& x) { return x * 2 + 1; });
  const auto outer = jit([&](const Array& x) { return inner(inner(x)); });
  CHECK(number(outer(Array(3.0))) == 15.0F);
  CHECK(outer.program().size() == 4);
  CHECK(outer.program().count("mul") == 2);
  CHECK(outer.program().count("add") == 2);
}

TEST_CASE("jit of a closure over an outer tracer is good for that call only") {
  const auto outer = [](const Array& x) {
    const auto inner = jit([&](const Array& y) { return x * y; });
    const Array product = inner(Array(5.0)) + inner(x);
    CHECK(inner.trace_count() == 0);
    return product;
  };
  CHECK(number(grad(outer)(Array(3.0))) == 11.0F);  // d/dx (5 x + x^2)
  CHECK(number(jit(outer)(Array(3.0))) == 24.0F);
  CHECK(number(jit(grad(outer))(Array(3.0))) == 11.0F);
}

TEST_CASE("one compiled function serves plain, differentiated and compiled callers") {
  const auto f = jit([](const Array& x) { return sum(x * x * x); });
  const Array x{1.0, 2.0};
  CHECK(number(f(x)) == 9.0F);
  CHECK(identical(grad(f)(x), Array{3.0, 12.0}));
  CHECK(number(jit([&](const Array& y) { return f(y) + 1; })(x)) == 10.0F);
  CHECK(identical(grad([&](const Array& y) { return sum(grad(f)(y)); })(x), Array{6.0, 12.0}));
  CHECK(f.trace_count() == 1);
}

TEST_CASE("captured Arrays are constants of the program") {
  Array scale(3.0);
  const auto f = jit([&](const Array& x) { return x * scale + scale; });
  CHECK(number(f(Array(2.0))) == 9.0F);
  scale = Array(100.0);
  CHECK(number(f(Array(2.0))) == 9.0F);  // frozen at the first call, as documented
  CHECK(f.program().to_string() ==
        "%0: float32[] = input\n"
        "%1: float32[] = constant 3.0\n"
        "%2: float32[] = mul %0 %1\n"
        "%3: float32[] = add %2 %1\n"
        "return %3\n");
}

TEST_CASE("an argument may come back unchanged, twice, or be a constant") {
  const auto f = jit([](const Array& x) { return std::tuple{x, x, Array(5.0), x * 1}; });
  const auto [a, b, c, d] = f(Array(2.0));
  CHECK(number(a) == 2.0F);
  CHECK(number(b) == 2.0F);
  CHECK(number(c) == 5.0F);
  CHECK(number(d) == 2.0F);
  const auto g = jit([] { return Array(5.0); });
  CHECK(number(g()) == 5.0F);
}

TEST_CASE("keys are values: a compiled step draws anew for every key") {
  const auto f =
      jit([](const Array& key, const Array& step) { return random::uniform(random::fold_in(key, step), {3}); });
  const Array key = random::key(0);
  CHECK(identical(f(key, Array(1)), random::uniform(random::fold_in(key, 1), {3})));
  CHECK(identical(f(key, Array(2)), random::uniform(random::fold_in(key, 2), {3})));
  CHECK(f.trace_count() == 1);
}

TEST_CASE("calls from several threads agree, and keep one program per signature") {
  std::atomic<int> wrong = 0;
  const auto f = jit([](const Array& x) { return sum(exp(x) * 2); }, {.executor = Executor(2)});
  const auto expected = [](std::int64_t n) { return number(sum(exp(ones({n})) * 2)); };
  const std::vector<float> sums = {expected(1), expected(2), expected(3)};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 60; ++i) {
        const std::int64_t n = i % 3 + 1;
        if (number(f(ones({n}))) != sums[static_cast<std::size_t>(n - 1)]) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(f.trace_count() == 3);
}

// ---- programs ----

TEST_CASE("programs print one node per line") {
  const Program program = make_program(
      [](const Array& x, const Tree& params) {
        const Array y = dot(x, params["kernel"].array()) + params["bias"].array();
        return std::pair{sum(relu(y), 1), reshape(astype(y, float64), {-1})};
      },
      zeros({2, 3}), Tree{{"kernel", zeros({3, 4})}, {"bias", zeros({4})}});
  CHECK(program.to_string() ==
        "%0: float32[2,3] = input\n"
        "%1: float32[4] = input\n"
        "%2: float32[3,4] = input\n"
        "%3: float32[2,4] = dot_general %0 %2 {lhs_contract=(1,), rhs_contract=(0,), lhs_batch=(), rhs_batch=()}\n"
        "%4: float32[2,4] = add %3 %1\n"
        "%5: float32[2,4] = relu %4\n"
        "%6: float32[2] = reduce_sum %5 {axes=(1,)}\n"
        "%7: float64[2,4] = cast %4 {dtype=float64}\n"
        "%8: float64[8] = reshape %7 {shape=(8,)}\n"
        "return %6 %8\n");
  CHECK(program.size() == 6);
  CHECK(program.count("relu") == 1);
  CHECK(program.count("conv") == 0);
  program.verify();
}

TEST_CASE("lower traces without running") {
  const auto f = jit([](const Array& x) { return x + 1; });
  CHECK(f.lower(zeros({2})).size() == 1);
  CHECK(f.trace_count() == 1);
  (void)f(ones({2}));
  CHECK(f.trace_count() == 1);
}
