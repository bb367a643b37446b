"""What is measured, and with which program. A job runs on one path and returns {metric: value}."""
import collections
import contextlib
import dataclasses
import json
import math
import re
import select
import socket
import subprocess
import threading
import time

from programs import ProgramFailed, cpu_seconds, find_program, memory_bytes

BESIDE_LEAD_S = 0.3                # bulk runs this long before the pings beside it
HTTP_CONNECTIONS = 32
WAN_SECONDS = 5                    # a long path needs longer to find its speed
PAGE_BYTES = 1024


@dataclasses.dataclass(frozen=True)
class Metric:
    key: str
    title: str
    unit: str
    lower_is_better: bool = False


METRICS = (
    Metric("gbps_1_up", "throughput, 1 connection up", "Gbit/s"),
    Metric("gbps_1_down", "throughput, 1 connection down", "Gbit/s"),
    Metric("gbps_8_up", "throughput, 8 connections up", "Gbit/s"),
    Metric("gbps_8_down", "throughput, 8 connections down", "Gbit/s"),
    Metric("cpu_up", "CPU of both hops, 1 connection up", "s/GB", True),
    Metric("cpu_down", "CPU of both hops, 1 connection down", "s/GB", True),
    Metric("ping_p50", "ping-pong, p50", "µs", True),
    Metric("ping_p99", "ping-pong, p99", "µs", True),
    Metric("ping_p999", "ping-pong, p99.9", "µs", True),
    Metric("beside_p50", "ping beside 2 bulk streams, p50", "µs", True),
    Metric("beside_p99", "ping beside 2 bulk streams, p99", "µs", True),
    Metric("http", "HTTP 1 KiB, kept alive", "1/s"),
    Metric("http_close", "HTTP 1 KiB, a connection each", "1/s"),
    Metric("idle", "memory per idle connection, both hops", "KiB", True),
    Metric("wan_1_up", "long path: 1 connection up", "Mbit/s"),
    Metric("wan_1_down", "long path: 1 connection down", "Mbit/s"),
    Metric("wan_8_up", "long path: 8 connections up", "Mbit/s"),
    Metric("wan_8_down", "long path: 8 connections down", "Mbit/s"),
    Metric("wan_ping_p50", "long path: ping-pong, p50", "ms", True),
    Metric("wan_ping_p99", "long path: ping-pong, p99", "ms", True),
    Metric("wan_beside_p50", "long path: ping beside 2 bulk streams, p50", "ms", True),
    Metric("wan_beside_p99", "long path: ping beside 2 bulk streams, p99", "ms", True),
)


def run_tool(path, words, seconds):
    """stdout of a client program that runs for `seconds` where the path begins."""
    words = [find_program(words[0]), *map(str, words[1:])]
    if path.near:
        words = path.near.prefix + words
    try:
        result = subprocess.run(words, capture_output=True, text=True, timeout=seconds + 15)
    except subprocess.TimeoutExpired:
        raise ProgramFailed(f"{words[0]} did not end") from None
    if result.returncode:
        text = (result.stderr.strip() or result.stdout.strip())[-300:]
        raise ProgramFailed(f"{words[0]}: exit {result.returncode}: {text}")
    return result.stdout


def iperf_words(path, seconds, streams, down):
    return ["iperf3", "-c", path.host, "-p", path.ports["iperf"], "-t", math.ceil(seconds), "-P", streams, "-J",
            "--connect-timeout", 5000, *(["-R"] if down else [])]


def run_iperf(path, seconds, streams, down):
    """The sum over all streams at the receiver."""
    text = run_tool(path, iperf_words(path, seconds, streams, down), seconds)
    found = json.loads(text)
    if "sum_received" not in found.get("end", {}):
        raise ProgramFailed(f"iperf3: {found.get('error', text[-300:])}")
    return found["end"]["sum_received"]


def bulk(streams, down):
    def job(path, seconds):
        before = sum(map(cpu_seconds, path.pids))
        end = run_iperf(path, seconds, streams, down)
        used = sum(map(cpu_seconds, path.pids)) - before
        way = "down" if down else "up"
        values = {f"gbps_{streams}_{way}": end["bits_per_second"] / 1e9}
        if streams == 1 and path.pids:
            values[f"cpu_{way}"] = used / (end["bytes"] / 1e9)
        return values
    return job


