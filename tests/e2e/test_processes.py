"""Agents that stop, die and come back; grace. Truncation never looks like a clean end."""
import threading

import pytest

import outages
from pair import TIMESCALE
from stopwatch import Stopwatch
from streams import FIN, RST, is_open, payload, ping, read_end, read_exactly, wait_until


def pinged(pair):
    app, back = pair.connect()
    ping(app, back)
    return app, back


def wait_unread(sock, byte_count):
    from relay import unread_bytes
    wait_until(lambda: unread_bytes(sock) >= byte_count, 5 * TIMESCALE,
               f"{byte_count} bytes in the application's kernel")


# -- goodbye ---------------------------------------------------------------------------------------

@pytest.mark.sanitized
def test_a_clients_goodbye_ends_its_backends_at_once(pair):
    app, back = pinged(pair)
    watch = Stopwatch()
    pair.client.terminate()
    assert read_end(back, 1)[0] == RST
    assert read_end(app, 1)[0] == RST
    assert watch.seconds() < 2 * TIMESCALE
    pair.server.wait_event("connection_closed", cause="goodbye")
    pair.client.start()
    pair.wait_ready()
    pinged(pair)


def test_a_goodbye_flushes_what_an_application_has_already_closed(pair):
    app, back = pinged(pair)
    pair.relay.delay(100)
    app.sendall(payload(1, 20_000))
    app.close()
    pair.client.terminate()
    end, data = read_end(back, 3)
    assert data == payload(1, 20_000)
    assert end == FIN
    pair.client.start()


def test_a_lost_goodbye_falls_back_to_the_grace_timer(make_pair):
    pair = make_pair(server={"link": {"grace": "4s"}})
    _, back = pinged(pair)
    watch = Stopwatch()
    pair.relay.freeze()
    pair.client.terminate()
    assert is_open(back)
    assert read_end(back, 8 * TIMESCALE)[0] == RST
    assert watch.elapsed() > 3.5, "ended before its grace"
    pair.server.wait_event("connection_closed", cause="grace_expired")
    pair.relay.thaw()
    pair.client.start()


def test_a_servers_goodbye_resets_the_applications_at_once(pair):
    app, back = pinged(pair)
    pair.server.terminate()
    assert read_end(back, 1)[0] == RST
    assert read_end(app, 1)[0] == RST
    pair.server.start()
    pair.wait_ready()
    pinged(pair)


@pytest.mark.sanitized
def test_sigterm_with_200_connections_and_a_dead_link_still_ends_within_two_seconds(pair):
    for _ in range(200):
        pair.dial()
    wait_until(lambda: len(pair.server.connections()) == 200, 10 * TIMESCALE, "200 connections")
    pair.relay.freeze()
    pair.client.terminate()
    pair.server.terminate()
    pair.relay.thaw()
    pair.server.start()
    pair.client.start()


# -- grace -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["refusal", "silence"])
def test_when_the_grace_is_over_both_applications_are_reset(make_pair, kind):
    pair = make_pair(server={"link": {"grace": "1500ms"}})
    app, back = pinged(pair)
    watch = Stopwatch()
    outages.begin(pair, kind)
    assert read_end(app, 6 * TIMESCALE) == (RST, b"")
    assert read_end(back, 6 * TIMESCALE) == (RST, b"")
    assert watch.elapsed() > 1.4 and watch.seconds() < 4 * TIMESCALE
    for agent in (pair.client, pair.server):
        agent.wait_event("connection_closed", cause="grace_expired")
    outages.end(pair)
    pair.wait_ready()
    pinged(pair)


@pytest.mark.sanitized
def test_a_services_own_grace_ends_its_connections_alone(make_pair):
    pair = make_pair(services={"short": {"grace": "1s"}, "long": {}},
                     server={"link": {"grace": "20s"}})
    short_app, short_back = pair.connect("short")
    long_app, long_back = pair.connect("long")
    ping(short_app, short_back)
    ping(long_app, long_back)
    outages.begin(pair, "refusal")
    assert read_end(short_app, 4 * TIMESCALE)[0] == RST
    assert read_end(short_back, 4 * TIMESCALE)[0] == RST
    assert is_open(long_app) and is_open(long_back)
    outages.end(pair)
    ping(long_app, long_back)


def test_an_outage_just_below_the_grace_is_survived(make_pair):
    pair = make_pair(server={"link": {"grace": "5s"}})
    app, back = pinged(pair)
    watch = Stopwatch()
    outages.begin(pair, "refusal")
    wait_until(lambda: watch.elapsed() > 3, 4, "three seconds")
    outages.end(pair)
    ping(app, back)


def test_outages_that_race_the_grace_leave_both_sides_agreeing(make_pair):
    """Whichever wins: both applications live on, or both are reset."""
    # Dials are 400 ms apart while the path refuses: the third one meets the end of the grace.
    pair = make_pair(server={"link": {"grace": "1200ms"}})
    ended = []
    for hold in (0.1, 0.5, 1.0, 1.05, 1.1, 1.15, 1.19, 2.2):
        pair.wait_ready()
        app, back = pinged(pair)
        outages.begin(pair, "refusal")
        watch = Stopwatch()
        wait_until(lambda: watch.elapsed() >= hold, 3, "the moment")
        outages.end(pair)
        ended.append(not both_live(app, back))
        app.close()
        back.close()
    assert not ended[0] and ended[-1], f"no race: {ended}"


