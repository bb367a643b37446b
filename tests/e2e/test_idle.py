"""What pairs cost that have nothing to do, and that they leave each other alone."""
import copy
import os
import subprocess
import sys
import time

import pytest
from pair import BIN, LINK, NAME, TIMESCALE, Agent, Pair, free_port
from streams import ping, wait_until

LANES = 16                              # `parallel` takes no more
MOST = 256                              # links of one client
WATCHED_S = 5


def make_key(pair, name):
    key = subprocess.run([os.path.join(BIN, "holdfast-client"), "genpsk"], check=True, capture_output=True).stdout
    path = os.path.join(pair.folder, f"{name}.psk")
    with open(path, "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as file:
        file.write(key)
    return path


def start_client(pair, name, links, key):
    """Another client agent, with so many links (a multiple of 16)."""
    folder = os.path.join(pair.folder, name)
    os.mkdir(folder)
    config = copy.deepcopy(pair.client.settings)
    link = {**config.pop("link"), "parallel": LANES, "psk_file": key}
    config.update(name=name, links={f"l{number}": link for number in range(links // LANES)},
                  services={"raw": {"listen": f"127.0.0.1:{free_port()}", "link": "l0"}},
                  admin={"socket": os.path.join(folder, "client.sock"),
                         "metrics": f"127.0.0.1:{free_port()}"})
    return Agent("client", folder, config).start()


def wait_links(server, count):
    wait_until(lambda: sum(link["state"] == "live" for link in server.json("links")) == count,
               60 * TIMESCALE, f"{count} live links")
    time.sleep(3)                       # their first PINGs, and the allocator's trimming


def cost_of_a_link(folder, count):
    """Bytes of the server's resident memory, and its CPU seconds a second, that each of so many idle links
    more costs."""
    names = [f"edge-{2 + number}" for number in range(1 + -(-count // MOST))]
    with Pair(folder, fast=False, relay=None) as pair:
        settings = pair.server.settings
        keys = {name: make_key(pair, name) for name in names}
        for name, key in keys.items():
            settings["clients"][name] = {**settings["clients"][NAME], "links": MOST, "psk_file": key}
        pair.server.write_config(settings)
        reloaded = pair.server.run("reload")
        assert reloaded.returncode == 0, reloaded.stderr
        clients = []
        try:
            clients.append(start_client(pair, names[0], 2 * LANES, keys[names[0]]))   # what is there but once
            wait_links(pair.server, 1 + 2 * LANES)
            before, left = pair.server.resident_bytes(), count
            for name in names[1:]:
                clients.append(start_client(pair, name, min(left, MOST), keys[name]))
                left -= min(left, MOST)
            wait_links(pair.server, 1 + 2 * LANES + count)
            memory, cpu, began = pair.server.resident_bytes(), pair.server.cpu_seconds(), time.monotonic()
            time.sleep(WATCHED_S)
            cpu = (pair.server.cpu_seconds() - cpu) / (time.monotonic() - began)
            return (memory - before) / count, cpu / count
        finally:
            for client in clients:
                client.kill()


def cost_of_a_wake():
    """CPU seconds of a process that only wakes and sleeps again, each time."""
    rounds, began = 200, time.process_time()
    for _ in range(rounds):
        time.sleep(0.005)
    return (time.process_time() - began) / rounds


@pytest.mark.skipif(TIMESCALE != 1 or LINK != "psk", reason="of TLS, without sanitizers")
@pytest.mark.parametrize("count, most_kib", [(128, 60), pytest.param(512, 48, marks=pytest.mark.slow)])
def test_an_idle_link_costs_the_server_little(tmp_path, count, most_kib):
    memory, cpu = cost_of_a_link(tmp_path, count)
    print(f"each of {count} idle links: {memory / 1024:.1f} KiB, {cpu * 1e6:.0f} us of CPU a second")
    assert memory <= most_kib * 1024
    # Its heartbeat wakes the server, and the answer's acknowledgement may. What a wake from idleness costs is the
    # machine's (in a virtual one some 40 us at times, on a busy one nearly nothing).
    wake = cost_of_a_wake()
    print(f"a wake: {wake * 1e6:.0f} us")
    assert cpu <= 70e-6 + 4 * wake


BURN = "import time\nend = time.monotonic() + 15\nwhile time.monotonic() < end: pass"


def test_an_idle_pair_on_a_busy_host_dials_nobody(make_pair):
    pair = make_pair(fast=False, relay=None)
    app, back = pair.connect()
    ping(app, back)
    before = pair.client.json("links")[0]
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(3 * os.cpu_count())]
    for burner in burners:
        assert burner.wait(120) == 0
    after = pair.client.json("links")[0]
    assert after["dials"] == before["dials"]
    assert after["carrier"] == before["carrier"]
    assert not pair.client.events("link_down")
    ping(app, back)
