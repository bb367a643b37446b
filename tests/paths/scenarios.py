"""The paths that are tried, what runs over them, and what is asked of it.

`shape` holds emulator keys (direction.h) for each direction; `steps` changes it: (seconds after the
streams began, direction, keys). `streams` run at once over each way; a Row names one of their measures
and its goal. What `short` names is a part of scripts/test: it holds today.
"""
from dataclasses import dataclass, field

from traffic import BulkUpload, Download, NextByte, Resume, Rival, Typist, Upload, Uploads

# 50 full packets: what routers of slow lines have, and a lot of time on one of 64 kbit/s.
QUEUE_BYTES = 75_000


@dataclass
class Goal:
    """`kind`: ratio_most, ratio_least (pair ÷ bare), most (of the pair alone), beyond (the pair less
    bare, at most)."""
    kind: str
    limit: float

    def met(self, pair, bare):
        if pair is None:
            return False
        if self.kind == "most":
            return pair <= self.limit
        if self.kind == "beyond":
            return pair <= bare + self.limit
        if self.kind == "ratio_most":
            return pair <= self.limit * bare
        return pair >= self.limit * bare

    def __str__(self):
        return {"most": "≤ {:.3g}", "beyond": "≤ bare + {:.3g}", "ratio_most": "≤ {:.3g} ×",
                "ratio_least": "≥ {:.3g} ×"}[self.kind].format(self.limit)


@dataclass
class Row:
    measure: str                        # of a stream: "up.seconds"; or "carriers_lost", "packets"
    title: str
    unit: str
    goal: Goal


@dataclass
class Scenario:
    name: str
    title: str
    shape: dict
    streams: dict
    rows: list
    steps: list = field(default_factory=list)
    place: str = "between"
    link: dict = field(default_factory=dict)
    sysctls: dict = field(default_factory=dict)
    short: bool = False
    alone: bool = False                 # it needs the processors for itself
    certificates: bool = False          # in place of a key
    idle_s: float = 0                   # nothing runs for so long; packets are counted


NO_CARRIER_LOST = Row("carriers_lost", "carriers lost", "", Goal("most", 0))
SHORT_TRANSFERS = {("up", 64, "fair"), ("down", 128, "shared"), ("up", 2000, "fair"), ("down", 2000, "shared")}

SHORT_FAR = {("service", "up"), ("application", "down")}


def transfer_goal(kbit):
    return {64: 1.25, 96: 1.15}.get(kbit, 1.10)


def queue(kind):
    return {"fair": int(kind == "fair"), "queue_bytes": QUEUE_BYTES}


def transfers():
    for kbit in (64, 96, 128, 256, 512, 2000, 10_000):
        for kind in ("shared", "fair"):
            for way, traffic in (("up", Upload), ("down", Download)):
                seconds = 20 if kbit < 2000 else 10
                size = kbit * 125 * seconds
                yield Scenario(
                    f"{way}-{kbit}-{kind}", f"{size // 1000} kB {way}, {kbit} kbit/s, {kind} queue",
                    {"both": {"rate_kbit": kbit, **queue(kind)}},
                    {way: traffic(size, limit_s=4 * seconds)},
                    [Row(f"{way}.seconds", "time", "s", Goal("ratio_most", transfer_goal(kbit))),
                     NO_CARRIER_LOST])


def echoes():
    """A typist beside one upload, who was there first, came second, or at once."""
    orders = {"typist first": (0, 3), "bulk first": (3, 0), "both at once": (0, 0)}
    for kbit in (1000, 2000, 10_000):
        for kind in ("shared", "fair"):
            for order, (typist_s, bulk_s) in orders.items():
                goal = Goal("ratio_most", 1.3) if kind == "shared" else Goal("beyond", 30)
                yield Scenario(
                    f"echo-{kbit}-{kind}-{order.replace(' ', '-')}",
                    f"echo beside an upload, {kbit} kbit/s, {kind} queue, {order}",
                    {"both": {"rate_kbit": kbit, **queue(kind)}},
                    {"echo": Typist(17, wait_s=typist_s, from_s=bulk_s),
                     "bulk": BulkUpload(20 - bulk_s, wait_s=bulk_s)},
                    [Row("echo.median_ms", "echo, median", "ms", goal),
                     Row("bulk.kilobytes", "upload", "kB", Goal("ratio_least", 0.9)), NO_CARRIER_LOST])


