// The process around an agent: log, loop, signals, admin interface, in order up and down.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/admin/admin_server.h"
#include "common/admin/loop_backend.h"
#include "common/agent/event_recorder.h"
#include "common/agent/lineage.h"
#include "common/agent/log_files.h"
#include "common/agent/status_line.h"
#include "common/config/config.h"
#include "common/config/problem.h"
#include "common/config/sources.h"
#include "common/io/loop.h"
#include "common/io/loop_thread.h"
#include "common/io/socket.h"
#include "common/keeper/page.h"
#include "common/log/log.h"

namespace holdfast {

// One agent, and its first loop; it may have others. Calls come on the first loop's thread, and
// where not said otherwise while the others are paused. Commands about the log are the shell's and
// never get here.
class Agent : public PagedBackend {
 public:
  // Binds what it listens on; its other loops begin to turn.
  virtual Status start() = 0;
  // The other loops stand still while it lives.
  virtual LoopsPause pause_loops() = 0;
  virtual Loop::Task& task() = 0;
  // For the history, every second or so: costs a look at each link, not at each connection.
  virtual History::Measurement measure() const = 0;
  // For the service manager's status line; asked once a second.
  virtual AgentBrief brief() const = 0;
  // When each certificate of the config ends; seconds since the epoch, by key.
  virtual const std::map<std::string, std::int64_t>& certificates() const = 0;
  // Goodbye, then stops the loop; within 2 s.
  virtual void shut_down() = 0;
  // Loads the config anew. Any thread.
  virtual std::unique_ptr<PreparedReload> prepare_reload() = 0;
  ReloadReport reload(const ReloadRequest& request) final {
    return prepare_reload()->finish(request);
  }
};

// The admin interface as an agent's reload sees it.
class AdminDoor {
 public:
  // Nothing has changed after an error.
  Status set_access(const AdminConfig& config) {
    return server_ != nullptr ? server_->set_access(config) : Status(Ok{});
  }
  // Null: there is none now.
  void lead_to(AdminServer* server) { server_ = server; }

 private:
  AdminServer* server_ = nullptr;
};

// What an agent finds in its process.
struct AgentContext {
  Loop& loop;
  Logger& logger;
  EventRecorder& recorder;
  LogFiles& files;
  AdminDoor& admin;
  std::size_t descriptors;  // RLIMIT_NOFILE, raised to what is allowed
  std::string config_path;
  Page& page;  // the keeper's, or an empty one where there is none
  Lineage& lineage;
};

struct ShellOptions {
  AgentKind kind{};
  LogConfig log;
  AdminConfig admin;
  std::string config_path;
  bool unsafe_plaintext = false;
  std::vector<Problem> warnings;        // of the config
  Page* page = nullptr;                 // never null
  Lineage* lineage = nullptr;           // likewise
  std::vector<ConfigSource> sources{};  // the config's files
};

// Runs until SIGTERM, SIGINT or a drain has ended the agent. The process's exit code.
int run_shell(const ShellOptions& options,
              const std::function<std::unique_ptr<Agent>(const AgentContext&)>& make);

// Config's addresses as the driver takes them.
HostPort host_port(const TcpAddress& address);
NetAddress net_address(const Address& address);
NetListenAddress net_address(const ListenAddress& address);

}  // namespace holdfast
