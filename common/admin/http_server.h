// HttpServer: a small HTTP/1.1 server on one listening socket, for local users and scrapers.
//
// A thread accepts and keeps users that say nothing (they cost a descriptor, no thread); a few
// others answer whoever has begun to speak. One request a connection. The limits below are what
// makes it safe to leave open to whoever can connect.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
};

struct HttpLimits {
  std::size_t threads = 4;
  std::size_t silent_users = 64;      // more, and the one that waits longest is closed
  std::size_t request_bytes = 65536;  // head and body
  Duration silence = seconds(10);     // from accept to the first byte
  Duration request = seconds(2);      // from there to the whole request
  Duration response = seconds(5);     // from its first byte written to its last
};

class HttpServer {
 public:
  // `listener` does not block, and stays the caller's: it must outlive the server.
  static std::unique_ptr<HttpServer> start(int listener, std::vector<HttpRoute> routes,
                                           const HttpLimits& limits = {});
  // Cuts off whoever is connected. Waits for answers that are being made.
  virtual ~HttpServer() = default;
};

}  // namespace holdfast
