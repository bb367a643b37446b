// One connection's whole story, for people.
#include "common/cli/render.h"
#include "common/log/escape.h"
#include "common/log/log_format.h"
#include "common/log/units_text.h"

namespace holdfast {
namespace {

std::string row(std::string title, const std::string& text) {
  title.resize(11, ' ');
  return "  " + title + text + "\n";
}

std::string reading(Pause pause) {
  switch (pause) {
    case Pause::none:
      return "not paused";
    case Pause::credit:
      return "paused for credit: the far end has not yet taken what was sent";
    case Pause::memory:
      return "paused for memory: [limits] memory is used up";
  }
  return "";
}

std::string grace(const ConnectionSnapshot& connection) {
  std::string text = show_duration(connection.grace);
  if (!connection.grace_remaining) return text + " without a carrier";
  return text + ", of which " + show_duration(*connection.grace_remaining) + " remain";
}

std::string link_text(const ConnectionSnapshot& connection, const LinkSnapshot* link) {
  std::string text = connection.link;
  if (!connection.peer.empty()) text += " with " + escaped(connection.peer);
  if (link == nullptr) return text;
  text += ", " + std::string(to_string(link->state)) + " for " + show_duration(link->in_state);
  if (!link->carrier.empty()) text += ", carrier " + escaped(link->carrier);
  return text;
}

std::string outages(const ConnectionSnapshot& connection) {
  if (connection.resumes == 0 && connection.detached == Duration{}) return "none";
  return std::to_string(connection.resumes) + " survived, detached for " +
         show_duration(connection.detached) + " in all, " + show_bytes(connection.replayed_bytes) +
         " replayed from here";
}

std::string ends_after(const std::optional<Duration>& timeout) {
  return timeout ? "ends after " + show_duration(*timeout) + " without a byte" : "for ever";
}

}  // namespace

std::string render_connection(const ConnectionSnapshot& connection, const LinkSnapshot* link,
                              const RenderStyle& style) {
  std::string state(to_string(connection.state));
  if (style.colour) state = "\033[1m" + state + "\033[0m";
  std::string ends = "client " + std::string(to_string(connection.client_end)) + ", target " +
                     std::string(to_string(connection.target_end));
  return "connection " + escaped(connection.id) + ": " + state + "\n" +
         row("service", escaped(connection.service)) +
         row("client", connection.client.empty() ? "-" : escaped(connection.client)) +
         (connection.destination.empty() ? "" : row("meant for", escaped(connection.destination))) +
         row("target",
             connection.target.empty() ? "known to the server agent" : escaped(connection.target)) +
         row("link", link_text(connection, link)) +
         row("opened", format_time(connection.opened_at_ms * 1000) + ", " +
                           show_duration(connection.duration) + " ago; idle for " +
                           show_duration(connection.idle)) +
         row("bytes", "up " + show_bytes(connection.bytes_up) + ", down " +
                          show_bytes(connection.bytes_down)) +
         row("unacked", show_bytes(connection.unacked_bytes) +
                            ", read here and not yet with the far application") +
         row("queued", show_bytes(connection.queued_bytes) +
                           ", arrived and not yet taken by the near application") +
         row("window", show_bytes(connection.window_bytes) + ", granted to the far end") +
         row("reading", reading(connection.pause)) + row("ends", ends) +
         row("keepalive", show_duration(connection.keepalive) +
                              ": without a sign for so long its near host is gone") +
         row("idle", ends_after(connection.idle_timeout)) +
         row("half-close", ends_after(connection.half_close_timeout)) +
         row("outages", outages(connection)) + row("grace", grace(connection));
}

}  // namespace holdfast
