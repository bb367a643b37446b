// The addresses of a client's servers: when names are looked up, and what becomes of the old ones.
#include "client-agent/address_book.h"

#include "tests/unit/names.h"

namespace holdfast {
namespace {

TEST_CASE("An address that is still known keeps its index") {
  auto port_at = [](std::uint16_t port) { return *SocketAddress::literal({"127.0.0.1", port}); };
  std::vector<SocketAddress> old{port_at(1), port_at(2), port_at(3)};
  CHECK(keep_places(old, {port_at(3), port_at(4), port_at(1)}) ==
        std::vector<SocketAddress>{port_at(1), port_at(4), port_at(3)});
  CHECK(keep_places(old, {port_at(2)}) == std::vector<SocketAddress>{port_at(2)});
  CHECK(keep_places({}, {port_at(1), port_at(1)}) == std::vector<SocketAddress>{port_at(1)});
}

TEST_CASE("A server's name that cannot be resolved is looked up again for ever") {
  Names names;
  int changed = 0;
  std::vector<std::string> failed;
  AddressBook book(
      names.loop, names.resolver, {{"hub", 7443}}, [&] { changed += 1; },
      [&](const HostPort&, const std::string& why) { failed.push_back(why); });
  for (std::size_t round = 0; round < 3; ++round) {
    INFO("round " << round);
    book.refresh({});
    REQUIRE(names.started.size() == round + 1);
    names.answer(round, Error{"hub: unknown"});
    book.refresh({});
    CHECK(names.started.size() == round + 1);  // not at once
    Duration wait = book.next_timeout() - names.loop.refresh();
    CHECK(wait <= seconds(2));
    names.pass(wait);
  }
  CHECK(failed.size() == 1);  // the same words again only after a while
  book.refresh({});
  names.answer(3, found("10.0.0.1"));
  CHECK(changed == 1);
  CHECK(book.addresses() == std::vector<SocketAddress>{at("10.0.0.1", 7443)});
}

TEST_CASE("A lost carrier has the server's name looked up at once") {
  Names names;
  AddressBook book(
      names.loop, names.resolver, {{"hub", 7443}}, [] {},
      [](const HostPort&, const std::string&) {});
  book.refresh({.anew = true});
  names.answer(0, found("10.0.0.1"));
  names.pass(milliseconds(250));
  book.refresh({});
  CHECK(names.started.size() == 1);
  book.refresh({.urgent = true, .anew = true});
  CHECK(names.started.size() == 2);
  // One that comes too soon is not forgotten.
  names.answer(1, found("10.0.0.1"));
  book.refresh({.urgent = true, .anew = true});
  CHECK(names.started.size() == 2);
  CHECK(book.next_timeout() - names.loop.now() <= milliseconds(200));
  names.pass(milliseconds(210));
  book.refresh({.urgent = true});
  CHECK(names.started.size() == 3);
}

}  // namespace
}  // namespace holdfast
