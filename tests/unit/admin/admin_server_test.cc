#include "common/admin/admin_server.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "common/admin/http_server.h"
#include "common/admin/loop_backend.h"
#include "common/cli/http_client.h"
#include "common/log/unique_fd.h"
#include "tests/catch.h"
#include "tests/stopwatch.h"
#include "tests/unit/fixtures.h"

namespace holdfast {
namespace {

// What a metrics address would be listened on by: some free port.
struct MetricsSocket {
  UniqueFd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  std::uint16_t port = 0;
  bool listen() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bool done = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                ::listen(fd.get(), SOMAXCONN) == 0 &&
                ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0;
    port = ntohs(address.sin_port);
    return done;
  }
};

struct Served {
  Served() : Served(agent) {}
  explicit Served(Backend& backend) {
    config.socket = folder / "agent.sock";
    config.metrics = TcpAddress{"127.0.0.1", 0};
    REQUIRE(metrics.listen());
    auto started = AdminServer::start(config, backend);
    REQUIRE(started.ok());
    server = std::move(*started);
    REQUIRE(server->serve_metrics({metrics.fd.get()}).ok());
  }
  HttpAnswer ask(const std::string& method, const std::string& target) const {
    auto answer = ask_agent(config.socket, method, target);
    REQUIRE(std::holds_alternative<HttpAnswer>(answer));
    return std::get<HttpAnswer>(answer);
  }

