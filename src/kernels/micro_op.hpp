#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

// The functions of kernels/scalar_functions.hpp, by number of operands.
#define LINSEED_UNARY_FUNCTIONS(X)                                                                             \
  X(Neg)                                                                                                       \
  X(Sign)                                                                                                      \
  X(Abs)                                                                                                       \
  X(Exp)                                                                                                       \
  X(Expm1)                                                                                                     \
  X(Log)                                                                                                       \
  X(Log1p)                                                                                                     \
  X(Sqrt) X(Rsqrt) X(Sin) X(Cos) X(Tanh) X(Sigmoid) X(Relu) X(Erf) X(Erfc) X(ErfInv) X(Floor) X(Ceil) X(Round) \
      X(IsFinite) X(LogicalNot)
#define LINSEED_BINARY_FUNCTIONS(X) \
  X(Add)                            \
  X(Sub)                            \
  X(Mul) X(Div) X(Pow) X(Mod) X(Maximum) X(Minimum) X(Equal) X(NotEqual) X(Less) X(LessEqual) X(LogicalAnd) X(LogicalOr)
#define LINSEED_INTEGER_FUNCTIONS(X) \
  X(Add) X(Sub) X(Mul) X(Maximum) X(Minimum) X(Equal) X(NotEqual) X(Less) X(LessEqual)

namespace linseed::kernels {

/// The steps of a fused group, on float32; truth values are 1 and 0, and int32 values lie in the lanes as they are.
enum class MicroOp : std::uint8_t {
#define LINSEED_NAME(F) F,
  LINSEED_UNARY_FUNCTIONS(LINSEED_NAME) LINSEED_BINARY_FUNCTIONS(LINSEED_NAME)
#undef LINSEED_NAME
#define LINSEED_NAME(F) Int##F,
      LINSEED_INTEGER_FUNCTIONS(LINSEED_NAME)
#undef LINSEED_NAME
          Select,  ///< a ? b : c
  Copy,            ///< a
  IntToFloat,
  LoadBool,    ///< a, from bytes
  StoreBool,   ///< a, to bytes
  Accumulate,  ///< result + a, element by element of the tile
};

/// The steps of a fused group between elements and the rows that they form.
enum class RowOp : std::uint8_t {
  none,
  sum,      ///< of the elements of each row
  maximum,  ///< of the elements of each row
  spread,   ///< each row's value to all of its elements
};

/// The number of operands of a step.
constexpr std::size_t arity(MicroOp op) noexcept {
  if (op < MicroOp::Add) return 1;
  if (op < MicroOp::Select) return 2;
  return op == MicroOp::Select ? 3 : 1;
}

// What a tape does most is an addition, subtraction or multiplication whose result goes into one more step and nowhere
// else. Such a pair is one loop: the value between stays in a register. Its bits are those of the two steps.
#define LINSEED_PAIR_FIRSTS(X) X(Add) X(Sub) X(Mul)

/// The number of a tape's loop: that of a MicroOp, or of a pair.
using LoopIndex = std::uint8_t;
constexpr LoopIndex loop_of(MicroOp op) noexcept { return static_cast<LoopIndex>(op); }

/// The loop that computes `first` of operands 0 and 1 and gives the result to `second` as its operand `place`, with
/// operand 2 as the other one.
std::optional<LoopIndex> pair_of(MicroOp first, MicroOp second, std::size_t place) noexcept;

/// What a loop does: one micro-op, or two.
struct Pair {
  MicroOp first;
  std::optional<MicroOp> second;
  std::size_t place = 0;  ///< of the first one's result among the second one's operands
};
Pair micro_ops_of(LoopIndex index) noexcept;

}  // namespace linseed::kernels
