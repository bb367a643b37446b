#include "common/admin/admin_server.h"

#include <utility>
#include <vector>

#include "common/admin/connection_query.h"
#include "common/admin/http_server.h"
#include "common/admin/listeners.h"
#include "common/admin/metrics.h"
#include "common/admin/snapshot_json.h"
#include "common/admin/status_page.h"
#include "common/log/log.h"

namespace holdfast {
namespace {

using Method = HttpRoute::Method;

HttpResponse json(int status, std::string body) {
  return {status, "application/json", std::move(body)};
}

// Answers with what `show` makes of a snapshot, or `stuck` of the reason why there is none.
template <typename Show>
auto from_snapshot(Backend& backend, Show show,
                   std::string (*stuck)(std::string_view) = error_json) {
  return [&backend, show, stuck](const HttpParameters&) {
    Result<AgentSnapshot> snapshot = backend.snapshot({});
    if (!snapshot) return json(503, stuck(snapshot.error().message));
    return show(*snapshot);
  };
}

HttpResponse show_connections(Backend& backend, const HttpParameters& parameters) {
  Result<ConnectionQuery> query = parse_connection_query(parameters);
  if (!query) return json(400, error_json(query.error().message));
  Result<AgentSnapshot> snapshot = backend.snapshot({true});
  if (!snapshot) return json(503, error_json(snapshot.error().message));
  if (std::string wrong = unknown_service(*query, snapshot->services); !wrong.empty()) {
    return json(400, error_json(wrong));
  }
  auto all = std::move(snapshot->connections).value_or(std::vector<ConnectionSnapshot>());
  return json(200, connections_json(chosen(std::move(all), *query)));
}

HttpResponse show_connection(Backend& backend, const HttpParameters& parameters) {
  auto id = parameters.find("id");
  if (id == parameters.end()) return json(400, error_json("connection needs ?id=ID"));
  auto found = backend.connection(id->second);
  if (!found) return json(503, error_json(found.error().message));
  if (!*found) return json(404, error_json("no connection " + id->second));
  return json(200, connection_json(**found));
}

HttpResponse run(Backend& backend, const Command& command) {
  CommandResult result = backend.command(command);
  int status = 200;
  if (result.outcome == CommandResult::Outcome::failed) status = 409;
  if (result.outcome == CommandResult::Outcome::unavailable) status = 503;
  return json(status, result_json(result));
}

auto command_handler(Backend& backend, Command::Kind kind) {
  return [&backend, kind](const HttpParameters& parameters) {
    auto id = parameters.find("id");
    Command command{kind, id == parameters.end() ? "" : id->second};
    if (kind == Command::Kind::kill && command.id.empty()) {
      return json(400, error_json("kill needs ?id=ID"));
    }
    return run(backend, command);
  };
}

HttpResponse reload(Backend& backend, const HttpParameters& parameters) {
  ReloadRequest request{parameters.count("dry_run") != 0, parameters.count("revoke") != 0};
  ReloadReport report = backend.reload(request);
  int status = report.good() ? 200 : 409;
  if (report.outcome == ReloadReport::Outcome::unavailable) status = 503;
  return json(status, reload_json(report));
}

auto log_level_handler(Backend& backend) {
  return [&backend](const HttpParameters& parameters) {
    auto level = parameters.find("level");
    std::string word = level == parameters.end() ? "" : level->second;
    if (!log_level_from(word)) return json(400, error_json(unknown_log_level(word)));
    return run(backend, {Command::Kind::log_level, word});
  };
}

HttpResponse show_ready(const AgentSnapshot& snapshot) {
  return json(snapshot.ready ? 200 : 503, ready_json(snapshot));
}

// A server that drains takes no new links, and its old ones come home all the same.
HttpResponse show_home(const AgentSnapshot& snapshot) {
  return json(snapshot.home ? 200 : 503, home_json(snapshot));
}

// `own_host`: the metrics address as configured; none on the Unix socket.
std::vector<HttpRoute> metrics_routes(Backend& backend,
                                      const std::optional<std::string>& own_host) {
  std::vector<HttpRoute> routes;
  routes.push_back(
      {Method::get, "/metrics", from_snapshot(backend, [](const AgentSnapshot& snapshot) {
         return HttpResponse{200, kMetricsContentType, metrics_text(snapshot)};
       })});
  // Alive means that the loop turns, which is what a snapshot needs.
  routes.push_back(
      {Method::get, "/livez",
       from_snapshot(
           backend, [](const AgentSnapshot& snapshot) { return json(200, alive_json(snapshot)); },
           stuck_json)});
  routes.push_back({Method::get, "/readyz", from_snapshot(backend, &show_ready, stuck_json)});
  routes.push_back({Method::get, "/homez", from_snapshot(backend, &show_home, stuck_json)});
  for (HttpRoute& route : routes) route.health = true;
  add_status_page(routes, backend, own_host);
  return routes;
}

}  // namespace

std::vector<HttpRoute> admin_routes(Backend& backend) {
  std::vector<HttpRoute> routes = metrics_routes(backend, std::nullopt);
  routes.push_back(
      {Method::get, "/v1/status", from_snapshot(backend, [](const AgentSnapshot& snapshot) {
         return json(200, status_json(snapshot));
       })});
  routes.push_back(
      {Method::get, "/v1/links", from_snapshot(backend, [](const AgentSnapshot& snapshot) {
         return json(200, links_json(snapshot.links));
       })});
  routes.push_back({Method::get, "/v1/connections", [&backend](const HttpParameters& parameters) {
                      return show_connections(backend, parameters);
                    }});
  routes.push_back({Method::get, "/v1/connection", [&backend](const HttpParameters& parameters) {
                      return show_connection(backend, parameters);
                    }});
  routes.push_back({Method::get, "/v1/ready", from_snapshot(backend, &show_ready, stuck_json)});
  routes.back().health = true;
  routes.push_back({Method::post, "/v1/reload", [&backend](const HttpParameters& parameters) {
                      return reload(backend, parameters);
                    }});
  for (Command::Kind kind :
       {Command::Kind::kill, Command::Kind::reconnect, Command::Kind::drain,
        Command::Kind::drain_until_empty, Command::Kind::undrain, Command::Kind::link_down,
        Command::Kind::link_up, Command::Kind::hand_over}) {
    routes.push_back(
        {Method::post, "/v1/" + std::string(to_string(kind)), command_handler(backend, kind)});
  }
  routes.push_back({Method::post, "/v1/log-level", log_level_handler(backend)});
  return routes;
}

namespace {

SocketAccess access_of(const AdminConfig& config) {
  return socket_access(config.mode, config.user, config.group);
}

class AdminServerImpl final : public AdminServer {
 public:
  AdminServerImpl(UnixListener admin, std::string metrics_host, Backend& backend)
      : backend_(backend), admin_(std::move(admin)), metrics_host_(std::move(metrics_host)) {}

