// docs/inspect.md

#include <limits>

#include <linseed/linseed.hpp>

using namespace linseed;

struct MLP {
  Array operator()(nn::Scope& scope, Array x, bool train) const {
    x = nn::Dense{.features = 8}(scope, x);
    x = nn::BatchNorm{.use_running_average = !train, .momentum = 0.9}(scope, x);
    x = nn::relu(x);
    return nn::Dense{.features = 1}(scope, x);
  }
};

// <perturb>
struct Perturbed {
  Array operator()(nn::Scope& scope, Array x) const {
    x = tanh(nn::Dense{.features = 4}(scope, x));
    x = scope.perturb("hidden", x);  // x + a variable of zeros
    scope.sow("intermediates", "hidden", x);
    return nn::Dense{.features = 1}(scope, x);
  }
};
// </perturb>

int main() {
  const Array x = random::normal(random::key(1), {32, 3});
  const Tree variables = nn::init(MLP{}, random::key(0), x, /*train=*/false);

  // <print>
  fmt::print("{}\n\n", variables["batch_stats"]);      // with elements, within 80 columns; "{:120}" within 120
  fmt::print("{}\n\n", tree::shapes(variables));       // shapes alone
  fmt::print("{}\n", inspect::statistics(variables));  // what the elements are like
  // </print>

  // <tabulate>
  const inspect::ModuleTable table = inspect::tabulate(MLP{}, random::key(0), x, /*train=*/true);
  for (const inspect::ModuleRow& row : table.rows) {
    fmt::print("{:<12} {:>5} FLOPs, {:>2} parameters\n", row.path, row.flops, row.variables["params"].element_count());
  }
  // </tabulate>

  // <difference>
  const TrainState state = TrainState::create(MLP{}, variables["params"], variables["batch_stats"], optim::adam(1e-3));
  const auto loss = [&](const Tree& params) {
    return mean(square(nn::apply(MLP{}, state.replace({.params = params}).variables(), x, /*train=*/false)));
  };
  const TrainState next = state.apply_gradients(grad(loss)(state.params));
  fmt::print("\n{}\n", inspect::difference(state.params, next.params));
  // </difference>

  // <non_finite>
  const Tree broken = variables.set("params/Dense_0/kernel", full({3, 8}, std::numeric_limits<double>::infinity()));
  if (const auto found = inspect::first_non_finite(broken)) fmt::print("\n{}\n", *found);
  if (const auto found = inspect::first_non_finite_activation(MLP{}, broken, x, /*train=*/false))
    fmt::print("{}\n", *found);
  // </non_finite>

  // <capture>
  const auto [y, kept] = nn::apply(MLP{}, variables, nn::capture_intermediates(), x, /*train=*/false);
  fmt::print("\n{}\n", tree::shapes(kept["intermediates"]));
  // </capture>

  // <perturbed>
  const Tree all = nn::init(Perturbed{}, random::key(0), x);
  const auto by_perturbations = [&](const Tree& perturbations) {
    return mean(square(nn::apply(Perturbed{}, all.set("perturbations", perturbations), x)));
  };
  const Tree gradients = grad(by_perturbations)(all["perturbations"]);  // those by the hidden values
  fmt::print("\n{}\n", tree::shapes(gradients));
  // </perturbed>

  // <program>
  const Program program = make_program([](const Array& a) { return nn::relu(dot(a, ones({3, 2})) - 1); }, x);
  fmt::print("\n{}{} FLOPs\n", program, inspect::flops(program));
  // </program>
}
