#include "common/cli/file_batch.h"
#include "common/cli/invite_line.h"
#include "common/cli/redact.h"
#include "tests/catch.h"
#include "tests/unit/fixtures.h"

namespace holdfast {
namespace {

Invite sample() {
  Invite invite;
  invite.name = "edge-1";
  invite.server = {{"hub.example", 7443}, {"2001:db8::1", 7444}};
  invite.services = {{"postgres", 5432}, {"sock", 0}};
  invite.key = *generate_psk();
  return invite;
}

TEST_CASE("an invite's line says all of it, and is read back") {
  Invite invite = sample();
  std::string line = format_invite(invite);
  CHECK(
      line.starts_with("holdfast1/edge-1/hub.example:7443,[2001:db8::1]:7444/postgres=5432,sock/"
                       "never/"));
  CHECK(line.find_first_of(" \n'\"$&;?") == std::string::npos);  // pastes as one word
  invite.expires = *parse_instant("2026-12-31T18:00:00Z");
  Result<Invite> read = parse_invite(format_invite(invite) + "\n");
  REQUIRE(read.ok());
  CHECK(read->name == invite.name);
  CHECK(read->server == invite.server);
  CHECK(read->services == invite.services);
  CHECK(read->expires == invite.expires);
  CHECK(format_psk(read->key) == format_psk(invite.key));
}

TEST_CASE("no part of an invite can be left out, and no error tells the key") {
  std::string line = format_invite(sample());
  for (std::size_t size = 0; size < line.size(); ++size) {
    Result<Invite> read = parse_invite(line.substr(0, size));
    CHECK_FALSE(read.ok());
    if (!read) CHECK(redacted(read.error().message) == read.error().message);
  }
}

TEST_CASE("files appear together, and go together unless they are kept") {
  Folder folder;
  std::string one = folder / "d/one", other = folder / "other";
  {
    FileBatch batch;
    REQUIRE(batch.folder(folder / "d", 0750, {}).ok());
    REQUIRE(batch.add(one, "1", 0600, {}).ok());
    CHECK(read_text(one) == "1");
    CHECK_FALSE(batch.add(one, "2", 0600, {}).ok());  // never in the place of another
    CHECK(read_text(one) == "1");
  }
  CHECK_FALSE(std::filesystem::exists(folder / "d"));
  FileBatch batch;
  REQUIRE(batch.add(other, "kept", 0644, {}).ok());
  batch.keep();
  {
    FileBatch undone;
    REQUIRE(undone.set_aside(other).ok());
    CHECK_FALSE(std::filesystem::exists(other));
  }
  CHECK(read_text(other) == "kept");
  REQUIRE(batch.set_aside(other).ok());
  batch.keep();
  CHECK(std::filesystem::is_empty(folder / "."));
}

TEST_CASE("keys are taken out of a text, ids are not") {
  std::string id(32, 'a'), key(64, 'b');
  CHECK(redacted("id=" + id + " psk " + id + ":" + key + "\n") ==
        "id=" + id + " psk " + id + ":<redacted>\n");
  CHECK(redacted("a -----BEGIN EC PRIVATE KEY-----\nMIIE\n-----END EC PRIVATE KEY----- b") ==
        "a <redacted> b");
  CHECK(redacted("-----BEGIN PRIVATE KEY-----\ncut off") == "<redacted>");
  std::string open = "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n";
  CHECK(redacted(open) == open);
}

}  // namespace
}  // namespace holdfast
