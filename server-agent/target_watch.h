// TargetWatch: does a service's target take connections? Asked by connecting, at an interval, and
// told by what real connects come to.
#pragma once

#include <functional>
#include <memory>

#include "common/tunnel/target.h"

namespace holdfast {

class TargetWatch {
 public:
  struct Options {
    Target target;
    Duration interval{};
    bool operator==(const Options&) const = default;
  };

  // `changed` is called when down() has changed, `checked` with what each own connect came to
  // (Cause::none: it stands); never from within the constructor. Everything given outlives the
  // watch.
  TargetWatch(Loop& loop, Resolver& resolver, const DescriptorBudget& budget, Options options,
              std::function<void()> changed, std::function<void(Cause)> checked = {});

  const Options& options() const { return options_; }
  // Until the first answer it is up. A target that does not answer at all stays what it was: an
  // application would wait for it, too.
  bool down() const { return down_; }
  // What a connect to the target came to; Cause::none: it stands.
  void note(Cause result);

 private:
  void check();

  Loop& loop_;
  Resolver& resolver_;
  const DescriptorBudget& budget_;
  Options options_;
  std::function<void()> changed_;
  std::function<void(Cause)> checked_;
  bool down_ = false;
  std::unique_ptr<TargetConnect> connect_;
  Timer timer_;
};

}  // namespace holdfast
