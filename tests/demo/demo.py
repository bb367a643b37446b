"""The demo: real programs through a path that is cut, first without Holdfast and then with it.

Started by scripts/demo, which has built the agents. Everything runs on loopback in a temporary
folder, in the foreground, and is stopped by pid.
"""
import argparse
import os
import sys
import tempfile
import time

from pair import NAME, Agent, admin_table, free_port, write_key
from programs import ProgramFailed, Programs, die_on_signals, start_nginx, start_redis
from plan import FULL, QUICK
from relay import Relay
from screen import Screen
from visitors import (Download, Publisher, RedisBeside, Session, Subscriber,
                      megabytes)
from watching import Flow, Monitor

# How the agents speak to each other: "plain" (unsafe_plaintext) or "psk" (TLS with a key of genpsk).
LINK = "psk"
PATH_BYTES_PER_S = 5_000_000           # the path between the agents: 40 Mbit/s
PATH_BUFFER_BYTES = 64 * 1024          # its sockets; a path of this speed holds little more
DOWNLOAD_LIMIT_S = 50                  # the download takes half of it; then something is wrong
SAMPLE_S = 0.02
SETTLE_S = 0.8                         # after the path's return, before the pause is measured


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(SAMPLE_S)
    return condition()


class Demo:
    def __init__(self, plan, screen, folder):
        self.plan, self.screen, self.folder = plan, screen, folder
        self.began = time.monotonic()
        self.programs = Programs(folder)
        self.agents, self.relays = [], []
        self.beside = None
        self.summary, self.slowest_return_s = [], 0.0

    # -- the place -------------------------------------------------------------------------------

    def prepare(self):
        root = os.path.join(self.folder, "www")
        os.mkdir(root)
        self.file = os.path.join(root, "file.bin")
        with open(self.file, "wb") as file:
            for _ in range(self.plan.file_bytes // 1_000_000):
                file.write(os.urandom(1_000_000))
        self.web_port, self.redis_port = free_port(), free_port()
        start_nginx(self.programs, self.web_port, root)
        start_redis(self.programs, self.redis_port)
        self.beside = RedisBeside(self.redis_port)

    def path(self, target_port):
        """A relay to the port, in the shape of a slow wide-area path."""
        relay = Relay(("127.0.0.1", target_port), buffer_bytes=PATH_BUFFER_BYTES).start()
        relay.rate(PATH_BYTES_PER_S)
        self.relays.append(relay)
        return relay

    def requests_served(self):
        with open(os.path.join(self.folder, f"nginx-{self.web_port}", "access.log")) as file:
            return len(file.readlines())

    # -- without ---------------------------------------------------------------------------------

    def without(self):
        screen = self.screen
        screen.heading("Without Holdfast")
        screen.line(screen.style("  curl fetches a file from nginx; one redis-cli types INCR, another "
                                 "listens. The path is cut:", "dim"))
        web, redis = self.path(self.web_port), self.path(self.redis_port)
        died = [self.without_one(cut, number, web, redis)
                for number, cut in enumerate(self.plan.without)]
        for relay in (web, redis):
            relay.stop()
            self.relays.remove(relay)
        self.died = [sum(column) for column in zip(*died)]
        if any(count < len(self.plan.without) for count in self.died):
            raise ProgramFailed("a program lived through a cut without Holdfast: nothing is shown")

    def without_one(self, cut, number, web, redis):
        """A fresh set of programs and one cut: which of them died of it."""
        screen, key = self.screen, f"without-{number}"
        download = Download(self.programs, web.port, self.folder, self.file)
        session = Session(self.programs, redis.port, key)
        listener = Subscriber(self.programs, redis.port, key)
        publisher = Publisher(self.beside, key)
        try:
            self.expect(listener.subscribed.wait(5), "redis-cli subscribes")
            publisher.start()
            self.expect(wait_for(lambda: download.received > 3_000_000 and len(session.answers) > 4
                                 and listener.messages, 10), "the programs run before the cut")
            screen.line(f"  {screen.style(screen.symbol('⚡', '!'), 'yellow')} {cut.text}")
            for relay in (web, redis):
                cut.begin(relay)
            time.sleep(cut.hold_s)
            for relay in (web, redis):
                cut.end(relay)
            wait_for(lambda: download.ended and session.trouble and listener.trouble, 3)
            publisher.stop()
            fates = [
                ("curl", download.ended and not download.exact(),
                 f"{megabytes(download.received)} of {megabytes(download.size)}, then "
                 f"{download.said() or 'still waiting'}"),
                ("redis-cli", bool(session.trouble),
                 f"after {len(session.answers)} answers: {session.trouble}"),
                ("listener", bool(listener.trouble),
                 f"after {len(listener.messages)} messages: {listener.trouble}")]
            for name, dead, text in fates:
                screen.line(f"      {screen.mark(not dead)} {name:<10} {text}")
            return [dead for _, dead, _ in fates]
        finally:
            for visitor in (publisher, download, session, listener):
                visitor.stop()

    @staticmethod
    def expect(true, what):
        if not true:
            raise ProgramFailed(f"did not happen: {what}")

    # -- with ------------------------------------------------------------------------------------

    def start_agents(self):
        link_port = free_port()
        self.relay = self.path(link_port)
        web, redis = free_port(), free_port()
        key = {"psk_file": write_key(self.folder)} if LINK == "psk" else {}
        plain = {"unsafe_plaintext": True} if LINK == "plain" else {}
        server = {
            "link": {"listen": [f"127.0.0.1:{link_port}"], **plain},
            "clients": {NAME: {"services": ["web", "redis"], **key}},
            "services": {"web": {"target": f"127.0.0.1:{self.web_port}"},
                         "redis": {"target": f"127.0.0.1:{self.redis_port}"}},
            "admin": admin_table(self.folder, "server")}
        client = {
            "name": NAME,
            "link": {"server": [f"127.0.0.1:{self.relay.port}"], **plain, **key},
            "services": {"web": {"listen": f"127.0.0.1:{web}"},
                         "redis": {"listen": f"127.0.0.1:{redis}"}},
            "admin": admin_table(self.folder, "client")}
        for role, config in (("server", server), ("client", client)):
            self.agents.append(Agent(role, self.folder, config).start())
        self.server, self.client = self.agents

        def ready():
            for agent in self.agents:
                if not agent.running:
                    raise ProgramFailed(f"the {agent.role} agent ended: {agent.log()[-1000:]}")
            return self.client.run("ready").returncode == 0
        self.expect(wait_for(ready, 10), "holdfast-client is ready")
        return web, redis

    def with_holdfast(self):
        screen = self.screen
        screen.heading("With Holdfast")
        web, redis = self.start_agents()
        screen.line(screen.style("  The same programs, through holdfast-client and holdfast-server "
                                 f"({'TLS' if LINK == 'psk' else 'plaintext'} link):", "dim"))
        key = "with"
        served, joined = self.requests_served(), self.beside.connections_received()
        monitor = Monitor(self.client, self.server)
        download = Download(self.programs, web, self.folder, self.file)
        session = Session(self.programs, redis, key)
        listener = Subscriber(self.programs, redis, key)
        publisher = Publisher(self.beside, key)
        try:
            self.expect(listener.subscribed.wait(5), "redis-cli subscribes")
            publisher.start()
            cuts_made = self.run_cuts(download, session, listener, monitor)
            publisher.stop()
            session.finish(5)
            wait_for(lambda: len(listener.messages) >= publisher.published, 5)
            wait_for(lambda: self.requests_served() > served, 2)
            monitor.stop()
            for agent in self.agents:
                self.expect(agent.running, f"the {agent.role} agent runs to the end")
            monitor.ask()
            return self.judge(download, session, listener, monitor, publisher.published, cuts_made,
                              self.requests_served() - served,
                              self.beside.connections_received() - joined)
        finally:
            monitor.stop()
            for visitor in (publisher, download, session, listener):
                visitor.stop()

    def run_cuts(self, download, session, listener, monitor):
        """Cuts the path as planned while the download runs; how many cuts were made."""
        screen, began, flow = self.screen, time.monotonic(), Flow()
        waiting, made = list(self.plan.cuts), 0
        current = path_back = None
        while not download.ended or current:
            now = time.monotonic()
            if now - began > DOWNLOAD_LIMIT_S:
                raise ProgramFailed("the download did not end in time")
            if download.ended and download.process.returncode:
                raise ProgramFailed(f"curl died after {megabytes(download.received)}: "
                                    f"{download.said()}")
            flow.sample(download.received)
            if current is None and waiting and download.received >= waiting[0].at * download.size:
                current, cut_at, path_back = waiting.pop(0), now, None
                made += 1
                self.event(began, screen.style(screen.symbol("⚡", "!"), "yellow"), current.text)
                current.begin(self.relay)
            elif current and path_back is None and now >= cut_at + current.hold_s:
                current.end(self.relay)
                path_back = time.monotonic()
            elif current and path_back and (download.ended or (
                    now > path_back + SETTLE_S and flow.last_arrival() > path_back)):
                self.report_pause(began, flow, current, cut_at, path_back)
                current = None
            self.draw(began, flow, download, session, listener, monitor,
                      cut=bool(current and path_back is None))
            time.sleep(SAMPLE_S)
        self.draw(began, flow, download, session, listener, monitor, cut=False, force=True)
        screen.end_live()
        return made

    def event(self, began, mark, text):
        self.screen.line(f"  {time.monotonic() - began:5.1f} s  {mark} {text}")

    def report_pause(self, began, flow, cut, cut_at, path_back):
        begin, end = flow.pause(cut_at, path_back)
        after = max(0.0, end - max(begin, path_back))
        self.slowest_return_s = max(self.slowest_return_s, after)
        text = f"back: curl waited {end - begin:.2f} s"
        if cut.hold_s:
            text += f", its next byte came {after:.2f} s after the path's return"
        self.event(began, self.screen.mark(True), text)

    def draw(self, began, flow, download, session, listener, monitor, cut, force=False):
        screen = self.screen
        part = download.received / download.size
        live = monitor.state == "live"
        dot = screen.style(screen.symbol("●", "*"), "green" if live else "red")
        path = screen.style("CUT ", "red", "bold") if cut else screen.style("open", "green")
        cells = max(10, min(44, screen.columns - 46))
        screen.live([
            f"  {time.monotonic() - began:5.1f} s  {screen.bar(part, cells, ['cyan'])} "
            f"{download.received / 1e6:5.1f} of {megabytes(download.size)} "
            f"{flow.rate() / 1e6:4.1f} MB/s",
            f"           path {path}  link {dot} {monitor.state:<8}  outage {monitor.outage_s:4.1f} s  "
            f"resumed {monitor.resumes}  resent {megabytes(monitor.resent)}",
            f"           redis-cli: {len(session.answers)} INCR answered, listener: "
            f"{len(listener.messages)} messages"], force)

    # -- the verdict -----------------------------------------------------------------------------

    def judge(self, download, session, listener, monitor, published, cuts_made, requests, joined):
        counted = self.beside.counted("with")
        same_file = download.exact()
        checks = [
            (same_file, f"curl: {megabytes(download.received)} in one request, "
             + (f"SHA-256 {download.digest()[:16]}... equal" if same_file else
                f"NOT the file that was served {download.said()}")),
            (requests == 1, f"nginx: {requests} request served"),
            (session.exact() and counted == session.typed,
             f"redis-cli: {session.typed} INCR typed, {len(session.answers)} answered 1, 2, 3 ..., "
             f"Redis counts {counted} {session.trouble or ''}".rstrip()),
            (session.same_connection(),
             f"redis-cli: connection {session.connection} at the start, "
             f"{session.connection_at_end} at the end"),
            (listener.exact(published),
             f"listener: {len(listener.messages)} of {published} messages, "
             f"{'in order' if listener.exact(published) else 'NOT exact'}"),
            (joined == 2, f"Redis: {joined} connections opened through the link"),
            (cuts_made == len(self.plan.cuts) and monitor.resumes >= cuts_made,
             f"link: cut {cuts_made} times, resumed {monitor.resumes} times"),
            (monitor.resent > 0, f"link: {megabytes(monitor.resent)} resent, "
             f"{monitor.outage_s:.1f} s of outage"),
        ]
        checks.append(self.end_agents(download, session, listener))
        self.screen.line()
        for good, text in checks:
            self.screen.line(f"  {self.screen.mark(good)} {text}")
        total, times = len(self.plan.without), f"of {len(self.plan.without)} times"
        self.summary = [
            ["cuts of the path", f"{total}", f"{cuts_made}"],
            ["curl, the download", f"died {self.died[0]} {times}",
             "complete and equal" if checks[0][0] else "NOT EXACT"],
            ["redis-cli, typing", f"cut off {self.died[1]} {times}",
             f"{session.typed} of {counted} INCR exact" if checks[2][0] else "NOT EXACT"],
            ["redis-cli, listening", f"cut off {self.died[2]} {times}",
             f"{published} of {published} messages" if checks[4][0] else "NOT EXACT"],
            ["next byte after the path's return", "never",
             f"at most {self.slowest_return_s:.2f} s"],
        ]
        return all(good for good, _ in checks)

    def end_agents(self, *visitors):
        """SIGTERM to the client agent, then to the server agent; each ends with 0."""
        for visitor in visitors:
            visitor.stop()
        try:
            for agent in (self.client, self.server):
                agent.terminate()
        except AssertionError as error:
            return False, f"agents: {error}"
        return True, "agents: ended in order"

    def show_summary(self):
        self.screen.heading("Summary")
        self.screen.table(["", "without Holdfast", "with Holdfast"], self.summary)

    def print_logs(self):
        for agent in self.agents:
            self.screen.line(f"---- end of the {agent.role} agent's log:")
            self.screen.line("\n".join(agent.log().splitlines()[-25:]))

    def stop(self):
        """Leaves nothing running, whatever happened."""
        for agent in self.agents:
            agent.kill()
        if self.beside:
            self.beside.close()
        self.programs.stop_all()
        for relay in self.relays:
            relay.stop()


def run(plan, screen):
    with tempfile.TemporaryDirectory(prefix="holdfast-demo-") as folder:
        demo = Demo(plan, screen, folder)
        exact = False
        try:
            demo.prepare()
            demo.without()
            exact = demo.with_holdfast()
            demo.show_summary()
        except (ProgramFailed, AssertionError, OSError, ValueError) as error:
            screen.line(f"  {screen.mark(False)} {error}")
        finally:
            if not exact:
                demo.print_logs()
            demo.stop()
        seconds = time.monotonic() - demo.began
    screen.line()
    verdict = ("Exact: every byte once and in order." if exact else "NOT exact: see above.")
    screen.line(f"  {screen.mark(exact)} {screen.style(verdict, 'bold')} {seconds:.0f} s, nothing "
                "left running.")
    return 0 if exact else 1


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a smaller file and fewer cuts")
    options = parser.parse_args()
    die_on_signals()
    try:
        return run(QUICK if options.quick else FULL, Screen())
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
