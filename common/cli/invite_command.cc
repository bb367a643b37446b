// `invite` and `uninvite`: a client's key and fragment, made or taken away in one step with the
// reload that makes it count.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "common/admin/host_check.h"
#include "common/cli/file_batch.h"
#include "common/cli/invite_line.h"
#include "common/cli/pairing.h"
#include "common/config/default_name.h"
#include "common/config/files.h"
#include "common/config/load.h"
#include "common/config/table_reader.h"
#include "common/config/units.h"
#include "common/log/escape.h"

namespace holdfast {
namespace {

// Of a new server's name: so much of the host's, and digits that tell hosts of one name apart.
constexpr std::size_t kMostOfHost = 40;
constexpr std::size_t kDigitsApart = 8;
constexpr std::string_view kMark = "# Made by `holdfast-server invite`";

// Where invite puts what, beside a server's config.
struct Places {
  explicit Places(const std::string& config) : main(config) {
    std::string file = config.substr(config.rfind('/') + 1);
    std::string stem = file.substr(0, file.rfind('.'));
    fragments = folder_of(config) + "/" + stem + ".d";
    relative = stem + ".d";
  }
  std::string client(const std::string& name) const { return fragments + "/" + name + ".toml"; }
  std::string key(const std::string& name) const { return fragments + "/" + name + ".psk"; }
  std::string service(const std::string& name) const {
    return fragments + "/service-" + name + ".toml";
  }
  std::string main, fragments, relative;
};

bool there(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

bool made_by_invite(const std::string& path) {
  auto file = read_file(path, 1024 * 1024, Privacy::open);
  auto* text = std::get_if<std::string>(&file);
  return text != nullptr && text->starts_with(kMark);
}

LoadedServer load_sources(const std::vector<ConfigSource>& sources) {
  return parse_server_config(sources, Environment::ignored);
}

int refuse(const Invocation& call, const std::vector<Problem>& problems) {
  call.err << format_problems(problems);
  return exit_code(problems);
}

// What came of asking the running agent to read its config again.
enum class Reloaded { done, no_agent, refused };

Reloaded reload_agent(const Invocation& call, const std::string& socket, bool revoke) {
  auto answer = ask_agent(socket, "POST", revoke ? "/v1/reload?revoke=1" : "/v1/reload");
  if (auto* none = std::get_if<Unanswered>(&answer)) {
    if (!none->permission && there(socket)) call.err << none->reason << "\n";
    if (!none->permission) return Reloaded::no_agent;
    call.err << program_name(call.kind) << ": " << none->reason << "\n";
    return Reloaded::refused;
  }
  Result<ReloadReport> report = parse_reload(std::get<HttpAnswer>(answer).body);
  if (report && report->good()) return Reloaded::done;
  call.err << (report ? render_reload(*report) : report.error().message + "\n");
  return Reloaded::refused;
}

class Inviter {
 public:
  Inviter(const Invocation& call, const InviteWords& words, const AgentPlaces& usual)
      : call_(call), words_(words), usual_(usual), places_(call.config_path) {}

  int run() {
    if (int code = read_words(); code != kExitOk) return code;
    if (int code = load(); code != kExitOk) return code;
    if (int code = choose_services(); code != kExitOk) return code;
    return make();
  }

 private:
  struct File {
    std::string path, text;
    bool secret = false;
  };

  int usage(const std::string& reason) { return complain(call_, reason, kExitUsage); }

  int read_words() {
    if (!is_valid_name(words_.name)) return usage("\"" + words_.name + "\": " + kNameRule);
    invite_.name = words_.name;
    for (const std::string& each : words_.addresses) {
      Result<TcpAddress> address = parse_tcp_address(each);
      if (!address) return usage("--address " + each + ": " + address.error().message);
      invite_.server.push_back(*address);
    }
    for (const std::string& each : words_.services) {
      std::size_t equals = each.find('=');
      std::string name = each.substr(0, equals);
      if (!is_valid_name(name)) return usage("--service " + each + ": " + kNameRule);
      if (targets_.count(name) != 0) return usage("--service " + name + " stands there twice");
      targets_[name] = std::nullopt;
      if (equals == std::string::npos) continue;
      Result<Address> target = parse_address(each.substr(equals + 1));
      if (!target) return usage("--service " + each + ": " + target.error().message);
      targets_[name] = *target;
    }
    return read_end();
  }

  int read_end() {
    if (words_.expires.empty()) return kExitOk;
    Result<Instant> day = parse_instant(words_.expires);
    Result<Duration> span = parse_duration(words_.expires);
    if (!day && !span) {
      return usage("--expires " + words_.expires +
                   " is neither a date, as 2026-12-31, nor a time from now, as 12h or 30d");
    }
    invite_.expires =
        day ? *day : Instant{wall_clock_now().epoch_s + duration_cast<seconds>(*span).count()};
    if (invite_.expires->epoch_s > wall_clock_now().epoch_s) return kExitOk;
    return usage("--expires " + words_.expires + " is over already");
  }

  // The config that is there, which must be good; none is as good.
  int load() {
    if (there(places_.main)) sources_ = read_sources(places_.main);
    if (sources_.empty()) return kExitOk;
    LoadedServer loaded = load_sources(sources_);
    if (!loaded.config) return refuse(call_, loaded.problems);
    config_ = std::move(*loaded.config);
    if (config_->clients.count(invite_.name) == 0) return kExitOk;
    return complain(call_,
                    "client " + invite_.name + " is in the config already; `" +
                        std::string(program_name(call_.kind)) + " uninvite " + invite_.name +
                        "` takes away what invite made",
                    kExitFailed);
  }

  int choose_services() {
    for (const auto& [name, target] : targets_) {
      const Address* known = nullptr;
      if (config_ && config_->services.count(name) != 0) {
        known = &config_->services.at(name).target;
      }
      if (known == nullptr && !target) {
        return usage("the server has no service " + name + " yet: write --service " + name +
                     "=TARGET, as " + name + "=127.0.0.1:5432");
      }
      if (known != nullptr && target && !(*known == *target)) {
        return complain(call_,
                        "service " + name + " is there already, with the target " +
                            to_string(*known) + "; leave =TARGET out, or take another name",
                        kExitFailed);
      }
      if (known == nullptr) add_service(name, *target);
      const Address& used = known != nullptr ? *known : *target;
      const auto* tcp = std::get_if<TcpAddress>(&used);
      invite_.services.push_back({name, tcp != nullptr ? tcp->port : std::uint16_t{0}});
    }
    return kExitOk;
  }

  std::string mark() const { return std::string(kMark) + ".\n"; }

  void add_service(const std::string& name, const Address& target) {
    files_.push_back({places_.service(name), mark() + "[services." + quoted(name) + "]\ntarget = " +
                                                 quoted(to_string(target)) + "\n"});
  }

  // The least that a server needs: where it listens, and its socket where no unit makes a folder.
  // Clients know the server by it, and no two servers may share one: not even those of hosts that
  // are called alike.
  static std::string new_name(const TcpAddress& listen) {
    std::string host = machine_name();
    host = host.substr(0, std::min(host.find('.'), kMostOfHost));
    std::string own = default_server_name({listen});
    std::string apart = own.substr(own.rfind('-') + 1, kDigitsApart);
    return (is_valid_name(host) ? host : "server") + "-" + apart;
  }

  std::string main_text() const {
    const TcpAddress& first = invite_.server.front();
    bool six = first.host.find(':') != std::string::npos;
    std::string text = mark() +
                       "# All keys: man 5 holdfast.toml\nname = " + quoted(new_name(first)) +
                       "\n\n[link]\nlisten = [\"" + (six ? "[::]:" : "0.0.0.0:") +
                       std::to_string(first.port) + "\"]\n";
    if (folder_of(places_.main) != usual_.configs) {
      text += "\n[admin]\nsocket = \"server.sock\"\n";
    }
    return text;
  }

  std::string client_text() const {
    std::string services;
    for (const Invite::Service& each : invite_.services) {
      services += (services.empty() ? "" : ", ") + quoted(each.name);
    }
    std::string text = mark() + "# `holdfast-server uninvite " + invite_.name +
                       "` takes it away.\n[clients." + quoted(invite_.name) +
                       "]\npsk_file = " + quoted(places_.relative + "/" + invite_.name + ".psk") +
                       "\nservices = [" + services + "]\n";
    if (invite_.expires) text += "expires = " + quoted(to_string(*invite_.expires)) + "\n";
    return text;
  }

  int make() {
    Result<Psk> key = generate_psk();
    if (!key) return complain(call_, key.error().message, kExitFailed);
    invite_.key = std::move(*key);
    if (!config_) files_.insert(files_.begin(), {places_.main, main_text()});
    files_.push_back({places_.client(invite_.name), client_text()});
    // As it will stand there: what is wrong with the whole is found before anything is written.
    std::vector<ConfigSource> whole = sources_;
    for (const File& each : files_) whole.push_back({each.path, each.text});
    LoadedServer loaded = load_sources(whole);
    if (!loaded.config) return refuse(call_, loaded.problems);
    std::string line = format_invite(invite_);
    std::string secret = format_psk(invite_.key) + "\n";
    files_.push_back({places_.key(invite_.name), secret, true});
    if (!words_.out.empty()) files_.push_back({words_.out, line + "\n", true});
    int code = write(*loaded.admin_socket, line);
    wipe(line);
    for (File& each : files_) wipe(each.text);
    wipe(secret);
    return code;
  }

  // All files and the reload, or nothing.
  int write(const std::string& socket, const std::string& line) {
    FileBatch batch;
    Owners owners = owners_for(places_.main, usual_);
    mode_t mode = plain_mode(places_.main);
    Status done = batch.folder(places_.fragments, mode | ((mode & 0444) >> 2), owners.plain);
    // Secrets first: what names them is read only once they are there.
    for (bool secret : {true, false}) {
      for (const File& each : files_) {
        if (!done || each.secret != secret) continue;
        Owner owner = each.path == words_.out ? Owner{} : secret ? owners.secret : owners.plain;
        done = batch.add(each.path, each.text, secret ? 0600 : mode, owner);
      }
    }
    if (!done) return complain(call_, done.error().message + "; nothing was changed", kExitFailed);
    Reloaded reloaded = reload_agent(call_, socket, /*revoke=*/false);
    if (reloaded == Reloaded::refused) {
      return complain(call_, "the running agent keeps its config; nothing was changed",
                      kExitFailed);
    }
    batch.keep();
    tell(reloaded == Reloaded::done);
    if (words_.out.empty()) call_.out << line << "\n" << std::flush;
    return kExitOk;
  }

  void tell(bool reloaded) {
    call_.err << "made: " << escaped(places_.client(invite_.name)) << "\n";
    if (!reloaded) start();
    if (reloaded) call_.err << "the running agent has read it\n";
    if (invite_.expires) {
      call_.err << "after " << to_string(*invite_.expires)
                << " the server lets this client in no more, joined or not; without `expires` in "
                   "that file it stays\n";
    }
    call_.err << "the line is a secret: whoever has it is " << invite_.name
              << ". Hand it over as you would a password:\n  holdfast-client join LINE, or - to "
                 "read it from standard input\n";
  }

  void start() {
    Started started;
    if (!words_.no_start) started = start_unit(call_.kind, places_.main, usual_);
    if (started.good) {
      call_.err << "started: holdfast-server.service\n";
    } else {
      call_.err << (started.tried ? "it did not start: systemctl status holdfast-server\n"
                                  : "no agent runs with it yet: holdfast-server -c " +
                                        escaped(places_.main) + "\n");
    }
  }

  const Invocation& call_;
  const InviteWords& words_;
  const AgentPlaces& usual_;
  const Places places_;
  Invite invite_;
  std::map<std::string, std::optional<Address>> targets_;
  std::vector<ConfigSource> sources_;
  std::optional<ServerConfig> config_;
  std::vector<File> files_;
};

// Fragments of services that invite made and that nobody may use once the client is gone.
std::vector<std::string> unused_services(const Places& places, const ServerConfig& config,
                                         const std::string& leaving) {
  std::vector<std::string> paths;
  for (const auto& [service, settings] : config.services) {
    bool used = std::any_of(config.clients.begin(), config.clients.end(),
                            [&leaving, &wanted = service](const auto& client) {
                              return client.first != leaving && client.second.may_use(wanted);
                            });
    std::string path = places.service(service);
    if (!used && made_by_invite(path)) paths.push_back(path);
  }
  return paths;
}

}  // namespace

int do_invite(const Invocation& call, const InviteWords& words, const AgentPlaces& places) {
  return Inviter(call, words, places).run();
}

int do_uninvite(const Invocation& call, const std::string& name, bool keep_connections) {
  Places places(call.config_path);
  std::vector<ConfigSource> sources = read_sources(places.main);
  LoadedServer loaded = load_sources(sources);
  if (!loaded.config) return refuse(call, loaded.problems);
  if (loaded.config->clients.count(name) == 0) {
    return complain(call, "there is no client " + name + " in " + places.main, kExitFailed);
  }
  if (!made_by_invite(places.client(name))) {
    return complain(call,
                    "client " + name + " was not made by invite: take [clients." + name +
                        "] out of the config by hand, then `holdfast-server reload --revoke`",
                    kExitFailed);
  }
  std::vector<std::string> gone = unused_services(places, *loaded.config, name);
  gone.push_back(places.client(name));
  auto leaves = [&](const ConfigSource& source) {
    return std::find(gone.begin(), gone.end(), source.path) != gone.end();
  };
  sources.erase(std::remove_if(sources.begin(), sources.end(), leaves), sources.end());
  LoadedServer rest = load_sources(sources);
  if (!rest.config) return refuse(call, rest.problems);
  if (there(places.key(name))) gone.push_back(places.key(name));
  FileBatch batch;
  for (const std::string& each : gone) {
    if (Status done = batch.set_aside(each); !done) {
      return complain(call, done.error().message + "; nothing was changed", kExitFailed);
    }
  }
  Reloaded reloaded = reload_agent(call, *loaded.admin_socket, !keep_connections);
  if (reloaded == Reloaded::refused) {
    return complain(call, "the running agent keeps its config; nothing was changed", kExitFailed);
  }
  batch.keep();
  call.out << name << " is taken away: it is not let in any more"
           << (reloaded == Reloaded::no_agent ? "; no agent was running"
               : keep_connections             ? "; its connections last until its carrier is lost"
                                              : ", and its connections have ended (revoked)")
           << "\n";
  return kExitOk;
}

}  // namespace holdfast
