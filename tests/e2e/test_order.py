"""Which comes first at a service: one connection's last bytes and end, or the next connection."""
import select
import socket
import struct
import threading
import time

import pytest

import outages
from pair import TIMESCALE
from streams import read_exactly, wait_until

ROUNDS = 20


class OneSeat:
    """A device that serves one connection and refuses others while it is there. When a new one comes
    it looks at once whether the old one's end is here: it judges by its kernel's order alone."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.target = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.seat, self.reads, self.accepted_at = None, True, None
        self.lengths = []
        threading.Thread(target=self.serve, daemon=True).start()

    def ended(self):
        try:
            while piece := self.seat.recv(1 << 20):
                self.lengths[-1] += len(piece)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            pass
        self.seat.close()
        self.seat = None
        return True

    def serve(self):
        while True:
            watched = [self.listener] + ([self.seat] if self.seat and self.reads else [])
            ready = select.select(watched, [], [], 0.1)[0]
            if self.listener in ready:
                sock = self.listener.accept()[0]
                self.accepted_at = time.monotonic()
                if self.seat is None or (self.reads and self.ended()):
                    self.seat = sock
                    self.lengths.append(0)
                    sock.sendall(b"OK  ")
                    sock.setblocking(False)
                else:
                    sock.sendall(b"BUSY")
                    sock.close()
            elif ready:
                self.ended()


@pytest.fixture
def device(make_pair):
    seat = OneSeat()
    pair = make_pair(services={"seat": {"target": seat.target}})
    return pair, seat


def take_seat(pair):
    app = pair.dial("seat")
    assert read_exactly(app, 4) == b"OK  "
    return app


def leave(app, load, how):
    app.sendall(b"z" * load)
    if how == "RST":
        app.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    app.close()


@pytest.mark.parametrize("how", ["FIN", "RST"])
@pytest.mark.parametrize("load", [0, 3000, 60_000, 300_000])
def test_a_device_with_one_seat_serves_one_after_the_other(device, how, load):
    pair, seat = device
    app = take_seat(pair)
    for _ in range(ROUNDS):
        leave(app, load, how)
        app = take_seat(pair)
    if how == "FIN":
        assert seat.lengths[:ROUNDS] == [load] * ROUNDS


def test_also_after_an_outage(device):
    pair, seat = device
    for _ in range(3):
        app = take_seat(pair)
        outages.begin(pair, "refusal")
        outages.wait_link_down(pair)
        leave(app, 300_000, "FIN")
        app = pair.dial("seat")
        time.sleep(0.2 * TIMESCALE)
        outages.end(pair)
        assert read_exactly(app, 4) == b"OK  "
        app.close()
        wait_until(lambda: seat.seat is None, 10 * TIMESCALE, "the seat is free")


def test_a_tight_loop_of_short_connections_arrives_in_order(device):
    """Accepted in one turn, many of them: each one's end still comes before the next one."""
    pair, seat = device
    for _ in range(100):
        app = pair.dial("seat")
        app.sendall(b"job")
        app.close()
    wait_until(lambda: sum(seat.lengths) == 300, 10 * TIMESCALE, "all of them are served")


def test_a_new_connection_does_not_wait_for_a_service_that_does_not_read(device):
    pair, seat = device
    app = take_seat(pair)
    seat.reads = False
    app.settimeout(0.3)
    with pytest.raises(TimeoutError):
        app.sendall(b"z" * 50_000_000)
    app.close()
    began = time.monotonic()
    other = pair.dial("seat")
    assert read_exactly(other, 4) == b"BUSY"
    assert seat.accepted_at - began < 0.5 * TIMESCALE
    seat.reads = True
