"""A long and lossy path between two network namespaces: near == this program == far.

Each namespace has a TUN device; what one sends is read here, thrown away with the given probability
or handed to the other after the delay. The kernels' own TCP meets it, as on a real path.

    with Wan(programs, delay_ms=25, loss=0.01) as wan:  wan.near, wan.far, wan.far_host
    Wan(programs, delay_ms=100, loss=0, mbit=10, hosts=(NEAR, FAR)): a slow one, other addresses
"""
import argparse
import collections
import fcntl
import os
import random
import select
import struct
import sys
import time

import netns

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
NEAR_HOST, FAR_HOST = "10.202.0.1", "10.202.0.2"
QUEUE_PACKETS = 4000               # 50 ms at some 900 Mbit/s: what is lost is lost by chance
QUEUE_S = 0.1                      # of a path with a rate: what waits longer is lost
PACKET_BYTES = 2048
READS_PER_TURN = 64


class Wan:
    """Both namespaces and the program between them; taken away at the block's end."""

    def __init__(self, programs, delay_ms, loss, seed=1, mbit=0, hosts=(NEAR_HOST, FAR_HOST)):
        self._programs, self._hosts = programs, hosts
        self._options = ["--delay-ms", delay_ms, "--loss", loss, "--seed", seed, "--mbit", mbit,
                         "--near-host", hosts[0], "--far-host", hosts[1]]
        self.far_host = hosts[1]
        self.near = self.far = self._process = None

    def __enter__(self):
        try:
            base = f"hf-{os.getpid()}-wan"
            self.near, self.far = netns.Namespace(f"{base}-n"), netns.Namespace(f"{base}-f")
            for space in (self.near, self.far):
                space.run("ip", "link", "set", "lo", "up")
            self._process = self._programs.start([sys.executable, os.path.abspath(__file__),
                                                  self.near.name, self.far.name, *self._options], "wan.log")
            self._wait_path()
            return self
        except BaseException:
            self.__exit__()
            raise

    def _wait_path(self):
        deadline = time.monotonic() + 5
        while "ready" not in self._programs.tail("wan.log"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no path: {self._programs.tail('wan.log')}")
            time.sleep(0.02)

    def __exit__(self, *_):
        if self._process:
            self._programs.stop(self._process)
        for space in (self.near, self.far):
            if space:
                space.remove()


class ExistingNamespace(netns.Namespace):
    """One that somebody else made and removes."""

    def __init__(self, name):                          # without making it
        self.name = name


def open_tun(space, address, peer):
    with space.enter():
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH", b"wan0", IFF_TUN | IFF_NO_PI))
    space.run("ip", "address", "add", address, "peer", peer, "dev", "wan0")
    space.run("ip", "link", "set", "wan0", "up", "mtu", "1500", "txqueuelen", "10000")
    return fd


class Direction:
    """Packets on their way from one device to the other, in order."""

    def __init__(self, source, sink, delay_s, loss, seed, bytes_s):
        self.source, self._sink = source, sink
        self._delay_s, self._loss, self._random = delay_s, loss, random.Random(seed)
        self._bytes_s, self._free = bytes_s, 0.0       # when the last packet has left
        self._queue = collections.deque()

    def take(self):
        for _ in range(READS_PER_TURN):
            try:
                packet = os.read(self.source, PACKET_BYTES)
            except BlockingIOError:
                return
            if self._random.random() >= self._loss and len(self._queue) < QUEUE_PACKETS:
                self._send(time.monotonic(), packet)

    def _send(self, now, packet):
        if self._bytes_s:
            if self._free - now > QUEUE_S:
                return
            now = self._free = max(now, self._free) + len(packet) / self._bytes_s
        self._queue.append((now + self._delay_s, packet))

    def give(self):
        """Seconds until the next packet is due, or None."""
        while self._queue:
            wait = self._queue[0][0] - time.monotonic()
            if wait > 0:
                return wait
            try:
                os.write(self._sink, self._queue.popleft()[1])
            except BlockingIOError:
                pass                   # the device's queue is full: lost, as on a path
        return None


def carry(near, far, delay_s, loss, seed, bytes_s):
    there = Direction(near, far, delay_s, loss, seed, bytes_s)
    back = Direction(far, near, delay_s, loss, seed + 1, bytes_s)
    while True:
        waits = [wait for direction in (there, back) if (wait := direction.give()) is not None]
        readable = select.select([near, far], [], [], min(waits) if waits else None)[0]
        for direction in (there, back):
            if direction.source in readable:
                direction.take()


def main():
    parser = argparse.ArgumentParser(description="Carries packets between two namespaces.")
    parser.add_argument("near")
    parser.add_argument("far")
    parser.add_argument("--delay-ms", type=float, default=25, help="each way")
    parser.add_argument("--loss", type=float, default=0.01, help="each way, 0 to 1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mbit", type=float, default=0, help="each way; 0: no limit")
    parser.add_argument("--near-host", default=NEAR_HOST)
    parser.add_argument("--far-host", default=FAR_HOST)
    options = parser.parse_args()
    near = open_tun(ExistingNamespace(options.near), options.near_host, options.far_host)
    far = open_tun(ExistingNamespace(options.far), options.far_host, options.near_host)
    print("ready", flush=True)
    carry(near, far, options.delay_ms / 1000, options.loss, options.seed, options.mbit * 125_000)


if __name__ == "__main__":
    main()
