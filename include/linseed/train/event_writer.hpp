#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace linseed::training {

/// A TensorBoard event file: `tensorboard --logdir FOLDER` shows it while it grows. Each record is handed to the system
/// as one piece, so that a program that dies leaves whole records, and at most one that TensorBoard leaves out.
class EventWriter {
 public:
  /// Makes the folder, with those above it, and in it a new file events.out.tfevents.TIME.HOST.PROCESS.NUMBER. Throws
  /// FileError.
  explicit EventWriter(const std::string& folder);
  ~EventWriter();
  EventWriter(EventWriter&& other) noexcept;
  EventWriter& operator=(EventWriter&& other) noexcept;

  /// Adds a point of the curve `tag`, which TensorBoard groups by what stands before a "/". Throws FileError.
  void scalar(std::string_view tag, std::int64_t step, double value);

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  void append(std::string_view event);

  std::string path_;
  int file_ = -1;
};

}  // namespace linseed::training
