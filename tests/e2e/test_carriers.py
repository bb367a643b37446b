"""What a carrier's socket is given."""
import subprocess

import pytest

from pair import Pair
from streams import ping


def algorithms(pair):
    """By role: what each end of the carrier paces its bytes with."""
    found = {}
    for role, filters in (("client", f"dport = :{pair.link_port}"), ("server", f"sport = :{pair.link_port}")):
        text = subprocess.run(["ss", "-Htinp", "state", "established", filters], capture_output=True,
                              text=True, check=True).stdout
        agent = getattr(pair, role)
        lines = [line for line in text.replace("\n\t", " ").splitlines() if f"pid={agent.pid}," in line]
        assert len(lines) == 1, text
        found[role] = lines[0].split("users:")[1].split()[1]
    return found


@pytest.mark.parametrize("threads", [1, 2])
def test_each_end_paces_as_its_config_says(tmp_path, threads):
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as file:
        usual = file.read().strip()
    with Pair(tmp_path, client={"threads": threads, "link": {"congestion_control": "reno", "parallel": 1}},
              server={"threads": threads}, relay=None) as pair:
        ping(*pair.connect())
        assert algorithms(pair) == {"client": "reno", "server": usual}
    with Pair(tmp_path, server={"threads": threads, "link": {"congestion_control": "reno"}},
              client={"threads": threads, "link": {"parallel": 1}}, relay=None) as pair:
        ping(*pair.connect())
        assert algorithms(pair) == {"client": usual, "server": "reno"}


def test_what_the_host_has_not_is_told_before_the_start(tmp_path):
    with Pair(tmp_path, relay=None) as pair:
        usual = pair.client.settings
        pair.client.write_config({**usual, "link": {**usual["link"], "congestion_control": "warp"}})
        told = pair.client.run("check")
        pair.client.write_config(usual)
        assert told.returncode != 0
        text = told.stderr + told.stdout
        assert "link.congestion_control" in text and "reno" in text
        assert 'this host has no congestion control "warp"' in text
