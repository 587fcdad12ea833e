#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace linseed {

/// The lines below an error's sentence. Empty ones are not printed.
struct ErrorContext {
  std::string at = {};        ///< module or tree path, file, or argument
  std::string got = {};       ///< what was found
  std::string expected = {};  ///< what would have been right
  std::string hint = {};      ///< what to do
};

/// Base of everything that linseed throws for a caller's mistake. The text is
///
///     [conv] Input has 3 channels, but the kernel expects 1.
///       at: Encoder_0/Conv_1
///       got: ...
///       expected: ...
///       hint: ...
class Error : public std::exception {
 public:
  Error(std::string_view op, std::string_view sentence, ErrorContext context = {});

  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
  [[nodiscard]] const ErrorContext& context() const noexcept { return context_; }

  /// Adds the place when none was known at the throw (a module path, usually).
  void locate(std::string_view at);

 private:
  void compose();

  std::string headline_;
  ErrorContext context_;
  std::string text_;
};

/// Shapes or axes that do not fit.
struct ShapeError : Error {
  using Error::Error;
};
/// A dtype that the operation does not take.
struct DTypeError : Error {
  using Error::Error;
};
/// An argument out of its range.
struct ValueError : Error {
  using Error::Error;
};
/// A tree without the asked-for path, or trees of different structure.
struct StructureError : Error {
  using Error::Error;
};
/// A traced value used where only a concrete one will do, or after its trace has ended.
struct TraceError : Error {
  using Error::Error;
};
/// A compiled step whose state comes out with another structure, shape or dtype than it went in.
struct CarryError : StructureError {
  using StructureError::StructureError;
};
/// More memory was needed than there is. What was asked for is not done, and nothing else has changed.
struct MemoryError : Error {
  using Error::Error;
};
/// A file that cannot be read or written, or does not hold what it should.
struct FileError : Error {
  using Error::Error;
};

}  // namespace linseed
