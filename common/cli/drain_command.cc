// `drain`, also one that waits for the agent's end.
#include <sstream>
#include <thread>

#include "common/admin/snapshot_json.h"
#include "common/cli/subcommands.h"

namespace holdfast {
namespace {

// How often it asks whether the agent is still there.
constexpr std::chrono::milliseconds kLookAgain{200};

}  // namespace

int do_drain(const Invocation& call, const DrainWords& words) {
  int code = do_command(call, words.until_empty ? "drain_until_empty" : "drain", "");
  if (code != kExitOk || !words.wait) return code;
  std::ostringstream unheard;  // that it does not answer any more is what is waited for
  Invocation asking{call.kind,    call.config_path, call.socket, false,
                    call.display, unheard,          unheard};
  for (;;) {
    std::this_thread::sleep_for(kLookAgain);
    auto answer = ask(asking, "GET", "/v1/status");
    auto* got = std::get_if<HttpAnswer>(&answer);
    if (got == nullptr) return kExitOk;
    if (got->status != 200) continue;  // busy, or about to end
    Result<AgentSnapshot> snapshot = parse_status(got->body);
    if (snapshot && !snapshot->draining) {
      return complain(call, "it drains no more (undrain)", kExitFailed);
    }
  }
}

}  // namespace holdfast
