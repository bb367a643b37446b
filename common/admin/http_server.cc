#include "common/admin/http_server.h"

#include <httplib.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "common/admin/line_writer.h"
#include "common/admin/unique_fd.h"

namespace holdfast {
namespace {

// How long accepting rests when the process is out of descriptors.
constexpr std::int64_t kAcceptRest_ms = 100;

std::int64_t to_ms(Duration duration) {
  return duration_cast<milliseconds>(duration).count();
}

// One user's socket as httplib reads and writes it: with a deadline and a limit, and given up at
// once when the server stops.
class DeadlineStream final : public httplib::Stream {
 public:
  // cppcheck-suppress uninitMemberVar  ; of buffer_ only what fill() has written is read
  DeadlineStream(int fd, int stop, const HttpLimits& limits)
      : fd_(fd),
        stop_(stop),
        limits_(limits),
        deadline_ms_(monotonic_ms() + to_ms(limits.request)) {}

  bool is_readable() const override { return position_ < filled_ || wait(POLLIN); }
  bool is_writable() const override { return wait(POLLOUT); }
  void get_remote_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  void get_local_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  socket_t socket() const override { return -1; }  // nobody else may use it

  ssize_t read(char* to, std::size_t size) override {
    if (position_ == filled_ && !fill()) return -1;
    std::size_t taken = std::min(size, filled_ - position_);
    std::copy_n(buffer_ + position_, taken, to);
    position_ += taken;
    return static_cast<ssize_t>(taken);
  }

  ssize_t write(const char* from, std::size_t size) override {
    if (!responding_) {
      responding_ = true;
      deadline_ms_ = monotonic_ms() + to_ms(limits_.response);
    }
    while (wait(POLLOUT)) {
      ssize_t taken = ::send(fd_, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (taken >= 0) return taken;
      if (errno != EAGAIN && errno != EINTR) return -1;
    }
    return -1;
  }

 private:
  bool fill() {
    while (total_ < limits_.request_bytes && wait(POLLIN)) {
      ssize_t taken = ::recv(fd_, buffer_, sizeof buffer_, MSG_DONTWAIT);
      if (taken > 0) {
        position_ = 0;
        filled_ = static_cast<std::size_t>(taken);
        total_ += filled_;
        return true;
      }
      if (taken == 0 || (errno != EAGAIN && errno != EINTR)) return false;
    }
    return false;
  }

  bool wait(short events) const {
    for (;;) {
      std::int64_t left = deadline_ms_ - monotonic_ms();
      if (left <= 0) return false;
      pollfd entries[2] = {{fd_, events, 0}, {stop_, POLLIN, 0}};
      int ready = ::poll(entries, 2, static_cast<int>(left));
      if (ready < 0 && errno != EINTR) return false;
      if (ready > 0) return entries[1].revents == 0;
    }
  }

  const int fd_;
  const int stop_;
  const HttpLimits& limits_;
  std::int64_t deadline_ms_;
  bool responding_ = false;
  char buffer_[4096];
  std::size_t position_ = 0;
  std::size_t filled_ = 0;
  std::size_t total_ = 0;
};

// httplib without its own sockets and threads: routing and HTTP's text.
class Router final : public httplib::Server {
 public:
  Router(std::vector<HttpRoute> routes, const HttpLimits& limits) {
    set_payload_max_length(limits.request_bytes);
    for (HttpRoute& route : routes) add(std::move(route));
    set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (!response.body.empty()) return;
      std::string status = std::to_string(response.status);
      response.set_content("{\"error\":\"HTTP status " + status + "\"}\n", "application/json");
    });
    // The library's signature.
    auto failed = [](const httplib::Request&, httplib::Response& response,
                     std::exception_ptr) {  // NOLINT(performance-unnecessary-value-param)
      response.status = 500;
    };
    set_exception_handler(failed);
  }

  void serve(httplib::Stream& stream) {
    bool closed = false;
    process_request(stream, true, closed, nullptr);
  }

