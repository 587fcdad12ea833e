#include <set>
#include <string>

#include <doctest/doctest.h>

#include "program/op.hpp"

using namespace linseed;

TEST_CASE("every op has a name of its own, a shape rule, a gradient and a reference kernel") {
  std::set<std::string_view> names;
  for (const auto& family : op_families()) {
    CHECK(!family.empty());
    for (const Op* op : family) {
      REQUIRE(op != nullptr);
      INFO(std::string(op->name));
      CHECK(!op->name.empty());
      CHECK(op->name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos);
      CHECK((op->shape_rule != nullptr));
      CHECK((op->gradient != nullptr));  // a rule, or not_differentiable
      CHECK((op->reference != nullptr));
      CHECK((op->fast != op->reference));
      CHECK_MESSAGE(names.insert(op->name).second, "the name is taken");
    }
  }
  CHECK(names.size() > 60);
}
