// The data path of TLS: whole records out of gathered blocks, one send for many of them; large
// reads, decrypted straight into the carrier's buffer.
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "common/base/check.h"
#include "common/net/socket.h"
#include "common/net/tls_internal.h"

namespace holdfast::tls {
namespace {

// The most that one TLS 1.3 record may hold (RFC 8446, 5.1); smaller ones cost bulk a third.
constexpr std::size_t kRecordSize = 16384;
// Header, type and tag of a record (RFC 8446, 5.2).
constexpr std::size_t kRecordOverhead = 5 + 1 + 16;
// Ciphertext gathered for one send.
constexpr std::size_t kBatchSize = 8 * (kRecordSize + 256);
// What may wait when the peer makes us answer without reading: beyond it the session ends. A write
// of ours never gets there, since it starts only with less than a batch waiting.
constexpr std::size_t kMaxPending = 2 * kBatchSize;
// Ciphertext taken with one recv, once the peer has proved who it is.
constexpr std::size_t kReadAhead = 64 * 1024;
constexpr std::size_t kHandshakeReadAhead = 4096;
// What a peer may send before it has proved who it is: a hello with a key is some 300 bytes, a
// chain of certificates a few thousand.
constexpr std::size_t kMaxHandshakeBytes = 32 * 1024;
// Handshake messages (KeyUpdate, tickets) that may come with no byte of data between them, besides
// the answers to our own KeyUpdates: each costs us far more than its 27 bytes cost the peer.
constexpr std::uint64_t kMaxIdleMessages = 32;
// Handshake messages worked off in one read, so that they cannot hold the loop.
constexpr std::uint64_t kMessagesPerRead = 16;

class TlsTransport final : public Transport {
 public:
  TlsTransport(SslPtr ssl, int descriptor, const Renewal& renewal, Describe describe,
               Identify identify)
      : ssl_(std::move(ssl)),
        descriptor_(descriptor),
        renewal_(renewal),
        describe_(std::move(describe)),
        identify_(std::move(identify)) {
    set_proof(ssl_.get(), proof_);
    BIO* bio = BIO_new(method());
    HOLDFAST_CHECK(bio != nullptr);
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_msg_callback(ssl_.get(), note_message);
    SSL_set_msg_callback_arg(ssl_.get(), this);
    input_.resize(kHandshakeReadAhead);
  }

  Status handshake() override;
  Outcome read(MutableBytes buffer) override;
  Outcome write(std::span<const iovec> buffers) override;
  void shut_down() override;
  Wants wants() const override { return {write_needs_input_, pending() != 0}; }
  // A rest of a record whose beginning filled the buffer of a read waits within OpenSSL.
  bool buffered() const override {
    return SSL_pending(ssl_.get()) > 0 || (input_begin_ < input_end_ && !starved_);
  }
  std::optional<std::string> identity() const override { return identity_; }
  std::optional<std::string> shown() const override { return standing_ ? identity_ : shown_; }
  bool answered() const override { return answered_; }
  KeyUpdates key_updates() const override { return key_updates_; }
  std::string error() const override { return error_; }

 private:
  static BIO_METHOD* method();
  static int bio_write(BIO* bio, const char* data, int size);
  static int bio_read(BIO* bio, char* data, int size);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  static void note_message(int written, int version, int content, const void* data,
                           std::size_t size, SSL* ssl, void* self);

  std::size_t pending() const { return output_.size() - output_sent_; }
  bool flush();
  Identified identified();
  bool refill();
  void renew();
  bool encrypt(std::span<const iovec>& buffers, std::size_t& skip, std::size_t& taken);
  Status fail(int result);
  Status socket_failed(int error);

  SslPtr ssl_;
  int descriptor_;
  Renewal renewal_;
  Describe describe_;
  Identify identify_;
  Proof proof_;
  std::optional<std::string> shown_;
  std::optional<std::string> identity_;
  std::string error_;
  bool standing_ = false;
  bool answered_ = false;
  bool shutting_ = false;
  std::size_t handshake_bytes_ = 0;  // read so far

