#include "common/cli/unit_user.h"

#include <grp.h>
#include <pwd.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include <algorithm>

namespace holdfast {
namespace {

constexpr const char* kUnitUser = "holdfast";  // User= of the packaged units

// Files are opened as the user while it lives.
class AsUser {
 public:
  explicit AsUser(const passwd& user) {
    int count = getgroups(0, nullptr);
    groups_.resize(static_cast<std::size_t>(std::max(count, 0)));
    if (count > 0 && getgroups(count, groups_.data()) != count) return;
    if (initgroups(user.pw_name, user.pw_gid) != 0) return;
    setfsgid(user.pw_gid);
    setfsuid(user.pw_uid);
    entered_ = true;
  }
  ~AsUser() {
    if (!entered_) return;
    setfsuid(geteuid());
    setfsgid(getegid());
    (void)setgroups(groups_.size(), groups_.data());
  }
  AsUser(const AsUser&) = delete;
  AsUser& operator=(const AsUser&) = delete;

  bool entered() const { return entered_; }

 private:
  std::vector<gid_t> groups_;
  bool entered_ = false;
};

}  // namespace

std::vector<Problem> problems_of_unit_user(const std::vector<Problem>& own,
                                           const std::function<std::vector<Problem>()>& load) {
  const passwd* user = geteuid() == 0 ? getpwnam(kUnitUser) : nullptr;
  if (user == nullptr) return {};
  std::vector<Problem> his;
  {
    AsUser as(*user);
    if (!as.entered()) return {};
    his = load();
  }
  std::erase_if(his, [&](const Problem& problem) {
    return problem.severity != Severity::error ||
           std::any_of(own.begin(), own.end(), [&](const Problem& each) {
             return each.reason == problem.reason && each.key == problem.key;
           });
  });
  for (Problem& problem : his) {
    problem.severity = Severity::warning;
    problem.reason = "for the units' user " + std::string(kUnitUser) + ": " + problem.reason;
  }
  return his;
}

}  // namespace holdfast
