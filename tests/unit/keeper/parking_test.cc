#include "common/keeper/parking.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/catch.h"

namespace holdfast {
namespace {

// A pipe's writing end under the number; what is written to it says which one it is.
struct Marked {
  explicit Marked(int wanted) : number(wanted) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    reading = fcntl(ends[0], F_DUPFD_CLOEXEC, 500);
    close(ends[0]);
    if (ends[1] != number) {
      REQUIRE(dup2(ends[1], number) == number);
      close(ends[1]);
    }
  }
  ~Marked() {
    close(number);
    close(reading);
  }
  bool is_back() const {
    char sent = static_cast<char>(number);
    char got = 0;
    return write(number, &sent, 1) == 1 && read(reading, &got, 1) == 1 && got == sent;
  }

  int number;
  int reading = -1;
};

bool is_open(int descriptor) {
  return fcntl(descriptor, F_GETFD) >= 0;
}

}  // namespace

TEST_CASE("what was parked comes back under its numbers, whatever lies there meanwhile") {
  std::vector<std::unique_ptr<Marked>> marked;
  std::vector<int> numbers;
  for (int number : {100, 40, 41, 60, 39, 61, 42, 300}) {
    marked.push_back(std::make_unique<Marked>(number));
    numbers.push_back(number);
  }
  auto queue = fill_queue("some text", numbers);
  REQUIRE(queue.ok());
  for (int number : numbers) close(number);
  // They arrive at the lowest numbers that are free, which are then their own in another order.
  std::vector<int> fillers;
  for (int next = 0; next < 38;) fillers.push_back(next = dup(*queue));
  for (int number : {39, 40, 41, 42}) CHECK((!is_open(number) || number == *queue));
  auto text = empty_queue(*queue);
  for (int filler : fillers) close(filler);
  REQUIRE(text.ok());
  CHECK(*text == "some text");
  for (const auto& each : marked) CHECK(each->is_back());
}

TEST_CASE("more descriptors than a message takes") {
  std::vector<int> numbers;
  for (int number = 320; number < 900; ++number) {
    REQUIRE(dup2(STDERR_FILENO, number) == number);
    numbers.push_back(number);
  }
  auto queue = fill_queue("x", numbers);
  REQUIRE(queue.ok());
  for (int number : numbers) close(number);
  REQUIRE(empty_queue(*queue).ok());
  CHECK(std::all_of(numbers.begin(), numbers.end(), is_open));
  for (int number : numbers) close(number);
}

TEST_CASE("a number that somebody else has is an error, and nothing stays open") {
  auto mine = std::make_unique<Marked>(70);
  auto other = std::make_unique<Marked>(71);
  auto queue = fill_queue("x", {70, 71});
  REQUIRE(queue.ok());
  close(70);
  CHECK_FALSE(empty_queue(*queue).ok());
  CHECK_FALSE(is_open(70));
  CHECK(other->is_back());
}

TEST_CASE("a socket without a text is none of ours") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  close(ends[1]);
  CHECK_FALSE(empty_queue(ends[0]).ok());
  CHECK_FALSE(is_open(ends[0]));
}

TEST_CASE("a parked socket is the last of those that were passed, and is not counted any more") {
  auto set = [](const char* count, const char* names, pid_t pid) {
    setenv("LISTEN_PID", std::to_string(pid).c_str(), 1);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_FDNAMES", names, 1);
  };
  set("3", "web:link:parked", getpid());
  CHECK(take_parked() == 5);
  CHECK(std::string(getenv("LISTEN_FDS")) == "2");
  CHECK(std::string(getenv("LISTEN_FDNAMES")) == "web:link");
  CHECK(take_parked() == std::nullopt);
  set("1", "parked", getpid());
  CHECK(take_parked() == 3);
  CHECK(std::string(getenv("LISTEN_FDS")) == "0");
  set("1", "parked", getpid() + 1);
  CHECK(take_parked() == std::nullopt);
  for (const char* each : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) unsetenv(each);
}

TEST_CASE("a service manager gets the socket, and is waited for") {
  char folder[] = "/tmp/holdfast-parking-XXXXXX";
  REQUIRE(mkdtemp(folder) != nullptr);
  std::string path = std::string(folder) + "/notify";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path.c_str());
  int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  REQUIRE(bind(manager, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  std::vector<std::string> said;
  std::thread listening([&] {
    for (int i = 0; i < 3; ++i) {
      char words[256];
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
      iovec data{words, sizeof words};
      msghdr message{};
      message.msg_iov = &data;
      message.msg_iovlen = 1;
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      ssize_t got = recvmsg(manager, &message, 0);
      said.emplace_back(words, got > 0 ? static_cast<std::size_t>(got) : 0);
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      if (header == nullptr) continue;
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
      close(descriptor);
    }
  });
  CHECK(has_service_manager());
  CHECK(store_parked(STDERR_FILENO).ok());
  forget_parked();
  listening.join();
  unsetenv("NOTIFY_SOCKET");
  CHECK(said == std::vector<std::string>{"FDSTORE=1\nFDPOLL=0\nFDNAME=parked", "BARRIER=1",
                                         "FDSTOREREMOVE=1\nFDNAME=parked"});
  CHECK_FALSE(store_parked(STDERR_FILENO).ok());
  close(manager);
  unlink(path.c_str());
  rmdir(folder);
}

}  // namespace holdfast
