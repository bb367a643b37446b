"""What the lab itself carries: bare TCP over an unshaped path, and the emulator's cost."""
import tempfile
import time

import traffic
from lab import Lab

BYTES = 1_000_000_000


def measure(shape):
    """(Mbit/s, the emulator's processor seconds a second)"""
    with tempfile.TemporaryDirectory(prefix="holdfast-paths-") as folder, Lab(folder, shape) as lab:
        lab.wait_ready()
        cpu, began = lab.emulator.stats("bare")["cpu_s"], time.monotonic()
        took = traffic.Upload(BYTES)(lab.ways["bare"])["seconds"]
        busy = (lab.emulator.stats("bare")["cpu_s"] - cpu) / (time.monotonic() - began)
        return BYTES * 8e-6 / took, busy


def show():
    for title, shape in (("no limit", {}), ("10 ms of delay", {"both": {"delay_ms": 5}}),
                         ("1 Gbit/s, shared queue of 1 MB",
                          {"both": {"rate_kbit": 1e6, "queue_bytes": 1e6}}),
                         ("100 Mbit/s, queue for each flow", {"both": {"rate_kbit": 1e5, "fair": 1}})):
        mbit, busy = measure(shape)
        print(f"{title:34} {mbit:6.0f} Mbit/s, {busy:.2f} of a processor", flush=True)
    return 0
