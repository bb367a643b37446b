"""Subcommands, exit codes, metrics: what operators and their scripts rely on."""
import copy
import http.client
import os
import re
import subprocess

import pytest

import outages
from pair import BIN, TIMESCALE, Agent, free_port, toml
from streams import RST, is_open, ping, read_end, wait_until

OK, FAILED, USAGE, UNREACHABLE, NOT_READY, PERMISSION, CONFIG = 0, 1, 64, 69, 75, 77, 78
FIELDS = {"id", "service", "peer", "client", "target", "bytes_up", "bytes_down", "duration_s",
          "detached_s", "resumes", "replayed_bytes"}


def program(role, *words):
    return subprocess.run([os.path.join(BIN, f"holdfast-{role}"), *words], capture_output=True,
                          text=True, timeout=10)


both_roles = pytest.mark.parametrize("role", ["client", "server"])


def settings(folder, role):
    """A good config of the role, without a pair."""
    link = {"unsafe_plaintext": True}
    admin = {"socket": str(folder / f"{role}.sock")}
    if role == "client":
        return {"name": "edge-1", "link": {"server": [f"127.0.0.1:{free_port()}"], **link},
                "services": {"web": {"listen": f"127.0.0.1:{free_port()}"}}, "admin": admin}
    return {"link": {"listen": [f"127.0.0.1:{free_port()}"], **link},
            "clients": {"edge-1": {"services": ["web"]}},
            "services": {"web": {"target": "127.0.0.1:80"}}, "admin": admin}


def check(folder, role, config):
    path = folder / f"{role}.toml"
    path.write_text(config if isinstance(config, str) else toml(config))
    result = program(role, "check", "-c", str(path))
    return result.returncode, result.stdout + result.stderr


# -- connections -----------------------------------------------------------------------------------

def test_connections_are_listed_alike_at_both_ends_with_live_counts(pair):
    app, back = pair.connect()
    ping(app, back, b"12345")
    app.sendall(b"678")
    wait_until(lambda: pair.server.connections()[0]["bytes_up"] == 8, 5 * TIMESCALE, "8 bytes up")
    (at_client,), (at_server,) = pair.client.connections(), pair.server.connections()
    for entry in (at_client, at_server):
        assert FIELDS <= set(entry), f"missing: {FIELDS - set(entry)}"
        assert entry["service"] == "raw"
        assert entry["bytes_up"] == 8
        assert entry["bytes_down"] == 5
    assert at_client["id"] == at_server["id"]
    assert at_server["peer"] == "edge-1"
    assert str(app.getsockname()[1]) in at_server["client"]
    for role in (pair.client, pair.server):
        assert str(at_client["id"]) in role.run("connections").stdout


@pytest.mark.parametrize("by", ["client", "server"])
def test_kill_ends_one_connection_with_its_cause_at_both_ends(pair, by):
    app, back = pair.connect()
    ping(app, back)
    (victim,) = pair.client.connections()
    other = pair.connect()
    ping(*other)
    result = getattr(pair, by).run("kill", str(victim["id"]))
    assert result.returncode == OK, result.stderr
    assert read_end(app, 3)[0] == RST
    assert read_end(back, 3)[0] == RST
    ping(*other)
    for agent in (pair.client, pair.server):
        agent.wait_event("connection_closed", cause="admin_kill")
        assert len(agent.connections()) == 1


def test_kill_of_an_unknown_connection_says_so(pair):
    pair.connect()
    wait_until(lambda: pair.client.connections(), 5 * TIMESCALE, "the connection listed")
    stranger = pair.client.connections()[0]["id"] + "9"
    result = pair.client.run("kill", stranger)
    assert result.returncode == FAILED, result.stderr
    assert stranger in result.stderr + result.stdout
    assert len(pair.client.connections()) == 1


@pytest.mark.sanitized
def test_kill_while_the_link_is_down_resets_both_once_it_is_back(pair):
    app, back = pair.connect()
    ping(app, back)
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    assert pair.client.run("kill", str(pair.client.connections()[0]["id"])).returncode == OK
    assert read_end(app, 3)[0] == RST
    assert is_open(back)
    outages.end(pair)
    assert read_end(back, 3)[0] == RST
    pair.wait_empty()


@pytest.mark.sanitized
def test_reconnect_replaces_the_carrier_and_keeps_the_connections(pair):
    app, back = pair.connect()
    ping(app, back)
    before = pair.relay.stats()["accepted"]
    result = pair.client.run("reconnect")
    assert result.returncode == OK, result.stderr
    wait_until(lambda: pair.reconnects() >= 1, 5 * TIMESCALE, "a reconnect counted")
    ping(app, back)
    assert pair.relay.stats()["accepted"] > before
    entry = pair.client.connections()[0]
    assert entry["resumes"] >= 1


