#include "tests/sim/kernel/connection.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "tests/sim/kernel/socket.h"
#include "tests/sim/kernel/tcp_end.h"

namespace holdfast::sim {
namespace {

constexpr std::size_t kMostRecorded = 65536;
constexpr int kMostSyns = 7;  // net.ipv4.tcp_syn_retries and the first: some two minutes
constexpr std::uint32_t kSyn = 0;
constexpr std::uint32_t kAnswer = 1;
constexpr std::uint32_t kRefusal = 2;
// Events `reset`: by side, and for what.
constexpr std::uint32_t kReset = 0;
constexpr std::uint32_t kEnd = 2;

int side_behind(Direction direction) {
  return direction == Direction::to_server ? 1 : 0;
}

}  // namespace

Connection::Connection(Kernel& kernel, std::uint64_t number, Path& path, const Address& to)
    : kernel_(kernel),
      number_(number),
      path_(path),
      to_(to),
      flows_{{path, Direction::to_server}, {path, Direction::to_client}} {}

Connection::~Connection() {
  for (TcpEnd* end : ends_) {
    if (end != nullptr) end->forget_connection();
  }
}

// --- Handshake ---------------------------------------------------------------------------------

void Connection::dial(Socket& socket) {
  dialling_ = &socket;
  from_ = socket.own();
  try_syn();
}

void Connection::try_syn() {
  Time now = kernel_.now();
  syns_ += 1;
  bool middlebox = now < path_.answer_until;  // it stands before whatever is broken
  if (!middlebox && now < path_.hang_until) {
    if (syns_ >= kMostSyns) return refused(ETIMEDOUT);
    return kernel_.schedule(now + seconds(1) * (1 << (syns_ - 1)), Kernel::Kind::handshake, kSyn,
                            number_);
  }
  bool refuse = !middlebox && now < path_.refuse_until;
  Duration trip = 2 * path_.shape().delay + path_.wait(Direction::to_server, now);
  trip += path_.wait(Direction::to_client, now + trip);
  if (!refuse) trip += Duration(static_cast<std::int64_t>(kernel_.random().below(2000)));
  kernel_.schedule(now + trip, Kernel::Kind::handshake, refuse ? kRefusal : kAnswer, number_);
}

void Connection::answered() {
  Time now = kernel_.now();
  bool nowhere = now < path_.answer_until;
  if (!nowhere && now < path_.hang_until) return try_syn();
  Socket* listener = kernel_.listener(to_);
  if (!nowhere && (listener == nullptr || now < path_.refuse_until)) return refused(ECONNREFUSED);
  standing_ = true;
  stands_since_ = now;
  Socket& socket = *std::exchange(dialling_, nullptr);
  for (Flow& flow : flows_) {
    if (socket.max_segment() != 0) flow.set_segment(socket.max_segment());
  }
  if (nowhere) {
    for (Flow& flow : flows_) flow.hold(kNever);
    severed_[0] = severed_[1] = true;
  } else {
    kernel_.network().established(*this);
    auto server = std::make_unique<TcpEnd>(*this, 1);
    ends_[1] = server.get();
    listener->queue(std::move(server), socket.own());
  }
  auto client = std::make_unique<TcpEnd>(*this, 0);
  ends_[0] = client.get();
  socket.connected(std::move(client));
}

void Connection::refused(int error) {
  Socket* socket = std::exchange(dialling_, nullptr);
  if (socket != nullptr) socket->connect_failed(error);
  kernel_.forget(number_);
}

void Connection::socket_gone(const Socket& socket) {
  // Not yet standing: its handshake's event finds nobody.
  if (dialling_ == &socket) dialling_ = nullptr;
}

bool Connection::haunt(const std::vector<std::uint8_t>& bytes) {
  Socket* listener = kernel_.listener(to_);
  if (listener == nullptr) return false;
  ghost_ = standing_ = true;
  auto server = std::make_unique<TcpEnd>(*this, 1);
  ends_[1] = server.get();
  listener->queue(std::move(server), {0x0a00ffff, 1});
  flow_from(0).write(bytes);
  flow_from(0).transmit(kernel_.now());
  schedule(Direction::to_server);
  return true;
}

void Connection::exorcise() {
  ghost_ = false;
  if (ends_[1] == nullptr) return kernel_.forget(number_);
  cut(Cut::reset, false, true);
}

// --- The ends ----------------------------------------------------------------------------------

void Connection::write(int side, Bytes bytes) {
  if (severed_[side]) return;  // lost behind the cut, as the writer will learn
  flow_from(side).write(bytes);
  if (side == 0 && (record_all_ || flow_to(0).consumed() == 0)) {
    std::size_t most = kMostRecorded - said_.size();
    Bytes kept = bytes.first(std::min(most, bytes.size()));
    said_.insert(said_.end(), kept.begin(), kept.end());
  }
}

void Connection::wrote(int side) {
  if (severed_[side]) return;
  Flow& out = flow_from(side);
  out.transmit(kernel_.now());
  Direction direction = static_cast<Direction>(side);
  schedule(direction);
  if (out.written() >= cut_at_[side]) cut_at(direction, cut_at_[side]);
}

void Connection::read(int side) {
  Flow& in = flow_to(side);
  if (!in.window_opened()) return;
  in.acknowledge(kernel_.now(), flow_from(side));
  schedule(static_cast<Direction>(1 - side));
}

void Connection::say_end(int side) {
  if (severed_[side]) return;
  flow_from(side).finish();
  flow_from(side).transmit(kernel_.now());
  schedule(static_cast<Direction>(side));
}

// What nobody has read makes a close abortive (tcp_close()).
void Connection::close(int side, bool abort) {
  ends_[side] = nullptr;
  if (ends_[1 - side] == nullptr && !ghost_) return kernel_.forget(number_);
  if (severed_[side]) return;
  Flow& out = flow_from(side);
  if (!abort && flow_to(side).available() == 0) return say_end(side);
  std::uint64_t keep = kernel_.random().between(out.arrived(), out.sent());
  send_reset(1 - side, out.truncate(keep, kernel_.now()));
  schedule(static_cast<Direction>(side));
}

void Connection::send_reset(int to_side, Time at) {
  at = std::max({at, kernel_.now() + path_.shape().delay, flow_to(to_side).held_until()});
  if (at == kNever) return;
  kernel_.schedule(at, Kernel::Kind::reset, kReset + static_cast<std::uint32_t>(to_side), number_);
}

void Connection::reset_came(int side) {
  if (ends_[side] != nullptr) ends_[side]->reset_came();
}

void Connection::end_came(int side) {
  if (ends_[side] != nullptr) ends_[side]->end_came();
}

// --- Time --------------------------------------------------------------------------------------

void Connection::on_event(Kernel::Kind kind, std::uint32_t index) {
  switch (kind) {
    case Kernel::Kind::handshake:
      if (dialling_ == nullptr) return kernel_.forget(number_);
      if (index == kSyn) return try_syn();
      return index == kAnswer ? answered() : refused(ECONNREFUSED);
    case Kernel::Kind::arrival:
      return arrived(static_cast<Direction>(index));
    case Kernel::Kind::ack:
      return acknowledged(static_cast<Direction>(index));
    case Kernel::Kind::reset:
      return index >= kEnd ? end_came(static_cast<int>(index - kEnd))
                           : reset_came(static_cast<int>(index - kReset));
    default:
      return;
  }
}

void Connection::arrived(Direction direction) {
  Time now = kernel_.now();
  int side = side_behind(direction);
  Time& planned = arrival_planned_[static_cast<int>(direction)];
  if (planned <= now) planned = kNever;
  Flow& in = flow(direction);
  if (in.arrive(now)) {
    TcpEnd* end = ends_[side];
    if (end != nullptr) {
      end->bytes_came();
      if (in.finished()) end->end_came();
      in.acknowledge(now, flow(opposite(direction)));
    } else if (in.available() != 0 && !ghost_) {
      send_reset(1 - side, now);  // nobody is there any more
    } else {
      in.acknowledge(now, flow(opposite(direction)));
    }
  }
  schedule(direction);
}

void Connection::acknowledged(Direction direction) {
  Time& planned = ack_planned_[static_cast<int>(direction)];
  if (planned <= kernel_.now()) planned = kNever;
  Flow& out = flow(direction);
  if (out.take_acks(kernel_.now())) {
    out.transmit(kernel_.now());
    if (TcpEnd* end = ends_[1 - side_behind(direction)]) end->room_came();
  }
  schedule(direction);
}

void Connection::schedule(Direction direction) {
  auto index = static_cast<std::size_t>(direction);
  Flow& one = flow(direction);
  if (one.take_swallowed()) kernel_.network().swallowed(*this);
  attend(one.next_arrival(), arrival_planned_[index], Kernel::Kind::arrival, direction);
  attend(one.next_ack(), ack_planned_[index], Kernel::Kind::ack, direction);
}

void Connection::attend(Time at, Time& planned, Kernel::Kind kind, Direction direction) {
  if (at == kNever || planned <= at) return;
  planned = at;
  kernel_.schedule(at, kind, static_cast<std::uint32_t>(direction), number_);
}

// --- Faults ------------------------------------------------------------------------------------

void Connection::hold(Direction direction, Time until) {
  flow(direction).hold(until);
  schedule(direction);
}

void Connection::path_changed() {
  for (Direction direction : {Direction::to_server, Direction::to_client}) {
    flow(direction).unstick(kernel_.now());
    schedule(direction);
  }
}

void Connection::cut_at(Direction direction, std::uint64_t offset) {
  cut_at_[static_cast<int>(direction)] = offset;
  Flow& out = flow(direction);
  if (!standing_ || cut_ || out.written() < offset) return;
  Flow& back = flow(opposite(direction));
  Time now = kernel_.now();
  send_reset(side_behind(direction), out.truncate(offset, now));
  std::uint64_t keep = kernel_.random().between(back.arrived(), back.sent());
  send_reset(1 - side_behind(direction), back.truncate(keep, now));
  severed_[0] = severed_[1] = cut_ = true;
  kernel_.network().struck(*this);
  schedule(Direction::to_server);
  schedule(Direction::to_client);
}

void Connection::cut(Cut how, bool client_sees, bool server_sees) {
  if (cut_ || !standing_) return;
  Random& random = kernel_.random();
  Time now = kernel_.now();
  bool sees[2] = {client_sees, server_sees};
  for (int side = 0; side < 2; ++side) {
    Flow& in = flow_to(side);
    if (!sees[side]) {
      // Nothing more comes that way; perhaps what is under way does, much later.
      in.hold(random.one_in(2) ? kNever
                               : now + milliseconds(static_cast<std::int64_t>(random.below(8000))));
      continue;
    }
    severed_[1 - side] = true;
    std::uint64_t keep = random.between(in.arrived(), in.sent());
    if (how == Cut::end_of_file && random.one_in(2)) keep = in.sent();
    Time at = std::max(in.truncate(keep, now), in.held_until());
    if (at == kNever) continue;
    std::uint32_t what = how == Cut::reset ? kReset : kEnd;
    kernel_.schedule(at, Kernel::Kind::reset, what + static_cast<std::uint32_t>(side), number_);
  }
  cut_ = true;
  schedule(Direction::to_server);
  schedule(Direction::to_client);
}

}  // namespace holdfast::sim
