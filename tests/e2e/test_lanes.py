"""Lanes by default: an idle client has one carrier, and who comes beside bulk has another."""
import threading
import time

from pair import Pair
from streams import ping, wait_until
from test_parallel import counts, wait_links
from test_reload import change, reload

DELAY_MS = 30      # so that a round trip is longer than the path's own, which is loopback's
PAUSE_S = 0.02     # 3 MB/s: as of a path that is not fast


class Bulk:
    """An upload over a connection, until stop()."""

    def __init__(self, pair, pause_s=0):
        self._pause_s = pause_s
        self.app, self.back = pair.connect()
        self._on = True
        self._threads = [threading.Thread(target=job, daemon=True) for job in (self._send, self._read)]
        for thread in self._threads:
            thread.start()

    def _send(self):
        try:
            while self._on:
                self.app.sendall(bytes(65536))
                time.sleep(self._pause_s)
        except OSError:
            pass

    def _read(self):
        try:
            while self.back.recv(65536):
                pass
        except OSError:
            pass

    def stop(self):
        self._on = False
        self.app.close()
        for thread in self._threads:
            thread.join(10)
        self.back.close()


def lanes(agent):
    return len(agent.json("links"))


def test_an_idle_client_has_one_lane_and_so_has_one_on_a_fast_path(tmp_path):
    with Pair(tmp_path) as pair:
        wait_links(pair, 1)
        bulk = Bulk(pair)
        app, back = pair.connect()
        for _ in range(30):
            ping(app, back)
        wait_until(lambda: pair.client.json("links")[0]["bytes_up"] > 50_000_000, 60, "much is sent")
        assert lanes(pair.client) == 1
        bulk.stop()


def test_a_typist_beside_an_upload_has_a_lane_of_its_own(tmp_path):
    with Pair(tmp_path, server={"clients": {"edge-1": {"links": 1}}}) as pair:
        pair.relay.delay(DELAY_MS)
        bulk = Bulk(pair, PAUSE_S)
        wait_links(pair, 2)
        assert pair.client.run("ready").returncode == 0
        app, back = pair.connect()
        assert counts(pair.client)["default"] == 1
        assert sum(counts(pair.client).values()) == 2
        ping(app, back)
        # A further one does not join the bulk either.
        other, other_back = pair.connect()
        assert counts(pair.client)["default"] == 1
        ping(other, other_back)
        # All of them live through a cut.
        pair.relay.cut()
        ping(app, back)
        ping(other, other_back)
        bulk.stop()


def test_a_reload_to_one_lane_lets_the_others_end_with_their_connections(tmp_path):
    with Pair(tmp_path) as pair:
        pair.relay.delay(DELAY_MS)
        bulk = Bulk(pair, PAUSE_S)
        wait_links(pair, 2)
        app, back = pair.connect()
        change(pair.client, "link", "parallel", value=1)
        beside = sum(link["connections"] for link in pair.client.json("links") if "#" in link["name"])
        assert beside == 1
        told = reload(pair.client, "--dry-run", "--revoke")
        assert "would end 1 connection" in told, told
        assert "link.parallel: auto -> 1" in reload(pair.client)
        ping(app, back)
        bulk.stop()
        app.close()
        back.close()
        wait_until(lambda: lanes(pair.client) == 1, 30, "one lane is left")
        wait_until(lambda: lanes(pair.server) == 1, 30, "at the server, too")
        ping(*pair.connect())
