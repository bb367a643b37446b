#include "common/admin/status_page.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "common/admin/host_check.h"
#include "common/admin/page_json.h"
#include "common/admin/snapshot_json.h"

namespace holdfast {
namespace {

std::string sha256_base64(std::string_view text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha256(), nullptr) != 1) return "";
  unsigned char encoded[4 * EVP_MAX_MD_SIZE / 3 + 5];
  int length = EVP_EncodeBlock(encoded, digest, static_cast<int>(size));
  return {reinterpret_cast<char*>(encoded), static_cast<std::size_t>(length)};
}

// " 'sha256-...'" for each <tag>...</tag>.
std::string hashes_of(std::string_view html, const std::string& tag) {
  std::string out;
  std::string begin = "<" + tag + ">", end = "</" + tag + ">";
  for (std::size_t at = 0; (at = html.find(begin, at)) != std::string_view::npos;) {
    at += begin.size();
    std::size_t stop = html.find(end, at);
    if (stop == std::string_view::npos) break;
    out += " 'sha256-" + sha256_base64(html.substr(at, stop - at)) + "'";
    at = stop;
  }
  return out;
}

// A number of seconds up to a century; none where there is anything else.
std::optional<Duration> duration_of(const HttpParameters& parameters, const std::string& name) {
  auto found = parameters.find(name);
  if (found == parameters.end()) return std::nullopt;
  constexpr double kMost_s = 100.0 * 366 * 86400;
  double amount = std::strtod(found->second.c_str(), nullptr);
  if (!std::isfinite(amount) || amount < 0 || amount > kMost_s) return std::nullopt;
  return Duration(static_cast<std::int64_t>(amount * 1e6));
}

TopConnections top_of(const HttpParameters& parameters) {
  TopConnections top;
  auto count = parameters.find("top");
  if (count != parameters.end()) {
    top.most = std::min<std::size_t>(std::strtoul(count->second.c_str(), nullptr, 10), kMostTop);
  }
  auto sort = parameters.find("sort");
  if (sort != parameters.end()) top.order = order_from(sort->second).value_or(top.order);
  auto service = parameters.find("service");
  if (service != parameters.end()) top.service = service->second;
  return top;
}

HttpResponse with_headers(HttpResponse response, const std::string& policy) {
  response.headers = {{"Content-Security-Policy", policy},
                      {"X-Content-Type-Options", "nosniff"},
                      {"X-Frame-Options", "DENY"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Resource-Policy", "same-origin"},
                      {"Cache-Control", "no-store"}};
  return response;
}

constexpr char kNothing[] = "default-src 'none'; frame-ancestors 'none'";

HttpResponse answer_json(Backend& backend, const HttpParameters& parameters) {
  TopConnections top = top_of(parameters);
  SnapshotQuery query;
  query.connections = top.most != 0;
  query.history_since = duration_of(parameters, "since").value_or(Duration{});
  Result<AgentSnapshot> snapshot = backend.snapshot(query);
  HttpResponse response{200, "application/json", "", {}};
  if (snapshot) {
    response.body = page_json(*snapshot, top);
  } else {
    response.status = 503;
    response.body = error_json(snapshot.error().message);
  }
  return with_headers(std::move(response), kNothing);
}

}  // namespace

std::string content_security_policy(std::string_view html) {
  return "default-src 'none'; style-src" + hashes_of(html, "style") + "; script-src" +
         hashes_of(html, "script") +
         "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
         "frame-ancestors 'none'; require-trusted-types-for 'script'";
}

void add_status_page(std::vector<HttpRoute>& routes, Backend& backend,
                     const std::optional<std::string>& own_host) {
  std::function<std::string(std::string_view)> refuse;
  if (own_host) {
    refuse = [own = *own_host](std::string_view host) { return why_not_this_host(host, own); };
  }
  std::string policy = content_security_policy(status_page_html());
  for (const char* path : {"/", "/status"}) {
    auto page = [policy](const HttpParameters&) {
      return with_headers({200, "text/html; charset=utf-8", std::string(status_page_html()), {}},
                          policy);
    };
    routes.push_back({HttpRoute::Method::get, path, page, refuse});
  }
  auto json = [&backend](const HttpParameters& parameters) {
    return answer_json(backend, parameters);
  };
  routes.push_back({HttpRoute::Method::get, "/status.json", json, refuse});
}

}  // namespace holdfast
