#include "common/config/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>

namespace holdfast {
namespace {

constexpr mode_t kOthersAndGroup = 077;
constexpr mode_t kOthersAndGroupWrite = 037;

// PostgreSQL's rule: who runs the agent may have a key of root's through the key's group, and may
// then not change its mode; nobody else's key is trusted to a group.
mode_t refused_for(const struct stat& status, bool credential) {
  return credential || status.st_uid == 0 ? kOthersAndGroupWrite : kOthersAndGroup;
}

// What to do about a mode, for who can change it and for who cannot.
std::string mode_hint(const std::string& path, const struct stat& status) {
  std::string hint = "chmod 600 " + path;
  if (status.st_uid == 0) hint += ", or 0640 with the agent's group";
  return hint +
         "; of a mounted secret set the mode where it is mounted: 0440 and the agent's group, "
         "owned "
         "by root (Kubernetes: defaultMode: 0440 and fsGroup)";
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

FileFault system_fault(const std::string& path, const char* verb, int error) {
  const bool denied = error == EACCES || error == EPERM;
  return FileFault{
      denied ? ProblemKind::permission : ProblemKind::config,
      std::string("cannot ") + verb + " " + path + ": " + std::generic_category().message(error),
      denied ? "run the agent as the user who owns the file, or change the owner" : ""};
}

std::variant<std::string, FileFault> credential_path(const std::string& text) {
  const std::string name = text.substr(kCredentialPrefix.size());
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    return FileFault{ProblemKind::config, "credential: is followed by the name of a credential",
                     "write it as in LoadCredential=NAME:/path of the systemd unit"};
  }
  const char* folder = std::getenv("CREDENTIALS_DIRECTORY");
  if (folder == nullptr || *folder == '\0') {
    return FileFault{ProblemKind::credential,
                     "no $CREDENTIALS_DIRECTORY is set, so there is no " + text,
                     "run it in a systemd unit with LoadCredential=" + name + ":/path"};
  }
  return std::string(folder) + "/" + name;
}

std::optional<FileFault> status_fault(const std::string& path, const struct stat& status,
                                      std::size_t max_bytes, mode_t refused) {
  if (S_ISDIR(status.st_mode)) {
    return FileFault{ProblemKind::config, path + " is a folder, not a file", ""};
  }
  if (!S_ISREG(status.st_mode)) {
    return FileFault{ProblemKind::config, path + " is not a regular file", ""};
  }
  if ((status.st_mode & refused) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof(mode), "%04o", static_cast<unsigned>(status.st_mode & 07777));
    return FileFault{ProblemKind::permission,
                     path + " can be used by others than its owner (mode " + mode + ")",
                     mode_hint(path, status)};
  }
  if (static_cast<std::uint64_t>(status.st_size) > max_bytes) {
    return FileFault{ProblemKind::config,
                     path + " is too large: at most " + std::to_string(max_bytes) + " bytes", ""};
  }
  return std::nullopt;
}

// One byte more than allowed is asked for, so that a file that grew meanwhile is noticed. The
// string never reallocates, which would leave copies of a secret behind.
std::variant<std::string, FileFault> read_all(const Descriptor& file, const std::string& path,
                                              std::size_t capacity, std::size_t max_bytes) {
  std::string text(capacity + 1, '\0');
  std::size_t used = 0;
  while (used < text.size()) {
    const ssize_t n = read(file.get(), text.data() + used, text.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      wipe(text);
      return system_fault(path, "read", error);
    }
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
  }
  if (used > capacity || used > max_bytes) {
    wipe(text);
    return FileFault{ProblemKind::config, path + " changed while it was read", "try again"};
  }
  text.resize(used);
  return text;
}

}  // namespace

std::variant<std::string, FileFault> read_file(const std::string& path, std::size_t max_bytes,
                                               Privacy privacy) {
  std::string real = path;
  const bool credential = path.starts_with(kCredentialPrefix);
  if (credential) {
    auto resolved = credential_path(path);
    if (auto* fault = std::get_if<FileFault>(&resolved)) return std::move(*fault);
    real = std::get<std::string>(std::move(resolved));
  }
  const Descriptor file(open(real.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0 && credential && errno == EACCES) {
    return FileFault{ProblemKind::credential, "cannot open " + real + ": Permission denied",
                     "systemd shows credentials to the main process of the service only"};
  }
  if (file.get() < 0) return system_fault(real, "open", errno);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return system_fault(real, "look at", errno);
  mode_t refused = 0;
  if (privacy == Privacy::secret) refused = refused_for(status, credential);
  if (auto fault = status_fault(real, status, max_bytes, refused)) return *fault;
  return read_all(file, real, static_cast<std::size_t>(status.st_size), max_bytes);
}

std::string resolve_path(const std::string& path, const std::string& config_path) {
  if (path.empty() || path.front() == '/' || path.starts_with(kCredentialPrefix)) return path;
  const std::size_t slash = config_path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? std::string() : config_path.substr(0, slash + 1);
  if (!folder.empty() && folder.front() == '/') return folder + path;
  // The result must not change its meaning with the working directory.
  std::string here(4096, '\0');
  if (getcwd(here.data(), here.size()) == nullptr) return folder + path;
  here.resize(std::strlen(here.c_str()));
  return here + "/" + folder + path;
}

}  // namespace holdfast
