#pragma once

#include <array>
#include <cstdint>

#include "kernels/micro_op.hpp"

namespace linseed::kernels {

/// A step of a chain, which works on eight vectors at a time: the running values, which pass from step to step in
/// registers and go to memory only if somebody else than the next step needs them.
struct ChainStep {
  /// What becomes of the running values `a`; `m`, `n` and `p` are tiles in memory.
  enum class Form : std::uint8_t {
    load,                ///< a = m
    store,               ///< m = a
    accumulate,          ///< m += a
    accumulate_square,   ///< m += a * a
    accumulate_product,  ///< m += a * n
    accumulate_powers,   ///< m += a, n += a * a
    accumulate_both,     ///< m += a, n += a * p
    unary,               ///< a = op(a)
    running_first,       ///< a = op(a, m)
    running_second,      ///< a = op(m, a)
    running_both,        ///< a = op(a, a)
    running_none,        ///< a = op(m, n)
    running_first_pair,  ///< a = second(op(a, m), n)
    running_none_pair,   ///< a = second(op(m, n), p)
    times_difference,    ///< a = a * (m - a)
    select_by_running,   ///< a = a ? m : n
    select_running,      ///< a = m ? a : n
    select_other,        ///< a = m ? n : a
    fetch,               ///< brings later parts of m closer; a stays
    loop,                ///< the loop of op, from memory to memory; a stays
    end,                 ///< of a chain
  };
  Form form;
  MicroOp op;
  std::uint8_t count;                   ///< of places
  std::array<std::uint16_t, 4> places;  ///< of a tape: m, n, p; for a loop its result and its operands
  MicroOp second = MicroOp::Copy;       ///< of a pair
};

/// Chains run over multiples of this, whatever the vectors.
constexpr std::int64_t chain_elements = 128;

}  // namespace linseed::kernels