  // Ciphertext read and not yet decrypted: [input_begin_, input_end_) of input_.
  std::vector<std::uint8_t> input_;
  std::size_t input_begin_ = 0;
  std::size_t input_end_ = 0;
  bool starved_ = true;  // what is there is no whole record
  // This call's last recv left nothing in the kernel: another would only say so. What comes later
  // is told by the poller.
  bool drained_ = false;
  bool input_ended_ = false;
  int input_error_ = 0;
  const char* refusal_ = nullptr;    // which bound the peer broke
  std::uint64_t messages_ = 0;       // handshake messages since the handshake, in this read
  std::uint64_t idle_messages_ = 0;  // ... since the last byte of data
  std::uint64_t idle_allowed_ = kMaxIdleMessages;
  bool paused_ = false;  // this read has worked off its share

  std::vector<std::uint8_t> output_;  // ciphertext not yet sent, from output_sent_ on
  std::size_t output_sent_ = 0;
  int output_error_ = 0;
  bool writing_ = false;            // only read() takes input: it knows what is left of it
  bool write_needs_input_ = false;  // half a handshake message is there: its rest must come first
  std::uint64_t written_ = 0;       // bytes under the present key
  KeyUpdates key_updates_;
  bool gives_tickets_ = false;
  std::chrono::steady_clock::time_point ticket_given_;
  std::vector<std::uint8_t> record_;  // made when the handshake is done
};

BIO_METHOD* TlsTransport::method() {
  // One a process, never freed: OpenSSL's own are the same.
  static BIO_METHOD* const made = [] {
    BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "holdfast");
    HOLDFAST_CHECK(fresh != nullptr);
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
  std::memcpy(data, self->input_.data() + self->input_begin_, take);
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
  ssize_t size = 0;
  do {
    size = recv(descriptor_, input_.data(), input_.size(), 0);
  } while (size < 0 && errno == EINTR);
  if (size > 0) {
    input_begin_ = 0;
    input_end_ = static_cast<std::size_t>(size);
    drained_ = input_end_ < input_.size();
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
  if (shutting_) {
    shutting_ = false;
    ::shutdown(descriptor_, SHUT_WR);
  }
  return true;
}

Transport::Status TlsTransport::socket_failed(int error) {
  error_ = error_text(error);
  return Status::reset;
}

// What a call of OpenSSL that gave `result` means.
Transport::Status TlsTransport::fail(int result) {
  int reason = SSL_get_error(ssl_.get(), result);
  if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) return Status::again;
  // An alert of ours tells the peer why.
  flush();
  if (refusal_ != nullptr) {
    error_ = refusal_;
    ERR_clear_error();
    return Status::failed;
  }
  if (input_error_ != 0) return socket_failed(input_error_);
  if (reason == SSL_ERROR_ZERO_RETURN) return Status::end;
  if (standing_ && input_ended_) {
    ERR_clear_error();
    return Status::end;
  }
  error_ = input_ended_ ? "the peer closed the connection during the TLS handshake"
                        : describe_(ssl_.get(), proof_);
  ERR_clear_error();
  return Status::failed;
}

// Whom the key, the ticket or the certificate stands for. A key that was offered proves something
// only when the handshake used it.
Identified TlsTransport::identified() {
  if (SSL_session_reused(ssl_.get()) == 1 && proof_.name) return {proof_.name, ""};
  return identify_(ssl_.get());
}

Transport::Status TlsTransport::handshake() {
  ERR_clear_error();
  drained_ = false;
  int result = SSL_do_handshake(ssl_.get());
  bool first_answer = !answered_ && !output_.empty();
  answered_ = answered_ || first_answer;
  // OpenSSL takes a key or a ticket only when the hello's binder proves that the client has it.
  if (first_answer && SSL_session_reused(ssl_.get()) == 1) shown_ = identified().client;
  if (result != 1) {
    Status status = fail(result);
    if (status == Status::again) flush();
    return output_error_ != 0 ? socket_failed(output_error_) : status;
  }
  flush();
  if (output_error_ != 0) return socket_failed(output_error_);
  Identified who = identified();
  identity_ = std::move(who.client);
  error_ = std::move(who.problem);
  standing_ = true;
  gives_tickets_ = SSL_is_server(ssl_.get()) == 1 && SSL_get_num_tickets(ssl_.get()) != 0;
  ticket_given_ = std::chrono::steady_clock::now();
  SSL_clear_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS);
  record_.resize(kRecordSize);
  // What was read ahead moves to the larger buffer.
  std::vector<std::uint8_t> larger(kReadAhead);
  std::copy(input_.begin() + static_cast<std::ptrdiff_t>(input_begin_),
            input_.begin() + static_cast<std::ptrdiff_t>(input_end_), larger.begin());
  input_end_ -= input_begin_;
  input_begin_ = 0;
  input_ = std::move(larger);
  starved_ = false;
  return Status::done;
}

Transport::Outcome TlsTransport::read(MutableBytes buffer) {
  if (pending() != 0) flush();
  ERR_clear_error();
  drained_ = false;
  messages_ = 0;
  std::size_t size = 0;
  while (size < buffer.size()) {
    int want = static_cast<int>(std::min<std::size_t>(buffer.size() - size, INT32_MAX));
    int result = SSL_read(ssl_.get(), buffer.data() + size, want);
    if (result <= 0) {
      starved_ = !paused_;
      if (size != 0) break;  // the reason shows again at the next call
      Status status = fail(result);
      if (pending() != 0) flush();  // an answer to the peer's KeyUpdate
      return {status, 0};
    }
    size += static_cast<std::size_t>(result);
    starved_ = false;
    idle_messages_ = 0;
    idle_allowed_ = kMaxIdleMessages;
  }
  if (pending() != 0) flush();
  return {Status::done, size};
}

// Under one key no more than renewal_.key_after bytes and a record. The message goes before the
// next record; when OpenSSL cannot take it now, the next write asks again.
void TlsTransport::renew() {
  if (written_ >= renewal_.key_after) SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_REQUESTED);
  if (!gives_tickets_) return;
  auto now = std::chrono::steady_clock::now();
  if (now - ticket_given_ < renewal_.ticket_after) return;
  if (SSL_new_session_ticket(ssl_.get()) == 1) ticket_given_ = now;
}

