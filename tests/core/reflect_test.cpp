#include <linseed/core/reflect.hpp>

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/core/array.hpp>
#include <linseed/nn/layers.hpp>
#include <linseed/train/train_state.hpp>

using namespace linseed;

namespace {

template <class T>
std::vector<std::string> names() {
  return {reflect::field_names<T>.begin(), reflect::field_names<T>.end()};
}

struct Empty {};
struct Simple {
  Array image;
  int count_2 = 0;
  std::string name = {};
};
template <class T>
struct Generic {
  T first;
  Simple second;
};

}  // namespace

TEST_CASE("aggregates are taken apart without registration") {
  CHECK(reflect::field_count<Empty> == 0);
  CHECK(reflect::field_count<Simple> == 3);
  CHECK(names<Simple>() == std::vector<std::string>{"image", "count_2", "name"});
  CHECK(names<Generic<double>>() == std::vector<std::string>{"first", "second"});
  struct Local {
    std::vector<Array> list;
    double x;
  };
  CHECK(names<Local>() == std::vector<std::string>{"list", "x"});
  CHECK(names<TrainState>() == std::vector<std::string>{"step", "params", "batch_stats", "opt_state", "model", "tx"});
  CHECK(reflect::field_count<nn::Conv> == 13);
  Simple simple{.image = Array(1.0), .count_2 = 5};
  std::get<1>(reflect::fields(simple)) = 6;
  CHECK(simple.count_2 == 6);
}

TEST_CASE("types tell their names") {
  CHECK(reflect::type_name<Simple>() == "Simple");
  CHECK(reflect::type_name<Generic<double>>() == "Generic");
  CHECK(reflect::type_name<nn::Dense>() == "Dense");
  CHECK(reflect::type_name<int>() == "int");
  struct Local {};
  CHECK(reflect::type_name<Local>() == "Local");
}
