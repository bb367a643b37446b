// Process: one agent's core and the least driver for it: what it does with sockets it does in the
// order that another process can go on from.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "common/core/hello_reader.h"
#include "common/core/link_registry.h"
#include "common/core/pump.h"
#include "tests/crash/host.h"

namespace holdfast::crash {

class Process final : public Pump::Port, private SocketJudge {
 public:
  explicit Process(Host& host);
  ~Process();

  // Goes on from `relics`; null: from nothing.
  void begin(const RegionMemory* relics);
  bool committed() const { return committed_; }

  // --- What the world lets it do ---
  void accept(std::uint32_t conversation);  // client
  void turn();
  void read_socket(StreamHandle stream);
  void write_socket(StreamHandle stream);
  void carrier_bytes(Wire& wire, Bytes bytes);
  void carrier_down(Wire& wire);
  void dial();
  const std::vector<StreamHandle>& streams() const { return streams_; }
  Link* link() { return link_; }
  const MemoryPool& pool() const { return *pool_; }
  bool idle() const { return streams_.empty(); }

 private:
  struct End {
    int descriptor = -1;
    bool reads = true;
    bool fin_told = false;  // its own end was read,
    bool fin_out = false;   // and its peer's written
  };

  // Pump::Port
  void wants_turn() override {}
  void perform(const Effect& effect) override;
  void connect(StreamHandle stream) override;
  bool read_once(CarrierId) override { return true; }
  bool writable(CarrierId carrier) const override;
  std::size_t write(CarrierId carrier, std::span<const iovec> buffers) override;
  void finish(CarrierId) override {}
  // SocketJudge
  std::optional<SocketPosition> look(const StreamRecord& record,
                                     Intent::Operation under_way) override;

  bool dead() const { return host_.doom().struck(); }
  Time now() const;
  Socket* socket_of(StreamHandle stream);
  std::size_t put(StreamHandle stream, Socket& socket, Bytes bytes);
  void end(StreamHandle stream, Socket& socket, bool in_order);
  void forget(StreamHandle stream);
  void take(Socket& socket);
  void track(StreamHandle stream, int descriptor);
  void recover(const OldState& state);
  void settle(const std::vector<int>& leftovers, const Recovered& recovered, bool closing);
  void settle(const RecoveredStream& stream);
  void close_the_rest(const std::vector<int>& kept, bool closing);
  void greet(Wire& wire, Bytes bytes);
  void use(Link* link);
  LinkOptions options() const;
  ClientPolicy policy() const;

  Host& host_;
  std::unique_ptr<MemoryPool> pool_;
  std::unique_ptr<Link> own_link_;          // client
  std::unique_ptr<LinkRegistry> registry_;  // server
  Link* link_ = nullptr;
  std::optional<Pump> pump_;
  std::map<std::uint64_t, HelloReader> greeting_;  // by carrier
  std::map<std::uint64_t, End> ends_;              // by stream
  std::vector<StreamHandle> streams_;
  bool committed_ = true;
};

}  // namespace holdfast::crash
