// Screen: shows texts one after another until somebody presses Ctrl-C: in place on a terminal, as
// top(1) does, and elsewhere one below the other.
#pragma once

#include <signal.h>

#include <cstddef>
#include <ostream>
#include <string>

#include "common/base/time.h"
#include "common/log/unique_fd.h"

namespace holdfast {

struct ScreenSize {
  std::size_t rows = 24;
  std::size_t columns = 80;
};

ScreenSize terminal_size();  // of standard output; 24 x 80 where it is not known

// What of the text fits: at most so many lines, each cut to the width. Escape sequences for colour
// take no width. Characters are bytes: what we show is ASCII.
std::string fitted(const std::string& text, const ScreenSize& size);

class Screen {
 public:
  // Until its end SIGINT, SIGTERM and SIGHUP only end wait(), on this thread.
  Screen(std::ostream& out, bool in_place);
  // The terminal is as it was before.
  ~Screen();
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  // False: it cannot be written.
  bool show(const std::string& text);
  // False: enough, somebody asked to stop. A terminal that changes its size ends it early.
  bool wait(Duration duration);

 private:
  std::ostream& out_;
  bool in_place_;
  bool first_ = true;
  sigset_t mask_before_{};
  UniqueFd signals_;
};

}  // namespace holdfast
