#include "common/cli/http_client.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/admin/listeners.h"
#include "common/log/line_writer.h"

namespace holdfast {
namespace {

namespace beast = boost::beast;
using Parser = beast::http::response_parser<beast::http::string_body>;

Unanswered cannot_connect(const std::string& socket, int error) {
  switch (error) {
    case EACCES:
    case EPERM:
      return {true, "not allowed to use the admin socket " + socket +
                        ": run as the agent's user or as a member of its [admin] group"};
    case ENOENT:
    case ECONNREFUSED:
      return {false, "no agent is running here: nothing answers at " + socket +
                         "; start it, or check [admin] socket"};
    default:
      return {false, "the admin socket " + socket + " cannot be used: " + std::strerror(error)};
  }
}

// Waits until the socket is ready for `events`. False: not within `timeout`.
bool wait_for(int fd, short events, Duration timeout) {
  const std::int64_t until_ms = monotonic_ms() + duration_cast<milliseconds>(timeout).count();
  for (;;) {
    pollfd entry{fd, events, 0};
    std::int64_t left_ms = std::max<std::int64_t>(until_ms - monotonic_ms(), 0);
    int ready = ::poll(&entry, 1, static_cast<int>(left_ms));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

// Asks and reads the answer; each step may take `timeout`. Empty: `parser` has it, else why not.
std::string converse(int fd, std::string_view request, Duration timeout, Parser& parser) {
  const std::string late =
      "nothing came within " + std::to_string(duration_cast<seconds>(timeout).count()) + " s";
  while (!request.empty()) {
    if (!wait_for(fd, POLLOUT, timeout)) return "it takes nothing";
    ssize_t taken = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    if (taken > 0) request.remove_prefix(static_cast<std::size_t>(taken));
    if (taken < 0 && errno != EINTR && errno != EAGAIN) return std::strerror(errno);
  }
  std::string unread;
  for (char buffer[65536]; !parser.is_done();) {
    if (!wait_for(fd, POLLIN, timeout)) return late;
    ssize_t taken = ::recv(fd, buffer, sizeof buffer, 0);
    if (taken < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (taken < 0) return std::strerror(errno);
    beast::error_code error;
    if (taken == 0) {
      if (!parser.got_some()) return "it closed the connection";  // put_eof() would abort
      parser.put_eof(error);
      return error || !parser.is_done() ? "it closed the connection" : "";
    }
    unread.append(buffer, static_cast<std::size_t>(taken));
    unread.erase(0, parser.put(boost::asio::buffer(unread), error));
    if (error && error != beast::http::error::need_more) return "what it said is no HTTP";
  }
  return "";
}

}  // namespace

std::variant<HttpAnswer, Unanswered> ask_agent(const std::string& socket, const std::string& method,
                                               const std::string& target, Duration timeout) {
  UnixConnection connection = connect_unix(socket);
  if (connection.error != 0) return cannot_connect(socket, connection.error);
  Parser parser;
  parser.eager(true);
  parser.body_limit(UINT64_MAX);  // the agent has its own
  std::string request = method + " " + target +
                        " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        "Content-Length: 0\r\n\r\n";
  std::string why_not = converse(connection.fd.get(), request, timeout, parser);
  if (!why_not.empty()) {
    return Unanswered{false, "the agent at " + socket + " did not answer (" + why_not +
                                 "); is it stopped or stuck?"};
  }
  auto response = parser.release();
  return HttpAnswer{static_cast<int>(response.result_int()), std::move(response.body())};
}

}  // namespace holdfast
