"""Limits that come short of what lives: nothing that was accepted is lost by them, and strangers do not
use up what is kept for the link."""
import contextlib
import copy
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from pair import TIMESCALE, Backend, EchoBackend, Pair, toml
from streams import ping, read_exactly, wait_until
from test_reload import change, reload


def echo_works(app, byte=b"x"):
    try:
        app.sendall(byte)
        return read_exactly(app, 1, 5 * TIMESCALE) == byte
    except (OSError, AssertionError):
        return False


def waiting_applications(pair, count):
    """Connected while the link is down, each with a byte of its own."""
    apps = [pair.dial() for _ in range(count)]
    for app in apps:
        app.sendall(b"w")
    return apps


def served_of(apps):
    """Those that are not reset, once every one of the others is."""
    served = []
    for app in apps:
        app.settimeout(5 * TIMESCALE)
        try:
            assert app.recv(1) == b"w"
            served.append(app)
        except ConnectionResetError:
            continue
    return served


def test_more_waiting_applications_than_the_server_takes_lose_no_live_connection(tmp_path):
    """60 wait for the first link, the server takes 20: 20 live, 40 are refused, also when the carrier falls
    before anything is back."""
    pair = Pair(tmp_path, services={"raw": {"target": EchoBackend()}}, wait_ready=False,
                server={"limits": {"connections": 20}}, client={"link": {"open_timeout": "60s"}})
    pair.relay.refuse()
    with pair:
        wait_until(lambda: pair.client.run("ready").returncode == 75, 10 * TIMESCALE, "the client up")
        apps = waiting_applications(pair, 60)
        pair.relay.delay(300)
        pair.relay.accept()
        pair.wait_ready()
        pair.relay.cut()
        pair.relay.delay(0)
        served = served_of(apps)
        assert len(served) == 20
        pair.relay.cut()
        pair.wait_ready()
        assert all(echo_works(app) for app in served)
        closed = pair.client.json("status")["services"]["raw"]["closed"]
        assert closed == {"limit": 40}


def test_a_lower_limit_after_a_reload_keeps_what_lives_and_refuses_the_rest(tmp_path):
    with Pair(tmp_path, services={"raw": {"target": EchoBackend()}},
              client={"link": {"open_timeout": "60s"}}) as pair:
        live = [pair.dial() for _ in range(10)]
        assert all(echo_works(app) for app in live)
        change(pair.server, "clients", "edge-1", "connections", value=4)
        reload(pair.server)
        pair.relay.refuse()
        pair.relay.cut()
        pair.client.wait_event("link_down")
        apps = waiting_applications(pair, 10)
        pair.relay.accept()
        assert served_of(apps) == []
        for _ in range(2):
            assert all(echo_works(app) for app in live)
            pair.relay.cut()


@pytest.mark.parametrize("strangers", [0, 40])
def test_a_server_whose_descriptors_are_all_in_use_takes_its_clients_back(tmp_path, strangers):
    """Targets have all but the reserve, which is the carriers': strangers have a part of it at most."""
    with Pair(tmp_path, services={"raw": {"target": EchoBackend()}}, descriptors={"server": 200},
              server={"link": {"grace": "60s"}}, link="psk") as pair:
        live = []
        with contextlib.suppress(ConnectionError):  # refused before connect() has returned
            while len(live) < 250 and echo_works(app := pair.dial()):
                live.append(app)
        assert 100 < len(live) < 250, "the server's descriptors were not scarce"
        for _ in range(3):
            pair.relay.refuse()
            pair.relay.cut()
            pair.client.wait_event("link_down")
            socks = [socket.create_connection(("127.0.0.1", pair.link_port)) for _ in range(strangers)]
            pair.relay.accept()
            pair.wait_ready()
            assert all(echo_works(app) for app in live)
            for sock in socks:
                sock.close()
        pair.close_sockets()


@pytest.mark.parametrize("role", ["client", "server"])
def test_with_several_threads_the_limit_of_connections_is_one(tmp_path, role):
    """One link is on one loop, which may have all of them."""
    with Pair(tmp_path, services={"raw": {"target": EchoBackend()}},
              **{role: {"threads": 4, "limits": {"connections": 100}}}) as pair:
        apps = [pair.dial() for _ in range(100)]
        assert all(echo_works(app) for app in apps)
        assert pair.server.json("status")["connections_limit"] == (
            100 if role == "server" else pair.server.json("status")["connections_limit"])
        late = pair.dial()
        if role == "server":
            assert not echo_works(late)
        else:
            late.sendall(b"l")
            late.settimeout(0.5)
            with pytest.raises(TimeoutError):
                late.recv(1)
            apps.pop().close()
            late.settimeout(10 * TIMESCALE)
            assert late.recv(1) == b"l"
        assert all(echo_works(app) for app in apps)


