// An observer that forgets what it is told.
#pragma once

#include <string>
#include <vector>

#include "common/tunnel/observer.h"

namespace holdfast {

class QuietObserver : public Observer {
 public:
  void link_up(const LinkEvent&) override {}
  void link_down(const LinkEvent&) override {}
  void link_resumed(const LinkEvent&) override {}
  void link_silent(const LinkEvent&) override {}
  void link_heard(const LinkEvent&) override {}
  void link_ended(const LinkEvent&) override {}
  void link_refused(const LinkEvent&, Duration) override {}
  void link_draining(const LinkEvent&) override {}
  void connection_open(const ConnectionInfo&) override {}
  bool wants_connection_resumed() const override { return false; }
  void connection_resumed(const ConnectionInfo&) override {}
  void connection_closed(const ConnectionInfo&) override {}
  void connection_refused(const OpenRefusal&) override {}
  void application_refused(const Refusal&) override {}
  void carrier_rejected(const std::string&, Cause, const std::string&) override {}
  void dial_failed(const std::string&, const std::string&) override {}
  void carrier_barren(const LinkEvent&) override {}
  void listener_paused(const std::string&, const std::string&) override {}
  void listener_resumed(const std::string&) override {}
  void listen_failed(const std::string&, const std::string&) override {}
  void listening(const std::string&) override {}
  void warning(const std::string&) override {}
  void trace(const LinkId&, const std::vector<TraceEvent>&) override {}
};

}  // namespace holdfast
