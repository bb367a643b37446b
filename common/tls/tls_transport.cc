// The data path of TLS: whole records out of gathered blocks, one send for many of them; large
// reads, decrypted straight into the carrier's buffer.
#include "common/tls/tls_transport.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/check.h"
#include "common/io/health_check.h"
#include "common/io/socket.h"

namespace holdfast::tls {
namespace {

// Header, type and tag of a record (RFC 8446, 5.2).
constexpr std::size_t kRecordOverhead = 5 + 1 + 16;
// Where what is to be one record lies together: nobody's beyond one call.
std::uint8_t* record_buffer() {
  static thread_local const auto buffer = std::make_unique<std::uint8_t[]>(kRecordSize);
  return buffer.get();
}

// SSL_get_error(3): nothing of before may be in the queue. To look costs far less than to clear.
void forget_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

}  // namespace

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
  bool closed = reason == SSL_ERROR_ZERO_RETURN || input_ended_;
  error_ = closed ? "the peer closed the connection during the TLS handshake"
                  : describe_(ssl_.get(), proof_);
  ERR_clear_error();
  return closed ? Status::end : Status::failed;
}

// Whom the key, the ticket or the certificate stands for. A key that was offered proves something
// only when the handshake used it.
Identified TlsTransport::identified() {
  if (SSL_session_reused(ssl_.get()) == 1 && proof_.name) return {proof_.name, ""};
  return identify_(ssl_.get());
}

Transport::Status TlsTransport::handshake() {
  if (!begun() && context_ != nullptr) {
    ssl_ = new_session(context_.get(), SSL_set_accept_state);
    context_.reset();
    if (begun() && !begin()) ssl_.reset();
  }
  if (!begun()) {
    error_ = "OpenSSL has no memory for a session";
    ERR_clear_error();
    return Status::failed;
  }
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
  starved_ = false;
  return Status::done;
}

Transport::Outcome TlsTransport::read(MutableBytes buffer) {
  if (pending() != 0) flush();
  forget_errors();
  drained_ = false;
  messages_ = 0;
  Outcome outcome = decrypt(buffer);
  keep_input();
  if (pending() != 0) flush();  // an answer to the peer's KeyUpdate
  return outcome;
}

Transport::Outcome TlsTransport::decrypt(MutableBytes buffer) {
  std::size_t size = 0;
  while (size < buffer.size()) {
    int want = static_cast<int>(std::min<std::size_t>(buffer.size() - size, INT32_MAX));
    int result = SSL_read(ssl_.get(), buffer.data() + size, want);
    if (result <= 0) {
      starved_ = !paused_;
      if (size != 0) break;  // the reason shows again at the next call
      return {fail(result), 0};
    }
    size += static_cast<std::size_t>(result);
    starved_ = false;
    idle_messages_ = 0;
    idle_allowed_ = kMaxIdleMessages;
  }
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
      std::memcpy(record_buffer() + size,
                  static_cast<const std::uint8_t*>(next.front().iov_base) + next_skip, take);
      size += take;
      next_skip += take;
      if (next_skip < next.front().iov_len) break;
      next = next.subspan(1);
      next_skip = 0;
    }
    data = record_buffer();
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
      forget_errors();
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

bool TlsTransport::claimed_nothing() const {
  Bytes first(first_.data(), first_size_);
  if (standing_ || proof_.claimed || first.empty()) return false;
  return is_check_without_header(first);
}

// SSL_CTX_set_mode(3), SSL_free_buffers(3): what holds bytes now goes once it is empty.
void TlsTransport::keep_memory(bool keep) {
  if (!begun()) return;
  if (keep) {
    SSL_clear_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS);
    SSL_set_mode(ssl_.get(), 0);  // from 3.2 on, only this tells those who hold the buffers
    return;
  }
  SSL_set_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS);
  SSL_free_buffers(ssl_.get());
}

void TlsTransport::shut_down() {
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
  shutting_ = true;
  flush();
}

std::unique_ptr<Transport> make_transport(SslPtr ssl, int descriptor, const Renewal& renewal,
                                          Describe describe, Identify identify) {
  return std::make_unique<TlsTransport>(std::move(ssl), nullptr, descriptor, renewal,
                                        std::move(describe), std::move(identify));
}

std::unique_ptr<Transport> make_transport(ContextPtr context, int descriptor,
                                          const Renewal& renewal, Describe describe,
                                          Identify identify) {
  return std::make_unique<TlsTransport>(nullptr, std::move(context), descriptor, renewal,
                                        std::move(describe), std::move(identify));
}

}  // namespace holdfast::tls
