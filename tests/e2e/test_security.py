"""The encrypted link: who gets in, what strangers can do, what becomes of secrets."""
import contextlib
import grp
import itertools
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import threading

import pytest

import outages
from flood import Flood
from pair import BIN, NAME, TIMESCALE
from pki import HOST, certificate_options, tls
from stopwatch import Stopwatch
from streams import Flow, ping, read_exactly, wait_until


# -- who gets in ---------------------------------------------------------------------------------------

@pytest.mark.sanitized
def test_certificates_from_make_certs_carry_a_link_through_a_cut(make_pair, certificates):
    made = certificates("pki", HOST, NAME, "edge-2")
    for name in ("ca", "server", NAME):
        assert stat.S_IMODE(os.stat(made / f"{name}.key").st_mode) == 0o600
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    app, back = pair.connect()
    ping(app, back)
    outages.run(pair, "reset")
    ping(app, back)


def refused_pair(make_pair, **options):
    pair = make_pair(wait_ready=False, **options)
    wait_until(lambda: pair.client.run("ready").returncode == 75, 5 * TIMESCALE, "exit code 75")
    return pair


# What the client's log and the server's must say.
CERTIFICATE_FAULTS = {
    "another-ca": ("refused our certificate (cert_file): it is from a CA",
                   "is not from a CA in ca_file"),
    "another-server-name": ("is for another name than server_name", "the client refused our certif"),
    "impostor-server": ("is not from a CA in ca_file", "it is from a CA that is not in their"),
    "unconfigured-client": ("cause=auth", "edge-9, which is no client of ours"),
    "another-clients-name": ("cause=auth", "edge-2 says that it is edge-1"),
}


@pytest.mark.parametrize("kind", CERTIFICATE_FAULTS)
def test_a_certificate_that_is_not_right_is_explained_on_both_sides(make_pair, certificates, kind):
    made = certificates("pki", HOST, NAME, "edge-2", "edge-9")
    client, server, name = tls(made, NAME), tls(made, "server"), HOST
    extra = {}
    if kind == "another-ca":
        client = tls(certificates("other", HOST, NAME), NAME, ca=made)
    elif kind == "another-server-name":
        name = "tunnel.example.org"
    elif kind == "impostor-server":
        server = tls(certificates("other", HOST), "server", ca=made)
    elif kind == "unconfigured-client":
        client = tls(made, "edge-9")
    elif kind == "another-clients-name":
        client = tls(made, "edge-2")
        extra = {"edge-2": {"services": []}}
    options = certificate_options(client, server, name)
    options["server"]["clients"].update(extra)
    pair = refused_pair(make_pair, **options)
    with open(pair.server.log_path) as log:
        assert log.read().count("carrier_rejected") < 10, "it dials without a pause"
    for agent, words in zip((pair.client, pair.server), CERTIFICATE_FAULTS[kind]):
        wait_until(lambda: words in agent.log(), 5 * TIMESCALE, f"{words!r} in the {agent.role}'s log")


@pytest.mark.sanitized
@pytest.mark.parametrize("kind", ["wrong", "unknown"])
def test_a_wrong_key_and_an_unknown_one_differ_only_in_the_servers_log(make_pair, tmp_path, kind):
    pair = make_pair(link="psk")
    with open(os.path.join(pair.folder, f"{NAME}.psk")) as file:
        known = file.read()
    other = subprocess.run([os.path.join(BIN, "holdfast-client"), "genpsk"], capture_output=True,
                           text=True, check=True).stdout
    bad = tmp_path / "bad.psk"
    bad.write_text(known.split(":")[0] + ":" + other.split(":")[1] if kind == "wrong" else other)
    bad.chmod(0o600)
    app, back = pair.connect()
    stranger = make_pair(link="psk", wait_ready=False, relay=None, client={"link": {
        "psk_file": str(bad), "server": [f"{HOST}:{pair.link_port}"]}})
    words = "offered a wrong key" if kind == "wrong" else "no client has the key"
    pair.server.wait_event("carrier_rejected", cause="tls")
    wait_until(lambda: words in pair.server.log(), 5, words)
    wait_until(lambda: "it does not know this psk_file's key, or has another key for its id" in
               stranger.client.log(), 5, "the client's explanation")
    ping(app, back)
    assert pair.reconnects() == 0
    for secret in (known, other):
        secret = secret.strip().split(":")[1]
        assert all(secret not in agent.log() for agent in (pair.server, pair.client, stranger.client))


