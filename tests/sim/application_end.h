// ApplicationEnd: an agent's end of a connection with an application or a service of the world. The
// judge stands here: every byte that an agent delivers is compared where it is written.
#pragma once

#include "tests/sim/conversation.h"
#include "tests/sim/kernel/stream_end.h"

namespace holdfast::sim {

class World;

class ApplicationEnd final : public StreamEnd {
 public:
  // side 0: an application, at the client agent. All of them outlive it.
  ApplicationEnd(World& world, Conversation& conversation, int side);

  void close(bool abort) override;
  std::size_t unread() const override;
  std::size_t unacknowledged() const override;

  // --- The application's ---
  void wrote() { input_came(); }
  void ended() { input_ended(); }
  void has_reset();
  void consumed() { room_came(); }

 private:
  Side& one() const { return conversation_.sides[side_]; }
  // Throws no Failure: an agent's code is on the stack.
  template <typename Check>
  void judge(Check check);

  void take(MutableBytes into) override;
  std::size_t room() const override;
  void put(Bytes bytes) override;
  void all_put() override;
  bool writable() const override;
  void say_end() override;
  void accepted() override;
  void end_told() override;
  void error_told(int error) override;

  World& world_;
  Conversation& conversation_;
  int side_;
};

}  // namespace holdfast::sim
