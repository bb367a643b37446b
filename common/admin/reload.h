// A reload as it is asked for, done and told.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/config/changes.h"
#include "common/config/problem.h"

namespace holdfast {

struct ReloadRequest {
  bool dry_run = false;  // only tell what would change
  bool revoke = false;   // connections that are not allowed any more end
};

// What is not allowed any more by the new config.
struct Revocation {
  std::uint64_t connections = 0;  // they end (`revoked`)
  std::uint64_t links = 0;        // whose key is another one now: dropped, to prove themselves anew
};

struct ReloadReport {
  enum class Outcome : std::uint8_t {
    applied,
    dry_run,      // the config is good; nothing was changed
    refused,      // what ran goes on as it was: see problems and reason
    unavailable,  // the agent did not answer in time, or is stopping
  };
  Outcome outcome = Outcome::refused;
  std::vector<ConfigChange> changes;
  std::vector<Problem> problems;      // of the config; warnings, too
  std::string reason;                 // why it was refused, where no problem says so
  std::optional<Revocation> revoked;  // what --revoke ends, or would end; none: it was not asked

  bool good() const { return outcome == Outcome::applied || outcome == Outcome::dry_run; }
};
std::string_view to_string(ReloadReport::Outcome outcome);

// Why it was refused, in one line: the first error, or the reason.
std::string fault_of(const ReloadReport& report);

// A config that was loaded again, with its secrets; made on any thread.
class PreparedReload {
 public:
  virtual ~PreparedReload() = default;
  // The loop's thread.
  virtual ReloadReport finish(const ReloadRequest& request) = 0;
};

// A line a change, then what came of it, for people.
std::string render_reload(const ReloadReport& report);

// {"outcome":"applied","changes":[{"key",...}],"problems":[...],"reason":null}
std::string reload_json(const ReloadReport& report);
Result<ReloadReport> parse_reload(std::string_view text);

}  // namespace holdfast