def percentiles(path, seconds):
    """Round-trip times in microseconds of a 64-byte ping-pong over one connection."""
    text = run_tool(path, ["sockperf", "ping-pong", "--tcp", "-i", path.host, "-p",
                           path.ports["sockperf"], "-t", max(1, round(seconds)), "-m", 64,
                           "--full-rtt"], seconds)
    found = {float(p): float(value) for p, value in
             re.findall(r"percentile\s+([\d.]+)\s*=\s*([\d.]+)", text)}
    if not {50.0, 99.0, 99.9} <= found.keys():
        raise ProgramFailed(f"sockperf measured nothing: {text[-300:]}")
    return found


def ping(path, seconds):
    found = percentiles(path, seconds)
    return {"ping_p50": found[50.0], "ping_p99": found[99.0], "ping_p999": found[99.9]}


def ping_beside_bulk(path, seconds):
    # sockperf needs some seconds more than its test: the bulk is ended when it is ready.
    words = iperf_words(path, seconds + 30, 2, False)
    beside = path.programs.start(words, "bulk.log", path.near)
    try:
        time.sleep(BESIDE_LEAD_S)
        found = percentiles(path, seconds)
        if beside.poll() is not None:
            raise ProgramFailed(f"the bulk streams ended early: {path.programs.tail('bulk.log')}")
    finally:
        path.programs.stop(beside)
    return {"beside_p50": found[50.0], "beside_p99": found[99.0]}


def http(close):
    def job(path, seconds):
        header = ["-H", "Connection: close"] if close else []
        text = run_tool(path, ["wrk", "-t", 1, "-c", HTTP_CONNECTIONS, "-d",
                               f"{max(1, round(seconds))}s",
                               "--timeout", "5s", *header,
                               f"http://{path.host}:{path.ports['http']}/page"], seconds)
        rate = float(re.search(r"Requests/sec:\s*([\d.]+)", text)[1])
        trouble = re.search(r"Socket errors:.*|Non-2xx.*", text)
        if trouble and (close is False or re.search(r"connect [1-9]|timeout [1-9]|Non", trouble[0])):
            raise ProgramFailed(f"wrk: {trouble[0]}")
        return {"http_close" if close else "http": rate}
    return job


class Idle:
    """Connections that have echoed one byte and then keep still."""

    def __init__(self, port, count):
        self.socks = []
        try:
            for _ in range(count):
                sock = socket.create_connection(("127.0.0.1", port), 10)
                self.socks.append(sock)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.send()
            self.wait_echoes(20)
        except BaseException:
            self.close()
            raise

    def send(self):
        for sock in self.socks:
            sock.sendall(b"x")

    def wait_echoes(self, seconds):
        """Reads one byte from each: the times at which the first and the last came."""
        poll, waiting = select.epoll(), {}
        for sock in self.socks:
            poll.register(sock, select.EPOLLIN)
            waiting[sock.fileno()] = sock
        first, deadline = None, time.monotonic() + seconds
        try:
            while waiting:
                ready = poll.poll(max(0, deadline - time.monotonic()))
                if not ready:
                    raise ProgramFailed(f"{len(waiting)} of {len(self.socks)} echoes did not come")
                for fd, _ in ready:
                    if waiting[fd].recv(16) != b"x":
                        raise ProgramFailed("an idle connection ended")
                    first = first or time.monotonic()
                    poll.unregister(fd)
                    del waiting[fd]
            return first, time.monotonic()
        except OSError as error:
            raise ProgramFailed(f"an idle connection died: {error}") from None
        finally:
            poll.close()

    def close(self):
        for sock in self.socks:
            sock.close()


def idle_memory(count):
    def job(path, _seconds):
        if not path.pids:
            return {}
        Idle(path.ports["echo"], 1).close()
        before = sum(map(memory_bytes, path.pids))
        idle = Idle(path.ports["echo"], count)
        try:
            time.sleep(5.0)            # buffers of the first byte have gone back to the system
            used = sum(map(memory_bytes, path.pids)) - before
        finally:
            idle.close()
        return {"idle": used / count / 1024}
    return job


