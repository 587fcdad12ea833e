#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>

#include <linseed/core/array.hpp>

namespace linseed::nn {

/// flax.linen.dtypes.canonicalize_dtype: the dtype in which a layer computes; operands without a value do not count.
/// Throws DTypeError when `dtype` is not floating.
DType computation_dtype(std::optional<DType> dtype, std::initializer_list<Array> operands);

/// Throws ValueError naming the layer and the field.
void require_positive(std::string_view layer, std::string_view field, std::int64_t value);

/// Throws ValueError unless the value is finite and within [low, high].
void require_within(std::string_view layer, std::string_view field, double value, double low, double high);

/// Throws ShapeError unless `mask` broadcasts to `shape`.
void require_mask(std::string_view layer, const Array& mask, const Shape& shape);

}  // namespace linseed::nn