 private:
  void add(HttpRoute route) {
    std::string pattern = route.path;
    auto method = route.method;
    auto handler = [answer = std::move(route.answer), refuse = std::move(route.refuse_host)](
                       const httplib::Request& request, httplib::Response& response) {
      std::string why_not = refuse ? refuse(request.get_header_value("Host")) : "";
      if (!why_not.empty()) {
        response.status = 403;
        return response.set_content(why_not, "text/plain; charset=utf-8");
      }
      HttpResponse made = answer({request.params.begin(), request.params.end()});
      response.status = made.status;
      for (const auto& [name, value] : made.headers) response.set_header(name, value);
      response.set_content(made.body, made.content_type);
    };
    if (method == HttpRoute::Method::get) {
      Get(pattern, std::move(handler));
    } else {
      Post(pattern, std::move(handler));
    }
  }
};

class HttpServerImpl final : public HttpServer {
 public:
  HttpServerImpl(int listener, std::vector<HttpRoute> routes, const HttpLimits& limits)
      : listener_(listener),
        limits_(limits),
        router_(std::move(routes), limits),
        stop_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    // Signals are the loop's: threads inherit a mask with all of them blocked.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    acceptor_ = std::thread([this] { accept_users(); });
    for (std::size_t i = 0; i < limits_.threads; ++i) {
      workers_.emplace_back([this] { answer_users(); });
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  ~HttpServerImpl() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    ::eventfd_write(stop_.get(), 1);
    spoken_.notify_all();
    acceptor_.join();
    for (std::thread& worker : workers_) worker.join();
  }

 private:
  struct Silent {
    UniqueFd fd;
    std::int64_t until_ms = 0;
  };

  void accept_users() {
    std::deque<Silent> silent;  // the longest waiting first
    std::int64_t rest_until_ms = 0;
    for (;;) {
      bool resting = monotonic_ms() < rest_until_ms;
      std::vector<pollfd> entries = {{stop_.get(), POLLIN, 0},
                                     {resting ? -1 : listener_, POLLIN, 0}};
      for (const Silent& user : silent) entries.push_back({user.fd.get(), POLLIN, 0});
      int wait_ms = silent.empty() ? -1 : to_wait(silent.front().until_ms);
      if (resting) wait_ms = to_wait(rest_until_ms);
      if (::poll(entries.data(), entries.size(), wait_ms) < 0) continue;
      if (entries[0].revents != 0) return;
      sort_out(silent, entries);
      if (entries[1].revents != 0 && !accept_one(silent)) {
        rest_until_ms = monotonic_ms() + kAcceptRest_ms;
      }
    }
  }

  static int to_wait(std::int64_t until_ms) {
    return static_cast<int>(std::max<std::int64_t>(until_ms - monotonic_ms() + 1, 0));
  }

  // Whoever speaks goes to the threads, whoever was silent for too long goes.
  void sort_out(std::deque<Silent>& silent, const std::vector<pollfd>& entries) {
    std::deque<Silent> still;
    for (std::size_t i = 0; i < silent.size(); ++i) {
      if (entries[i + 2].revents != 0) {
        hand_over(std::move(silent[i].fd));
      } else if (monotonic_ms() < silent[i].until_ms) {
        still.push_back(std::move(silent[i]));
      }
    }
    silent = std::move(still);
  }

  void hand_over(UniqueFd fd) {
    std::lock_guard lock(mutex_);
    if (queue_.size() >= limits_.silent_users) return;  // more than the threads can answer: close
    queue_.push_back(std::move(fd));
    spoken_.notify_one();
  }

  bool accept_one(std::deque<Silent>& silent) {
    UniqueFd fd(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    if (silent.size() >= limits_.silent_users) silent.pop_front();
    silent.push_back({std::move(fd), monotonic_ms() + to_ms(limits_.silence)});
    return true;
  }

  void answer_users() {
    for (;;) {
      UniqueFd fd;
      {
        std::unique_lock lock(mutex_);
        spoken_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
        if (stopping_) return;
        fd = std::move(queue_.front());
        queue_.pop_front();
      }
      DeadlineStream stream(fd.get(), stop_.get(), limits_);
      try {
        router_.serve(stream);
      } catch (...) {
        // Out of memory at worst: this user's connection is closed, nothing else happened.
      }
    }
  }

  const int listener_;
  const HttpLimits limits_;
  Router router_;
  UniqueFd stop_;
  std::mutex mutex_;
  std::condition_variable spoken_;
  std::deque<UniqueFd> queue_;
  bool stopping_ = false;
  std::thread acceptor_;
  std::vector<std::thread> workers_;
};

}  // namespace

std::unique_ptr<HttpServer> HttpServer::start(int listener, std::vector<HttpRoute> routes,
                                              const HttpLimits& limits) {
  return std::make_unique<HttpServerImpl>(listener, std::move(routes), limits);
}

}  // namespace holdfast
