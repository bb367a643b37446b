"""The kinds of outage on the relay's path, each as a beginning and an end."""
from pair import TIMESCALE
from streams import wait_until

OUTAGES = {
    "reset": lambda relay: relay.cut(),
    "orderly-close": lambda relay: relay.cut_fin(),
    "refusal": lambda relay: (relay.refuse(), relay.cut()),
    "silence": lambda relay: relay.freeze(),
    "silence-up": lambda relay: relay.freeze("up"),
    "silence-down": lambda relay: relay.freeze("down"),
    "loss-up": lambda relay: relay.blackhole("up"),
    "loss-down": lambda relay: relay.blackhole("down"),
}
MOMENTARY = ("reset", "orderly-close")      # the path is back at once


def loses(kind, ways):
    """The ways of ("up", "down", "both") whose bytes the outage swallows."""
    flowing = ("up", "down") if ways == "both" else (ways,)
    one_way = kind.rpartition("-")[2]
    return tuple(way for way in flowing if one_way not in ("up", "down") or one_way == way)


def begin(pair, kind):
    OUTAGES[kind](pair.relay)


def end(pair):
    pair.relay.thaw()
    pair.relay.accept()


def wait_link_down(pair, seconds=5):
    wait_until(lambda: pair.client.metric("holdfast_link_up") == 0, seconds * TIMESCALE,
               "the client's link down")


def wait_link_up(pair, seconds=5):
    wait_until(lambda: pair.client.metric("holdfast_link_up") == 1, seconds * TIMESCALE,
               "the client's link up")


def run(pair, kind):
    """A whole outage of the kind, long enough that the carrier is lost."""
    before = pair.reconnects()
    begin(pair, kind)
    if kind not in MOMENTARY:
        wait_link_down(pair)
    end(pair)
    wait_until(lambda: pair.reconnects() > before, 5 * TIMESCALE, "a reconnect counted")


def lose_bytes_in_flight(pair, direction, byte_count):
    """To be called with the path frozen: once so many bytes stand in it, they are lost with the
    carrier, and the path returns."""
    wait_until(lambda: pair.relay.stats()[f"waiting_{direction}"] >= byte_count, 5 * TIMESCALE,
               f"{byte_count} bytes on their way {direction}")
    pair.relay.cut()
    pair.relay.thaw()
