// What lies below OpenSSL: ciphertext from and to the socket, and the bounds on what a peer may
// make us take or keep.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/check.h"
#include "common/io/socket.h"
#include "common/tls/tls_transport.h"

namespace holdfast::tls {
namespace {

// What may wait when the peer makes us answer without reading: beyond it the session ends. A write
// of ours never gets there, since it starts only with less than a batch waiting.
constexpr std::size_t kMaxPending = 2 * kBatchSize;
constexpr std::size_t kHandshakeReadAhead = 4096;
// Ciphertext taken with one recv, once the peer has proved who it is.
constexpr std::size_t kReadAhead = 64 * 1024;
// What a peer may send before it has proved who it is: a hello with a key is some 300 bytes (1,500
// with ML-KEM's share), a chain of certificates a few thousand.
constexpr std::size_t kMaxHandshakeBytes = 32 * 1024;
// Handshake messages worked off in one read, so that they cannot hold the loop.
constexpr std::uint64_t kMessagesPerRead = 16;

// An idle session has no buffers of its own: a server has thousands.
std::uint8_t* shared_input() {
  static thread_local const auto buffer = std::make_unique<std::uint8_t[]>(kReadAhead);
  return buffer.get();
}
std::vector<std::uint8_t>& spare_output() {
  static thread_local std::vector<std::uint8_t> spare;
  return spare;
}

}  // namespace

const std::uint8_t* TlsTransport::input() const {
  return input_shared_ ? shared_input() : input_.data();
}

// At the end of a call: the next one may be another session's.
void TlsTransport::keep_input() {
  if (!standing_) return;
  if (input_begin_ == input_end_) {
    input_begin_ = input_end_ = 0;
    if (input_.capacity() != 0) std::vector<std::uint8_t>().swap(input_);
  } else if (input_shared_) {
    input_.assign(shared_input() + input_begin_, shared_input() + input_end_);
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  input_shared_ = false;
}

bool TlsTransport::begin() {
  set_proof(ssl_.get(), proof_);
  BIO* bio = method() != nullptr ? BIO_new(method()) : nullptr;
  if (bio == nullptr) return false;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_msg_callback(ssl_.get(), note_message);
  SSL_set_msg_callback_arg(ssl_.get(), this);
  input_.resize(kHandshakeReadAhead);
  return true;
}

BIO_METHOD* TlsTransport::method() {
  // One a process, never freed: OpenSSL's own are the same.
  static BIO_METHOD* const made = [] {
    BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "holdfast");
    if (fresh == nullptr) return fresh;
    BIO_meth_set_write(fresh, bio_write);
    BIO_meth_set_read(fresh, bio_read);
    BIO_meth_set_ctrl(fresh, bio_control);
    return fresh;
  }();
  return made;
}

int TlsTransport::bio_write(BIO* bio, const char* data, int size) {
  auto* self = static_cast<TlsTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self->pending() > kMaxPending) {
    self->refusal_ = "the peer asks for answers and does not read them";
    return -1;
  }
  auto* bytes = reinterpret_cast<const std::uint8_t*>(data);
  if (self->output_.capacity() == 0) self->output_.swap(spare_output());
  self->output_.insert(self->output_.end(), bytes, bytes + size);
  return size;
}

int TlsTransport::bio_read(BIO* bio, char* data, int size) {
  auto* self = static_cast<TlsTransport*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self->writing_) {
    BIO_set_retry_read(bio);
    return -1;
  }
  if (self->idle_messages_ > self->idle_allowed_) {
    self->refusal_ = "more TLS handshake messages (KeyUpdate) than a carrier needs";
    return 0;
  }
  self->paused_ = self->messages_ > kMessagesPerRead;
  if (self->paused_ || (self->input_begin_ == self->input_end_ && !self->refill())) {
    if (self->input_ended_ || self->input_error_ != 0 || self->refusal_ != nullptr) return 0;
    BIO_set_retry_read(bio);
    return -1;
  }
  std::size_t take =
      std::min(static_cast<std::size_t>(size), self->input_end_ - self->input_begin_);
  std::memcpy(data, self->input() + self->input_begin_, take);
  self->input_begin_ += take;
  return static_cast<int>(take);
}

long TlsTransport::bio_control(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

// OpenSSL's news of every message. Before the handshake is done they are bounded in bytes.
void TlsTransport::note_message(int written, int, int content, const void* data, std::size_t size,
                                SSL*, void* argument) {
  auto* self = static_cast<TlsTransport*>(argument);
  if (!self->standing_ || content != SSL3_RT_HANDSHAKE || size == 0) return;
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  bool key_update = bytes[0] == SSL3_MT_KEY_UPDATE;
  if (written == 0) {
    self->messages_ += 1;
    self->idle_messages_ += 1;
    if (key_update) self->key_updates_.received += 1;
  } else if (key_update) {
    self->key_updates_.sent += 1;
    self->written_ = 0;
    // One that asks is answered with one.
    if (bytes[size - 1] == SSL_KEY_UPDATE_REQUESTED) self->idle_allowed_ += 1;
  }
}

// Reads once from the socket; false when there is nothing, with why in input_ended_, input_error_
// or refusal_.
bool TlsTransport::refill() {
  if (input_ended_ || input_error_ != 0 || drained_) return false;
  if (!standing_ && handshake_bytes_ > kMaxHandshakeBytes) {
    refusal_ = "more bytes than a TLS handshake takes";
    return false;
  }
  std::uint8_t* into = standing_ ? shared_input() : input_.data();
  std::size_t room = standing_ ? kReadAhead : input_.size();
  ssize_t size = 0;
  do {
    size = recv(descriptor_, into, room, 0);
  } while (size < 0 && errno == EINTR);
  if (size > 0) {
    input_begin_ = 0;
    input_end_ = static_cast<std::size_t>(size);
    input_shared_ = standing_;
    drained_ = input_end_ < room;
    if (handshake_bytes_ == 0 && !standing_) {
      first_size_ = std::min(first_.size(), input_end_);
      std::memcpy(first_.data(), into, first_size_);
    }
    if (!standing_) handshake_bytes_ += input_end_;
    return true;
  }
  if (size == 0) {
    input_ended_ = true;
  } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
    input_error_ = errno;
  }
  return false;
}

// Sends what waits; true when nothing is left.
bool TlsTransport::flush() {
  while (pending() != 0 && output_error_ == 0) {
    iovec rest{output_.data() + output_sent_, pending()};
    ssize_t size = send_vector(descriptor_, {&rest, 1});
    if (size < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) output_error_ = errno;
      return false;
    }
    output_sent_ += static_cast<std::size_t>(size);
  }
  if (pending() != 0) return false;
  output_.clear();
  output_sent_ = 0;
  if (spare_output().capacity() < output_.capacity()) output_.swap(spare_output());
  if (output_.capacity() != 0) std::vector<std::uint8_t>().swap(output_);
  if (shutting_) {
    shutting_ = false;
    ::shutdown(descriptor_, SHUT_WR);
  }
  return true;
}

}  // namespace holdfast::tls
