#include "common/io/resolver.h"

#include <algorithm>

namespace holdfast {
namespace {

// A look-up under way for longer hangs, and gets another beside it: a name server is asked for 5 s
// before the next one is, and resolv.conf may say something else by now.
constexpr Duration kHangs = seconds(2);
// At most so many of one name at a time.
constexpr std::size_t kMostOfOneName = 4;
// Threads. Most names answer at once; those that were slow the last time leave a quarter to others.
constexpr std::size_t kSeats = 128;
constexpr std::size_t kSeatsForSlow = kSeats / 4 * 3;
constexpr Duration kSlow = seconds(1);
// How long an answer may take before the last good one is used: RFC 8305's resolution delay.
constexpr Duration kSoon = milliseconds(50);
// Who has not been asked for so long is forgotten: a reload took it away.
constexpr Duration kRemembered = seconds(3600);

}  // namespace

Resolver::Question::Question(Resolver& resolver, HostPort address,
                             std::function<void(const Answer&)> callback)
    : resolver_(resolver), address_(std::move(address)), callback_(std::move(callback)) {
  resolver_.ask(*this);
}

Resolver::Question::~Question() {
  resolver_.forget(*this);
}

Resolver::Resolver(Loop& loop)
    : Resolver(loop, std::make_unique<ThreadLookups>(
                         loop, [this](std::uint64_t number, FoundAddresses found) {
                           answered(number, std::move(found));
                         })) {}

Resolver::Resolver(Loop& loop, std::unique_ptr<Lookups> lookups)
    : loop_(loop), lookups_(std::move(lookups)), timer_(loop.timers(), [this] { renew(); }) {}

Resolver::~Resolver() = default;

std::optional<Resolver::Known> Resolver::known(const HostPort& address) {
  auto found = names_.find(address.host);
  if (found == names_.end() || found->second.known.empty()) return std::nullopt;
  const Name& name = found->second;
  bool hangs = !name.attempts.empty() && loop_.now() - name.attempts.back().began > kSoon;
  return Known{in_order(name, name.known, address.port),
               name.failure.has_value() || hangs || name.queued};
}

std::string Resolver::failure(const HostPort& address) const {
  auto found = names_.find(address.host);
  if (found == names_.end() || !found->second.failure) return "";
  return found->second.failure->message;
}

void Resolver::remember(const std::string& host, const FoundAddresses& found) {
  Name& name = names_[host];
  name.asked = loop_.now();
  name.failure.reset();
  if (!found) {
    name.failure = found.error();
    return;
  }
  name.known = *found;
  name.known_from = last_number_;  // what is under way was begun before
}

void Resolver::prefer(const HostPort& address, const SocketAddress& good) {
  auto found = names_.find(address.host);
  if (found != names_.end()) found->second.preferred[address.port] = good;
}

std::vector<SocketAddress> Resolver::in_order(const Name& name,
                                              const std::vector<SocketAddress>& found,
                                              std::uint16_t port) {
  std::vector<SocketAddress> addresses;
  for (const SocketAddress& each : found) addresses.push_back(each.with_port(port));
  auto preferred = name.preferred.find(port);
  if (preferred == name.preferred.end()) return addresses;
  auto good = std::find(addresses.begin(), addresses.end(), preferred->second);
  if (good != addresses.end()) std::rotate(addresses.begin(), good, good + 1);
  return addresses;
}

void Resolver::ask(Question& question) {
  if (names_.find(question.address_.host) == names_.end()) prune();
  Name& name = names_[question.address_.host];
  name.questions.push_back(&question);
  name.asked = loop_.now();
  if (name.attempts.empty() || overtaken(name)) look_up(question.address_.host, name);
  arm();
}

// What is under way hangs, or a younger one was quicker.
bool Resolver::overtaken(const Name& name) const {
  const Attempt& last = name.attempts.back();
  return loop_.now() - last.began >= kHangs || last.number < name.known_from;
}

void Resolver::forget(Question& question) {
  auto found = names_.find(question.address_.host);
  if (found == names_.end()) return;
  std::erase(found->second.questions, &question);
  std::erase(found->second.told, &question);
}

bool Resolver::seat_for(const Name& name) const {
  std::size_t taken = under_way_.size();
  // A second look-up of a name is a luxury.
  if (!name.attempts.empty()) return taken < kSeats / 2 && name.attempts.size() < kMostOfOneName;
  return taken < (name.slow ? kSeatsForSlow : kSeats);
}

void Resolver::look_up(const std::string& host, Name& name) {
  if (name.queued) return;
  if (!seat_for(name)) {
    if (!name.attempts.empty()) return;
    name.queued = true;
    queue_.push_back(host);
    return;
  }
  last_number_ += 1;
  name.attempts.push_back({last_number_, loop_.now()});
  under_way_.emplace(last_number_, host);
  lookups_->start(last_number_, host);
}

void Resolver::seat_queued() {
  for (std::size_t left = queue_.size(); left > 0; --left) {
    std::string host = std::move(queue_.front());
    queue_.pop_front();
    Name& name = names_.at(host);
    name.queued = false;
    if (!name.questions.empty()) look_up(host, name);
  }
}

void Resolver::answered(std::uint64_t number, FoundAddresses found) {
  auto whose = under_way_.find(number);
  HOLDFAST_CHECK(whose != under_way_.end());
  std::string host = std::move(whose->second);
  under_way_.erase(whose);
  Name& name = names_.at(host);
  auto attempt = std::find_if(name.attempts.begin(), name.attempts.end(),
                              [&](const Attempt& each) { return each.number == number; });
  name.slow = loop_.now() - attempt->began > kSlow;
  name.attempts.erase(attempt);
  if (number < name.known_from) return seat_queued();  // a younger one was quicker
  if (found) {
    name.known = *found;
    name.known_from = number;
    name.failure.reset();
    name.failure_untold = false;
    tell(name, found);
  } else {
    name.failure = found.error();
    // A younger one may have met a better name server.
    name.failure_untold = !name.attempts.empty() && name.attempts.back().number > number &&
                          loop_.now() - name.attempts.back().began < kHangs;
    if (!name.failure_untold) tell(name, found);
  }
  seat_queued();
  arm();
}

void Resolver::tell(Name& name, const Answer& answer) {
  name.told = std::exchange(name.questions, {});
  while (!name.told.empty()) {
    Question& question = *name.told.back();
    name.told.pop_back();
    std::function<void(const Answer&)> callback = question.callback_;
    callback(answer ? Answer(in_order(name, *answer, question.address_.port)) : answer);
  }
}

// Those that hang while somebody waits.
void Resolver::renew() {
  for (auto& [host, name] : names_) {
    if (name.questions.empty() || name.attempts.empty()) continue;
    if (loop_.now() - name.attempts.back().began < kHangs) continue;
    name.slow = true;
    if (std::exchange(name.failure_untold, false)) {
      tell(name, Answer(*name.failure));
    } else {
      look_up(host, name);
    }
  }
  arm();
}

void Resolver::arm() {
  Time at = kNever;
  for (const auto& [host, name] : names_) {
    if (name.questions.empty() || name.attempts.empty()) continue;
    Time hangs = name.attempts.back().began + kHangs;
    // No seat for another: looked at again after as long.
    at = std::min(at, hangs > loop_.now() ? hangs : loop_.now() + kHangs);
  }
  timer_.arm(at);
}

void Resolver::prune() {
  std::erase_if(names_, [&](const auto& each) {
    const Name& name = each.second;
    return name.questions.empty() && name.told.empty() && name.attempts.empty() && !name.queued &&
           loop_.now() - name.asked > kRemembered;
  });
}

std::map<std::string, FoundAddresses> look_up_names(const std::vector<std::string>& hosts,
                                                    Duration patience) {
  class Wait final : public Loop::Task {
   public:
    explicit Wait(Loop& loop) : loop_(loop) {}
    bool end_of_turn() override {
      if (left == 0) loop_.stop();
      return false;
    }
    std::size_t left = 0;

   private:
    Loop& loop_;
  };
  std::map<std::string, FoundAddresses> answers;
  for (const std::string& host : hosts) {
    answers.insert_or_assign(host, Error{host + ": its name server does not answer"});
  }
  Loop loop;
  Resolver resolver(loop);
  Wait wait(loop);
  wait.left = answers.size();
  std::vector<std::unique_ptr<Resolver::Question>> questions;
  for (auto& [host, answer] : answers) {
    questions.push_back(std::make_unique<Resolver::Question>(
        resolver, HostPort{host, 0}, [&wait, &told = answer](const FoundAddresses& found) {
          told = found;
          wait.left -= 1;
        }));
  }
  Timer limit(loop.timers(), [&loop] { loop.stop(); });
  limit.arm(loop.now() + patience);
  loop.run(wait);
  return answers;
}

}  // namespace holdfast
