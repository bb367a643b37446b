#include "common/config/default_name.h"

#include <fstream>
#include <string>

#include "common/config/load.h"
#include "tests/catch.h"
#include "tests/unit/config/support.h"

namespace holdfast {
namespace {

std::string name_at(const std::string& host, std::uint16_t port) {
  return default_server_name({TcpAddress{host, port}});
}

TEST_CASE("a server's default name is the machine's and its port's, whatever its addresses") {
  CHECK(name_at("0.0.0.0", 7443) == name_at("127.0.0.1", 7443));
  CHECK(name_at("0.0.0.0", 7443) != name_at("0.0.0.0", 7444));
  CHECK(default_server_name({TcpAddress{"::", 7443}, TcpAddress{"::", 7444}}) ==
        name_at("0.0.0.0", 7443));
  CHECK(default_server_name({SystemdSocket{"link"}}) != name_at("0.0.0.0", 7443));
  CHECK(default_server_name({}) == default_server_name({}));
}

TEST_CASE("a server's default name does not tell the machine's id") {
  std::string id;
  std::ifstream("/etc/machine-id") >> id;
  std::string name = name_at("0.0.0.0", 7443);
  REQUIRE(name.size() == std::string("server-0123456789abcdef").size());
  for (std::size_t at = 0; at + 8 <= id.size(); ++at) {
    CHECK(name.find(id.substr(at, 8)) == std::string::npos);
  }
}

// By Python: hmac.new(machine, application[:8] + fnv1a("7443").to_bytes(8, "little"), "sha256"),
// version 4.
TEST_CASE("a server's default name is libsystemd's id for this application, in every build") {
  test::Folder folder;
  std::string path = folder.write("machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
  CHECK(default_server_name({TcpAddress{"::", 7443}}, path) == "server-1d225ebf46d44042");
}

TEST_CASE("without an id of the machine a server's name is drawn") {
  test::Folder folder;
  std::string none = folder.write("none", "00000000000000000000000000000000\n");
  std::string drawn = default_server_name({TcpAddress{"::", 7443}}, "/nowhere/machine-id");
  CHECK(default_server_name({TcpAddress{"::", 7443}}, none) == drawn);
  std::string some = folder.write("some", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
  CHECK(default_server_name({TcpAddress{"::", 7443}}, some) != drawn);
}

TEST_CASE("a server without a name is warned, and one with a name is not") {
  for (bool named : {true, false}) {
    std::string text = std::string(named ? "name = \"hub-1\"\n" : "") +
                       "[link]\nlisten = [\"127.0.0.1:7443\"]\nunsafe_plaintext = true\n"
                       "[clients.a]\nservices = [\"s\"]\n[services.s]\ntarget = \"127.0.0.1:1\"\n";
    LoadedServer loaded = parse_server_config(text, "/nowhere/s.toml", Environment::checked);
    std::vector<Problem> warnings = test::of_severity(loaded.problems, Severity::warning);
    std::size_t of_name = 0;
    for (const Problem& each : warnings) of_name += each.key == "name" ? 1 : 0;
    CHECK(of_name == (named ? 0 : 1));
    REQUIRE(loaded.config.has_value());
    CHECK(loaded.config->name == (named ? "hub-1" : name_at("127.0.0.1", 7443)));
  }
}

}  // namespace
}  // namespace holdfast
