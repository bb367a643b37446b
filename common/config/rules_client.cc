#include <algorithm>

#include "common/config/nearest.h"
#include "common/config/rules.h"

namespace holdfast::rules {
namespace {

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "\"" : ", \"") + name + "\"";
  return text;
}

template <typename Kind>
bool listens_at(const ClientServiceConfig& service) {
  return std::any_of(service.listen.begin(), service.listen.end(),
                     [](const ListenAddress& each) { return std::holds_alternative<Kind>(each); });
}

bool have_one_alike(const std::vector<ListenAddress>& some,
                    const std::vector<ListenAddress>& others) {
  return std::any_of(some.begin(), some.end(), [&](const ListenAddress& each) {
    return std::find(others.begin(), others.end(), each) != others.end();
  });
}

}  // namespace

void link_has_one_proof(TableReader& link, const ClientLinkConfig& set, const Loading& loading) {
  plaintext_is_unsafe(link, set.unsafe_plaintext, loading);
  psk_file_holds_key(link, set.psk_file, !set.unsafe_plaintext, loading);
  if (link.has("psk_file") && link.has("tls")) {
    loading.report.error(link.place_of("tls"),
                         "psk_file and [" + link.place().key + ".tls] exclude each other",
                         "keep the one that the server has for this client");
  } else if (link.has("unsafe_plaintext") && !link.has_boolean("unsafe_plaintext")) {
    return;  // of a wrong type, and reported: what was meant is not known
  } else if (!set.unsafe_plaintext && !link.has("psk_file") && !link.has("tls")) {
    loading.report.missing(Severity::error, link.place_of("psk_file"),
                           "the link has no key: it would be neither encrypted nor authenticated",
                           "write `holdfast-client genpsk` to a file of mode 600 and name it as "
                           "psk_file here and under [clients.NAME] at the server; or set up [" +
                               link.place().key +
                               ".tls]; or, for tests only, unsafe_plaintext = true on both sides");
  }
}

void links_have_one_form(TableReader& top, TableReader& links, const Loading& loading) {
  if (top.has("links") && top.has("link")) {
    loading.report.error(links.place(), "[link] and [links.NAME] exclude each other",
                         "give the one in [link] a name, too: [links.NAME]");
  }
  if (links.present() && links.keys().empty()) {
    loading.report.missing(Severity::error, links.place(), "no link stands in it",
                           "add [links.NAME] with server and psk_file");
  }
}

// One more than there are links has something to do: it listens.
void threads_have_links(const TableReader& top, const ClientConfig& config,
                        const Loading& loading) {
  std::uint64_t links = 0;
  for (const auto& [name, link] : config.links) {
    if (link.parallel == 0) return;  // a lane for each thread
    links += link.parallel;
  }
  if (links == 0 || config.threads <= links + 1) return;
  loading.report.warning(top.place_of("threads"),
                         std::to_string(config.threads) + " threads are more than there is for " +
                             std::to_string(links) + (links == 1 ? " link" : " links") + " to do",
                         "set link.parallel to as many, or fewer threads");
}

bool is_turned_to(const TableReader& service) {
  const std::vector<TextItem> mode = service.peek("mode");
  if (mode.size() != 1 || mode.front().place.key != service.place_of("mode").key) return false;
  return mode.front().text == to_string(ServiceMode::redirect) ||
         mode.front().text == to_string(ServiceMode::tproxy);
}

void ClientServices::check(const std::string& name, TableReader& table,
                           ClientServiceConfig& service) {
  listens_alone(table, service);
  socket_keys_have_a_socket(table, service);
  link_exists(table, service);
  match_goes_with_mode(table, service);
  proxy_header_has_senders(table, service);
  mirror_can_close(table, service);
  if (table.filled("listen")) seen_[name] = service;
}

void ClientServices::links_are_used(const TableReader& links) const {
  if (unclear_) return;
  for (const std::string& link : links_) {
    const bool used = std::any_of(seen_.begin(), seen_.end(),
                                  [&](const auto& each) { return each.second.link == link; });
    if (!used) {
      loading_.report.missing(Severity::warning, links.place_of(link), "no service uses this link",
                              "link = \"" + link + "\" in a [services.NAME] does");
    }
  }
}

void ClientServices::listens_alone(const TableReader& table, const ClientServiceConfig& service) {
  const auto place = table.filled("listen");
  if (!place) return;
  const bool turned = service.mode != ServiceMode::explicit_address;
  for (const ListenAddress& address : service.listen) {
    listeners_.add(address, *place, loading_.report, turned ? to_string(service.mode) : "");
  }
  // Whoever connects without being turned to it is reset: it may be open to all.
  if (turned) return;
  if (listens_at<UnixAddress>(service)) no_reset_on_unix_socket(*place, loading_);
  for (const ListenAddress& address : service.listen) {
    if (is_local(address)) continue;
    loading_.report.warning(*place,
                            "whoever reaches " + to_string(address) + " can use this service",
                            "use 127.0.0.1 or [::1] unless other hosts are meant to");
  }
}