  ~AdminServerImpl() override { backend_.stopping(); }

  Status serve_admin() { return begin(admin_server_, {admin_.fd()}, admin_routes(backend_), {}); }
  Status serve_metrics(std::vector<int> listeners) override {
    HttpLimits limits;
    limits.threads = 2;
    limits.answer_bytes = 16U << 20;  // nothing here lists connections
    return begin(metrics_server_, std::move(listeners), metrics_routes(backend_, metrics_host_),
                 limits);
  }

  Status set_access(const AdminConfig& config) override {
    return admin_.set_access(access_of(config));
  }

 private:
  static Status begin(std::unique_ptr<HttpServer>& server, std::vector<int> listeners,
                      std::vector<HttpRoute> routes, const HttpLimits& limits) {
    auto started = HttpServer::start(std::move(listeners), std::move(routes), limits);
    if (!started) return started.error();
    server = std::move(*started);
    return Ok{};
  }

  Backend& backend_;
  UnixListener admin_;
  std::string metrics_host_;
  std::unique_ptr<HttpServer> admin_server_;
  std::unique_ptr<HttpServer> metrics_server_;
};

}  // namespace

std::string_view to_string(Command::Kind kind) {
  switch (kind) {
    case Command::Kind::kill:
      return "kill";
    case Command::Kind::reconnect:
      return "reconnect";
    case Command::Kind::drain:
      return "drain";
    case Command::Kind::drain_until_empty:
      return "drain_until_empty";
    case Command::Kind::undrain:
      return "undrain";
    case Command::Kind::link_down:
      return "link_down";
    case Command::Kind::link_up:
      return "link_up";
    case Command::Kind::log_level:
      return "log-level";
    case Command::Kind::hand_over:
      return "hand_over";
  }
  return "invalid";
}

Result<std::unique_ptr<AdminServer>> AdminServer::start(const AdminConfig& config,
                                                        Backend& backend) {
  Result<UnixListener> admin = UnixListener::bind(config.socket, access_of(config));
  if (!admin) return admin.error();
  auto server = std::make_unique<AdminServerImpl>(
      std::move(*admin), config.metrics ? config.metrics->host : "", backend);
  if (Status begun = server->serve_admin(); !begun) return begun.error();
  return std::unique_ptr<AdminServer>(std::move(server));
}

}  // namespace holdfast
