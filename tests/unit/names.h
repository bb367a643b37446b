// Names: a resolver whose name servers say what the test says, and what it told whoever asked.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/io/resolver.h"
#include "tests/unit/scripted_lookups.h"
#include "tests/unit/support.h"

namespace holdfast {

inline SocketAddress at(const char* host, std::uint16_t port = 0) {
  return *SocketAddress::literal({host, port});
}

inline void pass(Loop& loop, Duration time) {
  bool passed = false;
  Timer timer(loop.timers(), [&] { passed = true; });
  timer.arm(loop.refresh() + time);
  turn_until(loop, [&] { return passed; });
}

struct Names {
  Loop loop;
  ScriptedLookups::Started started;
  Resolver resolver{loop, std::make_unique<ScriptedLookups>(started)};
  std::vector<std::string> told;

  std::unique_ptr<Resolver::Question> ask(const std::string& host, std::uint16_t port = 80) {
    return std::make_unique<Resolver::Question>(
        resolver, HostPort{host, port}, [this](const Resolver::Answer& answer) {
          told.push_back(answer ? answer->front().to_string() : answer.error().message);
        });
  }
  void answer(std::size_t which, FoundAddresses found) {
    resolver.answered(started[which].first, std::move(found));
  }
  void pass(Duration time) { holdfast::pass(loop, time); }
};

inline FoundAddresses found(const char* host) {
  return std::vector<SocketAddress>{at(host)};
}

}  // namespace holdfast
