// What a process makes of what the one before it left.
#include <algorithm>

#include "common/base/store_order.h"
#include "tests/crash/process.h"
#include "tests/crash/world.h"

namespace holdfast::crash {

void Process::recover(const OldState& state) {
  committed_ = false;
  Recovered recovered;
  for (const OldState::Link& old : state.links()) {
    auto link =
        Link::recover(now(), host_.side() == 0 ? options() : registry_->options_for(policy()),
                      *pool_, state, old, *this, recovered);
    if (host_.side() == 0) {
      own_link_ = std::move(link);
      use(own_link_.get());
    } else {
      use(registry_->adopt(std::move(link), old.facts));
    }
  }
  if (dead()) return;
  bool closing = state.closes();
  committed_ = true;
  host_.commit();
  host_.world().corrected += recovered.corrected;
  settle(state.leftovers(), recovered, closing);
}

std::optional<SocketPosition> Process::look(const StreamRecord& record,
                                            Intent::Operation under_way) {
  Socket* socket = host_.find(record.descriptor());
  if (socket == nullptr) return std::nullopt;
  // Whether the error was read cannot be told.
  if (socket->broken() && under_way == Intent::Operation::read) return std::nullopt;
  std::uint64_t written = socket->position_written();
  // Its kernel takes anything, and counts none of it; whether it has told of the error it does not
  // say.
  if (socket->broken()) {
    return SocketPosition{socket->position_read(), std::nullopt, SocketPosition::Life::reset};
  }
  return SocketPosition{socket->position_read(), written};
}

void Process::settle(const std::vector<int>& leftovers, const Recovered& recovered, bool closing) {
  std::vector<int> kept;
  for (const RecoveredStream& each : recovered.streams) kept.push_back(each.descriptor);
  for (const Recovered::Lost& each : recovered.lost) {
    Socket* socket = host_.find(each.descriptor);
    require(socket != nullptr && socket->broken(), "a stream was lost: " + each.reason);
    host_.world().untold += 1;
    // It was named, so it is not one that was just accepted.
    if (!dead()) socket->close();
    store_hook();
  }
  std::vector<int> over = leftovers;
  over.insert(over.end(), recovered.over.begin(), recovered.over.end());
  for (int each : over) {
    if (Socket* socket = host_.find(each); socket != nullptr && !dead()) socket->close();
    store_hook();
  }
  close_the_rest(kept, closing);
  for (const RecoveredStream& each : recovered.streams) settle(each);
}

void Process::settle(const RecoveredStream& stream) {
  using Fate = RecoveredStream::Socket;
  if (dead() || stream.socket == Fate::none || stream.socket == Fate::connects) return;
  track(stream.stream, stream.descriptor);
  End& end_of_stream = ends_[stream.stream.id.value];
  end_of_stream.fin_told = stream.end_read;
  end_of_stream.reads = !stream.end_read;
  Socket* socket = host_.find(stream.descriptor);
  require(socket != nullptr, "a recovered stream without its socket");
  switch (stream.socket) {
    case Fate::resets:
      return end(stream.stream, *socket, false);
    case Fate::closes:
      return end(stream.stream, *socket, true);
    case Fate::shuts_down:
      if (!dead()) socket->shut_down();
      end_of_stream.fin_out = true;
      return store_hook();
    case Fate::aborts:
    case Fate::aborts_after_fin:
      link_->abort(now(), stream.stream);
      return end(stream.stream, *socket, false);
    default:
      return;
  }
}

// Carriers and whatever else there is. Accepted a moment before the death: as if it were now. But
// one whose end came may have been about to be closed in order, as state/relics.cc has it.
void Process::close_the_rest(const std::vector<int>& kept, bool closing) {
  for (std::size_t i = 0; i < host_.sockets().size() && !dead(); ++i) {
    Socket& socket = *host_.sockets()[i];
    if (!socket.open() || std::find(kept.begin(), kept.end(), socket.descriptor()) != kept.end()) {
      continue;
    }
    if (host_.side() == 0 && socket.fresh() && link_ != nullptr &&
        !(closing && socket.fin_came() && !socket.lingers())) {
      take(socket);
    } else {
      socket.close();
    }
    store_hook();
  }
}

}  // namespace holdfast::crash
