#include "tests/sim/kernel/names.h"

#include <netdb.h>
#include <pthread.h>

#include <optional>
#include <set>
#include <utility>

#include "tests/sim/kernel/address.h"
#include "tests/sim/kernel/kernel.h"
#include "tests/sim/kernel/process.h"
#include "tests/sim/kernel/wrapped.h"

namespace holdfast::sim {
namespace {

// resolv.conf(5): two attempts of 5 s.
constexpr Duration kResolverPatience = seconds(10);

// Lists that are ours to free.
std::set<const addrinfo*>& lists() {
  static std::set<const addrinfo*> made;
  return made;
}

addrinfo* make_list(const std::vector<std::uint32_t>& hosts, const addrinfo* wanted) {
  addrinfo* list = nullptr;
  for (auto host = hosts.rbegin(); host != hosts.rend(); ++host) {
    auto* entry = new addrinfo{};
    entry->ai_family = AF_INET;
    entry->ai_socktype = wanted == nullptr ? SOCK_STREAM : wanted->ai_socktype;
    entry->ai_addrlen = sizeof(sockaddr_in);
    entry->ai_addr = reinterpret_cast<sockaddr*>(new sockaddr_in(Address{*host, 0}.to_sockaddr()));
    entry->ai_next = list;
    list = entry;
  }
  lists().insert(list);
  return list;
}

void free_list(addrinfo* list) {
  while (list != nullptr) {
    addrinfo* next = list->ai_next;
    delete reinterpret_cast<sockaddr_in*>(list->ai_addr);
    delete list;
    list = next;
  }
}

}  // namespace

Names* Names::answering_ = nullptr;

Names::~Names() {
  for (auto& [number, thread] : std::exchange(threads_, {})) run(thread);
}

void Names::start(Process& process, Routine routine, void* argument) {
  std::uint64_t number = ++last_thread_;
  threads_.emplace(number, Thread{process.number(), routine, argument});
  Time now = kernel_.now();
  Time at = now + delay_;
  if (now < hang_until_) at = std::min(std::max(at, hang_until_), now + kResolverPatience);
  kernel_.schedule(at, Kernel::Kind::thread, 0, number);
}

int Names::answer(const std::string& name, std::vector<std::uint32_t>& hosts) const {
  if (kernel_.now() < hang_until_ || kernel_.now() < fail_until_) return EAI_AGAIN;
  auto found = hosts_.find(name);
  if (found == hosts_.end() || found->second.empty()) return EAI_NONAME;
  hosts = found->second;
  return 0;
}

void Names::due(std::uint64_t thread) {
  auto found = threads_.find(thread);
  if (found == threads_.end()) return;
  Thread runs = found->second;
  threads_.erase(found);
  run(runs);
}

void Names::run(const Thread& thread) {
  Names* before = std::exchange(answering_, this);
  // Of a process that is gone nobody hears it.
  Process* process = kernel_.process(thread.process);
  std::optional<Process::Running> running;
  if (process != nullptr) running.emplace(*process);
  thread.routine(thread.argument);
  answering_ = before;
}

}  // namespace holdfast::sim

using holdfast::sim::Names;
using holdfast::sim::Process;

HOLDFAST_WRAPPED(int, pthread_create,
                 (pthread_t * thread, const pthread_attr_t* attributes, void* (*routine)(void*),
                  void* argument)) {
  Process* process = Process::running();
  if (process == nullptr) return __real_pthread_create(thread, attributes, routine, argument);
  process->kernel().names().start(*process, routine, argument);
  return 0;
}

HOLDFAST_WRAPPED(int, getaddrinfo,
                 (const char* node, const char* service, const addrinfo* wanted,
                  addrinfo** found)) {
  bool literal = wanted != nullptr && (wanted->ai_flags & AI_NUMERICHOST) != 0;
  Process* process = Process::running();
  Names* names = Names::answering();
  if (names == nullptr && process != nullptr) names = &process->kernel().names();
  if (literal || names == nullptr) return __real_getaddrinfo(node, service, wanted, found);
  std::vector<std::uint32_t> hosts;
  int status = names->answer(node, hosts);
  if (status == 0) *found = holdfast::sim::make_list(hosts, wanted);
  return status;
}

HOLDFAST_WRAPPED(void, freeaddrinfo, (addrinfo * list)) {
  if (holdfast::sim::lists().erase(list) == 0) return __real_freeaddrinfo(list);
  holdfast::sim::free_list(list);
}
