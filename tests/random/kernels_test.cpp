#include "kernels/random.hpp"

#include <cstring>
#include <vector>

#include <doctest/doctest.h>

#include "ops/random.hpp"

using namespace linseed;
namespace kernels = linseed::kernels;
using kernels::Words;

TEST_CASE("threefry2x32 gives the cipher's published blocks") {
  const auto block = [](Words key, Words counter) {
    const Words out = kernels::threefry2x32(key, counter);
    return std::pair{out.first, out.second};
  };
  CHECK(block({0, 0}, {0, 0}) == std::pair{0x6B200159u, 0x99BA4EFEu});
  CHECK(block({~0u, ~0u}, {~0u, ~0u}) == std::pair{0x1CB996FCu, 0xBB002BE7u});
  CHECK(block({0x13198A2E, 0x03707344}, {0x243F6A88, 0x85A308D3}) == std::pair{0xC4923A9Cu, 0x483DF7A0u});
}

TEST_CASE("an index beyond 2^32 enters both words of the counter") {
  const Words direct = kernels::threefry2x32({7, 9}, Words{3, 5});
  const Words by_index = kernels::threefry2x32({7, 9}, (std::uint64_t{3} << 32) + 5);
  CHECK(direct.first == by_index.first);
  CHECK(direct.second == by_index.second);
}

TEST_CASE("fast kernels give the bits of the reference, for any number of threads and every set of vectors") {
  const std::uint32_t key[] = {2718, 2818};
  const kernels::Input input{key, Shape{2}, uint32};
  for (const DType dtype : {uint32, float32, float64}) {
    const Op& op = dtype == uint32 ? ops::random_bits : ops::random_uniform;
    for (const std::int64_t count : {0, 1, 7, 31, 1000, 16384, 16385, 50001}) {
      const Shape shape{count};
      const attr::Random draw{shape, dtype, -0.7, 0.33};
      const auto bytes = static_cast<std::size_t>(count) * size_of(dtype);
      const auto run = [&](kernels::Kernel kernel, const Executor& executor) {
        std::vector<double> buffer(bytes / sizeof(double) + 1);
        kernel(draw, {&input, 1}, {buffer.data(), shape, dtype}, executor);
        return buffer;
      };
      const auto expected = run(op.reference, Executor(1));
      for (const int threads : {1, 2, 3, 8}) {
        for (const VectorSet set : {VectorSet::portable, VectorSet::avx512})
          CHECK(std::memcmp(run(op.fast, Executor(threads, set)).data(), expected.data(), bytes) == 0);
      }
    }
  }
}
