// Certificates: who gets in as whom, and what either side is told when nobody does.
#include "tests/unit/tls/certificates.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

#include "common/tls/tls.h"
#include "tests/catch.h"
#include "tests/unit/socket_pair.h"

using namespace holdfast;
using holdfast::test::Authority;
using holdfast::test::CertificateWish;
using holdfast::test::Issued;
using holdfast::test::Sockets;
using Status_ = Transport::Status;

namespace {

TlsFiles files_of(const Authority& trusted, const Issued& own) {
  return {{"ca.pem", trusted.certificate()}, {"cert.pem", own.certificate}, {"key.pem", own.key}};
}

std::unique_ptr<TlsContext> server_with(const TlsFiles& files, std::vector<TlsKey> keys = {}) {
  TlsServerOptions options;
  options.files = files;
  options.keys = std::move(keys);
  options.client_of = [](const std::vector<std::string>& names) -> std::optional<std::string> {
    for (const std::string& name : names) {
      if (name == "edge-1") return name;
    }
    return std::nullopt;
  };
  auto made = make_tls_server(options);
  REQUIRE(made.ok());
  return std::move(made).value();
}

std::unique_ptr<TlsContext> client_with(const TlsFiles& files, const std::string& server_name) {
  TlsClientOptions options;
  options.files = files;
  options.server_name = server_name;
  auto made = make_tls_client(options);
  REQUIRE(made.ok());
  return std::move(made).value();
}

// Both sides after everything that can be said has been said.
struct Meeting {
  Sockets sockets;
  std::unique_ptr<Transport> client;
  std::unique_ptr<Transport> server;
  Status_ client_status = Status_::again;
  Status_ server_status = Status_::again;

  Meeting(TlsContext& client_context, TlsContext& server_context) {
    client = client_context.make(sockets.ends[0]);
    server = server_context.make(sockets.ends[1]);
    for (int turn = 0; turn < 10; ++turn) {
      if (client_status == Status_::again) client_status = client->handshake();
      if (server_status == Status_::again) server_status = server->handshake();
    }
    // In TLS 1.3 a client is done before the server has looked at its certificate.
    std::uint8_t byte[1];
    if (client_status == Status_::done) {
      Transport::Outcome outcome = client->read(byte);
      if (outcome.status != Status_::again) client_status = outcome.status;
    }
  }
  bool client_says(const char* text) const { return says(client->error(), text); }
  bool server_says(const char* text) const { return says(server->error(), text); }
  static bool says(const std::string& error, const char* text) {
    INFO("it says: " << error);
    bool found = error.find(text) != std::string::npos;
    CHECK(found);
    return found;
  }
};

struct Fixture {
  Authority ca;
  Authority stranger_ca;
  TlsFiles server_files = files_of(ca, ca.issue({"server", "DNS:tunnel.example.org,IP:192.0.2.7"}));
  TlsFiles client_files(const CertificateWish& wish) const { return files_of(ca, ca.issue(wish)); }
};

const CertificateWish kEdge{"edge-1", "DNS:edge-1"};

}  // namespace

TEST_CASE_METHOD(Fixture, "a certificate proves the client that its SAN names") {
  auto server = server_with(server_files);
  for (const char* wish : {"DNS:edge-1", "DNS:other,DNS:edge-1"}) {
    auto client = client_with(client_files({"whatever", wish}), "tunnel.example.org");
    Meeting meeting(*client, *server);
    REQUIRE(meeting.server_status == Status_::done);
    CHECK(meeting.client_status == Status_::done);
    CHECK(meeting.server->identity() == std::optional<std::string>("edge-1"));
  }
}

TEST_CASE_METHOD(Fixture, "a server is verified by name or by address") {
  auto server = server_with(server_files);
  auto by_address = client_with(client_files(kEdge), "192.0.2.7");
  CHECK(Meeting(*by_address, *server).server_status == Status_::done);
  for (const char* other : {"elsewhere.example.org", "192.0.2.8"}) {
    auto client = client_with(client_files(kEdge), other);
    Meeting meeting(*client, *server);
    CHECK(meeting.client_status == Status_::failed);
    CHECK(meeting.client_says("tunnel.example.org is for another name than server_name"));
    CHECK(meeting.server_status == Status_::failed);
    CHECK(meeting.server_says("the client refused our certificate"));
  }
}

