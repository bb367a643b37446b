#include "common/config/changes.h"

#include <algorithm>
#include <map>

#include "common/config/keys.h"

namespace holdfast {
namespace {

// A value of the config with its key.
struct Setting {
  std::string key;
  std::string section;  // the named section it belongs to, without a dot at its end, or ""
  std::string text;     // empty: not set
  ReloadEffect effect{};
};

// A config as a list of such values, the same keys in the same order for the same sections.
class Settings {
 public:
  // The keys of a section, which may be absent. `prefix` ends with a dot, or is empty.
  template <typename Section>
  void add(const SectionKeys<Section>& keys, const std::string& prefix, const Section* section,
           const std::string& named = "") {
    for (const Key<Section>& key : keys.keys) {
      list.push_back({prefix + key.name, named,
                      section != nullptr ? key.value.show(*section) : std::string(), key.reload});
    }
  }
  // Those of one that a name makes.
  template <typename Section>
  void add_named(const SectionKeys<Section>& keys, const std::string& name,
                 const Section& section) {
    sections.push_back(name);
    add(keys, name + ".", &section, name);
  }

  std::vector<Setting> list;
  std::vector<std::string> sections;
};

void add_agent(Settings& settings, Side side, const CommonConfig& config) {
  settings.add(top_keys(side), "", &config);
  settings.add(admin_keys(side), "admin.", &config.admin);
  settings.add(limits_keys(side), "limits.", &config.limits);
  settings.add(nft_keys(side), "nft.", &config.nft);
  settings.add(log_keys(side), "log.", &config.log);
}

const TlsConfig* tls_of(const std::optional<TlsConfig>& tls) {
  return tls ? &*tls : nullptr;
}

Settings settings_of(const ClientConfig& config) {
  Settings settings;
  add_agent(settings, Side::client, config);
  settings.add(client_nft_keys(), "nft.", &config.nft);
  for (const auto& [name, link] : config.links) {
    const std::string prefix = link_prefix(name);
    const std::string section = prefix.substr(0, prefix.size() - 1);
    settings.add_named(client_link_keys(), section, link);
    settings.add(client_tls_keys(), prefix + "tls.", tls_of(link.tls), section);
  }
  for (const auto& [name, service] : config.services) {
    settings.add_named(client_service_keys(), "services." + name, service);
  }
  return settings;
}

Settings settings_of(const ServerConfig& config) {
  Settings settings;
  add_agent(settings, Side::server, config);
  settings.add(server_link_keys(), "link.", &config.link);
  settings.add(server_tls_keys(), "link.tls.", tls_of(config.link.tls));
  for (const auto& [name, client] : config.clients) {
    settings.add_named(server_client_keys(), "clients." + name, client);
  }
  for (const auto& [name, service] : config.services) {
    settings.add_named(server_service_keys(), "services." + name, service);
  }
  return settings;
}

bool has(const std::vector<std::string>& list, const std::string& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

// The sections that only one of them has.
void compare_sections(const Settings& settings, const Settings& others, ReloadEffect effect,
                      std::vector<ConfigChange>& out) {
  for (const std::string& section : settings.sections) {
    if (!has(others.sections, section)) {
      out.push_back({section, "", "", effect, section, std::nullopt});
    }
  }
}

std::vector<ConfigChange> compare(const Settings& before, const Settings& after) {
  std::vector<ConfigChange> found;
  compare_sections(after, before, ReloadEffect::added, found);
  compare_sections(before, after, ReloadEffect::taken_away, found);
  std::map<std::string_view, const Setting*> old;
  for (const Setting& setting : before.list) old.emplace(setting.key, &setting);
  for (const Setting& setting : after.list) {
    const auto known = old.find(setting.key);
    if (known == old.end() || known->second->text == setting.text) continue;
    found.push_back({setting.key, known->second->text, setting.text, setting.effect,
                     setting.section, std::nullopt});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const ConfigChange& a, const ConfigChange& b) { return a.key < b.key; });
  return found;
}

// The values of `running` where a new one needs a restart.
template <typename Section>
void keep(const SectionKeys<Section>& keys, const Section& running, Section& wanted) {
  for (const Key<Section>& key : keys.keys) {
    if (key.reload == ReloadEffect::restart) key.value.copy(running, wanted);
  }
}

// The same of each section that both have, by their names.
template <typename Section>
void keep_named(const SectionKeys<Section>& keys, const std::map<std::string, Section>& running,
                std::map<std::string, Section>& wanted) {
  for (auto& [name, section] : wanted) {
    const auto known = running.find(name);
    if (known != running.end()) keep(keys, known->second, section);
  }
}

void keep_agent(Side side, const CommonConfig& running, CommonConfig& wanted) {
  keep(top_keys(side), running, wanted);
  keep(admin_keys(side), running.admin, wanted.admin);
  keep(limits_keys(side), running.limits, wanted.limits);
  keep(nft_keys(side), running.nft, wanted.nft);
  keep(log_keys(side), running.log, wanted.log);
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

std::vector<ConfigChange> changes(const ClientConfig& before, const ClientConfig& after) {
  return compare(settings_of(before), settings_of(after));
}

std::vector<ConfigChange> changes(const ServerConfig& before, const ServerConfig& after) {
  return compare(settings_of(before), settings_of(after));
}

ClientConfig until_restart(const ClientConfig& running, ClientConfig wanted) {
  keep_agent(Side::client, running, wanted);
  keep_named(client_link_keys(), running.links, wanted.links);
  keep_named(client_service_keys(), running.services, wanted.services);
  return wanted;
}

ServerConfig until_restart(const ServerConfig& running, ServerConfig wanted) {
  keep_agent(Side::server, running, wanted);
  keep(server_link_keys(), running.link, wanted.link);
  keep_named(server_client_keys(), running.clients, wanted.clients);
  keep_named(server_service_keys(), running.services, wanted.services);
  return wanted;
}

}  // namespace holdfast
