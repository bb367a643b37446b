// ServerWorker: another loop's links of a server agent, and what the first loop, which listens and
// greets, gives it.
#pragma once

#include <functional>

#include "common/io/loop_thread.h"
#include "common/io/mailbox.h"
#include "server-agent/server_links.h"

namespace holdfast {

class ServerWorker final : private Loop::Task, private ServerLinks::Owner {
 public:
  // As for ServerLinks. `news`: its last stream has ended, or its loop; called on its thread.
  ServerWorker(const ServerOptions& options, std::size_t index, Placement& placement,
               Observer& observer, std::function<void()> news);
  ~ServerWorker();

  void start() { thread_.run(*this, news_); }
  LoopThread& thread() { return thread_; }

  // The first loop's thread, at any time.
  void give(GreetedCarrier greeted) { mailbox_.put(std::move(greeted)); }

  // While the thread is paused.
  ServerLinks& links() { return links_; }
  const ServerLinks& links() const { return links_; }
  Loop& loop() { return thread_.loop(); }
  // Goodbye, then the loop ends; at `deadline` at last.
  void leave(Time deadline);

 private:
  bool end_of_turn() override;
  void wake() override { wake_ = true; }
  void room() override {}

  std::function<void()> news_;
  LoopThread thread_;
  bool wake_ = true;
  bool leaving_ = false;
  std::size_t streams_ = 0;  // when it was looked last
  ServerLinks links_;
  Mailbox<GreetedCarrier> mailbox_;
  Timer deadline_;
};

}  // namespace holdfast
