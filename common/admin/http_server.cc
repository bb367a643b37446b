#include "common/admin/http_server.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <iterator>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "common/admin/http_request.h"
#include "common/admin/http_router.h"
#include "common/base/host_refused.h"
#include "common/log/line_writer.h"
#include "common/log/unique_fd.h"

namespace holdfast {
namespace {

// How long accepting rests when the process is out of descriptors.
constexpr std::int64_t kAcceptRest_ms = 100;
// New users a turn, so that a flood of them does not keep the others waiting.
constexpr int kAcceptsPerTurn = 16;
// Two: while the loop is stuck each answer takes as long as our patience with it.
constexpr std::size_t kHealthThreads = 2;
// The last descriptors are the link's: while users have some of them, only so many of each kind.
constexpr std::size_t kScarceUsers = 4;

// From this number on descriptors are few: as DescriptorBudget has it.
int scarce_from() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return INT_MAX;
  rlim_t reserve = std::min<rlim_t>(limit.rlim_cur / 8, 64);
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur - reserve, INT_MAX));
}

std::int64_t from_now(Duration duration) {
  return monotonic_ms() + duration_cast<milliseconds>(duration).count();
}

enum class Progress : std::uint8_t { waits, whole, over };

// One user: first its request grows, later its answer is sent. The socket never blocks.
struct User {
  UniqueFd fd;
  std::int64_t until_ms = 0;
  std::string text = {};  // the request, then the answer
  std::size_t sent = 0;

  Progress read(const HttpLimits& limits) {
    for (char buffer[4096];;) {
      ssize_t taken = ::recv(fd.get(), buffer, sizeof buffer, 0);
      if (taken < 0 && errno == EINTR) continue;
      if (taken < 0 && errno == EAGAIN) return Progress::waits;
      if (taken <= 0) return Progress::over;
      if (text.empty()) until_ms = from_now(limits.request);
      text.append(buffer, static_cast<std::size_t>(taken));
      std::optional<std::size_t> size = request_size(text);
      if (size.value_or(text.size()) > limits.request_bytes) return Progress::over;
      if (size && *size <= text.size()) return Progress::whole;
    }
  }

  Progress write() {
    while (sent < text.size()) {
      ssize_t taken = ::send(fd.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (taken < 0 && errno == EINTR) continue;
      if (taken < 0 && errno == EAGAIN) return Progress::waits;
      if (taken < 0) return Progress::over;
      sent += static_cast<std::size_t>(taken);
    }
    return Progress::over;
  }
};

// Whole requests that wait for one of a group of threads.
struct Lane {
  std::condition_variable spoken = {};
  std::deque<User> queue = {};
  std::vector<std::thread> threads = {};
};

class HttpServerImpl final : public HttpServer {
 public:
  HttpServerImpl(std::vector<int> listeners, std::vector<HttpRoute> routes,
                 const HttpLimits& limits)
      : listeners_(std::move(listeners)),
        limits_(limits),
        router_(HttpRouter::make(std::move(routes), limits)),
        wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  // Once. After an error it can only be destroyed.
  Status begin() {
    if (!wake_) return Error{"the host refuses an eventfd: " + std::string(std::strerror(errno))};
    // Signals are the loop's: threads inherit a mask with all of them blocked.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    Status begun = start_all();
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return begun;
  }

  ~HttpServerImpl() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    ::eventfd_write(wake_.get(), 1);
    if (talker_.joinable()) talker_.join();
    for (Lane* lane : {&health_, &others_}) {
      lane->spoken.notify_all();
      for (std::thread& thread : lane->threads) thread.join();
    }
  }

 private:
  Status start_all() {
    try {
      talker_ = std::thread([this] { talk(); });
      start_threads(health_, kHealthThreads);
      start_threads(others_, limits_.threads);
    } catch (const std::system_error& refused) {
      return Error{"the host refuses " + std::string(kThread) + ": " + refused.code().message()};
    }
    return Ok{};
  }

