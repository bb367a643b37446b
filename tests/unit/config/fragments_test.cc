// A config out of several files: which are read, how they are merged, and what is told of each.
#include "common/config/load.h"
#include "common/config/problem_order.h"
#include "common/config/text_guard.h"
#include "tests/unit/config/support.h"

namespace holdfast {
namespace {

using test::Expected;
using test::Folder;
using test::of_severity;
using test::require_one;

const std::string kMain =
    "name = \"edge-1\"\n"             // 1
    "[link]\n"                        // 2
    "server = \"h:1\"\n"              // 3
    "unsafe_plaintext = true\n"       // 4
    "[services.db]\n"                 // 5
    "listen = \"127.0.0.1:5432\"\n";  // 6

std::string service(const std::string& name, int port) {
  return "[services." + name + "]\nlisten = \"127.0.0.1:" + std::to_string(port) + "\"\n";
}

// A main file of that text, with both folders of fragments beside it.
struct Site {
  Folder folder;
  std::string main;
  explicit Site(const std::string& text = kMain) : main(folder.write("client.toml", text)) {
    folder.make_folder("conf.d");
    folder.make_folder("client.d");
  }
  LoadedClient load() const { return load_client_config(main); }
};

std::vector<std::string> services_of(const LoadedClient& loaded) {
  INFO(format_problems(loaded.problems));
  REQUIRE(loaded.config.has_value());
  std::vector<std::string> names;
  for (const auto& [name, service] : loaded.config->services) names.push_back(name);
  return names;
}

// One error, of that file.
void require_error(const LoadedClient& loaded, const std::string& file, const Expected& expected) {
  CHECK_FALSE(loaded.config.has_value());
  require_one(loaded.problems, Severity::error, expected);
  CHECK(of_severity(loaded.problems, Severity::error)[0].file == file);
}

TEST_CASE("fragments of both folders are added to the main file") {
  const Site site;
  site.folder.write("conf.d/a.toml", "[log]\nlevel = \"debug\"\n");
  site.folder.write("client.d/b.toml", service("ssh", 2222));
  site.folder.write("client.d/a.toml", "[services.db]\nlink = \"default\"\n" + service("web", 80));
  const LoadedClient loaded = site.load();
  CHECK(services_of(loaded) == std::vector<std::string>{"db", "ssh", "web"});
  CHECK(loaded.config->log.level == LogLevel::debug);
  const std::string folder = site.folder.path();
  CHECK(loaded.fragments == std::vector<std::string>{folder + "/conf.d/a.toml",
                                                     folder + "/client.d/a.toml",
                                                     folder + "/client.d/b.toml"});
}

TEST_CASE("a folder of another config beside it is not read") {
  const Site site;
  site.folder.make_folder("server.d");
  site.folder.write("server.d/a.toml", "[clients.a]\n");
  CHECK(site.load().fragments.empty());
}

TEST_CASE("a config named conf reads its folder once") {
  const Folder folder;
  folder.make_folder("conf.d");
  folder.write("conf.d/a.toml", service("ssh", 2222));
  const LoadedClient loaded = load_client_config(folder.write("conf.toml", kMain));
  CHECK(services_of(loaded) == std::vector<std::string>{"db", "ssh"});
}

TEST_CASE("a relative path in a fragment starts at the folder of the main file") {
  const Site site;
  site.folder.write("client.d/a.toml", "[log]\nfile = \"x.log\"\n");
  const LoadedClient loaded = site.load();
  REQUIRE(loaded.config.has_value());
  CHECK(loaded.config->log.file == site.folder.path() + "/x.log");
}

TEST_CASE("a key that stands twice names both places, and each further mistake is told") {
  const Site site;
  const std::string a = site.folder.write("conf.d/a.toml", "[log]\nlevel = \"warn\"\n");
  const std::string b = site.folder.write(
      "client.d/b.toml", "[log]\nlevel = \"info\"\nformat = \"loud\"\n" + service("db", 1));
  const LoadedClient loaded = site.load();
  CHECK_FALSE(loaded.config.has_value());
  const std::vector<Problem> errors =
      of_severity(in_reading_order(loaded.problems), Severity::error);
  INFO(format_problems(loaded.problems));
  REQUIRE(errors.size() == 3);
  for (const Problem& error : errors) CHECK(error.file == b);
  CHECK(errors[0].key == "log.level");
  CHECK(errors[0].line == 2);
  CHECK(errors[0].reason == "it stands in " + a + ":2 already");
  CHECK(errors[1].key == "log.format");
  CHECK(errors[2].key == "services.db.listen");
  CHECK(errors[2].reason == "it stands in " + site.main + ":6 already");
}

TEST_CASE("a table in one file and a value in another is a key that stands twice") {
  const Site site;
  const std::string a = site.folder.write("conf.d/a.toml", "services = 5\n");
  require_error(site.load(), a, {1, "services", "it stands in " + site.main + ":5", "keep one"});
}

TEST_CASE("messages name the fragment and its line") {
  const Site site;
  const std::string a = site.folder.write("conf.d/a.toml", "\n\n[log]\nlevel = \"loud\"\n");
  require_error(site.load(), a, {4, "log.level", "not one of", ""});
  site.folder.write("conf.d/a.toml", service("ssh", 5432));
  require_error(
      site.load(), a,
      {2, "services.ssh.listen", "taken by services.db.listen (" + site.main + ":6)", ""});
  site.folder.write("conf.d/a.toml", "[clients.a]\n");
  require_error(site.load(), a, {1, "clients", "unknown key", "a folder of its own"});
}

TEST_CASE("a syntax error ends its file, the others are checked and nothing is called missing") {
  const Site site(service("db", 5432));  // name and link stand in the broken file, maybe
  const std::string a = site.folder.write("conf.d/a.toml", "name = \"edge-1\n");
  const std::string b = site.folder.write("conf.d/b.toml", "[log]\nlevel = 5\n");
  const std::vector<Problem> problems = site.load().problems;
  INFO(format_problems(problems));
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].file == a);
  CHECK(problems[0].line == 1);
  CHECK(problems[1].file == b);
  CHECK(problems[1].line == 2);
  CHECK(problems[1].key == "log.level");
}

