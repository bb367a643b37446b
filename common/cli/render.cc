#include "common/cli/render.h"

#include <algorithm>
#include <cmath>

#include "common/config/config.h"
#include "common/log/escape.h"
#include "common/log/units_text.h"

namespace holdfast {
namespace {

constexpr const char* kGreen = "\033[32m";
constexpr const char* kYellow = "\033[33m";
constexpr const char* kRed = "\033[31m";
constexpr const char* kBold = "\033[1m";
constexpr const char* kPlain = "\033[0m";

std::string coloured(const std::string& text, const char* colour, const RenderStyle& style) {
  return style.colour ? colour + text + kPlain : text;
}

const char* state_colour(LinkState state) {
  if (state == LinkState::live) return kGreen;
  return state == LinkState::ended ? kRed : kYellow;
}

enum class Align { left, right };

// Columns as wide as their widest cell, two spaces apart. Widths are bytes: cells are ASCII.
class Table {
 public:
  void column(const std::string& title, Align align = Align::left) {
    columns_.push_back({title, align, title.size()});
  }
  void row(std::vector<std::string> cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      cells[i] = cells[i].empty() ? "-" : escaped(cells[i]);
      columns_[i].width = std::max(columns_[i].width, cells[i].size());
    }
    rows_.push_back(std::move(cells));
  }
  std::string text(const RenderStyle& style) const {
    std::vector<std::string> titles;
    for (const Column& column : columns_) titles.push_back(column.title);
    std::string out = coloured(line(titles), kBold, style) + "\n";
    for (const auto& cells : rows_) out += line(cells) + "\n";
    return out;
  }

 private:
  struct Column {
    std::string title;
    Align align{};
    std::size_t width = 0;
  };

