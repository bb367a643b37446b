#include "common/keeper/parking.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "common/base/descriptors.h"
#include "common/keeper/handover.h"
#include "common/keeper/leftovers.h"
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

// Descriptors of these numbers, up to the one before `end`.
std::vector<int> opened(int begin, int end) {
  std::vector<int> numbers;
  for (int number = begin; number < end; ++number) {
    REQUIRE(dup2(STDERR_FILENO, number) == number);
    numbers.push_back(number);
  }
  return numbers;
}

// A queue with these, as the next keeper gets it.
int filled(const std::string& text, const std::vector<int>& descriptors) {
  auto queue = fill_queue(text, descriptors);
  REQUIRE(queue.ok());
  close(queue->write_end);
  return queue->read_end;
}

// Has one descriptor stored, or takes what it is given and closes it; the environment names it.
class Manager {
 public:
  enum class Store { has_room, has_none };

  explicit Manager(Store store) : store_(store) {
    REQUIRE(mkdtemp(folder_) != nullptr);
    path_ = std::string(folder_) + "/notify";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path_.c_str());
    socket_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    REQUIRE(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    setenv("NOTIFY_SOCKET", path_.c_str(), 1);
  }
  ~Manager() {
    unsetenv("NOTIFY_SOCKET");
    if (thread_.joinable()) thread_.join();
    if (stored_ >= 0) close(stored_);
    close(socket_);
    unlink(path_.c_str());
    rmdir(folder_);
  }
  void listen_to(int messages) {
    thread_ = std::thread([this, messages] {
      for (int i = 0; i < messages; ++i) take_message();
    });
  }
  const std::vector<std::string>& said() {
    thread_.join();
    return said_;
  }
  int stored() const { return stored_; }

 private:
  void take_message() {
    char words[256];
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    iovec data{words, sizeof words};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got = recvmsg(socket_, &message, 0);
    said_.emplace_back(words, got > 0 ? static_cast<std::size_t>(got) : 0);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    if (header == nullptr) return;
    int descriptor = -1;
    std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
    bool keeps = store_ == Store::has_room && said_.back().compare(0, 9, "FDSTORE=1") == 0;
    if (keeps) {
      stored_ = descriptor;
    } else {
      close(descriptor);
    }
  }

  Store store_;
  char folder_[32] = "/tmp/holdfast-parking-XXXXXX";
  std::string path_;
  int socket_ = -1;
  int stored_ = -1;
  std::thread thread_;
  std::vector<std::string> said_;
};

}  // namespace

TEST_CASE("what was parked comes back under its numbers, whatever lies there meanwhile") {
  std::vector<std::unique_ptr<Marked>> marked;
  std::vector<int> numbers;
  // Also with more between them than a byte says.
  for (int number : {39, 40, 41, 42, 60, 61, 100, 355, 611, 1100}) {
    marked.push_back(std::make_unique<Marked>(number));
    numbers.push_back(number);
  }
  int queue = filled("some text", numbers);
  for (int number : numbers) close(number);
  // They arrive at the lowest numbers that are free, which are then their own in another order.
  std::vector<int> fillers;
  for (int next = 0; next < 38;) fillers.push_back(next = dup(queue));
  for (int number : {39, 40, 41, 42}) CHECK((!is_open(number) || number == queue));
  auto text = unpack_queue(queue);
  for (int filler : fillers) close(filler);
  REQUIRE(text.ok());
  CHECK(text->text == "some text");
  for (const auto& each : marked) CHECK(each->is_back());
}

TEST_CASE("more descriptors than a message takes") {
  std::vector<int> numbers = opened(320, 900);
  int queue = filled("x", numbers);
  for (int number : numbers) close(number);
  REQUIRE(unpack_queue(queue).ok());
  CHECK(std::all_of(numbers.begin(), numbers.end(), is_open));
  for (int number : numbers) close(number);
}

