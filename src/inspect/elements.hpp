#pragma once

#include <linseed/core/array.hpp>
#include <linseed/core/error.hpp>

#include "core/array_node.hpp"
#include "core/dispatch.hpp"

namespace linseed::inspect {

/// Calls visit(index, element as double) until it gives false. Throws TraceError for an Array without a value.
template <class Visit>
void for_each_element(const Array& array, const Visit& visit) {
  const Array concrete = linseed::detail::concrete_value(array);
  if (!concrete.defined()) {
    throw TraceError("inspect", "What is being traced has no values to look at.",
                     {.got = describe(array), .hint = "return it from the compiled function and look at it there"});
  }
  linseed::detail::visit_dtype(concrete.dtype(), [&]<class T>(std::type_identity<T>) {
    const auto elements = concrete.data<T>();
    for (std::size_t i = 0; i < elements.size(); ++i) {
      if (!visit(i, static_cast<double>(elements[i]))) return;
    }
  });
}

}  // namespace linseed::inspect
