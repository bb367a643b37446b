#include "common/config/changes.h"

#include <algorithm>
#include <map>

#include "common/base/check.h"
#include "common/config/units.h"

namespace holdfast {
namespace {

struct KeyEffect {
  std::string_view pattern;
  ReloadEffect effect;
};

// What both sides have. Places in a process that a reload does not build anew need a restart.
constexpr KeyEffect kCommon[] = {
    {"name", ReloadEffect::restart},
    {"threads", ReloadEffect::restart},
    {"shutdown_timeout", ReloadEffect::at_once},
    {"admin.socket", ReloadEffect::restart},
    {"admin.metrics", ReloadEffect::restart},
    {"admin.group", ReloadEffect::restart},
    {"limits.memory", ReloadEffect::restart},
    {"limits.connections", ReloadEffect::restart},
    {"nft.table", ReloadEffect::nft},
    {"nft.mark", ReloadEffect::nft},
    {"nft.route_table", ReloadEffect::nft},
    {"log.level", ReloadEffect::at_once},
    {"log.format", ReloadEffect::restart},
    {"log.connection_lines", ReloadEffect::at_once},
    {"log.file", ReloadEffect::restart},
    {"log.trace_file", ReloadEffect::restart},
};

constexpr KeyEffect kClient[] = {
    {"nft.exclude", ReloadEffect::nft},
    {"link.server", ReloadEffect::next_carrier},
    {"link.psk_file", ReloadEffect::next_carrier},
    {"link.tls.ca_file", ReloadEffect::next_carrier},
    {"link.tls.cert_file", ReloadEffect::next_carrier},
    {"link.tls.key_file", ReloadEffect::next_carrier},
    {"link.tls.server_name", ReloadEffect::next_carrier},
    {"link.unsafe_plaintext", ReloadEffect::next_carrier},
    {"link.heartbeat", ReloadEffect::next_carrier},
    {"link.dead_after", ReloadEffect::next_carrier},
    {"link.handshake_timeout", ReloadEffect::next_carrier},
    {"link.max_window", ReloadEffect::at_once},
    {"link.open_timeout", ReloadEffect::new_connections},
    {"link.congestion_control", ReloadEffect::next_carrier},
    {"link.parallel", ReloadEffect::new_connections},
    {"services.*.listen", ReloadEffect::listener},
    {"services.*.link", ReloadEffect::new_connections},
    {"services.*.mode", ReloadEffect::listener},
    {"services.*.match", ReloadEffect::new_connections},
    {"services.*.travel", ReloadEffect::new_connections},
    {"services.*.mirror", ReloadEffect::at_once},
    {"services.*.accept_proxy", ReloadEffect::new_connections},
    {"services.*.accept_proxy_from", ReloadEffect::new_connections},
};

constexpr KeyEffect kServer[] = {
    {"link.listen", ReloadEffect::listener},
    {"link.grace", ReloadEffect::next_carrier},
    {"link.congestion_control", ReloadEffect::next_carrier},
    {"link.tls.ca_file", ReloadEffect::next_carrier},
    {"link.tls.cert_file", ReloadEffect::next_carrier},
    {"link.tls.key_file", ReloadEffect::next_carrier},
    {"link.unsafe_plaintext", ReloadEffect::next_carrier},
    {"link.heartbeat", ReloadEffect::next_carrier},
    {"link.dead_after", ReloadEffect::next_carrier},
    {"link.handshake_timeout", ReloadEffect::next_carrier},
    {"link.max_window", ReloadEffect::at_once},
    {"link.open_timeout", ReloadEffect::new_connections},
    {"clients.*.psk_file", ReloadEffect::next_carrier},
    {"clients.*.services", ReloadEffect::new_connections},
    {"clients.*.allow", ReloadEffect::new_connections},
    {"clients.*.source", ReloadEffect::new_connections},
    {"clients.*.sources", ReloadEffect::new_connections},
    {"clients.*.links", ReloadEffect::at_once},
    {"clients.*.connections", ReloadEffect::next_carrier},
    {"clients.*.memory", ReloadEffect::at_once},
    {"services.*.target", ReloadEffect::new_connections},
    {"services.*.grace", ReloadEffect::next_carrier},
    {"services.*.connect_timeout", ReloadEffect::new_connections},
    {"services.*.send_proxy", ReloadEffect::new_connections},
    {"services.*.source", ReloadEffect::new_connections},
    {"services.*.mirror", ReloadEffect::at_once},
    {"services.*.check_interval", ReloadEffect::at_once},
};

template <std::size_t size>
const KeyEffect* find_pattern(const KeyEffect (&table)[size], std::string_view pattern) {
  auto found = std::find_if(std::begin(table), std::end(table),
                            [&](const KeyEffect& each) { return each.pattern == pattern; });
  return found == std::end(table) ? nullptr : found;
}

// A value of the config with its key, and the key with * for names.
struct Value {
  std::string key;
  std::string pattern;
  std::string section;  // the named section it belongs to, or ""
  std::string text;     // empty: not set
};

// A config as a list of such values, the same keys in the same order for the same sections.
class Values {
 public:
  // Keys that follow are below `key`; `section` where that is a name's own.
  void below(std::string key, std::string pattern, bool section) {
    key_ = std::move(key);
    pattern_ = std::move(pattern);
    section_ = section ? key_ : "";
    if (section) sections.push_back(key_);
  }
  void add(const std::string& key, std::string text) {
    list.push_back({key_ + key, pattern_ + key, section_, std::move(text)});
  }
  void add(const std::string& key, Duration value) { add(key, format_duration(value)); }
  void add(const std::string& key, bool value) { add(key, std::string(value ? "true" : "false")); }
  void add(const std::string& key, const char* value) { add(key, std::string(value)); }
  void add_size(const std::string& key, std::uint64_t value) { add(key, format_size(value)); }
  void add_count(const std::string& key, std::uint64_t value) { add(key, std::to_string(value)); }
  template <typename T>
  void add(const std::string& key, const std::optional<T>& value) {
    value ? add(key, *value) : add(key, std::string());
  }
  template <typename List>
  void add_list(const std::string& key, const List& values) {
    std::string text;
    for (const auto& value : values) {
      if (!text.empty()) text += ", ";
      text += shown(value);
    }
    add(key, "[" + text + "]");
  }