def jobs(idle_count):
    """(name, job), in the order of running: idle memory is asked of fresh processes."""
    return (
        ("idle connections", idle_memory(idle_count)),
        ("throughput, 1 connection up", bulk(1, False)),
        ("throughput, 1 connection down", bulk(1, True)),
        ("throughput, 8 connections up", bulk(8, False)),
        ("throughput, 8 connections down", bulk(8, True)),
        ("ping-pong", ping),
        ("ping beside bulk", ping_beside_bulk),
        ("HTTP kept alive", http(False)),
        ("HTTP, a connection each", http(True)),
    )


def on_wan(job, names, factor):
    """The job's values under their names for the long path, in its units."""
    def run(path, seconds):
        values = job(path, max(seconds, WAN_SECONDS))
        return {new: values[old] * factor for old, new in names.items()}
    return run


def wan_jobs():
    ms = 1e-3
    return tuple([(f"long path, {streams} {'down' if down else 'up'}",
                   on_wan(bulk(streams, down), {f"gbps_{streams}_{way}": f"wan_{streams}_{way}"}, 1e3))
                  for streams in (1, 8) for down, way in ((False, "up"), (True, "down"))] + [
        ("long path, ping-pong",
         on_wan(ping, {"ping_p50": "wan_ping_p50", "ping_p99": "wan_ping_p99"}, ms)),
        ("long path, ping beside bulk",
         on_wan(ping_beside_bulk, {"beside_p50": "wan_beside_p50", "beside_p99": "wan_beside_p99"},
                ms))])


def resume_times(path, count, silence_s):
    """Milliseconds from the path's return until the first and the last of `count` idle connections
    has had a byte to and fro that was sent during the outage: {kind: (first, last)}."""
    idle = Idle(path.ports["echo"], count)
    try:
        times = {}
        for kind in ("reset", "silence"):
            if kind == "silence":
                path.relay.blackhole("both")
                idle.send()
                time.sleep(silence_s)
                path.relay.thaw()
                back = time.monotonic()
            else:
                path.relay.cut()
                back = time.monotonic()
                idle.send()
            first, last = idle.wait_echoes(20)
            times[kind] = ((first - back) * 1000, (last - back) * 1000)
        return times
    finally:
        idle.close()


# From the path's return: until the first byte came, and the last of those that had been written by then;
# what was carried meanwhile, and what is carried without an outage.
Replay = collections.namedtuple("Replay", "first_ms last_ms replayed_bytes gbps steady_gbps")


class Sink:
    """A service that takes everything, and knows how much came when."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.bytes = 0
        self.marks = collections.deque(maxlen=1 << 20)   # (when, bytes so far)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                threading.Thread(target=self._take, args=(sock,), daemon=True).start()

    def _take(self, sock):
        buffer = bytearray(1 << 18)
        with sock, contextlib.suppress(OSError):
            while size := sock.recv_into(buffer):
                self.bytes += size
                self.marks.append((time.monotonic(), self.bytes))

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Pour:
    """One connection that is always written to; `bytes` were taken from us so far."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), 10)
        self.bytes = 0
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        piece = bytes(1 << 18)
        with contextlib.suppress(OSError):
            while True:
                self.bytes += self.sock.send(piece)

    def close(self):
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)
        self.sock.close()


def replay(path, sink, seconds, silence_s):
    """One bulk connection through a silence of the path: see Replay."""
    pour = Pour(path.ports["sink"])
    try:
        time.sleep(1.0)                # its windows have grown
        began, before = time.monotonic(), sink.bytes
        time.sleep(seconds)
        steady = (sink.bytes - before) / (time.monotonic() - began)
        path.relay.blackhole("both")
        time.sleep(silence_s)
        sink.marks.clear()
        arrived, written = sink.bytes, pour.bytes
        path.relay.thaw()
        back = time.monotonic()
        while sink.bytes < written:
            if time.monotonic() > back + 20:
                raise ProgramFailed("what waited in the outage did not come within 20 s")
            time.sleep(0.005)
        marks = list(sink.marks)
    finally:
        pour.close()
    if not marks or written == arrived:
        raise ProgramFailed("nothing waited in the outage")
    first = marks[0][0]
    last, carried = next((when, count) for when, count in marks if count >= written)
    # The first mark's bytes came in no time: what is told of is what came after it.
    rate = (carried - marks[0][1]) / max(last - first, 1e-6)
    return Replay((first - back) * 1e3, (last - back) * 1e3, written - arrived, rate * 8 / 1e9,
                  steady * 8 / 1e9)