TEST_CASE_METHOD(Fixture, "a certificate that is no client of ours proves nobody, and says whom") {
  auto server = server_with(server_files);
  auto other = client_with(client_files({"edge-9", "DNS:edge-9"}), "tunnel.example.org");
  Meeting meeting(*other, *server);
  CHECK(meeting.server_status == Status_::done);
  CHECK_FALSE(meeting.server->identity());
  CHECK(meeting.server_says("its certificate is for edge-9, which is no client of ours"));
  // The common name alone names nobody.
  auto nameless = client_with(client_files({"edge-1", ""}), "tunnel.example.org");
  Meeting second(*nameless, *server);
  CHECK_FALSE(second.server->identity());
  CHECK(second.server_says("no DNS name"));
}

TEST_CASE_METHOD(Fixture,
                 "a client's certificate that has expired is refused, and both sides know") {
  auto server = server_with(server_files);
  auto client =
      client_with(client_files({"edge-1", "DNS:edge-1", -7200, -3600}), "tunnel.example.org");
  Meeting meeting(*client, *server);
  CHECK(meeting.server_status == Status_::failed);
  CHECK(meeting.server_says("the certificate of edge-1 expired on"));
  CHECK(meeting.client_status == Status_::failed);
  CHECK(meeting.client_says("the server refused our certificate (cert_file): it has expired"));
}

TEST_CASE_METHOD(Fixture, "a client's certificate that is not valid yet is refused") {
  auto server = server_with(server_files);
  auto client =
      client_with(client_files({"edge-1", "DNS:edge-1", 3600, 7200}), "tunnel.example.org");
  Meeting meeting(*client, *server);
  CHECK(meeting.server_status == Status_::failed);
  CHECK(meeting.server_says("the certificate of edge-1 is not valid before"));
  CHECK(meeting.client_status == Status_::failed);
  CHECK(meeting.client_says("not valid yet"));
}

TEST_CASE_METHOD(Fixture, "a client's certificate of another CA is refused") {
  auto server = server_with(server_files);
  TlsFiles files = files_of(ca, stranger_ca.issue(kEdge));
  auto client = client_with(files, "tunnel.example.org");
  Meeting meeting(*client, *server);
  CHECK(meeting.server_status == Status_::failed);
  CHECK(meeting.server_says("edge-1 is not from a CA in ca_file"));
  CHECK(meeting.client_status == Status_::failed);
}

TEST_CASE_METHOD(Fixture, "a server of another CA, or one that has expired, gets no client") {
  auto client = client_with(client_files(kEdge), "tunnel.example.org");
  CertificateWish name{"server", "DNS:tunnel.example.org"};
  auto impostor = server_with(files_of(ca, stranger_ca.issue(name)));
  Meeting with_impostor(*client, *impostor);
  CHECK(with_impostor.client_status == Status_::failed);
  CHECK(with_impostor.client_says("tunnel.example.org is not from a CA in ca_file"));
  CHECK(with_impostor.server_says("it is from a CA that is not in their ca_file"));
  name.starts_in_s = -7200;
  name.ends_in_s = -10;
  auto expired = server_with(files_of(ca, ca.issue(name)));
  Meeting with_expired(*client, *expired);
  CHECK(with_expired.client_status == Status_::failed);
  CHECK(with_expired.client_says("the certificate of tunnel.example.org expired on"));
  CHECK(with_expired.server_says("it has expired"));
}

TEST_CASE_METHOD(Fixture, "keys and certificates work beside each other at one server") {
  TlsKey key;
  key.id = "00aa";
  key.name = "edge-2";
  key.key.fill(7);
  auto server = server_with(server_files, {key});
  TlsClientOptions options;
  options.key = key;
  auto with_key = make_tls_client(options);
  REQUIRE(with_key.ok());
  Meeting first(**with_key, *server);
  REQUIRE(first.server_status == Status_::done);
  CHECK(first.server->identity() == std::optional<std::string>("edge-2"));
  auto with_certificate = client_with(client_files(kEdge), "tunnel.example.org");
  Meeting second(*with_certificate, *server);
  REQUIRE(second.server_status == Status_::done);
  CHECK(second.server->identity() == std::optional<std::string>("edge-1"));
  options.key->key.fill(8);
  auto wrong = make_tls_client(options);
  REQUIRE(wrong.ok());
  CHECK(Meeting(**wrong, *server).server_status == Status_::failed);
}

