// Products of rows as they lie in memory: kernels/cpu/row_dots against sums in double.
#include "kernels/cpu/row_dots.hpp"

#include <cmath>
#include <vector>

#include <doctest/doctest.h>

#include "ops/conv_helpers.hpp"

using linseed::best_vector_set;
using linseed::VectorSet;
using namespace linseed::kernels::cpu;

TEST_CASE("row_dots: every instruction set gives the product, the vector ones the same bits") {
  constexpr std::int64_t gap = 3;  // between rows, of all three
  for (const std::int64_t rows : {1, 2, 4, 5, 9}) {
    for (const std::int64_t columns : {1, 3, 4, 18, 35}) {
      for (const std::int64_t depth : {1, 7, 16, 33, 95}) {
        CAPTURE(rows);
        CAPTURE(columns);
        CAPTURE(depth);
        const linseed::Array left = conv_helpers::normal({rows, depth + gap}, 1),
                             right = conv_helpers::normal({columns, depth + gap}, 2);
        const float *a = left.data<float>().data(), *b = right.data<float>().data();
        std::vector<float> by_avx2;
        for (const VectorSet set : {VectorSet::portable, VectorSet::avx2, VectorSet::avx512}) {
          if (set > best_vector_set()) continue;
          CAPTURE(static_cast<int>(set));
          constexpr float untouched = 7.0F;
          std::vector<float> result(static_cast<std::size_t>(rows * (columns + gap)), untouched);
          row_dots({.left = a,
                    .left_row = depth + gap,
                    .rows = rows,
                    .right = b,
                    .right_row = depth + gap,
                    .columns = columns,
                    .depth = depth,
                    .result = result.data(),
                    .result_row = columns + gap},
                   set);
          bool gaps_are_intact = true;
          double worst = 0.0;
          for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t c = 0; c < columns + gap; ++c) {
              const float got = result[static_cast<std::size_t>(r * (columns + gap) + c)];
              if (c >= columns) {
                gaps_are_intact = gaps_are_intact && got == untouched;
                continue;
              }
              double expected = 0.0, magnitude = 0.0;
              for (std::int64_t k = 0; k < depth; ++k) {
                const double term =
                    static_cast<double>(a[r * (depth + gap) + k]) * static_cast<double>(b[c * (depth + gap) + k]);
                expected += term;
                magnitude += std::fabs(term);
              }
              // Each of the 16 lanes adds a share of the products, then come four more additions.
              const double roundings = static_cast<double>((depth + 15) / 16 + 6);
              worst =
                  std::max(worst, std::fabs(static_cast<double>(got) - expected) / (roundings * 0x1p-24 * magnitude));
            }
          }
          CHECK(gaps_are_intact);
          CHECK(worst <= 1.0);
          if (set == VectorSet::avx2) by_avx2 = result;
          if (set == VectorSet::avx512) CHECK(result == by_avx2);
        }
      }
    }
  }
}
