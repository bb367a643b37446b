"""`doctor` names what is wrong with a set-up by one line, on either side; SETUPS lists them."""
import json
import os
import re
import socket
import ssl
import subprocess
import threading

import pytest

from pair import BIN, NAME, Pair, format_address, free_port, merge
from pki import HOST, certificate_options, tls
from streams import wait_until

OK, FAILED, USAGE, PERMISSION, CONFIG = 0, 1, 64, 77, 78


class Setup:
    """A pair that would work, to be broken; the server runs unless said otherwise."""

    def __init__(self, folder, **options):
        options = {"link": "psk", "relay": None, "wait_ready": False, **options}
        self.pair = Pair(folder, **options)
        self.folder, self.lab = folder, options.get("lab")
        self.client, self.server = self.pair.client, self.pair.server
        self.key = os.path.join(str(folder), f"{NAME}.psk")
        self.closing = []

    def change(self, role, extra):
        agent = getattr(self, role)
        merge(agent.settings, extra)
        agent.write_config(agent.settings)

    def drop(self, role, table):
        agent = getattr(self, role)
        del agent.settings[table]
        agent.write_config(agent.settings)

    def rewrite(self, role, pattern, by):
        agent = getattr(self, role)
        with open(agent.config) as file:
            text = file.read()
        assert re.search(pattern, text)
        with open(agent.config, "w") as file:
            file.write(re.sub(pattern, by, text))

    def write_key(self, text, mode=0o600):
        """To a file of its own, which is the client's from now on."""
        path = os.path.join(str(self.folder), "other.psk")
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)
        self.change("client", {"link": {"psk_file": path}})

    def own_key(self):
        with open(self.key) as file:
            return file.read().strip()

    def stranger(self, answer):
        """Another program at the link's port: what it does with each connection."""
        listener = socket.create_server(("127.0.0.1", free_port()))
        kept = []

        def serve():
            while True:
                try:
                    kept.append(listener.accept()[0])
                    answer(kept[-1])
                except OSError:
                    return
        threading.Thread(target=serve, daemon=True).start()
        self.closing.append(listener)
        self.dial(listener.getsockname()[1])

    def dial(self, port):
        self.change("client", {"link": {"server": [f"127.0.0.1:{port}"]}})

    def full(self):
        """Something that listens and takes nobody in any more: a connect to it has no answer."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", free_port()))
        listener.listen(0)
        self.closing.append(listener)
        for _ in range(3):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
            self.closing.append(waiting)
        return listener.getsockname()[1]

    def target(self, target, **extra):
        self.change("server", {"services": {"raw": {"target": target, **extra}}})

    def start(self, role):
        agent = getattr(self, role).start()
        wait_until(lambda: os.path.exists(agent.settings["admin"]["socket"]), 10, f"the {role}'s socket")
        return agent

    def close(self):
        for each in self.closing:
            each.close()
        self.pair.stop()


def nothing(_):
    pass


def genpsk():
    return subprocess.run([os.path.join(BIN, "holdfast-client"), "genpsk"], capture_output=True, text=True).stdout


def a_link_of_its_own_is_one_too_many(s):
    s.change("server", {"clients": {NAME: {"links": 1}}})
    s.start("server")
    s.start("client")
    wait_until(lambda: s.client.run("ready").returncode == OK, 10, "ready")


def plaintext(s, *roles):
    for role in roles:
        s.change(role, {"link": {"unsafe_plaintext": True}})


def wrong_name_without_keys(s):
    plaintext(s, "client", "server")
    s.change("client", {"name": "edge-9"})


def key_changed_on_disk(s):
    s.start("server")
    own = s.own_key()
    with open(s.key, "w") as file:
        file.write(own.partition(":")[0] + ":" + "7" * 64 + "\n")


def taken(s):
    listener = socket.create_server(("127.0.0.1", 0))
    s.closing.append(listener)
    s.change("server", {"link": {"listen": [format_address(listener.getsockname())]}})


def service(s, listen=None):
    s.change("client", {"services": {"web": {"listen": f"127.0.0.1:{free_port()}"}}})


def granted_not(s):
    service(s)
    s.change("server", {"services": {"web": {"target": s.pair.backends["raw"].target}}})


# name: (whose doctor, what breaks it, the step that must fail, what its line says). What ends with "!"
# starts the server (or not) by itself.
SETUPS = {
    "the config is no TOML": ("client", lambda s: s.rewrite("client", r"name = ", "name "), "config", r"client\.toml:1"),
    "a key of the config is misspelt": ("client", lambda s: s.change("client", {"link": {"heartbaet": "1s"}}),
                                        "config", "did you mean \"heartbeat\""),
    "the key's file is missing": ("client", lambda s: s.change("client", {"link": {"psk_file": "none.psk"}}),
                                  "config", "none.psk"),
    "others can read the key": ("client", lambda s: s.write_key(genpsk(), 0o644), "config", "mode 0644.*chmod 600"),
    "the key's file holds none": ("client", lambda s: s.write_key("secret\n"), "config", "holds no key.*genpsk"),
    "two services listen at one address": ("client", lambda s: s.change("client", {"services": {
        "two": {"listen": "%s:%d" % s.pair.listens["raw"]}}}), "config", "listen"),
    "the server's name is unknown": ("client", lambda s: s.change("client", {"link": {
        "server": ["no-such-host.invalid:7443"]}}), "resolve", "no-such-host.invalid: .*getent ahosts"),
    "nothing listens at the server's port": ("client", lambda s: s.dial(free_port()), "tcp",
                                             "Connection refused.*is holdfast-server running"),
    "the server does not answer": ("client", lambda s: s.dial(s.full()), "tcp", "timed out.*firewall that drops"),
    "the server has ended!": ("client", nothing, "tcp", "Connection refused"),
    "another program has the port": ("client", lambda s: s.stranger(lambda c: c.sendall(b"220 smtp ready\r\n")),
                                     "tls", "another program"),
    "another program hangs up": ("client", lambda s: s.stranger(lambda c: c.close()), "tls", "another program"),
    "another program says nothing": ("client", lambda s: s.stranger(nothing), "tls", "no answer to the handshake"),
    "only the client encrypts": ("client", lambda s: plaintext(s, "server"), "tls", "unsafe_plaintext"),
    "only the server encrypts": ("client", lambda s: plaintext(s, "client"), "tls", "is the server encrypted"),
    "the client has another key": ("client", lambda s: s.write_key(genpsk()), "key", "same psk_file on both sides"),
    "the client's key has the right id only": ("client", lambda s: s.write_key(
        s.own_key().partition(":")[0] + ":" + "7" * 64), "key", "same psk_file on both sides"),
    "the name is not the key's": ("client", lambda s: s.change("client", {"name": "edge-9"}), "name",
                                  r"edge-9 is refused \(auth\).*name must be that of \[clients.NAME\]"),
    "the name is unknown, without keys": ("client", wrong_name_without_keys, "name", "edge-9 is refused"),
    "the access has ended": ("client", lambda s: s.change("server", {"clients": {NAME: {"expires": "2020-01-01"}}}),
                             "name", "or its access has ended"),
    "the client has all its links!": ("client", a_link_of_its_own_is_one_too_many, "name", r"\(limit\).*links"),
    "the server has no such service": ("client", service, "grant", r"web: unknown_service.*\[services.web\]"),
    "the service is not granted": ("client", granted_not, "grant", "web: unknown_service.*does not list it"),
    "the service is down": ("client", lambda s: s.target(f"127.0.0.1:{free_port()}"), "target",
                            "raw: target_refused.*holdfast-server doctor"),
    "the service does not answer": ("client", lambda s: s.target(f"127.0.0.1:{s.full()}", connect_timeout="1s"),
                                    "target", "raw: target_timeout"),
    "the service's name is unknown": ("client", lambda s: s.target("no-such-host.invalid:1"), "target",
                                      "raw: target_unresolved"),
    "the service's socket is missing": ("client", lambda s: s.target("unix:/nonexistent/sock"), "target",
                                        "raw: target_"),
    "the client agent does not run": ("client", nothing, "agent", "the way is free; start the agent"),
    "the server's config has a mistake!": ("server", lambda s: s.change("server", {"link": {"grace": "5"}}), "config",
                                           "link.grace"),
    "a client may ask for what is not there!": ("server", lambda s: s.change("server", {"clients": {NAME: {
        "services": ["rwa"]}}}), "config", "did you mean \"raw\""),
    "nobody may connect!": ("server", lambda s: s.drop("server", "clients"), "client",
                            "nobody can connect.*invite"),
    "a client's access has ended!": ("server", lambda s: s.change("server", {"clients": {NAME: {
        "expires": "2020-01-01"}}}), "client", "edge-1: its access ended on 2020-01-01"),
    "the port is another program's!": ("server", taken, "listen", "another program has it"),
    "the address is not this host's!": ("server", lambda s: s.change("server", {"link": {
        "listen": ["192.0.2.77:7443"]}}), "listen", "192.0.2.77"),
    "the server agent does not run!": ("server", nothing, "agent", "systemctl start holdfast-server"),
    "a key was changed and not reloaded!": ("server", key_changed_on_disk, "key", "as edge-1.*reload the server"),
    "the target refuses": ("server", lambda s: s.target(f"127.0.0.1:{free_port()}"), "target",
                           "raw: 127.*Connection refused.*is the service running"),
    "the target's name is unknown": ("server", lambda s: s.target("no-such-host.invalid:1"), "resolve",
                                     "raw: no-such-host.invalid:1.*`target`"),
    "the target's socket is missing": ("server", lambda s: s.target("unix:/nonexistent/sock"), "target",
                                       "raw: unix:/nonexistent/sock.*is the service running"),
}


@pytest.fixture
def setup(tmp_path):
    made = Setup(tmp_path)
    yield made
    made.close()


def doctor(agent):
    """(exit code, lines); the steps before the last one are good."""
    run = agent.run("doctor")
    lines = run.stdout.splitlines()
    assert run.stderr == "" and lines
    assert all(line.startswith("ok ") for line in lines[:-1]), lines
    return run.returncode, lines


def test_there_are_at_least_thirty_set_ups():
    assert len(SETUPS) >= 30


@pytest.mark.parametrize("name", SETUPS)
def test_a_broken_set_up_is_named_rightly_by_one_line(setup, name):
    role, spoil, step, says = SETUPS[name]
    spoil(setup)
    if not name.endswith("!"):
        setup.start("server")
    code, lines = doctor(getattr(setup, role))
    assert re.match(rf"FAILED  {step} +\S", lines[-1]), lines
    assert re.search(says, lines[-1]), lines[-1]
    expected = {"others can read the key": PERMISSION}.get(name, CONFIG if step == "config" else FAILED)
    assert code == expected


def ready(setup):
    setup.start("server")
    setup.start("client")
    wait_until(lambda: setup.client.run("ready").returncode == OK, 10, "ready")


@pytest.mark.sanitized
def test_a_good_set_up_passes_on_both_sides_and_the_agents_link_does_not_notice(setup):
    ready(setup)
    before = setup.client.json("links")[0]
    for agent in (setup.client, setup.server):
        code, lines = doctor(agent)
        assert code == OK, lines
    after = setup.client.json("links")[0]
    assert (before["id"], before["attempt"], before["reconnects"]) == \
        (after["id"], after["attempt"], after["reconnects"])
    wait_until(lambda: len(setup.server.json("links")) == 1, 5, "the probe's link gone")
    told = json.loads(setup.client.run("doctor", "--json").stdout)
    assert told["good"] and [each["step"] for each in told["steps"]] == [
        "config", "resolve", "tcp", "tls", "key", "name", "mtu", "grant", "target", "agent"]


def test_json_tells_step_and_remedy(setup):
    setup.dial(free_port())
    told = json.loads(setup.client.run("doctor", "--json").stdout)
    last = told["steps"][-1]
    assert not told["good"] and last["step"] == "tcp" and not last["good"]
    assert "Connection refused" in last["what"] and "is holdfast-server running" in last["remedy"]


@pytest.fixture
def with_certificates(tmp_path, certificates):
    """with_certificates(client's folder, server_name): a set-up whose server has those of pki."""
    setups = []

    def make(client, server_name=HOST):
        setups.append(Setup(tmp_path, **certificate_options(tls(client, NAME), tls(tmp_path / "pki", "server"),
                                                            server_name)))
        return setups[-1]
    certificates("pki", HOST, NAME)
    yield make
    for each in setups:
        each.close()


def test_certificates_that_fit_pass_on_both_sides_with_their_days(with_certificates, tmp_path):
    setup = with_certificates(tmp_path / "pki")
    ready(setup)
    for agent in (setup.client, setup.server):
        code, lines = doctor(agent)
        assert code == OK, lines
        assert any(re.match(r"ok      clock    certificates are good for \d+ days", line) for line in lines)


def test_a_certificate_of_another_authority_is_named(with_certificates, certificates):
    setup = with_certificates(certificates("other", HOST, NAME))
    setup.start("server")
    code, lines = doctor(setup.client)
    assert code == FAILED and re.match("FAILED  key .*is not from a CA in ca_file.*belong together", lines[-1]), lines


def test_a_certificate_of_another_name_is_named(with_certificates, tmp_path):
    setup = with_certificates(tmp_path / "pki", "elsewhere.example")
    setup.start("server")
    code, lines = doctor(setup.client)
    assert code == FAILED and re.match("FAILED  key .*is for another name", lines[-1]), lines


def test_a_server_whose_certificate_has_expired_is_a_matter_of_the_clock(with_certificates, certificates, tmp_path):
    made = tmp_path / "pki"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for ending in ("pem", "key"):
        (made / f"server.{ending}").unlink()
    certificates("pki", HOST, days=0)            # by the same authority
    context.load_cert_chain(made / "server.pem", made / "server.key")
    setup = with_certificates(made)

    def shake(sock):
        try:
            context.wrap_socket(sock, server_side=True)
        except OSError:
            pass                                 # refused, which is what is looked for
    setup.stranger(shake)
    code, lines = doctor(setup.client)
    assert code == FAILED and re.match("FAILED  clock .*expired.*`date` on both hosts", lines[-1]), lines


@pytest.fixture
def lab(namespaces):
    import netns
    made = netns.Lab()
    yield made
    made.remove()


@pytest.mark.parametrize("rule,step,says", [
    (["meta", "length", ">", "1000", "drop"], "mtu", "large packets do not arrive.*MTU"),
    (["drop"], "tcp", "timed out.*firewall that drops"),
    (["reject", "with", "icmp", "type", "host-unreachable"], "tcp", "No route to host.*there is no way")])
def test_what_a_path_does_not_carry(tmp_path, lab, rule, step, says):
    setup = Setup(tmp_path, lab=lab)
    try:
        setup.start("server")
        lab.router.run("nft", "add", "rule", "inet", "fault", "forward", *rule)
        run = subprocess.run([*lab.client.prefix, setup.client.program, "doctor", "-c", setup.client.config],
                             capture_output=True, text=True, timeout=60)
        last = run.stdout.splitlines()[-1]
        assert re.match(rf"FAILED  {step} ", last) and re.search(says, last), run.stdout
        assert run.returncode == FAILED
    finally:
        setup.close()
