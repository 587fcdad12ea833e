// A terminal of a given size, to write to and to look at.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace support {

class PseudoTerminal {
 public:
  PseudoTerminal(int columns, int rows) : master_(posix_openpt(O_RDWR | O_NOCTTY)) {
    if (master_ < 0 || grantpt(master_) != 0 || unlockpt(master_) != 0) throw std::runtime_error("no pseudo-terminal");
    const int terminal = open(ptsname(master_), O_RDWR | O_NOCTTY);
    termios settings{};
    tcgetattr(terminal, &settings);
    cfmakeraw(&settings);  // what is written is what is read
    tcsetattr(terminal, TCSANOW, &settings);
    const winsize size{static_cast<unsigned short>(rows), static_cast<unsigned short>(columns), 0, 0};
    ioctl(terminal, TIOCSWINSZ, &size);
    stream_ = fdopen(terminal, "w");
    if (stream_ == nullptr) throw std::runtime_error("no stream");
    setvbuf(stream_, nullptr, _IOFBF, 1 << 16);
  }
  ~PseudoTerminal() {
    std::fclose(stream_);
    close(master_);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  [[nodiscard]] std::FILE* stream() const { return stream_; }
  /// What was written. The system holds a few thousand bytes, so that it must not be much more.
  [[nodiscard]] std::string read() const {
    std::fflush(stream_);
    std::string text;
    pollfd ready{master_, POLLIN, 0};
    while (poll(&ready, 1, 100) > 0 && (ready.revents & POLLIN) != 0) {
      char buffer[4096];
      const ssize_t size = ::read(master_, buffer, sizeof buffer);
      if (size <= 0) break;
      text.append(buffer, static_cast<std::size_t>(size));
    }
    return text;
  }

 private:
  int master_;
  std::FILE* stream_ = nullptr;
};

}  // namespace support
