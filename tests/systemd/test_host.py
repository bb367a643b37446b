"""What the services share with the host: folders, keys, the journal, each other, and sockets."""
import grp
import json
import os
import shutil
import socket
import stat

from lab import (BIN, CLIENT, ETC, SERVER, SERVICE_PORT, dial, drop_in, exchange,
                 main_pid, run, show, systemctl, wait_restarted, wait_state,
                 wait_status, wait_until, write_key)

EXAMPLE_CLIENT, EXAMPLE_SERVER = "holdfast-client-postgres", "holdfast-server-link"


def listening(role):
    state = run(f"{BIN}/holdfast-{role}", "status", "--json", "-c", f"{ETC}/{role}.toml").stdout
    return json.loads(state)["listening"]


# --- Folders, and several agents on one host ------------------------------------------------------

def test_one_agent_restarted_or_stopped_leaves_the_other_its_socket(agents):
    agents.start()
    pid = main_pid(SERVER)
    systemctl("restart", CLIENT)
    wait_status(CLIENT, "^link up to hub-1")
    systemctl("stop", CLIENT)
    assert not os.path.exists("/run/holdfast/client.sock")
    mode = os.stat("/run/holdfast/server.sock").st_mode
    assert stat.S_ISSOCK(mode) and mode & 0o777 == 0o660
    run(f"{BIN}/holdfast-server", "status", "-c", f"{ETC}/server.toml")
    assert main_pid(SERVER) == pid


def test_an_instance_of_the_template_runs_beside_the_plain_unit(agents):
    write_key(f"{ETC}/west.psk")
    agents.configure_server(clients={
        "edge-1": {"psk_file": f"{ETC}/edge-1.psk", "services": ["postgres"]},
        "edge-west": {"psk_file": f"{ETC}/west.psk", "services": ["postgres"]}})
    agents.configure_client(f"{ETC}/client-west.toml", name="edge-west",
                            link={"server": ["127.0.0.1:7443"], "psk_file": f"{ETC}/west.psk"},
                            services={"postgres": {"listen": "127.0.0.1:5433"}},
                            admin={"socket": "/run/holdfast/client-west.sock"})
    agents.start()
    systemctl("start", f"{CLIENT}@west")
    wait_status(f"{CLIENT}@west", "^link up to hub-1")
    wait_status(SERVER, "^2 links up")
    agents.connect(5433)
    agents.connect(SERVICE_PORT)
    systemctl("stop", f"{CLIENT}@west")
    agents.connect(SERVICE_PORT)
    # The name of an agent that runs already: refused, and the status says why.
    agents.configure_client(f"{ETC}/client-west.toml", services={"postgres": {"listen": "127.0.0.1:5433"}},
                            admin={"socket": "/run/holdfast/client-west.sock"})
    systemctl("start", f"{CLIENT}@west")
    wait_status(f"{CLIENT}@west", "^link down, retrying: the server refused: duplicate_name \\(another live agent")


def test_a_log_file_may_be_written_where_the_unit_says(agents):
    agents.configure_client(log={"file": "/var/log/holdfast/client.log"})
    agents.start()
    wait_until(lambda: "event=link_up" in open("/var/log/holdfast/client.log").read(), "the log file")


def test_the_changes_that_the_guide_names_work(agents):
    """docs/guide/systemd.md, "Changing a unit"."""
    drop_in(SERVER, "[Service]\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"
                    "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\nSupplementaryGroups=adm\n"
                    f"ExecStart=\nExecStart={BIN}/holdfast-server -c {ETC}/other.toml\n")
    drop_in(CLIENT, "[Service]\nReadWritePaths=/run/apps\n")
    os.makedirs("/run/apps", exist_ok=True)
    shutil.chown("/run/apps", "holdfast")
    agents.configure_server(f"{ETC}/other.toml", link={"listen": ["127.0.0.1:443"]},
                            admin={"group": "adm"})
    agents.configure_client(link={"server": ["127.0.0.1:443"], "psk_file": f"{ETC}/edge-1.psk"},
                            services={"postgres": {"listen": "unix:/run/apps/db.sock"}})
    agents.start()
    assert grp.getgrgid(os.stat("/run/holdfast/server.sock").st_gid).gr_name == "adm"
    with socket.socket(socket.AF_UNIX) as app:
        app.settimeout(10)
        app.connect("/run/apps/db.sock")
        exchange(app)


# --- Keys -----------------------------------------------------------------------------------------

def test_a_key_that_only_root_can_read_comes_as_a_credential(agents):
    write_key(f"{ETC}/edge-1.psk", owner="root")
    drop_in(CLIENT, f"[Service]\nLoadCredential=edge-1:{ETC}/edge-1.psk\n")
    drop_in(SERVER, f"[Service]\nLoadCredential=edge-1:{ETC}/edge-1.psk\n")
    agents.configure_client(link={"server": ["127.0.0.1:7443"], "psk_file": "credential:edge-1"})
    agents.configure_server(clients={"edge-1": {"psk_file": "credential:edge-1",
                                                "services": ["postgres"]}})
    agents.start()
    agents.connect()
    systemctl("reload", CLIENT)


# --- The journal ----------------------------------------------------------------------------------