TEST_CASE("a syntax error in the main file leaves the fragments to be checked") {
  const Site site("name = \n");
  const std::string a = site.folder.write("conf.d/a.toml", "[log]\nlevel = 5\n");
  const std::vector<Problem> problems = site.load().problems;
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].file == site.main);
  CHECK(problems[1].file == a);
}

TEST_CASE("hidden files, backups and other names are not read") {
  const Site site;
  for (const char* name : {".hidden.toml", ".#lock.toml", "a.toml~", "#a.toml#", "a.toml.bak",
                           ".a.toml.swp", "a.toml.dpkg-old", "README", "a.conf", ".toml"}) {
    site.folder.write(std::string("conf.d/") + name, "not toml at all");
  }
  const LoadedClient loaded = site.load();
  CHECK(loaded.config.has_value());
  CHECK(loaded.fragments.empty());
}

TEST_CASE("what looks like a fragment and cannot be read is an error of that file") {
  const Site site;
  const std::string folder = site.folder.make_folder("conf.d/x.toml");
  require_error(site.load(), folder, {0, "", "is a folder", "remove or rename it"});
  REQUIRE(rmdir(folder.c_str()) == 0);
  REQUIRE(symlink("nowhere", folder.c_str()) == 0);
  require_error(site.load(), folder, {0, "", "No such file", "remove or rename it"});
  REQUIRE(unlink(folder.c_str()) == 0);
  REQUIRE(mkfifo(folder.c_str(), 0600) == 0);
  require_error(site.load(), folder, {0, "", "not a regular file", "remove or rename it"});
  REQUIRE(unlink(folder.c_str()) == 0);
  const std::string other = site.folder.write("ssh", service("ssh", 2222));
  REQUIRE(symlink(other.c_str(), folder.c_str()) == 0);
  CHECK(services_of(site.load()) == std::vector<std::string>{"db", "ssh"});
}

