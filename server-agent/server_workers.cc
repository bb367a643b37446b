// A server's other loops: what they are told, and the carriers that the first loop gives them.
#include <algorithm>

#include "server-agent/server_driver.h"

namespace holdfast {

ServerDriver::ServerDriver(Loop& loop, ServerOptions options, Observer& observer)
    : ServerDriver(loop, std::move(options), observer, nullptr, 0) {
  for (std::size_t each = 1; each < options_.threads; ++each) {
    workers_.push_back(
        std::make_unique<Worker>(worker_options(options_), observer, commons_, each));
  }
}

// A worker listens nowhere and greets nobody: it needs no keys.
ServerOptions ServerDriver::worker_options(const ServerOptions& all) {
  ServerOptions options;
  options.registry = all.registry;
  options.clients = all.clients;
  options.services = all.services;
  options.memory = all.memory;
  options.connections = all.connections;
  options.threads = all.threads;
  options.descriptors = all.descriptors;
  options.shutdown_timeout = all.shutdown_timeout;
  return options;
}

Status ServerDriver::listen() {
  Status bound = listen_on(options_, false);
  if (!bound) return bound;
  for (auto& worker : workers_) {
    worker->thread.run(worker->driver, [this] { news_.wake(); });
  }
  return Ok{};
}

Rest ServerDriver::rest() {
  std::vector<LoopThread*> threads;
  for (auto& worker : workers_) threads.push_back(&worker->thread);
  return Rest(std::move(threads));
}

std::vector<const ServerDriver*> ServerDriver::worker_drivers() const {
  std::vector<const ServerDriver*> drivers;
  for (const auto& worker : workers_) drivers.push_back(&worker->driver);
  return drivers;
}

std::uint64_t ServerDriver::memory() const {
  std::uint64_t sum = pool_.memory();
  for (const auto& worker : workers_) sum += worker->driver.pool_.memory();
  return sum;
}

std::uint32_t ServerDriver::max_streams() const {
  return pool_.max_streams();
}

TurnHistogram ServerDriver::turns() const {
  TurnHistogram sum;
  for (const auto& worker : workers_) sum += worker->thread.loop().turns();
  return sum;
}

bool ServerDriver::workers_ended() const {
  return std::all_of(workers_.begin(), workers_.end(),
                     [](const auto& worker) { return worker->thread.ended(); });
}

// --- Handing over -----------------------------------------------------------------------------

void ServerDriver::hand_over(CarrierId carrier, HelloRequest request, std::string client,
                             ServerCommons::Place place) {
  std::unique_ptr<Carrier> taken = newcomers_.take(carrier);
  HOLDFAST_CHECK(taken != nullptr);
  Worker& worker = *workers_[place.loop() - 1];
  worker.mailbox.put({taken->detach(), std::move(request), std::move(client), std::move(place)});
  closing_.adopt(std::move(taken));
}

void ServerDriver::arrived(Greeted greeted_one) {
  if (state_ == State::leaving || state_ == State::stopped) return;
  wake_ = true;
  next_carrier_ += 1;
  CarrierId carrier{next_carrier_};
  deciding_.emplace(carrier, std::move(greeted_one.place));
  newcomers_.add_greeted(carrier, std::move(greeted_one.carrier), greeted_one.client);
  greeted(carrier, greeted_one.client, std::move(greeted_one.request));
}

}  // namespace holdfast
