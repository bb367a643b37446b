// Lookups: the blocking half of names. Each look-up is getaddrinfo(3) on a thread of its own, so
// that what it finds is what `getent ahosts` finds (nsswitch.conf, /etc/hosts, search domains,
// mDNS) and one that hangs holds up no other. Nobody can stop a look-up: one whose starter is gone
// runs to its end, unheard.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/io/mailbox.h"
#include "common/io/socket.h"

struct addrinfo;

namespace holdfast {

// With port 0; IPv6 and IPv4 take turns in the order of the system's preference. Never empty.
using FoundAddresses = Result<std::vector<SocketAddress>>;

// The addresses of getaddrinfo(3) with this port: families take turns, beginning with the first.
std::vector<SocketAddress> interleave(const addrinfo* found, std::uint16_t port);

// What a Resolver starts its look-ups with.
class Lookups {
 public:
  virtual ~Lookups() = default;
  // `number` is the caller's. What comes of it is told later, on the loop, never from within this.
  virtual void start(std::uint64_t number, const std::string& host) = 0;
};

class ThreadLookups final : public Lookups {
 public:
  using Told = std::function<void(std::uint64_t number, FoundAddresses found)>;
  ThreadLookups(Loop& loop, Told told);
  ~ThreadLookups() override;
  ThreadLookups(const ThreadLookups&) = delete;
  ThreadLookups& operator=(const ThreadLookups&) = delete;

  void start(std::uint64_t number, const std::string& host) override;

  // Some look-up of this process is not over yet: the process must leave by _exit(), for exit()
  // takes libraries down that such a thread may be in. Any thread.
  static bool any_running();

 private:
  struct Running;
  struct Arrived {
    std::uint64_t number = 0;
    FoundAddresses found = Error{};
  };

  static void* run(void* running);
  void arrived(Arrived arrived);

  Told told_;
  std::map<std::uint64_t, Running*> running_;
  Mailbox<Arrived> mailbox_;
};

}  // namespace holdfast
