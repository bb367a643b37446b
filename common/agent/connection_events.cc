// What is written and counted of connections: opened, resumed, ended, refused.
#include "common/agent/event_recorder.h"

namespace holdfast {
namespace {

// What the target itself, or the way to it, said no with.
bool target_failed_with(Cause cause) {
  switch (cause) {
    case Cause::target_refused:
    case Cause::target_timeout:
    case Cause::target_unresolved:
    case Cause::target_failed:
    case Cause::unknown_service:
      return true;
    default:
      return false;
  }
}

// Causes that a connection ends with before it is one: an application that tries again in a tight
// loop meets the same one each time.
bool failed_to_open(Cause cause) {
  switch (cause) {
    case Cause::open_timeout:
    case Cause::not_allowed:
    case Cause::source_failed:
    case Cause::loop:
    case Cause::limit:
    case Cause::draining:
      return true;
    default:
      return target_failed_with(cause);
  }
}

}  // namespace

void EventRecorder::connection_open(const ConnectionInfo& connection) {
  {
    std::lock_guard lock(mutex_);
    note_target(connection.service, Cause::none);
  }
  if (!logger_.enabled(LogLevel::info) || !logger_.connection_line(connection.peer)) return;
  logger_.event(LogLevel::info, "connection_open",
                {{"id", connection.id()},
                 {"service", connection.service},
                 {"peer", connection.peer},
                 {"client", connection.client},
                 {"destination", connection.destination},
                 {"target", connection.target}});
}

bool EventRecorder::wants_connection_resumed() const {
  return logger_.enabled(LogLevel::debug);
}

void EventRecorder::connection_resumed(const ConnectionInfo& connection) {
  logger_.event(LogLevel::debug, "connection_resumed",
                {{"id", connection.id()},
                 {"service", connection.service},
                 {"peer", connection.peer},
                 {"detached_s", connection.summary.detached},
                 {"resumes", connection.summary.resumes}});
}

void EventRecorder::count_closed(const ConnectionInfo& connection) {
  const StreamSummary& summary = connection.summary;
  std::lock_guard lock(mutex_);
  auto found = closed_.find(connection.service);
  if (found == closed_.end()) found = closed_.emplace(connection.service, ServiceCounters{}).first;
  ServiceCounters& service = found->second;
  service.opened += 1;
  service.closed[summary.cause] += 1;
  service.bytes_up += connection.bytes_up;
  service.bytes_down += connection.bytes_down;
  totals_.replayed_bytes += summary.replayed_bytes;
  if (summary.open_state != OpenState::open && target_failed_with(summary.cause)) {
    note_target(connection.service, summary.cause);
  }
  if (History::remembers(summary.cause)) {
    history_.connection_closed({connection.link, connection.stream.id, read_boot_clock(),
                                std::string(connection.service), connection.client, summary.cause,
                                connection.bytes_up, connection.bytes_down, summary.age});
  }
}

void EventRecorder::connection_closed(const ConnectionInfo& connection) {
  count_closed(connection);
  const StreamSummary& summary = connection.summary;
  if (!logger_.enabled(LogLevel::info)) return;
  if (failed_to_open(summary.cause) &&
      !logger_.failure_line(connection.peer, connection.service, to_string(summary.cause))) {
    return;
  }
  if (!logger_.connection_line(connection.peer)) return;
  logger_.event(LogLevel::info, "connection_closed",
                {{"id", connection.id()},
                 {"service", connection.service},
                 {"peer", connection.peer},
                 {"client", connection.client},
                 {"destination", connection.destination},
                 {"target", connection.target},
                 {"bytes_up", connection.bytes_up},
                 {"bytes_down", connection.bytes_down},
                 {"unacked_bytes", summary.unacked_bytes},
                 {"duration_s", summary.age},
                 {"detached_s", summary.detached},
                 {"resumes", summary.resumes},
                 {"replayed_bytes", summary.replayed_bytes},
                 {"cause", to_string(summary.cause)}});
}

void EventRecorder::connection_refused(const OpenRefusal& refusal) {
  logger_.stranger(LogLevel::warn, "connection_refused",
                   {{"id", connection_name(refusal.link, refusal.stream)},
                    {"peer", refusal.peer},
                    {"service", refusal.service},
                    {"cause", to_string(refusal.cause)},
                    {"reason", refusal.reason}});
}

void EventRecorder::loop_found(const std::string& services, Duration refused_for) {
  std::lock_guard lock(mutex_);
  auto times = loops_.admit(services, read_boot_clock());
  if (!times) return;
  logger_.event(LogLevel::warn, "loop_found",
                {{"services", services},
                 {"reason",
                  "the target leads back to this agent's own listener; mend `target` of one of "
                  "them at the server. Until then they take no connections but for a try every " +
                      std::to_string(refused_for / seconds(1)) + " s"},
                 {"times", *times}});
}

void EventRecorder::application_refused(const Refusal& refusal) {
  logger_.stranger(LogLevel::warn, "application_refused",
                   {{"address", refusal.address},
                    {"client", refusal.client},
                    {"destination", refusal.destination},
                    {"cause", to_string(refusal.cause)},
                    {"reason", refusal.reason}});
}

}  // namespace holdfast
