// What element-wise functions cost within a compiled function: nanoseconds per element on one thread, over numbers that
// stay in the second cache. A function that is an order of magnitude slower than its neighbours is not compiled to
// vectors.
#include <algorithm>
#include <chrono>
#include <limits>

#include <fmt/format.h>

#include <linseed/linseed.hpp>

using namespace linseed;

namespace {

template <class Function>
void measure(const char* name, const Function& function) {
  using Clock = std::chrono::steady_clock;
  constexpr int runs = 40;
  const Array x = random::uniform(random::key(0), {1 << 16}) * 2.0 + 0.1;
  const auto compiled = jit(function);
  (void)compiled(x);
  double least = std::numeric_limits<double>::infinity();
  for (int run = 0; run < runs; ++run) {
    const auto start = Clock::now();
    const Array y = compiled(x);
    least = std::min(least, std::chrono::duration<double>(Clock::now() - start).count());
  }
  fmt::print("{:12} {:8.2f}\n", name, least * 1e9 / static_cast<double>(x.size()));
}

}  // namespace

#define LINSEED_MEASURE(F) measure(#F, [](const Array& x) { return F(x); });

int main() {
  LINSEED_MEASURE(abs)
  LINSEED_MEASURE(sign)
  LINSEED_MEASURE(floor)
  LINSEED_MEASURE(round)
  LINSEED_MEASURE(sqrt)
  LINSEED_MEASURE(rsqrt)
  LINSEED_MEASURE(exp)
  LINSEED_MEASURE(expm1)
  LINSEED_MEASURE(log)
  LINSEED_MEASURE(log1p)
  LINSEED_MEASURE(sin)
  LINSEED_MEASURE(cos)
  LINSEED_MEASURE(tanh)
  LINSEED_MEASURE(erf)
  LINSEED_MEASURE(erfc)
  LINSEED_MEASURE(nn::relu)
  LINSEED_MEASURE(nn::leaky_relu)
  LINSEED_MEASURE(nn::sigmoid)
  LINSEED_MEASURE(nn::silu)
  LINSEED_MEASURE(nn::gelu)
  LINSEED_MEASURE(nn::elu)
  LINSEED_MEASURE(nn::selu)
  LINSEED_MEASURE(nn::softplus)
  LINSEED_MEASURE(nn::mish)
  measure("pow(x, 3)", [](const Array& x) { return pow(x, 3); });
  measure("pow(x, 1.7)", [](const Array& x) { return pow(x, 1.7); });
  measure("mod(x, 0.3)", [](const Array& x) { return mod(x, 0.3); });
}
