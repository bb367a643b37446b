#include "common/config/reference.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "common/config/key_facts.h"

namespace holdfast {
namespace {

constexpr std::size_t kWidth = 100;

constexpr const char* kComment = "# ";

// In lines that begin with `indent`. scdoc takes some letters at a line's begin for more than text.
std::string wrapped(const std::string& text, const std::string& indent) {
  std::istringstream words(text);
  std::string out, line;
  for (std::string word; words >> word;) {
    const bool breaks =
        line.size() + 1 + word.size() + indent.size() > kWidth &&
        (indent == kComment || std::string("[]|#-.;`").find(word.front()) == std::string::npos);
    if (breaks) {
      out += indent + line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  if (!line.empty()) out += indent + line + "\n";
  return out;
}

// Without the manual's marks: *drain* is `drain`, *[limits]* is [limits], \* is *.
std::string plain(const std::string& text) {
  std::string out;
  bool bold = false, quoted = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 1 < text.size()) {
      out += text[++at];
    } else if (text[at] == '*') {
      bold = !bold;
      if (bold) {
        const std::size_t end = text.find('*', at + 1);
        quoted = text[at + 1] != '[' && text.substr(end + 1, 1) != "(";
      }
      if (quoted) out += '`';
    } else {
      out += text[at];
    }
  }
  return out;
}

std::string listed(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string sentences(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (!part.empty()) text += (text.empty() ? "" : " ") + part;
  }
  return text;
}

std::string range_of(const KeyFact& key) {
  return key.least.empty() ? "" : "Range: " + key.least + " to " + key.most + ".";
}

std::string words_of(const KeyFact& key) {
  return key.words.empty() ? "" : "One of " + listed(key.words) + ".";
}

// What is so without the key.
std::string lead_of(const KeyFact& key) {
  if (key.required) return "Required.";
  if (!key.absent.empty()) return key.absent;
  return "Default: " + (key.default_value.empty() ? "none" : key.default_value) + ".";
}

// ---- Example files

std::string example_value(const KeyFact& key) {
  if (!key.example.empty()) return key.example;
  return key.quoted ? "\"" + key.default_value + "\"" : key.default_value;
}

std::string example_of(const KeyFact& key) {
  // A default that is shown need not be told.
  const bool told = key.required || !key.absent.empty() || !key.example.empty();
  const std::string text = sentences({key.required ? lead_of(key) : "", key.text, words_of(key),
                                      range_of(key), told && !key.required ? lead_of(key) : ""});
  return wrapped(plain(text), kComment) + (key.in_use ? "" : "#") + key.name + " = " +
         example_value(key) + "\n";
}

std::string commented(const std::string& note) {
  std::istringstream lines(note);
  std::string out;
  for (std::string line; std::getline(lines, line);)
    out += line.empty() ? "#\n" : "# " + line + "\n";
  return out;
}

// ---- Manual

// The lead of a key that both sides have.
std::string lead_of_both(const KeyFact& client, const KeyFact& server) {
  const std::string one = lead_of(client), other = lead_of(server);
  if (one == other) return one;
  const std::string begin = "Default: ";
  if (client.required && other.starts_with(begin)) {
    return "Required at the client. Default at the server: " + other.substr(begin.size());
  }
  if (client.default_value.empty() || server.default_value.empty()) {
    return "At the client: " + one + " At the server: " + other;
  }
  return "Default: " + client.default_value + " at the client, " + server.default_value +
         " at the server.";
}

std::string manual_entry(const KeyFact& key, const std::string& lead) {
  return "*" + key.name + "* = " + key.type + "\n" +
         wrapped(sentences({lead, range_of(key), words_of(key), key.text}), "\t") + "\t" +
         reload_words(key.reload) + "\n\n";
}

std::string manual_section(const SectionFact& section, const SectionFact* server = nullptr) {
  std::string out = "## " + section.heading + "\n\n";
  if (!section.text.empty()) out += wrapped(section.text, "") + "\n";
  for (std::size_t i = 0; i < section.keys.size(); ++i) {
    const KeyFact& key = section.keys[i];
    out += manual_entry(key, server != nullptr ? lead_of_both(key, server->keys[i]) : lead_of(key));
  }
  return out;
}

const SectionFact* find(const std::vector<SectionFact>& sections, const SectionFact& like) {
  // Sections of one name and heading are both sides' when they have the same keys.
  auto found = std::find_if(sections.begin(), sections.end(), [&](const SectionFact& each) {
    return each.name == like.name && each.heading == like.heading &&
           std::equal(each.keys.begin(), each.keys.end(), like.keys.begin(), like.keys.end(),
                      [](const KeyFact& a, const KeyFact& b) {
                        return a.name == b.name && a.text == b.text;
                      });
  });
  return found == sections.end() ? nullptr : &*found;
}

}  // namespace

std::string reload_words(ReloadEffect effect) {
  switch (effect) {
    case ReloadEffect::at_once:
      return "Reload: at once.";
    case ReloadEffect::new_connections:
      return "Reload: new connections.";
    case ReloadEffect::next_carrier:
      return "Reload: next carrier.";
    case ReloadEffect::listener:
      return "Reload: moves at once.";
    case ReloadEffect::nft:
      return "Reload: when the rules are applied again.";
    case ReloadEffect::restart:
      return "Reload: needs a restart.";
    case ReloadEffect::added:
    case ReloadEffect::taken_away:
      break;  // of sections
  }
  return "";
}

std::string example_file(Side side) {
  const std::string agent = side == Side::client ? "client" : "server";
  std::string out =
      "# holdfast-" + agent + ": every key, with its default and its meaning.\n#\n" +
      wrapped(
          "A line that starts with \"#\" and a key, without a space, shows a default or an "
          "example: remove the \"#\" to set it. Durations and sizes are strings with their "
          "unit: \"200ms\" \"30s\" \"5m\" \"1h\" \"7d\", \"512B\" \"64KiB\" \"256MiB\" \"1GiB\". "
          "Relative paths start at the folder of this file. Check a change with "
          "`holdfast-" +
              agent + " check -c FILE`.",
          kComment) +
      "#\n" +
      wrapped("conf.d/*.toml and " + agent +
                  ".d/*.toml beside this file are read, too: what stands there is added, and no "
                  "key may stand twice. holdfast.toml(5) has all of it.",
              kComment);
  for (const SectionFact& section : side == Side::client ? client_sections() : server_sections()) {
    out += "\n";
    if (!section.example.empty()) {
      out += wrapped(plain(section.text), kComment) + section.example + "\n";
    }
    const char* between = "";
    for (const KeyFact& key : section.keys) {
      out += between + example_of(key);
      between = "\n";
    }
    if (!section.note.empty()) out += "\n" + commented(section.note);
  }
  return out;
}

std::string manual_keys() {
  const std::vector<SectionFact> client = client_sections(), server = server_sections();
  std::string both, of_client, of_server;
  for (const SectionFact& section : client) {
    const SectionFact* other = find(server, section);
    (other != nullptr ? both : of_client) += manual_section(section, other);
  }
  for (const SectionFact& section : server) {
    if (find(client, section) == nullptr) of_server += manual_section(section);
  }
  return "# KEYS OF BOTH SIDES\n\n" + both + "# KEYS OF THE CLIENT\n\n" + of_client +
         "# KEYS OF THE SERVER\n\n" + of_server;
}

}  // namespace holdfast
