#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace linseed::nn {

/// Flax's merge_param: the one of field and call argument that is given. Throws ValueError when both or neither are.
[[nodiscard]] bool merge_param(std::string_view name, std::optional<bool> field, std::optional<bool> argument);
[[nodiscard]] std::string merge_param(std::string_view name, const std::optional<std::string>& field,
                                      const std::optional<std::string>& argument);

}  // namespace linseed::nn
