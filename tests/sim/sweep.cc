#include "tests/sim/sweep.h"

#include <string>

#include "tests/sim/encryption.h"
#include "tests/sim/runner.h"

namespace holdfast::sim {
namespace {

// Two streams, a few hundred bytes each way; the first one's answer follows its half-close.
Options exchange(bool tls) {
  Options options = Options::plain();
  options.tls = tls;
  options.clients = 1;
  options.services = 1;
  options.heal_at = Time(seconds(8));
  for (int i = 0; i < 2; ++i) {
    ConversationScript script;
    script.start = Time(milliseconds(10 + 5 * i));
    for (SideScript& side : script.sides) {
      side.total = 240;
      side.chunk = 100;
      side.gap = milliseconds(3);
    }
    script.sides[1].end = i == 0 ? SideScript::End::answer_close : SideScript::End::close;
    options.conversations.push_back(script);
  }
  return options;
}

struct Sweep {
  bool tls = false;
  std::unique_ptr<Encryption> encryption;
  Totals totals;
  std::uint64_t passed = 0;
  std::uint64_t failed = 0;

  void run(const std::vector<World::PlannedCut>& cuts) {
    World world(exchange(tls), encryption.get());
    world.plan_cuts(cuts);
    std::string reason;
    try {
      world.run();
      // The cut is the only fault: nothing may have been excused.
      require(world.totals().untouched == 2, "a stream did not survive the cut");
    } catch (const Failure& failure) {
      reason = failure.what();
    }
    totals.add(world.totals());
    if (reason.empty()) {
      passed += 1;
      return;
    }
    failed += 1;
    std::printf("FAILED cuts at");
    for (const World::PlannedCut& cut : cuts) {
      std::printf(" %s %llu", cut.to_server ? "to server" : "to client",
                  static_cast<unsigned long long>(cut.offset));
    }
    std::printf(": %s\n", reason.c_str());
  }
};

}  // namespace

std::uint64_t sweep(const SweepOptions& options) {
  Sweep result;
  result.tls = options.tls;
  if (options.tls) result.encryption = std::make_unique<Encryption>();
  World whole(exchange(options.tls));
  whole.run();
  // The exchange ends well before the goodbye does; every byte until then is swept, and the
  // heartbeats behind it are left out.
  std::uint64_t length[2] = {2000, 2000};
  for (int to_server = 0; to_server < 2; ++to_server) {
    length[to_server] =
        std::min<std::uint64_t>(whole.first_carrier_bytes(to_server != 0), length[to_server]);
    for (std::uint64_t offset = 0; offset <= length[to_server]; offset += options.step) {
      result.run({{to_server != 0, offset}});
    }
  }
  std::uint64_t all = options.pair_step == 0 ? 0 : length[0] + length[1] + 1;
  for (std::uint64_t first = 0; first < all; first += options.pair_step) {
    for (std::uint64_t second = 0; second < all; second += options.pair_step) {
      auto cut = [&](std::uint64_t at) {
        bool to_server = at > length[0];
        return World::PlannedCut{to_server, to_server ? at - length[0] : at};
      };
      result.run({cut(first), cut(second)});
    }
  }
  std::printf("swept %llu bytes to the server, %llu to the client\n%s%llu passed, %llu failed\n",
              static_cast<unsigned long long>(length[1]),
              static_cast<unsigned long long>(length[0]), result.totals.describe().c_str(),
              static_cast<unsigned long long>(result.passed),
              static_cast<unsigned long long>(result.failed));
  return result.failed;
}

}  // namespace holdfast::sim
