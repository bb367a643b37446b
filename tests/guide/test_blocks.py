"""Code blocks of README, guides and manuals, run as they stand there; tests/lib/blocks.py says which, and why not others."""
import os
import re
import subprocess

import pytest

import netns
from blocks import BLOCKS, COMMAND, CONFIG, INVITE, PAGES, README, blocks_of, title
from pair import BIN, REPOSITORY, Pair

ENVIRONMENT = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin"}


def alone(script, folder, seconds=60):
    """The script in a network and mount namespace of its own, with /etc/holdfast and /run/holdfast empty."""
    around = """set -e
        ip link set lo up
        mkdir -p /etc/holdfast /run/holdfast
        mount -t tmpfs tmpfs /etc/holdfast && mount -t tmpfs tmpfs /run
    """
    return subprocess.run(["unshare", "--net", "--mount", "--kill-child=KILL", "--pid", "--fork", "--mount-proc",
                           "bash", "-c", around + script], cwd=folder, capture_output=True, text=True,
                          timeout=seconds, env=ENVIRONMENT)


def script_of(page, marks, skip=()):
    """The page's blocks with these marks: shell as it is, each config into the file of its first line."""
    lines = ["set -e"]
    for kind, body in blocks_of(page):
        if BLOCKS[page][title(body)] not in marks:
            continue
        if kind == "toml":
            name = re.match(r"# (\S+)", body)[1]
            lines.append(f"cat > {name} <<'END'\n{body}END")
        else:
            lines.append("\n".join(line for line in body.splitlines() if not line.startswith(skip or "\0")))
    return "\n".join(lines)


needs_root = pytest.mark.skipif(netns.why_unavailable() is not None, reason=str(netns.why_unavailable()))


@needs_root
def test_the_readme_does_what_it_says(tmp_path):
    words = script_of("README.md", {README}, skip=("export PATH",))
    run = alone(words.replace("kill $(jobs -p)", "holdfast-client status -c client.toml --json > status\n"
                                                 "kill $(jobs -p)\nwait"), tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Directory listing" in run.stdout and "link" in run.stdout
    assert re.search(r"(?m)^ok      target ", run.stdout) and "FAILED" not in run.stdout
    assert '"ready": true' in (tmp_path / "try" / "status").read_text()


@needs_root
def test_the_manuals_quick_start_does_what_it_says(tmp_path):
    page = "docs/man/holdfast.7.scd"
    words = next(body for _, body in blocks_of(page) if body.startswith("cp -r"))
    words = words.replace("/usr/share/doc/holdfast/examples/quickstart", f"{REPOSITORY}/config/quickstart")
    run = alone("set -e\n" + words + "\nkill $(jobs -p)\nwait", tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Directory listing" in run.stdout


@needs_root
@pytest.mark.parametrize("page", [page for page in PAGES if INVITE in BLOCKS.get(page, {})])
def test_invite_and_join_as_they_stand_there(tmp_path, page):
    # Two hosts are two mount namespaces' /etc/holdfast: here one after the other.
    join = "holdfast-client join -"
    assert any(join in body for _, body in blocks_of(page))
    run = alone(f"""{INVITE} > line
        test -f /etc/holdfast/server.d/edge-1.toml
        HOLDFAST_CONFIG=/etc/holdfast/server.toml holdfast-server check
        umount /etc/holdfast
        mount -t tmpfs tmpfs /etc/holdfast
        {join} < line
        holdfast-client check""", tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.search(r"postgres: connect to 127\.0\.0\.1:5432", run.stdout)
    assert "/etc/holdfast/client.toml: ok" in run.stdout


def configs():
    return [(page, index) for page in PAGES for index, (_, body) in enumerate(blocks_of(page))
            if BLOCKS.get(page, {}).get(title(body)) == CONFIG]


# What a block leaves out because the page is about something else.
REST = {"client": {"name": 'name = "edge-1"\n',
                   "link": '[link]\nserver = ["127.0.0.1:7443"]\npsk_file = "edge-1.psk"\n'},
        "server": {"link": '[link]\nlisten = ["127.0.0.1:7443"]\n'}}


@pytest.mark.parametrize("page,index", configs())
def test_every_config_is_one(tmp_path, page, index):
    body = blocks_of(page)[index][1]
    role = "server" if re.search(r"server\.toml|\[clients\.|target =", body) else "client"
    rest = "".join(text for key, text in REST[role].items() if not re.search(rf"(?m)^(\[{key}|{key} =)", body))
    if role == "server":                         # services and clients that another block of the page has
        named = set(re.findall(r'services = \["(\w+)"\]', body))
        have = set(re.findall(r"\[services\.(\w+)\]", body))
        body += "".join(f'\n[services.{name}]\ntarget = "127.0.0.1:1"\n' for name in named - have)
    keys = set(re.findall(r'psk_file = "([\w.-]+)"', rest + body))
    for key in keys:
        line = subprocess.run([os.path.join(BIN, "holdfast-client"), "genpsk"], capture_output=True, text=True).stdout
        with open(tmp_path / key, "w", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(line)
    config = tmp_path / f"{role}.toml"
    # Keys at the top come before any table.
    top = rest if rest.startswith("name") else ""
    config.write_text(top + body if top else body + "\n" + rest)
    run = subprocess.run([os.path.join(BIN, f"holdfast-{role}"), "check", "-c", config], capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr + config.read_text()


@pytest.mark.parametrize("role", ["client", "server"])
def test_every_command_of_the_manuals_works(tmp_path, role, monkeypatch):
    page = f"docs/man/holdfast-{role}.8.scd"
    commands = [body.strip() for kind, body in blocks_of(page)
                if kind == "command" and BLOCKS[page][title(body)] == COMMAND]
    assert len(commands) > 3
    with Pair(tmp_path, link="psk", services={"postgres": {}}) as pair:
        agent = getattr(pair, role)
        for command in commands:
            words = command.replace(f"/run/holdfast/{role}.sock", agent.settings["admin"]["socket"])
            watch = "--watch" in words
            run = subprocess.run(["timeout", "1.5" if watch else "30", *words.split()], capture_output=True, text=True,
                                 env={**ENVIRONMENT, "HOLDFAST_CONFIG": agent.config})
            assert run.returncode == (124 if watch else 0), (command, run.stdout, run.stderr)
            assert run.stdout, command
