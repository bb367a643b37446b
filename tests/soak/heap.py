"""Whether the agents' heaps grow with the connections and outages that they have seen.

    heap.py [--seconds N]          (default 60)

Connections come and go as fast as they can, and every 50 the link's carrier is cut. What malloc has
handed out is asked of the agents themselves (mallinfo2, by a small preloaded library, so neither the
allocator's free lists nor the pools' pages count). Carriers that are just being closed hold buffers for
a moment, so the least of the first half is compared with the least of the second. The last line is
"N passed, N failed".
"""
import argparse
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

CONNECTIONS_AT_ONCE, CONNECTIONS_A_SAMPLE = 50, 1000
SLACK_BYTES = 96 << 10            # the history's rings fill; in a minute some 4 bytes a connection
LIBRARY = r"""
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void tell(int number) {
  (void)number;
  struct mallinfo2 now = mallinfo2();
  char path[256];
  snprintf(path, sizeof path, "%s/%d", getenv("HEAP_FOLDER"), getpid());
  FILE* file = fopen(path, "a");
  if (!file) return;
  fprintf(file, "%zu\n", now.uordblks + now.hblkhd);
  fclose(file);
}
__attribute__((constructor)) static void begin(void) { signal(SIGRTMIN + 3, tell); }
"""


def growth(samples):
    """Bytes by which the least of the second half is above the least of the first."""
    half = len(samples) // 2
    return min(samples[half:]) - min(samples[:half])


def wrap(folder):
    """Programs in `folder` that are the agents with the library preloaded."""
    programs = os.environ.get("HOLDFAST_BIN") or os.path.join(os.path.dirname(TESTS), "build", "bin")
    source, library = os.path.join(folder, "heap.c"), os.path.join(folder, "heap.so")
    with open(source, "w") as file:
        file.write(LIBRARY)
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    for name in ("holdfast-client", "holdfast-server"):
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write(f'#!/bin/sh\nLD_PRELOAD={library} HEAP_FOLDER={folder} exec '
                       f'{os.path.abspath(programs)}/{name} "$@"\n')
        os.chmod(path, 0o755)
    os.environ["HOLDFAST_BIN"] = folder


def in_use(agent, folder, seconds=10):
    """What malloc has handed out in the agent, in bytes."""
    path = os.path.join(folder, str(agent.pid))
    before = os.path.getsize(path) if os.path.exists(path) else 0
    os.kill(agent.pid, signal.SIGRTMIN + 3)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if os.path.exists(path) and os.path.getsize(path) > before:
            with open(path) as file:
                return int(file.read().split()[-1])
        time.sleep(0.01)
    raise AssertionError(f"the {agent.role} does not answer for its heap")


def churn(pair):
    """Some connections, one in three reset, the others half-closed; the carrier is cut amid them."""
    sockets = []
    for number in range(CONNECTIONS_AT_ONCE):
        sock = socket.create_connection(pair.listens["raw"], 30)
        sock.settimeout(60)
        sock.sendall(bytes(200 if number % 10 else 40000))
        sockets.append(sock)
    pair.relay.cut()
    for number, sock in enumerate(sockets):
        if number % 3 == 0:
            sock.recv(100)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            sock.shutdown(socket.SHUT_WR)
            got = 0
            while data := sock.recv(65536):
                got += len(data)
            assert got == (200 if number % 10 else 40000), f"{got} bytes came back"
        sock.close()


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="holdfast-heap-") as folder:
        wrap(folder)
        os.mkdir(os.path.join(folder, "pair"))
        from pair import EchoBackend, Pair             # only now: it reads HOLDFAST_BIN
        echo = EchoBackend()
        samples, seen = {"client": [], "server": []}, 0
        until = time.monotonic() + options.seconds
        with Pair(os.path.join(folder, "pair"), services={"raw": {"target": echo.target}}, fast=False,
                  link="psk") as pair:
            while time.monotonic() < until or len(samples["client"]) < 4:
                for _ in range(CONNECTIONS_A_SAMPLE // CONNECTIONS_AT_ONCE):
                    churn(pair)
                    seen += CONNECTIONS_AT_ONCE
                pair.wait_empty(20)
                for agent in (pair.client, pair.server):
                    samples[agent.role].append(in_use(agent, folder))
            pair.wait_ready()
        echo.close()
    failed = 0
    for role, values in samples.items():
        grown = growth(values)
        failed += grown > SLACK_BYTES
        print("ok  " if grown <= SLACK_BYTES else "NOT ", f"heap of the {role}: {min(values) >> 10} to "
              f"{max(values) >> 10} KiB in use, grown by {grown} bytes over {seen} connections, "
              f"{seen // CONNECTIONS_AT_ONCE} cuts")
    print(f"{2 - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
