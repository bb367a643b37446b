// What strangers and clients may say first: HelloReader, then LinkRegistry, several carriers in
// turn. A carrier's bytes are preceded by their length (2 bytes) and the milliseconds that pass (1
// byte).
#include <algorithm>

#include "common/core/link_registry.h"
#include "tests/fuzz/input.h"

namespace holdfast::fuzz {
namespace {

constexpr std::uint32_t kMaxStreams = 600;

class Server {
 public:
  Server() : registry_(options(), pool_, 1) { policy_.services = {{"echo", seconds(10)}}; }

  void carrier(Bytes bytes, Duration passed) {
    now_ += passed;
    run_timers();
    carriers_ += 1;
    CarrierId carrier{carriers_};
    HelloReader reader(kMaxStreams);
    std::size_t fed = 0;
    while (fed < bytes.size() && reader.state() == HelloReader::State::incomplete) {
      std::size_t size = std::min<std::size_t>(bytes.size() - fed, 7 + fed % 50);
      Buffer copy(bytes.begin() + static_cast<std::ptrdiff_t>(fed),
                  bytes.begin() + static_cast<std::ptrdiff_t>(fed + size));
      reader.feed(copy);
      fed += size;
    }
    if (reader.state() == HelloReader::State::failed) FUZZ_CHECK(!reader.reason().empty());
    if (reader.state() != HelloReader::State::complete) return;
    FUZZ_CHECK(reader.request().table.size() <= kMaxStreams);
    // As authentication would: only who it says it is gets further.
    policy_.name = "edge-1";
    auto decision = registry_.hello(now_, carrier, policy_, std::move(reader.request()));
    if (auto* accepted = std::get_if<LinkRegistry::Accepted>(&decision)) {
      talk(*accepted->link, carrier, bytes.subspan(fed));
    }
    FUZZ_CHECK(registry_.size() <= 64);
    pump();
  }

  ~Server() { pump(); }

 private:
  static RegistryOptions options() {
    RegistryOptions options;
    options.server_name = "gate";
    options.link.services = {{"echo", seconds(10)}};
    options.link.max_streams = kMaxStreams;
    return options;
  }

  // What follows the greeting in the input is the carrier's conversation.
  void talk(Link& link, CarrierId carrier, Bytes rest) {
    pump();
    if (link.carrier() == carrier) {
      link.carrier_bytes(now_, carrier, rest);
      pump();
    }
  }
  void pump() {
    registry_.poll(now_);
    registry_.for_each([&](Link& link, const std::string&) {
      while (link.poll_effect(now_)) {
      }
      link.check_invariants();
      if (auto gather = link.poll_transmit(now_, 65536)) link.written(now_, gather->bytes);
      while (link.poll_effect(now_)) {
      }
    });
    std::vector<LinkId> over;
    registry_.for_each([&](Link& link, const std::string&) {
      if (link.ended()) over.push_back(link.id());
    });
    for (const LinkId& id : over) registry_.remove(id);
    registry_.take_touched();
  }
  void run_timers() {
    registry_.for_each([&](Link& link, const std::string&) {
      if (link.next_timeout() <= now_) link.timeout(now_);
    });
    pump();
  }

  MemoryPool pool_{1 * kMiB, kMaxStreams};
  LinkRegistry registry_;
  ClientPolicy policy_;
  Time now_{seconds(1)};
  std::uint64_t carriers_ = 0;
};

}  // namespace
}  // namespace holdfast::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast;
  fuzz::Input input(Bytes(data, size));
  fuzz::Server server;
  for (int i = 0; i < 8 && !input.empty(); ++i) {
    std::size_t length = input.number();
    Duration passed = milliseconds(input.byte() * 20);
    server.carrier(input.take(length), passed);
  }
  return 0;
}
