#include "client-agent/dial_routes.h"

#include <utility>

#include "common/core/tuning.h"

namespace holdfast {
namespace {

// The home's own address is dialled so long before the balancer is dialled beside it: a carrier
// that the balancer leads elsewhere is one for nothing.
constexpr Duration kHeadStart = milliseconds(250);

}  // namespace

void DialRoutes::set_home(DialHome home) {
  if (home == home_) return;
  bool same = home.name == home_.name && home.address == home_.address;
  home_ = std::move(home);
  if (!same) start_over();
}

void DialRoutes::begin(Time now) {
  if (!began_) began_ = now;
}

void DialRoutes::start_over() {
  began_.reset();
  own_failed_ = false;
  away_ = false;
}

void DialRoutes::failed(const DialRoute& route, Dialer::Reached reached) {
  if (home_.empty() || route.sni != home_.name) return;
  if (home_.address) own_failed_ = true;
  // Before a name's owner a balancer that refuses the connect is no sign of the home's end.
  if (reached == Dialer::Reached::somebody && !home_.name.empty()) away_ = true;
}

bool DialRoutes::balancer_too(Time now) const {
  return !home_.address || own_failed_ || (began_ && now >= *began_ + kHeadStart);
}

std::vector<DialRoute> DialRoutes::at(Time now, const std::vector<SocketAddress>& servers,
                                      const std::vector<SocketAddress>& own) const {
  std::vector<DialRoute> routes;
  if (home_.address) {
    for (const SocketAddress& each : own) routes.push_back({each, home_.name});
  }
  if (balancer_too(now) || routes.empty()) {
    for (const SocketAddress& each : servers) routes.push_back({each, home_.name});
  }
  if (away_ && !home_.only) {
    for (const SocketAddress& each : servers) routes.push_back({each, {}});
  }
  return routes;
}

Time DialRoutes::next_timeout(Time now) const {
  if (balancer_too(now) || !began_) return kNever;
  return *began_ + kHeadStart;
}

}  // namespace holdfast
