#include "common/agent/shell.h"

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "common/agent/admin_opener.h"
#include "common/agent/credentials.h"
#include "common/agent/hand_over.h"
#include "common/agent/history_keeper.h"
#include "common/agent/kept.h"
#include "common/agent/log_files.h"
#include "common/agent/metrics_listener.h"
#include "common/agent/reload_worker.h"
#include "common/agent/service_manager.h"
#include "common/base/overloaded.h"
#include "common/cli/cli.h"
#include "common/io/lookups.h"
#include "common/io/signals.h"

namespace holdfast {
namespace {

constexpr Duration kReportInterval = seconds(60);
constexpr Duration kCertificateInterval = seconds(24 * 3600);
constexpr Duration kLastFlush = milliseconds(500);

// Where there are connections to go on with nothing is closed: the next process tries it.
int fail(Logger& logger, const Page& page, const Error& error) {
  logger.event(LogLevel::error, "start_failed", {{"reason", error.message}});
  if (begins_again(page)) {
    logger.flush(kLastFlush);
    _exit(kExitLacking);
  }
  return kExitFailed;
}

void tell_warnings(Logger& logger, const std::vector<Problem>& warnings) {
  for (const Problem& each : warnings) {
    logger.event(LogLevel::warn, "config_warning",
                 {{"file", each.file},
                  {"line", each.line},
                  {"key", each.key},
                  {"reason", reason_with_hint(each)}});
  }
}

// Tells now and then how many lines of strangers were kept back, and looks for a log that is
// lacking.
class Reporter {
 public:
  Reporter(Loop& loop, Logger& logger, LogFiles& files)
      : loop_(loop), logger_(logger), files_(files), timer_(loop.timers(), [this] { report(); }) {
    timer_.arm(loop.now() + kReportInterval);
  }

 private:
  void report() {
    if (files_.lacks_log()) files_.reopen();
    logger_.report_suppressed();
    timer_.arm(loop_.now() + kReportInterval);
  }

  Loop& loop_;
  Logger& logger_;
  LogFiles& files_;
  Timer timer_;
};

// Tells once a day of certificates that end soon, or have ended.
class CertificateWatch {
 public:
  CertificateWatch(Loop& loop, Logger& logger, const Agent& agent)
      : loop_(loop), logger_(logger), agent_(agent), timer_(loop.timers(), [this] { look(); }) {
    timer_.arm(loop.now() + kCertificateInterval);  // the config's warnings said it at the start
  }

 private:
  void look() {
    timer_.arm(loop_.now() + kCertificateInterval);
    for (const auto& [key, end] : agent_.certificates()) {
      std::int64_t days = days_until(end);
      if (days >= kRenewalDays) continue;
      logger_.event(LogLevel::warn, "certificate_expires", {{"key", key}, {"days_left", days}});
    }
  }

  Loop& loop_;
  Logger& logger_;
  const Agent& agent_;
  Timer timer_;
};

// An agent and what is its process's: the log's level, how busy the loop is, the metrics address,
// the history.
class ProcessBackend final : public PagedBackend {
 public:
  ProcessBackend(Agent& agent, const Loop& loop, Logger& logger, const MetricsListener& metrics,
                 HistoryKeeper& history, const ShellOptions& options, HandOver& hand_over)
      : agent_(agent),
        loop_(loop),
        logger_(logger),
        metrics_(metrics),
        history_(history),
        page_(*options.page),
        lineage_(*options.lineage),
        hand_over_(hand_over) {}

