"""A long and lossy path between two network namespaces: near == this program == far.

Each namespace has a TUN device; what one sends is read here, thrown away with the given probability
or handed to the other after the delay. The kernels' own TCP meets it, as on a real path.

    with Wan(programs, delay_ms=25, loss=0.01) as wan:  wan.near, wan.far, wan.far_host
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

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

import netns                                           # noqa: E402

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
NEAR_HOST, FAR_HOST = "10.202.0.1", "10.202.0.2"
QUEUE_PACKETS = 4000               # 50 ms at some 900 Mbit/s: what is lost is lost by chance
PACKET_BYTES = 2048
READS_PER_TURN = 64


class Wan:
    """Both namespaces and the program between them; taken away at the block's end."""
    far_host = FAR_HOST

    def __init__(self, programs, delay_ms, loss, seed=1):
        self._programs, self._arguments = programs, (delay_ms, loss, seed)
        self.near = self.far = self._process = None

    def __enter__(self):
        try:
            base = f"hf-{os.getpid()}-wan"
            self.near, self.far = netns.Namespace(f"{base}-n"), netns.Namespace(f"{base}-f")
            for space in (self.near, self.far):
                space.run("ip", "link", "set", "lo", "up")
            delay_ms, loss, seed = self._arguments
            self._process = self._programs.start(
                [sys.executable, os.path.abspath(__file__), self.near.name, self.far.name, "--delay-ms",
                 delay_ms, "--loss", loss, "--seed", seed], "wan.log")
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

    def __init__(self, source, sink, delay_s, loss, seed):
        self.source, self._sink = source, sink
        self._delay_s, self._loss, self._random = delay_s, loss, random.Random(seed)
        self._queue = collections.deque()

    def take(self):
        for _ in range(READS_PER_TURN):
            try:
                packet = os.read(self.source, PACKET_BYTES)
            except BlockingIOError:
                return
            if self._random.random() >= self._loss and len(self._queue) < QUEUE_PACKETS:
                self._queue.append((time.monotonic() + self._delay_s, packet))

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


def carry(near, far, delay_s, loss, seed):
    there, back = Direction(near, far, delay_s, loss, seed), Direction(far, near, delay_s, loss, seed + 1)
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
    options = parser.parse_args()
    near = open_tun(ExistingNamespace(options.near), NEAR_HOST, FAR_HOST)
    far = open_tun(ExistingNamespace(options.far), FAR_HOST, NEAR_HOST)
    print("ready", flush=True)
    carry(near, far, options.delay_ms / 1000, options.loss, options.seed)


if __name__ == "__main__":
    main()
