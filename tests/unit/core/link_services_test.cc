// Services by destination, and which services' targets are down.
#include "tests/catch.h"
#include "tests/unit/core/link_pair.h"

namespace holdfast::test {
namespace {

using Down = std::vector<std::uint16_t>;

std::uint16_t index_of(const Link& link, const char* service) {
  auto index = link.find_service(service);
  REQUIRE(index);
  return *index;
}

// Both ends with one more service: the client's own, which the server has by its destination.
void add_travelling(LinkPair& pair) {
  pair.settle();
  LinkOptions client = pair.client.link->options();
  client.services.push_back({"office", {}});
  client.services.back().by_destination = true;
  pair.client.link->reconfigure(client);
  LinkOptions server = pair.server.link->options();
  server.services.push_back({kByDestination, seconds(300)});
  pair.server.link->reconfigure(server);
}

const Endpoint kThere{EndpointFamily::ipv4, {10, 0, 5, 7}, 5432};

StreamHandle open_there(LinkPair& pair) {
  OpenRequest request;
  request.service = index_of(*pair.client.link, "office");
  request.destination = kThere;
  auto stream = pair.client.link->open(pair.now(), request);
  REQUIRE(stream);
  pair.settle();
  return *stream;
}

TEST_CASE("A stream whose destination decides is known to the server by that alone") {
  LinkPair pair;
  add_travelling(pair);
  StreamHandle stream = open_there(pair);
  auto seen = pair.server.link->find_stream(pair.now(), stream.id, nullptr);
  REQUIRE(seen);
  CHECK(seen->destination == kThere);
  CHECK(pair.server.link->options().services[seen->service].name == kByDestination);
}

TEST_CASE("A server that lets nothing travel refuses what names no service") {
  LinkPair pair;
  pair.settle();
  LinkOptions client = pair.client.link->options();
  client.services.push_back({"office", {}});
  client.services.back().by_destination = true;
  pair.client.link->reconfigure(client);
  StreamHandle stream = open_there(pair);
  CHECK(pair.server.refused_opens == std::vector<Cause>{Cause::unknown_service});
  CHECK_FALSE(pair.client.link->find_stream(pair.now(), stream.id, nullptr));
}

TEST_CASE("A stream by destination is opened again after a cut as what it was") {
  LinkPair pair;
  add_travelling(pair);
  pair.settle();
  pair.cut();
  OpenRequest request;
  request.service = index_of(*pair.client.link, "office");
  request.destination = kThere;
  auto stream = pair.client.link->open(pair.now(), request);
  pair.run_for(seconds(1));
  auto seen = pair.server.link->find_stream(pair.now(), stream->id, nullptr);
  REQUIRE(seen);
  CHECK(seen->destination == kThere);
}

TEST_CASE("A client is told which services are down, at once and with every carrier") {
  LinkPair pair;
  pair.settle();
  pair.client.services_down.clear();
  Down echo = {index_of(*pair.client.link, "echo")};
  pair.server.link->tell_down({"echo", "nobody-knows"});
  pair.settle();
  CHECK(pair.client.services_down == std::vector<Down>{echo});
  pair.cut();
  pair.run_for(seconds(1));
  CHECK(pair.client.services_down == std::vector<Down>{echo, echo});
  pair.server.link->tell_down({});
  pair.settle();
  CHECK(pair.client.services_down.back().empty());
}

TEST_CASE("A service that a reload brings is down if the server said so before") {
  LinkPair pair;
  pair.settle();
  pair.server.link->tell_down({"later"});
  pair.settle();
  pair.client.services_down.clear();
  LinkOptions client = pair.client.link->options();
  client.services.push_back({"later", seconds(300)});
  pair.client.link->reconfigure(client);
  pair.settle();
  Down later = {index_of(*pair.client.link, "later")};
  CHECK(pair.client.services_down == std::vector<Down>{later});
}

TEST_CASE("What changes while there is no carrier is told with the next one, the last word alone") {
  LinkPair pair;
  pair.settle();
  pair.server.link->tell_down({});
  pair.settle();
  pair.client.services_down.clear();
  pair.cut();
  pair.server.link->tell_down({"echo"});
  pair.server.link->tell_down({"short"});
  pair.run_for(seconds(1));
  CHECK(pair.client.services_down == std::vector<Down>{{index_of(*pair.client.link, "short")}});
}

TEST_CASE("A WELCOME tells the grace of every service, also beyond the 128th") {
  LinkPair::Options options;
  options.services.clear();
  for (int i = 0; i < 130; ++i) {
    options.services.push_back({"s" + std::to_string(i), seconds(10)});
  }
  LinkPair pair(options);
  pair.settle();
  const auto& services = pair.client.link->options().services;
  REQUIRE(services.size() == 130);
  CHECK(services[127].grace == seconds(10));
  CHECK(services[128].grace == seconds(10));
  CHECK(services[129].grace == seconds(10));
  auto id = pair.open(129);
  pair.settle();
  CHECK(pair.client.app(id).opened);
}

std::optional<bool> granted(LinkPair& pair, const char* name) {
  for (const LinkService& service : pair.client.link->options().services) {
    if (service.name == name) return service.granted;
  }
  return std::nullopt;
}

// Both sides' services, and one that only the client has.
void want_more(LinkPair& pair) {
  LinkOptions client = pair.client.link->options();
  client.services.push_back({"secret", {}});
  client.services.push_back({"office", {}});
  client.services.back().by_destination = true;
  pair.client.link->reconfigure(client);
}

TEST_CASE("A client knows from the start what it is granted and what not") {
  LinkPair pair;
  want_more(pair);
  CHECK_FALSE(granted(pair, "echo"));
  pair.settle();
  CHECK(granted(pair, "echo") == true);
  CHECK(granted(pair, "secret") == false);
  CHECK(granted(pair, "office") == false);
}

TEST_CASE("What an OPEN is answered with counts until the next WELCOME") {
  LinkPair pair;
  pair.settle();
  const LinkOptions before = pair.server.link->options();
  LinkOptions server = before;
  std::erase_if(server.services, [](const LinkService& each) { return each.name == "echo"; });
  pair.server.link->reconfigure(server);
  pair.settle();
  CHECK(granted(pair, "echo") == true);
  pair.open(index_of(*pair.client.link, "echo"));
  pair.settle();
  CHECK(granted(pair, "echo") == false);
  pair.server.link->reconfigure(before);
  pair.cut();
  pair.run_for(seconds(1));
  CHECK(granted(pair, "echo") == true);
}

TEST_CASE("A server that watches nothing leaves nothing down") {
  LinkPair pair;
  pair.settle();
  CHECK(pair.client.services_down == std::vector<Down>{Down{}});
}

}  // namespace
}  // namespace holdfast::test
