#include "common/state/relics.h"

#include <fcntl.h>
#include <sys/epoll.h>

#include "common/core/link.h"
#include "common/core/memory_pool.h"
#include "common/state/inventory.h"
#include "tests/unit/in_child.h"
#include "tests/unit/support.h"

namespace holdfast {
namespace {

const StateOwner kOwner{"client", "edge"};

LinkOptions options() {
  LinkOptions link;
  link.role = LinkOptions::Role::client;
  link.name = "edge";
  link.services = {{"raw", seconds(60)}};
  link.slot = 16;
  return link;
}

// A process with one stream, a listener, and one application that was just accepted.
struct Process {
  std::vector<int> others = list_descriptors();  // what is not its
  std::unique_ptr<Root> root = Root::make(kOwner, 7);
  MemoryPool pool{4 * kMiB, 10, nullptr, root->make_regions(), {2, 32}};
  Link link{options(), pool, LinkId{{1}}, 0};
  Descriptor poller{epoll_create1(EPOLL_CLOEXEC)};
  BoundSocket listener = free_listener(tune_application_socket);
  SocketAddress address = bound_address(listener.descriptor());
  Descriptor application = dial(address);
  Descriptor socket = accepted();
  Descriptor fresh_application = dial(address);
  Descriptor fresh = accepted();

  Process() {
    OpenRequest request;
    request.socket = {socket.get(), 0, 0};
    REQUIRE(link.open({}, request).ok());
  }
  Descriptor accepted() const {
    Descriptor taken(accept4(listener.descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(taken.valid());
    return taken;
  }
  std::vector<int> not_its() const {
    std::vector<int> all = others;
    all.push_back(application.get());
    all.push_back(fresh_application.get());
    return all;
  }
};

bool is_open(int descriptor) {
  return fcntl(descriptor, F_GETFD) >= 0;
}

}  // namespace

TEST_CASE("the next process finds links, sockets, listeners and who was just accepted", "[host]") {
  Process p;
  CHECK(in_child([&] {
    auto relics = Relics::take(p.root->descriptor(), kOwner, p.not_its());
    std::vector<LinkRelic> links = relics->links();
    bool found = relics->usable() && relics->start_id() == 7 && links.size() == 1 &&
                 links[0].facts().slot == 16 && links[0].link->streams.size() == 1;
    bool closed = !is_open(p.poller.get()) && is_open(p.socket.get());
    bool takes =
        relics->take_socket(p.socket.get()).valid() && !relics->take_socket(p.socket.get()).valid();
    bool listens = relics->listeners().take(p.address, false).valid();
    std::vector<Descriptor> fresh = relics->take_fresh();
    relics->close_rest();
    return found && closed && takes && listens && fresh.size() == 1 &&
           fresh[0].get() == p.fresh.get() && !is_open(p.root->descriptor());
  }));
}

TEST_CASE("what nobody takes is closed, and not before that is said") {
  Process p;
  CHECK(in_child([&] {
    auto relics = Relics::take(p.root->descriptor(), kOwner, p.not_its());
    bool before = is_open(p.socket.get()) && is_open(p.listener.descriptor());
    relics->close_rest();
    return before && !is_open(p.socket.get()) && !is_open(p.listener.descriptor()) &&
           !is_open(p.fresh.get()) && is_open(p.application.get());
  }));
}

TEST_CASE("of a state that is of no use nothing is kept, and it says why") {
  Process p;
  CHECK(in_child([&] {
    auto relics = Relics::take(p.root->descriptor(), {"client", "other"}, p.not_its());
    return !relics->usable() && !relics->objection().empty() && !is_open(p.socket.get()) &&
           !is_open(p.listener.descriptor()) && !is_open(p.root->descriptor());
  }));
  CHECK(in_child([&] {
    auto relics = Relics::take(-1, kOwner, p.not_its());
    return !relics->usable() && relics->objection().empty() && !is_open(p.socket.get());
  }));
}

TEST_CASE("a connection that was being closed is not opened again", "[host]") {
  Process p;
  p.fresh_application.reset();  // its end comes
  p.link.intent().begin(Intent::Operation::close, p.link.index(), 0);
  // Another one was being closed.
  CHECK(in_child([&] {
    auto relics = Relics::take(p.root->descriptor(), kOwner, p.not_its());
    return relics->take_fresh().size() == 1;
  }));
  clear_linger(p.fresh.get());
  CHECK(in_child([&] {
    auto relics = Relics::take(p.root->descriptor(), kOwner, p.not_its());
    return relics->take_fresh().empty() && !is_open(p.fresh.get());
  }));
  p.link.intent().end();
}

TEST_CASE("one of which something was read is nobody's any more") {
  Process p;
  REQUIRE(send(p.fresh_application.get(), "x", 1, 0) == 1);
  char byte = 0;
  REQUIRE(recv(p.fresh.get(), &byte, 1, MSG_WAITALL) == 1);
  CHECK(in_child([&] {
    auto relics = Relics::take(p.root->descriptor(), kOwner, p.not_its());
    return relics->take_fresh().empty();
  }));
}

}  // namespace holdfast
