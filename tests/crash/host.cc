#include "tests/crash/host.h"

#include "tests/crash/process.h"
#include "tests/crash/world.h"

namespace holdfast::crash {

Host::Host(World& world, int side) : world_(world), side_(side) {}
Host::~Host() = default;

Socket& Host::open(std::uint32_t conversation, Application& application) {
  int descriptor = static_cast<int>(sockets_.size()) + 3;
  sockets_.push_back(std::make_unique<Socket>(descriptor, conversation, application));
  return *sockets_.back();
}

Socket* Host::find(int descriptor) {
  auto index = static_cast<std::size_t>(descriptor - 3);
  if (descriptor < 3 || index >= sockets_.size() || !sockets_[index]->open()) return nullptr;
  return sockets_[index].get();
}

void Host::start(std::uint64_t dies_at) {
  doom_ = std::make_unique<Doom>(world_.random(), dies_at);
  {
    Running running(*doom_);
    process_ = std::make_unique<Process>(*this);
    process_->begin(relics_.get());
  }
  bury();
}

void Host::bury() {
  if (process_ == nullptr || !doom_->struck()) return;
  deaths += 1;
  // Before it had said that its own memory counts, the old one does.
  if (process_->committed()) relics_ = doom_->take_relics();
  process_.reset();
  world_.drop_wires(side_);
}

}  // namespace holdfast::crash
