#include "common/core/stream_record.h"

namespace holdfast {

const char* to_string(OpenState state) {
  switch (state) {
    case OpenState::queued:
      return "queued";
    case OpenState::sent:
      return "opening";
    case OpenState::connecting:
      return "connecting";
    case OpenState::open:
      return "open";
  }
  return "invalid";
}

const char* to_string(EndMark mark) {
  switch (mark) {
    case EndMark::none:
      return "none";
    case EndMark::fin:
      return "fin";
    case EndMark::abort:
      return "abort";
    case EndMark::fin_then_abort:
      return "fin_then_abort";
  }
  return "invalid";
}

}  // namespace holdfast
