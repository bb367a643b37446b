// LoopBackend: carries questions from the admin server's threads to the agent's loop.
//
// The agent is called in serve(), so on the loop's thread only, one at a time, and needs no lock. A
// loop that does not answer in time makes an error, never a thread that hangs. No question takes
// the loop long: one is answered a turn, and connections, of which there may be thousands, are
// asked for in pages, which the asking thread puts together.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <variant>
#include <vector>

#include "common/admin/admin_server.h"

namespace holdfast {

inline constexpr Duration kLoopAnswerTimeout = seconds(2);

// Where a walk over all connections goes on. The beginning is {}.
struct ConnectionCursor {
  LinkId link;
  SlotIndex slot = 0;
};

struct ConnectionPage {
  std::vector<ConnectionSnapshot> connections;
  std::optional<ConnectionCursor> next;  // nothing: this was the last page
};

// The agent as its loop's thread sees it. snapshot() leaves AgentSnapshot::connections out.
class PagedBackend : public Backend {
 public:
  // Connections that live throughout a walk are in it once; others may be.
  virtual ConnectionPage connections(const ConnectionCursor& from) = 0;
};

class LoopBackend final : public Backend {
 public:
  // Loads the config again: on the thread that asks, so that reading files holds up no loop.
  using Prepare = std::function<std::unique_ptr<PreparedReload>()>;

  // `wake` makes the loop call serve() soon; called on any thread (uv_async_send fits).
  LoopBackend(std::function<void()> wake, Prepare prepare, Duration timeout = kLoopAnswerTimeout);

  // Any thread but the loop's; they wait.
  Result<AgentSnapshot> snapshot(const SnapshotQuery& query) override;
  Result<std::optional<ConnectionSnapshot>> connection(const std::string& id) override;
  CommandResult command(const Command& command) override;
  ReloadReport reload(const ReloadRequest& request) override;
  void stopping() override;

  // The loop's thread: answers one question, and wakes the loop again when there are others.
  void serve(PagedBackend& agent);

 private:
  struct ById {
    std::string id;
  };
  struct Reload {
    std::unique_ptr<PreparedReload> prepared;
    ReloadRequest request;
  };
  using Question = std::variant<SnapshotQuery, ConnectionCursor, ById, Command, Reload>;
  using Answer =
      std::variant<Result<AgentSnapshot>, ConnectionPage, Result<std::optional<ConnectionSnapshot>>,
                   CommandResult, ReloadReport>;

  std::optional<Answer> ask(Question question, std::string& why_not);
  Result<std::vector<ConnectionSnapshot>> all_connections();

  std::function<void()> wake_;
  Prepare prepare_;
  Duration timeout_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::deque<std::pair<std::uint64_t, Question>> questions_;
  std::map<std::uint64_t, std::optional<Answer>> waiting_;  // whoever gives up erases its own
  std::uint64_t next_ = 1;
  bool stopping_ = false;
  Duration longest_answer_{};  // CPU time
};

}  // namespace holdfast