  Folder folder;
  FakeAgent agent;
  AdminConfig config;
  MetricsSocket metrics;
  std::unique_ptr<AdminServer> server;
};

UniqueFd connect_unix(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

UniqueFd connect_tcp(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  return fd;
}

void say(const UniqueFd& fd, const std::string& text) {
  static_cast<void>(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL));
}

// Everything until the server closes.
std::string hear(const UniqueFd& fd) {
  std::string out;
  char buffer[4096];
  for (ssize_t size; (size = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) {
    out.append(buffer, static_cast<std::size_t>(size));
  }
  return out;
}

bool has(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

TEST_CASE("metrics, livez and readyz answer on TCP and on the Unix socket") {
  Served served;
  for (const char* path : {"/metrics", "/livez", "/readyz"}) {
    UniqueFd fd = connect_tcp(served.metrics.port);
    say(fd, std::string("GET ") + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(has(hear(fd), "HTTP/1.1 200 OK"));
    CHECK(served.ask("GET", path).status == 200);
  }
  CHECK(has(served.ask("GET", "/metrics").body, "\nholdfast_replayed_bytes_total 0\n"));
}

TEST_CASE("commands and connections are not for the metrics address") {
  Served served;
  for (const char* request : {"POST /v1/drain", "GET /v1/connections", "GET /v1/status"}) {
    UniqueFd fd = connect_tcp(served.metrics.port);
    say(fd, std::string(request) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
    CHECK(has(hear(fd), "HTTP/1.1 404"));
  }
  CHECK(served.agent.commands().empty());
}

TEST_CASE("readyz says how many connections are safe and for how long") {
  Served served;
  AgentSnapshot down = sample_snapshot();
  lose_link(down);
  served.agent.set(down);
  HttpAnswer answer = served.ask("GET", "/readyz");
  CHECK(answer.status == 503);
  CHECK(has(answer.body, R"("connections_safe":3,"safe_for_s":288.0)"));
  CHECK(served.ask("GET", "/livez").status == 200);
}

TEST_CASE("livez tells a link that is down from an agent that is stuck") {
  Served served;
  CHECK(has(served.ask("GET", "/livez").body, R"({"alive":true,"ready":true,"state":"ready")"));
  AgentSnapshot down = sample_snapshot();
  lose_link(down);
  served.agent.set(down);
  HttpAnswer answer = served.ask("GET", "/livez");
  CHECK(answer.status == 200);
  CHECK(has(answer.body, R"("alive":true,"ready":false,"state":"link_down")"));
  CHECK(has(answer.body, R"("connections_safe":3,"safe_for_s":288.0)"));
  CHECK(has(answer.body, R"("links_up":0,"links_down":1)"));
  served.agent.fail("the agent's loop did not answer within 2 s");
  for (const char* path : {"/livez", "/readyz"}) {
    CHECK(has(served.ask("GET", path).body, R"("alive":false,"ready":false,"state":"stuck")"));
  }
}

TEST_CASE("connections are filtered, sorted and limited by the agent") {
  Served served;
  ConnectionSnapshot other = sample_connection();
  other.id = "3fa9c1d2-9";
  other.service = "ssh";
  other.bytes_up = 1 << 30;
  served.agent.set_connections({sample_connection(), other});
  AgentSnapshot snapshot = sample_snapshot();
  snapshot.services["ssh"];
  served.agent.set(snapshot);
  std::string all = served.ask("GET", "/v1/connections").body;
  CHECK(all.find("3fa9c1d2-9\"") < all.find("3fa9c1d2-17\""));
  std::string one = served.ask("GET", "/v1/connections?service=ssh&sort=bytes&limit=1").body;
  CHECK(has(one, "3fa9c1d2-9\""));
  CHECK_FALSE(has(one, "3fa9c1d2-17\""));
  HttpAnswer wrong = served.ask("GET", "/v1/connections?service=shs");
  CHECK(wrong.status == 400);
  CHECK(has(wrong.body, R"(unknown service \"shs\"; did you mean \"ssh\"?)"));
  CHECK(served.ask("GET", "/v1/connections?sort=nonsense").status == 400);
}

TEST_CASE("one connection is told by its id") {
  Served served;
  HttpAnswer answer = served.ask("GET", "/v1/connection?id=3fa9c1d2-17");
  CHECK(answer.status == 200);
  CHECK(has(answer.body, R"("link": "3fa9c1d2000000000000000000000001")"));
  CHECK(served.ask("GET", "/v1/connection?id=3fa9c1d2-18").status == 404);
  CHECK(served.ask("GET", "/v1/connection").status == 400);
}

TEST_CASE("a log level that is none is refused before the agent hears of it") {
  Served served;
  CHECK(served.ask("POST", "/v1/log-level?level=debug").status == 200);
  HttpAnswer wrong = served.ask("POST", "/v1/log-level?level=inof");
  CHECK(wrong.status == 400);
  CHECK(has(wrong.body, R"(unknown log level \"inof\"; did you mean \"info\"?)"));
  auto commands = served.agent.commands();
  REQUIRE(commands.size() == 1);
  CHECK(commands[0].kind == Command::Kind::log_level);
  CHECK(commands[0].id == "debug");
}

TEST_CASE("commands reach the agent and its refusals come back") {
  Served served;
  CHECK(served.ask("POST", "/v1/kill?id=3fa9c1d2-17").status == 200);
  HttpAnswer refused = served.ask("POST", "/v1/kill?id=nobody");
  CHECK(refused.status == 409);
  CHECK(has(refused.body, "no connection nobody"));
  CHECK(served.ask("POST", "/v1/kill").status == 400);
  CHECK(served.ask("POST", "/v1/reconnect").status == 200);
  CHECK(served.ask("POST", "/v1/drain").status == 200);
  auto commands = served.agent.commands();
  REQUIRE(commands.size() == 4);
  CHECK(commands[0].id == "3fa9c1d2-17");
  CHECK(commands[3].kind == Command::Kind::drain);
}

TEST_CASE("a command is not run by a GET") {
  Served served;
  CHECK(served.ask("GET", "/v1/drain").status == 404);
  CHECK(served.agent.commands().empty());
}

TEST_CASE("an agent that does not answer is a 503 with the reason") {
  Served served;
  served.agent.fail("the agent's loop did not answer within 2 s");
  for (const char* path : {"/metrics", "/livez", "/readyz", "/v1/status", "/v1/connections"}) {
    HttpAnswer answer = served.ask("GET", path);
    CHECK(answer.status == 503);
    CHECK(has(answer.body, "did not answer within 2 s"));
  }
}

TEST_CASE("the admin socket is for its user and group only") {
  Served served;
  struct stat info {};
  REQUIRE(::stat(served.config.socket.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0660);
}

TEST_CASE("the admin socket's mode may change while it is listened on") {
  Served served;
  AdminConfig other = served.config;
  other.mode = FileMode{0600};
  REQUIRE(served.server->set_access(other).ok());
  struct stat info {};
  REQUIRE(::stat(served.config.socket.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  CHECK(served.ask("GET", "/livez").status == 200);
}

TEST_CASE("a group that a socket cannot be given to is an error and leaves no socket") {
  Folder folder;
  FakeAgent agent;
  AdminConfig config{folder / "agent.sock", std::nullopt, {}};
  config.group = Account{"nobody's", std::uint32_t{1} << 31};
  if (::geteuid() == 0) return;  // whom the kernel lets give files to anybody
  auto server = AdminServer::start(config, agent);
  REQUIRE_FALSE(server.ok());
  CHECK(has(server.error().message, "cannot be given to its user and group"));
  CHECK_FALSE(std::filesystem::exists(config.socket));
}

TEST_CASE("a socket that a dead agent left is replaced") {
  Folder folder;
  std::string path = folder / "agent.sock";
  {
    UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(dead.get(), 1) == 0);
  }
  REQUIRE(std::filesystem::exists(path));
  FakeAgent agent;
  auto server = AdminServer::start({path, std::nullopt, {}}, agent);
  REQUIRE(server.ok());
  CHECK(std::holds_alternative<HttpAnswer>(ask_agent(path, "GET", "/livez")));
}

TEST_CASE("a living agent's socket is refused and stays that agent's") {
  Served served;
  FakeAgent rival;
  auto second = AdminServer::start({served.config.socket, std::nullopt, {}}, rival);
  REQUIRE_FALSE(second.ok());
  CHECK(has(second.error().message, served.config.socket));
  CHECK(has(second.error().message, "running agent"));
  CHECK(served.ask("GET", "/livez").status == 200);
}

TEST_CASE("what is not a socket is never removed") {
  Folder folder;
  write_file(folder / "agent.sock", "precious");
  FakeAgent agent;
  auto server = AdminServer::start({folder / "agent.sock", std::nullopt, {}}, agent);
  REQUIRE_FALSE(server.ok());
  CHECK(read_text(folder / "agent.sock") == "precious");
}

TEST_CASE("the metrics address may have several sockets") {
  Folder folder;
  FakeAgent agent;
  MetricsSocket first, second;
  REQUIRE(first.listen());
  REQUIRE(second.listen());
  auto server = AdminServer::start({folder / "agent.sock", std::nullopt, {}}, agent);
  REQUIRE(server.ok());
  REQUIRE((*server)->serve_metrics({first.fd.get(), second.fd.get()}).ok());
  for (const MetricsSocket* each : {&second, &first}) {
    UniqueFd fd = connect_tcp(each->port);
    say(fd, "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(has(hear(fd), " 200 "));
  }
}

TEST_CASE("stopping removes the socket unless another has taken its place") {
  Served served;
  SECTION("its own") {
    served.server.reset();
    CHECK_FALSE(std::filesystem::exists(served.config.socket));
  }
  SECTION("another's") {
    std::filesystem::remove(served.config.socket);
    write_file(served.config.socket, "newer");
    served.server.reset();
    CHECK(read_text(served.config.socket) == "newer");
  }
}

TEST_CASE("a hundred silent users hold nothing up, nor does stopping wait for them") {
  Served served;
  std::vector<UniqueFd> mutes;
  for (int i = 0; i < 100; ++i) mutes.push_back(connect_unix(served.config.socket));
  CHECK(served.ask("GET", "/v1/status").status == 200);
  const test::Stopwatch start;
  served.server.reset();
  CHECK(start.passed() < std::chrono::seconds(1));
}

TEST_CASE("users that began to speak and stopped are cut off") {
  Served served;
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 4; ++i) {
    slow.push_back(connect_unix(served.config.socket));
    say(slow.back(), "GET /v1/sta");
  }
  CHECK(served.ask("GET", "/v1/status").status == 200);  // after at most 2 s, of its 5
  for (const UniqueFd& fd : slow) CHECK_FALSE(has(hear(fd), " 200 "));
}

TEST_CASE("a request without an end is cut off by its size") {
  Served served;
  UniqueFd fd = connect_unix(served.config.socket);
  say(fd, "GET /v1/status HTTP/1.1\r\n");
  for (int i = 0; i < 2000; ++i) say(fd, "X-Filler: " + std::string(100, 'x') + "\r\n");
  CHECK_FALSE(has(hear(fd), " 200 "));
  CHECK(served.ask("GET", "/v1/status").status == 200);
}

TEST_CASE("junk gets no more than an error") {
  Served served;
  for (std::string junk : {"\r\n\r\n", "\x16\x03\x01\x02", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n",
                           "POST /v1/kill?id=%zz%00 HTTP/1.1\r\nContent-Length: -1\r\n\r\n"}) {
    UniqueFd fd = connect_unix(served.config.socket);
    say(fd, junk);
    ::shutdown(fd.get(), SHUT_WR);
    CHECK_FALSE(has(hear(fd), " 200 "));
  }
  CHECK(served.ask("GET", "/livez").status == 200);
}

// The head and the body of the answer to `request`.
std::pair<std::string, std::string> answer_to(const std::string& socket,
                                              const std::string& request) {
  UniqueFd fd = connect_unix(socket);
  say(fd, request);
  std::string answer = hear(fd);
  std::size_t end = answer.find("\r\n\r\n");
  REQUIRE(end != std::string::npos);
  return {answer.substr(0, end + 4), answer.substr(end + 4)};
}

TEST_CASE("an answer is compressed for whoever takes gzip, and its head alone is had by HEAD") {
  Served served;
  auto [head, body] =
      answer_to(served.config.socket, "GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK_FALSE(has(head, "Content-Encoding"));
  CHECK(has(head, "Content-Length: " + std::to_string(body.size()) + "\r\n"));
  CHECK(has(head, "Connection: close\r\n"));
  auto [zipped_head, zipped] =
      answer_to(served.config.socket,
                "GET /status HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: br, gzip\r\n\r\n");
  CHECK(has(zipped_head, "Content-Encoding: gzip\r\n"));
  CHECK(has(zipped_head, "Content-Length: " + std::to_string(zipped.size()) + "\r\n"));
  CHECK(zipped.size() < body.size() / 2);
  std::string unzipped(body.size(), '\0');
  z_stream stream{};
  REQUIRE(inflateInit2(&stream, MAX_WBITS + 16) == Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(zipped.data());
  stream.avail_in = static_cast<uInt>(zipped.size());
  stream.next_out = reinterpret_cast<Bytef*>(unzipped.data());
  stream.avail_out = static_cast<uInt>(unzipped.size());
  CHECK(inflate(&stream, Z_FINISH) == Z_STREAM_END);
  CHECK(stream.total_out == body.size());
  inflateEnd(&stream);
  CHECK(unzipped == body);
  auto [only_head, nothing] =
      answer_to(served.config.socket, "HEAD /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(only_head == head);
  CHECK(nothing.empty());
}

TEST_CASE("what is not served is refused by its status, in JSON") {
  Served served;
  struct Case {
    const char* request;
    const char* status;
  };
  for (const Case& each :
       {Case{"GET /nowhere HTTP/1.1\r\n\r\n", "404"},
        Case{"POST /livez HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "404"},
        Case{"GET /v1/drain HTTP/1.1\r\n\r\n", "404"},
        Case{"DELETE /livez HTTP/1.1\r\n\r\n", "404"}, Case{"FETCH /livez HTTP/1.1\r\n\r\n", "400"},
        Case{"GET /livez HTTP/2.0\r\n\r\n", "400"},
        Case{"GET /livez HTTP/1.1\r\nno header\r\n\r\n", "400"},
        Case{"POST /v1/drain HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "400"}}) {
    auto [head, body] = answer_to(served.config.socket, each.request);
    INFO(each.request);
    CHECK(has(head, std::string("HTTP/1.1 ") + each.status + " "));
    CHECK(has(head, "Content-Type: application/json\r\n"));
    CHECK(body == std::string("{\"error\":\"HTTP status ") + each.status + "\"}\n");
  }
  CHECK(served.agent.commands().empty());
}

TEST_CASE("parameters come in the query and as a form, escaped or not") {
  Served served;
  answer_to(served.config.socket,
            "POST /v1/%6bill?id=00%31%31 HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
  answer_to(served.config.socket,
            "POST /v1/kill HTTP/1.1\r\nContent-Length: 7\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n\r\nid=0011");
  auto commands = served.agent.commands();
  REQUIRE(commands.size() == 2);
  CHECK(commands[0].id == "0011");
  CHECK(commands[1].id == "0011");
}

TEST_CASE("ranges are not served: the whole answer, once") {
  Served served;
  std::string many = "bytes=0-";
  for (int i = 0; i < 2000; ++i) many += ",0-";
  for (const std::string& range : {std::string("bytes=0-3"), many, std::string("junk")}) {
    for (std::string path : {"/v1/connections", "/v1/status", "/metrics", "/status", "/livez"}) {
      auto plain = connect_unix(served.config.socket);
      say(plain, "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
      auto ranged = connect_unix(served.config.socket);
      say(ranged, "GET " + path + " HTTP/1.1\r\nRange: " + range + "\r\nHost: x\r\n\r\n");
      std::string answer = hear(ranged);
      CHECK(has(answer, "HTTP/1.1 200 "));
      CHECK_FALSE(has(answer, "multipart"));
      CHECK(answer.size() == hear(plain).size());
    }
  }
}

TEST_CASE("users who begin to speak by the hundred do not keep health from answering") {
  Served served;
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 300; ++i) {
    slow.push_back(connect_tcp(served.metrics.port));
    say(slow.back(), "G");
  }
  const test::Stopwatch start;
  for (std::string path : {"/livez", "/readyz", "/metrics"}) {
    UniqueFd fd = connect_tcp(served.metrics.port);
    say(fd, "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    CHECK(has(hear(fd), " 200 "));
  }
  CHECK(start.passed() < std::chrono::milliseconds(1500));
}

// Holds whoever asks for connections until it is let go.
struct SlowAgent : FakeAgent {
  Result<AgentSnapshot> snapshot(const SnapshotQuery& query) override {
    while (query.connections && !let_go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return FakeAgent::snapshot(query);
  }
  std::atomic<bool> let_go = false;
};

TEST_CASE("while all who make answers are busy, health is answered") {
  SlowAgent agent;
  Served served(agent);
  std::vector<UniqueFd> busy;
  for (int i = 0; i < 100; ++i) {
    busy.push_back(connect_unix(served.config.socket));
    say(busy.back(), "GET /v1/connections HTTP/1.1\r\nHost: x\r\n\r\n");
  }
  CHECK(served.ask("GET", "/livez").status == 200);
  CHECK(served.ask("GET", "/v1/ready").status == 200);
  agent.let_go = true;
  CHECK(has(hear(busy.front()), " 200 "));
}

// One route, "/big", of `size` bytes.
struct Big {
  Big(std::size_t size, const HttpLimits& limits) : listener(listen_unix()) {
    std::vector<HttpRoute> routes;
    routes.push_back({HttpRoute::Method::get, "/big", [size](const HttpParameters&) {
                        return HttpResponse{200, "text/plain", std::string(size, 'x'), {}};
                      }});
    server = HttpServer::start({listener.get()}, std::move(routes), limits).value();
  }
  UniqueFd listen_unix() const {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(fd.get(), 100) == 0);
    return fd;
  }
  UniqueFd ask() const {
    UniqueFd fd = connect_unix(path);
    say(fd, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    return fd;
  }

  Folder folder;
  std::string path = folder / "big.sock";
  UniqueFd listener;
  std::unique_ptr<HttpServer> server;
};

TEST_CASE("an answer above the bound is a 503 that says so") {
  HttpLimits limits;
  limits.answer_bytes = 1 << 20;
  Big over((1 << 20) + 1, limits);
  std::string answer = hear(over.ask());
  CHECK(has(answer, " 503 "));
  CHECK(has(answer, "more than 1 MiB"));
  Big within(1 << 20, limits);
  CHECK(hear(within.ask()).size() > 1 << 20);
}

TEST_CASE("answers that nobody reads are bounded together, and the last is whole") {
  HttpLimits limits;
  limits.answer_bytes = 8 << 20;
  Big big(4 << 20, limits);
  std::vector<UniqueFd> lazy;
  for (int i = 0; i < 20; ++i) {
    lazy.push_back(big.ask());
    char first;
    CHECK(::recv(lazy.back().get(), &first, 1, MSG_PEEK) == 1);
  }
  // All are waited for by now, so only the last of them is left.
  auto closed = [](const UniqueFd& fd) {
    pollfd entry{fd.get(), POLLRDHUP, 0};
    return ::poll(&entry, 1, 0) == 1;
  };
  for (int tries = 0; tries < 500; ++tries) {
    if (std::count_if(lazy.begin(), lazy.end(), closed) >= 19) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  UniqueFd eager = big.ask();
  CHECK(hear(eager).size() > 4 << 20);
  std::size_t whole = 0;
  for (const UniqueFd& fd : lazy) whole += hear(fd).size() > 4 << 20 ? 1 : 0;
  CHECK(whole <= 2);
}

// ---- LoopBackend: a thread plays the loop.

class Loop {
 public:
  explicit Loop(LoopBackend& backend, PagedBackend& agent)
      : thread_([this, &backend, &agent] {
          std::unique_lock lock(mutex_);
          while (!over_) {
            if (!woken_) wake_up_.wait(lock);
            woken_ = false;
            lock.unlock();
            backend.serve(agent);
            lock.lock();
          }
        }) {}
  ~Loop() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
      woken_ = true;
    }
    wake_up_.notify_one();
    thread_.join();
  }
  static void wake(Loop* loop) {
    if (loop == nullptr) return;
    std::lock_guard lock(loop->mutex_);
    loop->woken_ = true;
    loop->wake_up_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_up_;
  bool woken_ = false;
  bool over_ = false;
  std::thread thread_;
};

std::unique_ptr<PreparedReload> nothing_prepared() {
  return nullptr;
}

// Tells on which thread it was loaded and finished.
struct ThreadNoting final : public PreparedReload {
  explicit ThreadNoting(std::thread::id& finished) : finished_on(finished) {}
  ReloadReport finish(const ReloadRequest& request) override {
    finished_on = std::this_thread::get_id();
    ReloadReport report;
    report.outcome =
        request.dry_run ? ReloadReport::Outcome::dry_run : ReloadReport::Outcome::applied;
    return report;
  }
  std::thread::id& finished_on;
};

TEST_CASE("a reload loads on the thread that asks and is finished on the loop's") {
  FakeAgent agent;
  std::atomic<Loop*> loop{nullptr};
  std::thread::id loaded, finished;
  LoopBackend backend([&loop] { Loop::wake(loop.load()); },
                      [&] {
                        loaded = std::this_thread::get_id();
                        return std::make_unique<ThreadNoting>(finished);
                      });
  Loop running(backend, agent);
  loop = &running;
  ReloadReport report = backend.reload({true, false});
  CHECK(report.outcome == ReloadReport::Outcome::dry_run);
  CHECK(loaded == std::this_thread::get_id());
  CHECK(finished != loaded);
}

TEST_CASE("questions are answered by the loop's thread") {
  FakeAgent agent;
  std::atomic<Loop*> loop{nullptr};
  LoopBackend backend([&loop] { Loop::wake(loop.load()); }, nothing_prepared);
  Loop running(backend, agent);
  loop = &running;
  Served served(backend);
  CHECK(served.ask("GET", "/v1/status").status == 200);
  CHECK(served.ask("POST", "/v1/kill?id=3fa9c1d2-17").status == 200);
  CHECK(agent.commands().size() == 1);
}

TEST_CASE("thousands of connections are asked for in pages, one a turn") {
  FakeAgent agent;
  std::vector<ConnectionSnapshot> many(50, sample_connection());
  for (std::size_t i = 0; i < many.size(); ++i) many[i].id = "3fa9c1d2-" + std::to_string(i + 1);
  agent.set_connections(many);
  std::atomic<Loop*> loop{nullptr};
  std::atomic<int> turns{0};
  LoopBackend backend(
      [&] {
        ++turns;
        Loop::wake(loop.load());
      },
      nothing_prepared);
  Loop running(backend, agent);
  loop = &running;
  auto snapshot = backend.snapshot({true});
  REQUIRE(snapshot.ok());
  REQUIRE(snapshot->connections.has_value());
  CHECK(snapshot->connections->size() == 50);
  CHECK(snapshot->connections->back().id == "3fa9c1d2-50");
  CHECK(turns == 51);
  CHECK(snapshot->longest_answer < seconds(1));
  CHECK((*backend.connection("3fa9c1d2-7"))->id == "3fa9c1d2-7");
  CHECK_FALSE(backend.connection("3fa9c1d2-77")->has_value());
}

TEST_CASE("a loop that does not turn makes an error in time, and its command never happens") {
  FakeAgent agent;
  LoopBackend backend([] {}, nothing_prepared, milliseconds(50));
  auto snapshot = backend.snapshot({});
  REQUIRE_FALSE(snapshot.ok());
  CHECK(has(snapshot.error().message, "loop did not answer"));
  CommandResult result = backend.command({Command::Kind::drain, ""});
  CHECK(result.outcome == CommandResult::Outcome::unavailable);
  backend.serve(agent);
  CHECK(agent.commands().empty());
}

TEST_CASE("stopping frees who waits for the loop") {
  LoopBackend backend([] {}, nothing_prepared, seconds(60));
  auto served = std::make_unique<Served>(backend);
  UniqueFd fd = connect_unix(served->config.socket);
  say(fd, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n");
  const test::Stopwatch start;
  served.reset();
  CHECK(start.passed() < std::chrono::seconds(2));
  CHECK_FALSE(backend.snapshot({}).ok());
}

}  // namespace
}  // namespace holdfast
