// LoopBackend: carries questions from the admin server's threads to the agent's loop.
//
// The agent's own Backend is called in serve(), so on the loop's thread only, one at a time, and
// needs no lock. A loop that does not answer in time makes an error, never a thread that hangs.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <variant>

#include "common/admin/admin_server.h"

namespace holdfast {

inline constexpr Duration kLoopAnswerTimeout = seconds(2);

class LoopBackend final : public Backend {
 public:
  // Loads the config again: on the thread that asks, so that reading files holds up no loop.
  using Prepare = std::function<std::unique_ptr<PreparedReload>()>;

  // `wake` makes the loop call serve() soon; called on any thread (uv_async_send fits).
  LoopBackend(std::function<void()> wake, Prepare prepare, Duration timeout = kLoopAnswerTimeout);

  // Any thread but the loop's; they wait.
  Result<AgentSnapshot> snapshot(const SnapshotQuery& query) override;
  CommandResult command(const Command& command) override;
  ReloadReport reload(const ReloadRequest& request) override;
  void stopping() override;

  // The loop's thread: answers everything that waits.
  void serve(Backend& agent);

 private:
  struct Reload {
    std::unique_ptr<PreparedReload> prepared;
    ReloadRequest request;
  };
  using Question = std::variant<SnapshotQuery, Command, Reload>;
  using Answer = std::variant<Result<AgentSnapshot>, CommandResult, ReloadReport>;

  std::optional<Answer> ask(Question question, std::string& why_not);

  std::function<void()> wake_;
  Prepare prepare_;
  Duration timeout_;
  std::mutex mutex_;
  std::condition_variable answered_;
  std::deque<std::pair<std::uint64_t, Question>> questions_;
  std::map<std::uint64_t, std::optional<Answer>> waiting_;  // whoever gives up erases its own
  std::uint64_t next_ = 1;
  bool stopping_ = false;
};

}  // namespace holdfast
