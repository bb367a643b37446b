// ListenerObserver: what listeners tell of themselves, for logs and counters.
#pragma once

#include <string>

namespace holdfast {

class ListenerObserver {
 public:
  virtual ~ListenerObserver() = default;

  // Accepting stopped for want of descriptors or of room, and goes on.
  virtual void listener_paused(const std::string& address, const std::string& reason) = 0;
  virtual void listener_resumed(const std::string& address) = 0;

  // An address cannot be listened on, for another reason than before; it is tried again. And it can
  // be after all.
  virtual void listen_failed(const std::string& address, const std::string& reason) = 0;
  virtual void listening(const std::string& address) = 0;
};

}  // namespace holdfast