  void start_threads(Lane& lane, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      lane.threads.emplace_back([this, &lane] { answer_users(lane); });
    }
  }

  // ---- The thread that reads and writes.

  void talk() {
    std::int64_t rest_until_ms = 0;
    std::vector<pollfd> entries;
    while (take_answers()) {
      bool resting = monotonic_ms() < rest_until_ms;
      entries = {{wake_.get(), POLLIN, 0}};
      for (int listener : listeners_) entries.push_back({resting ? -1 : listener, POLLIN, 0});
      for (const User& user : readers_) entries.push_back({user.fd.get(), POLLIN, 0});
      for (const User& user : writers_) entries.push_back({user.fd.get(), POLLOUT, 0});
      if (::poll(entries.data(), entries.size(), to_wait(resting ? rest_until_ms : -1)) < 0) {
        continue;
      }
      eventfd_t times = 0;
      if (entries[0].revents != 0) ::eventfd_read(wake_.get(), &times);
      const pollfd* entry = entries.data() + 1 + listeners_.size();
      entry = sort_out(readers_, entry, [this](User& user) { return read(user); });
      sort_out(writers_, entry, [](User& user) { return user.write() == Progress::waits; });
      for (std::size_t each = 0; each < listeners_.size(); ++each) {
        if (entries[1 + each].revents == 0 || accept_some(listeners_[each])) continue;
        rest_until_ms = monotonic_ms() + kAcceptRest_ms;
      }
    }
  }

  // Until the first deadline, the users' or `until_ms`; -1: there is none.
  int to_wait(std::int64_t until_ms) const {
    for (const auto* users : {&readers_, &writers_}) {
      for (const User& user : *users) {
        until_ms = until_ms < 0 ? user.until_ms : std::min(until_ms, user.until_ms);
      }
    }
    if (until_ms < 0) return -1;
    return static_cast<int>(std::max<std::int64_t>(until_ms - monotonic_ms() + 1, 0));
  }

  // Keeps those for whom `stays` is true, and who have time left; who got on is the last to go.
  // Returns the next users' entries.
  template <typename Stays>
  const pollfd* sort_out(std::deque<User>& users, const pollfd* entry, Stays stays) {
    std::deque<User> still, got_on;
    for (User& user : users) {
      bool ready = (entry++)->revents != 0;
      if (!ready && monotonic_ms() < user.until_ms) still.push_back(std::move(user));
      if (ready && stays(user)) got_on.push_back(std::move(user));
    }
    users = std::move(still);
    std::move(got_on.begin(), got_on.end(), std::back_inserter(users));
    return entry;
  }

  // False: this one is no reader any more.
  bool read(User& user) {
    Progress progress = user.read(limits_);
    if (progress == Progress::whole) hand_over(std::move(user));
    return progress == Progress::waits && monotonic_ms() < user.until_ms;
  }

  void hand_over(User user) {
    Lane& lane = router_->is_health(user.text) ? health_ : others_;
    std::lock_guard lock(mutex_);
    // More than can be answered, or than there are descriptors for: close.
    if (lane.queue.size() >= (scarce(user) ? kScarceUsers : limits_.waiting)) return;
    lane.queue.push_back(std::move(user));
    lane.spoken.notify_one();
  }

  bool scarce(const User& user) const { return user.fd.get() >= scarce_from_; }

  // False: the process is out of descriptors.
  bool accept_some(int listener) {
    for (int i = 0; i < kAcceptsPerTurn; ++i) {
      UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!fd) return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
      User user{std::move(fd), from_now(limits_.silence)};
      if (!read(user)) continue;  // mostly: its request came with it
      std::size_t most = scarce(user) ? kScarceUsers : limits_.users;
      while (readers_.size() >= most) readers_.pop_front();
      readers_.push_back(std::move(user));
    }
    return true;
  }

  // Answers that their users did not take at once. False: the server stops.
  bool take_answers() {
    std::lock_guard lock(mutex_);
    for (User& user : answered_) {
      while (scarce(user) && writers_.size() >= kScarceUsers) writers_.pop_front();
      writers_.push_back(std::move(user));
    }
    answered_.clear();
    std::size_t unread = 0;
    for (const User& user : writers_) unread += user.text.size();
    for (; unread > limits_.answer_bytes && writers_.size() > 1; writers_.pop_front()) {
      unread -= writers_.front().text.size();
    }
    return !stopping_;
  }

  // ---- The threads that make answers.

  void answer_users(Lane& lane) {
    for (;;) {
      User user;
      {
        std::unique_lock lock(mutex_);
        lane.spoken.wait(lock, [&] { return stopping_ || !lane.queue.empty(); });
        if (stopping_) return;
        user = std::move(lane.queue.front());
        lane.queue.pop_front();
      }
      try {
        answer(std::move(user));
      } catch (...) {
        // Out of memory at worst: this user's connection is closed, nothing else happened.
      }
    }
  }

  void answer(User user) {
    user.text = router_->answer(user.text);
    user.until_ms = from_now(limits_.response);
    if (user.write() == Progress::over) return;
    std::lock_guard lock(mutex_);
    answered_.push_back(std::move(user));
    ::eventfd_write(wake_.get(), 1);
  }

  const std::vector<int> listeners_;
  const HttpLimits limits_;
  const int scarce_from_ = scarce_from();
  std::unique_ptr<HttpRouter> router_;
  UniqueFd wake_;
  std::deque<User> readers_, writers_;  // the talker's; the longest waiting first
  std::mutex mutex_;
  Lane health_, others_;       // guarded: their queues
  std::deque<User> answered_;  // guarded
  bool stopping_ = false;      // guarded
  std::thread talker_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(std::vector<int> listeners,
                                                      std::vector<HttpRoute> routes,
                                                      const HttpLimits& limits) {
  auto server = std::make_unique<HttpServerImpl>(std::move(listeners), std::move(routes), limits);
  if (Status begun = server->begin(); !begun) return begun.error();
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace holdfast
