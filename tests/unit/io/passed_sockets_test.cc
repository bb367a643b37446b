#include "common/io/passed_sockets.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "common/base/with_systemd.h"
#include "tests/unit/support.h"

namespace holdfast {
namespace {

std::string fault(const std::string& name, PassedKinds kinds = PassedKinds::tcp_and_unix) {
  auto taken = passed_sockets(name, kinds);
  return taken ? "taken" : taken.error().message;
}

TEST_CASE("Without a service manager a passed socket is an error that says what to set") {
  CHECK(passed_names().empty());
  CHECK(fault("web").find(kWithSystemd ? "passed no socket" : kNoSystemd) != std::string::npos);
#if HOLDFAST_SYSTEMD
  CHECK(fault("web").find("FileDescriptorName=web") != std::string::npos);
#endif
}

#if HOLDFAST_SYSTEMD

// Runs `body` in a process of its own that was passed the sockets under the names ("a:b"), as
// systemd does it; gives what the body says.
std::string started_with(const std::vector<int>& sockets, const std::string& names,
                         const std::function<std::string()>& body) {
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    constexpr int kClear = 200;  // above everything that is moved
    int answer = fcntl(pipe_ends[1], F_DUPFD, kClear);
    std::vector<int> moved;
    for (int socket : sockets) moved.push_back(fcntl(socket, F_DUPFD, kClear));
    for (std::size_t i = 0; i < moved.size(); ++i) dup2(moved[i], static_cast<int>(3 + i));
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(sockets.size()).c_str(), 1);
    setenv("LISTEN_FDNAMES", names.c_str(), 1);
    std::string said = body();
    (void)!write(answer, said.data(), said.size());
    _exit(0);
  }
  close(pipe_ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(pipe_ends[0], buffer, sizeof buffer)) > 0;) {
    said.append(buffer, static_cast<std::size_t>(n));
  }
  close(pipe_ends[0]);
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  return said;
}

Descriptor unix_listener(const std::string& path) {
  SocketAddress address = *SocketAddress::unix_path(path);
  Descriptor made = make_socket(AF_UNIX);
  REQUIRE(bind(made.get(), address.get(), address.size()) == 0);
  REQUIRE(listen(made.get(), 4) == 0);
  return made;
}

std::string free_path() {
  return "/tmp/holdfast-passed-test-" + std::to_string(getpid());
}

TEST_CASE("Every socket of a name is taken, and other names are left alone") {
  BoundSocket one = free_listener();
  BoundSocket two = free_listener();
  BoundSocket other = free_listener();
  std::string said =
      started_with({one.descriptor(), other.descriptor(), two.descriptor()}, "web:db:web", [] {
        auto bound = bind_sockets(PassedSocket{"web"}, nullptr);
        if (!bound) return bound.error().message;
        std::string names;
        for (const BoundSocket& socket : *bound) names += socket.name() + " ";
        return names + std::to_string(passed_names().size());
      });
  std::string first = bound_address(one.descriptor()).to_string();
  std::string second = bound_address(two.descriptor()).to_string();
  CHECK(said == first + " " + second + " 2");
}

TEST_CASE("A name that was not passed is an error that lists those that were") {
  BoundSocket one = free_listener();
  std::string said = started_with({one.descriptor()}, "web", [] { return fault("db"); });
  CHECK(said.find("\"web\"") != std::string::npos);
  CHECK(said.find("FileDescriptorName=db") != std::string::npos);
}

TEST_CASE("A passed socket that cannot be accepted from is refused with the setting to change") {
  Descriptor datagram(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  Descriptor idle = make_socket(AF_INET);
  BoundSocket listening = free_listener();
  Descriptor connected = dial(bound_address(listening.descriptor()));
  for (int descriptor : {datagram.get(), idle.get(), connected.get()}) {
    std::string said = started_with({descriptor}, "web", [] { return fault("web"); });
    CHECK(said.find("ListenStream= and Accept=no") != std::string::npos);
  }
}

TEST_CASE("A Unix socket is taken for applications and refused where only TCP will do") {
  std::string path = free_path();
  Descriptor made = unix_listener(path);
  std::string both = started_with({made.get()}, "web", [] { return fault("web"); });
  std::string tcp =
      started_with({made.get()}, "web", [] { return fault("web", PassedKinds::tcp); });
  unlink(path.c_str());
  CHECK(both == "taken");
  CHECK(tcp.find("Unix socket") != std::string::npos);
}

TEST_CASE("The file and the queue of a passed socket outlive its listener") {
  std::string path = free_path();
  Descriptor made = unix_listener(path);
  std::string said = started_with({made.get()}, "web", [&path] {
    for (int turn = 0; turn < 2; ++turn) {
      auto bound = bind_sockets(PassedSocket{"web"}, tune_application_socket);
      if (!bound) return bound.error().message;
      if (bound->front().name() != "unix:" + path) return bound->front().name();
    }
    return std::string("twice");
  });
  CHECK(said == "twice");
  CHECK(access(path.c_str(), F_OK) == 0);
  Descriptor caller = dial(*SocketAddress::unix_path(path));
  CHECK(caller.valid());
  unlink(path.c_str());
}

TEST_CASE("Who was queued on a passed socket before the start is tuned like others") {
  Descriptor made(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketAddress any = *SocketAddress::literal({"127.0.0.1", 0});
  REQUIRE(bind(made.get(), any.get(), any.size()) == 0);
  REQUIRE(listen(made.get(), 4) == 0);
  Descriptor caller = dial(bound_address(made.get()));
  std::string said = started_with({made.get()}, "web", [] {
    auto bound = bind_sockets(PassedSocket{"web"}, tune_application_socket);
    if (!bound) return bound.error().message;
    int listening = bound->front().descriptor();
    std::string flags = (fcntl(listening, F_GETFL) & O_NONBLOCK) != 0 ? "non-blocking " : "";
    flags += (fcntl(listening, F_GETFD) & FD_CLOEXEC) != 0 ? "cloexec " : "";
    Descriptor accepted = bound->front().accept();
    linger reset{};
    socklen_t size = sizeof reset;
    getsockopt(accepted.get(), SOL_SOCKET, SO_LINGER, &reset, &size);
    int no_delay = 0;
    size = sizeof no_delay;
    getsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size);
    flags += reset.l_onoff == 1 && reset.l_linger == 0 ? "resets " : "";
    return flags + (no_delay != 0 ? "no-delay" : "");
  });
  CHECK(said == "non-blocking cloexec resets no-delay");
}

#endif  // HOLDFAST_SYSTEMD

}  // namespace
}  // namespace holdfast