  std::vector<Value> list;
  std::vector<std::string> sections;

 private:
  static const std::string& shown(const std::string& value) { return value; }
  template <typename T>
  static std::string shown(const T& value) {
    return to_string(value);
  }

  std::string key_;
  std::string pattern_;
  std::string section_;
};

template <typename Config>
void add_common(Values& values, const Config& config) {
  values.below("", "", false);
  values.add("name", config.name);
  values.add_count("threads", config.threads);
  values.add("shutdown_timeout", config.shutdown_timeout);
  values.add("admin.socket", config.admin.socket);
  values.add("admin.metrics", config.admin.metrics ? to_string(*config.admin.metrics) : "");
  values.add("admin.group", config.admin.group);
  values.add_size("limits.memory", config.limits.memory);
  values.add_count("limits.connections", config.limits.connections);
  values.add("nft.table", config.nft.table);
  values.add_count("nft.mark", config.nft.mark);
  values.add_count("nft.route_table", config.nft.route_table);
  values.add("log.level", to_string(config.log.level));
  values.add("log.format", to_string(config.log.format));
  values.add_count("log.connection_lines", config.log.connection_lines);
  values.add("log.file", config.log.file);
  values.add("log.trace_file", config.log.trace_file);
}

void add_tls(Values& values, const std::optional<TlsConfig>& tls, bool client) {
  values.add("tls.ca_file", tls ? tls->ca_file : "");
  values.add("tls.cert_file", tls ? tls->cert_file : "");
  values.add("tls.key_file", tls ? tls->key_file : "");
  if (client) values.add("tls.server_name", tls ? tls->server_name : std::nullopt);
}

Values values_of(const ClientConfig& config) {
  Values values;
  add_common(values, config);
  values.add_list("nft.exclude", config.nft.exclude);
  for (const auto& [name, link] : config.links) {
    values.below(link_prefix(name), "link.", true);
    values.add_list("server", link.server);
    values.add("psk_file", link.psk_file);
    add_tls(values, link.tls, true);
    values.add("unsafe_plaintext", link.unsafe_plaintext);
    values.add("heartbeat", link.heartbeat);
    values.add("dead_after", link.dead_after);
    values.add("handshake_timeout", link.handshake_timeout);
    values.add_size("max_window", link.max_window);
    values.add("open_timeout", link.open_timeout);
    values.add("congestion_control", link.congestion_control);
    values.add_count("parallel", link.parallel);
  }
  for (const auto& [name, service] : config.services) {
    values.below("services." + name + ".", "services.*.", true);
    values.add("listen", to_string(service.listen));
    values.add("link", service.link);
    values.add("mode", to_string(service.mode));
    values.add_list("match", service.match);
    values.add("travel", service.travel);
    values.add("mirror", service.mirror);
    values.add("accept_proxy", service.accept_proxy);
    values.add_list("accept_proxy_from", service.accept_proxy_from);
  }
  return values;
}

Values values_of(const ServerConfig& config) {
  Values values;
  add_common(values, config);
  values.below("link.", "link.", false);
  values.add_list("listen", config.link.listen);
  values.add("grace", config.link.grace);
  add_tls(values, config.link.tls, false);
  values.add("unsafe_plaintext", config.link.unsafe_plaintext);
  values.add("heartbeat", config.link.heartbeat);
  values.add("dead_after", config.link.dead_after);
  values.add("handshake_timeout", config.link.handshake_timeout);
  values.add_size("max_window", config.link.max_window);
  values.add("open_timeout", config.link.open_timeout);
  values.add("congestion_control", config.link.congestion_control);
  for (const auto& [name, peer] : config.clients) {
    values.below("clients." + name + ".", "clients.*.", true);
    values.add("psk_file", peer.psk_file);
    values.add_list("services", peer.services);
    values.add_list("allow", peer.allow);
    values.add("source", to_string(peer.source));
    peer.sources ? values.add_list("sources", *peer.sources) : values.add("sources", "");
    values.add("links", peer.links ? std::to_string(*peer.links) : "");
    values.add("connections", peer.connections ? std::to_string(*peer.connections) : "");
    values.add("memory", peer.memory ? format_size(*peer.memory) : "");
  }
  for (const auto& [name, service] : config.services) {
    values.below("services." + name + ".", "services.*.", true);
    values.add("target", to_string(service.target));
    values.add("grace", service.grace);
    values.add("connect_timeout", service.connect_timeout);
    values.add("send_proxy", to_string(service.send_proxy));
    values.add("source", to_string(service.source));
    values.add("mirror", service.mirror);
    values.add("check_interval", service.check_interval);
  }
  return values;
}

bool has(const std::vector<std::string>& list, const std::string& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

// The sections that only one of them has, without the dot at their end.
void compare_sections(const Values& values, const Values& others, ReloadEffect effect,
                      std::vector<ConfigChange>& out) {
  for (const std::string& section : values.sections) {
    if (!has(others.sections, section)) {
      std::string name = section.substr(0, section.size() - 1);
      out.push_back({name, "", "", effect, name, std::nullopt});
    }
  }
}

template <typename EffectOf>
std::vector<ConfigChange> compare(const Values& before, const Values& after, EffectOf effect_of) {
  std::vector<ConfigChange> found;
  compare_sections(after, before, ReloadEffect::added, found);
  compare_sections(before, after, ReloadEffect::taken_away, found);
  std::map<std::string_view, const Value*> old;
  for (const Value& value : before.list) old.emplace(value.key, &value);
  for (const Value& value : after.list) {
    auto known = old.find(value.key);
    if (known == old.end() || known->second->text == value.text) continue;
    auto effect = effect_of(value.pattern);
    HOLDFAST_CHECK(effect.has_value());
    std::string section = value.section.substr(0, value.section.size() - !value.section.empty());
    found.push_back(
        {value.key, known->second->text, value.text, *effect, std::move(section), std::nullopt});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const ConfigChange& a, const ConfigChange& b) { return a.key < b.key; });
  return found;
}

template <typename Config>
Config keep(const Config& running, Config wanted) {
  wanted.name = running.name;
  wanted.threads = running.threads;
  wanted.admin = running.admin;
  wanted.limits = running.limits;
  LogLevel level = wanted.log.level;
  wanted.log = running.log;
  wanted.log.level = level;
  return wanted;
}

template <std::size_t size>
std::optional<ReloadEffect> effect_in(const KeyEffect (&table)[size], std::string_view pattern) {
  const KeyEffect* found = find_pattern(table, pattern);
  if (found == nullptr) found = find_pattern(kCommon, pattern);
  return found == nullptr ? std::nullopt : std::optional(found->effect);
}

}  // namespace

std::string link_prefix(const std::string& link) {
  return link == kDefaultLinkName ? "link." : "links." + link + ".";
}

std::string_view to_string(ReloadEffect effect) {
  switch (effect) {
    case ReloadEffect::at_once:
      return "at once";
    case ReloadEffect::new_connections:
      return "for new connections; live ones stay as they are";
    case ReloadEffect::next_carrier:
      return "from each link's next carrier on; the present one stays";
    case ReloadEffect::listener:
      return "listens there instead; live connections stay";
    case ReloadEffect::added:
      return "added";
    case ReloadEffect::taken_away:
      return "taken away: nothing new is accepted; what lives stays unless it is revoked";
    case ReloadEffect::nft:
      return "when `nft --apply` is run again";
    case ReloadEffect::restart:
      return "needs a restart; until then the old value stands";
  }
  return "invalid";
}

std::optional<ReloadEffect> client_reload_effect(std::string_view pattern) {
  return effect_in(kClient, pattern);
}

std::optional<ReloadEffect> server_reload_effect(std::string_view pattern) {
  return effect_in(kServer, pattern);
}

std::vector<ConfigChange> changes(const ClientConfig& before, const ClientConfig& after) {
  return compare(values_of(before), values_of(after), client_reload_effect);
}

std::vector<ConfigChange> changes(const ServerConfig& before, const ServerConfig& after) {
  return compare(values_of(before), values_of(after), server_reload_effect);
}

ClientConfig until_restart(const ClientConfig& running, ClientConfig wanted) {
  return keep(running, std::move(wanted));
}

ServerConfig until_restart(const ServerConfig& running, ServerConfig wanted) {
  return keep(running, std::move(wanted));
}

}  // namespace holdfast