  std::string line(const std::vector<std::string>& cells) const {
    std::string out;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      std::string pad(columns_[i].width - cells[i].size(), ' ');
      if (i > 0) out += "  ";
      out += columns_[i].align == Align::right ? pad + cells[i] : cells[i] + pad;
    }
    out.erase(out.find_last_not_of(' ') + 1);
    return out;
  }

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

std::string counted(std::uint64_t count, const std::string& noun) {
  return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string optional_duration(const std::optional<Duration>& duration) {
  return duration ? show_duration(*duration) : "";
}

std::uint64_t sum(const std::map<Cause, std::uint64_t>& counts) {
  std::uint64_t total = 0;
  for (const auto& [cause, count] : counts) total += count;
  return total;
}

std::string link_line(const LinkSnapshot& link, const RenderStyle& style) {
  std::string peer = link.peer.empty() ? link.id.substr(0, 8) : escaped(link.peer);
  bool named = !link.name.empty() && link.name != kDefaultLinkName;
  if (named) peer = escaped(link.name) + (link.peer.empty() ? "" : " to " + escaped(link.peer));
  std::string line = "link " + peer + ": " +
                     coloured(std::string(to_string(link.state)), state_colour(link.state), style) +
                     " for " + show_duration(link.silent_for.value_or(link.in_state));
  if (link.silent_for && !link.name.empty()) line += ", dialling";
  if (link.rtt && link.state == LinkState::live) {
    line += ", round trip " + show_duration(*link.rtt);
  }
  if (!link.carrier.empty()) line += ", carrier " + escaped(link.carrier);
  if (!link.balancer.empty() && link.balancer != link.carrier) {
    line += ", through " + escaped(link.balancer);
  }
  if (!link.home.empty()) line += ", home " + escaped(link.home);
  if (link.subflows) line += ", " + counted(*link.subflows, "path");
  line += ", " + counted(link.connections, "connection");
  std::uint64_t opened = link.connections - std::min(link.opening, link.connections);
  if (link.state != LinkState::live && link.opening > 0) {
    line += " (" + std::to_string(link.opening) + " only opening)";
  }
  if (link.state != LinkState::live && opened > 0 && link.grace_remaining) {
    bool all = link.opening == 0;
    line += (all && opened > 1 ? ", all"
             : all             ? ","
                               : ", " + std::to_string(opened)) +
            " safe for " + show_duration(*link.grace_remaining) + " more";
  }
  if (link.held_down) {
    line += ", held down by an operator";
  } else if ((link.state != LinkState::live || link.barren != 0) && !link.last_error.empty()) {
    line += " (" + escaped(link.last_error) + ")";
  }
  if (link.retiring) line += "; it takes no new connections, and goes with its last one";
  return line + "\n";
}

std::string readiness_line(const AgentSnapshot& snapshot, const RenderStyle& style) {
  if (snapshot.draining) return coloured("draining", kYellow, style) + ": no new connections\n";
  if (snapshot.ready) return coloured("ready", kGreen, style) + "\n";
  std::string why = snapshot.reason.empty() ? "" : ": " + escaped(snapshot.reason);
  return coloured("not ready", kRed, style) + why + "\n";
}

std::string connections_line(const AgentSnapshot& snapshot) {
  std::string line = "connections: " + std::to_string(connection_count(snapshot));
  if (snapshot.connections_limit > 0) {
    line += " of at most " + std::to_string(snapshot.connections_limit);
  }
  std::string parts;
  for (const auto& [state, count] : snapshot.connections_by_state) {
    if (count == 0) continue;
    parts +=
        (parts.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(to_string(state));
  }
  return line + (parts.empty() ? "" : " (" + parts + ")") + "\n";
}

std::string bytes_a_second(double rate) {
  return show_bytes(static_cast<std::uint64_t>(std::llround(std::max(rate, 0.0)))) + "/s";
}

void add_rate_columns(Table& table, const RateTable* rates) {
  if (rates == nullptr) return;
  table.column("UP/S", Align::right);
  table.column("DOWN/S", Align::right);
}

void add_rate_cells(std::vector<std::string>& cells, const RateTable* rates,
                    const std::string& id) {
  if (rates == nullptr) return;
  auto found = rates->find(id);
  bool known = found != rates->end();
  cells.push_back(known ? bytes_a_second(found->second.up) : "");
  cells.push_back(known ? bytes_a_second(found->second.down) : "");
}

std::string kept_by(const AgentSnapshot& snapshot) {
  if (snapshot.keeper_pid == 0) return "";
  return " (keeper " + std::to_string(snapshot.keeper_pid) + ")";
}

}  // namespace

std::string render_status(const AgentSnapshot& snapshot, const RenderStyle& style) {
  std::string out(program_name(snapshot.kind));
  out += " " + coloured(escaped(snapshot.name), kBold, style) + " " + escaped(snapshot.version) +
         ", pid " + std::to_string(snapshot.pid) + kept_by(snapshot) + ", up " +
         show_duration(snapshot.uptime) + ", config " + escaped(snapshot.config_path) + "\n";
  out += readiness_line(snapshot, style);
  for (const NotListening& each : snapshot.not_listening) {
    out += coloured("trying again", kYellow, style) + ": " + escaped(each.reason) + "\n";
  }
  if (!snapshot.totals.reload_error.empty()) {
    out += coloured("last reload refused", kYellow, style) +
           ", the old config is in use: " + escaped(snapshot.totals.reload_error) + "\n";
  }
  for (const LinkSnapshot& link : snapshot.links) out += link_line(link, style);
  if (snapshot.links.empty()) out += "no link\n";
  for (const auto& [name, service] : snapshot.services) {
    std::string health = escaped(service_health(service));
    bool well = service_fault(service).empty();
    out += "service " + escaped(name) + ": " + (well ? health : coloured(health, kYellow, style)) +
           "\n";
  }
  out += connections_line(snapshot);
  const AgentTotals& totals = snapshot.totals;
  out += "since the start: " + counted(sum(totals.reconnects), "reconnect") + ", " +
         show_duration(totals.outage_total) + " of outage, " + show_bytes(totals.replayed_bytes) +
         " replayed\n";
  out += "send log: " + show_bytes(snapshot.send_log_bytes) + " of at most " +
         show_bytes(snapshot.send_log_limit_bytes) + "\n";
  if (snapshot.turns.turns != 0) {
    out += "loop: busy for " + show_duration(snapshot.turns.busy) + " in all, " +
           show_duration(snapshot.turns.longest) + " in its longest turn\n";
  }
  return out;
}

std::string show_rate(const Rate& rate) {
  return "up " + bytes_a_second(rate.up) + ", down " + bytes_a_second(rate.down);
}

std::string render_links(const std::vector<LinkSnapshot>& links, const RenderStyle& style,
                         const RateTable* rates) {
  if (links.empty()) return "no link\n";
  Table table;
  for (const char* title : {"LINK", "PEER", "STATE"}) table.column(title);
  table.column("SINCE", Align::right);
  table.column("CARRIER");
  for (const char* title : {"RTT", "CONNECTIONS", "SAFE FOR", "RECONNECTS", "OUTAGE", "REPLAYED"}) {
    table.column(title, Align::right);
  }
  add_rate_columns(table, rates);
  bool multipath = std::any_of(links.begin(), links.end(),
                               [](const LinkSnapshot& link) { return link.subflows.has_value(); });
  if (multipath) table.column("PATHS", Align::right);
  bool homes = std::any_of(links.begin(), links.end(),
                           [](const LinkSnapshot& link) { return !link.home.empty(); });
  bool balancers = std::any_of(links.begin(), links.end(),
                               [](const LinkSnapshot& link) { return !link.balancer.empty(); });
  if (homes) table.column("HOME");
  if (balancers) table.column("BALANCER");
  for (const LinkSnapshot& link : links) {
    std::vector<std::string> cells = {link.id.substr(0, 8),
                                      link.peer,
                                      std::string(to_string(link.state)),
                                      show_duration(link.in_state),
                                      link.carrier,
                                      optional_duration(link.rtt),
                                      std::to_string(link.connections),
                                      optional_duration(link.grace_remaining),
                                      std::to_string(sum(link.reconnects)),
                                      show_duration(link.outage_total),
                                      show_bytes(link.replayed_bytes)};
    add_rate_cells(cells, rates, link.id);
    if (multipath) cells.push_back(link.subflows ? std::to_string(*link.subflows) : "");
    if (homes) cells.push_back(link.home);
    if (balancers) cells.push_back(link.balancer);
    table.row(std::move(cells));
  }
  return table.text(style);
}

std::string render_connections(const std::vector<ConnectionSnapshot>& connections,
                               const RenderStyle& style, const RateTable* rates) {
  if (connections.empty()) return "no connection\n";
  Table table;
  for (const char* title : {"ID", "SERVICE", "PEER", "CLIENT", "TARGET", "STATE"}) {
    table.column(title);
  }
  add_rate_columns(table, rates);
  for (const char* title :
       {"UP", "DOWN", "UNACKED", "QUEUED", "AGE", "IDLE", "DETACHED", "RESUMES"}) {
    table.column(title, Align::right);
  }
  for (const ConnectionSnapshot& one : connections) {
    std::vector<std::string> cells = {
        one.id,
        one.service,
        one.peer,
        one.client,
        one.target,
        std::string(to_string(one.state)) + (one.pause != Pause::none ? ", paused" : "")};
    add_rate_cells(cells, rates, one.id);
    for (std::string& cell : std::vector<std::string>{
             show_bytes(one.bytes_up), show_bytes(one.bytes_down), show_bytes(one.unacked_bytes),
             show_bytes(one.queued_bytes), show_duration(one.duration), show_duration(one.idle),
             show_duration(one.detached), std::to_string(one.resumes)}) {
      cells.push_back(std::move(cell));
    }
    table.row(std::move(cells));
  }
  return table.text(style);
}

}  // namespace holdfast
