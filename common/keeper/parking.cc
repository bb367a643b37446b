#include "common/keeper/parking.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <system_error>
#include <utility>

#include "common/keeper/handover.h"
#include "common/keeper/leftovers.h"
#include "common/keeper/process.h"

namespace holdfast {
namespace {

constexpr std::size_t kMostInMessage = 253;  // SCM_MAX_FD, of the kernel
constexpr std::size_t kMostText = 4096;
constexpr int kQueueSize = 8 * 1024 * 1024;  // the kernel allows less
constexpr int kFirstPassed = 3;              // SD_LISTEN_FDS_START
constexpr int kManagerPatience_ms = 5000;
constexpr int kLetGoPatience_ms = 1000;  // an agent that is killed meanwhile costs more than this
// Other threads of an agent may close what was just listed.
constexpr int kMostLists = 100;

Error refused(const char* what) {
  return Error{std::string(what) + ": " + std::generic_category().message(errno)};
}

// One message with descriptors; false with errno.
bool send_with(int socket, const sockaddr_un* to, socklen_t to_size, const void* bytes,
               std::size_t size, const int* descriptors, std::size_t count) {
  iovec data{const_cast<void*>(bytes), size};
  alignas(cmsghdr) char control[CMSG_SPACE(kMostInMessage * sizeof(int))] = {};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_un*>(to);
  message.msg_namelen = to_size;
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (count != 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == static_cast<ssize_t>(size);
}

// To $NOTIFY_SOCKET, as sd_notify(3) does it; a keeper has no library.
bool notify(const std::string& words, const int* descriptors, std::size_t count) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return false;
  std::size_t length = std::strlen(path);
  if (length >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path, length);
  if (path[0] == '@') address.sun_path[0] = '\0';
  int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  bool sent = send_with(socket, &address, size, words.data(), words.size(), descriptors, count);
  close(socket);
  return sent;
}

// Gives it the descriptor, in place of what it may still have, and waits until it has looked at
// that.
Status hand_to_manager(int descriptor) {
  if (!forget_parked() ||
      !notify(std::string("FDSTORE=1\nFDPOLL=0\nFDNAME=") + kParkedName, &descriptor, 1)) {
    return refused("the service manager");
  }
  // It closes the pipe when it has come to this message, so to the one before, too.
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return refused("a pipe");
  bool told = notify("BARRIER=1", &pipe_ends[1], 1);
  close(pipe_ends[1]);
  pollfd closed{pipe_ends[0], 0, 0};
  bool heard = told && poll(&closed, 1, kManagerPatience_ms) == 1;
  close(pipe_ends[0]);
  if (heard) return Ok{};
  errno = ETIMEDOUT;
  return Error{"the service manager does not answer"};
}

// Ascending numbers as a message takes them: the first one whole, then in a byte how far the next
// one is. So it is small, and the queue, whose memory the kernel bounds (net.core.wmem_max), has
// room for more descriptors than a process may have.
struct Packed {
  std::vector<char> bytes;
  std::size_t count = 0;
};

Packed pack_numbers(const int* numbers, std::size_t most) {
  Packed packed;
  packed.bytes.resize(sizeof(int));
  std::memcpy(packed.bytes.data(), numbers, sizeof(int));
  for (packed.count = 1; packed.count < std::min(most, kMostInMessage); ++packed.count) {
    int distance = numbers[packed.count] - numbers[packed.count - 1];
    if (distance > UCHAR_MAX) break;
    packed.bytes.push_back(static_cast<char>(distance));
  }
  return packed;
}

// Empty: they are none.
std::vector<int> unpack_numbers(const std::vector<char>& bytes) {
  int number = 0;
  if (bytes.size() < sizeof number) return {};
  std::memcpy(&number, bytes.data(), sizeof number);
  std::vector<int> numbers{number};
  for (std::size_t i = sizeof number; i < bytes.size(); ++i) {
    numbers.push_back(number += static_cast<unsigned char>(bytes[i]));
  }
  return numbers;
}

struct Message {
  std::vector<char> bytes;
  std::vector<int> descriptors;
  bool whole = false;
};

// The next one behind SO_PEEK_OFF, which stays in the queue. Nothing: there is none.
std::optional<Message> look_at_next(int queue) {
  Message found;
  found.bytes.resize(kMostText);
  alignas(cmsghdr) char control[CMSG_SPACE(kMostInMessage * sizeof(int))];
  iovec data{found.bytes.data(), found.bytes.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got = recvmsg(queue, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (got <= 0) return std::nullopt;
  found.bytes.resize(static_cast<std::size_t>(got));
  found.whole = (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr;
       each = CMSG_NXTHDR(&message, each)) {
    if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
    std::size_t count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    found.descriptors.resize(count);
    std::memcpy(found.descriptors.data(), CMSG_DATA(each), count * sizeof(int));
  }
  return found;
}

// Descriptors on their way to the numbers that they had.
class Numbers {
 public:
  ~Numbers() {
    for (const auto& [number, wanted] : at_) close(number);
  }

  void add(int number, int wanted) { at_[number] = wanted; }

  // False: somebody else has one of the numbers.
  bool settle() {
    std::vector<int> numbers;
    for (const auto& [number, wanted] : at_) numbers.push_back(number);
    for (int number : numbers) {
      // What lies in the way steps aside, and has its turn then.
      for (int current = number; current >= 0;) current = move(current);
    }
    return std::all_of(at_.begin(), at_.end(),
                       [](const auto& each) { return each.first == each.second; });
  }
  // They stay open.
  void release() { at_.clear(); }

 private:
  // Puts one where it belongs. The number of the one that was there, now elsewhere; -1: none.
  int move(int number) {
    auto found = at_.find(number);
    if (found == at_.end() || found->second == number) return -1;
    int wanted = found->second;
    int aside = -1;
    if (auto other = at_.find(wanted); other != at_.end()) {
      aside = fcntl(wanted, F_DUPFD_CLOEXEC, kFirstPassed);
      if (aside < 0) return -1;
      at_[aside] = other->second;
    } else if (fcntl(wanted, F_GETFD) >= 0) {
      return -1;
    }
    if (dup3(number, wanted, O_CLOEXEC) < 0) return aside;
    close(number);
    at_.erase(number);
    at_[wanted] = wanted;
    return aside;
  }

  std::map<int, int> at_;  // by the number they have: the one that they are to have
};

}  // namespace

bool has_service_manager() {
  return std::getenv("NOTIFY_SOCKET") != nullptr;
}

bool is_service(pid_t keeper) {
  const char* started = std::getenv("SYSTEMD_EXEC_PID");  // systemd 248
  return has_service_manager() && (started == nullptr || std::atoi(started) == keeper);
}

Result<ParkedQueue> fill_queue(const std::string& text, const std::vector<int>& descriptors) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return refused("a socket");
  for (int end : ends) setsockopt(end, SOL_SOCKET, SO_SNDBUF, &kQueueSize, sizeof kQueueSize);
  bool sent = send_with(ends[1], nullptr, 0, text.data(), text.size(), &ends[1], 1);
  for (std::size_t at = 0; sent && at < descriptors.size();) {
    const int* first = descriptors.data() + at;
    Packed packed = pack_numbers(first, descriptors.size() - at);
    sent = send_with(ends[1], nullptr, 0, packed.bytes.data(), packed.bytes.size(), first,
                     packed.count);
    at += packed.count;
  }
  if (sent) return ParkedQueue{ends[0], ends[1]};
  int error = errno;
  for (int end : ends) close(end);
  errno = error;
  return refused("the queue of descriptors");
}

Status store_parked(ParkedQueue queue) {
  Status stored = hand_to_manager(queue.read_end);
  close(queue.read_end);
  pollfd other{queue.write_end, 0, 0};
  bool kept = !stored || poll(&other, 1, 0) == 0;
  close(queue.write_end);
  if (kept) return stored;
  errno = ENOTSUP;
  return Error{"the service manager keeps no descriptors (FileDescriptorStoreMax=)"};
}

Status park(Page& page, StartReason reason) {
  page.reason = reason;
  page.config_from_file = reason == StartReason::parked ? 1 : 0;
  page.deaths_in_row = 0;
  page.discard = 0;
  std::string text = handover_text(page, oom_score());
  Result<ParkedQueue> queue = fill_queue(text, agents_descriptors(page));
  for (int list = 1; !queue && errno == EBADF && list < kMostLists; ++list) {
    queue = fill_queue(text, agents_descriptors(page));
  }
  return queue ? store_parked(*queue) : Status(queue.error());
}

bool forget_parked() {
  return notify(std::string("FDSTOREREMOVE=1\nFDNAME=") + kParkedName, nullptr, 0);
}

void let_go_of_parked(Page& page, int write_end) {
  if (page.stored == 0) return;
  for (int i = 0; i < kLetGoPatience_ms && !forget_parked(); ++i) poll(nullptr, 0, 1);
  pollfd gone{write_end, 0, 0};
  if (write_end >= 0) poll(&gone, 1, kLetGoPatience_ms);
  page.stored = 0;
  if (write_end >= 0) close(write_end);
}

std::optional<int> take_parked() {
  const char* pid = std::getenv("LISTEN_PID");
  const char* count = std::getenv("LISTEN_FDS");
  const char* names = std::getenv("LISTEN_FDNAMES");
  if (pid == nullptr || count == nullptr || names == nullptr || std::atoi(pid) != getpid()) {
    return std::nullopt;
  }
  // What was stored comes after what was passed: it is the last one, or there is none.
  std::string all = names;
  std::size_t colon = all.rfind(':');
  std::string last = colon == std::string::npos ? all : all.substr(colon + 1);
  int passed = std::atoi(count) - 1;
  if (last != kParkedName || passed < 0) return std::nullopt;
  setenv("LISTEN_FDS", std::to_string(passed).c_str(), 1);
  setenv("LISTEN_FDNAMES", colon == std::string::npos ? "" : all.substr(0, colon).c_str(), 1);
  return kFirstPassed + passed;
}

Result<Unpacked> unpack_queue(int queue) {
  Numbers numbers;
  std::optional<std::string> text;
  int write_end = -1;
  int highest = -1;
  bool whole = true;
  int begin = 0;
  setsockopt(queue, SOL_SOCKET, SO_PEEK_OFF, &begin, sizeof begin);
  while (std::optional<Message> message = look_at_next(queue)) {
    whole = whole && message->whole;
    if (!text) {
      text = std::string(message->bytes.begin(), message->bytes.end());
      if (message->descriptors.size() == 1) write_end = message->descriptors[0];
      continue;
    }
    std::vector<int> wanted = unpack_numbers(message->bytes);
    whole = whole && wanted.size() == message->descriptors.size();
    wanted.resize(message->descriptors.size(), -1);
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      numbers.add(message->descriptors[i], wanted[i]);
      highest = std::max(highest, wanted[i]);
    }
  }
  close(queue);
  if (write_end >= 0) {  // out of the others' way
    int aside = fcntl(write_end, F_DUPFD_CLOEXEC, highest + 1);
    close(std::exchange(write_end, aside));
  }
  auto failed = [write_end](const char* reason) {
    if (write_end >= 0) close(write_end);
    return Error{reason};
  };
  if (!text || !whole) return failed("what was parked is not whole");
  if (!numbers.settle()) return failed("what was parked has no room among what was passed");
  numbers.release();
  return Unpacked{*text, write_end};
}

}  // namespace holdfast
