// status, links, connections and connection: once, or again and again.
#include <algorithm>
#include <sstream>

#include "common/admin/connection_query.h"
#include "common/admin/snapshot_json.h"
#include "common/cli/rates.h"
#include "common/cli/render.h"
#include "common/cli/screen.h"
#include "common/cli/subcommands.h"
#include "common/log/escape.h"
#include "common/log/percent.h"

namespace holdfast {
namespace {

// What a look showed, or the exit code after saying why there is nothing.
using Look = std::variant<std::string, int>;

// The body of the answer to a GET.
Look fetch(const Invocation& call, const std::string& target) {
  auto answer = ask(call, "GET", target);
  if (int* code = std::get_if<int>(&answer)) return *code;
  HttpAnswer& got = std::get<HttpAnswer>(answer);
  if (got.status != 200) return fail(call, got);
  return std::move(got.body);
}

class Viewer {
 public:
  Viewer(const Invocation& call, std::string what, const ConnectionQuery& query, bool watching)
      : call_{call.kind,    call.config_path, call.socket, call.json,
              call.display, call.out,         trouble_},
        what_(std::move(what)),
        query_(query),
        watching_(watching) {}

  std::string take_trouble() {
    std::string text = trouble_.str();
    trouble_.str("");
    return text;
  }

  // `rows` that a terminal has, 0 for no limit.
  Look look(std::size_t rows) {
    if (call_.json) return fetch(call_, target(what_, query_));
    if (what_ == "connections" && !watching_) return connections(query_);
    auto asked = ask_status(call_);
    if (int* code = std::get_if<int>(&asked)) return *code;
    const auto* snapshot = &std::get<AgentSnapshot>(asked);
    if (what_ == "status") return status(*snapshot);
    RateTable rates = link_rates_.update(passed(snapshot->links, snapshot->uptime));
    std::string head = watching_ ? header(*snapshot) : "";
    const RateTable* shown = watching_ ? &rates : nullptr;
    if (what_ == "links") return head + render_links(snapshot->links, style(), shown);
    Look table = watched_connections(rows);
    if (auto* text = std::get_if<std::string>(&table)) return head + *text;
    return table;
  }

 private:
  static constexpr std::size_t kHeaderRows = 3;  // ours, and the table's titles

  RenderStyle style() const { return {call_.display.colour}; }

  static std::string target(const std::string& what, const ConnectionQuery& query) {
    return "/v1/" + what + (what == "connections" ? query_string(query) : "");
  }

  static std::vector<Passed> passed(const std::vector<LinkSnapshot>& links, Duration uptime) {
    std::vector<Passed> out;
    for (const LinkSnapshot& link : links) {
      out.push_back({link.id, link.bytes_up, link.bytes_down, uptime});
    }
    return out;
  }

  // All services' bytes.
  std::string traffic(const AgentSnapshot& snapshot) {
    Passed all{"all", 0, 0, snapshot.uptime};
    for (const auto& [name, service] : snapshot.services) {
      all.up += service.bytes_up;
      all.down += service.bytes_down;
    }
    RateTable rates = total_rates_.update({all});
    auto found = rates.find("all");
    return found == rates.end() ? "up -, down -" : show_rate(found->second);
  }

  std::string status(const AgentSnapshot& snapshot) {
    std::string text = render_status(snapshot, style());
    return watching_ ? text + "traffic: " + traffic(snapshot) + "\n" : text;
  }

  std::string header(const AgentSnapshot& snapshot) {
    std::string state = snapshot.draining ? "draining" : snapshot.ready ? "ready" : "not ready";
    return std::string(program_name(snapshot.kind)) + " " + escaped(snapshot.name) + ": " + state +
           ", " + std::to_string(connection_count(snapshot)) + " connections, " +
           traffic(snapshot) + "\n\n";
  }

  Look connections(const ConnectionQuery& query) {
    auto body = fetch(call_, target("connections", query));
    if (int* code = std::get_if<int>(&body)) return *code;
    auto parsed = parse_connections(std::get<std::string>(body));
    if (!parsed) return complain(call_, parsed.error().message, kExitFailed);
    if (!watching_) return render_connections(*parsed, style());
    std::vector<Passed> now;
    for (const ConnectionSnapshot& one : *parsed) {
      now.push_back({one.id, one.bytes_up, one.bytes_down, one.duration});
    }
    RateTable rates = connection_rates_.update(now);
    if (query_.sort == ConnectionSort::rate) sort_by_rate(*parsed, rates);
    return render_connections(*parsed, style(), &rates);
  }