def test_who_leaves_within_the_tls_handshake_is_worth_no_warning(make_pair):
    """A scan; a dial of an agent that another one of it has won."""
    pair = make_pair(link="psk", server={"log": {"level": "debug"}})
    with socket.create_connection((HOST, pair.link_port), timeout=10) as sock:
        sock.sendall(b"\x16\x03\x01\x00\xc8\x01")       # the beginning of a hello
    pair.server.wait_event("carrier_rejected", cause="carrier_eof")
    (line,) = pair.server.events("carrier_rejected")
    assert " debug " in line and "closed the connection during the TLS handshake" in line


def test_a_plaintext_client_gets_nowhere_with_an_encrypted_server(make_pair):
    from rawlink import Ended, RawLink
    pair = make_pair(link="psk")
    raw = RawLink(pair.link_port, name=NAME)
    raw.say_hello()
    with contextlib.suppress(Ended):
        raw._input = b""
        while raw.sock.recv(4096):
            pass
    pair.server.wait_event("carrier_rejected", cause="tls")
    raw.close()


# -- what a path can do to TLS ---------------------------------------------------------------------------

class Tamper(threading.Thread):
    """A relay of one direction's bytes that spoils one of them, or leaves out the rest."""

    def __init__(self, target, at, how):
        super().__init__(daemon=True)
        self.listener = socket.create_server((HOST, 0))
        self.port = self.listener.getsockname()[1]
        self.target, self.at, self.how, self.spoilt = target, at, how, 0
        self.said = b""                # by whoever dials
        self._halt = threading.Event()
        self.start()

    def run(self):
        self.listener.settimeout(0.1)
        pumps = []
        while not self._halt.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
                for ends in ((client, server, True), (server, client, False)):
                    pumps.append(threading.Thread(target=self._pump, args=ends, daemon=True))
                    pumps[-1].start()
        self.listener.close()

    def _pump(self, source, sink, up):
        seen = 0
        with contextlib.suppress(OSError):
            while block := source.recv(65536):
                if up:
                    self.said += block
                if up and self.spoilt == 0 and seen <= self.at < seen + len(block):
                    self.spoilt += 1
                    at = self.at - seen
                    if self.how == "truncate":
                        sink.sendall(block[:at])
                        break
                    block = block[:at] + bytes([block[at] ^ 1]) + block[at + 1:]
                seen += len(block)
                sink.sendall(block)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def stop(self):
        self._halt.set()
        self.join(5)


def dial_through(pair, tamper):
    pair.client.kill()
    pair.client.settings["link"]["server"] = [f"{HOST}:{tamper.port}"]
    pair.client.write_config(pair.client.settings)
    pair.client.start()
    pair.wait_ready(20)


def test_a_recorded_session_proves_nothing_when_it_is_sent_again(make_pair):
    pair = make_pair(link="psk", relay=None, wait_ready=False)
    recorder = Tamper((HOST, pair.link_port), -1, None)
    try:
        dial_through(pair, recorder)
        app, back = pair.connect()
        ping(app, back)
        said = recorder.said
        first = said[:5 + int.from_bytes(said[3:5], "big")]
        assert len(said) > 2 * len(first)
        replays = []
        for words in [said] + [first] * 50:       # more than the client has seats
            sock = socket.create_connection((HOST, pair.link_port), timeout=30)
            sock.sendall(words)
            replays.append(sock)
        with contextlib.suppress(ConnectionError):
            while replays[0].recv(4096):
                pass
        pair.server.wait_event("carrier_rejected", cause="tls")
        ping(app, back)
        assert pair.reconnects() == 0
        for sock in replays:
            sock.close()
    finally:
        recorder.stop()


