// Observer: what the driver tells of itself, for logs and counters. It returns nothing, and what
// it does must be quick: it is called on the loop's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/core/effects.h"
#include "common/core/trace.h"
#include "common/io/listener_observer.h"
#include "common/wire/cause.h"

namespace holdfast {

// A connection of a process that died, of which nothing can be made any more.
struct LostConnection {
  std::string service;
  std::string peer;
  std::string client;  // the application's address
  std::string reason;
};

struct LinkEvent {
  LinkId link;
  std::string name;     // at a client in the config; a server's links have none
  bool lane = false;    // one beside others: it comes and goes by itself
  std::string peer;     // at a client the server's name, at a server the client's
  std::string address;  // of the carrier's other end; empty without one
  Cause cause = Cause::none;
  Duration outage{};
  Time since{};  // link_silent, link_down: when the peer was heard last
  Duration round_trip{};
  Duration grace{};  // link_down: how long the connections are safe
  std::uint32_t connections = 0;
  std::string detail;                // link_ended: what the peer did wrong, for people
  std::uint64_t replayed_bytes = 0;  // the link's counter
  // link_ended where the link is gone for good (a client makes most anew): reading paused and
  // bytes, in all.
  std::uint64_t pauses_credit = 0;
  std::uint64_t pauses_memory = 0;
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
};

// One connection as it now is, or as it ended. "Up" is from the application to the target.
struct ConnectionInfo {
  StreamHandle stream;
  LinkId link;
  std::string_view service;
  std::string_view peer;
  std::string client;       // the application's address
  std::string destination;  // where it meant to go, if that is known
  std::string target;       // server: the backend's address; empty before one is known
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  StreamSummary summary;

  std::string id() const { return connection_name(link, stream.id); }
};

// Client: an application was reset before it had a connection.
struct Refusal {
  std::string address;      // of the listener
  std::string client;       // the application's, or its balancer's
  std::string destination;  // where it meant to go; empty where that is not known
  Cause cause = Cause::none;
  std::string reason;  // for people
};

// Server: an OPEN that did not become a connection.
struct OpenRefusal {
  LinkId link;
  StreamId stream;
  std::string_view peer;
  std::string_view service;  // that was asked for; empty: a destination
  Cause cause = Cause::none;
  std::string reason;  // for people
};

// Of barren carriers in a row (FirstBytes), for people.
inline std::string barren_text(std::uint32_t times) {
  return "established " + std::to_string(times) + (times == 1 ? " time" : " times") +
         ", nothing delivered: are large packets lost?";
}

class Observer : public ListenerObserver {
 public:
  virtual void link_up(const LinkEvent& event) = 0;
  virtual void link_down(const LinkEvent& event) = 0;
  virtual void link_resumed(const LinkEvent& event) = 0;
  // Its carrier stands, and a question through it is overdue. Then: an answer came after all, and
  // the carrier goes on; or link_down() follows.
  virtual void link_silent(const LinkEvent& event) = 0;
  virtual void link_heard(const LinkEvent& event) = 0;
  virtual void link_ended(const LinkEvent& event) = 0;
  // A carrier was established and delivers nothing; `detail` says how often in a row.
  virtual void carrier_barren(const LinkEvent& event) = 0;
  // Client: the server said no, for now.
  virtual void link_refused(const LinkEvent& event, Duration retry_after) = 0;
  // Client: the server drains.
  virtual void link_draining(const LinkEvent& event) = 0;

  virtual void connection_open(const ConnectionInfo& connection) = 0;
  // False spares the walk over thousands after a resume.
  virtual bool wants_connection_resumed() const = 0;
  virtual void connection_resumed(const ConnectionInfo& connection) = 0;
  // It did not outlive its process: what was left of it contradicts itself, or its socket.
  virtual void connection_lost(const LostConnection&) {}
  virtual void connection_closed(const ConnectionInfo& connection) = 0;
  // Server: an OPEN that did not become a connection.
  virtual void connection_refused(const OpenRefusal& refusal) = 0;
  // A service's target takes connections (Cause::none) or does not. Server: of a check; client: the
  // server says so (Cause::other: it does not say why).
  virtual void target_checked(std::string_view, Cause) {}

  // Client: services whose targets lead back to its own listeners, "web -> db -> web"; they take no
  // connections for a while.
  virtual void loop_found(const std::string&, Duration) {}

  virtual void application_refused(const Refusal& refusal) = 0;

  // A socket on the link port came to nothing before it was anybody's. Strangers can cause these.
  virtual void carrier_rejected(const std::string& address, Cause cause,
                                const std::string& reason) = 0;
  // A socket on the link port was accepted.
  virtual void carrier_accepted() {}
  // A socket on the link port was no client's: a balancer's check, or a scan.
  virtual void carrier_checked(const std::string&, const std::string&) {}
  // Client: a dial came to nothing.
  virtual void dial_failed(const std::string& address, const std::string& reason) = 0;

  virtual void warning(const std::string& text) = 0;
  virtual void trace(const LinkId& link, const std::vector<TraceEvent>& events) = 0;
};

}  // namespace holdfast