def rivals():
    """Shares are of both bytes: row `share` is made of ours and the rival's."""
    for kbit in (2000, 10_000):
        yield Scenario(
            f"rival-{kbit}-shared", f"an upload beside a bare one, {kbit} kbit/s, shared queue",
            {"both": {"rate_kbit": kbit, **queue("shared")}},
            {"ours": BulkUpload(30), "rival": Rival(BulkUpload(30))},
            [Row("share", "our share", "%", Goal("ratio_least", 0.65)), NO_CARRIER_LOST])


def large_packets():
    shape = {"both": {"rate_kbit": 20_000, "delay_ms": 10}}
    probing = {"net.ipv4.tcp_mtu_probing": 1}
    for name, direction in (("both", "both"), ("up", "up")):
        yield Scenario(
            f"swallow-{name}", f"packets over 1,000 bytes vanish ({name}), 300 kB up, a typist beside",
            shape, {"up": Upload(300_000, limit_s=90), "echo": Typist(30)},
            [Row("up.seconds", "time", "s", Goal("most", 8)),
             Row("echo.worst_ms", "echo, worst", "ms", Goal("most", 4000))],
            steps=[(0, direction, {"max_packet": 1000})], sysctls=probing, short=name == "both")
    yield Scenario(
        "swallow-far",
        "packets over 1,000 bytes vanish (both), round trip 600 ms, 300 kB up, a typist beside",
        {"both": {"rate_kbit": 20_000, "delay_ms": 300}},
        {"up": Upload(300_000, limit_s=180), "echo": Typist(60)},
        [Row("up.seconds", "time", "s", Goal("ratio_most", 1)),
         Row("echo.worst_ms", "echo, worst", "ms", Goal("most", 20_000))],
        steps=[(0, "both", {"max_packet": 1000})], sysctls=probing)
    yield Scenario(
        "swallow-down", "packets over 1,000 bytes vanish (down), 300 kB down, a typist beside",
        shape, {"down": Download(300_000, limit_s=90), "echo": Typist(30)},
        [Row("down.seconds", "time", "s", Goal("most", 8)),
         Row("echo.worst_ms", "echo, worst", "ms", Goal("most", 4000))],
        steps=[(0, "down", {"max_packet": 1000})], sysctls=probing)
    yield Scenario(
        "swallow-certificates", "packets over 1,000 bytes vanish, certificates: until the link stands, 300 kB up",
        {"both": {**shape["both"], "max_packet": 1000}}, {"up": Upload(300_000, limit_s=90)},
        [Row("ready_s", "until ready", "s", Goal("most", 8)), Row("up.seconds", "time", "s", Goal("most", 8))],
        sysctls=probing, certificates=True)


def far_ends():
    for place, title in (("service", "service 50 ms behind its agent"),
                         ("application", "application 50 ms before its agent")):
        for way, traffic in (("up", Upload), ("down", Download)):
            yield Scenario(
                f"far-{place}-{way}", f"{title}, {way}", {"both": {"delay_ms": 25}},
                {way: traffic(60_000_000)},
                [Row(f"{way}.seconds", "time", "s", Goal("ratio_most", 1 / 0.85))],
                place=place, alone=True, short=(place, way) in SHORT_FAR)


