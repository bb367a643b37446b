#include "common/config/key_facts.h"

#include "common/config/keys.h"

namespace holdfast {
namespace {

template <typename Section>
SectionFact facts_of(const SectionKeys<Section>& section) {
  SectionFact out{section.name, section.heading, section.text, section.example, section.note, {}};
  for (const Key<Section>& key : section.keys) {
    KeyFact fact;
    fact.key = section.name.empty() ? key.name : section.name + "." + key.name;
    fact.name = key.name;
    fact.type = key.value.type;
    if (key.required.empty()) {
      fact.default_value = key.value.show(section.defaults);
      if (fact.default_value == "[]") fact.default_value.clear();
    }
    fact.quoted = key.value.quoted;
    fact.least = key.value.least;
    fact.most = key.value.most;
    fact.words = key.value.words;
    fact.required = !key.required.empty();
    fact.reload = key.reload;
    fact.text = key.text;
    fact.absent = key.absent;
    fact.example = key.example;
    fact.in_use = key.in_use;
    out.keys.push_back(std::move(fact));
  }
  return out;
}

std::vector<KeyFact> flat(const std::vector<SectionFact>& sections) {
  std::vector<KeyFact> keys;
  for (const SectionFact& section : sections) {
    keys.insert(keys.end(), section.keys.begin(), section.keys.end());
  }
  return keys;
}

}  // namespace

std::vector<SectionFact> client_sections() {
  const Side side = Side::client;
  return {
      facts_of(top_keys(side)),        facts_of(client_link_keys()), facts_of(client_tls_keys()),
      facts_of(client_service_keys()), facts_of(nft_keys(side)),     facts_of(client_nft_keys()),
      facts_of(admin_keys(side)),      facts_of(limits_keys(side)),  facts_of(log_keys(side))};
}

std::vector<SectionFact> server_sections() {
  const Side side = Side::server;
  return {
      facts_of(top_keys(side)),       facts_of(server_link_keys()),    facts_of(server_tls_keys()),
      facts_of(server_client_keys()), facts_of(server_service_keys()), facts_of(nft_keys(side)),
      facts_of(admin_keys(side)),     facts_of(limits_keys(side)),     facts_of(log_keys(side))};
}

std::vector<KeyFact> client_keys() {
  std::vector<KeyFact> keys = flat(client_sections());
  const std::size_t size = keys.size();
  for (std::size_t i = 0; i < size; ++i) {
    if (!keys[i].key.starts_with("link.")) continue;
    KeyFact named = keys[i];
    named.key = "links.NAME." + named.key.substr(5);
    keys.push_back(std::move(named));
  }
  return keys;
}

std::vector<KeyFact> server_keys() {
  return flat(server_sections());
}

}  // namespace holdfast
