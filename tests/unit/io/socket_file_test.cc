// Who may connect to a Unix socket's file.
#include "common/io/socket_file.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/catch.h"

namespace holdfast {
namespace {

class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "holdfast-access-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// A socket bound at the path; only its file is of interest.
void make_socket_file(const std::string& path) {
  int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(bind(made, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  close(made);
}

struct stat look(const std::string& path) {
  struct stat info {};
  REQUIRE(lstat(path.c_str(), &info) == 0);
  return info;
}

unsigned mode_of(const std::string& path) {
  return look(path).st_mode & 07777U;
}

TEST_CASE("a socket's file gets its mode whatever the umask is") {
  Folder folder;
  std::string path = folder / "a.sock";
  make_socket_file(path);
  mode_t before = umask(0077);
  CHECK(set_socket_access(path, {mode_t{0666}, {}, {}}).ok());
  CHECK(mode_of(path) == 0666);
  umask(before);
}

TEST_CASE("without a mode it is what the umask leaves") {
  Folder folder;
  std::string path = folder / "a.sock";
  make_socket_file(path);
  REQUIRE(set_socket_access(path, {mode_t{0600}, {}, {}}).ok());
  mode_t before = umask(0027);
  CHECK(set_socket_access(path, {}, {mode_t{0600}, {}, {}}).ok());
  mode_t after = umask(before);
  CHECK(mode_of(path) == 0750);
  CHECK(after == 0027);
}

TEST_CASE("owner and group are given and taken back") {
  if (geteuid() != 0) return;  // only root may
  Folder folder;
  std::string path = folder / "a.sock";
  make_socket_file(path);
  SocketAccess given{mode_t{0660}, uid_t{65534}, gid_t{65533}};
  REQUIRE(set_socket_access(path, given).ok());
  CHECK(look(path).st_uid == 65534);
  CHECK(look(path).st_gid == 65533);
  REQUIRE(set_socket_access(path, {mode_t{0660}, {}, {}}, given).ok());
  CHECK(look(path).st_uid == geteuid());
  CHECK(look(path).st_gid == getegid());
}

TEST_CASE("what has taken the socket's place is left alone") {
  Folder folder;
  std::string file = folder / "file", link = folder / "link", target = folder / "target";
  std::ofstream(file) << "x";
  std::ofstream(target) << "x";
  REQUIRE(chmod(file.c_str(), 0600) == 0);
  REQUIRE(chmod(target.c_str(), 0600) == 0);
  REQUIRE(symlink(target.c_str(), link.c_str()) == 0);
  for (const std::string& path : {file, link, folder / "nothing"}) {
    CHECK_FALSE(set_socket_access(path, {mode_t{0666}, {}, {}}).ok());
  }
  CHECK(mode_of(file) == 0600);
  CHECK(mode_of(target) == 0600);
}

}  // namespace
}  // namespace holdfast
