#include "common/agent/missing_files.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>

#include "common/agent/notifier.h"
#include "common/io/loop.h"
#include "common/log/log.h"

namespace holdfast {
namespace {

constexpr Duration kLookInterval = milliseconds(200);
// Each look asks the service manager for so much more time to start in (sd_notify(3)).
constexpr Duration kMoreTime = seconds(30);

void tell(Logger& logger, const std::vector<Problem>& problems, Duration patience) {
  for (const Problem& each : problems) {
    if (each.severity != Severity::error) continue;
    logger.event(LogLevel::error, "key_unreadable",
                 {{"file", each.file},
                  {"line", each.line},
                  {"key", each.key},
                  {"reason", reason_with_hint(each)},
                  {"follows", "connections wait until it can be read"},
                  {"patience_s", patience.count() / 1'000'000}});
  }
}

// Under a service manager the end waits for the agent's loop, which is not there yet.
bool told_to_end() {
  sigset_t waiting;
  return sigpending(&waiting) == 0 &&
         (sigismember(&waiting, SIGTERM) == 1 || sigismember(&waiting, SIGINT) == 1);
}

}  // namespace

Duration patience_of(const ClientConfig&) {
  return kDefaultGrace;
}

Duration patience_of(const ServerConfig& config) {
  Duration longest = config.link.grace;
  for (const auto& [name, service] : config.services) {
    longest = std::max(longest, service.grace.value_or(longest));
  }
  return longest;
}

void wait_for_files(const AgentConfig& config, const std::vector<Problem>& problems,
                    const std::function<bool()>& look) {
  bool client = std::holds_alternative<ClientConfig>(config);
  const LogConfig& log = *std::visit([](const auto& ours) { return &ours.log; }, config);
  Duration patience = std::visit([](const auto& ours) { return patience_of(ours); }, config);
  auto logger =
      Logger::open(log, std::string(program_name(client ? AgentKind::client : AgentKind::server)));
  if (logger) tell(**logger, problems, patience);
  std::atomic<std::int64_t> looks = 0;
  auto notifier = Notifier::start({[&looks] { return looks.load(); }, [](Duration) {}});
  if (notifier) notifier->status("waits for a file that its config names");
  for (Time end = read_boot_clock() + patience; read_boot_clock() < end; ++looks) {
    if (notifier) notifier->send("EXTEND_TIMEOUT_USEC=" + std::to_string(kMoreTime.count()));
    usleep(static_cast<useconds_t>(kLookInterval.count()));
    if (told_to_end() || look()) return;
  }
}

}  // namespace holdfast
