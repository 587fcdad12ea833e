// How far results are from the golden files, by the name of what was compared. Where the environment variable
// LINSEED_DEVIATIONS names a file, a test program appends to it when it ends, one JSON object per line:
// {"name": "optax.adam", "deviation": 1.2e-07, "comparisons": 34}. docs/parity/make.py makes a table of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

namespace golden {

class Deviations {
 public:
  static Deviations& instance() {
    static Deviations deviations;
    return deviations;
  }
  Deviations(const Deviations&) = delete;
  Deviations& operator=(const Deviations&) = delete;
  ~Deviations() {
    const char* path = std::getenv("LINSEED_DEVIATIONS");
    if (path == nullptr) return;
    std::ofstream file(path, std::ios::app);
    for (const auto& [name, entry] : entries_) {
      file << nlohmann::json{{"name", name}, {"deviation", entry.largest}, {"comparisons", entry.comparisons}} << '\n';
    }
  }

  /// Counts one comparison for every name that is being measured. NaN counts as infinite.
  void note(double deviation) {
    for (const std::string& name : names_) {
      Entry& entry = entries_[name];
      entry.largest =
          std::max(entry.largest, std::isfinite(deviation) ? deviation : std::numeric_limits<double>::max());
      ++entry.comparisons;
    }
  }

 private:
  friend class Measured;
  struct Entry {
    double largest = 0.0;
    std::int64_t comparisons = 0;
  };
  Deviations() = default;

  std::vector<std::string> names_;
  std::map<std::string, Entry> entries_;
};

/// While one lives, comparisons count for `name`.
class Measured {
 public:
  explicit Measured(std::string name) { Deviations::instance().names_.push_back(std::move(name)); }
  Measured(const Measured&) = delete;
  Measured& operator=(const Measured&) = delete;
  ~Measured() { Deviations::instance().names_.pop_back(); }
};

}  // namespace golden
