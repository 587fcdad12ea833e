// For tests of convolution kernels: operands, one kernel at a time, and how far results are apart.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <doctest/doctest.h>

#include <linseed/ops/conv.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/random/random.hpp>
#include <linseed/transform/jit.hpp>

#include "program/op.hpp"
#include "program/program.hpp"

namespace conv_helpers {

using linseed::Array;
using linseed::Op;
using linseed::Shape;

inline Array normal(const Shape& shape, int seed) {
  return linseed::random::normal(linseed::random::key(static_cast<std::uint32_t>(seed)), shape);
}

inline linseed::attr::Conv attributes_of(const Shape& x, const Shape& w, const linseed::ConvOptions& options) {
  const linseed::Program program =
      linseed::make_program([&](const Array& a, const Array& b) { return linseed::conv(a, b, options); },
                            linseed::zeros(x), linseed::zeros(w));
  return std::get<linseed::attr::Conv>(program.data().nodes.back().attributes);
}

inline Array run(const Op& op, const Array& a, const Array& b, const linseed::attr::Conv& conv, int threads = 1) {
  const std::vector<linseed::Abstract> types{abstract(a), abstract(b)};
  return execute(op, std::vector<Array>{a, b}, conv, op.shape_rule(types, conv), linseed::Executor(threads));
}
/// Plain sums in double.
inline Array run_reference(Op op, const Array& a, const Array& b, const linseed::attr::Conv& conv) {
  op.fast = nullptr;
  return run(op, a, b, conv);
}

/// Memory for a result in a frame that shows whether anything is written beyond it.
class Framed {
 public:
  explicit Framed(const Array& like) : memory_(static_cast<std::size_t>(like.size()) + 2, frame) {}
  [[nodiscard]] float* data() noexcept { return memory_.data() + 1; }
  [[nodiscard]] std::span<const float> values() const { return std::span(memory_).subspan(1, memory_.size() - 2); }
  [[nodiscard]] bool is_intact() const { return memory_.front() == frame && memory_.back() == frame; }

 private:
  static constexpr float frame = 7.0F;
  std::vector<float> memory_;
};

/// The largest difference over the largest element; NaN if there is one.
inline double error(std::span<const float> got, std::span<const float> expected) {
  double difference = 0.0, largest = 0.0;
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double deviation = std::fabs(static_cast<double>(got[i]) - static_cast<double>(expected[i]));
    if (std::isnan(deviation)) return deviation;
    difference = std::max(difference, deviation);
    largest = std::max(largest, std::fabs(static_cast<double>(expected[i])));
  }
  return difference / largest;
}
inline double error(const Array& got, const Array& expected) {
  return error(got.data<float>(), expected.data<float>());
}

}  // namespace conv_helpers