// Encrypts one record of what the buffers hold from `skip` on; false when OpenSSL did not.
bool TlsTransport::encrypt(std::span<const iovec>& buffers, std::size_t& skip, std::size_t& taken) {
  const void* data = nullptr;
  std::size_t size = 0;
  std::span<const iovec> next = buffers;
  std::size_t next_skip = skip;
  if (buffers.front().iov_len - skip >= kRecordSize) {
    data = static_cast<const std::uint8_t*>(buffers.front().iov_base) + skip;
    size = kRecordSize;
    next_skip += size;
  } else {
    while (!next.empty() && size < kRecordSize) {
      std::size_t take = std::min(kRecordSize - size, next.front().iov_len - next_skip);
      std::memcpy(record_.data() + size,
                  static_cast<const std::uint8_t*>(next.front().iov_base) + next_skip, take);
      size += take;
      next_skip += take;
      if (next_skip < next.front().iov_len) break;
      next = next.subspan(1);
      next_skip = 0;
    }
    data = record_.data();
  }
  writing_ = true;
  int result = SSL_write(ssl_.get(), data, static_cast<int>(size));
  writing_ = false;
  if (result <= 0) {
    write_needs_input_ = SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ;
    return false;
  }
  write_needs_input_ = false;
  HOLDFAST_CHECK(static_cast<std::size_t>(result) == size);
  if (!next.empty() && next_skip == next.front().iov_len) {
    next = next.subspan(1);
    next_skip = 0;
  }
  buffers = next;
  skip = next_skip;
  taken += size;
  written_ += size + kRecordOverhead;
  return true;
}

Transport::Outcome TlsTransport::write(std::span<const iovec> buffers) {
  if (!flush()) {
    if (output_error_ != 0) return {socket_failed(output_error_), 0};
    return {Status::again, 0};
  }
  std::size_t taken = 0;
  std::size_t skip = 0;
  while (!buffers.empty() && buffers.front().iov_len == 0) buffers = buffers.subspan(1);
  while (!buffers.empty()) {
    while (!buffers.empty() && pending() < kBatchSize) {
      renew();
      ERR_clear_error();
      if (!encrypt(buffers, skip, taken)) {
        if (taken != 0) break;
        return {fail(-1), 0};
      }
    }
    if (!flush()) break;
  }
  if (output_error_ != 0 && taken == 0) return {socket_failed(output_error_), 0};
  return taken == 0 ? Outcome{Status::again, 0} : Outcome{Status::done, taken};
}

void TlsTransport::shut_down() {
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  shutting_ = true;
  flush();
}

}  // namespace

std::unique_ptr<Transport> make_transport(SslPtr ssl, int descriptor, const Renewal& renewal,
                                          Describe describe, Identify identify) {
  return std::make_unique<TlsTransport>(std::move(ssl), descriptor, renewal, std::move(describe),
                                        std::move(identify));
}

}  // namespace holdfast::tls
