#include "common/admin/loop_backend.h"

#include <algorithm>
#include <ctime>
#include <iterator>
#include <utility>

#include "common/base/overloaded.h"

namespace holdfast {
namespace {

Duration thread_cpu_time() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return seconds(used.tv_sec) + microseconds(used.tv_nsec / 1000);
}

}  // namespace

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

Result<std::vector<ConnectionSnapshot>> LoopBackend::all_connections() {
  std::vector<ConnectionSnapshot> all;
  std::string why_not;
  for (std::optional<ConnectionCursor> from = ConnectionCursor{}; from;) {
    std::optional<Answer> answer = ask(*from, why_not);
    if (!answer) return Error{why_not};
    auto& page = std::get<ConnectionPage>(*answer);
    std::move(page.connections.begin(), page.connections.end(), std::back_inserter(all));
    from = page.next;
  }
  return all;
}

Result<AgentSnapshot> LoopBackend::snapshot(const SnapshotQuery& query) {
  std::string why_not;
  std::optional<Answer> answer = ask(query, why_not);
  if (!answer) return Error{why_not};
  auto snapshot = std::get<Result<AgentSnapshot>>(std::move(*answer));
  if (!snapshot || !query.connections) return snapshot;
  auto connections = all_connections();
  if (!connections) return connections.error();
  snapshot->connections = std::move(*connections);
  return snapshot;
}

Result<std::optional<ConnectionSnapshot>> LoopBackend::connection(const std::string& id) {
  std::string why_not;
  std::optional<Answer> answer = ask(ById{id}, why_not);
  if (!answer) return Error{why_not};
  return std::get<Result<std::optional<ConnectionSnapshot>>>(std::move(*answer));
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

void LoopBackend::serve(PagedBackend& agent) {
  std::unique_lock lock(mutex_);
  // Nobody waits for it any more: a kill that was answered with "no answer" must not happen.
  while (!questions_.empty() && waiting_.count(questions_.front().first) == 0) {
    questions_.pop_front();
  }
  if (questions_.empty()) return;
  auto [ticket, question] = std::move(questions_.front());
  questions_.pop_front();
  lock.unlock();
  Duration before = thread_cpu_time();
  Answer answer = std::visit(
      overloaded{
          [&](const SnapshotQuery& query) { return Answer(agent.snapshot(query)); },
          [&](const ConnectionCursor& from) { return Answer(agent.connections(from)); },
          [&](const ById& named) { return Answer(agent.connection(named.id)); },
          [&](const Command& command) { return Answer(agent.command(command)); },
          [](const Reload& reload) { return Answer(reload.prepared->finish(reload.request)); }},
      question);
  Duration taken = thread_cpu_time() - before;
  longest_answer_ = std::max(longest_answer_, taken);
  if (auto* snapshot = std::get_if<Result<AgentSnapshot>>(&answer); snapshot && *snapshot) {
    (*snapshot)->longest_answer = longest_answer_;
  }
  lock.lock();
  auto waiter = waiting_.find(ticket);
  if (waiter != waiting_.end()) waiter->second = std::move(answer);
  answered_.notify_all();
  bool more = !questions_.empty();
  lock.unlock();
  if (more) wake_();
}

}  // namespace holdfast
