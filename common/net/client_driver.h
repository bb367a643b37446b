// ClientDriver: a client agent's network: applications come in, one link goes out.
//
//   running --drain()--> draining --last stream, or timeout--> leaving --link ended--> stopped
//      \------------------------------ shut_down() ---------------^
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/core/memory_pool.h"
#include "common/net/dial.h"
#include "common/net/link_driver.h"
#include "common/net/listener.h"
#include "common/net/memory_trimmer.h"
#include "common/net/netlink.h"

namespace holdfast {

struct ClientOptions {
  LinkOptions link;
  std::vector<NetAddress> listen;  // one for each of link.services
  DialOptions dial;
  std::uint64_t memory = 0;  // bytes
  std::uint32_t connections = 0;
  std::size_t descriptors = 1024;  // RLIMIT_NOFILE
  Duration shutdown_timeout = seconds(60);
};

class ClientDriver final : public Loop::Task, public LinkDriver::Host, public Listener::Handler {
 public:
  ClientDriver(Loop& loop, ClientOptions options, Observer& observer);
  ~ClientDriver();

  // Binds the services' addresses. The error names the one that cannot be had.
  Status listen();

  // Goodbye, then stops the loop; within 2 s.
  void shut_down();
  // Accepts nothing more; shuts down when the last stream has ended, or at shutdown_timeout.
  void drain();
  // Drops the carrier and dials anew.
  void reconnect();
  // False: there is no such connection.
  bool kill(std::string_view connection);

  const LinkDriver& link() const { return *driver_; }
  const MemoryPool& pool() const { return pool_; }
  const Dials& dials() const { return *dials_; }
  const std::vector<std::unique_ptr<Listener>>& listeners() const { return listeners_; }
  bool draining() const { return state_ != State::running; }

 private:
  enum class State : std::uint8_t { running, draining, leaving, stopped };

  bool end_of_turn() override;
  void wants_pump(LinkDriver&) override { wake_ = true; }
  std::unique_ptr<TargetConnect> connect_target(LinkDriver&, StreamHandle) override;
  void link_refused(Duration retry_after) override;
  void link_draining() override {}
  void room_for_streams() override { room_ = true; }
  std::string_view target_of(const LinkDriver&, std::uint16_t) const override { return {}; }
  void accepted(Listener& listener, Descriptor& socket, const SocketAddress& peer) override;

  Dialer::Need need() const;
  void renew();
  void resume_listeners();
  void advance_shutdown();

  Loop& loop_;
  Observer& observer_;
  Duration shutdown_timeout_;
  std::vector<NetAddress> listen_;
  DescriptorBudget budget_;
  MemoryPool pool_;
  MemoryTrimmer trimmer_;
  Resolver resolver_;
  ClosingCarriers closing_;
  std::uint64_t next_carrier_ = 0;
  State state_ = State::running;
  bool wake_ = true;
  bool room_ = false;
  Link link_;
  std::unique_ptr<LinkDriver> driver_;
  std::unique_ptr<Dials> dials_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  NetworkWatcher network_;
  Timer deadline_;
};

}  // namespace holdfast
