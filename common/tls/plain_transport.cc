// The transport that adds nothing: for tests and trusted wires.
#include <sys/socket.h>

#include <cerrno>

#include "common/io/socket.h"
#include "common/tls/transport.h"

namespace holdfast {
namespace {

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(int descriptor) : descriptor_(descriptor) {}

  Status handshake() override { return Status::done; }

  Outcome read(MutableBytes buffer) override {
    ssize_t size = 0;
    do {
      size = recv(descriptor_, buffer.data(), buffer.size(), 0);
    } while (size < 0 && errno == EINTR);
    if (size == 0) return {Status::end, 0};
    return outcome(size);
  }

  Outcome write(std::span<const iovec> buffers) override {
    return outcome(send_vector(descriptor_, buffers));
  }

  void shut_down() override { ::shutdown(descriptor_, SHUT_WR); }
  Wants wants() const override { return {}; }
  bool buffered() const override { return false; }
  std::optional<std::string> identity() const override { return std::nullopt; }
  std::string error() const override { return error_text(error_); }

 private:
  Outcome outcome(ssize_t size) {
    if (size >= 0) return {Status::done, static_cast<std::size_t>(size)};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {Status::again, 0};
    error_ = errno;
    return {Status::reset, 0};
  }

  int descriptor_;
  int error_ = 0;
};

}  // namespace

std::unique_ptr<Transport> make_plain_transport(int descriptor) {
  return std::make_unique<PlainTransport>(descriptor);
}

}  // namespace holdfast
