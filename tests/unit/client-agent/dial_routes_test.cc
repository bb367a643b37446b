#include "client-agent/dial_routes.h"

#include "tests/catch.h"

namespace holdfast {
namespace {

const SocketAddress kBalancer = *SocketAddress::literal({"192.0.2.1", 7443});
const SocketAddress kSecond = *SocketAddress::literal({"192.0.2.2", 7443});
const SocketAddress kOwn = *SocketAddress::literal({"198.51.100.1", 7443});

Time at_ms(std::int64_t ms) {
  return Time(milliseconds(ms));
}

struct Bound {
  explicit Bound(DialHome home) {
    routes.set_home(std::move(home));
    routes.begin(at_ms(0));
  }
  std::vector<DialRoute> at(std::int64_t ms) {
    std::vector<SocketAddress> own;
    if (routes.home().address) own.push_back(kOwn);
    return routes.at(at_ms(ms), {kBalancer, kSecond}, own);
  }
  DialRoutes routes;
};

using Routes = std::vector<DialRoute>;
const Routes kByName = {{kBalancer, "hub-1"}, {kSecond, "hub-1"}};
const Routes kAnywhere = {{kBalancer}, {kSecond}};

Routes both(Routes one, const Routes& other) {
  one.insert(one.end(), other.begin(), other.end());
  return one;
}

}  // namespace

TEST_CASE("A link that no server has goes to every address") {
  Bound link({});
  CHECK(link.at(0) == kAnywhere);
  link.routes.failed({kBalancer, {}}, Dialer::Reached::somebody);
  CHECK(link.at(5000) == kAnywhere);
  CHECK(link.routes.next_timeout(at_ms(0)) == kNever);
}

TEST_CASE("A bound link goes through the balancer by its home's name alone") {
  Bound link({"hub-1", {}, false});
  CHECK(link.at(0) == kByName);
  CHECK(link.at(60'000) == kByName);
  SECTION("also where the balancer itself is not there") {
    link.routes.failed({kBalancer, "hub-1"}, Dialer::Reached::nobody);
    CHECK(link.at(1) == kByName);
  }
  SECTION("until the balancer has no home to lead to") {
    link.routes.failed({kBalancer, "hub-1"}, Dialer::Reached::somebody);
    CHECK(link.at(1) == both(kByName, kAnywhere));
    SECTION("and again when the link was up") {
      link.routes.start_over();
      CHECK(link.at(2) == kByName);
    }
  }
}

TEST_CASE("A link that waits for its own server goes nowhere else") {
  Bound link({"hub-1", {}, true});
  link.routes.failed({kBalancer, "hub-1"}, Dialer::Reached::somebody);
  CHECK(link.at(1) == kByName);
}

TEST_CASE("The home's own address comes first, and the balancer a little later") {
  Bound link({"hub-1", HostPort{"198.51.100.1", 7443}, false});
  const Routes own = {{kOwn, "hub-1"}};
  CHECK(link.at(0) == own);
  CHECK(link.routes.next_timeout(at_ms(0)) == at_ms(250));
  CHECK(link.at(249) == own);
  CHECK(link.at(250) == both(own, kByName));
  CHECK(link.routes.next_timeout(at_ms(250)) == kNever);
}

TEST_CASE("Where the home's own address refuses, the balancer is asked at once") {
  Bound link({"hub-1", HostPort{"198.51.100.1", 7443}, false});
  link.routes.failed({kOwn, "hub-1"}, Dialer::Reached::nobody);
  CHECK(link.at(1) == both({{kOwn, "hub-1"}}, kByName));
}

TEST_CASE("A home's address whose name is not found leaves the balancer") {
  Bound link({{}, HostPort{"hub-1.internal", 7443}, false});
  CHECK(link.routes.at(at_ms(0), {kBalancer}, {}) == Routes{{kBalancer, {}}});
}

}  // namespace holdfast
