#include "tests/record/recorder.h"

#include <algorithm>

#include "common/base/overloaded.h"

namespace holdfast::record {

Recorder* Recorder::active_ = nullptr;
int Recorder::inside_ = 0;

Tape& Recorder::begin(Call call, const void* object, Time now) {
  now_ = now;
  std::uint64_t index = index_of(object);
  tape_.begin(call, index, now_);
  return tape_;
}

std::uint64_t Recorder::index_of(const void* object) const {
  auto found = objects_.find(object);
  return found == objects_.end() ? next_object_ : found->second.index;
}

void Recorder::finish(const Link& link, bool streams) {
  put_state(tape_, link, now_, streams);
  tape_.check();
}

void Recorder::finish_later(const Link& link) {
  put_state(tape_, link, now_, false);
  tape_.check_later();
}

void Recorder::finish(const Link& link, StreamHandle stream) {
  put_stream(tape_, link, now_, stream);
  finish(link, false);
}

std::uint64_t Recorder::add_object(const void* object) {
  objects_[object] = {next_object_, nullptr, pool_};
  return next_object_++;
}

std::uint64_t Recorder::add_registry(const LinkRegistry* registry) {
  // One without links went unseen, and its place was taken.
  std::erase_if(objects_, [&](const auto& each) { return each.second.registry == registry; });
  return add_object(registry);
}

void Recorder::pool(const MemoryPool& pool, bool anew) {
  bool known = std::any_of(objects_.begin(), objects_.end(),
                           [&](const auto& each) { return each.second.pool == &pool; });
  if (anew || !known) pools_[&pool] = next_pool_++;
  pool_ = &pool;
  std::uint64_t memory = pool.memory();
  std::uint32_t streams = pool.max_streams();
  tape_.in(pools_.at(&pool));
  tape_.in(memory);
  tape_.in(streams);
}

LinkQuota* Recorder::quota(LinkQuota* real) {
  bool there = real != nullptr;
  tape_.in(there);
  if (!there) return nullptr;
  quotas_.push_back(std::make_unique<Quota>(*this, *real));
  return quotas_.back().get();
}

void Recorder::decision(const LinkRegistry& registry, const LinkRegistry::Decision& decision) {
  if (const auto* accepted = std::get_if<LinkRegistry::Accepted>(&decision)) {
    if (objects_.count(accepted->link) == 0) {
      objects_[accepted->link] = {next_object_++, &registry, nullptr};
    }
  }
  put_decision(tape_, decision, [&](const Link& link) { return index_of(&link); });
  if (const auto* accepted = std::get_if<LinkRegistry::Accepted>(&decision)) {
    put_state(tape_, *accepted->link, now_, true);
  }
}

// A registry's links die with it, or by its remove(), which is a call of its own.
void Recorder::link_dies(const Link* link) {
  auto found = objects_.find(link);
  if (found == objects_.end()) return;
  Object object = found->second;
  if (inside_ == 0 && object.registry == nullptr) begin(Call::destroy_link, link);
  if (inside_ == 0 && object.registry != nullptr && objects_.count(object.registry) != 0) {
    begin(Call::destroy_registry, object.registry);
    objects_.erase(object.registry);
  }
  payload.forget(object.index);
  objects_.erase(link);
}

}  // namespace holdfast::record