TEST_CASE("a folder of fragments that is none is an error") {
  const Folder folder;
  const std::string main = folder.write("client.toml", kMain);
  const std::string file = folder.write("client.d", "");
  require_error(load_client_config(main), file,
                {0, "", "Not a directory", "a folder of fragments"});
  REQUIRE(unlink(file.c_str()) == 0);
  REQUIRE(symlink("nowhere", file.c_str()) == 0);
  require_error(load_client_config(main), file, {0, "", "No such file", "a folder of fragments"});
}

// Root reads everything, so it is somebody else meanwhile.
class Somebody {
 public:
  Somebody() : root_(geteuid() == 0) {
    if (root_) REQUIRE(seteuid(65534) == 0);
  }
  Somebody(const Somebody&) = delete;
  Somebody& operator=(const Somebody&) = delete;
  ~Somebody() {
    if (root_ && seteuid(0) != 0) std::abort();
  }

 private:
  bool root_;
};

TEST_CASE("a fragment or folder that the user may not read is a permission problem") {
  const Site site;
  REQUIRE(chmod(site.folder.path().c_str(), 0755) == 0);
  REQUIRE(chmod(site.main.c_str(), 0644) == 0);
  const std::string a = site.folder.write("conf.d/a.toml", "", 0);
  const auto load = [&] {
    const Somebody somebody;
    return site.load();
  };
  LoadedClient loaded = load();
  require_error(loaded, a, {0, "", "Permission denied", ""});
  CHECK(exit_code(loaded.problems) == 77);
  REQUIRE(chmod((site.folder.path() + "/conf.d").c_str(), 0) == 0);
  loaded = load();
  require_error(loaded, site.folder.path() + "/conf.d", {0, "", "Permission denied", "r-x"});
  CHECK(exit_code(loaded.problems) == 77);
  REQUIRE(chmod((site.folder.path() + "/conf.d").c_str(), 0755) == 0);
}

TEST_CASE("all files together have a bound, and none is read beyond it") {
  const Site site;
  const std::string half = "#" + std::string(kMaxConfigBytes / 2, 'x') + "\n";
  site.folder.write("conf.d/a.toml", half);
  CHECK(site.load().config.has_value());
  const std::string b = site.folder.write("conf.d/b.toml", half);
  site.folder.write("conf.d/c.toml", "also wrong");
  require_error(site.load(), b, {0, "", "is larger than 1048576 bytes", "is not read"});
}

TEST_CASE("there is a bound to the number of fragments") {
  const Site site;
  for (std::size_t i = 0; i < kMaxFragments; ++i) {
    site.folder.write("conf.d/" + std::to_string(10'000 + i) + ".toml", "");
  }
  CHECK(site.load().fragments.size() == kMaxFragments);
  const std::string last = site.folder.write("client.d/z.toml", "");
  require_error(site.load(), last, {0, "", "more than 4096 fragments", ""});
}

TEST_CASE("each file is looked over before it is parsed") {
  const Site site;
  const std::string a =
      site.folder.write("conf.d/a.toml", "x = \"" + std::string(1, '\x01') + "\"");
  const LoadedClient control = site.load();
  REQUIRE(control.problems.size() == 2);  // beside it the warning of plaintext
  CHECK(control.problems[1].file == a);
  site.folder.write("conf.d/a.toml", "x = " + std::string(2000, '['));
  CHECK(site.load().problems.size() == 2);
}

TEST_CASE("without secrets to look at, fragments are read all the same") {
  const Site site("name = \"e\"\n");
  site.folder.write("conf.d/a.toml", "[link]\nserver = \"h:1\"\npsk_file = \"none\"\n");
  CHECK_FALSE(site.load().config.has_value());
  CHECK(load_client_config(site.main, Environment::ignored).config.has_value());
}

}  // namespace
}  // namespace holdfast
