#include "ops/elementwise.hpp"

#include <linseed/core/error.hpp>
#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/shape.hpp>

#include "kernels/elementwise.hpp"

namespace linseed {

namespace {

using Inputs = std::span<const Abstract>;
using Gradients = std::vector<Array>;

// ---- shape rules ----

Abstract unary_rule(Inputs inputs, const Attributes&) { return inputs[0]; }

template <const char* name>
Abstract floating_unary_rule(Inputs inputs, const Attributes&) {
  ops::require_floating(name, inputs);
  return inputs[0];
}

Abstract predicate_rule(Inputs inputs, const Attributes&) { return {inputs[0].shape, DType::bool_}; }

template <const char* name>
Abstract binary_rule(Inputs inputs, const Attributes&) {
  ops::require_same_dtype(name, inputs);
  return {broadcast_shapes(inputs[0].shape, inputs[1].shape, name), inputs[0].dtype};
}

template <const char* name>
Abstract comparison_rule(Inputs inputs, const Attributes& attributes) {
  return {binary_rule<name>(inputs, attributes).shape, DType::bool_};
}

Abstract select_rule(Inputs inputs, const Attributes&) {
  ops::require_same_dtype("where", inputs.subspan(1));
  if (inputs[0].dtype != DType::bool_) {
    throw DTypeError("where", "The condition must be bool.", {.got = describe(inputs[0].dtype, inputs[0].shape)});
  }
  const Shape both = broadcast_shapes(inputs[1].shape, inputs[2].shape, "where");
  return {broadcast_shapes(inputs[0].shape, both, "where"), inputs[1].dtype};
}

Abstract cast_rule(Inputs inputs, const Attributes& attributes) {
  return {inputs[0].shape, std::get<attr::Cast>(attributes).dtype};
}

// ---- gradient rules: a is the application, g the cotangent of its output ----

Array to_first(const Application& a, const Array& g) { return ops::sum_to_shape(g, a.inputs[0].shape()); }
Array to_second(const Application& a, const Array& g) { return ops::sum_to_shape(g, a.inputs[1].shape()); }

Gradients add_gradient(const Application& a, const Array& g) {
  return ops::gradients(a, [&] { return to_first(a, g); }, [&] { return to_second(a, g); });
}
Gradients sub_gradient(const Application& a, const Array& g) {
  return ops::gradients(a, [&] { return to_first(a, g); }, [&] { return to_second(a, -g); });
}
Gradients mul_gradient(const Application& a, const Array& g) {
  return ops::gradients(a, [&] { return to_first(a, g * a.inputs[1]); }, [&] { return to_second(a, g * a.inputs[0]); });
}
Gradients div_gradient(const Application& a, const Array& g) {
  const Array quotient = g / a.inputs[1];
  return ops::gradients(a, [&] { return to_first(a, quotient); }, [&] { return to_second(a, -quotient * a.output); });
}
Gradients pow_gradient(const Application& a, const Array& g) {
  const Array& base = a.inputs[0];
  const Array& exponent = a.inputs[1];
  const auto by_base = [&] { return to_first(a, g * (exponent * pow(base, exponent - 1))); };  // NaN at 0^0, as in JAX
  const auto by_exponent = [&] { return to_second(a, g * a.output * log(where(base == 0, 1, base))); };
  return ops::gradients(a, by_base, by_exponent);
}
Gradients mod_gradient(const Application& a, const Array& g) {
  return ops::gradients(
      a, [&] { return to_first(a, g); }, [&] { return to_second(a, -g * floor(a.inputs[0] / a.inputs[1])); });
}
// The side that won gets the gradient; at a tie each gets half.
Gradients extremum_gradient(const Application& a, const Array& g) {
  const auto share = [&](const Array& own, const Array& other) {
    return g * where(own == a.output, where(other == a.output, 0.5, Array(1.0F, g.dtype())), 0);
  };
  return ops::gradients(
      a, [&] { return to_first(a, share(a.inputs[0], a.inputs[1])); },
      [&] { return to_second(a, share(a.inputs[1], a.inputs[0])); });
}
Gradients select_gradient(const Application& a, const Array& g) {
  Gradients result(3);
  if (a.wanted[1]) result[1] = ops::sum_to_shape(where(a.inputs[0], g, 0), a.inputs[1].shape());
  if (a.wanted[2]) result[2] = ops::sum_to_shape(where(a.inputs[0], 0, g), a.inputs[2].shape());
  return result;
}

Gradients neg_gradient(const Application&, const Array& g) { return {-g}; }
Gradients abs_gradient(const Application& a, const Array& g) { return {where(a.inputs[0] >= 0, g, -g)}; }
Gradients exp_gradient(const Application& a, const Array& g) { return {g * a.output}; }
Gradients expm1_gradient(const Application& a, const Array& g) { return {g * (a.output + 1)}; }
Gradients log_gradient(const Application& a, const Array& g) { return {g / a.inputs[0]}; }
Gradients log1p_gradient(const Application& a, const Array& g) { return {g / (a.inputs[0] + 1)}; }
Gradients sqrt_gradient(const Application& a, const Array& g) { return {g * 0.5 / a.output}; }
Gradients rsqrt_gradient(const Application& a, const Array& g) { return {g * (-0.5 * a.output / a.inputs[0])}; }
Gradients sin_gradient(const Application& a, const Array& g) { return {g * cos(a.inputs[0])}; }
Gradients cos_gradient(const Application& a, const Array& g) { return {-g * sin(a.inputs[0])}; }
Gradients tanh_gradient(const Application& a, const Array& g) { return {g * (1 - square(a.output))}; }
Gradients sigmoid_gradient(const Application& a, const Array& g) { return {g * (a.output * (1 - a.output))}; }
Gradients relu_gradient(const Application& a, const Array& g) { return {where(a.inputs[0] > 0, g, 0)}; }
Gradients erf_gradient(const Application& a, const Array& g) {
  return {g * (1.1283791670955126 * exp(-square(a.inputs[0])))};  // 2 / sqrt(pi)
}
Gradients erfc_gradient(const Application& a, const Array& g) {
  return {g * (-1.1283791670955126 * exp(-square(a.inputs[0])))};
}
Gradients erf_inv_gradient(const Application& a, const Array& g) {
  return {g * (0.8862269254527580 * exp(square(a.output)))};  // sqrt(pi) / 2
}
Gradients cast_gradient(const Application& a, const Array& g) {
  if (!is_floating(a.inputs[0].dtype())) return {Array{}};
  return {astype(g, a.inputs[0].dtype())};
}

}  // namespace

// ---- the table ----

namespace ops {

namespace ref = kernels::reference;
namespace cpu = kernels::cpu;
namespace fn = kernels::scalar;
using kernels::MicroOp;

#define LINSEED_BINARY(name, rule, gradient, Function)                                                                 \
  namespace names {                                                                                                    \
  constexpr char name[] = #name;                                                                                       \
  }                                                                                                                    \
  constexpr Op name {                                                                                                  \
    #name, rule<names::name>, gradient, ref::binary<fn::Function>, cpu::binary<fn::Function>, false, MicroOp::Function \
  }
LINSEED_BINARY(add, binary_rule, add_gradient, Add);
LINSEED_BINARY(sub, binary_rule, sub_gradient, Sub);
LINSEED_BINARY(mul, binary_rule, mul_gradient, Mul);
LINSEED_BINARY(div, binary_rule, div_gradient, Div);
LINSEED_BINARY(pow, binary_rule, pow_gradient, Pow);
LINSEED_BINARY(mod, binary_rule, mod_gradient, Mod);
LINSEED_BINARY(maximum, binary_rule, extremum_gradient, Maximum);
LINSEED_BINARY(minimum, binary_rule, extremum_gradient, Minimum);
LINSEED_BINARY(equal, comparison_rule, not_differentiable, Equal);
LINSEED_BINARY(not_equal, comparison_rule, not_differentiable, NotEqual);
LINSEED_BINARY(less, comparison_rule, not_differentiable, Less);
LINSEED_BINARY(less_equal, comparison_rule, not_differentiable, LessEqual);
LINSEED_BINARY(logical_and, comparison_rule, not_differentiable, LogicalAnd);
LINSEED_BINARY(logical_or, comparison_rule, not_differentiable, LogicalOr);
#undef LINSEED_BINARY

#define LINSEED_UNARY(name, rule, gradient, Function)                                                   \
  constexpr Op name {                                                                                   \
    #name, rule, gradient, ref::unary<fn::Function>, cpu::unary<fn::Function>, false, MicroOp::Function \
  }
#define LINSEED_FLOATING_UNARY(name, gradient, Function) \
  namespace names {                                      \
  constexpr char name[] = #name;                         \
  }                                                      \
  LINSEED_UNARY(name, floating_unary_rule<names::name>, gradient, Function)
LINSEED_UNARY(logical_not, predicate_rule, not_differentiable, LogicalNot);
LINSEED_UNARY(is_finite, predicate_rule, not_differentiable, IsFinite);
LINSEED_UNARY(neg, unary_rule, neg_gradient, Neg);
LINSEED_UNARY(sign, unary_rule, not_differentiable, Sign);
LINSEED_UNARY(abs, unary_rule, abs_gradient, Abs);
LINSEED_UNARY(relu, unary_rule, relu_gradient, Relu);
LINSEED_FLOATING_UNARY(exp, exp_gradient, Exp);
LINSEED_FLOATING_UNARY(expm1, expm1_gradient, Expm1);
LINSEED_FLOATING_UNARY(log, log_gradient, Log);
LINSEED_FLOATING_UNARY(log1p, log1p_gradient, Log1p);
LINSEED_FLOATING_UNARY(sqrt, sqrt_gradient, Sqrt);
LINSEED_FLOATING_UNARY(rsqrt, rsqrt_gradient, Rsqrt);
LINSEED_FLOATING_UNARY(sin, sin_gradient, Sin);
LINSEED_FLOATING_UNARY(cos, cos_gradient, Cos);
LINSEED_FLOATING_UNARY(tanh, tanh_gradient, Tanh);
LINSEED_FLOATING_UNARY(sigmoid, sigmoid_gradient, Sigmoid);
LINSEED_FLOATING_UNARY(erf, erf_gradient, Erf);
LINSEED_FLOATING_UNARY(erfc, erfc_gradient, Erfc);
LINSEED_FLOATING_UNARY(erf_inv, erf_inv_gradient, ErfInv);
LINSEED_FLOATING_UNARY(floor, not_differentiable, Floor);
LINSEED_FLOATING_UNARY(ceil, not_differentiable, Ceil);
LINSEED_FLOATING_UNARY(round, not_differentiable, Round);
#undef LINSEED_FLOATING_UNARY
#undef LINSEED_UNARY

constexpr Op select{"select", select_rule, select_gradient, ref::select, cpu::select, false, MicroOp::Select};
constexpr Op cast{"cast", cast_rule, cast_gradient, ref::cast};
constexpr Op stop_gradient{"stop_gradient", unary_rule, not_differentiable,
                           ref::copy,       nullptr,    /*shares_operand=*/true};

Family elementwise_family() {
  static constexpr const Op* all[] = {
      &add,   &sub,       &mul,  &div,        &pow,         &mod,        &maximum,      &minimum,
      &equal, &not_equal, &less, &less_equal, &logical_and, &logical_or, &logical_not,  &is_finite,
      &neg,   &sign,      &abs,  &relu,       &exp,         &expm1,      &log,          &log1p,
      &sqrt,  &rsqrt,     &sin,  &cos,        &tanh,        &sigmoid,    &erf,          &erf_inv,
      &erfc,  &floor,     &ceil, &round,      &select,      &cast,       &stop_gradient};
  return all;
}

}  // namespace ops

// ---- public functions ----

namespace {

Array apply_binary(const Op& op, const std::pair<Array, Array>& operands) {
  return apply_op(op, {operands.first, operands.second});
}
Array as_bool(const Array& x) { return astype(x, DType::bool_); }
Array numeric(const ArrayLike& x) {
  const Array array = x.array();
  return array.dtype() == DType::bool_ ? astype(array, DType::int32) : array;
}

}  // namespace

Array operator+(const ArrayLike& a, const ArrayLike& b) { return apply_binary(ops::add, ops::promoted(a, b)); }
Array operator*(const ArrayLike& a, const ArrayLike& b) { return apply_binary(ops::mul, ops::promoted(a, b)); }
Array operator/(const ArrayLike& a, const ArrayLike& b) { return apply_binary(ops::div, ops::promoted_floating(a, b)); }

Array operator-(const ArrayLike& a, const ArrayLike& b) {
  const auto operands = ops::promoted(a, b);
  if (operands.first.dtype() == DType::bool_) {
    throw DTypeError("-", "bool Arrays are not subtracted.", {.hint = "use != for exclusive or"});
  }
  return apply_binary(ops::sub, operands);
}

Array operator-(const Array& x) {
  if (x.dtype() == DType::bool_) throw DTypeError("-", "bool Arrays have no negative.", {.hint = "use !"});
  return apply_op(ops::neg, {x});
}

Array operator==(const ArrayLike& a, const ArrayLike& b) { return apply_binary(ops::equal, ops::promoted(a, b)); }
Array operator!=(const ArrayLike& a, const ArrayLike& b) { return apply_binary(ops::not_equal, ops::promoted(a, b)); }
Array operator<(const ArrayLike& a, const ArrayLike& b) { return apply_binary(ops::less, ops::promoted(a, b)); }
Array operator<=(const ArrayLike& a, const ArrayLike& b) { return apply_binary(ops::less_equal, ops::promoted(a, b)); }
Array operator>(const ArrayLike& a, const ArrayLike& b) { return b < a; }
Array operator>=(const ArrayLike& a, const ArrayLike& b) { return b <= a; }
Array operator!(const Array& x) { return apply_op(ops::logical_not, {as_bool(x)}); }
Array operator&&(const Array& a, const Array& b) { return apply_op(ops::logical_and, {as_bool(a), as_bool(b)}); }
Array operator||(const Array& a, const Array& b) { return apply_op(ops::logical_or, {as_bool(a), as_bool(b)}); }

namespace {

// x to a positive whole power: squarings and products, as JAX expands it.
Array power_by_squaring(const Array& x, std::int64_t exponent) {
  Array result;
  Array factor = x;
  for (;; factor = factor * factor, exponent /= 2) {
    if (exponent % 2 == 1) result = result.defined() ? result * factor : factor;
    if (exponent <= 1) return result;
  }
}

}  // namespace

Array pow(const ArrayLike& a, const ArrayLike& b) {
  if (const auto exponent = b.whole_number(); exponent && !a.is_number() && a.array().dtype() != DType::bool_) {
    const Array x = a.array();
    if (*exponent == 0) return ones_like(x);
    if (*exponent > 0) return power_by_squaring(x, *exponent);
    if (is_floating(x.dtype())) return 1 / power_by_squaring(x, -*exponent);
  }
  const auto [base, exponent] = ops::promoted(a, b);
  if (base.dtype() == DType::bool_) return pow(astype(base, DType::int32), astype(exponent, DType::int32));
  return apply_op(ops::pow, {base, exponent});
}

Array mod(const ArrayLike& a, const ArrayLike& b) {
  const auto [left, right] = ops::promoted(a, b);
  return apply_op(ops::mod, {numeric(left), numeric(right)});
}

Array maximum(const ArrayLike& a, const ArrayLike& b) { return apply_binary(ops::maximum, ops::promoted(a, b)); }
Array minimum(const ArrayLike& a, const ArrayLike& b) { return apply_binary(ops::minimum, ops::promoted(a, b)); }

Array sign(const ArrayLike& x) {
  const Array array = x.array();
  if (array.dtype() == DType::bool_) throw DTypeError("sign", "bool Arrays have no sign.", {.hint = "use astype"});
  return apply_op(ops::sign, {array});
}
Array abs(const ArrayLike& x) {
  const Array array = x.array();
  return array.dtype() == DType::bool_ ? array : apply_op(ops::abs, {array});
}
Array relu(const ArrayLike& x) { return apply_op(ops::relu, {numeric(x)}); }
Array exp(const ArrayLike& x) { return apply_op(ops::exp, {ops::floating(x)}); }
Array expm1(const ArrayLike& x) { return apply_op(ops::expm1, {ops::floating(x)}); }
Array log(const ArrayLike& x) { return apply_op(ops::log, {ops::floating(x)}); }
Array log1p(const ArrayLike& x) { return apply_op(ops::log1p, {ops::floating(x)}); }
Array sqrt(const ArrayLike& x) { return apply_op(ops::sqrt, {ops::floating(x)}); }
Array rsqrt(const ArrayLike& x) { return apply_op(ops::rsqrt, {ops::floating(x)}); }
Array square(const ArrayLike& x) {
  const Array array = numeric(x);
  return array * array;
}
Array sin(const ArrayLike& x) { return apply_op(ops::sin, {ops::floating(x)}); }
Array cos(const ArrayLike& x) { return apply_op(ops::cos, {ops::floating(x)}); }
Array tanh(const ArrayLike& x) { return apply_op(ops::tanh, {ops::floating(x)}); }
Array sigmoid(const ArrayLike& x) { return apply_op(ops::sigmoid, {ops::floating(x)}); }
Array erf(const ArrayLike& x) { return apply_op(ops::erf, {ops::floating(x)}); }
Array erfc(const ArrayLike& x) { return apply_op(ops::erfc, {ops::floating(x)}); }
Array erf_inv(const ArrayLike& x) { return apply_op(ops::erf_inv, {ops::floating(x)}); }
Array floor(const ArrayLike& x) { return apply_op(ops::floor, {ops::floating(x)}); }
Array ceil(const ArrayLike& x) { return apply_op(ops::ceil, {ops::floating(x)}); }
Array round(const ArrayLike& x) { return apply_op(ops::round, {ops::floating(x)}); }
Array isfinite(const ArrayLike& x) { return apply_op(ops::is_finite, {x.array()}); }
Array isnan(const ArrayLike& x) {
  const Array array = x.array();
  return array != array;
}

Array where(const Array& condition, const ArrayLike& a, const ArrayLike& b) {
  const auto [on_true, on_false] = ops::promoted(a, b);
  return apply_op(ops::select, {as_bool(condition), on_true, on_false});
}

Array clip(const Array& x, const ArrayLike& low, const ArrayLike& high) { return minimum(maximum(x, low), high); }

Array astype(const Array& x, DType dtype) {
  return x.dtype() == dtype ? x : apply_op(ops::cast, {x}, attr::Cast{dtype});
}
Array stop_gradient(const Array& x) { return apply_op(ops::stop_gradient, {x}); }

}  // namespace linseed
