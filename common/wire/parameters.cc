#include "common/wire/parameters.h"

namespace holdfast {

std::string_view to_string(Parameter parameter) {
  switch (parameter) {
    case Parameter::features:
      return "features";
    case Parameter::name:
      return "name";
    case Parameter::slot:
      return "slot";
    case Parameter::start_id:
      return "start_id";
    case Parameter::ordinal:
      return "ordinal";
    case Parameter::retry_after:
      return "retry_after";
    case Parameter::home:
      return "home";
    case Parameter::grace:
      return "grace";
    case Parameter::home_address:
      return "home_address";
    case Parameter::heartbeat:
      return "heartbeat";
    case Parameter::dead_after:
      return "dead_after";
    case Parameter::max_streams:
      return "max_streams";
    case Parameter::initial_credit:
      return "initial_credit";
    case Parameter::service_grace:
      return "service_grace";
    case Parameter::grants:
      return "grants";
    case Parameter::mark_key:
      return "mark_key";
  }
  return {};
}

}  // namespace holdfast