// Linux counts a message's memory in powers of two, and gives a queue 416 KiB of it unless
// net.core.wmem_max says otherwise (socket(7)): 80,000 descriptors as they are, 46,000 with four
// bytes for each.
TEST_CASE("a message has little more than a byte for each descriptor") {
  std::vector<int> numbers = opened(320, 900);
  int queue = filled("x", numbers);
  for (int number : numbers) close(number);
  char bytes[4096];
  std::vector<ssize_t> sizes;
  for (ssize_t size = 0; (size = recv(queue, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;) {
    sizes.push_back(size);
  }
  close(queue);
  CHECK(sizes == std::vector<ssize_t>{1, 256, 256, 77});
}

TEST_CASE(
    "what a keeper takes out stays in the queue for the next one, if it does not come to it") {
  Marked mine(70);
  std::vector<int> numbers = opened(100, 400);
  numbers.insert(numbers.begin(), 70);
  int queue = filled("words", numbers);
  for (int i = 0; i < 3; ++i) {
    for (int number : numbers) close(number);
    auto text = unpack_queue(dup(queue));
    REQUIRE(text.ok());
    CHECK(text->text == "words");
    CHECK(text->write_end > 399);
    // It hangs up once nobody has the queue.
    pollfd other{text->write_end, 0, 0};
    CHECK(poll(&other, 1, 0) == 0);
    if (i == 2) {
      close(queue);
      CHECK(poll(&other, 1, 5000) == 1);
    }
    close(text->write_end);
    CHECK(std::all_of(numbers.begin(), numbers.end(), is_open));
    CHECK(mine.is_back());
  }
  for (int number : numbers) close(number);
}

TEST_CASE("a number that somebody else has is an error, and nothing stays open") {
  auto mine = std::make_unique<Marked>(70);
  auto other = std::make_unique<Marked>(71);
  std::vector<int> open = open_descriptors();
  int queue = filled("x", {70, 71});
  close(70);
  CHECK_FALSE(unpack_queue(queue).ok());
  CHECK_FALSE(is_open(70));
  std::erase(open, 70);
  CHECK(open_descriptors() == open);
  CHECK(other->is_back());
}

TEST_CASE("a socket without a text is none of ours") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  close(ends[1]);
  CHECK_FALSE(unpack_queue(ends[0]).ok());
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
  Manager manager(Manager::Store::has_room);
  manager.listen_to(4);
  CHECK(has_service_manager());
  auto queue = fill_queue("words", {});
  REQUIRE(queue.ok());
  CHECK(store_parked(*queue).ok());
  CHECK_FALSE(is_open(queue->write_end));
  Page page;
  let_go_of_parked(page, -1);  // it has nothing, as far as that knows
  page.stored = 1;
  let_go_of_parked(page, -1);
  CHECK(page.stored == 0);
  const std::string forget = "FDSTOREREMOVE=1\nFDNAME=parked";
  CHECK(manager.said() == std::vector<std::string>{forget, "FDSTORE=1\nFDPOLL=0\nFDNAME=parked",
                                                   "BARRIER=1", forget});
  auto text = unpack_queue(dup(manager.stored()));
  CHECK((text.ok() && text->text == "words"));
}

TEST_CASE("a service manager that keeps no descriptors is found out, and nothing is lost") {
  Manager manager(Manager::Store::has_none);
  manager.listen_to(3);
  Marked mine(70);
  auto queue = fill_queue("words", {70});
  REQUIRE(queue.ok());
  Status stored = store_parked(*queue);
  REQUIRE_FALSE(stored.ok());
  CHECK(errno == ENOTSUP);
  CHECK(stored.error().message.find("FileDescriptorStoreMax") != std::string::npos);
  CHECK(mine.is_back());
}

TEST_CASE("where nobody listens nothing is stored") {
  auto queue = fill_queue("words", {});
  REQUIRE(queue.ok());
  CHECK_FALSE(store_parked(*queue).ok());
  CHECK_FALSE(is_open(queue->read_end));
}

TEST_CASE("what is parked tells the next keeper why, and with which config to go on") {
  Manager manager(Manager::Store::has_room);
  manager.listen_to(3);
  Page page;
  note_started_with(page);
  page.state = encoded({9, 1});
  page.deaths_in_row = 2;
  StartReason reason = GENERATE(StartReason::parked, StartReason::orphaned);
  REQUIRE(park(page, reason).ok());
  manager.said();
  auto text = unpack_queue(dup(manager.stored()));
  REQUIRE(text.ok());
  Page next;
  REQUIRE(take_parked_text(text->text, next));
  CHECK(next.reason == reason);
  CHECK(next.config_from_file == (reason == StartReason::parked ? 1U : 0U));
  CHECK(next.state == page.state);
  CHECK(next.deaths_in_row == 0);
}

TEST_CASE("a process is a service where the service manager has started it itself") {
  pid_t keeper = getpid();
  CHECK_FALSE(is_service(keeper));
  setenv("NOTIFY_SOCKET", "/run/nobody", 1);
  CHECK(is_service(keeper));
  setenv("SYSTEMD_EXEC_PID", std::to_string(keeper).c_str(), 1);
  CHECK(is_service(keeper));
  CHECK_FALSE(is_service(keeper + 1));
  for (const char* each : {"NOTIFY_SOCKET", "SYSTEMD_EXEC_PID"}) unsetenv(each);
}

}  // namespace holdfast
