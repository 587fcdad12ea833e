#include <linseed/nn/object.hpp>

#include <fmt/format.h>

namespace linseed::object {

void detail::throw_not_initialized(std::string_view module) {
  throw ValueError("object", fmt::format("The {} has no variables yet.", module),
                   {.hint = "object = object.init(key, arguments...)"});
}

}  // namespace linseed::object
