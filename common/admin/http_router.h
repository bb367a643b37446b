// HttpRouter: from a whole request's text to its answer's text. Routing and HTTP are a library's;
// it never sees a socket.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/admin/http_server.h"

namespace holdfast {

class HttpRouter {
 public:
  static std::unique_ptr<HttpRouter> make(std::vector<HttpRoute> routes, const HttpLimits& limits);
  virtual ~HttpRouter() = default;

  // Any thread. Empty: there is nothing to say to this.
  virtual std::string answer(std::string_view request) = 0;
  virtual bool is_health(std::string_view request) const = 0;
};

}  // namespace holdfast
