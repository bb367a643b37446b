// `support`: one file for a bug report, with no secret in it.
#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/admin/snapshot_json.h"
#include "common/cli/redact.h"
#include "common/cli/subcommands.h"
#include "common/config/instant.h"
#include "common/config/sources.h"
#include "common/log/escape.h"

// environ(7); some headers declare it, too.
extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace holdfast {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLogBytes = 512 * 1024;

constexpr const char* kKernelFiles[] = {
    "/proc/sys/kernel/osrelease",
    "/proc/sys/fs/file-max",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/net/core/rmem_max",
    "/proc/sys/net/core/wmem_max",
    "/proc/sys/net/ipv4/tcp_rmem",
    "/proc/sys/net/ipv4/tcp_wmem",
    "/proc/sys/net/ipv4/tcp_mem",
    "/proc/sys/net/ipv4/tcp_mtu_probing",
    "/proc/sys/net/ipv4/tcp_congestion_control",
    "/proc/sys/net/ipv4/tcp_available_congestion_control",
    "/proc/sys/net/ipv4/tcp_retries2",
    "/proc/sys/net/ipv4/tcp_syn_retries",
    "/proc/sys/net/ipv4/ip_local_port_range",
    "/proc/sys/net/ipv4/ip_nonlocal_bind",
    "/proc/loadavg",
    "/proc/meminfo",
};

std::string text_of(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

// The last part of a file, from the beginning of a line on.
std::string tail_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  auto size = static_cast<std::uint64_t>(file.tellg());
  std::uint64_t from = size > kLogBytes ? size - kLogBytes : 0;
  file.seekg(static_cast<std::streamoff>(from));
  std::ostringstream out;
  out << file.rdbuf();
  std::string text = out.str();
  return from == 0 ? text : text.substr(std::min(text.size(), text.find('\n') + 1));
}

bool run(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child = 0;
  int status = 0;
  if (posix_spawnp(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) {
    return false;
  }
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A folder of this process's alone; goes with all that is in it.
class Workplace {
 public:
  Workplace() {
    path_ = (fs::temp_directory_path() / "holdfast-support-XXXXXX").string();
    if (::mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~Workplace() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Bundler {
 public:
  Bundler(const Invocation& call, const Program& program, std::string folder)
      : call_(call), program_(program), folder_(std::move(folder)) {}

  void fill() {
    add("versions.txt", versions());
    add_config();
    add_state();
    std::string limits;
    for (const char* path : kKernelFiles) {
      limits += std::string("== ") + path + "\n" + text_of(path) + "\n";
    }
    if (pid_ > 0) {
      std::string own = "/proc/" + std::to_string(pid_);
      limits += "== " + own + "/limits\n" + text_of(own + "/limits") + "\n== " + own + "/status\n" +
                text_of(own + "/status");
    }
    add("kernel.txt", limits);
  }

 private:
  // Nothing gets into the bundle but through here.
  void add(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << redacted(text);
  }

  std::string versions() const {
    utsname system{};
    ::uname(&system);
    return std::string(program_name(call_.kind)) + " " + HOLDFAST_VERSION + "\n" + system.sysname +
           " " + system.release + " " + system.version + " " + system.machine + "\n\n" +
           text_of("/etc/os-release");
  }

  void add_config() {
    std::string text;
    for (const ConfigSource& each : read_sources(call_.config_path)) {
      text += "# ==== " + each.path + "\n";
      const auto* content = std::get_if<std::string>(&each.content);
      text += content != nullptr ? *content : "# " + std::get<FileFault>(each.content).reason;
      text += "\n";
    }
    add("config.toml", text);
    CheckedConfig checked = check_config(program_, call_.config_path);
    std::string problems = format_problems(checked.problems);
    add("check.txt", problems.empty() ? "ok\n" : problems);
    socket_ = checked.admin_socket.value_or("");
    if (!checked.config) return;
    const LogConfig& log = std::visit([](const auto& each) { return each.log; }, *checked.config);
    add("log.txt", log.file ? tail_of(*log.file)
                            : "The log goes to standard error. Under systemd, add the output of: "
                              "journalctl -n 500 -u " +
                                  std::string(program_name(call_.kind)) + "\n");
  }

  void add_state() {
    add("status.json", answer("/v1/status"));
    add("metrics.txt", answer("/metrics"));
    Result<AgentSnapshot> status = parse_status(text_of(folder_ + "/status.json"));
    if (status) pid_ = status->pid;
  }

  std::string answer(const std::string& target) const {
    if (socket_.empty()) return "the config does not tell the admin socket\n";
    auto got = ask_agent(socket_, "GET", target);
    if (auto* none = std::get_if<Unanswered>(&got)) return none->reason + "\n";
    return std::get<HttpAnswer>(got).body;
  }

  const Invocation& call_;
  const Program& program_;
  const std::string folder_;
  std::string socket_;
  std::int64_t pid_ = 0;
};

std::string default_name(AgentKind kind) {
  std::string stamp = to_string(wall_clock_now());
  for (char separator : {'-', ':'}) {
    stamp.erase(std::remove(stamp.begin(), stamp.end(), separator), stamp.end());
  }
  return "holdfast-support-" + std::string(to_string(kind)) + "-" + stamp + ".tar.gz";
}

}  // namespace

int do_support(const Invocation& call, const Program& program, const std::string& out) {
  Workplace work;
  if (work.path().empty()) return complain(call, "no folder for temporary files", kExitFailed);
  std::string target = out.empty() ? default_name(call.kind) : out;
  // Of mode 600 from its beginning, and nobody else's.
  int fd = ::open(target.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) return complain(call, target + ": cannot write it: " + std::strerror(errno), 1);
  ::close(fd);
  std::string inner = work.path() + "/holdfast-support";
  fs::create_directory(inner);
  Bundler(call, program, inner).fill();
  if (!run({"tar", "--force-local", "-C", work.path(), "-czf", target, "holdfast-support"})) {
    ::unlink(target.c_str());
    return complain(call, "tar did not write " + target, kExitFailed);
  }
  call.out << escaped(target) << ": versions, config, check, status, metrics, log and kernel "
           << "limits, without keys. It tells names and addresses: look into it before you send "
           << "it\n";
  return kExitOk;
}

}  // namespace holdfast
