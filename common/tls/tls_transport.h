// TlsTransport: one TLS session over one socket. tls_transport.cc is the data path, ciphertext.cc
// what lies below OpenSSL: ciphertext from and to the socket, within bounds.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/tls/internal.h"

namespace holdfast::tls {

// The most that one TLS 1.3 record may hold (RFC 8446, 5.1); smaller ones cost bulk a third.
inline constexpr std::size_t kRecordSize = 16384;
// Ciphertext gathered for one send.
inline constexpr std::size_t kBatchSize = 8 * (kRecordSize + 256);
// Handshake messages (KeyUpdate, tickets) that may come with no byte of data between them, besides
// the answers to our own KeyUpdates: each costs us far more than its 27 bytes cost the peer.
inline constexpr std::uint64_t kMaxIdleMessages = 32;

class TlsTransport final : public Transport {
 public:
  // One of ssl and context is there.
  TlsTransport(SslPtr ssl, ContextPtr context, int descriptor, const Renewal& renewal,
               Describe describe, Identify identify)
      : ssl_(std::move(ssl)),
        context_(std::move(context)),
        descriptor_(descriptor),
        renewal_(renewal),
        describe_(std::move(describe)),
        identify_(std::move(identify)) {
    if (begun() && !begin()) ssl_.reset();
  }

  Status handshake() override;
  Outcome read(MutableBytes buffer) override;
  Outcome write(std::span<const iovec> buffers) override;
  void shut_down() override;
  Wants wants() const override { return {write_needs_input_, pending() != 0}; }
  // A rest of a record whose beginning filled the buffer of a read waits within OpenSSL.
  std::size_t unsent() const override { return pending(); }
  bool buffered() const override {
    return (begun() && SSL_pending(ssl_.get()) > 0) || (input_begin_ < input_end_ && !starved_);
  }
  std::optional<std::string> identity() const override { return identity_; }
  bool claimed_nothing() const override;
  std::optional<std::string> shown() const override { return standing_ ? identity_ : shown_; }
  bool answered() const override { return answered_; }
  KeyUpdates key_updates() const override { return key_updates_; }
  void keep_memory(bool keep) override;
  std::string error() const override { return error_; }

 private:
  static BIO_METHOD* method();
  static int bio_write(BIO* bio, const char* data, int size);
  static int bio_read(BIO* bio, char* data, int size);
  static long bio_control(BIO* bio, int command, long number, void* pointer);
  static void note_message(int written, int version, int content, const void* data,
                           std::size_t size, SSL* ssl, void* self);

  bool begun() const { return ssl_ != nullptr; }
  bool begin();  // false: there is no memory for it
  std::size_t pending() const { return output_.size() - output_sent_; }
  bool flush();
  Identified identified();
  Outcome decrypt(MutableBytes buffer);
  bool refill();
  const std::uint8_t* input() const;
  void keep_input();
  void renew();
  bool encrypt(std::span<const iovec>& buffers, std::size_t& skip, std::size_t& taken);
  Status fail(int result);
  Status socket_failed(int error);

  SslPtr ssl_;
  ContextPtr context_;  // a server's, until the session is made
  int descriptor_;
  Renewal renewal_;
  Describe describe_;
  Identify identify_;
  Proof proof_;
  std::array<std::uint8_t, 8> first_{};  // bytes that came, of them
  std::size_t first_size_ = 0;
  std::optional<std::string> shown_;
  std::optional<std::string> identity_;
  std::string error_;
  bool standing_ = false;
  bool answered_ = false;
  bool shutting_ = false;
  std::size_t handshake_bytes_ = 0;  // read so far

  // Ciphertext read and not yet decrypted: [input_begin_, input_end_) of input(). Once the peer has
  // proved who it is it is read into a buffer of the thread's; what a call leaves moves to input_.
  std::vector<std::uint8_t> input_;
  bool input_shared_ = false;
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

  // Ciphertext not yet sent, from output_sent_ on. Its memory is the thread's, lent while there is
  // any.
  std::vector<std::uint8_t> output_;
  std::size_t output_sent_ = 0;
  int output_error_ = 0;
  bool writing_ = false;            // only read() takes input: it knows what is left of it
  bool write_needs_input_ = false;  // half a handshake message is there: its rest must come first
  std::uint64_t written_ = 0;       // bytes under the present key
  KeyUpdates key_updates_;
  bool gives_tickets_ = false;
  std::chrono::steady_clock::time_point ticket_given_;
};

}  // namespace holdfast::tls