  Result<AgentSnapshot> snapshot(const SnapshotQuery& query) override {
    Result<AgentSnapshot> snapshot = agent_.snapshot(query);
    if (!snapshot) return snapshot;
    add_keeper(*snapshot, page_);
    snapshot->turns += loop_.turns();
    snapshot->log_level = to_string(logger_.level());
    if (admin_ != nullptr && admin_->failure()) {
      const ListenFailure& failure = *admin_->failure();
      snapshot->not_listening.push_back({failure.address, failure.reason});
    }
    if (const auto& failure = metrics_.failure(); failure) {
      snapshot->not_listening.push_back({failure->address, failure->reason});
    }
    if (query.history_since) history_.add_to(*snapshot, *query.history_since);
    return snapshot;
  }
  ConnectionPage connections(const ConnectionCursor& from) override {
    return agent_.connections(from);
  }
  Result<std::optional<ConnectionSnapshot>> connection(const std::string& id) override {
    return agent_.connection(id);
  }
  CommandResult command(const Command& command) override {
    if (command.kind == Command::Kind::hand_over) return hand_over_.begin(command.id);
    if (command.kind != Command::Kind::log_level) return agent_.command(command);
    std::optional<LogLevel> level = log_level_from(command.id);
    if (!level) return {CommandResult::Outcome::failed, unknown_log_level(command.id)};
    std::string before = to_string(logger_.level());
    logger_.set_level(*level);
    lineage_.keep_log_level(level);
    logger_.event(LogLevel::warn, "log_level", {{"level", to_string(*level)}, {"before", before}});
    return {CommandResult::Outcome::done,
            "log level " + command.id + " (was " + before + ") until the agent restarts"};
  }
  ReloadReport reload(const ReloadRequest& request) override { return agent_.reload(request); }

  void tell_of(const AdminOpener& admin) { admin_ = &admin; }

