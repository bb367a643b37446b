#include "common/agent/doctor.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "common/admin/listeners.h"
#include "common/agent/credentials.h"
#include "common/agent/probe_link.h"
#include "common/agent/reach.h"
#include "common/config/changes.h"
#include "common/config/psk.h"
#include "common/io/listener.h"
#include "common/tunnel/refusal_text.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kConnect{3000};
constexpr milliseconds kAnswer{5000};
constexpr milliseconds kSmallAnswer{3000};
constexpr milliseconds kPorch{5000};  // beyond a target's own connect_timeout

bool has(const std::string& text, const char* word) {
  return text.find(word) != std::string::npos;
}

Finding good(std::string step, std::string what) {
  return {std::move(step), true, std::move(what), ""};
}

Finding bad(std::string step, std::string what, std::string remedy) {
  return {std::move(step), false, std::move(what), std::move(remedy)};
}

// Why a handshake failed, by what it says: the wrong proof, the wrong time, or no TLS at all.
Finding handshake_failed(const std::string& where, const std::string& error) {
  std::string what = where + ": " + error;
  if (has(error, "expired") || has(error, "not valid")) {
    return bad("clock", what, "compare `date` on both hosts; if they are right, renew that file");
  }
  if (has(error, "certificate")) {
    return bad("key", what, "ca_file, cert_file and server_name on both sides belong together");
  }
  if (has(error, "key") || has(error, "refused the handshake")) {
    return bad("key", what, "put the same psk_file on both sides, and reload the server");
  }
  return bad("tls", what,
             "another program has this port, or the server's side is unsafe_plaintext");
}

std::string days_left(const CertificateEnds& ends) {
  std::int64_t least = INT64_MAX;
  for (const auto& [key, end] : ends) least = std::min(least, days_until(end));
  return ends.empty() ? "" : "certificates are good for " + std::to_string(least) + " days";
}

bool agent_runs(const AdminConfig& admin) {
  return connect_unix(admin.socket).error == 0;
}

class ClientDoctor {
 public:
  ClientDoctor(const ClientConfig& config, const TellStep& tell) : config_(config), tell_(tell) {}

  void run() {
    auto credentials = load_credentials(config_);
    if (!credentials) {
      tell_(bad("config", credentials.error().message, "`check` tells every mistake"));
      return;
    }
    for (const auto& [name, link] : config_.links) {
      if (!walk(name, link, credentials->tls.at(name).get())) return;
    }
    std::string clock = days_left(credentials->ends);
    if (!clock.empty() && !tell_(good("clock", clock))) return;
    tell_(agent_runs(config_.admin)
              ? good("agent", "it runs, at " + config_.admin.socket)
              : bad("agent", "nothing answers at " + config_.admin.socket,
                    "the way is free; start the agent (systemctl start holdfast-client)"));
  }

 private:
  bool walk(const std::string& name, const ClientLinkConfig& link, TlsContext* tls) {
    label_ = name == kDefaultLinkName ? "" : "link " + name + ": ";
    std::vector<Reachable> addresses;
    if (!resolve(link, addresses)) return false;
    std::string where;
    Descriptor socket = connect(addresses, where);
    if (!socket.valid()) return false;
    ProbeLink probe(std::move(socket), tls);
    return shake(probe, where, link) && greet(probe, where, link) && measure(probe, where) &&
           try_services(probe, name);
  }

  bool resolve(const ClientLinkConfig& link, std::vector<Reachable>& addresses) {
    std::string found, missed;
    for (const TcpAddress& each : link.server) {
      auto looked = look_up(each);
      if (!looked) {
        missed += (missed.empty() ? "" : ", ") + each.host + ": " + looked.error().message;
        continue;
      }
      for (const Reachable& one : *looked) {
        addresses.push_back(one);
        found += (found.empty() ? "" : ", ") + one.text;
      }
    }
    if (!addresses.empty()) return tell_(good("resolve", label_ + found));
    return tell_(bad("resolve", label_ + missed,
                     "look at `server` in the config, then `getent ahosts NAME`"));
  }

  Descriptor connect(const std::vector<Reachable>& addresses, std::string& where) {
    std::string tried;
    int error = 0;
    for (const Reachable& each : addresses) {
      Reached reached = reach(each, kConnect);
      if (reached.socket.valid()) {
        where = label_ + each.text;
        tell_(good("tcp", where));
        return std::move(reached.socket);
      }
      error = reached.error;
      tried += (tried.empty() ? "" : ", ") + each.text + ": " + std::strerror(error);
    }
    tell_(bad("tcp", label_ + tried, connect_remedy(error, "holdfast-server")));
    return Descriptor();
  }

