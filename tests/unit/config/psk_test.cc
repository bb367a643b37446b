#include "common/config/psk.h"

#include <sys/stat.h>

#include <set>

#include "tests/unit/config/support.h"

namespace holdfast {
namespace {

using test::Folder;

const std::string kId = "00112233445566778899aabbccddeeff";
const std::string kKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const std::string kLine = kId + ":" + kKey;

class CredentialsDirectory {
 public:
  explicit CredentialsDirectory(const std::string& path) {
    setenv("CREDENTIALS_DIRECTORY", path.c_str(), 1);
  }
  CredentialsDirectory(const CredentialsDirectory&) = delete;
  CredentialsDirectory& operator=(const CredentialsDirectory&) = delete;
  ~CredentialsDirectory() { unsetenv("CREDENTIALS_DIRECTORY"); }
};

TEST_CASE("a key line is read and written alike") {
  const Result<Psk> psk = parse_psk(kLine + "\n");
  REQUIRE(psk.ok());
  CHECK(psk->id == kId);
  CHECK(psk->key[0] == 0);
  CHECK(psk->key[31] == 31);
  CHECK(format_psk(*psk) == kLine);
  CHECK(parse_psk(kLine).ok());
  CHECK(parse_psk(kLine + "\r\n").ok());
  CHECK(parse_psk(kLine + "\n\n").ok());
  CHECK(parse_psk(kLine + "\r\n\r\n\n").ok());
}

TEST_CASE("a malformed key line is refused and never repeated in the message") {
  const std::vector<std::string> bad = {
      "",
      "\n",
      kId,
      kKey,
      kId + kKey,
      kLine + "\n" + kLine,
      kLine + "0",
      " " + kLine,
      kId + ":" + kKey.substr(1),
      kId + ":" + kKey.substr(1) + "x",
      "x" + kId.substr(1) + ":" + kKey,
      test::replaced(kLine, "aabb", "AABB"),
  };
  for (const std::string& text : bad) {
    const Result<Psk> psk = parse_psk(text);
    INFO(text);
    REQUIRE_FALSE(psk.ok());
    CHECK(psk.error().message.find("0011") == std::string::npos);
    CHECK(psk.error().message.find("0102") == std::string::npos);
  }
}

TEST_CASE("generated keys are valid and all different") {
  std::set<std::string> lines;
  for (int i = 0; i < 50; ++i) {
    const Result<Psk> psk = generate_psk();
    REQUIRE(psk.ok());
    const std::string line = format_psk(*psk);
    CHECK(parse_psk(line).ok());
    lines.insert(line.substr(0, 32));
    lines.insert(line.substr(33));
  }
  CHECK(lines.size() == 100);
}

TEST_CASE("wiping a text leaves nothing of it") {
  std::string text = kLine;
  const char* data = text.data();
  wipe(text);
  CHECK(text.empty());
  CHECK(data[0] == '\0');
}

TEST_CASE("a key moved away leaves zeros behind") {
  Psk psk = *parse_psk(kLine);
  Psk other = std::move(psk);
  CHECK(other.key[31] == 31);
  CHECK(psk.key[31] == 0);  // NOLINT: what a move leaves is the point
  Psk third;
  third = std::move(other);
  CHECK(third.key[31] == 31);
  CHECK(other.key[31] == 0);  // NOLINT
}

TEST_CASE("a private key file is loaded") {
  const Folder folder;
  for (const mode_t mode : {0600U, 0400U}) {
    const LoadedPsk loaded = load_psk_file(folder.write("a.psk", kLine + "\n", mode));
    REQUIRE(loaded.psk.has_value());
    CHECK(loaded.psk->id == kId);
  }
}

TEST_CASE("a key file that others can use is a permission fault") {
  const Folder folder;
  for (const mode_t mode : {0604U, 0644U, 0444U, 0620U, 0601U, 0666U}) {
    const LoadedPsk loaded = load_psk_file(folder.write("a.psk", kLine, mode));
    CHECK_FALSE(loaded.psk.has_value());
    CHECK(loaded.fault.kind == ProblemKind::permission);
    CHECK_THAT(loaded.fault.reason, ContainsSubstring("can be used by others"));
    CHECK_THAT(loaded.fault.hint, ContainsSubstring("chmod 600"));
    CHECK_THAT(loaded.fault.hint, ContainsSubstring("defaultMode: 0440"));
  }
}

TEST_CASE("a key's group may read it where root owns it, and nowhere else") {
  const Folder folder;
  const uid_t somebody = 65534;
  for (const mode_t mode : {0440U, 0640U}) {
    const std::string path = folder.write("a.psk", kLine + "\n", mode);
    const bool roots = geteuid() == 0;
    CHECK(load_psk_file(path).psk.has_value() == roots);
    if (!roots) continue;
    REQUIRE(chown(path.c_str(), somebody, 0) == 0);
    CHECK(load_psk_file(path).fault.kind == ProblemKind::permission);
  }
}

TEST_CASE("a link to a private key file is followed and the target's mode counts") {
  const Folder folder;
  const std::string good = folder.write("good", kLine, 0600);
  const std::string bad = folder.write("bad", kLine, 0644);
  REQUIRE(symlink(good.c_str(), (folder.path() + "/to-good").c_str()) == 0);
  REQUIRE(symlink(bad.c_str(), (folder.path() + "/to-bad").c_str()) == 0);
  CHECK(load_psk_file(folder.path() + "/to-good").psk.has_value());
  CHECK(load_psk_file(folder.path() + "/to-bad").fault.kind == ProblemKind::permission);
}

TEST_CASE("what is not a readable key file of ordinary size says why") {
  const Folder folder;
  const auto fault = [](const std::string& path) {
    const LoadedPsk loaded = load_psk_file(path);
    CHECK_FALSE(loaded.psk.has_value());
    CHECK(loaded.fault.kind == ProblemKind::config);
    return loaded.fault;
  };
  CHECK_THAT(fault(folder.path() + "/none").reason, ContainsSubstring("No such file"));
  CHECK_THAT(fault(folder.path() + "/none").hint, ContainsSubstring("genpsk"));
  CHECK_THAT(fault(folder.path()).reason, ContainsSubstring("is a folder"));
  const std::string pipe = folder.path() + "/pipe";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THAT(fault(pipe).reason, ContainsSubstring("not a regular file"));
  CHECK_THAT(fault(folder.write("big", std::string(2000, 'a'))).reason,
             ContainsSubstring("too large"));
  CHECK_THAT(fault(folder.write("empty", "")).reason, ContainsSubstring("it is empty"));
  CHECK_THAT(fault(folder.write("text", "hello\n")).reason, ContainsSubstring("not ID:KEY"));
}

TEST_CASE("a credential is found in the directory that systemd names") {
  const Folder folder;
  folder.write("key", kLine, 0400);
  CHECK_THAT(load_psk_file("credential:key").fault.reason,
             ContainsSubstring("no $CREDENTIALS_DIRECTORY"));
  const CredentialsDirectory directory(folder.path());
  CHECK(load_psk_file("credential:key").psk.has_value());
  CHECK_THAT(load_psk_file("credential:none").fault.reason, ContainsSubstring("No such file"));
  for (const char* bad : {"credential:", "credential:..", "credential:.", "credential:a/b"}) {
    CHECK_THAT(load_psk_file(bad).fault.reason, ContainsSubstring("the name of a credential"));
  }
}

TEST_CASE("a credential may have the group bit that an ACL shows as, but no more") {
  const Folder folder;
  const CredentialsDirectory directory(folder.path());
  folder.write("key", kLine, 0440);
  CHECK(load_psk_file("credential:key").psk.has_value());
  for (const mode_t mode : {0444U, 0404U, 0460U}) {
    folder.write("key", kLine, mode);
    CHECK(load_psk_file("credential:key").fault.kind == ProblemKind::permission);
  }
}

}  // namespace
}  // namespace holdfast