 private:
  Agent& agent_;
  const Loop& loop_;
  Logger& logger_;
  const MetricsListener& metrics_;
  HistoryKeeper& history_;
  const Page& page_;
  Lineage& lineage_;
  HandOver& hand_over_;
  const AdminOpener* admin_ = nullptr;  // of which it is the backend
};

int serve(const ShellOptions& options, Loop& loop, Logger& logger, EventRecorder& recorder,
          LogFiles& files, AdminDoor& door, Agent& agent) {
  // A predecessor's listener may still be open here, in the table that the keeper shares.
  if (options.page->reason == StartReason::first) wait_for_dying_agent(options.admin.socket);
  if (auto started = agent.start(); !started) {
    return fail(logger, *options.page, started.error());
  }
  LoopBackend* asked = nullptr;
  HistoryKeeper history(
      loop, recorder.history(), [&agent] { return agent.pause_loops(); },
      [&agent] { return agent.measure(); }, options.admin.metrics.has_value());
  MetricsListener metrics(loop, options.admin, recorder);
  HandOver hand_over(options.kind, loop, logger, *options.page,
                     [&agent] { return agent.pause_loops(); });
  ProcessBackend process(agent, loop, logger, metrics, history, options, hand_over);
  Wakeup wakeup(loop, [&] {
    LoopsPause paused = agent.pause_loops();
    asked->serve(process);
  });
  // Asks all loops, every second: one that is stuck holds up the first, which the watchdog sees.
  ServiceManager service(loop, logger, [&agent, &metrics] {
    LoopsPause paused = agent.pause_loops();
    AgentBrief brief = agent.brief();
    if (metrics.failure()) brief.not_listening.push_back(metrics.failure()->address);
    return status_line(brief);
  });
  LoopBackend backend([&wakeup] { wakeup.wake(); },
                      [&] { return announced(agent.prepare_reload(), service); });
  asked = &backend;
  ReloadWorker reloads(backend);
  AdminOpener admin(loop, options.admin, backend, recorder, [&door, &metrics](AdminServer& server) {
    door.lead_to(&server);
    metrics.serve(server);
  });
  process.tell_of(admin);
  if (begins_again(*options.page)) {
    admin.open_whenever();
  } else if (Status opened = admin.open(); !opened) {
    return fail(logger, *options.page, opened.error());
  }
  bool stopping = false;
  SignalWatcher signals(loop, {SIGTERM, SIGINT, SIGHUP, SIGUSR1}, [&](int number) {
    if (number == SIGUSR1) return files.reopen();
    if (number == SIGHUP) return reloads.wanted();
    if (!stopping && hand_over.is_orphan()) hand_over.park_orphaned();
    if (std::exchange(stopping, true)) return;  // from the keeper, and from who told both
    logger.event(LogLevel::info, "stopping", {{"signal", strsignal(number)}});
    service.stopping();
    LoopsPause paused = agent.pause_loops();
    agent.shut_down();
  });
  listen_to_keeper();
  Pulse pulse(loop, *options.page, [&agent] { return agent.pause_loops(); });
  Reporter reporter(loop, logger, files);
  CertificateWatch certificates(loop, logger, agent);
  logger.event(LogLevel::info, "started",
               {{"version", HOLDFAST_VERSION}, {"pid", getpid()}, {"config", options.config_path}});
  service.ready();
  options.page->ready = 1;
  // An exception is a crash, which connections outlive: nothing of theirs is closed on its way.
  [&]() noexcept { loop.run(agent.task()); }();
  listen_no_more();
  service.stopping();
  door.lead_to(nullptr);
  return kExitOk;
}

}  // namespace

int run_shell(const ShellOptions& options,
              const std::function<std::unique_ptr<Agent>(const AgentContext&)>& make) {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a log over the limit of file sizes is an error of write(2)
  std::optional<Error> no_log;
  auto logger = Logger::open(options.log, std::string(program_name(options.kind)),
                             begins_again(*options.page) ? &no_log : nullptr);
  if (!logger) {
    std::fprintf(stderr, "%s\n", logger.error().message.c_str());
    return kExitFailed;
  }
  std::unique_ptr<TraceFile> trace;
  std::optional<Error> no_trace;
  if (options.log.trace_file) {
    auto opened = TraceFile::open(*options.log.trace_file, std::string(to_string(options.kind)));
    if (opened) trace = std::move(*opened);
    if (!opened) no_trace = opened.error();
  }
  if (no_trace && !begins_again(*options.page)) return fail(**logger, *options.page, *no_trace);
  if (auto level = options.lineage->log_level()) (*logger)->set_level(*level);
  tell_of_predecessor(**logger, *options.page);
  tell_warnings(**logger, options.warnings);
  if (options.unsafe_plaintext) {
    (*logger)->event(LogLevel::warn, "unsafe_plaintext",
                     {{"reason", "the link is unencrypted and nobody proves who they are"}});
  }
  std::size_t descriptors = raise_descriptor_limit();
  EventRecorder recorder(**logger, trace.get());
  LogFiles files(**logger, trace.get());
  if (no_log) files.begin_without_log(*no_log);
  if (no_trace) files.begin_without_trace(*no_trace);
  AdminDoor door;
  Loop loop;
  int code = kExitOk;
  {
    std::unique_ptr<Agent> agent =
        make(AgentContext{loop, **logger, recorder, files, door, descriptors, options.config_path,
                          *options.page, *options.lineage});
    code = serve(options, loop, **logger, recorder, files, door, *agent);
  }
  (*logger)->event(LogLevel::info, "stopped");
  if (ThreadLookups::any_running()) {
    // exit() would take libraries down under them.
    (*logger)->flush(kLastFlush);
    _exit(code);
  }
  return code;
}

HostPort host_port(const TcpAddress& address) {
  return {address.host, address.port, address.written_at};
}

NetAddress net_address(const Address& address) {
  if (const auto* tcp = std::get_if<TcpAddress>(&address)) return host_port(*tcp);
  return UnixPath{std::get<UnixAddress>(address).path};
}

NetListenAddress net_address(const ListenAddress& address) {
  return std::visit(
      overloaded{[](const TcpAddress& tcp) -> NetListenAddress { return host_port(tcp); },
                 [](const UnixAddress& path) -> NetListenAddress { return UnixPath{path.path}; },
                 [](const SystemdSocket& passed) -> NetListenAddress {
                   return PassedSocket{passed.name};
                 }},
      address);
}

}  // namespace holdfast