  bool shake(ProbeLink& probe, const std::string& where, const ClientLinkConfig& link) {
    if (link.unsafe_plaintext) return tell_(good("tls", where + ": none (unsafe_plaintext)"));
    if (Status done = probe.handshake(kAnswer); !done) {
      return tell_(handshake_failed(where, done.error().message));
    }
    return tell_(good("tls", where)) &&
           tell_(good("key", link.psk_file ? *link.psk_file : link.tls->cert_file));
  }

  bool greet(ProbeLink& probe, const std::string& where, const ClientLinkConfig& link) {
    auto welcome = probe.greet(config_.name, kAnswer);
    if (!welcome && link.unsafe_plaintext) {
      return tell_(bad("tls", where + ": " + welcome.error().message,
                       "is the server encrypted, or is it another program?"));
    }
    if (!welcome) {
      return tell_(bad("name", where + ": " + welcome.error().message,
                       "the server's log says why it closed (carrier_rejected)"));
    }
    if (welcome->verdict == Verdict::created) {
      return tell_(good("name", config_.name + " is welcome at " + welcome->server));
    }
    std::string cause(to_string(welcome->code));
    std::string what = where + ": " + config_.name + " is refused (" + cause + ")";
    bool version = welcome->code == Cause::version;
    std::string remedy = refusal_text(welcome->code, config_.name);
    if (remedy.empty()) remedy = "the server's log says why (carrier_rejected)";
    return tell_(bad(version ? "version" : "name", what, remedy));
  }

  bool measure(ProbeLink& probe, const std::string& where) {
    if (Status small = probe.ping(ProbeLink::PingSize::small, kSmallAnswer); !small) {
      return tell_(
          bad("mtu", where + ": " + small.error().message, "the path went silent: try again"));
    }
    if (Status large = probe.ping(ProbeLink::PingSize::large, kAnswer); !large) {
      return tell_(bad("mtu",
                       where + ": large packets do not arrive (" + large.error().message + ")",
                       "lower the interface's MTU, or let ICMP \"fragmentation needed\" through; "
                       "net.ipv4.tcp_mtu_probing = 1 helps"));
    }
    return tell_(good("mtu", "large packets arrive at the server"));
  }

  bool try_services(ProbeLink& probe, const std::string& link) {
    for (const auto& [name, service] : config_.services) {
      if (service.link != link || service.travel) continue;
      if (!try_service(probe, name)) return false;
    }
    return true;
  }

