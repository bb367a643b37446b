// ClientWorker: another loop's links of a client agent, and what the first loop, which listens,
// knows of them and hands over to them.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "client-agent/client_links.h"
#include "common/io/loop_thread.h"
#include "common/io/mailbox.h"
#include "common/tunnel/shared_streams.h"

namespace holdfast {

// A lane that the first loop wants here, or wants no more; both: the one in place of the other.
struct LaneOrder {
  std::optional<ClientLinkOptions> open;
  Time until{};                         // as for ClientLink::expect()
  std::optional<ClientHandover> comer;  // for whom it is opened
  std::string retire;                   // a lane's name
};

class ClientWorker final : private Loop::Task, private ClientLink::Owner {
 public:
  // `news`: what load(), is_down(), full(), stream_count() or over() say has changed, or a lane is
  // over; called on the worker's thread.
  ClientWorker(std::vector<ClientLinkOptions> links, std::uint64_t memory,
               std::uint32_t connections, SharedStreams& streams,
               const MakeRegionMemory& make_state, Observer& observer, std::function<void()> news);
  ~ClientWorker();

  void start();
  LoopThread& thread() { return thread_; }

  // The first loop's thread, at any time. What they say may be a turn old.
  void give(ClientHandover handover);
  void order(LaneOrder order);
  // Since the last call; each was told by `news`.
  std::vector<LaneOver> take_lanes_over();
  std::vector<LaneParting> take_parting();
  std::vector<LaneState> lanes(const std::string& group) const;
  // Nothing: there is no link of the group here.
  std::optional<LinkLoad> load(const std::string& group) const;
  bool is_down(const std::string& group, const std::string& service) const;
  // It has no room for one more of the group.
  bool full(const std::string& group) const;
  // Those that were given and are no streams yet count.
  std::size_t stream_count() const;
  bool leads_to(const Endpoint& destination) const;
  // There is room for one more connection, somewhere. Any thread.
  void tell_room() { room_elsewhere_.wake(); }

  // While the thread is paused.
  ClientLinks& links() { return links_; }
  const ClientLinks& links() const { return links_; }
  Loop& loop() { return thread_.loop(); }
  void reconfigure(std::vector<ClientLinkOptions> links, bool revoke);
  // Before the thread runs.
  void go_on(Relics& relics, RecoveryTally& tally);
  // Goodbye, then the loop ends; at `deadline` at last.
  void leave(Time deadline);

 private:
  // What the first loop may know.
  struct Group {
    std::optional<LinkLoad> load;  // of the link that takes the next connection
    std::set<std::string, std::less<>> down;
    bool full = false;
    bool lanes_vary = false;
    std::vector<LaneState> lanes;
  };
  struct Known {
    std::map<std::string, Group, std::less<>> groups;
    std::size_t streams = 0;
    std::uint64_t taken = 0;  // of those that were given
    std::uint64_t addresses_version = 0;
    std::vector<Endpoint> addresses;
  };

  bool end_of_turn() override;
  void wake() override { wake_ = true; }
  void room() override { room_ = wake_ = true; }
  void services_changed() override { wake_ = true; }
  void lane_over(LaneOver over) override;
  void lanes_seen() override { lanes_seen_ = wake_ = true; }
  void lane_parts(LaneParting parting) override;
  void take(ClientHandover handover);
  void obey(LaneOrder order);
  bool open(ClientHandover& handover);
  bool any_waits(std::string_view group) const;
  void open_waiting();
  void note_groups();
  enum class Publish : std::uint8_t { news, anyway };
  void publish(Publish what);
  // Given, and not in what is known; with mutex_ held.
  std::size_t coming() const { return static_cast<std::size_t>(given_ - known_.taken); }

  std::function<void()> news_;
  SharedStreams& streams_;
  LoopThread thread_;
  bool wake_ = true;
  bool room_ = false;
  bool took_ = false;  // since the last publish()
  bool lanes_seen_ = false;
  bool leaving_ = false;
  ClientLinks links_;
  std::vector<ClientHandover> waiting_;  // for room
  Mailbox<ClientHandover> mailbox_;
  Mailbox<LaneOrder> orders_;
  Timer deadline_;
  Wakeup room_elsewhere_;
  Known now_;                // as published
  std::uint64_t given_ = 0;  // the first loop's thread's
  mutable std::mutex mutex_;
  Known known_;                       // guarded by mutex_
  std::vector<LaneOver> lanes_over_;  // likewise
  std::vector<LaneParting> parting_;  // likewise
};

}  // namespace holdfast
