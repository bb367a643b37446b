"""docs/guide/quickstart.md, done as it stands there: each sh block in one shell, each toml block in the
file that its first line names. In a mount namespace, so that the names of its hosts are its own."""
import os
import re
import subprocess

from pair import BIN, REPOSITORY

PAGE = os.path.join(REPOSITORY, "docs", "guide", "quickstart.md")


def script():
    with open(PAGE) as file:
        blocks = re.findall(r"(?ms)^```(sh|toml)\n(.*?)^```$", file.read())
    lines = ["set -e"]
    for kind, text in blocks:
        if kind == "toml":
            name = re.match(r"# (\S+)\n", text)[1]
            lines.append(f"cat > {name} <<'END'\n{text}END")
        elif "scripts/build" not in text:
            lines.append(text)
    return "\n".join(lines)


def test_the_page_does_what_it_says(tmp_path):
    words = script()
    assert "wait $!" in words and "kill $(jobs -p)" in words
    run = subprocess.run(["unshare", "--mount", "--kill-child=KILL", "--pid", "--fork", "--mount-proc",
                          "bash", "-c",
                          "mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns\n" + words],
                         cwd=tmp_path, capture_output=True, text=True, timeout=90,
                         env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}:/usr/sbin:/sbin"})
    assert run.returncode == 0
    assert "client.toml: ok" in run.stdout and "server.toml: ok" in run.stdout
    assert "1 connection is safe for" in run.stderr
    assert "the same, byte for byte" in run.stdout
    told = run.stdout + run.stderr
    assert re.search(r"event=link_down .*cause=\w+ connections=1 grace_s=300", told)
    assert re.search(r"event=link_resumed .*outage_s=\d.* connections=1", told)
    assert re.search(r"event=connection_closed .*service=web .*resumes=1 .*cause=target_fin", told)
