#include "common/agent/credentials.h"

#include <sys/prctl.h>

#include <algorithm>

#include "common/config/changes.h"
#include "common/config/files.h"
#include "common/config/psk.h"

namespace holdfast {
namespace {

constexpr std::size_t kMaxPemBytes = 1024 * 1024;  // as `check` allows

Result<TlsKey> load_key(const std::string& path, const std::string& name) {
  LoadedPsk loaded = load_psk_file(path);
  if (!loaded.psk) return Error{path + ": " + loaded.fault.reason};
  TlsKey key;
  key.id = loaded.psk->id;
  key.name = name;
  key.key = loaded.psk->key;
  return key;
}

Result<TlsPem> load_pem(const std::string& path, Privacy privacy) {
  auto file = read_file(path, kMaxPemBytes, privacy);
  if (auto* fault = std::get_if<FileFault>(&file)) return Error{fault->reason};
  return TlsPem{path, std::get<std::string>(std::move(file))};
}

Result<TlsFiles> load_files(const TlsConfig& config) {
  auto ca = load_pem(config.ca_file, Privacy::open);
  if (!ca) return ca.error();
  auto certificate = load_pem(config.cert_file, Privacy::open);
  if (!certificate) return certificate.error();
  auto key = load_pem(config.key_file, Privacy::secret);
  if (!key) return key.error();
  return TlsFiles{std::move(*ca), std::move(*certificate), std::move(*key)};
}

void wipe_files(std::optional<TlsFiles>& files) {
  if (files) wipe(files->key.text);
}

std::optional<TlsPem> pem_if_readable(const std::string& path, Privacy privacy) {
  auto file = read_file(path, kMaxPemBytes, privacy);
  auto* text = std::get_if<std::string>(&file);
  if (text == nullptr) return std::nullopt;
  return TlsPem{path, std::move(*text)};
}

const TlsTable::File& file_of(const TlsTable& table, CertificateFault::File file) {
  switch (file) {
    case CertificateFault::File::ca:
      return table.ca;
    case CertificateFault::File::certificate:
      return table.certificate;
    case CertificateFault::File::key:
      break;
  }
  return table.key;
}

// Where the file is named, as a report of its own numbers the config's files.
Place place_of(const TlsTable::File& file, Report& report) {
  Place place = file.place;
  place.file = file.config == report.file() ? 0 : report.add_file(file.config);
  return place;
}

// What only the whole shows: OpenSSL itself is asked, as the start of the agent does.
void try_context(CertificateFiles& files, const Place& place, Report& report) {
  if (report.failed() || !files.ca || !files.certificate || !files.key) return;
  TlsClientOptions options;
  options.files =
      TlsFiles{std::move(*files.ca), std::move(*files.certificate), std::move(*files.key)};
  auto made = make_tls_client(options);
  if (!made) report.error(place, made.error().message);
  wipe(options.files->key.text);
  files.key.reset();
}

void check_table(const TlsTable& table, Report& report) {
  CertificateFiles files{pem_if_readable(table.ca.path, Privacy::open),
                         pem_if_readable(table.certificate.path, Privacy::open),
                         pem_if_readable(table.key.path, Privacy::secret)};
  for (CertificateFault& fault : check_certificate_files(files, std::time(nullptr))) {
    const Place place = place_of(file_of(table, fault.file), report);
    if (fault.warning) {
      report.warning(place, std::move(fault.reason), std::move(fault.hint));
    } else {
      report.error(place, std::move(fault.reason), std::move(fault.hint));
    }
  }
  try_context(files, place_of(table.certificate, report), report);
  if (files.key) wipe(files.key->text);
}

// Of a file's text: tells whether it is another one, no more.
std::string mark_of(const std::string& text) {
  return std::to_string(std::hash<std::string>{}(text));
}

template <typename Credentials>
void note_files(const TlsFiles& files, const std::string& prefix, Credentials& credentials) {
  auto note = [&](const std::string& key, const TlsPem& pem) {
    credentials.marks[prefix + key] = mark_of(pem.text);
    if (auto end = end_of_certificates(pem)) credentials.ends[prefix + key] = *end;
  };
  note("tls.ca_file", files.ca);
  note("tls.cert_file", files.certificate);
}

Result<std::unique_ptr<TlsContext>> client_tls(const std::string& name, const std::string& prefix,
                                               const ClientLinkConfig& link,
                                               ClientCredentials& credentials) {
  if (link.unsafe_plaintext) return std::unique_ptr<TlsContext>();
  TlsClientOptions options;
  if (link.psk_file) {
    auto key = load_key(*link.psk_file, name);
    if (!key) return key.error();
    options.key = *key;
    credentials.marks[prefix + "psk_file"] = key->id;
  } else if (link.tls) {
    auto files = load_files(*link.tls);
    if (!files) return files.error();
    options.files = std::move(*files);
    options.server_name = link.tls->server_name.value_or(link.server.front().host);
    note_files(*options.files, prefix, credentials);
  }
  if (link.sni) options.sni = *link.sni == kNoSni ? "" : *link.sni;
  auto context = make_tls_client(options);
  wipe_files(options.files);
  return context;
}

// Every client's key.
Status load_keys(const ServerConfig& config, std::vector<TlsKey>& keys,
                 ServerCredentials& credentials) {
  for (const auto& [name, peer] : config.clients) {
    if (!peer.psk_file) continue;
    auto key = load_key(*peer.psk_file, name);
    if (!key) return key.error();
    credentials.key_ids[name] = key->id;
    credentials.marks["clients." + name + ".psk_file"] = key->id;
    keys.push_back(*key);
  }
  return Ok{};
}

}  // namespace

bool ClientCredentials::any() const {
  return std::any_of(tls.begin(), tls.end(),
                     [](const auto& link) { return link.second != nullptr; });
}

Result<ClientCredentials> load_credentials(const ClientConfig& config) {
  ClientCredentials credentials;
  for (const auto& [name, link] : config.links) {
    auto tls = client_tls(config.name, link_prefix(name), link, credentials);
    if (!tls) return tls.error();
    credentials.tls[name] = std::move(*tls);
  }
  return credentials;
}

Result<ServerCredentials> load_credentials(const ServerConfig& config) {
  ServerCredentials credentials;
  if (config.link.unsafe_plaintext) return credentials;
  TlsServerOptions options;
  Status loaded = load_keys(config, options.keys, credentials);
  if (loaded && config.link.tls) {
    auto files = load_files(*config.link.tls);
    if (files) options.files = std::move(*files);
    if (!files) loaded = files.error();
  }
  if (!loaded) return loaded.error();
  if (options.files) note_files(*options.files, "link.", credentials);
  std::vector<std::string> names;
  for (const auto& [name, peer] : config.clients) names.push_back(name);
  options.client_of = [names](const std::vector<std::string>& proved) {
    auto known = std::find_first_of(proved.begin(), proved.end(), names.begin(), names.end());
    return known == proved.end() ? std::nullopt : std::optional<std::string>(*known);
  };
  Result<std::unique_ptr<TlsContext>> context = make_tls_server(options);
  wipe_files(options.files);
  if (!context) return context.error();
  credentials.tls = std::move(*context);
  return credentials;
}

std::vector<Problem> check_certificates(const std::vector<TlsTable>& tables,
                                        const std::string& file) {
  std::vector<Problem> problems;
  for (const TlsTable& table : tables) {
    Report report(file);
    check_table(table, report);
    for (Problem& problem : report.take()) problems.push_back(std::move(problem));
  }
  return problems;
}

std::int64_t days_until(std::int64_t epoch_s) {
  return std::max<std::int64_t>(epoch_s - std::time(nullptr), 0) / (24 * 3600);
}

void protect_memory() {
  prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace holdfast
