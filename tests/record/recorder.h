// Recorder: writes what is said to every Link and LinkRegistry of a world, and what they answer.
//
// wrapped.cc calls it in place of their methods: the linker puts those there (CMakeLists.txt), so
// that neither the core nor who drives it knows of it. Calls that a registry makes to its links, or
// a link to itself, follow from the outer one and are not recorded. One thread.
#pragma once

#include <map>
#include <memory>

#include "common/core/link_registry.h"
#include "tests/record/outputs.h"
#include "tests/record/payload.h"
#include "tests/record/tape.h"

namespace holdfast::record {

class Recorder {
 public:
  explicit Recorder(SeedRecord& record) : tape_(Tape::Mode::write, record) { active_ = this; }
  ~Recorder() { active_ = nullptr; }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // The one that records now, within no other call: else nothing.
  static Recorder* at_outer_call() {
    return active_ != nullptr && inside_ == 0 ? active_ : nullptr;
  }
  static Recorder* active() { return active_; }

  // A stream has moved from one link to another, which no tape can say.
  void stream_moved() { moved_ = true; }
  bool any_moved() const { return moved_; }

  // While it stands, calls are inner ones.
  struct Inside {
    Inside() { inside_ += 1; }
    ~Inside() { inside_ -= 1; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
  };

  // A quota between registry and its own: its answers are inputs.
  class Quota final : public LinkQuota {
   public:
    Quota(Recorder& recorder, LinkQuota& real) : recorder_(recorder), real_(real) {}
    bool take(const std::string& client, std::uint32_t slot, std::uint32_t most) override {
      bool taken = real_.take(client, slot, most);
      recorder_.tape_.in(taken);
      return taken;
    }
    void give_back(const std::string& client, std::uint32_t slot) override {
      real_.give_back(client, slot);
    }
    ClientShare* share(const std::string& client) override { return real_.share(client); }

   private:
    Recorder& recorder_;
    LinkQuota& real_;
  };

  Tape& begin(Call call, const void* object, Time now);
  Tape& begin(Call call, const void* object) { return begin(call, object, now_); }
  void finish(const Link& link, bool streams);
  void finish(const Link& link, StreamHandle stream);
  void finish_later(const Link& link);

  std::uint64_t add_object(const void* object);
  std::uint64_t add_registry(const LinkRegistry* registry);
  // Its number, and whether it must be made anew.
  void pool(const MemoryPool& pool, bool anew);
  LinkQuota* quota(LinkQuota* real);
  void decision(const LinkRegistry& registry, const LinkRegistry::Decision& decision);
  std::uint64_t index_of(const void* object) const;
  void link_dies(const Link* link);
  bool is_recorded(const void* object) const { return objects_.count(object) != 0; }

  // Kept from one call to another.
  std::vector<iovec> prepared;
  Wires wires;
  Payload payload;

  Time now() const { return now_; }

 private:
  struct Object {
    std::uint64_t index = 0;
    const LinkRegistry* registry = nullptr;  // a link's that it made
    const MemoryPool* pool = nullptr;
  };

  static Recorder* active_;
  static int inside_;

  bool moved_ = false;
  Tape tape_;
  Time now_{};
  std::uint64_t next_object_ = 0;
  std::map<const void*, Object> objects_;
  std::map<const MemoryPool*, std::uint64_t> pools_;
  std::uint64_t next_pool_ = 0;
  const MemoryPool* pool_ = nullptr;
  std::vector<std::unique_ptr<Quota>> quotas_;
};

}  // namespace holdfast::record
