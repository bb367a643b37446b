// HttpServer: a small HTTP/1.1 server on listening sockets, for local users and scrapers.
//
// One thread does all reading and writing, so a user who says nothing, or half of a request, or
// does not read its answer, costs a descriptor and some bytes and holds up nobody. A few others
// make the answers of whole requests; routes of health have two of their own, which nothing else
// can keep busy. One request a connection; ranges are not served. The limits below are what makes
// it safe to leave open to whoever can connect.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/base/time.h"

namespace holdfast {

struct HttpResponse {
  int status = 200;
  std::string content_type;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers = {};  // further ones
};

using HttpParameters = std::map<std::string, std::string>;  // of the query string

struct HttpRoute {
  enum class Method : std::uint8_t { get, post };
  Method method{};
  std::string path;
  std::function<HttpResponse(const HttpParameters&)> answer;  // on any of the threads
  // Where set: 403 with this text unless it is empty, for the request's Host header.
  std::function<std::string(std::string_view)> refuse_host = nullptr;
  bool health = false;  // small, soon made, and answered whatever else is asked
};

struct HttpLimits {
  std::size_t threads = 4;            // besides those for health
  std::size_t users = 64;             // that have not said all: more, and the oldest is closed
  std::size_t waiting = 64;           // whole requests that wait for a thread; so for health
  std::size_t request_bytes = 65536;  // head and body
  // Of one answer (a larger one is a 503 that says so), and of all together that nobody has read
  // yet (more, and who has read nothing for longest is closed).
  std::size_t answer_bytes = 64U << 20;
  Duration silence = seconds(10);  // from accept to the first byte
  Duration request = seconds(2);   // from there to the whole request
  Duration response = seconds(5);  // from its first byte written to its last
};

class HttpServer {
 public:
  // `listeners` do not block, and stay the caller's: they must outlive the server. The error is the
  // host's, which gives no threads.
  static Result<std::unique_ptr<HttpServer>> start(std::vector<int> listeners,
                                                   std::vector<HttpRoute> routes,
                                                   const HttpLimits& limits = {});
  // Cuts off whoever is connected. Waits for answers that are being made.
  virtual ~HttpServer() = default;
};

}  // namespace holdfast
