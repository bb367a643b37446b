#include "server-agent/stream_policy.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

Endpoint endpoint(const char* address, std::uint16_t port) {
  IpAddress ip = *parse_ip_address(address);
  auto family = ip.version == IpVersion::v4 ? EndpointFamily::ipv4 : EndpointFamily::ipv6;
  return {family, ip.bytes, port};
}

StreamGrants allow(std::initializer_list<const char*> patterns) {
  StreamGrants grants;
  for (const char* each : patterns) grants.allow.push_back(*parse_address_pattern(each));
  return grants;
}

StreamGrants from(std::initializer_list<const char*> networks) {
  StreamGrants grants;
  grants.sources.emplace();
  for (const char* each : networks) grants.sources->push_back(*parse_network(each));
  return grants;
}

const Endpoint kUnix{EndpointFamily::unix_socket, {}, 0};

TEST_CASE("Nothing is allowed that no pattern names") {
  CHECK(check_destination({}, endpoint("10.0.5.7", 5432)) == Cause::not_allowed);
  StreamGrants grants = allow({"10.0.5.0/24:5432", "[2001:db8::/32]:22"});
  CHECK(check_destination(grants, endpoint("10.0.5.7", 5432)) == Cause::none);
  CHECK(check_destination(grants, endpoint("2001:db8::7", 22)) == Cause::none);
  CHECK(check_destination(grants, endpoint("10.0.5.7", 5433)) == Cause::not_allowed);
  CHECK(check_destination(grants, endpoint("10.0.6.7", 5432)) == Cause::not_allowed);
  CHECK(check_destination(grants, Endpoint{}) == Cause::not_allowed);
  CHECK(check_destination(grants, kUnix) == Cause::not_allowed);
}

TEST_CASE("A wide pattern does not open the server's own host") {
  StreamGrants all = allow({"0.0.0.0/0:*", "[::/0]:*", "0.0.0.0/7:*"});
  for (const char* own : {"127.0.0.1", "127.8.8.8", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1"}) {
    INFO(own);
    CHECK(check_destination(all, endpoint(own, 5432)) == Cause::not_allowed);
  }
  CHECK(check_destination(allow({"[::/8]:*", "[::/126]:*"}), endpoint("::1", 1)) ==
        Cause::not_allowed);
  CHECK(check_destination(all, endpoint("10.0.0.1", 0)) == Cause::not_allowed);
  CHECK(check_destination(all, endpoint("224.0.0.1", 80)) == Cause::not_allowed);
  CHECK(check_destination(all, endpoint("255.255.255.255", 80)) == Cause::not_allowed);
  CHECK(check_destination(allow({"127.0.0.1:5432"}), endpoint("127.0.0.1", 5432)) == Cause::none);
  CHECK(check_destination(allow({"127.0.0.0/8:*"}), endpoint("127.0.0.1", 1)) == Cause::none);
  CHECK(check_destination(allow({"[::1]:5432"}), endpoint("::1", 5432)) == Cause::none);
}

TEST_CASE("Without a list any source may be told, and none may be taken") {
  Endpoint source = endpoint("192.0.2.1", 51000);
  CHECK(check_source({}, source, SourceUse::none) == Cause::none);
  CHECK(check_source({}, source, SourceUse::told) == Cause::none);
  CHECK(check_source({}, kUnix, SourceUse::told) == Cause::none);
  CHECK(check_source({}, source, SourceUse::bound) == Cause::not_allowed);
}

TEST_CASE("A list of sources bounds what a service is told and from where it is reached") {
  StreamGrants grants = from({"192.0.2.0/24", "2001:db8::/32"});
  for (auto use : {SourceUse::told, SourceUse::bound}) {
    CHECK(check_source(grants, endpoint("192.0.2.1", 1), use) == Cause::none);
    CHECK(check_source(grants, endpoint("2001:db8::1", 1), use) == Cause::none);
    CHECK(check_source(grants, endpoint("198.51.100.1", 1), use) == Cause::not_allowed);
  }
  CHECK(check_source(grants, kUnix, SourceUse::bound) == Cause::source_failed);
}

TEST_CASE("No list makes the host's own address a source that is taken") {
  StreamGrants all = from({"0.0.0.0/0", "::/0", "127.0.0.0/8"});
  for (const char* own : {"127.0.0.1", "0.0.0.0", "::1", "224.0.0.1"}) {
    CHECK(check_source(all, endpoint(own, 1), SourceUse::bound) == Cause::not_allowed);
  }
}

}  // namespace
}  // namespace holdfast
