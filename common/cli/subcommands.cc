#include "common/cli/subcommands.h"

#include <optional>

#include "common/admin/snapshot_json.h"
#include "common/cli/unit_user.h"
#include "common/config/files.h"
#include "common/config/load.h"
#include "common/config/psk.h"
#include "common/log/escape.h"
#include "common/log/percent.h"

namespace holdfast {
namespace {

struct Loaded {
  std::optional<AgentConfig> config;
  std::vector<Problem> problems;
  std::vector<TlsTable> tls_tables;
  std::vector<std::string> fragments;
  std::vector<ConfigSource> sources;
  std::optional<std::string> admin_socket;
};

template <typename Side>
Loaded loaded_from(Side side) {
  Loaded loaded;
  if (side.config) loaded.config = std::move(*side.config);
  loaded.problems = std::move(side.problems);
  loaded.tls_tables = std::move(side.tls_tables);
  loaded.fragments = std::move(side.fragments);
  loaded.sources = std::move(side.sources);
  loaded.admin_socket = std::move(side.admin_socket);
  return loaded;
}

Loaded load(AgentKind kind, const std::string& path, Environment surroundings) {
  if (kind == AgentKind::client) return loaded_from(load_client_config(path, surroundings));
  return loaded_from(load_server_config(path, surroundings));
}

Loaded load(AgentKind kind, const std::vector<ConfigSource>& sources, Environment surroundings) {
  if (kind == AgentKind::client) return loaded_from(parse_client_config(sources, surroundings));
  return loaded_from(parse_server_config(sources, surroundings));
}

// As an agent needs it: with what its certificates hold, and what the kernel lets it do.
Loaded examined(const Program& program, const std::string& path, Loaded loaded) {
  auto add = [&loaded](std::vector<Problem> problems) {
    for (Problem& problem : problems) loaded.problems.push_back(std::move(problem));
  };
  if (program.check_certificates && !loaded.tls_tables.empty()) {
    add(program.check_certificates(loaded.tls_tables, path));
  }
  if (program.check_capabilities && loaded.config) {
    add(program.check_capabilities(*loaded.config, path));
  }
  if (has_errors(loaded.problems)) loaded.config.reset();
  return loaded;
}

Loaded load_all(const Program& program, const std::string& path) {
  return examined(program, path, load(program.kind, path, Environment::checked));
}

// The config that was in force. It was good, so what is wrong now is around it: a key that cannot
// be read, say, and connections that need it can wait.
Loaded load_kept(const Program& program, const std::string& path, const KeptConfig& kept) {
  Loaded loaded;
  auto look = [&] {
    loaded = examined(program, path, load(program.kind, kept.sources, Environment::checked));
    return loaded.config.has_value();
  };
  if (look() || !program.wait_for_files) return loaded;
  Loaded alone = load(program.kind, kept.sources, Environment::ignored);
  if (alone.config) program.wait_for_files(*alone.config, loaded.problems, look);
  return loaded;
}

// What an agent is to run with. A config with errors ends nobody who is alive: then the kept one is
// used, and the errors are told as warnings.
Loaded load_to_run(const Program& program, const std::string& path) {
  std::optional<KeptConfig> kept;
  if (program.kept_config) kept = program.kept_config();
  if (!kept) return load_all(program, path);
  if (kept->use == KeptConfig::Use::in_place_of_the_files) return load_kept(program, path, *kept);
  Loaded loaded = load_all(program, path);
  if (loaded.config) return loaded;
  Loaded old = load_kept(program, path, *kept);
  for (Problem& each : loaded.problems) {
    if (each.severity != Severity::error) continue;
    each.severity = Severity::warning;
    each.reason = "not applied, the config in force stays: " + each.reason;
    old.problems.push_back(std::move(each));
  }
  return old;
}

// The socket's path, or the exit code after saying why there is none.
std::variant<std::string, int> find_socket(const Invocation& call) {
  if (!call.socket.empty()) return call.socket;
  // Whoever may use the agent's socket need not be able to read its secrets.
  Loaded loaded = load(call.kind, call.config_path, Environment::ignored);
  // A mistake elsewhere in the file is no reason not to ask: what runs has an older one.
  if (loaded.admin_socket) return *loaded.admin_socket;
  call.err << format_problems(loaded.problems);
  return exit_code(loaded.problems);
}

}  // namespace

std::variant<AgentConfig, int> load_for(const Invocation& call) {
  Loaded loaded = load(call.kind, call.config_path, Environment::ignored);
  if (loaded.config) return *loaded.config;
  call.err << format_problems(loaded.problems);
  return exit_code(loaded.problems);
}

std::variant<HttpAnswer, int> ask(const Invocation& call, const std::string& method,
                                  const std::string& target) {
  auto socket = find_socket(call);
  if (int* code = std::get_if<int>(&socket)) return *code;
  auto answer = ask_agent(std::get<std::string>(socket), method, target);
  if (auto* unanswered = std::get_if<Unanswered>(&answer)) {
    call.err << program_name(call.kind) << ": " << unanswered->reason << "\n";
    return unanswered->permission ? kExitPermission : kExitUnreachable;
  }
  return std::get<HttpAnswer>(std::move(answer));
}

int complain(const Invocation& call, const std::string& reason, int code) {
  call.err << program_name(call.kind) << ": " << escaped(reason) << "\n";
  return code;
}

int fail(const Invocation& call, const HttpAnswer& answer) {
  std::string reason = parse_message(answer.body);
  if (reason.empty())
    reason = "the agent answered with HTTP status " + std::to_string(answer.status);
  call.err << program_name(call.kind) << ": " << escaped(reason) << "\n";
  if (answer.status == 400) return kExitUsage;
  return answer.status == 503 ? kExitUnreachable : kExitFailed;
}

std::variant<AgentSnapshot, int> ask_status(const Invocation& call) {
  auto answer = ask(call, "GET", "/v1/status");
  if (int* code = std::get_if<int>(&answer)) return *code;
  const HttpAnswer& got = std::get<HttpAnswer>(answer);
  if (got.status != 200) return fail(call, got);
  Result<AgentSnapshot> snapshot = parse_status(got.body);
  if (!snapshot) return complain(call, snapshot.error().message, kExitFailed);
  return std::move(*snapshot);
}

CheckedConfig check_config(const Program& program, const std::string& path) {
  Loaded loaded = load_all(program, path);
  forgive_credentials(loaded.problems);
  if (!loaded.config && !has_errors(loaded.problems)) {
    Loaded bare = load(program.kind, path, Environment::ignored);
    loaded.config = std::move(bare.config);
  }
  return {std::move(loaded.config), std::move(loaded.problems), std::move(loaded.admin_socket)};
}

int do_check(const Invocation& call, const Program& program) {
  Loaded loaded = load_all(program, call.config_path);
  forgive_credentials(loaded.problems);
  std::vector<Problem> his = problems_of_unit_user(loaded.problems, [&] {
    std::vector<Problem> problems =
        load(program.kind, call.config_path, Environment::checked).problems;
    forgive_credentials(problems);
    return problems;
  });
  loaded.problems.insert(loaded.problems.end(), his.begin(), his.end());
  if (call.json) {
    call.out << problems_to_json(loaded.problems) << "\n";
  } else {
    call.out << format_problems(loaded.problems);
    if (!has_errors(loaded.problems)) {
      call.out << escaped(call.config_path) << ": ok\n";
      for (const std::string& fragment : loaded.fragments) {
        call.out << escaped(fragment) << ": ok\n";
      }
    }
  }
  return exit_code(loaded.problems);
}

namespace {

// The exit code; 0: nothing is known against it.
int judge_service(const Invocation& call, const std::string& name) {
  auto status = ask_status(call);
  if (int* code = std::get_if<int>(&status)) return *code;
  const auto& services = std::get<AgentSnapshot>(status).services;
  auto service = services.find(name);
  if (service == services.end()) return complain(call, "no service " + name, kExitFailed);
  std::string fault = service_fault(service->second);
  return fault.empty() ? kExitOk : complain(call, "service " + name + ": " + fault, kExitNotReady);
}

}  // namespace

int do_ready(const Invocation& call, const std::string& service) {
  auto answer = ask(call, "GET", "/v1/ready");
  if (int* code = std::get_if<int>(&answer)) return *code;
  const HttpAnswer& got = std::get<HttpAnswer>(answer);
  if (call.json) call.out << got.body;
  if (got.status == 200) {
    if (!service.empty()) {
      if (int code = judge_service(call, service); code != kExitOk) return code;
    }
    if (!call.json) call.out << "ready\n";
    return kExitOk;
  }
  fail(call, got);
  return got.status == 503 ? kExitNotReady : kExitFailed;
}

int do_command(const Invocation& call, const std::string& name, const std::string& id) {
  std::string query = id.empty() ? "" : "?id=" + percent_encoded(id);
  auto answer = ask(call, "POST", "/v1/" + name + query);
  if (int* code = std::get_if<int>(&answer)) return *code;
  const HttpAnswer& got = std::get<HttpAnswer>(answer);
  if (got.status != 200) return fail(call, got);
  call.out << escaped(parse_message(got.body)) << "\n";
  return kExitOk;
}

int do_log_level(const Invocation& call, const std::string& level) {
  auto answer = level.empty() ? ask(call, "GET", "/v1/status")
                              : ask(call, "POST", "/v1/log-level?level=" + percent_encoded(level));
  if (int* code = std::get_if<int>(&answer)) return *code;
  const HttpAnswer& got = std::get<HttpAnswer>(answer);
  if (got.status != 200) return fail(call, got);
  if (!level.empty()) {
    call.out << escaped(parse_message(got.body)) << "\n";
    return kExitOk;
  }
  Result<AgentSnapshot> snapshot = parse_status(got.body);
  call.out << (snapshot ? escaped(snapshot->log_level) : "unknown") << "\n";
  return kExitOk;
}

int do_genpsk(const Invocation& call) {
  Result<Psk> psk = generate_psk();
  if (!psk) {
    call.err << program_name(call.kind) << ": " << psk.error().message << "\n";
    return kExitFailed;
  }
  std::string line = format_psk(*psk);
  call.out << line << "\n" << std::flush;
  wipe(line);
  return call.out ? kExitOk : kExitFailed;
}

int do_reload(const Invocation& call, const ReloadRequest& request) {
  std::string query;
  if (request.dry_run) query += "&dry_run=1";
  if (request.revoke) query += "&revoke=1";
  if (!query.empty()) query[0] = '?';
  auto answer = ask(call, "POST", "/v1/reload" + query);
  if (int* code = std::get_if<int>(&answer)) return *code;
  const HttpAnswer& got = std::get<HttpAnswer>(answer);
  Result<ReloadReport> report = parse_reload(got.body);
  if (!report) return fail(call, got);
  if (call.json) {
    call.out << got.body;
  } else {
    (report->good() ? call.out : call.err) << render_reload(*report);
  }
  if (report->good()) return kExitOk;
  if (report->outcome == ReloadReport::Outcome::unavailable) return kExitUnreachable;
  return has_errors(report->problems) ? exit_code(report->problems) : kExitFailed;
}

namespace {

int run_agent(const Invocation& call, const Program& program) {
  // Absolute, and through the same symbolic links: what they lead to may change until a reload.
  std::string path = resolve_path(call.config_path, "");
  Loaded loaded = load_to_run(program, path);
  if (!loaded.config) {
    call.err << format_problems(loaded.problems) << std::flush;
    return exit_code(loaded.problems);
  }
  return program.run(*loaded.config, path, loaded.problems, loaded.sources);
}

}  // namespace

int do_run(const Invocation& call, const Program& program) {
  auto agent = [&] { return run_agent(call, program); };
  return program.keep ? program.keep(agent) : agent();
}

}  // namespace holdfast
