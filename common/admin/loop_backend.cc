#include "common/admin/loop_backend.h"

#include <utility>

#include "common/base/overloaded.h"

namespace holdfast {

LoopBackend::LoopBackend(std::function<void()> wake, Prepare prepare, Duration timeout)
    : wake_(std::move(wake)), prepare_(std::move(prepare)), timeout_(timeout) {}

std::optional<LoopBackend::Answer> LoopBackend::ask(Question question, std::string& why_not) {
  std::unique_lock lock(mutex_);
  if (stopping_) {
    why_not = "the agent is stopping";
    return std::nullopt;
  }
  std::uint64_t ticket = next_++;
  questions_.emplace_back(ticket, std::move(question));
  std::optional<Answer>& place = waiting_[ticket];
  lock.unlock();
  wake_();
  lock.lock();
  answered_.wait_for(lock, timeout_, [&] { return place.has_value() || stopping_; });
  std::optional<Answer> answer = std::move(place);
  waiting_.erase(ticket);
  if (!answer) {
    why_not = stopping_ ? "the agent is stopping"
                        : "the agent's loop did not answer within " +
                              std::to_string(duration_cast<seconds>(timeout_).count()) + " s";
  }
  return answer;
}

Result<AgentSnapshot> LoopBackend::snapshot(const SnapshotQuery& query) {
  std::string why_not;
  std::optional<Answer> answer = ask(query, why_not);
  if (!answer) return Error{why_not};
  return std::get<Result<AgentSnapshot>>(std::move(*answer));
}

CommandResult LoopBackend::command(const Command& command) {
  std::string why_not;
  std::optional<Answer> answer = ask(command, why_not);
  if (!answer) return {CommandResult::Outcome::unavailable, why_not};
  return std::get<CommandResult>(std::move(*answer));
}

ReloadReport LoopBackend::reload(const ReloadRequest& request) {
  ReloadReport report;
  std::optional<Answer> answer = ask(Reload{prepare_(), request}, report.reason);
  if (answer) return std::get<ReloadReport>(std::move(*answer));
  report.outcome = ReloadReport::Outcome::unavailable;
  return report;
}

void LoopBackend::stopping() {
  std::lock_guard lock(mutex_);
  stopping_ = true;
  questions_.clear();
  answered_.notify_all();
}

void LoopBackend::serve(Backend& agent) {
  std::unique_lock lock(mutex_);
  while (!questions_.empty()) {
    auto [ticket, question] = std::move(questions_.front());
    questions_.pop_front();
    // Nobody waits for it any more: a kill that was answered with "no answer" must not happen.
    if (waiting_.find(ticket) == waiting_.end()) continue;
    lock.unlock();
    Answer answer = std::visit(
        overloaded{
            [&agent](const SnapshotQuery& query) { return Answer(agent.snapshot(query)); },
            [&agent](const Command& command) { return Answer(agent.command(command)); },
            [](const Reload& reload) { return Answer(reload.prepared->finish(reload.request)); }},
        question);
    lock.lock();
    auto waiter = waiting_.find(ticket);
    if (waiter != waiting_.end()) waiter->second = std::move(answer);
    answered_.notify_all();
  }
}

}  // namespace holdfast
