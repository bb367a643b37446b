// Which services' targets take no connections now: told by the server, obeyed by who listens.
#include "common/core/link.h"

namespace holdfast {

void Link::tell_down(std::vector<std::string> names) {
  HOLDFAST_CHECK(!client());
  if (down_ == names) return;
  down_ = std::move(names);
  if (live()) queue_notice();
}

// The newest list replaces one that was not gathered yet.
void LinkBody::queue_notice() {
  notice_.clear();
  if (!down_ || (peer_features_ & kFeatureServicesDown) == 0) return;
  encode_services_down(notice_, *down_);
}

void LinkBody::on_services_down(const ServicesDown& down) {
  down_.emplace(down.names.begin(), down.names.end());
  report_down();
}

void LinkBody::report_down() {
  effect::ServicesDown effect;
  for (const std::string& name : *down_) {
    if (auto service = find_service(name)) effect.services.push_back(*service);
  }
  push(std::move(effect));
}

}  // namespace holdfast
