"""[link] mptcp: carriers over several paths at once, and plain TCP where one side has none."""
import netns
import pytest
from pair import Pair
from stopwatch import Stopwatch
from streams import ping, wait_until

SECOND = "10.201.3"
BOTH = {"link": {"mptcp": True}}


def multipath_kernel():
    try:
        with open("/proc/sys/net/mptcp/enabled") as file:
            return file.read().strip() == "1"
    except FileNotFoundError:
        return False


needs_kernel = pytest.mark.skipif(not multipath_kernel(), reason="the kernel has no Multipath TCP")


@pytest.fixture
def lab(namespaces):
    """client -- router -- server, and a cable from the one to the other."""
    lab = netns.Lab()
    try:
        netns.run("ip", "link", "add", "wire0", "netns", lab.client.name, "type", "veth",
                  "peer", "name", "wire0", "netns", lab.server.name)
        for number, host in enumerate((lab.client, lab.server), 1):
            host.run("ip", "address", "add", f"{SECOND}.{number}/24", "dev", "wire0")
            host.run("ip", "link", "set", "wire0", "up")
            host.run("ip", "mptcp", "limits", "set", "subflows", "2", "add_addr_accepted", "2")
        # The client's second address, and how it leads to the server's one.
        lab.client.run("ip", "route", "add", netns.SERVER_ADDRESS, "via", f"{SECOND}.2", "dev", "wire0",
                       "metric", "1000", "onlink")
        lab.client.run("ip", "route", "add", netns.SERVER_ADDRESS, "via", f"{netns.CLIENT_NET}.1", "metric", "10")
        lab.client.run("ip", "mptcp", "endpoint", "add", f"{SECOND}.1", "dev", "wire0", "subflow")
        yield lab
    finally:
        lab.remove()


def subflows(agent):
    return [link["subflows"] for link in agent.json("links")]


@needs_kernel
def test_a_carrier_goes_on_over_the_other_path_when_one_falls_silent(tmp_path, lab):
    with Pair(tmp_path, lab=lab, client=BOTH, server=BOTH, fast=False) as pair:
        app, back = pair.connect()
        ping(app, back)
        wait_until(lambda: subflows(pair.client) == [2] and subflows(pair.server) == [2], 5, "two paths")
        assert "2 paths" in pair.client.run("status").stdout
        assert "PATHS" in pair.server.run("links").stdout
        lab.drop()
        watch = Stopwatch()
        ping(app, back)
        assert watch.seconds() < 1
        lab.heal()
        ping(app, back)
        assert not pair.client.events("link_down")


@needs_kernel
@pytest.mark.parametrize("side", ["client", "server"])
def test_where_one_side_has_none_it_is_plain_tcp(make_pair, side):
    pair = make_pair(**{side: BOTH})
    app, back = pair.connect()
    ping(app, back)
    assert subflows(pair.client) == subflows(pair.server) == [None]
    pair.relay.cut()
    ping(app, back)


@needs_kernel
def test_over_one_path_it_resumes_as_ever(make_pair):
    pair = make_pair(client=BOTH, server=BOTH, relay=None)
    app, back = pair.connect()
    ping(app, back)
    assert subflows(pair.client) == subflows(pair.server) == [1]
    assert pair.client.run("reconnect").returncode == 0
    ping(app, back)
    assert subflows(pair.client) == [1]


@needs_kernel
def test_a_kernel_without_it_makes_plain_tcp(tmp_path, lab):
    for host in (lab.client, lab.server):
        host.run("sysctl", "-qw", "net.mptcp.enabled=0", check=False)
    with Pair(tmp_path, lab=lab, client=BOTH, server=BOTH) as pair:
        app, back = pair.connect()
        ping(app, back)
        assert subflows(pair.client) == subflows(pair.server) == [None]
