// The verifier, on programs that no trace would make.
#include <doctest/doctest.h>

#include <linseed/ops/elementwise.hpp>
#include <linseed/transform/jit.hpp>

#include "program/program.hpp"
#include "support.hpp"

using namespace linseed;
using support::error_of;

namespace {

const Program good =
    make_program([](const Array& x, const Array& y) { return x * y + x; }, Array{1.0, 2.0}, Array{1.0, 2.0});

template <class Change>
std::string verdict(const Change& change) {
  detail::ProgramData data = good.data();
  change(data);
  return error_of<Error>([&] {
    Program(std::make_shared<const detail::ProgramData>(data)).verify();
    return 0;
  });
}

}  // namespace

TEST_CASE("verify finds what does not follow from the rules") {
  CHECK(verdict([](auto&) {}) == "no error");
  CHECK(verdict([](auto& data) { data.nodes[2].operands[0] = 3; }) ==
        "[program] Node %2 is wrong: it reads a value that comes after it.\n  hint: this is a defect of linseed");
  CHECK(verdict([](auto& data) { data.nodes[2].operands[0] = -1; }) ==
        "[program] Node %2 is wrong: it reads a value that comes after it.\n  hint: this is a defect of linseed");
  CHECK(verdict([](auto& data) { data.nodes[2].result.dtype = float64; }) ==
        "[program] Node %2 is wrong: its type does not follow from its operands.\n  hint: this is a defect of linseed");
  CHECK(verdict([](auto& data) { data.outputs[0] = 7; }) ==
        "[program] Node %4 is wrong: an output does not exist.\n  hint: this is a defect of linseed");
}
