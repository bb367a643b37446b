// World: two hosts whose processes die, carriers that fall, applications that talk; and the oracle.
//
// Nothing that dies may be seen: every application hears all that was said, once and in order, and
// its end; and is reset only where the other one has reset its own.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "common/base/time.h"
#include "common/wire/cause.h"
#include "tests/crash/host.h"

namespace holdfast::crash {

class World {
 public:
  // `life`: how many places a process passes before it dies, about; 0: the seed says.
  explicit World(std::uint64_t seed, std::uint64_t life = 0);

  // Throws Failure.
  void run();

  Time now() const { return now_; }
  Random& random() { return random_; }
  Application& application(std::uint32_t conversation, int side) {
    return talks_[conversation].applications[side];
  }
  // A service takes a connection for it.
  Application& connects(std::uint32_t conversation);
  Wire* wire(CarrierId id);
  Wire& new_wire();
  void hang_up(CarrierId id, int side);
  void drop_wires(int side);
  void reset(std::uint32_t conversation, int side, Cause cause);
  void blame(const std::string& what) {
    if (blamed_.empty()) blamed_ = what;
  }
  std::uint64_t deaths() const { return hosts_[0]->deaths + hosts_[1]->deaths; }

  std::uint64_t corrected = 0;  // positions
  std::uint64_t untold = 0;     // errors that a dead process may have read

 private:
  struct Talk {
    Application applications[2];
    bool begun = false;
    bool connected = false;  // to its service
  };

  void act();
  void move_bytes(int side);
  void talk(Talk& talk, int side);
  void live(int side);
  bool over() const;
  void check_end() const;

  Random random_;
  Time now_{seconds(10)};
  std::vector<Talk> talks_;
  std::unique_ptr<Host> hosts_[2];
  std::map<std::uint64_t, Wire> wires_;
  std::uint64_t last_wire_ = 0;
  bool healed_ = false;
  std::uint64_t mean_life_;
  std::string blamed_;
};

}  // namespace holdfast::crash