def lossy():
    long_path = {"both": {"delay_ms": 25, "loss": 0.01}}
    for way, traffic in (("up", Upload), ("down", Download)):
        yield Scenario(
            f"loss-50ms-{way}", f"50 ms, 1 % loss, 25 MB {way}", long_path, {way: traffic(25_000_000)},
            [Row(f"{way}.seconds", "time", "s", Goal("ratio_most", 1.2)), NO_CARRIER_LOST], alone=True)
    yield Scenario(
        "loss-50ms-8", "50 ms, 1 % loss, 8 uploads of 10 MB", long_path, {"up": Uploads(8, 10_000_000)},
        [Row("up.seconds", "time of all", "s", Goal("ratio_most", 1.25)), NO_CARRIER_LOST], alone=True)
    yield Scenario(
        "loss-50ms-ping", "50 ms, 1 % loss, an echo beside two uploads", long_path,
        {"echo": Typist(15, gap_s=0.02, from_s=3), "one": BulkUpload(18), "two": BulkUpload(18)},
        [Row("echo.median_ms", "echo, median", "ms", Goal("ratio_most", 1.2)),
         Row("echo.p99_ms", "echo, 99 of 100", "ms", Goal("ratio_most", 1.5)), NO_CARRIER_LOST], alone=True)
    yield Scenario(
        "loss-600ms-typist", "600 ms, 20 % loss, a typist", {"both": {"delay_ms": 300, "loss": 0.2}},
        {"echo": Typist(40, gap_s=0.1, size=200)},
        [Row("echo.echoes", "rounds", "", Goal("ratio_least", 0.9))])
    yield Scenario(
        "loss-bursts", "10 Mbit/s, 40 ms, 1 % loss in bursts of 10, 5 MB up",
        {"both": {"rate_kbit": 10_000, "delay_ms": 20, "loss": 0.01, "burst": 10}},
        {"up": Upload(5_000_000)},
        [Row("up.seconds", "time", "s", Goal("ratio_most", 1.25)), NO_CARRIER_LOST])
    yield Scenario(
        "jitter-reorder", "10 Mbit/s, 40 ms and up to 20 more, 1 % overtaken, 8 MB down",
        {"both": {"rate_kbit": 10_000, "delay_ms": 20, "jitter_ms": 20, "reorder": 0.01, "reorder_ms": 10}},
        {"down": Download(8_000_000)},
        [Row("down.seconds", "time", "s", Goal("ratio_most", 1.25)), NO_CARRIER_LOST], short=True)


def outages():
    for seconds in (1, 3, 7, 20):
        yield Scenario(
            f"outage-{seconds}", f"{seconds} s of silence, 10 Mbit/s: next byte after it",
            {"both": {"rate_kbit": 10_000, "delay_ms": 10}}, {"next": NextByte(2, seconds)},
            [Row("next.seconds", "next byte", "s", Goal("most", 1))],
            steps=[(2, "both", {"blocked": 1}), (2 + seconds, "both", {"blocked": 0})],
            short=seconds == 7)
    for direction in ("up", "down"):
        yield Scenario(
            f"one-way-{direction}", f"5 s of silence {direction} only, 10 Mbit/s: next byte after it",
            {"both": {"rate_kbit": 10_000, "delay_ms": 10}}, {"next": NextByte(2, 5)},
            [Row("next.seconds", "next byte", "s", Goal("most", 1))],
            steps=[(2, direction, {"blocked": 1}), (7, direction, {"blocked": 0})],
            short=direction == "down")
    yield Scenario(
        "answered-syns", "7.5 s behind a middlebox that answers connects itself: next byte after it",
        {"both": {"rate_kbit": 10_000, "delay_ms": 10}}, {"next": NextByte(2, 7.5)},
        [Row("next.seconds", "next byte", "s", Goal("most", 1))],
        steps=[(2, "both", {"blocked": 1}), (2, "answer_syns", True),
               (9.5, "both", {"blocked": 0}), (9.5, "answer_syns", False)])


def resumes():
    """Of each connection 33 bytes are said by both ends (PROTOCOL.md, TABLE)."""
    for count, kbit in ((2000, 128), (9000, 64)):
        limit_s = 6 * count * 33 / (kbit * 125)
        yield Scenario(
            f"resume-{count}-{kbit}", f"{count:,} idle connections resumed at {kbit} kbit/s",
            {"both": {"delay_ms": 10, **queue("shared")}}, {"table": Resume(count, kbit, 33, limit_s)},
            [Row("table.seconds", "time", "s", Goal("ratio_most", 1.5)),
             Row("table.alive", "still there", "", Goal("ratio_least", 1.0))],
            link={}, sysctls={})


def idle():
    for heartbeat, dead_after, most in (("30s", "90s", 3), ("1h", "3h", 0), ("5s", "15s", 24)):
        yield Scenario(
            f"idle-{heartbeat}", f"idle for 20 s, heartbeat {heartbeat}", {}, {},
            [Row("packets", "packets", "", Goal("most", most))],
            link={"heartbeat": heartbeat, "dead_after": dead_after}, idle_s=20, short=heartbeat == "5s")


def everything():
    found = [*transfers(), *echoes(), *rivals(), *large_packets(), *far_ends(), *lossy(), *outages(), *resumes(), *idle()]
    for scenario in found:
        parts = scenario.name.split("-")
        if scenario.streams and parts[0] in ("up", "down"):
            scenario.short = (parts[0], int(parts[1]), parts[2]) in SHORT_TRANSFERS
    return found