// The file of a socket that a service manager passed in is that one's.
void ClientServices::socket_keys_have_a_socket(const TableReader& table,
                                               const ClientServiceConfig& service) {
  if (listens_at<UnixAddress>(service) || !table.filled("listen")) return;
  for (const char* key : {"socket_mode", "socket_user", "socket_group"}) {
    if (!table.filled(key)) continue;
    loading_.report.warning(table.place_of(key), "it means nothing without a Unix socket in listen",
                            listens_at<SystemdSocket>(service)
                                ? "the socket unit has SocketMode=, SocketUser= and SocketGroup="
                                : "write listen = \"unix:/path\"");
  }
}

void listen_is_not_the_server(const TableReader& table, const ClientServiceConfig& service,
                              const std::map<std::string, ClientLinkConfig>& links,
                              const Loading& loading) {
  const auto place = table.filled("listen");
  if (!place || service.mode != ServiceMode::explicit_address) return;
  auto dials_itself = [&](const ListenAddress& each) {
    const auto* own = std::get_if<TcpAddress>(&each);
    return own != nullptr && std::any_of(links.begin(), links.end(), [&](const auto& link) {
             const auto& servers = link.second.server;
             return std::any_of(servers.begin(), servers.end(),
                                [&](const TcpAddress& server) { return leads_to(server, *own); });
           });
  };
  if (!std::any_of(service.listen.begin(), service.listen.end(), dials_itself)) return;
  loading.report.error(*place, "it is the server's address of a link: the agent would dial itself",
                       "give the service another port");
}

void ClientServices::link_exists(TableReader& table, ClientServiceConfig& service) {
  if (links_.size() > 1) table.require("link", "there are several: " + listed(links_));
  const auto place = table.filled("link");
  const std::string named = service.link;
  service.link = links_.size() == 1 ? links_.front() : "";
  if (place && std::find(links_.begin(), links_.end(), named) != links_.end()) {
    service.link = named;
  } else if (place) {
    const auto near = nearest(named, links_);
    loading_.report.missing(Severity::error, *place, "there is no link \"" + named + "\"",
                            near             ? "did you mean \"" + *near + "\"?"
                            : links_.empty() ? "add [links." + named + "]"
                                             : "there is " + listed(links_));
  }
  unclear_ = unclear_ || (!place && table.has("link")) || service.link.empty();
}

void ClientServices::match_goes_with_mode(TableReader& table, const ClientServiceConfig& service) {
  if (service.mode == ServiceMode::explicit_address) {
    const auto unmeant = !service.match.empty() ? table.filled("match")
                         : service.travel       ? table.filled("travel")
                                                : std::nullopt;
    if (unmeant) {
      loading_.report.error(*unmeant, "applications connect to this service's own address",
                            "mode = \"redirect\" or \"tproxy\" takes connections to others");
    }
    return;
  }
  table.require("match", "the destinations that are taken, as in match = \"10.0.5.0/24:5432\"");
  for (const AddressPattern& pattern : service.match) {
    const auto [earlier, added] = matches_.emplace(
        std::string(to_string(service.mode)) + " " + to_string(pattern), table.place().key);
    if (added) continue;
    loading_.report.error(table.place_of("match"),
                          earlier->second + " has the same: " + to_string(pattern),
                          "a destination belongs to one service");
  }
}

void ClientServices::proxy_header_has_senders(TableReader& table,
                                              const ClientServiceConfig& service) {
  if (!service.accept_proxy_from.empty() && !service.accept_proxy) {
    loading_.report.warning(table.place_of("accept_proxy_from"),
                            "it means nothing without accept_proxy = true");
  }
  if (!service.accept_proxy) return;
  const Place place = table.place_of("accept_proxy");
  if (service.mode != ServiceMode::explicit_address) {
    loading_.report.error(place, "intercepted connections have no PROXY header",
                          "their addresses are known without one");
  }
  if (service.accept_proxy_from.empty() && !table.has("accept_proxy_from")) {
    loading_.report.missing(Severity::error, table.place_of("accept_proxy_from"),
                            "nobody may send a PROXY header, so nobody can connect",
                            "name the balancers, as in accept_proxy_from = [\"10.0.0.5\"]");
  }
  if (listens_at<UnixAddress>(service)) {
    loading_.report.error(place, "who connects to a Unix socket has no address to be allowed by",
                          "listen on host:port");
  }
}

// A listener that is closed and opened again must be the service's own, and the agent's.
void ClientServices::mirror_can_close(const TableReader& table,
                                      const ClientServiceConfig& service) {
  const auto place = table.filled("mirror");
  if (service.mirror && (listens_at<UnixAddress>(service) || listens_at<SystemdSocket>(service))) {
    loading_.report.error(*place, "only a TCP listener of the agent's own can refuse",
                          "listen on host:port");
  }
  if (service.mirror && service.travel) {
    loading_.report.error(*place, "where the destination travels there is no target to be watched",
                          "mirror is for services with a target at the server");
  }
  const bool shared = std::any_of(seen_.begin(), seen_.end(), [&](const auto& each) {
    return have_one_alike(each.second.listen, service.listen) &&
           (service.mirror || each.second.mirror);
  });
  if (!shared) return;
  loading_.report.error(place.value_or(table.place_of("listen")),
                        "another service has the same listener, which cannot be closed",
                        "give this service a port of its own");
}

}  // namespace holdfast::rules
