#include "ops/random.hpp"

#include <fmt/format.h>

#include <linseed/core/error.hpp>

#include "kernels/random.hpp"

namespace linseed {

namespace {

const attr::Random& checked_draw(std::span<const Abstract> inputs, const Attributes& attributes) {
  ops::require_key(inputs[0]);
  const auto& draw = std::get<attr::Random>(attributes);
  for (const std::int64_t extent : draw.shape) {
    if (extent < 0) throw ShapeError("random", "An extent is negative.", {.got = to_string(draw.shape)});
  }
  return draw;
}

Abstract draw_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const attr::Random& draw = checked_draw(inputs, attributes);
  return {draw.shape, draw.dtype};
}

Abstract floating_draw_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  const Abstract result = draw_rule(inputs, attributes);
  if (!is_floating(result.dtype)) {
    throw DTypeError("random", "The numbers drawn are floating-point.",
                     {.got = std::string(to_string(result.dtype)), .expected = "float32 or float64"});
  }
  return result;
}

Abstract split_rule(std::span<const Abstract> inputs, const Attributes& attributes) {
  return {{checked_draw(inputs, attributes).shape[0], 2}, DType::uint32};
}

Abstract fold_in_rule(std::span<const Abstract> inputs, const Attributes&) {
  ops::require_key(inputs[0]);
  if (!inputs[1].shape.empty()) {
    throw ShapeError("random::fold_in", "The number to fold in is a scalar.",
                     {.got = describe(inputs[1].dtype, inputs[1].shape)});
  }
  return inputs[0];
}

Abstract orthogonal_rule(std::span<const Abstract> inputs, const Attributes&) {
  ops::require_floating("random_orthogonal", inputs);
  const Shape& shape = inputs[0].shape;
  if (shape.rank() != 2 || shape[0] < shape[1]) {
    throw ShapeError("random_orthogonal", "The operand is a matrix with at least as many rows as columns.",
                     {.got = to_string(shape)});
  }
  return inputs[0];
}

// A draw for each element of a parameter.
Abstract drawn_for_rule(std::span<const Abstract> inputs, const Attributes&) {
  ops::require_key(inputs[0]);
  ops::require_floating("random_gamma", inputs.subspan(1));
  return inputs[1];
}

}  // namespace

namespace ops {

void require_key(const Abstract& key) {
  const ErrorContext context{
      .got = describe(key.dtype, key.shape),
      .expected = "uint32[2]",
      .hint = "random::key(seed) makes one; a row of random::split, or random::fold_in, gives others"};
  if (key.dtype != DType::uint32) throw DTypeError("random", "A key is an Array uint32[2].", context);
  if (!(key.shape == Shape{2})) throw ShapeError("random", "A key is an Array uint32[2].", context);
}

namespace ref = kernels::reference;
namespace cpu = kernels::cpu;

constexpr Op random_bits{"random_bits", draw_rule, not_differentiable, ref::random_bits, cpu::random_bits};
constexpr Op random_uniform{"random_uniform", floating_draw_rule, not_differentiable, ref::random_uniform,
                            cpu::random_uniform};
constexpr Op random_randint{"random_randint", draw_rule, not_differentiable, ref::random_randint};
constexpr Op random_split{"random_split", split_rule, not_differentiable, ref::random_split};
constexpr Op random_fold_in{"random_fold_in", fold_in_rule, not_differentiable, ref::random_fold_in};
constexpr Op random_orthogonal{"random_orthogonal", orthogonal_rule, not_differentiable, ref::random_orthogonal};
constexpr Op random_gamma{"random_gamma", drawn_for_rule, not_differentiable, ref::random_gamma};
constexpr Op random_loggamma{"random_loggamma", drawn_for_rule, not_differentiable, ref::random_loggamma};

Family random_family() {
  static constexpr const Op* all[] = {&random_bits,    &random_uniform,    &random_randint, &random_split,
                                      &random_fold_in, &random_orthogonal, &random_gamma,   &random_loggamma};
  return all;
}

}  // namespace ops

}  // namespace linseed
