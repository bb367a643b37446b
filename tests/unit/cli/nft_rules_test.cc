#include "common/cli/nft_rules.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

ClientServiceConfig service(ServiceMode mode, std::uint16_t port,
                            std::initializer_list<const char*> match) {
  ClientServiceConfig config;
  config.listen = {TcpAddress{"*", port}};
  config.mode = mode;
  for (const char* each : match) config.match.push_back(*parse_address_pattern(each));
  return config;
}

ClientConfig client() {
  ClientConfig config;
  config.links["default"].server = {{"198.51.100.10", 7443}, {"hub.example.org", 7443}};
  return config;
}

TEST_CASE("the rules of a redirect, word for word") {
  ClientConfig config = client();
  config.services["db"] =
      service(ServiceMode::redirect, 15001, {"10.0.5.0/24:5432", "[2001:db8::/32]:8000-8099"});
  config.services["plain"] = service(ServiceMode::explicit_address, 15002, {});
  NftPlan plan = nft_plan(config, "holdfast");
  CHECK(to_string(plan) == R"(table inet holdfast_client
delete table inet holdfast_client
table inet holdfast_client {
  chain redirect_forwarded {
    type nat hook prerouting priority dstnat; policy accept;
    tcp flags & (fin | syn | rst | ack) != syn return
    ip daddr 198.51.100.10 tcp dport 7443 return comment "link default"
    ip6 daddr 2001:db8::/32 tcp dport 8000-8099 redirect to :15001 comment "services.db"
    ip daddr 10.0.5.0/24 tcp dport 5432 redirect to :15001 comment "services.db"
  }
  chain redirect_local {
    type nat hook output priority -100; policy accept;
    tcp flags & (fin | syn | rst | ack) != syn return
    meta skuid "holdfast" return
    ip daddr 198.51.100.10 tcp dport 7443 return comment "link default"
    ip6 daddr 2001:db8::/32 tcp dport 8000-8099 redirect to :15001 comment "services.db"
    ip daddr 10.0.5.0/24 tcp dport 5432 redirect to :15001 comment "services.db"
  }
}
)");
  CHECK(plan.deliveries.empty());
}

TEST_CASE("the rules of tproxy deliver what they mark, in the families that they catch") {
  ClientConfig config = client();
  config.links["default"].server.clear();
  config.services["db"] = service(ServiceMode::tproxy, 15001, {"10.0.5.7:*"});
  config.nft.mark = 7;
  config.nft.route_table = 300;
  config.nft.table = "mine";
  config.nft.exclude = {"uid:999", "cgroup:system.slice/holdfast-client.service", "mark:8"};
  CHECK(to_string(nft_plan(config, "holdfast")) == R"(table inet mine
delete table inet mine
table inet mine {
  chain tproxy_forwarded {
    type filter hook prerouting priority mangle; policy accept;
    meta l4proto tcp socket transparent 1 meta mark set 7 accept
    ct direction reply return
    ip daddr 10.0.5.7 tcp dport 1-65535 tproxy ip to :15001 meta mark set 7 accept comment "services.db"
    ip daddr 10.0.5.7 tcp dport 1-65535 tcp flags & (fin | syn | rst | ack) == syn reject with tcp reset
  }
  chain tproxy_local {
    type route hook output priority mangle; policy accept;
    ct direction reply return
    meta skuid 999 return
    socket cgroupv2 level 2 "system.slice/holdfast-client.service" return
    meta mark 8 return
    ip daddr 10.0.5.7 tcp dport 1-65535 meta mark set 7 comment "services.db"
  }
}
# ip -4 rule add fwmark 7 table 300
# ip -4 route replace local default dev lo table 300
)");
}

TEST_CASE("narrower matches come before wider ones, whatever the order in the config") {
  ClientConfig config = client();
  config.services["a"] = service(ServiceMode::redirect, 1, {"10.0.0.0/8:*"});
  config.services["b"] = service(ServiceMode::redirect, 2, {"10.0.5.7:*", "10.0.0.0/8:22"});
  std::string rules = nft_plan(config, "0").rules;
  auto place = [&](const char* text) { return rules.find(text); };
  CHECK(place("10.0.5.7 ") < place("10.0.0.0/8 tcp dport 22 "));
  CHECK(place("10.0.0.0/8 tcp dport 22 ") < place("10.0.0.0/8 tcp dport 1-65535"));
}

TEST_CASE("a config that intercepts nothing has no rules") {
  ClientConfig config = client();
  config.services["plain"] = service(ServiceMode::explicit_address, 15002, {});
  CHECK(nft_plan(config, "holdfast").rules.empty());
  CHECK(nft_plan(ServerConfig{}).rules.empty());
}

TEST_CASE("a server's rules bring answers to sockets with the applications' addresses") {
  ServerConfig config;
  config.services["db"].source = SourceAddress::client;
  config.nft.table = "holdfast_server";
  CHECK(to_string(nft_plan(config)) == R"(table inet holdfast_server
delete table inet holdfast_server
table inet holdfast_server {
  chain answers {
    type filter hook prerouting priority mangle; policy accept;
    meta l4proto tcp socket transparent 1 meta mark set 18502 accept
  }
}
# ip -4 rule add fwmark 18502 table 18502
# ip -4 route replace local default dev lo table 18502
# ip -6 rule add fwmark 18502 table 18502
# ip -6 route replace local default dev lo table 18502
)");
  CHECK(nft_plan(config).all_deliveries.size() == 2);
}

}  // namespace
}  // namespace holdfast
