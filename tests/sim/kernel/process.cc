#include "tests/sim/kernel/process.h"

#include <algorithm>
#include <cerrno>

#include "tests/sim/kernel/kernel.h"
#include "tests/sim/kernel/netlink_socket.h"

namespace holdfast::sim {
namespace {

// From a wake-up to the turn, and between two turns of a busy loop.
constexpr std::uint64_t kWakeLatency = 200;  // us, at most
constexpr std::uint64_t kBusyTurn = 50;

}  // namespace

Process* Process::running_ = nullptr;

Process::Process(Kernel& kernel, std::uint32_t host, std::size_t limit)
    : kernel_(kernel), host_(host), number_(kernel.enter(*this)), limit_(limit) {}

Process::~Process() {
  die();
  kernel_.leave(*this);
}

int Process::first_descriptor() const {
  return kFirstDescriptor + static_cast<int>(number_) * kRange;
}

int Process::add(std::unique_ptr<File> file) {
  if (open_ >= limit_ || dead_) {
    errno = EMFILE;
    return -1;
  }
  auto free = std::find(files_.begin(), files_.end(), nullptr);
  if (free == files_.end()) free = files_.insert(files_.end(), nullptr);
  *free = std::move(file);
  open_ += 1;
  return first_descriptor() + static_cast<int>(free - files_.begin());
}

File* Process::find(int descriptor) const {
  int index = descriptor - first_descriptor();
  if (index < 0 || index >= static_cast<int>(files_.size())) return nullptr;
  return files_[static_cast<std::size_t>(index)].get();
}

int Process::close(int descriptor) {
  if (find(descriptor) == nullptr) {
    errno = EBADF;
    return -1;
  }
  auto index = static_cast<std::size_t>(descriptor - first_descriptor());
  std::unique_ptr<File> gone = std::move(files_[index]);
  open_ -= 1;
  std::erase(waited_on_, gone.get());
  return 0;
}

void Process::die() {
  dead_ = true;
  // Sockets first: an epoll set is told of nothing any more.
  turn_ += 1;
  due_ = true;
  for (auto& file : files_) {
    if (file != nullptr && file->kind() == File::Kind::socket) file.reset();
  }
  files_.clear();
  waited_on_.clear();
  open_ = 0;
}

void Process::tell_network_changed() {
  for (auto& file : files_) {
    if (file == nullptr || file->kind() != File::Kind::netlink) continue;
    static_cast<NetlinkSocket*>(file.get())->tell();
  }
}

void Process::wake() {
  if (dead_ || due_) return;
  Duration latency{static_cast<std::int64_t>(kernel_.random().below(kWakeLatency))};
  schedule(kernel_.now() + latency);
}

void Process::waited_on(const File& set) {
  if (std::find(waited_on_.begin(), waited_on_.end(), &set) == waited_on_.end()) {
    waited_on_.push_back(&set);
  }
}

bool Process::finds_more() const {
  return std::any_of(waited_on_.begin(), waited_on_.end(),
                     [](const File* set) { return set->readiness() != 0; });
}

void Process::schedule(Time at) {
  due_ = true;
  turn_ += 1;
  kernel_.schedule_turn(std::max(at, stalled_until_), number_, turn_);
}

void Process::stall(Time until) {
  stalled_until_ = until;
  if (dead_ || !due_) return;
  schedule(kernel_.now());
}

bool Process::stalled() const {
  return kernel_.now() < stalled_until_;
}

void Process::run_due(std::uint64_t turn) {
  if (dead_ || turn != turn_) return;
  if (stalled()) return schedule(stalled_until_);
  due_ = false;
  waited_on_.clear();
  bool more = this->turn();
  if (dead_ || due_ || !(more || finds_more())) return;
  schedule(kernel_.now() + Duration(static_cast<std::int64_t>(kernel_.random().below(kBusyTurn))));
}

}  // namespace holdfast::sim
