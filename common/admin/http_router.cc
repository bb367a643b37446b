#include "common/admin/http_router.h"

#include <zlib.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <exception>
#include <utility>

#include "common/admin/http_request.h"

namespace holdfast {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

// Boost's own kind of string_view, which its versions name differently.
template <typename Text>
std::string_view view(const Text& text) {
  return {text.data(), text.size()};
}

bool begins(std::string_view text, std::string_view with) {
  return text.substr(0, with.size()) == with;
}

// Worth compressing, and in memory as one piece anyway.
bool is_text(std::string_view content_type) {
  return begins(content_type, "text/") || begins(content_type, "application/json");
}

// Empty: it did not work, which is no reason to answer nothing.
std::string gzipped(const std::string& text) {
  z_stream stream{};
  constexpr int kGzip = 16, kMemoryLevel = 8;
  if (text.size() > UINT32_MAX / 2 ||
      deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, MAX_WBITS + kGzip, kMemoryLevel,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return "";
  }
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(done ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

std::string text_of(Response& response, bool head_only) {
  http::response_serializer<http::string_body> serializer(response);
  serializer.split(head_only);  // the head comes alone, and is all that is taken
  std::string out;
  out.reserve(response.body().size() + 512);
  beast::error_code error;
  while (!error && !serializer.is_done() && !(head_only && serializer.is_header_done())) {
    serializer.next(error, [&](beast::error_code&, const auto& buffers) {
      std::size_t taken = 0;
      for (auto buffer : beast::buffers_range_ref(buffers)) {
        out.append(static_cast<const char*>(buffer.data()), buffer.size());
        taken += buffer.size();
      }
      serializer.consume(taken);
    });
  }
  return error ? "" : out;
}

void set_json_error(Response& response, unsigned status, const std::string& what) {
  response.result(status);
  response.set(http::field::content_type, "application/json");
  response.body() = "{\"error\":\"" + what + "\"}\n";
}

// Messages are read and written by Boost.Beast, as text: no socket, no thread of its own.
class HttpRouterImpl final : public HttpRouter {
 public:
  HttpRouterImpl(std::vector<HttpRoute> routes, const HttpLimits& limits) : limits_(limits) {
    for (HttpRoute& route : routes) {
      std::string path = route.path;
      auto& table = route.method == HttpRoute::Method::get ? get_ : post_;
      table.emplace(std::move(path), std::move(route));
    }
  }

  std::string answer(std::string_view text) override {
    Response response(http::status::ok, 11);
    response.keep_alive(false);
    http::request_parser<http::string_body> parser;
    parser.header_limit(static_cast<std::uint32_t>(limits_.request_bytes));
    parser.body_limit(limits_.request_bytes);
    parser.eager(true);
    beast::error_code error;
    parser.put(boost::asio::buffer(text.data(), text.size()), error);
    bool head_only = false;
    if (error || !parser.is_done()) {
      bool large = error == http::error::body_limit;
      response.result(large ? http::status::payload_too_large : http::status::bad_request);
    } else {
      const Request& request = parser.get();
      head_only = request.method() == http::verb::head;
      route(request, response);
      compress_for(request, response);
    }
    if (response.result_int() >= 400 && response.body().empty()) {
      unsigned status = response.result_int();
      set_json_error(response, status, "HTTP status " + std::to_string(status));
    }
    response.prepare_payload();
    return text_of(response, head_only);
  }

  bool is_health(std::string_view request) const override {
    auto found = get_.find(request_path(request));
    return found != get_.end() && found->second.health;
  }

 private:
  using Routes = std::map<std::string, HttpRoute, std::less<>>;

  void route(const Request& request, Response& response) const {
    http::verb method = request.method();
    if (method == http::verb::unknown) return response.result(http::status::bad_request);
    std::string_view target = view(request.target());
    std::string_view query = target.substr(std::min(target.find('?'), target.size()));
    std::string path = percent_decoded(target.substr(0, target.size() - query.size()));
    bool get = method == http::verb::get || method == http::verb::head;
    const Routes& routes = get ? get_ : post_;
    auto found = routes.find(path);
    if (found == routes.end() || (!get && method != http::verb::post)) {
      return response.result(http::status::not_found);
    }
    const HttpRoute& route = found->second;
    std::string why_not =
        route.refuse_host ? route.refuse_host(view(request[http::field::host])) : "";
    if (!why_not.empty()) {
      response.result(http::status::forbidden);
      response.set(http::field::content_type, "text/plain; charset=utf-8");
      response.body() = std::move(why_not);
      return;
    }
    HttpParameters parameters;
    if (!query.empty()) add_parameters(query.substr(1), parameters);
    if (begins(view(request[http::field::content_type]), "application/x-www-form-urlencoded")) {
      add_parameters(request.body(), parameters);
    }
    try {
      give(route.answer(parameters), response);
    } catch (const std::exception&) {
      response.result(http::status::internal_server_error);
    }
  }

  void give(HttpResponse made, Response& response) const {
    if (made.body.size() > limits_.answer_bytes) {
      return set_json_error(response, 503,
                            "the answer has more than " +
                                std::to_string(limits_.answer_bytes >> 20) +
                                " MiB: ask for less (limit=, service=, client=)");
    }
    response.result(static_cast<unsigned>(made.status));
    for (const auto& [name, value] : made.headers) response.set(name, value);
    response.set(http::field::content_type, made.content_type);
    response.body() = std::move(made.body);
  }

  static void compress_for(const Request& request, Response& response) {
    std::string_view accepted = view(request[http::field::accept_encoding]);
    if (accepted.find("gzip") == std::string_view::npos || response.body().empty() ||
        !is_text(view(response[http::field::content_type]))) {
      return;
    }
    std::string smaller = gzipped(response.body());
    if (smaller.empty()) return;
    response.set(http::field::content_encoding, "gzip");
    response.body() = std::move(smaller);
  }

  const HttpLimits limits_;
  Routes get_, post_;
};

}  // namespace

std::unique_ptr<HttpRouter> HttpRouter::make(std::vector<HttpRoute> routes,
                                             const HttpLimits& limits) {
  return std::make_unique<HttpRouterImpl>(std::move(routes), limits);
}

}  // namespace holdfast
