#include "server-agent/target_watch.h"

namespace holdfast {

TargetWatch::TargetWatch(Loop& loop, Resolver& resolver, const DescriptorBudget& budget,
                         Options options, std::function<void()> changed,
                         std::function<void(Cause)> checked)
    : loop_(loop),
      resolver_(resolver),
      budget_(budget),
      options_(std::move(options)),
      changed_(std::move(changed)),
      checked_(std::move(checked)),
      timer_(loop.timers(), [this] { check(); }) {
  timer_.arm(loop.now());
}

void TargetWatch::check() {
  connect_ = std::make_unique<TargetConnect>(
      loop_, resolver_, budget_, options_.target, Approach{},
      [this](TargetConnect::Outcome outcome) {
        Cause result = outcome.socket.valid() ? Cause::none : outcome.cause;
        if (outcome.socket.valid()) clear_linger(outcome.socket.get());  // a clean end
        connect_.reset();
        timer_.arm(loop_.now() + options_.interval);
        if (checked_) checked_(result);
        note(result);
      });
}

void TargetWatch::note(Cause result) {
  bool down = down_;
  switch (result) {
    case Cause::none:
      down = false;
      break;
    case Cause::target_refused:
    case Cause::target_failed:
    case Cause::target_unresolved:
      down = true;
      break;
    default:  // no answer, or a want of our own
      break;
  }
  if (down == down_) return;
  down_ = down;
  changed_();
}

}  // namespace holdfast