def test_status_and_links_speak_to_people_and_to_programs(pair):
    for agent in (pair.client, pair.server):
        assert isinstance(agent.status(), dict)
        links = agent.json("links")
        assert len(links) == 1
        assert agent.run("status").stdout.strip()
        assert agent.run("links").stdout.strip()
    assert "edge-1" in pair.server.run("links").stdout


# -- readiness -------------------------------------------------------------------------------------

def test_ready_is_0_with_the_link_up_and_75_without(pair):
    assert pair.client.run("ready").returncode == OK
    assert pair.server.run("ready").returncode == OK
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    assert pair.client.run("ready").returncode == NOT_READY
    outages.end(pair)
    pair.wait_ready()


@both_roles
@pytest.mark.parametrize("command", ["ready", "status", "connections", "links"])
def test_without_a_running_agent_the_exit_code_is_69(tmp_path, role, command):
    path = tmp_path / "config.toml"
    path.write_text(toml(settings(tmp_path, role)))
    result = program(role, command, "-c", str(path))
    assert result.returncode == UNREACHABLE
    assert result.stderr.strip()


@both_roles
@pytest.mark.parametrize("words", [["--no-such-option"], ["explode"], ["status"], ["kill"], []])
def test_wrong_usage_is_64(role, words):
    result = program(role, *words)
    assert result.returncode == USAGE, result.stderr
    assert result.stderr.strip()


@both_roles
def test_version_and_help_are_0(role):
    version = program(role, "--version")
    assert version.returncode == OK
    assert re.search(r"\d+\.\d+", version.stdout)
    assert len(version.stdout.strip().splitlines()) == 1
    assert program(role, "--help").returncode == OK


def test_genpsk_prints_one_new_line_each_time():
    keys = [program(role, "genpsk") for role in ("client", "server", "client")]
    for key in keys:
        assert key.returncode == OK
        assert re.fullmatch(r"[^\s:]+:[^\s:]+\n", key.stdout)
    assert len({key.stdout for key in keys}) == 3


# -- check -----------------------------------------------------------------------------------------

@both_roles
def test_check_passes_a_good_config(tmp_path, role):
    code, text = check(tmp_path, role, settings(tmp_path, role))
    assert code == OK, text


def test_check_passes_beside_the_running_agent(pair):
    for agent in (pair.client, pair.server):
        result = agent.run("check")
        assert result.returncode == OK, result.stderr + result.stdout
    ping(*pair.connect())


@both_roles
@pytest.mark.parametrize("mistake, told", [
    (("link", "heartbeet", "1s"), "heartbeat"),
    (("link", "heartbeat", 1), "heartbeat"),
    (("link", "dead_after", "15 parsecs"), "dead_after"),
    (("limits", "memory", "lots"), "memory"),
    (("log", "level", "loud"), "level"),
])
def test_check_names_file_line_and_key_of_a_mistake(tmp_path, role, mistake, told):
    table, key, value = mistake
    config = settings(tmp_path, role)
    config.setdefault(table, {})[key] = value
    code, text = check(tmp_path, role, config)
    assert code == CONFIG, text
    line = next(n for n, l in enumerate((tmp_path / f"{role}.toml").read_text().splitlines(), 1)
                if l.startswith(f"{key} ="))
    assert f"{role}.toml:{line}" in text
    assert told in text


@both_roles
@pytest.mark.parametrize("text", ["= what", "[link", "name = \"x", "\0", "[" * 5000, "\xff" * 10])
def test_check_survives_what_is_not_toml(tmp_path, role, text):
    assert check(tmp_path, role, text)[0] == CONFIG


@both_roles
def test_a_missing_config_is_78(tmp_path, role):
    result = program(role, "check", "-c", str(tmp_path / "nowhere.toml"))
    assert result.returncode == CONFIG
    assert "nowhere.toml" in result.stderr + result.stdout


@both_roles
@pytest.mark.parametrize("mode, code", [(0o600, OK), (0o644, PERMISSION), (0o660, PERMISSION)])
def test_a_key_file_that_others_can_read_is_77(tmp_path, role, mode, code):
    key = tmp_path / "edge-1.psk"
    key.write_text(program("client", "genpsk").stdout)
    key.chmod(mode)
    config = settings(tmp_path, role)
    owner = config["link"] if role == "client" else config["clients"]["edge-1"]
    owner["psk_file"] = str(key)
    got, text = check(tmp_path, role, config)
    assert got == code, text
    if code:
        assert "edge-1.psk" in text


def test_without_a_key_and_without_unsafe_plaintext_the_config_is_refused(tmp_path):
    config = settings(tmp_path, "client")
    del config["link"]["unsafe_plaintext"]
    code, text = check(tmp_path, "client", config)
    assert code == CONFIG
    assert "unsafe_plaintext" in text or "psk_file" in text


def test_plaintext_is_announced_loudly(make_pair):
    pair = make_pair(link="plain", client={"log": {"level": "warn"}},
                     server={"log": {"level": "warn"}})
    for agent in (pair.client, pair.server):
        assert re.search("plaintext|unencrypted", agent.log(), re.IGNORECASE)


