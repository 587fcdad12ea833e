#pragma once

#include <memory>
#include <vector>

#include "program/trace.hpp"

namespace linseed {

/// Records what `grad` runs a function under. Every entry has been computed one trace further out when it is recorded,
/// so values can be printed and branched on, and the gradient rules, being written in ops, run out there too: that is
/// why grad composes with itself and with jit.
class Tape : public Trace {
 public:
  Array add_input(const Array& value);
  Array record(const Op& op, std::span<const Array> operands, const Attributes& attributes) override;
  std::vector<Array> record_custom(const std::shared_ptr<const CustomVjp>& custom,
                                   std::span<const Array> operands) override;

  /// Ends recording; entries stay for `pull_back`.
  using Trace::close;
  /// Ends recording and forgets the entries. A gradient rule that captured an Array of this trace keeps the tape alive,
  /// and the tape the rule: this is what parts them.
  void release() noexcept {
    close();
    entries_.clear();
  }

  /// The cotangents of the inputs from those of `outputs`; an empty Array among either stands for zero. Outputs that do
  /// not depend on the inputs are allowed.
  std::vector<Array> pull_back(std::span<const Array> outputs, std::span<const Array> cotangents) const;

 private:
  struct CustomCall {
    std::shared_ptr<const CustomVjp> rule;
    std::vector<int> parents;
    std::vector<Array> inputs, residuals, outputs;
    int first = 0;
  };
  struct Entry {
    const Op* op = nullptr;  ///< null for inputs and for the results of custom calls
    Attributes attributes = {};
    std::vector<int> parents = {};  ///< entries of the operands; -1 for constants
    std::vector<Array> inputs = {};
    Array output = {};
    std::shared_ptr<const CustomCall> custom = {};
  };

  int entry_of(const Array& array) const;
  Array add(Entry entry);

  std::vector<Entry> entries_;
  std::vector<int> inputs_;
};

}  // namespace linseed
