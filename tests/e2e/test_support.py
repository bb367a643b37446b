"""`support` writes one file for a bug report: all that helps, and no secret."""
import os
import stat
import tarfile

import pytest

OK, FAILED, USAGE = 0, 1, 64
FILES = {"versions.txt", "config.toml", "check.txt", "log.txt", "status.json", "metrics.txt", "kernel.txt"}


def bundle(path):
    """{name: text} of a bundle."""
    with tarfile.open(path) as tar:
        return {os.path.basename(each.name): tar.extractfile(each).read().decode()
                for each in tar.getmembers() if each.isfile()}


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_bundle_has_what_helps_and_no_secret(make_pair, tmp_path, role):
    log = tmp_path / "agent.log"
    pair = make_pair(link="psk", **{role: {"log": {"file": str(log)}}})
    with open(os.path.join(pair.folder, "edge-1.psk")) as file:
        line = file.read().strip()
    key = line.partition(":")[2]
    pem = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n-----END PRIVATE KEY-----\n"
    with open(log, "a") as file:                 # where a hand has pasted what it should not
        file.write(f"note={line}\ninvite=holdfast1/edge-1/127.0.0.1:1/raw/never/{line}\n{pem}after=it\n")
    agent = getattr(pair, role)
    with open(agent.config, "a") as file:
        file.write(f"# the key is {line}\n# {key.upper()}\n")
    out = tmp_path / "report.tar.gz"
    run = agent.run("support", "--out", str(out))
    assert run.returncode == OK, run.stderr
    assert str(out) in run.stdout and stat.S_IMODE(os.stat(out).st_mode) == 0o600
    texts = bundle(out)
    assert set(texts) == FILES
    for name, text in texts.items():
        assert key not in text.lower(), name
        assert "MIIEvQIBADANBgkqhkiG9w0BAQ" not in text, name
    assert f"holdfast-{role} " in texts["versions.txt"]
    assert "psk_file" in texts["config.toml"] and "<redacted>" in texts["config.toml"]
    # A server without a name is told so.
    assert texts["check.txt"] == "ok\n" or f"{agent.config}:1: name: warning: " in texts["check.txt"]
    assert "<redacted>" in texts["log.txt"] and "after=it" in texts["log.txt"]
    assert "event=" in texts["log.txt"]
    assert f'"pid": {agent.pid}' in texts["status.json"]
    assert "holdfast_build_info" in texts["metrics.txt"]
    assert "Max open files" in texts["kernel.txt"] and "tcp_rmem" in texts["kernel.txt"]
    again = agent.run("support", "--out", str(out))
    assert again.returncode == FAILED and str(out) in again.stderr


def test_a_bundle_is_made_of_a_broken_config_without_an_agent(make_pair, tmp_path):
    pair = make_pair()
    pair.client.terminate()
    broken = tmp_path / "broken.toml"
    with open(pair.client.config) as file:
        broken.write_text(file.read() + "\n[lnik]\n")
    out = tmp_path / "report.tar.gz"
    assert pair.client.run("support", "--out", str(out), config=str(broken)).returncode == OK
    texts = bundle(out)
    assert "lnik" in texts["config.toml"] and "lnik" in texts["check.txt"]
    assert "no agent is running" in texts["status.json"]
    pair.client.start()
    pair.wait_ready()
