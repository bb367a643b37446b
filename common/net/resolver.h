// Resolver: names to addresses, on libuv's threads. One look-up per name at a time, because one may
// hold a thread for many seconds; literals never come here (SocketAddress::literal).
#pragma once

#include <uv.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/result.h"
#include "common/net/loop.h"
#include "common/net/socket.h"

namespace holdfast {

class Resolver {
 public:
  // At least one address, IPv6 and IPv4 taking turns in the order of the resolver's preference.
  using Answer = Result<std::vector<SocketAddress>>;

  // One question; its callback runs once, never from within ask(), and not after it is destroyed.
  class Question {
   public:
    Question(Resolver& resolver, HostPort address, std::function<void(const Answer&)> callback);
    ~Question();
    Question(const Question&) = delete;
    Question& operator=(const Question&) = delete;

   private:
    friend class Resolver;
    Resolver& resolver_;
    HostPort address_;
    std::function<void(const Answer&)> callback_;
  };

  explicit Resolver(Loop& loop) : loop_(loop) {}
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

 private:
  struct Lookup {
    uv_getaddrinfo_t request{};
    Resolver* resolver = nullptr;  // nullptr: nobody waits any more
    std::string host;
    std::vector<Question*> questions;
  };

  void ask(Question& question);
  void forget(Question& question);
  static void done(uv_getaddrinfo_t* request, int status, addrinfo* found);

  Loop& loop_;
  // libuv owns a look-up under way: it is freed in its callback.
  std::map<std::string, Lookup*> lookups_;
};

// The addresses of getaddrinfo(3) with this port: families take turns, beginning with the first.
std::vector<SocketAddress> interleave(const addrinfo* found, std::uint16_t port);

// For listeners at start: waits for the resolver.
Resolver::Answer resolve_now(const HostPort& address);

}  // namespace holdfast
