#include <linseed/nn/model.hpp>

#include <fmt/format.h>

namespace linseed::nn {

namespace detail {

void throw_argument(std::string_view model, std::size_t index, std::string_view expected) {
  throw ValueError("Model", fmt::format("{} takes another argument {}.", model, index),
                   {.expected = std::string(expected)});
}

void throw_argument_count(std::string_view model, std::size_t got, std::string_view expected) {
  throw ValueError("Model", fmt::format("{} does not take {} argument{}.", model, got, got == 1 ? "" : "s"),
                   {.expected = std::string(expected)});
}

namespace {
template <class Result, class... T>
std::optional<Result> first_number(const std::any& argument) {
  std::optional<Result> result;
  const auto try_type = [&]<class U>(std::type_identity<U>) {
    if (const auto* value = std::any_cast<U>(&argument)) result = static_cast<Result>(*value);
  };
  (try_type(std::type_identity<T>{}), ...);
  return result;
}
template <class Result>
std::optional<Result> any_number(const std::any& argument) {
  return first_number<Result, bool, int, unsigned, long, unsigned long, long long, unsigned long long, float, double>(
      argument);
}
}  // namespace

std::optional<ArrayLike> scalar_in(const std::any& argument) { return any_number<ArrayLike>(argument); }
std::optional<double> number_in(const std::any& argument) { return any_number<double>(argument); }

std::string count_text(std::size_t fewest, std::size_t most) {
  return fewest == most ? std::to_string(most) : fmt::format("{} to {}", fewest, most);
}

}  // namespace detail

Model::Model(const Model& other) noexcept = default;
Model& Model::operator=(const Model& other) noexcept = default;
Model& Model::operator=(Model&& other) noexcept = default;
Model::~Model() = default;

Array Model::call(Scope& scope, std::span<const std::any> arguments) const {
  if (!held_) throw ValueError("Model", "An empty Model was called.", {.hint = "give TrainState::create a module"});
  return held_->call(scope, arguments);
}

}  // namespace linseed::nn
