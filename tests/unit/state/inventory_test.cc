#include "common/state/inventory.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>

#include "tests/unit/support.h"

namespace holdfast {
namespace {

// What the other end reads.
ssize_t end_of(const Descriptor& socket) {
  char byte = 0;
  return recv(socket.get(), &byte, 1, 0);
}

}  // namespace

TEST_CASE("all that is open is found, and what it is") {
  Descriptor poller(epoll_create1(EPOLL_CLOEXEC));
  BoundSocket listener = free_listener();
  auto [agent, application] = application_pair();
  Descriptor file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  std::vector<int> open_ones = list_descriptors();
  CHECK(std::is_sorted(open_ones.begin(), open_ones.end()));
  auto has = [&](int each) {
    return std::find(open_ones.begin(), open_ones.end(), each) != open_ones.end();
  };
  CHECK(has(poller.get()));
  CHECK(has(file.get()));
  CHECK_FALSE(has(0));
  CHECK(kind_of_descriptor(poller.get()) == DescriptorKind::poller);
  CHECK(kind_of_descriptor(listener.descriptor()) == DescriptorKind::listener);
  CHECK(kind_of_descriptor(agent.get()) == DescriptorKind::connection);
  CHECK(kind_of_descriptor(file.get()) == DescriptorKind::other);
}

TEST_CASE("an application's socket that is nobody's is reset, unless it was about to be closed") {
  auto [agent, application] = application_pair();
  close_leftover(dup(agent.get()));
  agent.reset();
  CHECK(end_of(application) == -1);
  auto [other, its] = application_pair();
  clear_linger(other.get());
  close_leftover(dup(other.get()));
  other.reset();
  CHECK(end_of(its) == 0);
}

TEST_CASE("a carrier that is nobody's is reset") {
  BoundSocket listener = free_listener(nullptr);
  Descriptor peer = dial(bound_address(listener.descriptor()));
  Descriptor carrier(accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
  close_leftover(dup(carrier.get()));
  carrier.reset();
  CHECK(end_of(peer) == -1);
}

}  // namespace holdfast