@pytest.mark.parametrize("how", ["flip", "truncate"])
@pytest.mark.parametrize("at", [3, 60, 200, 330, 700, 100_000, 1_000_001])
def test_a_flipped_or_missing_byte_costs_a_carrier_and_never_a_byte(make_pair, at, how):
    patience = {"link": {"handshake_timeout": "1s"}}     # for a length that promises too much
    pair = make_pair(link="psk", relay=None, wait_ready=False, client=patience,
                     server={**patience, "log": {"level": "debug"}})
    tamper = Tamper((HOST, pair.link_port), at, how)
    try:
        dial_through(pair, tamper)
        app, back = pair.connect()
        flow = Flow(app, back, 5, 4 << 20)
        flow.wait()
        assert tamper.spoilt == 1
        if how == "flip":
            # The last one: a record that promises more than comes, until the client gives up.
            causes = re.compile("cause=(tls|handshake_timeout|carrier_eof)")
            wait_until(lambda: causes.search(pair.server.log()), 5, "the cause in the server's log")
    finally:
        tamper.stop()


# -- before authentication ---------------------------------------------------------------------------------

FLOODS = {"silent": b"", "half-a-hello": bytes.fromhex("1603010131 0100012d0303".replace(" ", "")) +
          bytes(60), "http": b"GET / HTTP/1.1\r\n"}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_from_the_same_address_does_not_keep_a_client_from_resuming(make_pair, kind):
    pair = make_pair(link="psk", server={"log": {"level": "info"}})
    app, back = pair.connect()
    before = pair.server.resident_bytes()
    flood = Flood(pair.link_port, 2000, FLOODS[kind])
    try:
        flood.wait()
        resumed = []
        for _ in range(10):
            reconnects = pair.reconnects()
            pair.relay.cut()
            resumed.append(ping(app, back))
            assert pair.reconnects() > reconnects
        assert sorted(resumed)[5] < 0.5 * TIMESCALE, resumed
        assert max(resumed) < 2 * TIMESCALE, resumed
        if TIMESCALE == 1:
            assert pair.server.resident_bytes() - before < 48 << 20
    finally:
        flood.stop()
    assert len(pair.server.log()) < 256 << 10


def test_a_flood_does_not_hide_a_new_client_for_long(make_pair):
    pair = make_pair(link="psk")
    pair.client.terminate()
    flood = Flood(pair.link_port, 2000)
    try:
        flood.wait()
        pair.client.start()
        pair.wait_ready(10)
        ping(*pair.connect())
    finally:
        flood.stop()