def test_the_journal_has_every_field_of_an_event(agents):
    agents.start()
    sock = agents.connect()
    sock.close()
    closed = wait_until(lambda: agents.journal.events(CLIENT, HOLDFAST_EVENT="connection_closed"), "the event")[-1]
    assert closed["HOLDFAST_SERVICE"] == "postgres"
    assert closed["HOLDFAST_PEER"] == "hub-1"
    assert closed["HOLDFAST_BYTES_UP"] == closed["HOLDFAST_BYTES_DOWN"] == "24"
    assert closed["HOLDFAST_CAUSE"] == "client_fin"
    assert closed["PRIORITY"] == "6"
    assert closed["SYSLOG_IDENTIFIER"] == "holdfast-client"
    assert closed["_SYSTEMD_UNIT"] == "holdfast-client.service"
    assert closed["MESSAGE"].startswith("event=connection_closed id=")
    assert not [key for key in closed if key.startswith("CODE_")]  # of our sources, and where they were built
    same = agents.journal.events(SERVER, HOLDFAST_ID=closed["HOLDFAST_ID"])
    assert {entry["HOLDFAST_EVENT"] for entry in same} == {"connection_open", "connection_closed"}


# --- Socket activation ----------------------------------------------------------------------------

def test_sockets_of_systemd_carry_bytes_at_both_ends(agents):
    agents.configure_client(services={"postgres": {"listen": "systemd:postgres"}})
    agents.configure_server(link={"listen": ["systemd:link"]})
    agents.install_socket(EXAMPLE_SERVER, "7443")
    agents.install_socket(EXAMPLE_CLIENT, f"127.0.0.1:{SERVICE_PORT}")
    sock = dial()                  # nothing runs yet: this starts the client, and its dial the server
    exchange(sock, b"x" * 3_000_000)
    for unit in (CLIENT, SERVER):
        assert show(unit, "ActiveState") == "active"
    assert listening("client") == [f"127.0.0.1:{SERVICE_PORT}"]
    assert listening("server") == ["[::]:7443"]
    # Who connects while nobody accepts waits for the next agent.
    systemctl("stop", CLIENT)
    with dial() as waiting:
        exchange(waiting)
    pid = main_pid(CLIENT)
    systemctl("restart", CLIENT)
    wait_restarted(CLIENT, pid)
    agents.connect()
    assert "event=config_warning" not in agents.journal.text(CLIENT)


def test_a_unix_socket_of_systemd_keeps_its_file(agents):
    path = "/run/holdfast-test/app.sock"
    agents.configure_client(services={"postgres": {"listen": "systemd:postgres"}})
    agents.install_socket(EXAMPLE_CLIENT, path)
    agents.start()
    systemctl("stop", CLIENT)
    assert stat.S_ISSOCK(os.stat(path).st_mode)


def test_a_socket_that_was_not_passed_is_a_config_error_that_names_the_setting(agents):
    agents.configure_client(services={"postgres": {"listen": "systemd:postgres"}})
    assert systemctl("start", CLIENT, check=False).returncode != 0
    wait_state(CLIENT, "failed")
    assert show(CLIENT, "ExecMainStatus") == "78"
    said = agents.journal.text(CLIENT)
    assert "services.postgres.listen: " in said and "FileDescriptorName=postgres" in said


def test_a_socket_of_another_name_is_told_with_both_names(agents):
    agents.configure_client(services={"postgres": {"listen": "systemd:pg"}})
    agents.install_socket(EXAMPLE_CLIENT, f"127.0.0.1:{SERVICE_PORT}")
    assert systemctl("start", CLIENT, check=False).returncode != 0
    said = agents.journal.text(CLIENT)
    assert "FileDescriptorName=pg" in said and '"postgres"' in said


def test_a_socket_that_nothing_listens_on_is_a_warning(agents):
    agents.configure_client(services={"postgres": {"listen": "127.0.0.1:5433"}})
    agents.install_socket(EXAMPLE_CLIENT, f"127.0.0.1:{SERVICE_PORT}")
    agents.start()
    warned = agents.journal.events(CLIENT, HOLDFAST_EVENT="config_warning")
    assert len(warned) == 1 and 'named "postgres"' in warned[0]["HOLDFAST_REASON"]


def test_a_socket_unit_of_the_wrong_kind_is_refused_with_the_setting(agents):
    agents.configure_client(services={"postgres": {"listen": "systemd:postgres"}})
    agents.install_socket(EXAMPLE_CLIENT, f"127.0.0.1:{SERVICE_PORT}")
    drop = f"/etc/systemd/system/{EXAMPLE_CLIENT}.socket.d"
    os.makedirs(drop)
    try:
        with open(f"{drop}/test.conf", "w") as file:
            file.write(f"[Socket]\nListenStream=\nListenDatagram=127.0.0.1:{SERVICE_PORT}\n")
        systemctl("stop", f"{EXAMPLE_CLIENT}.socket")
        systemctl("daemon-reload")
        assert systemctl("start", CLIENT, check=False).returncode != 0
        assert "ListenStream= and Accept=no" in agents.journal.text(CLIENT)
    finally:
        os.unlink(f"{drop}/test.conf")
        os.rmdir(drop)
