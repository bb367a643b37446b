#include "common/cli/screen.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "common/log/line_writer.h"

namespace holdfast {
namespace {

// ECMA-48 and xterm's alternate screen, which every terminal of today knows.
constexpr char kEnter[] = "\033[?1049h\033[?25l";
constexpr char kLeave[] = "\033[?25h\033[?1049l";
constexpr char kHome[] = "\033[H";
constexpr char kClearLine[] = "\033[K";
constexpr char kClearBelow[] = "\033[J";

std::string cut(const std::string& line, std::size_t columns) {
  std::string out;
  std::size_t width = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\033') {
      std::size_t end = line.find('m', i);
      if (end == std::string::npos) break;
      out.append(line, i, end - i + 1);
      i = end;
    } else if (width < columns) {
      out.push_back(line[i]);
      ++width;
    }
  }
  return out;
}

}  // namespace

ScreenSize terminal_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) {
    return {};
  }
  return {size.ws_row, size.ws_col};
}

std::string fitted(const std::string& text, const ScreenSize& size) {
  std::string out;
  std::size_t rows = 0;
  for (std::size_t at = 0; at < text.size() && rows < size.rows; ++rows) {
    std::size_t end = std::min(text.find('\n', at), text.size());
    out += cut(text.substr(at, end - at), size.columns) + "\n";
    at = end + 1;
  }
  return out;
}

Screen::Screen(std::ostream& out, bool in_place) : out_(out), in_place_(in_place) {
  sigset_t ours;
  sigemptyset(&ours);
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&ours, number);
  pthread_sigmask(SIG_BLOCK, &ours, &mask_before_);
  signals_ = UniqueFd(::signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK));
  if (in_place_) out_ << kEnter << std::flush;
}

Screen::~Screen() {
  if (in_place_) out_ << kLeave << std::flush;
  signals_.reset();
  pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

bool Screen::show(const std::string& text) {
  if (!in_place_) {
    out_ << (first_ ? "" : "\n") << text << std::flush;
    first_ = false;
    return static_cast<bool>(out_);
  }
  // Line by line over what stood there, so that nothing flickers; no line end after the last row.
  std::string shown = fitted(text, terminal_size());
  if (!shown.empty()) shown.pop_back();
  std::string out = kHome;
  for (char c : shown) {
    if (c == '\n') out += kClearLine;
    out.push_back(c);
  }
  out_ << out << kClearLine << kClearBelow << std::flush;
  return static_cast<bool>(out_);
}

bool Screen::wait(Duration duration) {
  std::int64_t until_ms = monotonic_ms() + duration_cast<milliseconds>(duration).count();
  for (;;) {
    std::int64_t left_ms = std::max<std::int64_t>(until_ms - monotonic_ms(), 0);
    pollfd entry{signals_.get(), POLLIN, 0};
    int ready = ::poll(&entry, 1, static_cast<int>(left_ms));
    if (ready == 0) return true;
    if (ready < 0 && errno != EINTR) return false;
    signalfd_siginfo told{};
    if (::read(signals_.get(), &told, sizeof told) != sizeof told) continue;
    if (told.ssi_signo != SIGWINCH) return false;
    if (in_place_) return true;
  }
}

}  // namespace holdfast
