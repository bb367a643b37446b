#include "common/config/config.h"

#include <algorithm>

namespace holdfast {

const char* to_string(LogLevel level) {
  return kLogLevels.at(static_cast<std::size_t>(level));
}

const char* to_string(LogFormat format) {
  return kLogFormats.at(static_cast<std::size_t>(format));
}

const char* to_string(ServiceMode mode) {
  return kServiceModes.at(static_cast<std::size_t>(mode));
}

const char* to_string(SendProxy version) {
  return kSendProxyWords.at(static_cast<std::size_t>(version));
}

const char* to_string(Balance balance) {
  return kBalanceWords.at(static_cast<std::size_t>(balance));
}

const char* to_string(SourceAddress source) {
  return kSourceWords.at(static_cast<std::size_t>(source));
}

bool PeerConfig::may_use(const std::string& service) const {
  return std::find(services.begin(), services.end(), service) != services.end();
}

}  // namespace holdfast
