"""Half-close stays half-close, a reset stays a reset, each in its place after the bytes before it."""
import socket

import pytest

import outages
from pair import TIMESCALE
from relay import unsent_bytes
from streams import (FIN, RST, is_open, payload, ping, read_end, read_exactly, reset, wait_until)

MIB = payload(7, 1 << 20)


def taken_by_agent(sock):
    """All that was written to the socket has reached the agent's host."""
    wait_until(lambda: unsent_bytes(sock) == 0, 5 * TIMESCALE, "the agent's kernel took the bytes")


def ends(pair, mirrored):
    """The side that acts and the side that observes; up or down, and the agent that sends."""
    app, back = pair.connect()
    ping(app, back)
    return (back, app, "down", pair.server) if mirrored else (app, back, "up", pair.client)


def write_in_background(sock, data, then):
    import threading

    def body():
        sock.settimeout(None)
        sock.sendall(data)
        then()
    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    return thread


both_sides = pytest.mark.parametrize("mirrored", [False, True], ids=["application", "backend"])


@both_sides
def test_a_half_close_leaves_the_other_direction_open(pair, mirrored):
    first, second, _, _ = ends(pair, mirrored)
    first.sendall(b"question")
    first.shutdown(socket.SHUT_WR)
    assert read_end(second) == (FIN, b"question")
    assert is_open(first)
    write_in_background(second, MIB, second.close)
    assert read_end(first) == (FIN, MIB)


@pytest.mark.sanitized
@both_sides
def test_a_half_close_during_the_outage_arrives_and_a_mebibyte_is_answered(pair, mirrored):
    first, second, direction, sender = ends(pair, mirrored)
    question = payload(8, 40_000)
    pair.relay.freeze()
    first.sendall(question)
    first.shutdown(socket.SHUT_WR)
    outages.lose_bytes_in_flight(pair, direction, len(question))
    assert read_end(second) == (FIN, question)
    assert sender.replayed() >= len(question)
    write_in_background(second, MIB, second.close)
    assert read_end(first) == (FIN, MIB)


@both_sides
def test_the_answer_after_a_half_close_passes_through_a_cut(pair, mirrored):
    first, second, direction, _ = ends(pair, mirrored)
    first.sendall(b"question")
    first.shutdown(socket.SHUT_WR)
    assert read_end(second) == (FIN, b"question")
    other_way, answerer = ("up", pair.client) if direction == "down" else ("down", pair.server)
    pair.relay.freeze()
    write_in_background(second, MIB, second.close)
    outages.lose_bytes_in_flight(pair, other_way, 64 << 10)
    assert read_end(first) == (FIN, MIB)
    assert answerer.replayed() > 0


@both_sides
def test_both_half_closes_cross_in_an_outage(pair, mirrored):
    first, second, direction, _ = ends(pair, mirrored)
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    first.sendall(b"last of one")
    first.shutdown(socket.SHUT_WR)
    second.sendall(b"last of the other")
    second.shutdown(socket.SHUT_WR)
    outages.end(pair)
    assert read_end(second) == (FIN, b"last of one")
    assert read_end(first) == (FIN, b"last of the other")
    pair.wait_empty()


@both_sides
def test_a_reset_arrives_as_a_reset_after_all_bytes_before_it(pair, mirrored):
    first, second, _, _ = ends(pair, mirrored)
    data = payload(9, 100_000)
    first.sendall(data)
    taken_by_agent(first)
    reset(first)
    assert read_end(second) == (RST, data)


@pytest.mark.sanitized
@both_sides
def test_a_reset_during_the_outage_arrives_after_all_bytes_before_it(pair, mirrored):
    first, second, direction, sender = ends(pair, mirrored)
    data = payload(10, 50_000)
    pair.relay.freeze()
    first.sendall(data)
    taken_by_agent(first)
    reset(first)
    outages.lose_bytes_in_flight(pair, direction, len(data))
    assert read_end(second) == (RST, data)
    assert sender.replayed() >= len(data)


@both_sides
def test_a_reset_after_a_half_close_is_a_reset(pair, mirrored):
    first, second, _, _ = ends(pair, mirrored)
    first.sendall(b"x")
    first.shutdown(socket.SHUT_WR)
    assert read_end(second) == (FIN, b"x")
    reset(first)
    second.settimeout(5)

    def broken():
        try:
            second.send(b"y")
            return False
        except (ConnectionResetError, BrokenPipeError):
            return True
    wait_until(broken, 5 * TIMESCALE, "the reset at the other side")
    pair.wait_empty()


@pytest.mark.sanitized
def test_both_sides_reset_in_the_same_outage(pair):
    app, back = pair.connect()
    ping(app, back)
    outages.begin(pair, "refusal")
    outages.wait_link_down(pair)
    app.sendall(payload(11, 10_000))
    back.sendall(payload(12, 10_000))
    reset(app)
    reset(back)
    outages.end(pair)
    pair.wait_empty()


@both_sides
@pytest.mark.parametrize("kind", ["silence", "refusal"])
def test_a_tail_written_before_closing_in_the_outage_arrives_then_the_end(pair, kind, mirrored):
    first, second, direction, sender = ends(pair, mirrored)
    tail = payload(13, 50_000)
    outages.begin(pair, kind)
    if kind == "silence":
        first.sendall(tail)
        first.close()
        outages.lose_bytes_in_flight(pair, direction, len(tail))
    else:
        outages.wait_link_down(pair)
        first.sendall(tail)
        first.close()
        outages.end(pair)
    assert read_end(second) == (FIN, tail)
    if kind == "silence":
        assert sender.replayed() >= len(tail)
    second.close()
    pair.wait_empty()


@pytest.mark.sanitized
def test_a_large_tail_of_a_backend_that_has_gone_arrives(pair):
    app, back = pair.connect()
    ping(app, back)
    outages.begin(pair, "silence")
    writer = write_in_background(back, MIB * 4, back.close)
    outages.lose_bytes_in_flight(pair, "down", 64 << 10)
    assert read_end(app, 10) == (FIN, MIB * 4)
    writer.join(5)
    assert pair.server.replayed() > 0


def test_a_slow_reader_gets_everything_that_was_written_before_the_reset(pair):
    app, back = pair.connect()
    data = payload(14, 300_000)
    write_in_background(back, data, lambda: None).join(5)
    taken_by_agent(back)
    reset(back)
    wait_until(lambda: not is_open(app), 5 * TIMESCALE, "the first bytes at the application")
    assert read_exactly(app, len(data)) == data
    assert read_end(app) == (RST, b"")


@pytest.mark.sanitized
def test_the_cause_of_each_ending_is_in_both_logs(pair):
    app, back = pair.connect()
    app.close()
    assert read_end(back) == (FIN, b"")
    back.close()
    for agent in (pair.client, pair.server):
        agent.wait_event("connection_closed", cause="client_fin")
    app, back = pair.connect()
    back.close()
    assert read_end(app) == (FIN, b"")
    app.close()
    for agent in (pair.client, pair.server):
        agent.wait_event("connection_closed", cause="target_fin")
    app, back = pair.connect()
    ping(app, back)
    reset(app)
    assert read_end(back)[0] == RST
    for agent in (pair.client, pair.server):
        agent.wait_event("connection_closed", cause="client_rst")
    app, back = pair.connect()
    ping(app, back)
    reset(back)
    assert read_end(app)[0] == RST
    for agent in (pair.client, pair.server):
        agent.wait_event("connection_closed", cause="target_rst")
