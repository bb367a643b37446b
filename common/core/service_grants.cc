#include "common/core/service_grants.h"

#include <algorithm>

namespace holdfast {

ServiceGrants grants_of(const std::vector<LinkService>& services) {
  ServiceGrants grants;
  for (const LinkService& service : services) {
    if (!service.offered) continue;
    if (service.name == kByDestination) {
      grants.destinations = true;
    } else {
      grants.services.push_back({service.name, service.grace});
    }
  }
  return grants;
}

void note_grants(const Welcome& welcome, std::vector<LinkService>& services,
                 std::vector<ServiceGrace>& graces) {
  for (LinkService& service : services) service.granted.reset();
  if (!welcome.grants) return;
  const std::vector<ServiceGrace>& told = welcome.grants->services;
  // Also of services that only a reload makes our own.
  graces.insert(graces.end(), told.begin(), told.end());
  for (LinkService& service : services) {
    bool named = std::any_of(told.begin(), told.end(), [&](const ServiceGrace& each) {
      return each.service == service.name;
    });
    if (service.by_destination) {
      service.granted = welcome.grants->destinations;
    } else if (named || welcome.grants->whole) {
      service.granted = named;
    }
  }
}

}  // namespace holdfast
