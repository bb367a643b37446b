#include "common/cli/nft_rules.h"

#include <algorithm>
#include <set>

namespace holdfast {
namespace {

// One destination that is turned to a listener.
struct Catch {
  AddressPattern pattern;
  ServiceMode mode;
  std::uint16_t port;
  std::string service;
};

bool is_v4(const AddressPattern& pattern) {
  return pattern.network.address.version == IpVersion::v4;
}

std::string destination(const AddressPattern& pattern) {
  std::string text = is_v4(pattern) ? "ip daddr " : "ip6 daddr ";
  text += to_string(pattern.network) + " tcp dport " + std::to_string(pattern.first_port);
  if (pattern.last_port != pattern.first_port) text += "-" + std::to_string(pattern.last_port);
  return text;
}

// As the agent decides: the longest prefix first, then the fewest ports.
bool narrower(const Catch& one, const Catch& other) {
  if (one.pattern.network.prefix != other.pattern.network.prefix) {
    return one.pattern.network.prefix > other.pattern.network.prefix;
  }
  return one.pattern.last_port - one.pattern.first_port <
         other.pattern.last_port - other.pattern.first_port;
}

// The first that may have connections of the family; else the first.
const TcpAddress* listener_for(const ClientServiceConfig& service, bool v4) {
  const TcpAddress* first = nullptr;
  for (const ListenAddress& each : service.listen) {
    const auto* tcp = std::get_if<TcpAddress>(&each);
    if (tcp == nullptr) continue;
    auto address = parse_ip_address(tcp->host);
    if (!address || (address->version == IpVersion::v4) == v4) return tcp;
    if (first == nullptr) first = tcp;
  }
  return first;
}

std::vector<Catch> catches(const ClientConfig& config) {
  std::vector<Catch> all;
  for (const auto& [name, service] : config.services) {
    if (service.mode == ServiceMode::explicit_address) continue;
    for (const AddressPattern& pattern : service.match) {
      const TcpAddress* listen = listener_for(service, is_v4(pattern));
      if (listen != nullptr) all.push_back({pattern, service.mode, listen->port, name});
    }
  }
  std::stable_sort(all.begin(), all.end(), narrower);
  return all;
}

std::string line(const std::string& text) {
  return "    " + text + "\n";
}

// The link's own addresses, as far as they stand in the config as numbers: never caught, whoever
// dials them.
std::string leave_links_alone(const ClientConfig& config) {
  std::string out;
  for (const auto& [name, link] : config.links) {
    for (const TcpAddress& server : link.server) {
      auto address = parse_ip_address(server.host);
      if (!address) continue;
      AddressPattern one{*parse_network(server.host), server.port, server.port};
      out += line(destination(one) + " return comment \"link " + name + "\"");
    }
  }
  return out;
}

std::string exclusion(const std::string& item) {
  std::size_t colon = item.find(':');
  std::string kind = item.substr(0, colon), value = item.substr(colon + 1);
  bool number = value.find_first_not_of("0123456789") == std::string::npos;
  if (kind == "uid") return "meta skuid " + (number ? value : "\"" + value + "\"") + " return";
  if (kind == "mark") return "meta mark " + value + " return";
  auto level = std::count(value.begin(), value.end(), '/') + 1;
  return "socket cgroupv2 level " + std::to_string(level) + " \"" + value + "\" return";
}

std::string leave_ourselves_alone(const ClientConfig& config, const std::string& own_user) {
  std::vector<std::string> items = config.nft.exclude;
  if (items.empty()) items.push_back("uid:" + own_user);
  std::string out;
  for (const std::string& item : items) out += line(exclusion(item));
  return out;
}

std::string chain(const std::string& name, const std::string& hook, const std::string& rules) {
  return "  chain " + name + " {\n" + line("type " + hook + "; policy accept;") + rules + "  }\n";
}

// Replaces the table in one transaction: the first line is there for the second to succeed.
std::string whole_table(const std::string& name, const std::string& chains) {
  return "table inet " + name + "\ndelete table inet " + name + "\ntable inet " + name + " {\n" +
         chains + "}\n";
}

// What belongs to a socket with an address that is not this host's comes to that socket.
std::string keep_transparent(const std::string& mark) {
  return line("meta l4proto tcp socket transparent 1 meta mark set " + mark + " accept");
}

// Answers have no destination that anybody asked for, also where a match is wide enough for it.
constexpr const char* kLeaveAnswers = "ct direction reply return";

// Where connections were not tracked before, the kernel takes the next packet of one that runs
// already for its first (nf_conntrack_tcp_loose): it is left alone.
constexpr const char* kLeaveRunning = "tcp flags & (fin | syn | rst | ack) != syn return";

constexpr const char* kRedirectIn = "nat hook prerouting priority dstnat";
constexpr const char* kRedirectOut = "nat hook output priority -100";
constexpr const char* kTproxyIn = "filter hook prerouting priority mangle";
constexpr const char* kTproxyOut = "route hook output priority mangle";

void set_deliveries(NftPlan& plan, const NftConfig& set, bool v4, bool v6) {
  std::string mark = std::to_string(set.mark), route_table = std::to_string(set.route_table);
  plan.all_deliveries = {{"-4", mark, route_table}, {"-6", mark, route_table}};
  if (v4) plan.deliveries.push_back(plan.all_deliveries[0]);
  if (v6) plan.deliveries.push_back(plan.all_deliveries[1]);
}

std::string ip_line(const IpCommand& words) {
  std::string text = "# ip";
  for (const std::string& word : words) text += " " + word;
  return text + "\n";
}

}  // namespace

bool NftPlan::delivers(const Delivery& each) const {
  return std::find(deliveries.begin(), deliveries.end(), each) != deliveries.end();
}

IpCommand NftPlan::show_rule(const Delivery& each) {
  return {each.family, "rule", "show", "fwmark", each.mark, "table", each.route_table};
}
IpCommand NftPlan::add_rule(const Delivery& each) {
  return {each.family, "rule", "add", "fwmark", each.mark, "table", each.route_table};
}
IpCommand NftPlan::delete_rule(const Delivery& each) {
  return {each.family, "rule", "del", "fwmark", each.mark, "table", each.route_table};
}
IpCommand NftPlan::add_route(const Delivery& each) {
  return {each.family, "route", "replace", "local",         "default",
          "dev",       "lo",    "table",   each.route_table};
}
IpCommand NftPlan::flush_routes(const Delivery& each) {
  return {each.family, "route", "flush", "table", each.route_table};
}

NftPlan nft_plan(const ClientConfig& config, const std::string& own_user) {
  NftPlan plan;
  plan.table = config.nft.table;
  std::string mark = std::to_string(config.nft.mark);
  std::string links = leave_links_alone(config);
  std::string ourselves = leave_ourselves_alone(config, own_user);
  std::string redirects, taken, marked;
  bool v4 = false, v6 = false;
  for (const Catch& each : catches(config)) {
    std::string where = destination(each.pattern), port = ":" + std::to_string(each.port);
    std::string comment = " comment \"services." + each.service + "\"";
    if (each.mode == ServiceMode::redirect) {
      redirects += line(where + " redirect to " + port + comment);
      continue;
    }
    (is_v4(each.pattern) ? v4 : v6) = true;
    std::string family = is_v4(each.pattern) ? "ip" : "ip6";
    taken += line(where + " tproxy " + family + " to " + port + " meta mark set " + mark +
                  " accept" + comment);
    // Nobody listens now: refused, as by a redirect, so that nothing passes by the agent. The
    // host's own connections, which this sees the answers of, go on.
    taken += line(where + " tcp flags & (fin | syn | rst | ack) == syn reject with tcp reset");
    marked += line(where + " meta mark set " + mark + comment);
  }
  std::string chains;
  if (!redirects.empty()) {
    chains += chain("redirect_forwarded", kRedirectIn, line(kLeaveRunning) + links + redirects);
    chains +=
        chain("redirect_local", kRedirectOut, line(kLeaveRunning) + ourselves + links + redirects);
  }
  if (!taken.empty()) {
    chains += chain("tproxy_forwarded", kTproxyIn,
                    keep_transparent(mark) + line(kLeaveAnswers) + links + taken);
    chains += chain("tproxy_local", kTproxyOut, line(kLeaveAnswers) + ourselves + links + marked);
  }
  if (!chains.empty()) plan.rules = whole_table(plan.table, chains);
  set_deliveries(plan, config.nft, v4, v6);
  return plan;
}

NftPlan nft_plan(const ServerConfig& config) {
  NftPlan plan;
  plan.table = config.nft.table;
  auto takes_source = [](const auto& each) { return each.second.source == SourceAddress::client; };
  bool any = std::any_of(config.services.begin(), config.services.end(), takes_source) ||
             std::any_of(config.clients.begin(), config.clients.end(), takes_source);
  set_deliveries(plan, config.nft, any, any);
  if (!any) return plan;
  std::string rules = keep_transparent(std::to_string(config.nft.mark));
  plan.rules = whole_table(plan.table, chain("answers", kTproxyIn, rules));
  return plan;
}

std::string to_string(const NftPlan& plan) {
  if (plan.rules.empty()) return "# nothing in this config needs rules\n";
  std::string out = plan.rules;
  for (const NftPlan::Delivery& each : plan.deliveries) {
    out += ip_line(NftPlan::add_rule(each)) + ip_line(NftPlan::add_route(each));
  }
  return out;
}

}  // namespace holdfast
