"""Reloads: differences only, live connections stay, a bad file changes nothing, revoked ones end."""
import json
import os
import signal
import subprocess

import pytest

from pair import BIN, NAME, Backend, Pair, free_port
from pki import HOST, certificate_options, tls
from streams import RST, ping, read_end, wait_until

PLAIN, PSK = "plain", "psk"


def change(agent, *path, value):
    """Sets a key of the agent's config file; None removes it."""
    settings = json.loads(json.dumps(agent.settings))
    table = settings
    for key in path[:-1]:
        table = table.setdefault(key, {})
    if value is None:
        table.pop(path[-1], None)
    else:
        table[path[-1]] = value
    agent.write_config(settings)


def reload(agent, *words, code=0):
    """What `reload` printed."""
    result = agent.run("reload", *words)
    assert result.returncode == code, f"exit {result.returncode}: {result.stdout}{result.stderr}"
    return result.stdout + result.stderr


def renew_key(pair):
    """Another key in the file that both sides name."""
    path = pair.server.settings["clients"]["edge-1"]["psk_file"]
    key = subprocess.run([os.path.join(BIN, "holdfast-client"), "genpsk"], capture_output=True,
                         text=True, check=True).stdout
    with open(path + ".new", "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(key)
    os.rename(path + ".new", path)


def test_nothing_changed_is_said(tmp_path):
    with Pair(tmp_path) as pair:
        assert "reloaded: no changes" in reload(pair.client)
        assert "no changes; nothing was applied" in reload(pair.server, "--dry-run")


def test_a_service_comes_and_goes_beside_a_live_connection(tmp_path):
    with Pair(tmp_path) as pair:
        app, back = pair.connect()
        second, port = Backend(), free_port()
        pair.backends["late"], pair.listens["late"] = second, ("127.0.0.1", port)
        change(pair.server, "services", "late", "target", value=second.target)
        change(pair.server, "clients", "edge-1", "services", value=["raw", "late"])
        change(pair.client, "services", "late", "listen", value=f"127.0.0.1:{port}")
        assert "services.late: added" in reload(pair.server)
        assert "services.late: added" in reload(pair.client)
        late, late_back = pair.connect("late")
        ping(late, late_back)
        # And away again: nothing new, the live one stays, also through a cut.
        change(pair.client, "services", "late", value=None)
        told = reload(pair.client)
        assert "services.late: taken away" in told and "(1 live)" in told
        with pytest.raises(ConnectionRefusedError):
            pair.dial("late")
        ping(late, late_back)
        pair.relay.cut()
        ping(late, late_back)
        ping(app, back)


def test_a_listener_moves_and_its_connections_stay(tmp_path):
    with Pair(tmp_path) as pair:
        app, back = pair.connect()
        old, port = pair.listens["raw"], free_port()
        change(pair.client, "services", "raw", "listen", value=f"127.0.0.1:{port}")
        reload(pair.client)
        pair.listens["raw"] = ("127.0.0.1", port)
        ping(*pair.connect())
        ping(app, back)
        pair.listens["raw"] = old
        with pytest.raises(ConnectionRefusedError):
            pair.dial()


def test_the_link_port_moves_under_a_live_link(tmp_path):
    with Pair(tmp_path) as pair:
        app, back = pair.connect()
        port = free_port()
        change(pair.server, "link", "listen", value=[f"127.0.0.1:{port}"])
        change(pair.client, "link", "server", value=[f"127.0.0.1:{port}"])
        reload(pair.server)
        ping(app, back)                       # the carrier on the old port goes on
        assert "from each link's next carrier on" in reload(pair.client)
        pair.relay.cut()
        ping(app, back)
        assert pair.client.json("links")[0]["carrier"] == f"127.0.0.1:{port}"


def test_a_new_target_is_for_new_connections(tmp_path):
    with Pair(tmp_path) as pair:
        app, back = pair.connect()
        first, second = pair.backends["raw"].target, Backend()
        pair.backends["second"] = second
        change(pair.server, "services", "raw", "target", value=second.target)
        assert f"{first} -> {second.target}" in reload(pair.server)
        new = pair.dial()
        ping(new, second.accept())
        ping(app, back)
        targets = {each["target"] for each in pair.server.connections()}
        assert targets == {first, second.target}, "a live one keeps its own"


def test_a_bad_file_keeps_the_old_config_and_says_so(tmp_path):
    with Pair(tmp_path) as pair:
        app, back = pair.connect()
        change(pair.server, "link", "grcae", value="5m")
        told = reload(pair.server, code=78)
        assert "grcae" in told and "grace" in told and "the old config stays" in told
        assert pair.server.metric("holdfast_config_reload_success") == 0
        assert "grcae" in pair.server.status()["totals"]["reload_error"]
        shown = pair.server.run("status").stdout
        assert "last reload refused, the old config is in use: " in shown and "grcae" in shown
        assert pair.server.metric("holdfast_config_reloads_total", result="refused") == 1
        pair.server.wait_event("config_reload_failed")
        assert "(did you mean" in pair.server.events("config_problem")[-1]
        ping(app, back)
        ping(*pair.connect())
        change(pair.server, "link", "grcae", value=None)
        reload(pair.server)
        assert pair.server.metric("holdfast_config_reload_success") == 1
        assert pair.server.status()["totals"]["reload_error"] == ""
        assert "last reload" not in pair.server.run("status").stdout


def test_sighup_reloads_and_a_broken_file_is_logged_with_its_line(tmp_path):
    with Pair(tmp_path) as pair:
        app, back = pair.connect()
        change(pair.client, "log", "level", value="info")
        pair.client.signal(signal.SIGHUP)
        pair.client.wait_event("config_reloaded", changes=1)
        assert not pair.client.events("log_reopened"), "it writes to no file"
        with open(pair.client.config, "a") as file:
            file.write("[link\n")
        pair.client.signal(signal.SIGHUP)
        pair.client.wait_event("config_problem")
        pair.client.wait_event("config_reload_failed")
        assert pair.client.metric("holdfast_config_reload_success") == 0
        ping(app, back)
        pair.client.write_config(pair.client.settings)


def test_an_address_in_use_changes_nothing(tmp_path):
    holder = Backend()
    with Pair(tmp_path) as pair:
        change(pair.client, "services", "raw", "listen", value=holder.target)
        told = reload(pair.client, code=1)
        assert holder.target in told and "in use" in told
        ping(*pair.connect())
    holder.close()


def test_a_dry_run_changes_nothing_and_counts_what_lives(tmp_path):
    with Pair(tmp_path) as pair:
        app, back = pair.connect()
        change(pair.server, "clients", "edge-1", value=None)
        change(pair.server, "limits", "memory", value="64MiB")
        told = reload(pair.server, "--dry-run")
        assert "clients.edge-1: taken away" in told and "(1 live)" in told
        assert "limits.memory: 256MiB -> 64MiB: needs a restart" in told
        assert "nothing was applied" in told
        report = json.loads(reload(pair.server, "--dry-run", "--json"))
        assert report["outcome"] == "dry_run"
        assert {each["key"]: each["effect"] for each in report["changes"]} == {
            "clients.edge-1": "taken_away", "limits.memory": "restart",
            "limits.connections": "restart"}  # follows from the memory
        ping(app, back)
        ping(*pair.connect())
        assert not pair.server.events("config_reloaded")


@pytest.mark.parametrize("link", [PLAIN, PSK])
def test_a_client_that_is_taken_away_stays_until_it_is_revoked(tmp_path, link):
    with Pair(tmp_path, link=link) as pair:
        app, back = pair.connect()
        change(pair.server, "clients", value={})
        reload(pair.server)
        ping(app, back)
        assert pair.dial_in_vain()[0] == RST  # nothing new is for it
        reload(pair.server, "--revoke")
        assert read_end(app)[0] == RST
        assert read_end(back)[0] == RST
        pair.client.wait_event("connection_closed", cause="revoked")
        pair.server.wait_event("connection_closed", cause="revoked")
        wait_until(lambda: pair.client.run("ready").returncode == 75, 10, "the client is not ready")
        pair.failed = True                    # it cannot come back, so the usual end is no check
    pair.check_logs()


def test_a_service_that_is_revoked_from_a_client_ends_and_others_go_on(tmp_path):
    with Pair(tmp_path, services={"raw": {}, "other": {}}) as pair:
        app, back = pair.connect()
        other, other_back = pair.connect("other")
        change(pair.server, "clients", "edge-1", "services", value=["other"])
        reload(pair.server, "--revoke")
        assert read_end(app)[0] == RST
        assert read_end(back)[0] == RST
        pair.client.wait_event("connection_closed", cause="revoked")
        ping(other, other_back)


def test_a_connection_outlives_the_rotation_of_its_key(tmp_path):
    with Pair(tmp_path, link=PSK) as pair:
        app, back = pair.connect()
        renew_key(pair)
        assert "clients.edge-1.psk_file: the file as it was" in reload(pair.server)
        ping(app, back)                       # the carrier of the old key goes on
        reload(pair.client)
        ping(app, back)
        pair.relay.cut()
        ping(app, back)
        pair.server.wait_event("link_resumed")


def test_a_cut_between_the_reloads_of_a_new_key_waits_in_the_grace(tmp_path):
    with Pair(tmp_path, link=PSK) as pair:
        app, back = pair.connect()
        renew_key(pair)
        reload(pair.server)
        pair.relay.cut()
        pair.client.wait_event("dial_failed")
        app.sendall(b"held back")
        reload(pair.client)
        assert back.recv(100) == b"held back"


def test_a_dry_run_of_a_revocation_tells_what_it_would_end(tmp_path):
    with Pair(tmp_path, services={"raw": {}, "other": {}}) as pair:
        app, back = pair.connect()
        other, other_back = pair.connect("other")
        change(pair.server, "clients", "edge-1", "services", value=["other"])
        assert "--revoke" not in reload(pair.server, "--dry-run")
        told = reload(pair.server, "--dry-run", "--revoke")
        assert "--revoke would end 1 connection; nothing was applied" in told
        report = json.loads(reload(pair.server, "--dry-run", "--revoke", "--json"))
        assert report["revoked"] == {"connections": 1, "links": 0}
        ping(app, back)
        ping(other, other_back)
        change(pair.client, "services", "other", value=None)
        assert "--revoke would end 1 connection;" in reload(pair.client, "--dry-run", "--revoke")
        ping(other, other_back)
        assert "--revoke ends 1 connection" in reload(pair.server, "--revoke")
        assert read_end(app)[0] == RST
        ping(other, other_back)


def test_a_key_that_is_revoked_must_be_proved_anew(tmp_path):
    with Pair(tmp_path, link=PSK) as pair:
        app, back = pair.connect()
        renew_key(pair)
        reload(pair.server, "--revoke")
        pair.server.wait_event("link_down", cause="revoked")
        app.sendall(b"held back")
        reload(pair.client)                   # now it knows the new key
        assert back.recv(100) == b"held back"


def test_a_link_held_down_keeps_its_connections_for_the_grace(tmp_path):
    with Pair(tmp_path) as pair:
        app, back = pair.connect()
        assert pair.client.run("link", "down").returncode == 0
        pair.client.wait_event("link_down", cause="held_down")
        ready = pair.client.run("ready")
        assert ready.returncode == 75 and "held down by an operator" in ready.stderr
        app.sendall(b"held back")
        pair.server.wait_event("link_down")
        assert pair.client.json("links")[0]["held_down"]
        again = pair.client.run("reconnect")
        assert again.returncode == 1 and "held down by an operator: `link up`" in again.stderr
        assert pair.client.run("link", "up").returncode == 0
        assert back.recv(100) == b"held back"
        ping(app, back)
        assert pair.client.run("link", "down", "nowhere").returncode == 1


def test_several_links_of_one_client_carry_apart_and_reload_apart(tmp_path):
    """Two links to one server: each has its own carrier; one is taken away, the other goes on."""
    with Pair(tmp_path, services={"raw": {}, "other": {}}) as pair:
        settings = json.loads(json.dumps(pair.client.settings))
        link = {**settings.pop("link"), "parallel": 1}
        settings["links"] = {"a": link, "b": link}
        settings["services"]["raw"]["link"] = "a"
        settings["services"]["other"]["link"] = "b"
        pair.client.terminate()
        pair.client.write_config(settings)
        pair.client.start()
        pair.wait_ready()
        pair.note_descriptors()
        app, back = pair.connect()
        other, other_back = pair.connect("other")
        assert len(pair.server.json("links")) == 2
        assert {each["name"] for each in pair.client.json("links")} == {"a", "b"}
        assert pair.client.metric("holdfast_link_up", link="a") == 1
        pair.client.run("link", "down", "b")
        ping(app, back)
        other.sendall(b"later")
        pair.client.run("link", "up", "b")
        assert other_back.recv(100) == b"later"
        # b goes with its last connection.
        change(pair.client, "links", "b", value=None)
        change(pair.client, "services", "other", value=None)
        assert "links.b: taken away" in reload(pair.client)
        pair.relay.cut()
        ping(other, other_back)
        ping(app, back)
        other.close()
        other_back.close()
        wait_until(lambda: [each["name"] for each in pair.client.json("links")] == ["a"], 10,
                   "the link goes with its last connection")
        ping(app, back)


def test_a_connection_outlives_the_rotation_of_both_certificates(make_pair, certificates):
    """Another CA, too: first both sides trust both, then each side shows its new certificate."""
    old, new = (certificates(name, HOST, NAME) for name in ("old", "new"))
    both = old / "both.pem"
    both.write_text((old / "ca.pem").read_text() + (new / "ca.pem").read_text())
    pair = make_pair(**certificate_options(tls(old, NAME), tls(old, "server")))
    app, back = pair.connect()

    def rotate(agent, files):
        for key, path in files.items():
            change(agent, "link", "tls", key, value=str(path))
        reload(agent)
        ping(app, back)                       # the standing carrier goes on
        pair.relay.cut()
        ping(app, back)                       # and the next one has what is configured now

    for agent in (pair.server, pair.client):
        rotate(agent, {"ca_file": both})
    rotate(pair.server, {"cert_file": new / "server.pem", "key_file": new / "server.key"})
    rotate(pair.client, {"cert_file": new / f"{NAME}.pem", "key_file": new / f"{NAME}.key"})
    for agent in (pair.server, pair.client):
        rotate(agent, {"ca_file": new / "ca.pem"})


def test_a_certificate_that_is_replaced_in_place_is_read_again(make_pair, certificates):
    made = certificates("pki", HOST, NAME)
    pair = make_pair(**certificate_options(tls(made, NAME), tls(made, "server")))
    app, back = pair.connect()
    for ending in ("pem", "key"):
        (made / f"server.{ending}").rename(made / f"before.{ending}")
    certificates("pki", HOST, NAME)           # signs what is missing, with the same CA
    assert "link.tls.cert_file: the file as it was" in reload(pair.server)
    pair.relay.cut()
    ping(app, back)
    (made / "server.pem").write_text("nothing of the kind\n")
    assert "link.tls.cert_file" in reload(pair.server, code=78)
    pair.relay.cut()
    ping(app, back)                           # what runs goes on with what it has read
