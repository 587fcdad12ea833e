// Reads the golden files. For tests only; knows nothing of linseed. See README.md for the files and their fields.
#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#ifndef LINSEED_GOLDEN_DIR
#error "LINSEED_GOLDEN_DIR must name the folder of the golden files"
#endif

namespace golden {

using json = nlohmann::json;

namespace detail {

inline std::string shown(const json& value) {
  std::string text = value.dump();
  if (text.size() > 120) text = text.substr(0, 117) + "...";
  return text;
}

inline const json& member(const json& object, const char* key, const char* wanted) {
  if (object.is_object()) {
    if (const auto found = object.find(key); found != object.end()) return *found;
  }
  throw std::runtime_error(std::string("[golden] Expected ") + wanted + " with \"" + key + "\", got " + shown(object));
}

}  // namespace detail

// One number: "nan", "inf" and "-inf" become floats, 0 and 1 become bools. A value that T cannot hold is an error.
template <class T>
T number(const json& value) {
  static_assert(std::is_arithmetic_v<T>);
  if constexpr (std::is_floating_point_v<T>) {
    if (value.is_number()) return value.get<T>();
    if (value == "nan") return std::numeric_limits<T>::quiet_NaN();
    if (value == "inf") return std::numeric_limits<T>::infinity();
    if (value == "-inf") return -std::numeric_limits<T>::infinity();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (value.is_boolean()) return value.get<bool>();
    if (value == 0 || value == 1) return value == 1;
  } else if (value.is_number_unsigned()) {
    if (std::in_range<T>(value.get<std::uint64_t>())) return static_cast<T>(value.get<std::uint64_t>());
  } else if (value.is_number_integer()) {
    if (std::in_range<T>(value.get<std::int64_t>())) return static_cast<T>(value.get<std::int64_t>());
  }
  throw std::runtime_error("[golden] Not a number of the wanted type: " + detail::shown(value));
}

// A list of numbers, such as "shape", "key", "counts" or "head".
template <class T>
std::vector<T> numbers(const json& list) {
  if (!list.is_array()) throw std::runtime_error("[golden] Expected a list, got " + detail::shown(list));
  std::vector<T> out;
  out.reserve(list.size());
  for (const json& value : list) out.push_back(number<T>(value));
  return out;
}

// The elements of an array, row-major. For a summary use head, last and sum.
template <class T>
std::vector<T> values(const json& array) {
  return numbers<T>(detail::member(array, "data", "a whole array"));
}

inline std::vector<std::int64_t> shape(const json& array) {
  return numbers<std::int64_t>(detail::member(array, "shape", "an array or a summary"));
}

inline std::string dtype(const json& array) {
  return detail::member(array, "dtype", "an array or a summary").get<std::string>();
}

// Large arrays are stored as {"dtype", "shape", "head", "last", "sum"}.
inline bool is_summary(const json& array) { return array.is_object() && array.contains("head"); }

template <class T>
std::vector<T> head(const json& summary) {
  return numbers<T>(detail::member(summary, "head", "a summary"));
}

template <class T>
T last(const json& summary) {
  return number<T>(detail::member(summary, "last", "a summary"));
}

// The exact sum of all elements, rounded once.
inline double sum(const json& summary) { return number<double>(detail::member(summary, "sum", "a summary")); }

class File {
 public:
  explicit File(std::string_view name) : path_(std::string(LINSEED_GOLDEN_DIR) + "/" + std::string(name)) {
    std::ifstream stream(path_);
    if (!stream) throw std::runtime_error("[golden] Cannot open " + path_);
    try {
      text_ = json::parse(stream);
    } catch (const json::exception& error) {
      throw std::runtime_error("[golden] " + path_ + " is not valid: " + error.what());
    }
    for (const json& entry : cases()) by_name_.emplace(detail::member(entry, "name", "a case"), &entry);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const json& cases() const { return detail::member(text_, "cases", "a golden file"); }
  const json& versions() const { return detail::member(text_, "versions", "a golden file"); }

  // The case with this name.
  const json& operator[](std::string_view name) const {
    if (const auto found = by_name_.find(std::string(name)); found != by_name_.end()) return *found->second;
    throw std::runtime_error("[golden] No case \"" + std::string(name) + "\" in " + path_);
  }

  // All cases whose member has this value, in file order; an error if there are none.
  std::vector<std::reference_wrapper<const json>> where(const char* key, const json& value) const {
    std::vector<std::reference_wrapper<const json>> out;
    for (const json& entry : cases()) {
      if (const auto found = entry.find(key); found != entry.end() && *found == value) out.emplace_back(entry);
    }
    if (out.empty()) {
      throw std::runtime_error("[golden] No case with " + std::string(key) + " = " + value.dump() + " in " + path_);
    }
    return out;
  }

 private:
  std::string path_;
  json text_;
  std::unordered_map<std::string, const json*> by_name_;
};

// Each file is read once per process and stays.
inline const File& load(const std::string& name) {
  static std::mutex mutex;
  static std::map<std::string, std::unique_ptr<const File>> files;
  const std::lock_guard lock(mutex);
  auto& file = files[name];
  if (!file) file = std::make_unique<const File>(name);
  return *file;
}

}  // namespace golden
