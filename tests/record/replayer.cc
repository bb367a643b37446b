#include "tests/record/replayer.h"

#include "tests/record/outputs.h"
#include "tests/record/values.h"

namespace holdfast::record {
namespace {

// Far more than any recorded world needs; a damaged record asks for anything.
constexpr std::uint64_t kMostMemory = 4096 * kMiB;
constexpr std::size_t kMostBuffers = 65536;

}  // namespace

struct Replayer::Object {
  std::unique_ptr<Link> own;
  std::unique_ptr<LinkRegistry> registry;
  Link* link = nullptr;             // `own`, or one that a registry made
  std::vector<std::uint8_t> bytes;  // of the last carrier_bytes(): its effects view them
  std::vector<iovec> prepared;
};

class Replayer::Quota final : public LinkQuota {
 public:
  explicit Quota(Tape& tape) : tape_(tape) {}
  bool take(const std::string&, std::uint32_t, std::uint32_t) override {
    bool taken = false;
    tape_.in(taken);
    return taken;
  }
  void give_back(const std::string&, std::uint32_t) override {}

 private:
  Tape& tape_;
};

Replayer::Replayer(SeedRecord& record, std::FILE* print) : tape_(Tape::Mode::read, record) {
  tape_.print(print);
}

Replayer::~Replayer() {
  while (!objects_.empty()) objects_.pop_back();
}

std::optional<Divergence> Replayer::run() {
  while (tape_.begin(call_, index_, now_)) step();
  if (tape_.difference().empty()) return std::nullopt;
  return tape_.divergence(index_, now_);
}

Divergence Replayer::position(std::string what) const {
  Divergence here = tape_.divergence(index_, now_);
  here.what = std::move(what);
  return here;
}

Replayer::Object* Replayer::object() {
  if (index_ < objects_.size()) return objects_[index_].get();
  tape_.fail("there is no such object");
  return nullptr;
}

std::uint64_t Replayer::index_of(const Link& link) const {
  for (std::size_t i = objects_.size(); i-- > 0;) {
    if (objects_[i]->link == &link) return i;
  }
  return UINT64_MAX;
}

void Replayer::step() {
  if (call_ == Call::make_link) return make_link();
  if (call_ == Call::make_registry) return make_registry();
  Object* object = this->object();
  if (object == nullptr) return;
  if (object->registry != nullptr) return call_registry(*object);
  if (object->link == nullptr) return tape_.fail("a call to what is gone");
  call_link(*object);
}

MemoryPool& Replayer::read_pool() {
  auto index = read<std::uint64_t>();
  auto memory = read<std::uint64_t>();
  auto streams = read<std::uint32_t>();
  if (index > pools_.size() || memory > kMostMemory) {
    tape_.fail("there is no such memory");
    index = pools_.size();
    memory = 0;
  }
  if (index == pools_.size()) pools_.push_back(std::make_unique<MemoryPool>(memory, streams));
  return *pools_[index];
}

void Replayer::make_link() {
  MemoryPool& pool = read_pool();
  auto options = read<LinkOptions>();
  auto id = read<LinkId>();
  auto instance = read<std::uint64_t>();
  if (!tape_.difference().empty()) return;
  auto object = std::make_unique<Object>();
  object->own = std::make_unique<Link>(options, pool, id, instance);
  object->link = object->own.get();
  objects_.push_back(std::move(object));
}

void Replayer::make_registry() {
  MemoryPool& pool = read_pool();
  auto options = read<RegistryOptions>();
  auto seed = read<std::uint64_t>();
  LinkQuota* quota = nullptr;
  if (read<bool>()) quota = quotas_.emplace_back(std::make_unique<Quota>(tape_)).get();
  if (!tape_.difference().empty()) return;
  auto object = std::make_unique<Object>();
  object->registry = std::make_unique<LinkRegistry>(options, pool, seed, quota);
  objects_.push_back(std::move(object));
}

// --- Registries ------------------------------------------------------------------------------

void Replayer::read_decision(const LinkRegistry::Decision& decision) {
  const auto* accepted = std::get_if<LinkRegistry::Accepted>(&decision);
  if (accepted != nullptr && index_of(*accepted->link) == UINT64_MAX) {
    objects_.push_back(std::make_unique<Object>());
    objects_.back()->link = accepted->link;
  }
  put_decision(tape_, decision, [this](const Link& link) { return index_of(link); });
  if (accepted != nullptr) put_state(tape_, *accepted->link, now_, true);
}

void Replayer::call_registry(Object& object) {
  LinkRegistry& registry = *object.registry;
  auto forget = [&](const Link& link) {
    std::uint64_t index = index_of(link);
    if (index < objects_.size()) objects_[index]->link = nullptr;
  };
  switch (call_) {
    case Call::hello: {
      auto carrier = read<CarrierId>();
      auto policy = read<ClientPolicy>();
      auto request = read<HelloRequest>();
      if (!tape_.difference().empty()) return;
      read_decision(registry.hello(now_, carrier, policy, std::move(request)));
      return put_registry(tape_, registry);
    }
    case Call::poll: {
      auto decisions = registry.poll(now_);
      tape_.out("decisions", decisions.size());
      for (const auto& [carrier, decision] : decisions) {
        tape_.out("carrier", carrier.value);
        read_decision(decision);
      }
      return put_registry(tape_, registry);
    }
    case Call::carrier_gone:
      return registry.carrier_gone(read<CarrierId>());
    case Call::take_touched: {
      auto touched = registry.take_touched();
      tape_.out("touched links", touched.size());
      for (const Link* link : touched) tape_.out("link", index_of(*link));
      return;
    }
    case Call::drain_registry:
      return registry.drain(now_);
    case Call::remove: {
      auto id = read<LinkId>();
      Link* link = registry.find(id);
      if (link == nullptr) return tape_.fail("a link to remove that is not there");
      if (!link->ended()) return tape_.fail("a link to remove that has not ended");
      forget(*link);
      return registry.remove(id);
    }
    case Call::process_gone: {
      auto client = read<std::string>();
      auto start_id = read<std::uint64_t>();
      registry.process_gone(now_, client, start_id);
      return put_registry(tape_, registry);
    }
    case Call::destroy_registry:
      registry.for_each([&](const Link& link, const std::string&) { forget(link); });
      object.registry.reset();
      return;
    default:
      return tape_.fail("no call of a registry's");
  }
}

// --- Links -----------------------------------------------------------------------------------

void Replayer::call_link(Object& object) {
  Link& link = *object.link;
  auto after = [&](bool streams) {
    put_state(tape_, link, now_, streams);
    tape_.check();
  };
  switch (call_) {
    case Call::destroy_link:
      payload_.forget(index_);
      object.link = nullptr;
      object.own.reset();
      return;
    case Call::carrier_up: {
      auto carrier = read<CarrierId>();
      auto round_trip = read<Duration>();
      link.carrier_up(now_, carrier, round_trip);
      return after(true);
    }
    case Call::accept: {
      auto carrier = read<CarrierId>();
      auto hello = read<Hello>();
      auto highest = read<StreamId>();
      auto table = read<std::vector<TableEntry>>();
      auto created = read<bool>();
      if (!tape_.difference().empty()) return;
      link.accept(now_, carrier, hello, highest, table, created);
      return after(true);
    }
    case Call::carrier_down: {
      auto carrier = read<CarrierId>();
      auto cause = read<Cause>();
      link.carrier_down(now_, carrier, cause);
      return after(true);
    }
    case Call::carrier_silent:
      link.carrier_silent(now_, read<CarrierId>());
      return after(true);
    case Call::doubt:
      link.doubt(now_);
      return after(true);
    case Call::path_report: {
      auto of = read<CarrierId>();
      auto path = read<PathReport>();
      link.path_report(now_, of, path);
      return after(true);
    }
    case Call::open: {
      auto request = read<OpenRequest>();
      if (request.service >= link.options().services.size()) {
        return tape_.fail("a service that is not there");
      }
      put_opened(tape_, link.open(now_, request));
      return after(false);
    }
    case Call::goodbye:
      link.goodbye(now_, read<Cause>());
      return after(true);
    case Call::drain:
      link.drain(now_);
      return after(true);
    case Call::tell_down:
      link.tell_down(read<std::vector<std::string>>());
      return after(false);
    case Call::end:
      link.end(now_, read<Cause>());
      return after(true);
    case Call::reconnect:
      link.reconnect(now_, read<Cause>());
      return after(true);
    case Call::reconfigure:
      link.reconfigure(read<LinkOptions>());
      return after(true);
    case Call::reset_unoffered:
      link.reset_unoffered(now_, read<Cause>());
      return after(true);
    case Call::renew: {
      auto id = read<LinkId>();
      if (!link.ended()) return tape_.fail("a link to renew that has not ended");
      link.renew(now_, id);
      return after(true);
    }
    case Call::written:
      link.written(now_, read<std::size_t>());
      return after(true);
    case Call::timeout:
      link.timeout(now_);
      return after(true);
    case Call::carrier_bytes:
      return carrier_bytes(object);
    case Call::poll_effect:
      return poll_effect(object);
    case Call::poll_transmit:
      return poll_transmit(object);
    case Call::prepare:
      return prepare(object);
    case Call::commit:
      return commit(object);
    case Call::queued:
      return queued(object);
    default:
      return call_stream(object);
  }
}

void Replayer::call_stream(Object& object) {
  Link& link = *object.link;
  auto stream = read<StreamHandle>();
  switch (call_) {
    case Call::opened:
      link.opened(now_, stream);
      break;
    case Call::finish:
      link.finish(now_, stream);
      break;
    case Call::abort:
      link.abort(now_, stream);
      break;
    case Call::tell_origin:
      link.tell_origin(now_, stream, read<std::uint64_t>());
      break;
    case Call::vanish:
      link.vanish(now_, stream);
      break;
    case Call::reset:
      link.reset(now_, stream, read<Cause>());
      break;
    case Call::delivered:
      link.delivered(now_, stream, read<std::size_t>());
      break;
    case Call::fin_delivered:
      link.fin_delivered(now_, stream);
      break;
    case Call::abort_delivered:
      link.abort_delivered(now_, stream);
      break;
    default:
      return tape_.fail("no call of a link's");
  }
  put_stream(tape_, link, now_, stream);
  put_state(tape_, link, now_, false);
  tape_.check();
}

void Replayer::carrier_bytes(Object& object) {
  auto carrier = read<CarrierId>();
  object.bytes.clear();
  wires_.carrier_bytes(tape_, index_, carrier, object.bytes);
  if (!tape_.difference().empty()) return;
  object.link->carrier_bytes(now_, carrier, object.bytes);
  put_state(tape_, *object.link, now_, false);
  tape_.check_later();
}

void Replayer::prepare(Object& object) {
  auto stream = read<StreamHandle>();
  auto want = read<std::size_t>();
  auto most = read<std::size_t>();
  object.prepared.resize(std::min(most, kMostBuffers));
  object.prepared.resize(object.link->prepare(stream, want, object.prepared));
  put_buffers(tape_, object.prepared, false);
  put_state(tape_, *object.link, now_, false);
  tape_.check();
}

void Replayer::commit(Object& object) {
  auto stream = read<StreamHandle>();
  auto size = read<std::size_t>();
  payload_.commit(tape_, index_, stream, size, object.prepared);
  if (!tape_.difference().empty()) return;
  object.link->commit(now_, stream, size);
  put_stream(tape_, *object.link, now_, stream);
  put_state(tape_, *object.link, now_, false);
  tape_.check();
}

void Replayer::queued(Object& object) {
  auto stream = read<StreamHandle>();
  auto most = read<std::size_t>();
  std::vector<iovec> buffers(std::min(most, kMostBuffers));
  buffers.resize(object.link->queued(stream, buffers));
  put_buffers(tape_, buffers, true);
  put_state(tape_, *object.link, now_, false);
  tape_.check();
}

void Replayer::poll_effect(Object& object) {
  std::optional<Effect> effect = object.link->poll_effect(now_);
  put_effect(tape_, effect);
  if (!effect) return;
  put_state(tape_, *object.link, now_, false);
  tape_.check();
}

void Replayer::poll_transmit(Object& object) {
  auto most = read<std::size_t>();
  std::optional<Transmit> transmit = object.link->poll_transmit(now_, most);
  put_transmit(tape_, transmit);
  if (!transmit) return;
  wires_.transmitted(index_, transmit->carrier, transmit->buffers);
  put_state(tape_, *object.link, now_, false);
  tape_.check();
}

}  // namespace holdfast::record
