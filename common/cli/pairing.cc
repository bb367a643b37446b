#include "common/cli/pairing.h"

#include <pwd.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cli/file_batch.h"

// environ(7); some headers declare it, too.
extern char** environ;  // NOLINT(readability-redundant-declaration)

namespace holdfast {
namespace {

constexpr const char* kOwnUser = "holdfast";  // whom the package makes

bool run(std::vector<std::string> words) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Its words are for people: our standard output may be the secret line.
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  if (failed != 0 || ::waitpid(child, &status, 0) != child) return false;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

}  // namespace

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char each : text) {
    if (each == '"' || each == '\\') out += '\\';
    out += each;
  }
  return out + "\"";
}

std::string folder_of(const std::string& path) {
  std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Owners owners_for(const std::string& config_path, const AgentPlaces& places) {
  Owners owners;
  if (::geteuid() != 0) return owners;
  struct stat status {};
  bool known = ::stat(config_path.c_str(), &status) == 0 ||
               ::stat(folder_of(config_path).c_str(), &status) == 0;
  if (!known) return owners;
  owners.plain = {status.st_uid, status.st_gid};
  owners.secret = owners.plain;
  const passwd* agents = ::getpwnam(kOwnUser);
  if (status.st_uid == 0 && agents != nullptr && folder_of(config_path) == places.configs) {
    owners.secret = {agents->pw_uid, agents->pw_gid};
    owners.plain.group = agents->pw_gid;
  }
  return owners;
}

mode_t plain_mode(const std::string& config_path) {
  struct stat status {};
  if (::stat(config_path.c_str(), &status) != 0) return 0640;
  return (status.st_mode & 0666) | 0600;
}

Started start_unit(AgentKind kind, const std::string& config_path, const AgentPlaces& places) {
  std::string unit(program_name(kind));
  bool ours = config_path == places.configs + "/" + std::string(to_string(kind)) + ".toml";
  bool systemd = there("/run/systemd/system");
  bool known = there("/usr/lib/systemd/system/" + unit + ".service") ||
               there("/usr/local/lib/systemd/system/" + unit + ".service") ||
               there("/etc/systemd/system/" + unit + ".service");
  if (!ours || !systemd || !known || ::geteuid() != 0) return {};
  return {true, run({"systemctl", "enable", "--now", "--quiet", unit})};
}

}  // namespace holdfast
