// UnderWay: one system call on a stream's socket, as its link's region knows of it (Intent).
#pragma once

#include "common/core/link.h"

namespace holdfast {

class UnderWay {
 public:
  UnderWay(Link& link, StreamHandle stream, Intent::Operation what) : intent_(link.intent()) {
    intent_.begin(what, link.index(), stream.slot);
  }
  ~UnderWay() { intent_.end(); }
  UnderWay(const UnderWay&) = delete;
  UnderWay& operator=(const UnderWay&) = delete;

 private:
  Intent& intent_;
};

}  // namespace holdfast
