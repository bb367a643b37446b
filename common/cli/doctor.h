// What `doctor` found on its way, step by step.
#pragma once

#include <string>
#include <vector>

namespace holdfast {

struct Finding {
  // config, resolve, tcp, tls, key, clock, name, version, mtu, grant, target, listen, client, agent
  std::string step;
  bool good = true;
  std::string what;    // what was looked at and how it is
  std::string remedy;  // what to do; of a step that failed
};

}  // namespace holdfast