TEST_CASE_METHOD(Fixture, "a key is shown with the first message, a certificate only at the end") {
  TlsKey key;
  key.id = "00aa";
  key.name = "edge-2";
  key.key.fill(7);
  auto server = server_with(server_files, {key});
  TlsClientOptions options;
  options.key = key;
  auto with_key = make_tls_client(options);
  REQUIRE(with_key.ok());
  auto with_certificate = client_with(client_files(kEdge), "tunnel.example.org");
  for (TlsContext* context : {with_key->get(), with_certificate.get()}) {
    Sockets sockets;
    auto client = context->make(sockets.ends[0]);
    auto at_server = server->make(sockets.ends[1]);
    CHECK(at_server->handshake() == Status_::again);
    CHECK_FALSE(at_server->answered());
    CHECK(client->handshake() == Status_::again);
    CHECK(at_server->handshake() == Status_::again);
    CHECK(at_server->answered());
    CHECK_FALSE(at_server->identity());
    bool shown = context == with_key->get();
    CHECK(at_server->shown() == (shown ? std::optional<std::string>("edge-2") : std::nullopt));
  }
}

TEST_CASE_METHOD(Fixture, "more than a handshake's bytes end it") {
  auto server = server_with(server_files);
  Sockets sockets;
  auto at_server = server->make(sockets.ends[1]);
  // A ClientHello of 128 KiB, in records of 16 KiB.
  std::vector<std::uint8_t> record(5 + 16384, 0);
  record[0] = 22;
  record[1] = 3;
  record[2] = 1;
  record[3] = 0x40;
  std::vector<std::uint8_t> first = record;
  first[5] = 1;
  first[6] = 1;
  first[7] = 0xff;
  Status_ status = Status_::again;
  std::size_t sent = 0;
  for (int i = 0; i < 8 && status == Status_::again; ++i) {
    const std::vector<std::uint8_t>& next = i == 0 ? first : record;
    REQUIRE(write(sockets.ends[0], next.data(), next.size()) == static_cast<ssize_t>(next.size()));
    sent += next.size();
    status = at_server->handshake();
  }
  CHECK(status == Status_::failed);
  CHECK(sent <= 3 * 16389);
  CHECK(at_server->error() == "more bytes than a TLS handshake takes");
}

TEST_CASE_METHOD(Fixture, "files that cannot be used are named with their reason") {
  auto refused = [&](auto change) {
    TlsClientOptions options;
    options.files = client_files(kEdge);
    options.server_name = "x";
    change(*options.files);
    auto made = make_tls_client(options);
    REQUIRE_FALSE(made.ok());
    return made.error().message;
  };
  CHECK(refused([](TlsFiles& files) { files.ca.text = "nothing"; }) ==
        "ca.pem holds no certificate (PEM)");
  CHECK(refused([](TlsFiles& files) { files.certificate.text = ""; }) ==
        "cert.pem holds no certificate (PEM)");
  CHECK(refused([](TlsFiles& files) { files.key.text = files.ca.text; }) ==
        "key.pem holds no private key (PEM), or one with a password");
  Issued other = ca.issue(kEdge);
  CHECK(refused([&](TlsFiles& files) { files.key.text = other.key; }) ==
        "key.pem is not the key of cert.pem");
}

// --- Tickets --------------------------------------------------------------------------------

namespace {

// Whom the server takes the client for when it has seen only the first message.
std::optional<std::string> shown_at_once(TlsContext& client_context, TlsContext& server_context) {
  Sockets sockets;
  auto client = client_context.make(sockets.ends[0]);
  auto server = server_context.make(sockets.ends[1]);
  CHECK(client->handshake() == Status_::again);
  CHECK(server->handshake() == Status_::again);
  REQUIRE(server->answered());
  auto shown = server->shown();
  CHECK_FALSE(server->identity());
  return shown;
}

using Name = std::optional<std::string>;

}  // namespace

TEST_CASE_METHOD(Fixture,
                 "who was let in by certificate shows itself with its next first message") {
  auto server = server_with(server_files);
  auto client = client_with(client_files(kEdge), "192.0.2.7");
  CHECK(shown_at_once(*client, *server) == std::nullopt);
  REQUIRE(Meeting(*client, *server).server_status == Status_::done);
  for (int again = 0; again < 3; ++again) {
    CHECK(shown_at_once(*client, *server) == Name("edge-1"));
    Meeting meeting(*client, *server);
    CHECK(meeting.client_status == Status_::done);
    REQUIRE(meeting.server_status == Status_::done);
    CHECK(meeting.server->identity() == Name("edge-1"));
  }
}

