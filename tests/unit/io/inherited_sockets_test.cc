#include "common/io/inherited_sockets.h"

#include "tests/unit/folder.h"
#include "tests/unit/support.h"

namespace holdfast {

TEST_CASE("who binds the address of a socket that is there takes it, once") {
  BoundSocket before = free_listener();
  SocketAddress address = bound_address(before.descriptor());
  InheritedSockets sockets;
  sockets.add(Descriptor(dup(before.descriptor())));
  CHECK_FALSE(sockets.take(*SocketAddress::literal({"127.0.0.2", 1}), false).valid());
  CHECK_FALSE(sockets.take(address, true).valid());
  BindOptions options;
  options.inherited = &sockets;
  Descriptor waiting = dial(address);
  NetListenAddress wanted = HostPort{"127.0.0.1", address.endpoint().port};
  auto bound = bind_sockets(wanted, nullptr, options);
  REQUIRE(bound.ok());
  CHECK(bound->front().accept().valid());  // who waited in its queue
  CHECK_FALSE(sockets.take(address, false).valid());
}

TEST_CASE("a Unix socket is known by its path") {
  Folder folder;
  auto bound = bind_sockets(UnixPath{folder / "socket"}, nullptr);
  REQUIRE(bound.ok());
  InheritedSockets sockets;
  sockets.add(Descriptor(dup(bound->front().descriptor())));
  CHECK_FALSE(sockets.take(*SocketAddress::unix_path(folder / "other"), false).valid());
  SECTION("while it is there") {
    CHECK(sockets.take(*SocketAddress::unix_path(folder / "socket"), false).valid());
  }
  SECTION("once it is gone, there is none") {
    REQUIRE(unlink((folder / "socket").c_str()) == 0);
    CHECK_FALSE(sockets.take(*SocketAddress::unix_path(folder / "socket"), false).valid());
  }
}

}  // namespace holdfast