def both_live(app, back):
    """True when bytes flow, False when both are reset; anything else is a failure. The call that
    fails takes the socket's error with it."""
    try:
        app.sendall(b"?")
    except ConnectionResetError:
        assert read_end(back, 5 * TIMESCALE)[0] == RST
        return False
    back.settimeout(30 * TIMESCALE)
    try:
        assert back.recv(1) == b"?", "a clean end over a lost byte"
    except ConnectionResetError:
        assert read_end(app, 5 * TIMESCALE)[0] == RST
        return False
    back.sendall(b"!")
    assert read_exactly(app, 1) == b"!"
    return True


# -- restarts --------------------------------------------------------------------------------------

@pytest.mark.sanitized
@pytest.mark.parametrize("way", ["kill", "terminate"])
def test_a_restarted_server_agent_resets_the_old_connections_and_serves_new_ones(make_pair, way):
    # By its name: a host without /etc/machine-id gives it another one at each start.
    pair = make_pair(server={"name": "hub-1"})
    app, back = pinged(pair)
    getattr(pair.server, way)()
    assert read_end(back, 2)[0] == RST
    pair.server.start()
    assert read_end(app, 3 * TIMESCALE)[0] == RST
    if way == "kill":
        pair.client.wait_event("connection_closed", cause="server_restarted")
    pair.wait_ready()
    pinged(pair)
    assert pair.backends["raw"].quiet(), "an old stream was opened again"


def test_a_killed_server_agent_is_a_reset_for_the_backend_and_for_the_application(make_pair):
    pair = make_pair(server={"link": {"grace": "1s"}})
    app, back = pinged(pair)
    back.sendall(b"arrived")
    wait_unread(app, 7)
    pair.server.kill()
    assert read_end(back, 1) == (RST, b"")
    assert read_end(app, 4 * TIMESCALE) == (RST, b"arrived")
    pair.server.start()


def test_a_killed_client_agent_gives_what_arrived_and_then_a_reset(pair):
    app, back = pinged(pair)
    data = payload(2, 30_000)
    back.sendall(data)
    wait_unread(app, len(data))
    pair.client.kill()
    assert read_end(app, 1) == (RST, data)
    assert is_open(back)
    pair.client.start()


def test_a_killed_client_agent_amid_a_transfer_never_looks_like_its_end(pair):
    app, back = pinged(pair)
    told = []
    writer = threading.Thread(target=write_until_broken, args=(back, told), daemon=True)
    writer.start()
    read_exactly(app, 100_000)
    pair.client.kill()
    assert read_end(app, 5)[0] == RST
    assert not told
    pair.client.start()
    writer.join(5 * TIMESCALE)
    assert isinstance(told[0], ConnectionResetError), told


def write_until_broken(sock, told):
    """Appends what ended the writing; the call that fails is the one that is told of a reset."""
    sock.settimeout(None)
    try:
        while True:
            sock.sendall(bytes(1 << 20))
    except OSError as error:
        told.append(error)


@pytest.mark.sanitized
def test_a_new_client_process_of_the_same_name_takes_over_at_once(pair):
    _, back = pinged(pair)
    pair.client.kill()
    assert is_open(back)
    pair.client.start()
    assert read_end(back, 2 * TIMESCALE) == (RST, b"")
    pair.server.wait_event("connection_closed", cause="client_restarted")
    pair.wait_ready()
    pinged(pair)


def test_a_second_client_of_the_same_name_does_not_displace_a_living_one(make_pair):
    pair = make_pair()
    app, back = pinged(pair)
    from pair import Agent, free_port
    import copy
    import os
    clone = copy.deepcopy(pair.client.settings)
    folder = os.path.join(pair.folder, "clone")
    os.mkdir(folder)
    clone["admin"] = {"socket": os.path.join(folder, "c.sock"),
                      "metrics": f"127.0.0.1:{free_port()}"}
    clone["services"]["raw"]["listen"] = f"127.0.0.1:{free_port()}"
    rival = Agent("client", folder, clone).start()
    try:
        rival.wait_event(r"\w+", 5, **{r"\w+": "duplicate_name"})
        ping(app, back)
        assert rival.run("ready").returncode == 75
        assert pair.client.run("ready").returncode == 0
        assert pair.reconnects() == 0
    finally:
        rival.terminate()


def test_a_clean_finish_before_the_kill_stays_clean(pair):
    app, back = pair.connect()
    app.sendall(b"question")
    app.shutdown(1)
    assert read_end(back) == (FIN, b"question")
    back.sendall(payload(3, 20_000))
    back.close()
    pair.wait_empty()
    pair.client.kill()
    pair.server.kill()
    assert read_end(app, 1) == (FIN, payload(3, 20_000))
    pair.server.start()
    pair.client.start()
