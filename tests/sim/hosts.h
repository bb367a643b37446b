// The two kinds of process in a world: each does what an agent does around its links.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/core/dialer.h"
#include "common/core/link_registry.h"
#include "tests/sim/link_driver.h"

namespace holdfast::sim {

class World;

class ClientHost final : public LinkOwner {
 public:
  ClientHost(World& world, std::uint32_t index, std::string name)
      : world_(world), index_(index), name_(std::move(name)) {}
  ~ClientHost() override;

  void start();
  void kill();
  void goodbye();  // SIGTERM: says so, and the process ends with the link
  bool running() const { return link_ != nullptr; }
  bool leaving() const { return leaving_; }
  const std::string& name() const { return name_; }

  void stall(Time until) { stalled_until_ = until; }
  bool stalled() const;
  Time stalled_until() const { return stalled_until_; }

  void open(Conversation& conversation);
  void on_carrier(CarrierId id);
  void on_dial(std::uint64_t dial);
  // Whether the timer event of that time is the latest that was armed.
  bool armed(Time at) const { return armed_ == at; }
  void on_timer();
  void on_socket(Conversation& conversation);
  void on_wake();
  void reconnect();
  void doubt();
  void kill_stream(Conversation& conversation);

  Link* link() { return link_.get(); }
  LinkDriver* driver() { return driver_.get(); }
  MemoryPool* pool() { return pool_.get(); }
  bool ever_up() const { return ever_up_; }
  std::uint64_t links_ended() const { return links_ended_; }

  void refused(LinkDriver& driver, const effect::Refused& refused) override;
  void link_ended(LinkDriver& driver, Cause cause) override;

 private:
  struct Dial {
    std::uint64_t number = 0;
    std::size_t address = 0;
    Time due{};
    bool connects = false;
    CarrierId carrier{};  // connected; `due` is the end of its handshake
  };

  void turn();  // after every input
  void dial();
  void finish_dials();
  void drop_handshakes();
  void arm();

  World& world_;
  std::uint32_t index_;
  std::string name_;
  std::unique_ptr<MemoryPool> pool_;
  std::unique_ptr<Link> link_;
  std::unique_ptr<LinkDriver> driver_;
  std::unique_ptr<Dialer> dialer_;
  std::vector<Dial> dials_;
  Time stalled_until_{};
  Time armed_ = kNever;
  bool leaving_ = false;
  bool exiting_ = false;
  bool ever_up_ = false;
  std::uint64_t links_ended_ = 0;
  int spins_ = 0;
  Time spun_at_{};
};

class ServerHost final : public LinkOwner {
 public:
  explicit ServerHost(World& world) : world_(world) {}
  ~ServerHost() override;

  void start();
  void kill();
  void goodbye();  // SIGTERM: every link says so; kill() follows
  void drain();
  bool running() const { return registry_ != nullptr; }
  bool draining() const { return draining_; }

  void stall(Time until) { stalled_until_ = until; }
  bool stalled() const;
  Time stalled_until() const { return stalled_until_; }

  void on_carrier(CarrierId id);
  // Whether the timer event of that time is the latest that was armed.
  bool armed(Time at) const { return armed_ == at; }
  void on_timer();
  void on_socket(Conversation& conversation);
  void on_backend(Conversation& conversation, bool connected);
  void on_wake();
  void kill_stream(Conversation& conversation);

  LinkRegistry* registry() { return registry_.get(); }
  MemoryPool* pool() { return pool_.get(); }
  template <typename Visit>
  void for_each_driver(Visit visit) {
    for (auto& [id, driver] : drivers_) visit(*driver);
  }

  void refused(LinkDriver& driver, const effect::Refused& refused) override;
  void link_ended(LinkDriver& driver, Cause cause) override;

 private:
  // A carrier that no link has yet.
  struct Greeting {
    explicit Greeting(std::uint32_t max_streams) : reader(max_streams) {}
    HelloReader reader;
    Time deadline{};
    bool waiting = false;  // for the registry
    Buffer answer;         // then it is closed
    std::size_t answered = 0;
  };

  void greet(Carrier& carrier, Greeting& greeting);
  void reject(CarrierId id);
  void read_nothing(Carrier& carrier);
  void decide(CarrierId id, LinkRegistry::Decision decision);
  void answer(CarrierId id);
  void turn();
  void arm();
  ClientPolicy policy(std::uint32_t client) const;

  World& world_;
  std::unique_ptr<MemoryPool> pool_;
  std::unique_ptr<LinkRegistry> registry_;
  std::map<LinkId, std::unique_ptr<LinkDriver>> drivers_;
  std::map<CarrierId, Greeting> greetings_;
  std::map<CarrierId, LinkId> links_;
  Time stalled_until_{};
  Time armed_ = kNever;
  bool draining_ = false;
  int spins_ = 0;
  Time spun_at_{};
};

}  // namespace holdfast::sim
