"""`holdfast-server invite`, `uninvite` and `holdfast-client join`: a pair out of one line."""
import os
import re
import signal
import stat
import subprocess
import time

import pytest

from pair import BIN, EchoBackend, free_port
from streams import wait_until

OK, FAILED, USAGE, CONFIG = 0, 1, 64, 78


def program(role, *words, **options):
    return subprocess.run([os.path.join(BIN, f"holdfast-{role}"), *map(str, words)], capture_output=True,
                          text=True, timeout=60, **options)


class Site:
    """Two folders, one for each host; agents that run are stopped at the end."""

    def __init__(self, folder):
        self.there, self.here = folder / "there", folder / "here"
        self.there.mkdir()
        self.here.mkdir()
        self.server, self.client = self.there / "server.toml", self.here / "client.toml"
        self.address = f"127.0.0.1:{free_port()}"
        self.echo = EchoBackend()
        self.running = []

    def invite(self, *words, name="edge-1", service=None):
        service = service or f"echo={self.echo.target}"
        return program("server", "invite", name, "--service", service, "--address", self.address, *words,
                       "-c", self.server)

    def join(self, line, *words):
        return program("client", "join", "-", *words, "-c", self.client, input=line)

    def run(self, role):
        config = self.server if role == "server" else self.client
        with open(config.with_suffix(".log"), "a") as log:
            self.running.append(subprocess.Popen([os.path.join(BIN, f"holdfast-{role}"), "-c", str(config)],
                                                 stdout=log, stderr=log))
        wait_until(lambda: (config.parent / f"{role}.sock").exists(), 10, f"the {role}'s socket")
        return self.running[-1]

    def ready(self):
        wait_until(lambda: program("client", "ready", "-c", self.client).returncode == OK, 10, "ready")

    def files(self, folder):
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    def ask(self, text=b"hello"):
        """Through `connect`: what comes back."""
        run = subprocess.run([os.path.join(BIN, "holdfast-client"), "connect", "echo", "-c", str(self.client)],
                             input=text, capture_output=True, timeout=30)
        return run.stdout

    def close(self):
        for process in self.running:
            process.send_signal(signal.SIGTERM)
            process.wait(10)
        self.echo.close()


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    yield made
    made.close()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.sanitized
def test_one_line_pairs_two_hosts_that_had_no_config(site):
    invited = site.invite()
    assert invited.returncode == OK, invited.stderr
    line = invited.stdout
    assert re.fullmatch(r"holdfast1/edge-1/127\.0\.0\.1:\d+/echo=\d+/never/[0-9a-f]{32}:[0-9a-f]{64}\n", line)
    assert "secret" in invited.stderr and f"holdfast-server -c {site.server}" in invited.stderr
    assert site.files(site.there) == {"server.toml", "server.d/edge-1.toml", "server.d/edge-1.psk",
                                      "server.d/service-echo.toml"}
    assert mode(site.there / "server.d/edge-1.psk") == 0o600
    # A name of its own, by which clients know it: nothing to warn of.
    assert re.search(r'^name = "[A-Za-z0-9_.-]+-[0-9a-f]{8}"$', (site.there / "server.toml").read_text(), re.M)
    checked = program("server", "check", "-c", site.server)
    assert checked.returncode == OK and "warning" not in checked.stdout + checked.stderr
    joined = site.join(line)
    assert joined.returncode == OK, joined.stderr
    assert site.files(site.here) == {"client.toml", "edge-1.psk"}
    assert mode(site.here / "edge-1.psk") == 0o600
    key = line.strip().rpartition("/")[2]
    assert key not in joined.stdout + joined.stderr + invited.stderr
    for role, config in (("server", site.server), ("client", site.client)):
        assert program(role, "check", "-c", config).returncode == OK
        site.run(role)
    site.ready()
    assert site.ask() == b"hello"


