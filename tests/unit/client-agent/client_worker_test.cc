// Links on a loop of their own, and what the first loop hands to them.
#include "client-agent/client_worker.h"

#include "tests/unit/quiet_observer.h"
#include "tests/unit/support.h"

namespace holdfast {
namespace {

TEST_CASE("A connection handed to another loop counts there from then on, without a gap") {
  constexpr std::size_t kCount = 200;
  std::vector<ClientLinkOptions> links(1);
  links[0].name = links[0].group = "one";
  links[0].link.services.emplace_back().name = "raw";
  QuietObserver observer;
  SharedStreams streams(2 * kCount);
  ClientWorker worker(std::move(links), 64 << 20, 2 * kCount, streams, make_plain_memory, observer,
                      [] {});
  worker.start();
  std::vector<Descriptor> applications;
  bool gapless = true;
  for (std::size_t given = 1; given <= kCount; ++given) {
    auto [socket, application] = application_pair();
    applications.push_back(std::move(application));
    worker.give({"one", "raw", std::move(socket), Endpoint(), Endpoint()});
    for (int look = 0; look < 200; ++look) {
      gapless = gapless && worker.load("one")->streams == given && worker.stream_count() == given;
    }
  }
  CHECK(gapless);
  CHECK_FALSE(worker.full("one"));
  worker.thread().stop();
}

}  // namespace
}  // namespace holdfast
