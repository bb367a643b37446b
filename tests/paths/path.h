// Both directions of a path and the middlebox at its near end.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "tests/paths/direction.h"
#include "tests/paths/syn_box.h"

namespace holdfast::paths {

struct Path {
  Path(const Shape& shape, std::uint64_t seed) : up(shape, seed), down(shape, seed + 1) {}

  // What the near end sent: the box answers it, or it goes up.
  void from_near(Nanos now, Packet packet) {
    std::optional<SynBox::Taken> taken = box.take(packet);
    if (!taken) return up.offer(now, std::move(packet));
    if (taken->answer) down.inject(now, std::move(*taken->answer));
  }
  void from_far(Nanos now, Packet packet) { down.offer(now, std::move(packet)); }

  std::optional<Nanos> next() const {
    std::optional<Nanos> one = up.next(), other = down.next();
    return one && other ? std::min(*one, *other) : one ? one : other;
  }

  Direction up;    // near to far
  Direction down;  // far to near
  SynBox box;
};

}  // namespace holdfast::paths
