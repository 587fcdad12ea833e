#include "train/atomic_file.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linseed/core/error.hpp>

namespace linseed::training::detail {

namespace {

[[noreturn]] void fail(std::string_view op, const std::string& path, int error) {
  throw FileError(op, "The file cannot be written.", {.at = path, .got = std::strerror(error)});
}

/// Writes to an open file, which is closed whatever happens. Gives 0 or an errno.
int fill(int file, std::string_view content, bool to_disk) noexcept {
  int error = write_all(file, content) ? 0 : errno;
  if (error == 0 && to_disk && fsync(file) != 0) error = errno;
  if (close(file) != 0 && error == 0) error = errno;
  return error;
}

std::string resolved(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(realpath(path.c_str(), nullptr), &std::free);
  return real ? std::string(real.get()) : path;
}

}  // namespace

bool write_all(int file, std::string_view content) noexcept {
  while (!content.empty()) {
    const ssize_t written = write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void write_file(std::string_view op, const std::string& path, std::string_view content) {
  struct stat status {};
  const bool exists = stat(path.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) fail(op, path, EISDIR);
  if (exists && !S_ISREG(status.st_mode)) {
    const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    const int error = file < 0 ? errno : fill(file, content, /*to_disk=*/false);
    if (error != 0) fail(op, path, error);
    return;
  }
  if (exists && access(path.c_str(), W_OK) != 0) fail(op, path, errno);
  const std::string target = resolved(path);
  std::string temporary;
  int file = -1;
  for (int number = 0; file < 0; ++number) {
    temporary = fmt::format("{}.{}.{}", target, getpid(), number);
    file = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file < 0 && errno != EEXIST) fail(op, path, errno);
  }
  int error = exists && fchmod(file, status.st_mode & 07777) != 0 ? errno : 0;
  const int written = fill(file, content, /*to_disk=*/true);
  if (error == 0) error = written;
  if (error == 0 && rename(temporary.c_str(), target.c_str()) != 0) error = errno;
  if (error != 0) {
    unlink(temporary.c_str());
    fail(op, path, error);
  }
}

}  // namespace linseed::training::detail
