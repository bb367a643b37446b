// A middlebox that answers connects by itself, as load balancers and port forwards do, while what
// is behind it is away. Such a connection never leads anywhere: the box takes and acknowledges what
// comes on it for ever, also after the path is whole again.
#pragma once

#include <map>
#include <optional>
#include <tuple>

#include "tests/paths/packet.h"

namespace holdfast::paths {

class SynBox {
 public:
  struct Taken {
    std::optional<Packet> answer;  // to where the packet came from
  };

  // New connects are answered from now on, or passed on.
  void answer_syns(bool yes) { answers_ = yes; }
  // Nothing: the packet is none of the box's connections' and goes on.
  std::optional<Taken> take(PacketBytes packet);
  std::size_t connections() const { return connections_.size(); }
  std::uint64_t answered() const { return answered_; }

 private:
  using Key = std::tuple<std::uint32_t, std::uint32_t, std::uint16_t, std::uint16_t>;
  struct Connection {
    std::uint32_t expected = 0;  // the next sequence number of the connecting side
  };

  bool answers_ = false;
  std::uint64_t answered_ = 0;
  std::map<Key, Connection> connections_;
};

}  // namespace holdfast::paths
