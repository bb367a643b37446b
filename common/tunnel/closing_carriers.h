// Carriers on their way out: those that end in order are kept until they have, and those that are
// closed until the end of the turn, because they may be closed from within their own callbacks.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "common/tunnel/carrier.h"

namespace holdfast {

class ClosingCarriers final : public Carrier::Owner {
 public:
  // `gone` is called when one of them has ended.
  explicit ClosingCarriers(std::function<void()> gone) : gone_(std::move(gone)) {}

  // Finishing or closed.
  void adopt(std::unique_ptr<Carrier> carrier) {
    carrier->set_owner(*this);
    carriers_.push_back(std::move(carrier));
  }
  // No callback of a carrier is on the stack.
  void sweep() {
    if (carriers_.empty()) return;
    std::erase_if(carriers_, [](const auto& carrier) { return carrier->closed(); });
  }
  bool empty() const { return carriers_.empty(); }

 private:
  void carrier_standing(Carrier&) override {}
  bool carrier_readable(Carrier&) override { return true; }
  void carrier_bytes(Carrier&, Bytes) override {}
  void carrier_writable(Carrier&) override {}
  void carrier_lost(Carrier&, Cause, const std::string&) override { gone_(); }

  std::function<void()> gone_;
  std::vector<std::unique_ptr<Carrier>> carriers_;
};

}  // namespace holdfast
