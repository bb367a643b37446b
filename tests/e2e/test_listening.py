"""Where a client listens: several addresses of one service, both families, files of Unix sockets."""
import contextlib
import os
import socket
import stat
import subprocess

import pytest

import names
from pair import TIMESCALE, free_port
from streams import ping, wait_until
from test_reload import change, reload


@contextlib.contextmanager
def dialled(address):
    if isinstance(address, str):
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as app:
            app.connect(address)
            yield app
    else:
        with contextlib.closing(socket.create_connection(address, 5)) as app:
            yield app


def serves(pair, address, service="raw"):
    with dialled(address) as app:
        ping(app, pair.backends[service].accept(10 * TIMESCALE))


def refused(address):
    try:
        with dialled(address):
            return False
    except (ConnectionRefusedError, FileNotFoundError):
        return True


def mode_of(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_a_service_listens_at_several_addresses_and_a_reload_changes_only_what_differs(make_pair,
                                                                                       tmp_path):
    pair = make_pair()
    first, second, third = (free_port() for _ in range(3))
    path = f"{tmp_path}/app.sock"
    change(pair.client, "services", "raw", "listen",
           value=[f"127.0.0.1:{first}", f"127.0.0.2:{second}", f"unix:{path}"])
    reload(pair.client)
    app, back = socket.create_connection(("127.0.0.1", first)), pair.backends["raw"].accept()
    for address in (("127.0.0.1", first), ("127.0.0.2", second), path):
        serves(pair, address)
    assert set(pair.client.status()["listening"]) == {
        f"127.0.0.1:{first}", f"127.0.0.2:{second}", f"unix:{path}"}
    inode = os.stat(path).st_ino
    change(pair.client, "services", "raw", "listen",
           value=[f"unix:{path}", f"127.0.0.2:{second}", f"127.0.0.1:{third}"])
    reload(pair.client)
    assert refused(("127.0.0.1", first))
    for address in (path, ("127.0.0.2", second), ("127.0.0.1", third)):
        serves(pair, address)
    assert os.stat(path).st_ino == inode                      # it stayed, and was not bound anew
    ping(app, back)
    # One of them cannot be had: the reload is refused, and nothing has changed.
    with contextlib.closing(socket.create_server(("127.0.0.1", free_port()))) as taken:
        name = f"127.0.0.1:{taken.getsockname()[1]}"
        change(pair.client, "services", "raw", "listen", value=[name, f"unix:{path}"])
        assert name in reload(pair.client, code=1)
    serves(pair, ("127.0.0.1", third))
    app.close()


def test_one_address_of_a_service_that_is_taken_is_told_by_itself(make_pair):
    pair = make_pair()
    port = free_port()
    with contextlib.closing(socket.create_server(("127.0.0.1", free_port()))) as taken:
        name = f"127.0.0.1:{taken.getsockname()[1]}"
        change(pair.client, "services", "raw", "listen", value=[f"127.0.0.1:{port}", name])
        pair.client.terminate()
        pair.client.start()
        pair.wait_ready()
        serves(pair, ("127.0.0.1", port))
        assert [each["address"] for each in pair.client.status()["not_listening"]] == [name]
        assert pair.client.metric("holdfast_listening", address=f"127.0.0.1:{port}") == 1
        assert pair.client.metric("holdfast_listening", address=name) == 0
        address = taken.getsockname()
    pair.client.wait_event("listening", address=name, seconds=20 * TIMESCALE)
    serves(pair, address)


@pytest.mark.skipif(not os.path.exists("/proc/net/if_inet6"), reason="a host without IPv6")
def test_a_star_is_every_address_of_both_families(make_pair):
    pair = make_pair()
    port, link = free_port(), free_port()
    change(pair.client, "services", "raw", "listen", value=f"*:{port}")
    reload(pair.client)
    for host in ("127.0.0.1", "::1"):
        serves(pair, (host, port))
    change(pair.server, "link", "listen", value=[f"*:{link}"])
    reload(pair.server)
    for server in (f"127.0.0.1:{link}", f"[::1]:{link}"):
        change(pair.client, "link", "server", value=[server])
        reload(pair.client)
        pair.client.run("reconnect")
        wait_until(lambda: pair.client.status()["links"][0]["carrier"] == server, 10 * TIMESCALE,
                   f"a carrier to {server}")
    pair.failed = True                       # it is not where the pair's usual end expects it
    pair.check_logs()


def test_a_unix_socket_has_its_mode_owner_and_group_and_a_reload_changes_them(make_pair, tmp_path):
    path = f"{tmp_path}/l.sock"
    pair = make_pair(services={"raw": {"listen": f"unix:{path}"}},
                     client={"services": {"raw": {"socket_mode": "0600"}}})
    inode = os.stat(path).st_ino
    assert mode_of(path) == 0o600
    service = pair.client.settings["services"]["raw"]
    service["socket_mode"] = "0666"
    if os.geteuid() == 0:
        service["socket_user"], service["socket_group"] = "nobody", "65533"
    pair.client.write_config(pair.client.settings)
    told = reload(pair.client)
    assert "services.raw.socket_mode: 0600 -> 0666: at once" in told
    assert mode_of(path) == 0o666 and os.stat(path).st_ino == inode
    if os.geteuid() == 0:
        import pwd
        assert os.stat(path).st_uid == pwd.getpwnam("nobody").pw_uid
        assert os.stat(path).st_gid == 65533
        # Anybody may connect now.
        stranger = subprocess.run(
            ["setpriv", "--reuid=65532", "--regid=65532", "--clear-groups", "python3", "-c",
             f"import socket; socket.socket(socket.AF_UNIX).connect({path!r})"],
            capture_output=True, text=True)
        reachable = os.stat(tmp_path.parent).st_mode & 0o001
        assert stranger.returncode == 0 or not reachable, stranger.stderr
    serves(pair, path)
    # Without the keys it is as the umask has it.
    for key in ("socket_mode", "socket_user", "socket_group"):
        service.pop(key, None)
    pair.client.write_config(pair.client.settings)
    reload(pair.client)
    mask = os.umask(0)
    os.umask(mask)
    assert mode_of(path) == 0o777 & ~mask
    assert os.stat(path).st_uid == os.geteuid()


def test_the_admin_sockets_mode_changes_with_a_reload(make_pair):
    pair = make_pair()
    for agent in (pair.client, pair.server):
        path = agent.settings["admin"]["socket"]
        assert mode_of(path) == 0o660
        change(agent, "admin", "mode", value="0600")
        assert "admin.mode: 0660 -> 0600: at once" in reload(agent)
        assert mode_of(path) == 0o600


def test_an_unknown_user_is_told_before_anything_is_done(make_pair, tmp_path):
    pair = make_pair(services={"raw": {"listen": f"unix:{tmp_path}/l.sock"}})
    change(pair.client, "services", "raw", "socket_user", value="no-such-user-here")
    told = reload(pair.client, code=78)
    assert 'no user "no-such-user-here"' in told


def test_a_listener_follows_its_name_when_that_is_reloaded(make_pair, tmp_path):
    reason = names.why_unavailable()
    if reason:
        print(f"SKIPPED: {reason}")
        pytest.skip(reason)
    etc = names.Names(tmp_path / "etc")
    pair = make_pair()
    port = free_port()
    etc.hosts(("gw.example", "127.0.0.1"))
    pair.client.terminate()
    pair.client.space = etc
    pair.client.settings["services"]["raw"]["listen"] = f"gw.example:{port}"
    pair.client.write_config(pair.client.settings)
    pair.client.start()
    pair.wait_ready()
    serves(pair, ("127.0.0.1", port))
    etc.hosts(("gw.example", "127.0.0.2"))
    reload(pair.client)
    serves(pair, ("127.0.0.2", port))
    assert refused(("127.0.0.1", port))
    etc.close()
