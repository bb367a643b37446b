// Epoll: epoll(7) as Linux does it. A ready list: what was notified goes to its end and is looked
// at when somebody waits; level-triggered members go to the end again, edge-triggered ones not. So
// members are told in turn, and one whose event was lost is seen by nobody until the next.
#pragma once

#include <list>
#include <unordered_map>

#include "tests/sim/kernel/file.h"

namespace holdfast::sim {

class Process;

struct Interest {
  Epoll* set = nullptr;
  File* file = nullptr;
  epoll_event wanted{};
  bool ready = false;  // stands in the ready list
  std::list<Interest>::iterator place;
};

class Epoll final : public File {
 public:
  explicit Epoll(Process& process) : File(Kind::epoll), process_(process) {}
  ~Epoll() override;

  // As epoll_ctl(2): 0, or -1 with errno.
  int control(int operation, File& file, const epoll_event* event);
  // As epoll_wait(2) without waiting: how many.
  int collect(epoll_event* events, int most);

  std::uint32_t readiness() const override;

 private:
  friend class File;
  void told(Interest& watch, std::uint32_t events);
  void remove(Interest& watch);
  static std::uint32_t of_interest(const Interest& watch);

  Process& process_;
  std::unordered_map<File*, Interest*> members_;
  std::list<Interest> idle_;
  mutable std::list<Interest> ready_;
};

}  // namespace holdfast::sim