  bool try_service(ProbeLink& probe, const std::string& name) {
    auto cause = probe.open(name, milliseconds(30'000));
    if (!cause) {
      return tell_(bad("target", name + ": " + cause.error().message,
                       "the server's log says what became of it"));
    }
    std::string what = name + ": " + std::string(to_string(*cause));
    switch (*cause) {
      case Cause::none:
        return tell_(good("grant", name)) && tell_(good("target", name + " answers"));
      case Cause::unknown_service:
        return tell_(bad("grant", what,
                         "the server has no [services." + name + "], or [clients." + config_.name +
                             "] services does not list it"));
      case Cause::draining:
      case Cause::limit:
        return tell_(bad("grant", what, "the server takes no further connection now"));
      default:
        return tell_(good("grant", name)) &&
               tell_(bad("target", what,
                         "run `holdfast-server doctor` on the server: it cannot reach the "
                         "service's target"));
    }
  }

  const ClientConfig& config_;
  const TellStep& tell_;
  std::string label_;  // of the link, where there are several
};

class ServerDoctor {
 public:
  ServerDoctor(const ServerConfig& config, const TellStep& tell) : config_(config), tell_(tell) {}

  void run() {
    if (!certificates() || !clients() || !listens()) return;
    for (const auto& [name, service] : config_.services) {
      if (!try_target(name, service)) return;
    }
  }

 private:
  bool certificates() {
    auto credentials = load_credentials(config_);
    if (!credentials) {
      return tell_(bad("config", credentials.error().message, "`check` tells every mistake"));
    }
    std::string clock = days_left(credentials->ends);
    return clock.empty() || tell_(good("clock", clock));
  }

  bool clients() {
    for (const auto& [name, client] : config_.clients) {
      if (!client.expires || client.expires->epoch_s > wall_clock_now().epoch_s) continue;
      return tell_(bad("client", name + ": its access ended on " + to_string(*client.expires),
                       "set expires anew, or take the client out"));
    }
    if (config_.clients.empty()) {
      return tell_(bad("client", "there is none, so nobody can connect",
                       "`holdfast-server invite NAME ...` adds one"));
    }
    return tell_(good("client", std::to_string(config_.clients.size()) + " may connect"));
  }

  // The running agent is looked at as a client sees it; else whether it could listen.
  bool listens() {
    bool runs = agent_runs(config_.admin);
    for (const ListenAddress& each : config_.link.listen) {
      const auto* address = std::get_if<TcpAddress>(&each);
      if (address == nullptr) continue;
      if (!(runs ? knock(*address) : try_listen(*address))) return false;
    }
    return tell_(runs ? good("agent", "it runs, at " + config_.admin.socket)
                      : bad("agent", "nothing answers at " + config_.admin.socket,
                            "start it (systemctl start holdfast-server)"));
  }

  bool try_listen(const TcpAddress& address) {
    BindOptions options;
    if (auto found = look_up(address)) {
      for (const Reachable& each : *found) {
        options.of_name.emplace_back(reinterpret_cast<const sockaddr*>(&each.address), each.size);
      }
    }
    auto sockets = bind_sockets(HostPort{address.host, address.port}, nullptr, options);
    if (sockets) return tell_(good("listen", to_string(address) + " can be had"));
    return tell_(
        bad("listen", sockets.error().message, "another program has it, or it is not ours"));
  }

  bool knock(const TcpAddress& address) {
    std::string text = to_string(address);
    auto found = look_up(address);
    if (!found) {
      return tell_(bad("resolve", text + ": " + found.error().message,
                       "look at `listen` in the config, then `getent ahosts NAME`"));
    }
    Reached reached = reach(found->front(), kConnect);
    if (!reached.socket.valid()) {
      return tell_(bad("tcp", text + ": " + std::strerror(reached.error),
                       connect_remedy(reached.error, "this agent")));
    }
    if (!tell_(good("listen", text))) return false;
    for (const auto& [name, client] : config_.clients) {
      if (client.psk_file && !shake_as(name, *client.psk_file, found->front())) return false;
    }
    return true;
  }

  bool shake_as(const std::string& name, const std::string& file, const Reachable& where) {
    LoadedPsk psk = load_psk_file(file);
    if (!psk.psk) return tell_(bad("key", file + ": " + psk.fault.reason, psk.fault.hint));
    TlsClientOptions options;
    options.key.emplace();
    options.key->id = psk.psk->id;
    options.key->name = name;
    options.key->key = psk.psk->key;
    auto context = make_tls_client(options);
    if (!context) return tell_(bad("tls", context.error().message, "OpenSSL 3 is needed"));
    Reached reached = reach(where, kConnect);
    if (!reached.socket.valid()) {
      return tell_(bad("tcp", where.text + ": " + std::strerror(reached.error),
                       connect_remedy(reached.error, "this agent")));
    }
    ProbeLink probe(std::move(reached.socket), context->get());
    Status done = probe.handshake(kAnswer);
    if (!done) return tell_(handshake_failed(where.text + ", as " + name, done.error().message));
    return tell_(good("key", name + ": " + file));
  }

  bool try_target(const std::string& name, const ServerServiceConfig& service) {
    std::string text = name + ": " + to_string(service.target);
    std::vector<Reachable> addresses;
    if (const auto* tcp = std::get_if<TcpAddress>(&service.target)) {
      auto found = look_up(*tcp);
      if (!found) {
        return tell_(bad("resolve", text + ": " + found.error().message,
                         "look at `target` in the config, then `getent ahosts NAME`"));
      }
      addresses = std::move(*found);
    } else {
      addresses.push_back(at_path(std::get<UnixAddress>(service.target)));
    }
    int error = 0;
    auto patience = std::chrono::duration_cast<milliseconds>(service.connect_timeout);
    for (const Reachable& each : addresses) {
      Reached reached = reach(each, std::min(patience, kPorch));
      if (reached.socket.valid()) return tell_(good("target", text));
      error = reached.error;
    }
    return tell_(
        bad("target", text + ": " + std::strerror(error), connect_remedy(error, "the service")));
  }

  const ServerConfig& config_;
  const TellStep& tell_;
};

}  // namespace

void examine(const ClientConfig& config, const TellStep& tell) {
  ClientDoctor(config, tell).run();
}

void examine(const ServerConfig& config, const TellStep& tell) {
  ServerDoctor(config, tell).run();
}

}  // namespace holdfast