# -- admin socket ----------------------------------------------------------------------------------

@both_roles
def test_an_admin_socket_left_by_a_killed_agent_is_replaced(pair, role):
    agent = getattr(pair, role)
    agent.kill()
    assert os.path.exists(agent.settings["admin"]["socket"])
    agent.start()
    pair.wait_ready()
    assert agent.run("status").returncode == OK


@both_roles
def test_the_admin_socket_of_a_living_agent_is_refused(pair, role):
    agent = getattr(pair, role)
    rival_config = copy.deepcopy(agent.settings)
    rival_config["admin"]["metrics"] = f"127.0.0.1:{free_port()}"
    if role == "client":
        rival_config["services"]["raw"]["listen"] = f"127.0.0.1:{free_port()}"
    else:
        rival_config["link"]["listen"] = [f"127.0.0.1:{free_port()}"]
    folder = os.path.join(pair.folder, "rival")
    os.mkdir(folder)
    rival = Agent(role, folder, rival_config).start()
    assert rival.process.wait(5) == FAILED
    assert os.path.basename(agent.settings["admin"]["socket"]) in rival.log()
    assert agent.run("status").returncode == OK
    ping(*pair.connect())


@both_roles
def test_a_listener_that_is_taken_is_an_error_that_names_it(pair, role):
    agent = getattr(pair, role)
    config = copy.deepcopy(agent.settings)
    folder = os.path.join(pair.folder, "rival")
    os.mkdir(folder)
    config["admin"] = {"socket": os.path.join(folder, "a.sock"),
                       "metrics": f"127.0.0.1:{free_port()}"}
    rival = Agent(role, folder, config).start()
    assert rival.process.wait(5) == FAILED
    port = (config["services"]["raw"]["listen"] if role == "client" else
            config["link"]["listen"][0]).rpartition(":")[2]
    assert port in rival.log()


def test_the_admin_socket_is_not_for_everyone(pair):
    for agent in (pair.client, pair.server):
        mode = os.stat(agent.settings["admin"]["socket"]).st_mode & 0o777
        assert mode == 0o660, oct(mode)


def test_a_mute_user_of_the_admin_socket_does_not_hold_up_the_agent(pair):
    import socket
    mutes = []
    for _ in range(20):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(pair.client.settings["admin"]["socket"])
        mutes.append(sock)
    ping(*pair.connect())
    assert pair.client.run("status").returncode == OK
    for sock in mutes:
        sock.close()


# -- metrics and logs --------------------------------------------------------------------------------

def test_metrics_exist_from_the_start_and_count_live(pair):
    for agent in (pair.client, pair.server):
        assert agent.replayed() == 0
        metrics = agent.metrics()
        for name in ("holdfast_build_info", "holdfast_link_up", "holdfast_connections",
                     "holdfast_bytes_total", "holdfast_connections_opened_total"):
            assert name in metrics, f"{agent.role}: no {name}"
    app, back = pair.connect()
    ping(app, back, bytes(1000))
    for agent in (pair.client, pair.server):
        wait_until(lambda: agent.metric("holdfast_bytes_total", service="raw") == 2000, 5,
                   "2000 bytes counted while the connection lives")


@both_roles
@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
def test_http_answers_on_the_metrics_address(pair, role, path):
    client = http.client.HTTPConnection("127.0.0.1", getattr(pair, role).metrics_port, timeout=5)
    client.request("GET", path)
    assert client.getresponse().status == 200
    client.close()


def test_the_log_tells_the_story_of_an_outage(pair):
    app, back = pair.connect()
    ping(app, back)
    outages.run(pair, "refusal")
    ping(app, back)
    app.close()
    back.close()
    pair.wait_empty()
    for agent in (pair.client, pair.server):
        for event in ("link_up", "link_down", "link_resumed", "connection_open",
                      "connection_closed"):
            agent.wait_event(event)
        (line,) = agent.events("connection_closed")
        for field in ("id", "service", "bytes_up", "bytes_down", "resumes", "cause"):
            assert re.search(rf'\b{field}"?[=:]', line), f"no {field} in: {line}"


@pytest.mark.sanitized
def test_json_logs_are_one_object_a_line(make_pair):
    import json
    pair = make_pair(client={"log": {"format": "json"}}, services={"raw": {}, "unused": {}},
                     server={"log": {"format": "json"}, "clients": {"edge-1": {"services": ["raw"]}}})
    ping(*pair.connect())
    for agent in (pair.client, pair.server):
        lines = agent.log().splitlines()
        assert lines
        for line in lines:
            assert isinstance(json.loads(line), dict)
    (warning,) = [json.loads(line) for line in pair.server.events("config_warning", key="services.unused")]
    assert warning["file"] == pair.server.config and warning["line"] > 0
    assert "no client" in warning["reason"]