  // No more than fit travel, unless only we can tell which ones.
  Look watched_connections(std::size_t rows) {
    limit_ = query_.limit;
    std::size_t fit = rows > kHeaderRows ? rows - kHeaderRows : rows;
    if (fit != 0 && (limit_ == 0 || fit < limit_)) limit_ = fit;
    ConnectionQuery query = query_;
    query.limit = query_.sort == ConnectionSort::rate ? 0 : limit_;
    return connections(query);
  }

  void sort_by_rate(std::vector<ConnectionSnapshot>& connections, const RateTable& rates) const {
    auto rate = [&rates](const ConnectionSnapshot& one) {
      auto found = rates.find(one.id);
      return found == rates.end() ? 0.0 : found->second.up + found->second.down;
    };
    std::stable_sort(connections.begin(), connections.end(),
                     [&](const auto& one, const auto& other) { return rate(one) > rate(other); });
    if (limit_ != 0 && connections.size() > limit_) connections.resize(limit_);
  }

  std::ostringstream trouble_;  // why a look showed nothing
  const Invocation call_;
  const std::string what_;
  const ConnectionQuery query_;
  const bool watching_;
  std::size_t limit_ = 0;
  Rates link_rates_, total_rates_, connection_rates_;
};

int watch(const Invocation& call, Viewer& viewer, Duration interval) {
  bool in_place = call.display.terminal && !call.json;
  auto look = [&] { return viewer.look(in_place ? terminal_size().rows : 0); };
  // What cannot be shown at all is said in plain, before the screen is taken.
  Look found = look();
  if (int* code = std::get_if<int>(&found)) {
    call.err << viewer.take_trouble();
    return *code;
  }
  Screen screen(call.out, in_place);
  for (;;) {
    if (auto* text = std::get_if<std::string>(&found)) {
      if (!screen.show(*text)) return kExitFailed;
    } else if (in_place) {
      // An agent that restarts comes back; until then the screen says what is wrong.
      screen.show(viewer.take_trouble());
    } else {
      call.err << viewer.take_trouble() << std::flush;
    }
    if (!screen.wait(interval)) return kExitOk;
    found = look();
  }
}

std::string rate_alone(const ConnectionQuery& query, const ShowOptions& options, bool json) {
  if (query.sort != ConnectionSort::rate || (options.watch && !json)) return "";
  return "rates are known only to --watch, in its tables; sort by bytes, up or down instead";
}

}  // namespace

int do_show(const Invocation& call, const std::string& what, const ShowOptions& options) {
  Result<ConnectionQuery> query = parse_connection_query(options.chosen);
  if (!query) return complain(call, query.error().message, kExitUsage);
  std::string wrong = rate_alone(*query, options, call.json);
  if (!wrong.empty()) return complain(call, wrong, kExitUsage);
  Viewer viewer(call, what, *query, options.watch.has_value());
  if (options.watch) return watch(call, viewer, *options.watch);
  Look look = viewer.look(0);
  if (int* code = std::get_if<int>(&look)) {
    call.err << viewer.take_trouble();
    return *code;
  }
  call.out << std::get<std::string>(look);
  return kExitOk;
}

int do_connection(const Invocation& call, const std::string& id) {
  Look body = fetch(call, "/v1/connection?id=" + percent_encoded(id));
  if (int* code = std::get_if<int>(&body)) return *code;
  if (call.json) {
    call.out << std::get<std::string>(body);
    return kExitOk;
  }
  Result<ConnectionSnapshot> connection = parse_one_connection(std::get<std::string>(body));
  if (!connection) return complain(call, connection.error().message, kExitFailed);
  auto asked = ask_status(call);
  if (int* code = std::get_if<int>(&asked)) return *code;
  const auto* snapshot = &std::get<AgentSnapshot>(asked);
  const LinkSnapshot* link = nullptr;
  for (const LinkSnapshot& one : snapshot->links) {
    if (one.id == connection->link) link = &one;
  }
  call.out << render_connection(*connection, link, {call.display.colour});
  return kExitOk;
}

}  // namespace holdfast