TEST_CASE_METHOD(Fixture, "a ticket is of its server's context: another asks for the certificate") {
  auto server = server_with(server_files);
  auto reloaded = server_with(server_files);
  auto client = client_with(client_files(kEdge), "192.0.2.7");
  REQUIRE(Meeting(*client, *server).server_status == Status_::done);
  CHECK(shown_at_once(*client, *reloaded) == std::nullopt);
  Meeting meeting(*client, *reloaded);
  REQUIRE(meeting.server_status == Status_::done);
  CHECK(meeting.server->identity() == Name("edge-1"));
}

TEST_CASE_METHOD(Fixture,
                 "tickets work at a server that has keys, too, and those with keys get none") {
  TlsKey key;
  key.id = std::string(32, 'a');
  key.name = "edge-2";
  key.key.fill(7);
  auto server = server_with(server_files, {key});
  auto client = client_with(client_files(kEdge), "192.0.2.7");
  REQUIRE(Meeting(*client, *server).server_status == Status_::done);
  CHECK(shown_at_once(*client, *server) == Name("edge-1"));
  TlsClientOptions options;
  options.key = key;
  auto keyed = make_tls_client(options);
  REQUIRE(keyed.ok());
  CHECK(Meeting(**keyed, *server).server->identity() == Name("edge-2"));
  CHECK(shown_at_once(**keyed, *server) == Name("edge-2"));
}

TEST_CASE_METHOD(Fixture, "a ticket proves nobody who is no client any more") {
  bool admitted = true;
  TlsServerOptions options;
  options.files = server_files;
  options.client_of = [&](const std::vector<std::string>& names) {
    return admitted ? Name(names.front()) : std::nullopt;
  };
  auto server = make_tls_server(options);
  REQUIRE(server.ok());
  auto client = client_with(client_files(kEdge), "192.0.2.7");
  REQUIRE(Meeting(*client, **server).server->identity() == Name("edge-1"));
  admitted = false;
  CHECK(shown_at_once(*client, **server) == std::nullopt);
  Meeting meeting(*client, **server);
  CHECK_FALSE(meeting.server->identity());
  CHECK(meeting.server_says("its certificate is for edge-1, which is no client of ours"));
}

TEST_CASE_METHOD(Fixture, "a ticket does not outlive the certificate that it stands for") {
  auto server = server_with(server_files);
  time_t ends = time(nullptr) + 2;
  auto client = client_with(client_files({"edge-1", "DNS:edge-1", -60, 2}), "192.0.2.7");
  REQUIRE(Meeting(*client, *server).server_status == Status_::done);
  while (time(nullptr) <= ends) usleep(10'000);
  Meeting meeting(*client, *server);
  CHECK(meeting.server_status == Status_::failed);
  CHECK(meeting.server_says("the certificate of edge-1 expired on"));
  CHECK(meeting.client_says("it has expired"));
}

TEST_CASE_METHOD(Fixture, "after a handshake that failed the ticket is not shown again") {
  auto server = server_with(server_files);
  auto impostor = server_with(files_of(ca, stranger_ca.issue({"server", "IP:192.0.2.7"})));
  auto client = client_with(client_files(kEdge), "192.0.2.7");
  REQUIRE(Meeting(*client, *server).server_status == Status_::done);
  CHECK(Meeting(*client, *impostor).client_status == Status_::failed);
  CHECK(shown_at_once(*client, *server) == std::nullopt);
}

TEST_CASE_METHOD(Fixture, "a carrier that stands for long gets a fresh ticket among its bytes") {
  TlsServerOptions options;
  options.files = server_files;
  options.client_of = [](const std::vector<std::string>& names) { return Name(names.front()); };
  options.ticket_after = Duration(0);
  auto server = make_tls_server(options);
  REQUIRE(server.ok());
  auto client = client_with(client_files(kEdge), "192.0.2.7");
  Meeting meeting(*client, **server);
  REQUIRE(meeting.server_status == Status_::done);
  char text[] = "bytes";
  for (int i = 0; i < 20; ++i) {
    iovec piece{text, sizeof text};
    REQUIRE(meeting.server->write({&piece, 1}).bytes == sizeof text);
    std::uint8_t read[64];
    CHECK(meeting.client->read(read).bytes == sizeof text);
  }
  CHECK(shown_at_once(*client, **server) == Name("edge-1"));
}