def test_a_dripping_tls_hello_ends_with_the_handshake_timeout(make_pair):
    pair = make_pair(link="psk", server={"link": {"handshake_timeout": "1s"}})
    sock = socket.create_connection((HOST, pair.link_port))
    watch = Stopwatch()
    sock.settimeout(0.1)
    with contextlib.suppress(ConnectionError):
        for byte in FLOODS["half-a-hello"] * 3:
            sock.send(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                if not sock.recv(100):
                    break
    assert watch.seconds() < 2.5 * TIMESCALE
    sock.close()
    pair.server.wait_event("carrier_rejected", cause="handshake_timeout")


# -- round trips -------------------------------------------------------------------------------------------

def test_a_resume_takes_three_round_trips_from_syn_to_the_first_replayed_byte(make_pair):
    """The relay answers a SYN itself, so one round trip is not paid here: two are left, for the TLS
    handshake and for HELLO and WELCOME. The server's replay comes right behind WELCOME."""
    each_way_s = 0.25
    round_trip = 2 * each_way_s
    pair = make_pair(link="psk", fast=False)
    app, back = pair.connect()
    ping(app, back)
    pair.relay.delay(each_way_s * 1000)
    # Sent and not delivered: it dies with the carrier, and is replayed. The backend's side first.
    back.sendall(b"down")
    wait_until(lambda: pair.relay.stats()["waiting_down"] > 0, 5, "bytes on their way")
    watch = Stopwatch()
    pair.relay.cut()
    assert read_exactly(app, 4) == b"down"
    elapsed = watch.elapsed()
    trips = 1 + watch.seconds(elapsed) / round_trip
    assert pair.server.replayed() >= 4
    assert trips < 3 + 0.4 * TIMESCALE, f"{trips:.2f} round trips"
    assert 1 + elapsed / round_trip > 2.9, "the delay was not there"


# -- secrets -----------------------------------------------------------------------------------------------

def secret_of(pair):
    with open(os.path.join(pair.folder, f"{NAME}.psk")) as file:
        return file.read().strip().split(":")[1]


def test_a_key_shows_up_nowhere(make_pair):
    pair = make_pair(link="psk", client={"log": {"level": "trace"}}, server={"log": {"level": "trace"}})
    ping(*pair.connect())
    outages.run(pair, "reset")
    secret = secret_of(pair)
    for agent in (pair.client, pair.server):
        said = [agent.log(), open(f"/proc/{agent.pid}/cmdline").read()]
        for words in (["status"], ["links"], ["connections"], ["check"]):
            for form in ([], ["--json"]):
                result = agent.run(*words, *form)
                said += [result.stdout, result.stderr]
        assert all(secret not in text and secret.upper() not in text for text in said)


def test_no_core_dump_holds_a_key(make_pair):
    """A process that is not dumpable has root's files in /proc, and its kernel writes no core."""
    pair = make_pair(link="psk")
    for agent in (pair.client, pair.server):
        assert os.stat(f"/proc/{agent.pid}/environ").st_uid == 0
        result = subprocess.run(
            ["/usr/bin/python3", "-c",
             "import os,sys; os.setgid(65534); os.setuid(65534); open(sys.argv[1],'rb').read(1)",
             f"/proc/{agent.pid}/mem"], capture_output=True, text=True)
        assert "PermissionError" in result.stderr


PAGE = os.sysconf("SC_PAGESIZE")
PRESENT_OR_SWAPPED = 0b11 << 62  # proc(5), pagemap


def held_ranges(pid):
    """The writable memory that the process really has: not the holes, which a read would fill."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/pagemap", "rb", 0) as pagemap:
        for line in maps:
            begin, end, mode = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if "rw" not in mode:
                continue
            first, last = int(begin, 16) // PAGE, int(end, 16) // PAGE
            pagemap.seek(first * 8)
            held = [entry & PRESENT_OR_SWAPPED != 0 for (entry,) in
                    struct.iter_unpack("<Q", pagemap.read((last - first) * 8))]
            for is_held, pages in itertools.groupby(range(len(held)), lambda page: held[page]):
                if is_held:
                    pages = list(pages)
                    yield (first + pages[0]) * PAGE, len(pages) * PAGE


def memory_holds(pid, wanted):
    """Occurrences of the bytes in the process's writable memory, which stands still meanwhile."""
    found = 0
    os.kill(pid, signal.SIGSTOP)
    try:
        with open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for begin, length in held_ranges(pid):
                with contextlib.suppress(OSError, ValueError):
                    memory.seek(begin)
                    found += memory.read(length).count(wanted)
    finally:
        os.kill(pid, signal.SIGCONT)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the agents' memory")
def test_of_a_key_one_copy_is_left_and_none_of_its_text(make_pair):
    pair = make_pair(link="psk")
    ping(*pair.connect())
    outages.run(pair, "reset")
    secret = secret_of(pair)
    for agent in (pair.client, pair.server):
        assert memory_holds(agent.pid, secret.encode()) == 0, f"the {agent.role} keeps the file's text"
        # The context's own, and at most one in a session that OpenSSL still holds.
        copies = memory_holds(agent.pid, bytes.fromhex(secret))
        assert 1 <= copies <= 2, f"{copies} copies of the key in the {agent.role}"


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("mode", [0o444, 0o604, 0o660])
def test_a_key_that_others_can_read_is_refused(make_pair, role, mode):
    pair = make_pair(link="psk")
    key = os.path.join(pair.folder, f"{NAME}.psk")
    os.chmod(key, mode)
    agent = getattr(pair, role)
    for words in (["check"], []):
        result = agent.run(*words)
        assert result.returncode == 77
        assert f"mode {mode:04o}" in result.stdout + result.stderr
    os.chmod(key, 0o600)


def test_a_key_of_roots_that_its_group_may_read_is_taken(make_pair):
    """As a container's secrets are mounted: owned by root, 0440, with an empty line at the end."""
    pair = make_pair(link="psk")
    key = os.path.join(pair.folder, f"{NAME}.psk")
    with open(key, "a") as file:
        file.write("\n\n")
    os.chmod(key, 0o440)
    assert pair.client.run("check").returncode == (0 if os.stat(key).st_uid == 0 else 77)


def test_a_certificates_key_is_held_to_the_same(make_pair, certificates):
    made = certificates("pki", HOST, NAME)
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    os.chmod(made / f"{NAME}.key", 0o644)
    for words in (["check"], []):
        assert pair.client.run(*words).returncode == 77
    os.chmod(made / f"{NAME}.key", 0o600)


def test_secrets_may_be_systemd_credentials(make_pair, certificates, tmp_path, monkeypatch):
    folder = tmp_path / "credentials"
    folder.mkdir()
    made = certificates("pki", HOST, NAME)
    for source, name in ((f"{NAME}.key", "tls-key"), (f"{NAME}.pem", "tls-cert"), ("ca.pem", "ca")):
        (folder / name).write_bytes((made / source).read_bytes())
        (folder / name).chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    client = {"ca_file": "credential:ca", "cert_file": "credential:tls-cert",
              "key_file": "credential:tls-key"}
    pair = make_pair(**certificate_options(client, tls(made, "server")))
    ping(*pair.connect())
    assert pair.client.run("check").returncode == 0


def test_a_key_may_be_a_systemd_credential(make_pair, tmp_path, monkeypatch):
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    key = subprocess.run([os.path.join(BIN, "holdfast-client"), "genpsk"], capture_output=True,
                         check=True).stdout
    (folder / "link").write_bytes(key)
    (folder / "link").chmod(0o400)
    pair = make_pair(link="psk", client={"link": {"psk_file": "credential:link"}},
                     server={"clients": {NAME: {"psk_file": "credential:link"}}})
    ping(*pair.connect())


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a socket to another group")
@pytest.mark.parametrize("role", ["client", "server"])
def test_the_admin_socket_is_for_its_owner_and_its_group(make_pair, role):
    group = grp.getgrgid(65534)
    pair = make_pair(link="psk", **{role: {"admin": {"group": group.gr_name}}})
    for agent in (pair.client, pair.server):
        gid = 65534 if agent.role == role else os.getegid()
        status = os.stat(agent.settings["admin"]["socket"])
        assert stat.S_IMODE(status.st_mode) == 0o660
        assert status.st_gid == gid


def test_what_strangers_cause_is_counted_in_the_log_not_repeated(make_pair):
    pair = make_pair(link="psk", server={"log": {"level": "info"}})
    for _ in range(500):
        sock = socket.create_connection((HOST, pair.link_port))
        sock.sendall(b"SSH-2.0-a_scan\r\n")         # HTTP would be a balancer's check
        sock.close()
    pair.server.wait_event("carrier_rejected", cause="tls")
    ping(*pair.connect())
    assert len(pair.server.events("carrier_rejected")) < 100
