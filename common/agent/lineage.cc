#include "common/agent/lineage.h"

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>
#include <variant>

#include "common/io/loop.h"
#include "common/io/passed_sockets.h"
#include "common/io/secure_random.h"
#include "common/state/memfd_memory.h"

namespace holdfast {

std::optional<KeptConfig> kept_config(const Page& page) {
  Inheritance found = inheritance_of(page);
  if (!found.state) return std::nullopt;
  auto root = OldRoot::open(found.state->descriptor);
  if (!root) return std::nullopt;
  KeptConfig kept;
  for (ConfigFile& each : root->config()) {
    kept.sources.push_back({std::move(each.path), std::move(each.text)});
  }
  if (kept.sources.empty()) return std::nullopt;
  if (found.config_from_file) kept.use = KeptConfig::Use::if_the_files_have_errors;
  return kept;
}

namespace {

template <typename Choice>
std::uint32_t stored(Choice choice) {
  return 1 + static_cast<std::uint32_t>(choice);
}

}  // namespace

Lineage::Lineage(Page& page, const StateOwner& owner)
    : page_(page), inheritance_(inheritance_of(page)), start_id_(random_u64()) {
  // Nobody was here before: what is open is whoever's started it.
  if (inheritance_.reason != StartReason::first) {
    int root = inheritance_.state ? inheritance_.state->descriptor : -1;
    std::vector<int> not_its(page.started_with, page.started_with + page.started_with_count);
    for (int each : passed_descriptors()) not_its.push_back(each);
    relics_ = Relics::take(root, owner, not_its);
    objection_ = relics_->objection();
    if (inheritance_.discarded) objection_ = "too many processes died before they could use it";
    if (!relics_->usable()) relics_.reset();
  }
  if (relics_ != nullptr) start_id_ = relics_->start_id();
  root_ = Root::make(owner, start_id_);
  if (root_ == nullptr) refusal_ = errno;
  bool died = inheritance_.reason == StartReason::killed ||
              inheritance_.reason == StartReason::crashed ||
              inheritance_.reason == StartReason::orphaned;
  if (relics_ != nullptr && died) take_wishes();
}

void Lineage::take_wishes() {
  for (DrainUntil each : {DrainUntil::timeout, DrainUntil::empty}) {
    if (relics_->root().drain() == stored(each)) keep_drain(each);
  }
  for (LogLevel each :
       {LogLevel::error, LogLevel::warn, LogLevel::info, LogLevel::debug, LogLevel::trace}) {
    if (relics_->root().log_level_and_one() == stored(each)) keep_log_level(each);
  }
  keep_held_down(relics_->root().held_down());
}

Lineage::~Lineage() = default;

MakeRegionMemory Lineage::make_state() {
  return root_ != nullptr ? root_->make_regions() : MakeRegionMemory(make_state_memory);
}

void Lineage::keep_config(const std::vector<ConfigSource>& sources) {
  if (root_ == nullptr) return;
  std::vector<ConfigFile> files;
  for (const ConfigSource& each : sources) {
    const auto* text = std::get_if<std::string>(&each.content);
    if (text != nullptr) files.push_back({each.path, *text});
  }
  root_->write_config(files);
}

void Lineage::keep_drain(std::optional<DrainUntil> drain) {
  drain_ = drain;
  if (root_ != nullptr) root_->set_drain(drain ? stored(*drain) : 0);
}

void Lineage::keep_log_level(std::optional<LogLevel> level) {
  log_level_ = level;
  if (root_ != nullptr) root_->set_log_level(level ? stored(*level) : 0);
}

void Lineage::keep_held_down(const std::vector<std::string>& links) {
  held_down_ = links;
  if (root_ != nullptr) root_->set_held_down(links);
}

// Without a root, or with a part where nobody finds it, the next process begins as a first one.
void Lineage::commit() {
  std::uint32_t generation = inheritance_.state ? inheritance_.state->generation + 1 : 1;
  bool whole = root_ != nullptr && root_->complete();
  std::uint64_t word = whole ? encoded({root_->descriptor(), generation}) : 0;
  page_.state.store(word, std::memory_order_relaxed);
}

std::string Lineage::unkept() const {
  if (root_ != nullptr && root_->complete()) return {};
  return std::generic_category().message(root_ != nullptr ? root_->refusal() : refusal_);
}

RecoveryReport Lineage::finish(const RecoveryTally& tally) {
  RecoveryReport report;
  report.reason = to_string(inheritance_.reason);
  report.links = tally.links;
  report.connections = tally.connections;
  report.adopted = tally.adopted;
  report.corrected = tally.corrected;
  report.lost = tally.lost;
  if (root_ != nullptr && relics_ != nullptr) {
    RootHeader::Totals& totals = root_->totals();
    totals = relics_->totals();
    totals.recoveries.at(static_cast<std::size_t>(inheritance_.reason)) += 1;
    totals.connections += tally.connections;
    for (std::size_t i = 1; i < totals.recoveries.size(); ++i) {
      auto reason = to_string(static_cast<StartReason>(i));
      if (reason != "unknown") report.recoveries[std::string(reason)] = totals.recoveries[i];
    }
    report.connections_in_all = totals.connections;
  }
  if (relics_ != nullptr) relics_->close_rest();
  relics_.reset();
  std::int64_t now_us = read_boot_clock().time_since_epoch().count();
  std::int64_t died_us = inheritance_.death.time_ns / 1000;
  if (died_us != 0) report.gap = Duration(std::max<std::int64_t>(now_us - died_us, 0));
  return report;
}

std::vector<int> Lineage::state_descriptors() const {
  if (root_ == nullptr) return {};
  std::vector<int> descriptors = root_->region_descriptors();
  descriptors.push_back(root_->descriptor());
  return descriptors;
}

}  // namespace holdfast