def test_a_running_server_takes_the_next_client_at_once_and_lets_it_go_again(site):
    site.invite(name="first")
    site.run("server")
    invited = site.invite(service="echo")       # the service is there by now
    assert invited.returncode == OK, invited.stderr
    assert "the running agent has read it" in invited.stderr
    site.join(invited.stdout)
    site.run("client")
    site.ready()
    process = subprocess.Popen([os.path.join(BIN, "holdfast-client"), "connect", "echo", "-c", str(site.client)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    process.stdin.write(b"x")
    assert process.stdout.read(1) == b"x"
    gone = program("server", "uninvite", "edge-1", "-c", site.server)
    assert gone.returncode == OK, gone.stderr
    assert "is taken away" in gone.stdout and "revoked" in gone.stdout
    assert process.wait(10) == FAILED            # reset at once
    for pipe in (process.stdin, process.stdout, process.stderr):
        pipe.close()
    assert site.files(site.there) - {"server.log"} == {
        "server.toml", "server.d/first.toml", "server.d/first.psk", "server.d/service-echo.toml"}
    assert program("client", "ready", "-c", site.client).returncode == 75
    assert program("server", "uninvite", "first", "-c", site.server).returncode == OK
    assert site.files(site.there) - {"server.log"} == {"server.toml"}


def test_an_uninvited_client_may_keep_its_connections(site):
    line = site.invite().stdout
    site.join(line)
    site.run("server")
    site.run("client")
    site.ready()
    process = subprocess.Popen([os.path.join(BIN, "holdfast-client"), "connect", "echo", "-c", str(site.client)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    process.stdin.write(b"x")
    assert process.stdout.read(1) == b"x"
    assert program("server", "uninvite", "edge-1", "--keep", "-c", site.server).returncode == OK
    process.stdin.write(b"y")
    assert process.stdout.read(1) == b"y"
    process.stdin.close()
    assert process.wait(10) == OK
    process.stdout.close()


def test_access_ends_when_the_invite_says_so_joined_or_not(site):
    invited = site.invite("--expires", "4s")
    assert invited.returncode == OK, invited.stderr
    ends = re.search(r"/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)/", invited.stdout)[1]
    assert f"after {ends} the server lets this client in no more" in invited.stderr
    joined = site.join(invited.stdout)
    assert f"until {ends}" in joined.stdout
    site.run("server")
    site.run("client")
    site.ready()
    assert site.ask() == b"hello"
    time.sleep(4.5)                              # by the wall clock, which nothing else tells
    assert site.ask() == b"hello"                # a carrier that stands goes on
    assert program("client", "reconnect", "-c", site.client).returncode == OK
    log = site.server.with_suffix(".log")
    wait_until(lambda: "the access of edge-1 has ended" in log.read_text(), 10, "the refusal in the log")
    assert program("client", "ready", "-c", site.client).returncode == 75
    client = site.client
    site.client = site.here / "late.toml"
    late = site.join(invited.stdout)
    assert late.returncode == FAILED and f"this invite ended on {ends}" in late.stderr
    site.client = client


@pytest.mark.parametrize("words,says", [
    (["in valid", "--service", "s=127.0.0.1:1", "--address", "h:1"], "in valid"),
    (["edge", "--service", "s=nowhere", "--address", "h:1"], "--service s=nowhere"),
    (["edge", "--service", "s", "--address", "h:1"], "the server has no service s yet"),
    (["edge", "--service", "s=127.0.0.1:1", "--address", "h"], "--address h"),
    (["edge", "--service", "s=127.0.0.1:1", "--address", "h:1", "--expires", "soon"], "--expires soon"),
    (["edge", "--service", "s=127.0.0.1:1", "--address", "h:1", "--expires", "2020-01-01"], "over already"),
    (["edge", "--service", "s=127.0.0.1:1", "--service", "s", "--address", "h:1"], "stands there twice"),
])
def test_a_wrong_invite_names_what_is_wrong_and_leaves_nothing(site, words, says):
    run = program("server", "invite", *words, "-c", site.server)
    assert run.returncode == USAGE and says in run.stderr, run.stderr
    assert run.stdout == "" and site.files(site.there) == set()


def test_an_invite_into_a_broken_config_names_the_line_and_leaves_it_alone(site):
    site.server.write_text("[link]\nlisten = [\"127.0.0.1:1\"]\nheartbaet = \"1s\"\n")
    run = site.invite()
    assert run.returncode == CONFIG and f"{site.server}:3: link.heartbaet" in run.stderr
    assert site.files(site.there) == {"server.toml"}


def test_an_invite_that_the_running_agent_refuses_is_undone(site):
    site.invite(name="first")
    site.run("server")
    key = site.there / "server.d/first.psk"
    key.chmod(0o644)                             # the reload will say so
    before = site.files(site.there)
    run = site.invite()
    assert run.returncode == FAILED and "first.psk" in run.stderr and "nothing was changed" in run.stderr
    assert run.stdout == "" and site.files(site.there) == before


def test_what_is_there_already_is_not_touched(site):
    line = site.invite().stdout
    before = {path: (site.there / path).read_bytes() for path in site.files(site.there)}
    twice = site.invite()
    assert twice.returncode == FAILED and "uninvite edge-1" in twice.stderr
    other = site.invite(name="edge-2", service="echo=127.0.0.1:9")
    assert other.returncode == FAILED and "is there already, with the target" in other.stderr
    assert {path: (site.there / path).read_bytes() for path in site.files(site.there)} == before
    site.client.write_text("mine")
    again = site.join(line)
    assert again.returncode == FAILED and "is there already" in again.stderr
    assert site.files(site.here) == {"client.toml"} and site.client.read_text() == "mine"
    site.client.unlink()
    (site.here / "edge-1.psk").write_text("another's")
    again = site.join(line)
    assert again.returncode == FAILED and "edge-1.psk" in again.stderr
    assert site.files(site.here) == {"edge-1.psk"}


def test_what_a_hand_wrote_is_not_uninvited(site):
    site.invite()
    config = site.there / "server.d/edge-1.toml"
    config.write_text(config.read_text().partition("\n")[2])
    run = program("server", "uninvite", "edge-1", "-c", site.server)
    assert run.returncode == FAILED and "by hand" in run.stderr and config.exists()
    assert program("server", "uninvite", "nobody", "-c", site.server).returncode == FAILED


@pytest.mark.parametrize("spoil,says", [
    (lambda line: "", "it is empty"),
    (lambda line: line[:-10], "its key"),
    (lambda line: line.replace("holdfast1", "holdfast9"), "another version"),
    (lambda line: "hello", "does not begin with holdfast1/"),
    (lambda line: line.rpartition("/")[0], "5 parts"),
    (lambda line: line.replace("/never/", "/2026-02-31/"), "the date"),
    (lambda line: re.sub(r"echo=\d+", "echo=0", line), "the port of service echo"),
    (lambda line: re.sub(r"/127[^/]*", "/nowhere", line), "the server's address"),
])
def test_a_spoilt_line_says_which_part_is_wrong_and_leaves_nothing(site, spoil, says):
    line = site.invite().stdout.strip()
    run = site.join(spoil(line))
    assert run.returncode == USAGE and says in run.stderr, run.stderr
    assert line.rpartition(":")[2] not in run.stderr
    assert site.files(site.here) == set()


def test_a_line_can_go_into_a_file_of_mode_600(site):
    target = site.there / "line"
    run = site.invite("--out", target)
    assert run.returncode == OK and run.stdout == ""
    assert mode(target) == 0o600
    assert site.join(target.read_text()).returncode == OK
    again = site.invite("--out", target, name="edge-2", service="echo")
    assert again.returncode == FAILED and "nothing was changed" in again.stderr
    assert not (site.there / "server.d/edge-2.toml").exists()


def test_a_port_that_is_taken_is_not_chosen(site):
    line = site.invite().stdout                  # the target's port is the backend's, on this host
    joined = site.join(line)
    port = int(re.search(r"echo: connect to 127\.0\.0\.1:(\d+)", joined.stdout)[1])
    assert port != site.echo.address[1]
