#include "server-agent/server_worker.h"

#include <utility>

namespace holdfast {

ServerWorker::ServerWorker(const ServerOptions& options, std::size_t index, Placement& placement,
                           Observer& observer, std::function<void()> news)
    : news_(std::move(news)),
      links_(thread_.loop(), options, index, placement, observer, *this),
      mailbox_(thread_.loop(), [this](GreetedCarrier greeted) { links_.take(std::move(greeted)); }),
      deadline_(thread_.loop().timers(), [this] { wake_ = true; }) {}

// What is on the loop goes before it, and not while it turns.
ServerWorker::~ServerWorker() {
  thread_.stop();
}

void ServerWorker::leave(Time deadline) {
  leaving_ = true;
  links_.leave();
  deadline_.arm(deadline);
  wake_ = true;
}

bool ServerWorker::end_of_turn() {
  if (!wake_) return false;
  wake_ = false;
  bool more = links_.pump();
  std::size_t before = std::exchange(streams_, links_.stream_count());
  if (before != 0 && streams_ == 0) news_();
  if (leaving_ && (links_.over() || !deadline_.armed())) thread_.loop().stop();
  wake_ = wake_ || more;
  return wake_;
}

}  // namespace holdfast
