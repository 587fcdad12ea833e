#include "ops/conv.hpp"
#include "ops/elementwise.hpp"
#include "ops/linalg.hpp"
#include "ops/pool.hpp"
#include "ops/random.hpp"
#include "ops/reduce.hpp"
#include "ops/shape.hpp"

namespace linseed {

std::vector<std::span<const Op* const>> op_families() {
  return {ops::elementwise_family(), ops::reduce_family(), ops::linalg_family(), ops::shape_family(),
          ops::index_family(),       ops::conv_family(),   ops::pool_family(),   ops::random_family()};
}

}  // namespace linseed
