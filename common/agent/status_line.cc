#include "common/agent/status_line.h"

#include <algorithm>

#include "common/log/units_text.h"

namespace holdfast {
namespace {

std::string counted(std::uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string safety(const AgentBrief& brief) {
  if (!brief.safe_for) return "";
  // Whole seconds: it is shown once a second.
  auto whole = seconds((*brief.safe_for + milliseconds(999)) / seconds(1));
  return " safe for " + show_duration(std::max<Duration>(whole, Duration{}));
}

std::string silence(const AgentBrief& brief) {
  return " silent for " + show_duration(duration_cast<seconds>(*brief.silent_for));
}

// Of an agent with one link or none.
std::string one_link(const AgentBrief& brief) {
  if (brief.live == 1) return "link up to " + brief.peer;
  if (brief.silent == 1) {
    return "link to " + brief.peer + silence(brief) +
           (brief.kind == AgentKind::client ? ", dialling" : "");
  }
  if (brief.kind == AgentKind::server) {
    return brief.down == 0 ? "no link, waiting for clients" : "link down, waiting for the client";
  }
  return "link down, retrying";
}

std::string links(const AgentBrief& brief) {
  if (brief.live + brief.silent + brief.down < 2) return one_link(brief);
  std::string text = counted(brief.live, "link") + " up";
  if (brief.silent != 0) text += ", " + std::to_string(brief.silent) + silence(brief);
  return brief.down == 0 ? text : text + ", " + std::to_string(brief.down) + " down";
}

std::string connections(const AgentBrief& brief) {
  if (brief.connections == 0) return "";
  if (brief.live + brief.silent == 0 && brief.safe == brief.connections) {
    return "; " + counted(brief.connections, "connection") + safety(brief);
  }
  if (brief.live + brief.silent == 0) {
    std::string text = "; " + counted(brief.connections, "connection");
    if (brief.safe == 0) return text + " only opening";
    return text + ", " + std::to_string(brief.safe) + " of them" + safety(brief);
  }
  std::string text = ", " + counted(brief.connections, "connection");
  if (brief.safe == 0) return text;
  return text + ", " + std::to_string(brief.safe) + " of them on links that are down" +
         (brief.safe_for ? "," + safety(brief) : "");
}

}  // namespace

void AgentBrief::add(const LinkDriver& driver, Time now, const std::string& newer_trouble) {
  const Link& link = driver.link();
  connections += link.stream_count();
  resumes += link.counters().resumes;
  if (link.live() && link.barren_carriers() == 0) {
    peer = std::string(driver.peer());
    if (!link.silent()) {
      live += 1;
      return;
    }
    silent += 1;
    Duration own = now - link.outage_since();
    silent_for = std::max(own, silent_for.value_or(own));
    return;
  }
  down += 1;
  std::uint64_t opened = 0;
  for (const ServiceTally& tally : link.tally()) opened += tally.open + tally.closing;
  safe += static_cast<std::size_t>(opened);
  if (trouble.empty()) trouble = newer_trouble.empty() ? driver.last_error() : newer_trouble;
  if (link.grace_deadline() == kNever || opened == 0) return;
  Duration left = link.grace_deadline() - now;
  safe_for = safe_for ? std::min(*safe_for, left) : left;
}

std::string status_line(const AgentBrief& brief) {
  std::string line;
  if (brief.draining) {
    line = "draining, " + counted(brief.connections, "connection") + " left; " + links(brief);
  } else {
    line = links(brief) + connections(brief);
  }
  if (brief.resumes != 0) line += ", resumed " + counted(brief.resumes, "time");
  if (brief.down != 0 && !brief.trouble.empty()) line += ": " + brief.trouble;
  if (!brief.not_listening.empty()) line += "; cannot listen on " + brief.not_listening.front();
  if (brief.not_listening.size() > 1) {
    line += " and " + std::to_string(brief.not_listening.size() - 1) + " more";
  }
  return line;
}

}  // namespace holdfast
