#include "common/admin/http_router.h"

#include <httplib.h>

#include <algorithm>
#include <set>

#include "common/admin/http_request.h"

namespace holdfast {
namespace {

// Beside an answer's body: its head.
constexpr std::size_t kMostHead_bytes = 65536;

// A request and its answer as httplib reads and writes them.
class TextStream final : public httplib::Stream {
 public:
  TextStream(std::string request, std::size_t most) : request_(std::move(request)), most_(most) {}

  bool is_readable() const override { return position_ < request_.size(); }
  bool is_writable() const override { return true; }
  void get_remote_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  void get_local_ip_and_port(std::string& ip, int& port) const override { ip.clear(), port = 0; }
  socket_t socket() const override { return -1; }  // there is none

  ssize_t read(char* to, std::size_t size) override {
    std::size_t taken = std::min(size, request_.size() - position_);
    std::copy_n(request_.data() + position_, taken, to);
    position_ += taken;
    return static_cast<ssize_t>(taken);
  }

  ssize_t write(const char* from, std::size_t size) override {
    if (size > most_ - answer_.size()) return -1;
    answer_.append(from, size);
    return static_cast<ssize_t>(size);
  }

  std::string take_answer() { return std::move(answer_); }

 private:
  const std::string request_;
  const std::size_t most_;
  std::size_t position_ = 0;
  std::string answer_;
};

// httplib without its sockets and threads.
class HttpRouterImpl final : public HttpRouter, private httplib::Server {
 public:
  HttpRouterImpl(std::vector<HttpRoute> routes, const HttpLimits& limits)
      : answer_bytes_(limits.answer_bytes) {
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

  std::string answer(std::string_view request) override {
    TextStream stream(without_ranges(request), answer_bytes_ + kMostHead_bytes);
    bool closed = false;
    process_request(stream, true, closed, nullptr);
    return stream.take_answer();
  }

  bool is_health(std::string_view request) const override {
    return health_.find(request_path(request)) != health_.end();
  }

 private:
  void add(HttpRoute route) {
    std::string pattern = route.path;
    auto method = route.method;
    if (route.health) health_.insert(pattern);
    auto handler = [this, make = std::move(route.answer), refuse = std::move(route.refuse_host)](
                       const httplib::Request& request, httplib::Response& response) {
      std::string why_not = refuse ? refuse(request.get_header_value("Host")) : "";
      if (!why_not.empty()) {
        response.status = 403;
        return response.set_content(why_not, "text/plain; charset=utf-8");
      }
      give(make({request.params.begin(), request.params.end()}), response);
    };
    if (method == HttpRoute::Method::get) {
      Get(pattern, std::move(handler));
    } else {
      Post(pattern, std::move(handler));
    }
  }

  void give(HttpResponse made, httplib::Response& response) const {
    if (made.body.size() > answer_bytes_) {
      response.status = 503;
      return response.set_content("{\"error\":\"the answer has more than " +
                                      std::to_string(answer_bytes_ >> 20) +
                                      " MiB: ask for less (limit=, service=, client=)\"}\n",
                                  "application/json");
    }
    response.status = made.status;
    for (const auto& [name, value] : made.headers) response.set_header(name, value);
    response.set_header("Content-Type", made.content_type);
    response.body = std::move(made.body);
  }

  const std::size_t answer_bytes_;
  std::set<std::string, std::less<>> health_;
};

}  // namespace

std::unique_ptr<HttpRouter> HttpRouter::make(std::vector<HttpRoute> routes,
                                             const HttpLimits& limits) {
  return std::make_unique<HttpRouterImpl>(std::move(routes), limits);
}

}  // namespace holdfast
