// The status page: one self-contained HTML page (page/status.html, built in), and what it polls.
//
//   GET / and /status        the page
//   GET /status.json         page_json(); ?since=S: samples after this uptime, in seconds;
//                            ?sort=bytes|age|unacked and ?top=N: the connections to list, at most
//                            kMostTop, none without them; &service=NAME: only this one's
//
// Read-only. Everything is sent with a policy that lets the page load nothing but its JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/admin/admin_server.h"
#include "common/admin/http_server.h"

namespace holdfast {

inline constexpr std::size_t kMostTop = 50;

// `own_host`: see host_check.h; without one no Host header is refused.
void add_status_page(std::vector<HttpRoute>& routes, Backend& backend,
                     const std::optional<std::string>& own_host);

// The page as it is built in.
std::string_view status_page_html();
// Content-Security-Policy for a page with inline <style> and <script> elements: their hashes.
std::string content_security_policy(std::string_view html);

}  // namespace holdfast
