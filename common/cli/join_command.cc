// `join`: a client's key and config out of an invite's line.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <iostream>
#include <set>
#include <thread>

#include "common/admin/snapshot_json.h"
#include "common/cli/file_batch.h"
#include "common/cli/invite_line.h"
#include "common/cli/pairing.h"
#include "common/config/load.h"
#include "common/log/escape.h"
#include "common/log/unique_fd.h"

namespace holdfast {
namespace {

constexpr std::uint16_t kFirstUnprivileged = 1024;
constexpr std::uint16_t kStep = 10'000;
constexpr int kAnyTries = 16;
// For the link, once the unit runs.
constexpr int kReadyTries = 40;
constexpr auto kReadyPause = std::chrono::milliseconds(250);

// Whether an agent could listen there now; port 0: which one the kernel has to give. 0: none.
std::uint16_t free_port(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* name = reinterpret_cast<sockaddr*>(&address);
  int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd || ::bind(fd.get(), name, size) != 0 || ::getsockname(fd.get(), name, &size) != 0) {
    return 0;
  }
  return ntohs(address.sin_port);
}

// The target's own, where that can be had without root; else 10,000 above it; else any.
std::uint16_t choose_port(std::uint16_t wanted, std::set<std::uint16_t>& taken) {
  std::vector<std::uint16_t> tries;
  if (wanted >= kFirstUnprivileged) tries.push_back(wanted);
  if (wanted != 0 && wanted < UINT16_MAX - kStep) {
    tries.push_back(static_cast<std::uint16_t>(wanted + kStep));
  }
  for (int i = 0; i < kAnyTries; ++i) tries.push_back(0);
  for (std::uint16_t each : tries) {
    std::uint16_t got = free_port(each);
    if (got != 0 && taken.insert(got).second) return got;
  }
  return 0;
}

class Joiner {
 public:
  Joiner(const Invocation& call, const JoinWords& words, const AgentPlaces& usual)
      : call_(call), words_(words), usual_(usual), path_(call.config_path) {}

  int run() {
    std::string line = words_.line;
    if (line == "-") std::getline(std::cin, line);
    Result<Invite> read = parse_invite(line);
    wipe(line);
    if (!read) return complain(call_, "this is no invite: " + read.error().message, kExitUsage);
    invite_ = std::move(*read);
    if (invite_.expires && invite_.expires->epoch_s <= wall_clock_now().epoch_s) {
      return complain(call_,
                      "this invite ended on " + to_string(*invite_.expires) + ": ask for a new one",
                      kExitFailed);
    }
    struct stat status {};
    if (::lstat(path_.c_str(), &status) == 0) {
      return complain(call_,
                      path_ +
                          " is there already, and join changes none: say -c FILE for another "
                          "agent, or add a link and its services to it by hand",
                      kExitFailed);
    }
    if (int code = choose(); code != kExitOk) return code;
    return make();
  }

 private:
  std::string key_name() const { return invite_.name + ".psk"; }

  int choose() {
    std::set<std::uint16_t> taken;
    for (const Invite::Service& each : invite_.services) {
      std::uint16_t port = choose_port(each.port, taken);
      if (port == 0) {
        return complain(call_, "no port of 127.0.0.1 can be had for service " + each.name,
                        kExitFailed);
      }
      listens_.push_back("127.0.0.1:" + std::to_string(port));
    }
    return kExitOk;
  }

  std::string text() const {
    std::string servers;
    for (const TcpAddress& each : invite_.server) {
      servers += (servers.empty() ? "" : ", ") + quoted(to_string(each));
    }
    std::string out = "# Made by `holdfast-client join`. All keys: man 5 holdfast.toml\nname = " +
                      quoted(invite_.name) + "\n\n[link]\nserver = [" + servers +
                      "]\npsk_file = " + quoted(key_name()) + "\n";
    for (std::size_t i = 0; i < invite_.services.size(); ++i) {
      out += "\n[services." + quoted(invite_.services[i].name) +
             "]\nlisten = " + quoted(listens_[i]) + "\n";
    }
    bool usual = folder_of(path_) == usual_.configs;
    return usual ? out : out + "\n[admin]\nsocket = \"client.sock\"\n";
  }

  int make() {
    std::string config = text();
    LoadedClient loaded = parse_client_config(config, path_, Environment::ignored);
    if (!loaded.config) {
      call_.err << format_problems(loaded.problems);
      return exit_code(loaded.problems);
    }
    FileBatch batch;
    Owners owners = owners_for(path_, usual_);
    std::string secret = format_psk(invite_.key) + "\n";
    Status done = batch.add(folder_of(path_) + "/" + key_name(), secret, 0600, owners.secret);
    wipe(secret);
    if (done) done = batch.add(path_, config, plain_mode(path_), owners.plain);
    if (!done) return complain(call_, done.error().message + "; nothing was changed", kExitFailed);
    batch.keep();
    tell();
    return start(*loaded.admin_socket);
  }

  void tell() {
    call_.out << escaped(path_) << ": made\n";
    for (std::size_t i = 0; i < invite_.services.size(); ++i) {
      call_.out << invite_.services[i].name << ": connect to " << listens_[i] << "\n";
    }
    if (invite_.expires) {
      call_.out << "the server lets this client in until " << to_string(*invite_.expires) << "\n";
    }
  }

  int start(const std::string& socket) {
    Started started;
    if (!words_.no_start) started = start_unit(call_.kind, path_, usual_);
    if (!started.tried) {
      call_.out << "start it: holdfast-client -c " << escaped(path_) << "\n";
      return kExitOk;
    }
    if (!started.good) {
      return complain(call_, "it did not start: systemctl status holdfast-client", kExitFailed);
    }
    call_.out << "started: holdfast-client.service\n" << std::flush;
    std::string why = "the agent does not answer";
    for (int i = 0; i < kReadyTries; ++i) {
      auto answer = ask_agent(socket, "GET", "/v1/ready");
      if (auto* got = std::get_if<HttpAnswer>(&answer)) {
        if (got->status == 200) {
          call_.out << "ready: the link is up\n";
          return kExitOk;
        }
        why = parse_message(got->body);
      }
      std::this_thread::sleep_for(kReadyPause);
    }
    return complain(call_, "it runs, and goes on trying, but is not ready: " + why, kExitNotReady);
  }

  const Invocation& call_;
  const JoinWords& words_;
  const AgentPlaces& usual_;
  const std::string path_;
  Invite invite_;
  std::vector<std::string> listens_;  // of its services, in their order
};

}  // namespace

int do_join(const Invocation& call, const JoinWords& words, const AgentPlaces& places) {
  return Joiner(call, words, places).run();
}

}  // namespace holdfast
