"""Every code block of README, guides and manuals: which test runs it, or why none does.

    BLOCKS[page][first line of the block] = "file::test", in tests/, or a reason in plain words

tests/rules/guide_test.py compares this with the pages: no block is missing here, and none is too much.
"""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for folder, kind in (("guide", "*.md"), ("man", "*.scd"))
                              for page in (ROOT / "docs" / folder).glob(kind))]


def blocks_of(page):
    """[(kind, text)]: fenced blocks, and the "$ " lines of manuals, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = [(match.start(), match[1] or "text", match[2]) for match in
             re.finditer(r"(?ms)^```(\w*)\n(.*?)^```$", text)]
    found += [(match.start(), "command", match[1] + "\n") for match in re.finditer(r"(?m)^\t\$ (.*)$", text)]
    return [(kind, body) for _, kind, body in sorted(found)]


def title(body):
    """The first line that says something: a block is known by it."""
    return next(line.strip() for line in body.splitlines() if line.strip())


QUICKSTART = "guide/test_quickstart.py::test_the_page_does_what_it_says"
README = "guide/test_blocks.py::test_the_readme_does_what_it_says"
CONFIG = "guide/test_blocks.py::test_every_config_is_one"
PAIRING = "guide/test_blocks.py::test_invite_and_join_as_they_stand_there"
COMMAND = "guide/test_blocks.py::test_every_command_of_the_manuals_works"
MANUAL = "guide/test_blocks.py::test_the_manuals_quick_start_does_what_it_says"
DRAWING = "a drawing"
INSTALLED = "needs a machine with systemd and the package: scripts/check-package lives it, tests/package/scenario"
SERVICE = "needs the service itself: scripts/check-guide runs it with Debian's, tests/guide"
RULES = "changes the host's rules: tests/e2e/test_transparent_rules.py does it in network namespaces"
INVITE = "holdfast-server invite edge-1 --service postgres=127.0.0.1:5432 --address hub.example:7443"

BLOCKS = {
    "README.md": {
        "psql, ssh, redis-cli          network that comes and goes            PostgreSQL, sshd, Redis": DRAWING,
        "scripts/build      # some minutes on two cores; leaves both programs in build/bin":
            "builds, tests and packages: what every test needs, or runs itself (scripts/check-bare)",
        INVITE: PAIRING, "holdfast-client join -": PAIRING,
        'export PATH="$PWD/build/bin:$PATH"': README, "# server.toml": README, "# client.toml": README,
        "python3 -m http.server 8000 --bind 127.0.0.1 &": README, "curl http://127.0.0.1:18000/": README,
        "kill $(jobs -p)": README,
    },
    "docs/guide/fleet.md": {
        "+-- hub-1  home = \"hub-1.hub.example.org\"": DRAWING,
        "# server.toml, of the first server": CONFIG, "# client.toml": CONFIG,
        "holdfast-server drain --until-empty --wait && systemctl start holdfast-server": INSTALLED,
    },
    "docs/guide/install.md": {
        "scripts/package                                     # in the source tree; prints the path of the .deb": INSTALLED,
        INVITE: PAIRING, "holdfast-client join -": PAIRING,
        "scripts/build-static        # prints the paths of both programs, stripped":
            "some minutes of building: scripts/release does it, and runs tests/package/pair with what it made",
        "tar -xzf holdfast-0.1.0-x86_64-static.tar.gz -C / --strip-components=1 --no-overwrite-dir":
            "installs into the running system, and needs a release: tests/package/contents looks into one's tarball",
        "dnf install ./holdfast-0.1.0-1.x86_64.rpm": "for another distribution than the tests' own",
        "scripts/build": "installs into the running system: tests/package/test_install.py does it into a folder",
    },
    "docs/guide/monitoring.md": {
        "[admin]": CONFIG,
        'rule_files: ["holdfast.rules.yml"]': "Prometheus's own: tests/monitoring has promtool read the rules",
    },
    "docs/guide/mqtt.md": {
        "# server.toml, beside the broker": CONFIG, "# client.toml, beside the devices or programs": CONFIG,
        "mosquitto_sub -p 11883 -t 'news/#' -k 600": SERVICE,
    },
    "docs/guide/postgresql.md": {
        "# server.toml, beside PostgreSQL": CONFIG, "# client.toml, beside the applications": CONFIG,
        "psql -h 127.0.0.1 -p 15432 -U app shop": SERVICE,
    },
    "docs/guide/quickstart.md": {
        "scripts/build                          # Debian 12 or 13; leaves both programs in build/bin":
            "builds the programs that the test of this page runs",
        "ip netns add here && ip netns add there": QUICKSTART, "mkdir try && cd try": QUICKSTART,
        "# server.toml": QUICKSTART, "# client.toml": QUICKSTART,
        "holdfast-server check -c server.toml": QUICKSTART,
        "mkdir files && head -c 60000000 /dev/urandom > files/big": QUICKSTART,
        "until holdfast-client ready -c client.toml; do sleep 0.5; done": QUICKSTART,
        "ip netns exec here curl -s --limit-rate 2M -o copy http://127.0.0.1:18000/big &": QUICKSTART,
        "event=link_down link=... peer=... cause=carrier_silent connections=1 grace_s=300":
            "what the log says: test_quickstart.py looks for it",
        "kill $(jobs -p)": QUICKSTART,
    },
    "docs/guide/redis.md": {
        "# server.toml, beside Redis": CONFIG, "# client.toml, beside the applications": CONFIG,
        "redis-cli -p 16379": SERVICE,
    },
    "docs/guide/ssh.md": {
        "# server.toml, beside sshd": CONFIG, "# client.toml, at the laptop": CONFIG,
        "Host hub": "OpenSSH's own file: tests/guide/test_ssh.py logs in by a port and by a ProxyCommand",
    },
    "docs/guide/systemd.md": {
        "cp /usr/share/doc/holdfast/examples/client.toml /etc/holdfast/     # from source: /usr/local/share/...":
            INSTALLED,
        "[Service]": "a unit's: tests/systemd starts agents with credentials",
        "holdfast-client check": INSTALLED,
        "# /etc/systemd/system/holdfast-client-postgres.socket": "a unit's: tests/systemd passes sockets",
        "# /etc/holdfast/client.toml": CONFIG,
        "systemctl daemon-reload": INSTALLED,
        "journalctl -u holdfast-client -f": "reads the journal: tests/systemd looks for these fields there",
    },
    "docs/guide/transparent.md": {
        "application            client agent              server agent              service": DRAWING,
        "# client.toml": CONFIG, "# server.toml": CONFIG,
        "holdfast-client nft                                         # look at the rules first": RULES,
        "ip route add 10.0.5.0/24 dev lo src 127.0.0.1": RULES,
        "# client.toml, the service": CONFIG, "# server.toml, the service": CONFIG,
    },
    "docs/man/holdfast-client.8.scd": {
        "holdfast-client check": COMMAND,
        "holdfast-client connections --sort rate --limit 10 --watch": COMMAND,
        "holdfast-client reload --dry-run": COMMAND,
        "holdfast-client connections --service postgres --json --socket /run/holdfast/client.sock": COMMAND,
    },
    "docs/man/holdfast-server.8.scd": {
        "holdfast-server check": COMMAND,
        "holdfast-server connections --sort rate --limit 10 --watch": COMMAND,
        "holdfast-server reload --dry-run": COMMAND,
        "holdfast-server connections --service postgres --json --socket /run/holdfast/server.sock": COMMAND,
    },
    "docs/man/holdfast.7.scd": {
        "cp -r /usr/share/doc/holdfast/examples/quickstart . && cd quickstart": MANUAL,
        INVITE: PAIRING,
        "(umask 077; holdfast-client genpsk > /etc/holdfast/edge-1.psk)": INSTALLED,
    },
    "docs/man/holdfast.toml.5.scd": {'name = "edge-1"': CONFIG, "[clients.edge-1]": CONFIG},
}