def test_on_several_threads_who_waits_for_room_gets_it_wherever_it_is_made(tmp_path):
    with Pair(tmp_path, services={"raw": {"target": EchoBackend()}},
              client={"threads": 3, "limits": {"connections": 12}, "link": {"parallel": 3}}) as pair:
        for _ in range(3):
            apps = [pair.dial() for _ in range(12)]
            assert all(echo_works(app) for app in apps)
            late = [pair.dial() for _ in range(6)]
            for app in late:
                app.sendall(b"l")
            for app in apps:
                app.close()
            for app in late:
                app.settimeout(10 * TIMESCALE)
                assert app.recv(1) == b"l"
                app.close()


def test_a_process_that_comes_back_with_fewer_parallel_links_leaves_no_ghosts(tmp_path):
    with Pair(tmp_path, client={"link": {"parallel": 3}}, server={"link": {"grace": "60s"}}) as pair:
        wait_until(lambda: len(pair.server.json("links")) == 3, 10 * TIMESCALE, "three links")
        talks = [pair.connect() for _ in range(6)]
        for app, back in talks:
            ping(app, back)
        pair.client.kill()
        settings = copy.deepcopy(pair.client.settings)
        settings["link"]["parallel"] = 1
        pair.client.write_config(settings)
        pair.client.start()
        pair.wait_ready()
        start = time.monotonic()
        for _, back in talks:
            back.settimeout(10 * TIMESCALE)
            with pytest.raises(ConnectionResetError):
                while back.recv(100):
                    pass
        assert time.monotonic() - start < 5 * TIMESCALE
        ping(*pair.connect())


def test_a_full_agent_does_not_listen_for_a_service_that_is_down(tmp_path):
    """Whether there is room has nothing to do with whether a target is up."""
    down = Backend(("127.0.0.1", 0))
    host, port = down.address
    with Pair(tmp_path, client={"threads": 2, "limits": {"connections": 8},
                                "services": {"down": {"mirror": True}}},
              services={"raw": {"target": EchoBackend()},
                        "down": {"target": f"{host}:{port}", "mirror": True,
                                 "check_interval": "200ms"}}) as pair:
        down.close()

        def listened_for():
            try:
                socket.create_connection(pair.listens["down"], 1).close()
                return True
            except OSError:
                return False
        wait_until(lambda: not listened_for(), 10 * TIMESCALE, "its listener closed")
        apps = [pair.dial() for _ in range(8)]
        assert all(echo_works(app) for app in apps)
        reload(pair.client)
        time.sleep(0.5)
        assert not listened_for()


def test_failures_of_a_tight_loop_are_summed_up_in_the_log(tmp_path):
    with Pair(tmp_path, services={"raw": {"target": "127.0.0.1:1"}},
              client={"log": {"level": "info"}}, server={"log": {"level": "info"}}) as pair:
        for _ in range(200):
            pair.dial_in_vain()
        for agent in (pair.client, pair.server):
            lines = [line for line in agent.log().splitlines() if "cause=target_refused" in line]
            assert 1 <= len(lines) <= 30
            assert agent.json("status")["services"]["raw"]["closed"]["target_refused"] == 200


# -- what the host refuses ---------------------------------------------------------------------------

class Around:
    """Words before an agent's command."""

    def __init__(self, *words):
        self.prefix = list(words)

    @staticmethod
    def enter():
        return contextlib.nullcontext()


@pytest.mark.parametrize("role", ["client", "server"])
def test_health_is_answered_where_descriptors_are_few_and_its_users_take_none_of_the_links(tmp_path, role):
    """Users of the metrics address and of the admin socket by the hundred, at the descriptor limit: /livez and
    `status` are answered, and the link comes back."""
    with Pair(tmp_path, services={"raw": {"target": EchoBackend()}}, descriptors={role: 200},
              server={"link": {"grace": "60s"}}, link="psk") as pair:
        agent = getattr(pair, role)
        live = []
        with contextlib.suppress(ConnectionError, TimeoutError):
            while len(live) < 250 and echo_works(app := pair.dial(seconds=2)):
                live.append(app)
        assert 100 < len(live) < 250, "descriptors were not scarce"
        users = []
        for _ in range(150):
            users.append(socket.create_connection(("127.0.0.1", agent.metrics_port)))
            users[-1].sendall(b"GET /me")                     # and no more
            users.append(socket.socket(socket.AF_UNIX))
            users[-1].setblocking(False)
            with contextlib.suppress(BlockingIOError):
                users[-1].connect(agent.settings["admin"]["socket"])
        for _ in range(3):
            assert agent.metric("holdfast_ready") == 1
            assert agent.status()["ready"]
            pair.relay.cut()
            pair.wait_ready()
            assert all(echo_works(app) for app in live)
        for sock in users:
            sock.close()
        pair.close_sockets()


