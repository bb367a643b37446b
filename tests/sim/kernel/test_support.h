// For the kernel's own tests: an internet of one path, and a process that does what a test says.
#pragma once

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <tuple>
#include <utility>

#include "common/io/socket.h"
#include "tests/catch.h"
#include "tests/sim/kernel/connection.h"
#include "tests/sim/kernel/kernel.h"
#include "tests/sim/kernel/process.h"
#include "tests/sim/kernel/socket.h"

namespace holdfast::sim {

constexpr Address kServer{0x0a000001, 7443};

class OnePath final : public Internet {
 public:
  explicit OnePath(const Path::Shape& shape = {})
      : kernel(1, *this), path(shape, kernel.random()) {}

  void connect(Socket& socket, const Address& to) override { kernel.dial(socket, path, to); }
  void established(Connection& made) override { connection = made.number(); }
  void swallowed(Connection&) override {}
  void struck(Connection&) override {}
  void gone(Connection&) override {}
  void socket_gone(Socket&) override {}

  void run(Duration length) {
    Time until = kernel.now() + length;
    while (kernel.step(until)) {
    }
    kernel.advance(until);
  }
  Connection& last() { return *kernel.connection(connection); }

  Kernel kernel;
  Path path;
  std::uint64_t connection = 0;
};

class TestProcess final : public Process {
 public:
  TestProcess(Kernel& kernel, std::uint32_t host, std::size_t limit = 100)
      : Process(kernel, host, limit) {}
  ~TestProcess() override { die(); }

  template <typename Code>
  auto in(Code code) {
    Running running(*this);
    return code();
  }
  int turns = 0;
  std::function<bool()> at_turn = [] { return false; };

 private:
  bool turn() override {
    turns += 1;
    Running running(*this);
    return at_turn();
  }
};

// Two processes and a connection between them, from system calls.
struct Pair {
  explicit Pair(const Path::Shape& shape = {}) : net(shape) {
    listener = server.in([] {
      int made = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in own = kServer.to_sockaddr();
      bind(made, reinterpret_cast<sockaddr*>(&own), sizeof own);
      listen(made, 10);
      return made;
    });
    near = dial();
  }
  int dial() {
    return client.in([] {
      int made = socket(AF_INET, SOCK_STREAM, 0);
      sockaddr_in to = kServer.to_sockaddr();
      ::connect(made, reinterpret_cast<sockaddr*>(&to), sizeof to);
      return made;
    });
  }
  // A second connection's; near and far stay the first one's.
  using Ends = std::pair<int, int>;
  Ends another() {
    Ends first{near, far};
    near = dial();
    accept();
    Ends second{near, far};
    std::tie(near, far) = first;
    return second;
  }
  template <typename Code>
  auto in(int side, Code code) {
    Process::Running running(side == 0 ? client : server);
    return code(side == 0 ? near : far);
  }
  void accept() {
    net.run(seconds(1));
    far = server.in([this] { return accept4(listener, nullptr, nullptr, 0); });
  }
  ssize_t send(int side, const std::string& bytes) {
    return in(side, [&](int socket) {
      iovec one{const_cast<char*>(bytes.data()), bytes.size()};
      return send_vector(socket, {&one, 1});
    });
  }
  // "" for the end, or the errno.
  std::string receive(int side, std::size_t most = 65536) {
    return in(side, [&](int socket) {
      std::string bytes(most, 0);
      ssize_t size = recv(socket, bytes.data(), most, 0);
      if (size < 0) return "errno " + std::to_string(errno);
      bytes.resize(static_cast<std::size_t>(size));
      return bytes;
    });
  }
  void close(int side, bool reset = false) {
    in(side, [&](int socket) {
      linger value{reset ? 1 : 0, 0};
      setsockopt(socket, SOL_SOCKET, SO_LINGER, &value, sizeof value);
      return ::close(socket);
    });
  }

  OnePath net;
  TestProcess client{net.kernel, 0x0a000101};
  TestProcess server{net.kernel, kServer.host};
  int listener = -1;
  int near = -1;
  int far = -1;
};

}  // namespace holdfast::sim
