// Relics: what an agent's process finds of the one before it: its state and its sockets.
//
// All that is here is either taken by somebody or closed by close_rest(). Until then no descriptor
// that the state names is closed: a further death begins with the same state again, and a number
// must not have become another's.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/core/old_state.h"
#include "common/io/inherited_sockets.h"
#include "common/state/kernel_judge.h"
#include "common/state/root.h"

namespace holdfast {

class Relics;

// A link of the dead process.
struct LinkRelic {
  Relics* relics = nullptr;
  const OldState* state = nullptr;
  const OldState::Link* link = nullptr;

  const LinkFacts& facts() const { return link->facts; }
};

// What came of it all.
struct RecoveryTally {
  std::uint64_t links = 0;
  std::uint64_t connections = 0;
  std::uint64_t adopted = 0;    // accepted a moment before the death
  std::uint64_t corrected = 0;  // positions that the kernel knew better
  std::uint64_t lost = 0;

  void add(const Recovered& recovered);
};

class Relics {
 public:
  // Before the process opens anything that it keeps: whatever is open and neither of the state nor
  // `not_its` (passed in by who started the first process) is the dead process's, and closed.
  // `root`: its root memfd; -1: it left none, or none that is to be used.
  static std::unique_ptr<Relics> take(int root, const StateOwner& owner,
                                      const std::vector<int>& not_its);

  // There is a state to go on from; else why not, for people, where there was one.
  bool usable() const { return !states_.empty(); }
  const std::string& objection() const { return objection_; }

  std::vector<LinkRelic> links();
  // How many of them there are, of a server's by client; "": all together. They go on whatever the
  // config allows by now.
  std::map<std::string, std::uint32_t> connections() const;
  std::uint64_t start_id() const { return root_->start_id(); }
  const RootHeader::Totals& totals() const { return root_->totals(); }
  const OldRoot& root() const { return *root_; }
  SocketJudge& judge() { return *judge_; }

  // A socket that a record names is the caller's from now on.
  Descriptor take_socket(int descriptor);
  // Where the dead process listened.
  InheritedSockets& listeners() { return listeners_; }
  // Connections that no record names and of which nothing was read or written, each once: accepted
  // a moment before the death.
  std::vector<Descriptor> take_fresh();
  void close_rest();

 private:
  Relics() = default;
  void read_states(const StateOwner& owner);
  void name_sockets();
  void sort_out(const std::vector<int>& open, const std::vector<int>& not_its);

  std::optional<OldRoot> root_;
  std::vector<OldState> states_;
  std::string objection_;
  std::unique_ptr<KernelJudge> judge_;
  std::set<int> named_;    // by records
  std::set<int> unnamed_;  // other connections
  bool closing_ = false;   // one of those may be about to be closed in order
  InheritedSockets listeners_;
};

}  // namespace holdfast