AS_NOBODY_WITH_FEW_THREADS = """
import os, resource, sys
program = os.open(sys.argv[1], os.O_RDONLY)
os.setgroups([])
os.setgid(65531)
os.setuid(65531)
most = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
os.execve(program, ["agent", *sys.argv[3:]], os.environ)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
@pytest.mark.parametrize("role", ["client", "server"])
def test_an_agent_that_gets_no_thread_at_its_start_says_so_and_ends(tmp_path, role):
    with Pair(tmp_path, link="plain") as pair:
        agent = getattr(pair, role)
        settings = copy.deepcopy(agent.settings)
    folder = f"/tmp/holdfast-threads-{os.getpid()}-{role}"
    os.makedirs(folder, mode=0o700)
    try:
        settings["admin"]["socket"] = f"{folder}/a.sock"
        with open(f"{folder}/agent.toml", "w") as file:
            file.write(toml(settings))
        for path in (folder, f"{folder}/agent.toml"):
            os.chown(path, 65531, 65531)
        # The agent's process, then the log's thread, the reload's, the answers': each in turn is the one that is
        # refused.
        for most in range(1, 9):
            ran = subprocess.run(
                [sys.executable, "-c", AS_NOBODY_WITH_FEW_THREADS, agent.program, str(most), "-c",
                 f"{folder}/agent.toml"], capture_output=True, text=True, timeout=20)
            assert ran.returncode == 1, (most, ran.returncode, ran.stderr)
            refused = "refuses a process (see `ulimit -u`" if most == 1 else "refuses a thread (see `ulimit -u`"
            assert refused in ran.stderr, (most, ran.stderr)
            assert "Resource temporarily unavailable" in ran.stderr, (most, ran.stderr)
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("role", ["client", "server"])
def test_an_agent_that_gets_no_memory_for_its_buffers_says_so_and_ends(tmp_path, role):
    """By the address space, which `ulimit -v` and LimitAS= bound, and of which a 32-bit process has little."""
    with Pair(tmp_path, link="plain") as pair:
        agent = getattr(pair, role)
        settings = copy.deepcopy(agent.settings)
    settings["admin"]["socket"] = f"{tmp_path}/other.sock"
    settings.setdefault("limits", {})["memory"] = "1024GiB"
    (tmp_path / "large.toml").write_text(toml(settings))
    ran = subprocess.run(["bash", "-c", 'ulimit -v 4000000 && exec "$@"', "agent", agent.program, "-c",
                          f"{tmp_path}/large.toml"], capture_output=True, text=True, timeout=20)
    assert ran.returncode == 1, (ran.returncode, ran.stderr)
    assert "refuses memory for connections' buffers (see `ulimit -v`" in ran.stderr, ran.stderr
    assert "Cannot allocate memory" in ran.stderr, ran.stderr


REFUSES_TO_WATCH = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

// Adds nothing to a set while the file is there: as where fs.epoll.max_user_watches is reached.
int epoll_ctl(int set, int operation, int descriptor, struct epoll_event* event) {
  static int (*real)(int, int, int, struct epoll_event*);
  if (!real) real = (int (*)(int, int, int, struct epoll_event*))dlsym(RTLD_NEXT, "epoll_ctl");
  if (operation == EPOLL_CTL_ADD && access(getenv("REFUSED_WHILE"), F_OK) == 0) {
    errno = ENOSPC;
    return -1;
  }
  return real(set, operation, descriptor, event);
}
"""


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
@pytest.mark.parametrize("role", ["client", "server"])
def test_a_host_that_watches_no_more_descriptors_ends_nothing(tmp_path, role):
    source, library, switch = (str(tmp_path / name) for name in ("watch.c", "watch.so", "refused"))
    with open(source, "w") as file:
        file.write(REFUSES_TO_WATCH)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    folder = tmp_path / "pair"
    folder.mkdir()
    with Pair(folder, services={"raw": {"target": EchoBackend()}}) as pair:
        agent = getattr(pair, role)
        agent.terminate()
        agent.space = Around("env", f"LD_PRELOAD={library}", f"REFUSED_WHILE={switch}")
        agent.start()
        pair.wait_ready()
        before = [pair.dial() for _ in range(5)]
        assert all(echo_works(app) for app in before)
        open(switch, "w").close()
        during = [pair.dial() for _ in range(5)]
        assert all(echo_works(app) for app in before + during)
        wait_until(lambda: any("No space left on device" in line for line in agent.events("warning")),
                   10 * TIMESCALE, "a warning in the system's words")
        pair.relay.cut()                                      # its next carrier is not watched either
        wait_until(lambda: all(echo_works(app) for app in before + during), 20 * TIMESCALE,
                   "all are served over the next carrier")
        os.remove(switch)
        after = [pair.dial() for _ in range(5)]
        assert all(echo_works(app) for app in before + during + after)
