#include "tests/sim/application_end.h"

#include <cerrno>

#include "tests/sim/world.h"

namespace holdfast::sim {

ApplicationEnd::ApplicationEnd(World& world, Conversation& conversation, int side)
    : world_(world), conversation_(conversation), side_(side) {
  one().end = this;
}

template <typename Check>
void ApplicationEnd::judge(Check check) {
  try {
    check();
  } catch (const Failure& failure) {
    world_.kernel().blame(failure.what());
  }
}

void ApplicationEnd::accepted() {
  if (side_ == 1) return;
  conversation_.opened = true;
  conversation_.opened_at = world_.now();
}

// --- From the application ----------------------------------------------------------------------

std::size_t ApplicationEnd::unread() const {
  return static_cast<std::size_t>(one().written - one().taken);
}

void ApplicationEnd::take(MutableBytes into) {
  fill_pattern(one().key, one().taken, into.data(), into.size());
  one().taken += into.size();
  world_.look_at_application(conversation_, side_);
}

void ApplicationEnd::end_told() {
  one().finish_told = true;
}

void ApplicationEnd::error_told(int error) {
  // After the application's own FIN: the agent knows of that, too.
  if (error == EPIPE) one().finish_told = true;
  one().abort_told = true;
  one().abort_told_at = world_.now();
}

void ApplicationEnd::has_reset() {
  reset(input_over() ? EPIPE : ECONNRESET);
}

// --- To the application ------------------------------------------------------------------------

// Now and then the kernel takes less than it might.
std::size_t ApplicationEnd::room() const {
  std::uint64_t room = one().room();
  if (world_.kernel().random().one_in(8)) room = world_.kernel().random().below(room + 1);
  return static_cast<std::size_t>(room);
}

bool ApplicationEnd::writable() const {
  return one().room() * 3 >= one().capacity();
}

void ApplicationEnd::put(Bytes bytes) {
  judge([&] { conversation_.check_delivery(side_, bytes); });
  one().accepted += bytes.size();
  world_.totals().bytes += bytes.size();
}

void ApplicationEnd::all_put() {
  world_.look_at_application(conversation_, side_);
}

std::size_t ApplicationEnd::unacknowledged() const {
  return static_cast<std::size_t>(one().unsent());
}

void ApplicationEnd::say_end() {
  judge([&] { conversation_.check_fin(side_); });
  one().got_fin = true;
  world_.look_at_application(conversation_, side_);
}

// What nobody has read makes a close abortive (tcp_close()).
void ApplicationEnd::close(bool abort) {
  Side& side = one();
  side.end = nullptr;
  if (!side.said_reset) {
    if (abort || unread() != 0) {
      side.got_reset = true;
      side.reset_at = world_.now();
      side.idle_at_reset = world_.now() - side.consumed_at;
      side.lost = side.unsent();
      side.accepted -= side.lost;
    } else if (!output_over()) {
      say_end();
    }
  }
  world_.look_at_application(conversation_, side_);
  world_.socket_closed(conversation_, side_);
}

}  // namespace holdfast::sim
