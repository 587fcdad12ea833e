#include "kernels/random.hpp"

#include "core/dispatch.hpp"
#include "kernels/cpu/isa.hpp"

namespace linseed::kernels::cpu {

namespace {

// Elements per task. It divides 2^32, so the upper word of the counter is constant within a task.
constexpr std::int64_t block = 1 << 14;

// output[i] = element(threefry of i), for all i.
template <class T, class Element>
void draw(Words key, const Output& output, const Executor& executor, Element element) noexcept {
  T* const values = output.as<T>();
  const std::int64_t count = output.shape.elements();
  executor.parallel_for((count + block - 1) / block, [=, set = executor.vectors()](std::int64_t task) {
    const std::int64_t start = task * block;
    const auto size = static_cast<std::uint32_t>(std::min(count - start, block));
    const auto upper = static_cast<std::uint32_t>(start >> 32);
    const auto lower = static_cast<std::uint32_t>(start);
    T* const out = values + start;
    with_widest_vectors(set, [=]() LINSEED_LOOP {
      for (std::uint32_t i = 0; i < size; ++i) out[i] = element(threefry2x32(key, Words{upper, lower + i}));
    });
  });
}

}  // namespace

void random_bits(const Attributes&, std::span<const Input> inputs, const Output& output,
                 const Executor& executor) noexcept {
  draw<std::uint32_t>(key_of(inputs[0]), output, executor, [](Words words) LINSEED_LOOP { return bits32(words); });
}

void random_uniform(const Attributes& attributes, std::span<const Input> inputs, const Output& output,
                    const Executor& executor) noexcept {
  const auto& bounds = std::get<attr::Random>(attributes);
  linseed::detail::visit_floating(output.dtype, [&]<class T>(std::type_identity<T>) {
    const auto low = static_cast<T>(bounds.low);
    const T span = static_cast<T>(bounds.high) - low;
    draw<T>(key_of(inputs[0]), output, executor, [=](Words words) LINSEED_LOOP { return uniform(words, low, span); });
  });
}

}  // namespace linseed::kernels::cpu
