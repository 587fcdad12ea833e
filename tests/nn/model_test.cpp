// Modules of erased type.
#include <linseed/nn/model.hpp>

#include <doctest/doctest.h>

#include <linseed/random/random.hpp>

#include "models.hpp"
#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

Array function(nn::Scope&, const Array& x) { return x + 1; }

struct Overloaded {
  Array operator()(nn::Scope&, const Array& x) const { return x + 1; }
  Array operator()(nn::Scope&, const Array& x, bool twice) const { return twice ? x + 2 : x; }
};

struct Many {
  Array operator()(nn::Scope&, const Array& x, const Tree& tree, std::optional<double> scale, ArrayLike offset,
                   int count) const {
    return (x + tree.array()) * scale.value_or(1.0) + offset.array() + count;
  }
};

struct WithDefault {
  Array operator()(nn::Scope&, const Array& x, double scale = 3.0) const { return x * scale; }
};

template <class... Args>
float call(const nn::Model& model, const Args&... args) {
  return nn::apply(model, {}, args...).template item<float>();
}

}  // namespace

TEST_CASE("a Model calls what it holds") {
  CHECK(call(function, Array(1.0)) == 2.0F);
  CHECK(call(&function, Array(1.0)) == 2.0F);
  CHECK(call([](nn::Scope&, const Array& x) { return x * 3; }, Array(1.0)) == 3.0F);
  CHECK(call([](nn::Scope&, const auto& x) { return x * 3; }, Array(1.0)) == 3.0F);  // a generic lambda
  CHECK(call(nn::relu, Array(-1.0)) == 0.0F);                                        // a plain function of one Array
  CHECK(call([](const Array& x) { return x * 5; }, Array(1.0)) == 5.0F);
  CHECK(call(Overloaded{}, Array(1.0)) == 2.0F);
  CHECK(call(Overloaded{}, Array(1.0), true) == 3.0F);
  CHECK(call(Overloaded{}, Array(1.0), false) == 1.0F);
}

TEST_CASE("arguments convert as in a plain call") {
  CHECK(call(Many{}, Array(1.0), Tree(Array(2.0)), std::optional(2.0), ArrayLike(10), 100) == 116.0F);
  CHECK(call(Many{}, 1.0, Array(2.0), 2, Array(10.0), true) == 17.0F);
  CHECK(call(Many{}, Tree(Array(1.0)), Array(2.0), std::optional<double>(), 10, 0) == 13.0F);
  const nn::Model identity = [](nn::Scope&, const Array& x) { return x; };
  CHECK(nn::apply(identity, {}, 3).dtype() == int32);
  CHECK(nn::apply(identity, {}, 3.0).dtype() == float32);
  CHECK(nn::apply(identity, {}, true).dtype() == bool_);
}

TEST_CASE("wrong arguments are named") {
  CHECK(error_of<ValueError>([] { return call(Many{}, Array(1.0), "text", 1.0, 1, 1); }) ==
        "[Model] Many takes another argument 1.\n  expected: Tree");
  CHECK(error_of<ValueError>([] { return call(function, std::string("text")); }).starts_with("[Model] "));
  CHECK(error_of<ValueError>([] { return call(models::MLP{}, Array(1.0)); }) ==
        "[Model] MLP does not take 1 argument.\n  expected: 2");
  CHECK(error_of<ValueError>([] { return call(models::MLP{}, Array(1.0), true, 3); }) ==
        "[Model] MLP does not take 3 arguments.\n  expected: 2");
  CHECK(error_of<ValueError>([] { return call(WithDefault{}); }) ==
        "[Model] WithDefault does not take 0 arguments.\n  expected: 1 to 2");
  CHECK(call(WithDefault{}, Array(1.0)) == 3.0F);
  CHECK(call(WithDefault{}, Array(1.0), 2) == 2.0F);
  CHECK(error_of<ValueError>([] { return call(Overloaded{}); }) ==
        "[Model] Overloaded does not take 0 arguments.\n  expected: (Array) or (Array, bool)");
  CHECK(error_of<ValueError>([] { return call(nn::Model(), Array(1.0)); }) ==
        "[Model] An empty Model was called.\n  hint: give TrainState::create a module");
}

TEST_CASE("Models are equal when their modules are") {
  const nn::Model dense = nn::Dense{.features = 3};
  CHECK(dense == nn::Model(nn::Dense{.features = 3}));
  CHECK(!(dense == nn::Model(nn::Dense{.features = 4})));
  CHECK(!(dense == nn::Model(nn::Dense{.features = 3, .kernel_init = nn::initializers::he_normal()})));
  CHECK(!(dense == nn::Model(models::MLP{})));
  CHECK(nn::Model(models::MLP{}) == nn::Model(models::MLP{}));
  CHECK(!(nn::Model(models::MLP{}) == nn::Model(models::MLP{.batch_norm = false})));
  CHECK(nn::Model() == nn::Model());
  CHECK(!(nn::Model() == dense));
  const nn::Model first = nn::Sequential{{nn::Dense{.features = 3}, nn::relu}};
  CHECK(first == nn::Model(nn::Sequential{{nn::Dense{.features = 3}, nn::relu}}));
  CHECK(!(first == nn::Model(nn::Sequential{{nn::Dense{.features = 3}, nn::tanh}})));
  CHECK(nn::Model(function) == nn::Model(function));
  const auto rnn = [](int features, nn::Model gate) {
    return nn::Model(nn::RNN{.cell = nn::GRUCell{.features = features, .gate_fn = std::move(gate)}, .reverse = true});
  };
  CHECK(rnn(3, nn::sigmoid) == rnn(3, nn::sigmoid));
  CHECK(!(rnn(3, nn::sigmoid) == rnn(4, nn::sigmoid)));
  CHECK(!(rnn(3, nn::sigmoid) == rnn(3, nn::hard_sigmoid)));
  const auto attention = [](double rate) {
    return nn::Model(nn::MultiHeadDotProductAttention{.num_heads = 2, .dropout_rate = rate});
  };
  CHECK(attention(0.5) == attention(0.5));
  CHECK(!(attention(0.5) == attention(0.25)));
  CHECK(nn::Model(nn::BatchNorm{.axis_index_groups = {{0}}}) == nn::Model(nn::BatchNorm{.axis_index_groups = {{0}}}));
  const int captured = 3;
  const auto lambda = [captured](nn::Scope&, const Array& x) { return x * captured; };
  const nn::Model made = lambda;
  const nn::Model copy = made;
  CHECK(made == copy);
  CHECK(!(made == nn::Model(lambda)));
}

TEST_CASE("a Model says what it holds") {
  const nn::Model dense = nn::Dense{.features = 3, .name = "head"};
  CHECK(dense.name() == "Dense");
  CHECK(dense.given_name() == "head");
  CHECK(dense.is_module());
  CHECK(dense.type() == typeid(nn::Dense));
  CHECK(!nn::Model(nn::relu).is_module());
  CHECK(nn::Model().name() == "empty Model");
}

TEST_CASE("a Model has the parameters of its module") {
  const Array x = ones({2, 3});
  CHECK(identical(nn::init(nn::Model(models::MLP{}), random::key(0), x, true),
                  nn::init(models::MLP{}, random::key(0), x, true)));
  CHECK(identical(nn::init(nn::Model(nn::Dense{.features = 2}), random::key(0), x),
                  nn::init(nn::Dense{.features = 2}, random::key(0), x)));
}
